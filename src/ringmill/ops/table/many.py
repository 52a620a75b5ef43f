"""Ops with many results: iterators in both faces."""

from __future__ import annotations

from ringmill.ops.entry import each
from ringmill.ops.fields import ControlRoom, Fd, Letters, Masks, Number, Pieces, Sockets


@each("ACCEPT", behaviour="RM_ACCEPT_MULTISHOT", fill=(
    "shots.template.ioprio = IORING_ACCEPT_MULTISHOT",
    "shots.template.accept_flags = SOCK_CLOEXEC",
))
def accept_each(sock: Fd) -> Sockets:
    """The connections that come, one after the other, as socket objects.

    OSError (EMFILE, ENFILE) when the process has no descriptors left: iterate on once it has.

    >>> next(iter(accept_each(knocked))).close()
    """


@each("RECV", behaviour="RM_RECV_MULTISHOT", group=True, fill=(
    "shots.template.ioprio = IORING_RECV_MULTISHOT",
    "shots_of_socket(shots)",
))
def recv_each(sock: Fd) -> Pieces:
    """The data that comes, piece by piece (1 to 65,536 bytes), until the peer ends its side.

    From a datagram socket: one datagram after the other, without end; a longer one is cut. Use
    recvmsg_each to learn of that, and who sent it.

    >>> next(iter(recv_each(letter)))
    b'a letter'
    """


@each("RECVMSG", behaviour="RM_RECV_MULTISHOT", group=True, fill=(
    "shots.template.ioprio = IORING_RECV_MULTISHOT",
    "shots.template.msg_flags = MSG_CMSG_CLOEXEC",
    "shots_of_messages(shots, ancbufsize)",
))
def recvmsg_each(sock: Fd, ancbufsize: ControlRoom = 0) -> Letters:
    """The messages that come, one after the other: (data, ancdata, msg_flags, address) each.

    ancbufsize: bytes of room for the ancillary data of one, at most 3952. A message has room for
    69,488 bytes less ancbufsize, so any datagram of UDP fits. What found no room is lost:
    msg_flags then has MSG_TRUNC or MSG_CTRUNC. Descriptors that came with a message nobody takes
    are closed. Over a connection it ends when the peer ends its
    side; on a datagram socket never. There, an error that is about a datagram sent earlier
    (ECONNREFUSED …) is raised, and the next one asked for is the next message.

    >>> next(iter(recvmsg_each(letter)))
    (b'a letter', [], 0, None)
    """


@each("READ_MULTISHOT", behaviour="RM_READ_MULTISHOT", group=True, fill=(
    "shots.template.off = <uint64_t>-1",
    "shots_of_file(shots)",
))
def read_each(fd: Fd) -> Pieces:
    """The data that a pipe, terminal or file brings, piece by piece, until its end.

    >>> list(read_each(hello))
    [b'Hello, ring!\\r\\n']
    """


@each("POLL_ADD", behaviour="RM_POLL_MULTISHOT", fill=(
    "shots.template.poll32_events = mask",
    "shots.template.len = IORING_POLL_ADD_MULTI",
))
def poll_each(fd: Fd, mask: Number("poll32_events")) -> Masks:
    """Each time that events of `mask` come anew (edges, not levels): those that hold.

    >>> next(iter(poll_each(pipe_in, select.POLLOUT))) == select.POLLOUT
    True
    """
