"""Ops on messages: datagrams with their addresses, data with its control data, descriptors."""

from __future__ import annotations

from ringmill.ops.entry import Second, op, when_readable, when_writable
from ringmill.ops.fields import (
    Ancillary,
    AncillaryRoom,
    Count,
    Destination,
    Fd,
    From,
    Message,
    MessageCount,
    MessageInto,
    MessageSize,
    Number,
    Parts,
    PartsInto,
    Passed,
    Peer,
    Rights,
    RightsRoom,
    Sent,
    SentCount,
    ZeroCopy,
)


@op("SEND", push="op_push_send",
    soft=when_writable("rm_do_send(sock, data, n, (int)flags, address, address_len, nowait)"),
    second=Second("SENDMSG", when="apart", soft=None))
def sendto(sock: Fd, data: From, address: Destination, *,
           flags: Number("msg_flags", also="MSG_NOSIGNAL") = 0) -> Count:
    """Send `data` as one datagram to `address` (a numeric host); the number of bytes sent.

    OSError, with the address, when it is refused: EMSGSIZE for what is too long for one datagram.
    See sendto(2).

    >>> sendto(mail, b"hello", mailbox.getsockname())
    5
    """


@op("SENDMSG", push="op_push_send",
    soft=when_writable("rm_do_sendmsg(sock, message, (int)flags, nowait)"))
def sendmsg(sock: Fd, buffers: Parts, ancdata: Ancillary = (), *,
            flags: Number("msg_flags", also="MSG_NOSIGNAL") = 0, address: Peer = None,
            zero_copy: ZeroCopy("SENDMSG_ZC", "SENDMSG") = False) -> Count:
    """Send buffers and ancillary data, as socket.sendmsg does; the number of bytes sent.

    ancdata: (level, type, data) each. See sendmsg(2). zero_copy: as in `send`.

    >>> sendmsg(left, [b"hel", b"lo"])
    5
    """


@op("SENDMSG", push="op_push_send", soft=None)
def send_fds(sock: Fd, buffers: Parts, fds: Rights, *,
             flags: Number("msg_flags", also="MSG_NOSIGNAL") = 0, address: Peer = None) -> Count:
    """Send descriptors over a Unix socket, with some data; the number of bytes sent.

    The receiver gets its own descriptors of the same open files; ours stay open. A stream carries
    them with the first byte of the data, so there has to be one. See unix(7), SCM_RIGHTS.

    >>> send_fds(left, [b"a file"], [hello])
    6
    """


@op("RECVMSG", soft=when_readable("rm_do_recvmsg(sock, message, (int)flags, nowait)"))
def recvmsg(sock: Fd, n: MessageSize, ancbufsize: AncillaryRoom = 0, *,
            flags: Number("msg_flags", also="MSG_CMSG_CLOEXEC") = 0) -> Message:
    """Receive a message: (data, ancdata, msg_flags, address), as socket.recvmsg does.

    n, ancbufsize: bytes of room for data and ancillary data. What found none is lost: msg_flags
    then has MSG_TRUNC or MSG_CTRUNC. Descriptors are never inherited by children. See recvmsg(2).

    >>> recvmsg(letter, 100)[0]
    b'a letter'
    """


@op("RECVMSG", soft=None)
def recvmsg_into(sock: Fd, buffers: PartsInto, ancbufsize: AncillaryRoom = 0, *,
                 flags: Number("msg_flags", also="MSG_CMSG_CLOEXEC") = 0) -> MessageCount:
    """Receive a message into buffers, in order: (count, ancdata, msg_flags, address).

    >>> recvmsg_into(letter, [bytearray(2), bytearray(100)])[0]
    8
    """


@op("RECVMSG", soft=None)
def recvfrom(sock: Fd, n: MessageSize, *, flags: Number("msg_flags") = 0) -> Sent:
    """Receive a datagram of up to `n` bytes and who sent it: (data, address).

    A longer one is cut: recvmsg tells of that. The address is None when the sender has none.
    See recvfrom(2).

    >>> recvfrom(letter, 100)
    (b'a letter', None)
    """


@op("RECVMSG", soft=None)
def recvfrom_into(sock: Fd, buffer: MessageInto, *,
                  flags: Number("msg_flags") = 0) -> SentCount:
    """Receive a datagram into `buffer`: (the number of bytes, address).

    >>> recvfrom_into(letter, bytearray(100))
    (8, None)
    """


@op("RECVMSG", soft=None)
def recv_fds(sock: Fd, n: MessageSize, maxfds: RightsRoom, *,
             flags: Number("msg_flags", also="MSG_CMSG_CLOEXEC") = 0) -> Passed:
    """Receive up to `n` bytes and `maxfds` descriptors: (data, fds, msg_flags, address).

    The descriptors are the caller's to close, and never inherited by children. Those that found
    no room, here or in the process, are closed: msg_flags then has MSG_CTRUNC.

    >>> data, fds, flags, address = recv_fds(passing, 100, 1)
    >>> close(fds[0])
    """
