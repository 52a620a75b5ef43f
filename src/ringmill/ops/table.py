"""The ops: one entry each. Everything else about an op is made from its entry by generate.py.

An entry is a Python signature whose annotations are field kinds (fields.py), a docstring, an
example, and one line that says which opcode it is and how the soft kernel executes it. The
expression after `soft=` is C over the argument names (`n` is the size of a buffer argument).
Names, order and keywords follow `os` and `socket`.
"""
# open, bind … are meant to be named as in the standard library; arguments are only read.

from __future__ import annotations

import socket as _socket

from ringmill.ops.entry import (
    at_once,
    each,
    in_own_worker,
    in_worker,
    op,
    when_readable,
    when_writable,
)
from ringmill.ops.fields import (
    Accepted,
    Address,
    Ancillary,
    AncillaryRoom,
    Bit,
    ClosingFd,
    Count,
    Data,
    DirFd,
    Events,
    Fd,
    Fresh,
    From,
    FromMany,
    HowMany,
    Into,
    IntoMany,
    Masks,
    Message,
    MessageSize,
    NewFd,
    NewSocket,
    Nothing,
    Number,
    NumberAsFd,
    Offset,
    Parts,
    Path,
    PathOrFd,
    Peer,
    Pieces,
    Sockets,
    SpliceFd,
    Stat,
    Waited,
    Whole,
    Woken,
    Word,
)

# ── files ───────────────────────────────────────────────────────────────────────────────────


@op("NOP", soft=at_once("0"))
def nop() -> Nothing:
    """Go through the kernel and back, doing nothing: what one op costs.

    >>> nop()
    """


@op("OPENAT", soft=in_worker("rm_do_openat(dir_fd, path, (int)flags, mode)"))
def open(path: Path, flags: Number("open_flags", also="O_CLOEXEC"),
         mode: Number("len") = 0o777, *, dir_fd: DirFd = None) -> NewFd:
    """Open `path` and return a file descriptor, as os.open does; never inherited by children.

    flags: os.O_RDONLY and so on. mode: permission bits of a new file, less the umask. A relative
    path is looked up at `dir_fd`. Raises OSError with the filename. See open(2).

    Never waits for the other end of a FIFO, as with O_NONBLOCK: reading opens at once; writing
    without a reader is OSError (ENXIO).

    >>> fd = open(folder / "hello", os.O_RDONLY)
    >>> close(fd)
    """


@op("CLOSE", soft=at_once("rm_do_close(fd)"), shielded=True)
def close(fd: ClosingFd) -> Nothing:
    """Close a file descriptor, or a socket object (which then is detached). See close(2).

    Not cancellable: a descriptor whose close was given up would leak. An op that is in flight on
    it goes on, on Linux, and keeps the connection or listener open: cancel it, or shutdown first.

    >>> close(os.dup(hello))
    """


@op("READ", soft=when_readable("rm_do_read(fd, data, n, offset, nowait)"))
def read(fd: Fd, n: Fresh, *, offset: Offset() = None) -> Data:
    """Read up to `n` bytes; b"" at the end of the file. See read(2), pread(2).

    offset: bytes from the beginning, which leaves the file's own position alone; None reads at
    that position and moves it.

    >>> read(hello, 5)
    b'Hello'
    """


@op("READ", soft=None)
def readinto(fd: Fd, buffer: Into, *, offset: Offset() = None) -> Count:
    """Read up to len(buffer) bytes into `buffer`; the number read, 0 at the end of the file.

    The buffer is exported until the op is done: a bytearray cannot be resized meanwhile.

    >>> readinto(hello, bytearray(5), offset=0)
    5
    """


@op("READV", soft=when_readable("rm_do_readv(fd, buffers, n, offset, nowait)"))
def readv(fd: Fd, buffers: IntoMany, *, offset: Offset() = None) -> Count:
    """Read into several writable buffers, in order; the number of bytes read. See readv(2).

    >>> readv(hello, [bytearray(2), bytearray(3)], offset=0)
    5
    """


@op("WRITE", soft=when_writable("rm_do_write(fd, data, n, offset, nowait)"))
def write(fd: Fd, data: From, *, offset: Offset() = None) -> Count:
    """Write `data`; the number of bytes written, which may be less. See write(2), pwrite(2).

    >>> write(scratch, b"some bytes")
    10
    """


@op("WRITE", soft=None)
def write_all(fd: Fd, data: From, *, offset: Offset() = None) -> Whole:
    """Write all of `data`, however many writes that takes, at the position or from `offset` on.

    When it raises, a part of it may have been written.

    >>> write_all(scratch, b"some bytes")
    """


@op("WRITEV", soft=when_writable("rm_do_writev(fd, buffers, n, offset, nowait)"))
def writev(fd: Fd, buffers: FromMany, *, offset: Offset() = None) -> Count:
    """Write several buffers, in order; the number of bytes written. See writev(2).

    >>> writev(scratch, [b"some ", b"bytes"])
    10
    """


@op("FSYNC", soft=in_worker("rm_result(datasync ? fdatasync(fd) : fsync(fd))"))
def fsync(fd: Fd, *, datasync: Bit("fsync_flags", "IORING_FSYNC_DATASYNC") = False) -> Nothing:
    """Return once everything written to `fd` is on stable storage. See fsync(2).

    datasync: leave out metadata that is not needed to read the data back.

    >>> fsync(scratch)
    """


@op("STATX", soft=in_worker("rm_do_statx(dir_fd, path, flags, mask, out)"), prepare=(
    "cdef bint by_fd = isinstance(path, int)",
    "dir_fd = path if by_fd else dir_fd",
), finish=("if by_fd:", "    sqe.statx_flags |= AT_EMPTY_PATH"))
def stat(path: PathOrFd, *, dir_fd: DirFd = None,
         follow_symlinks: Bit("statx_flags", "AT_SYMLINK_NOFOLLOW", unless=True) = True) -> Stat:
    """What os.stat gives, nanoseconds included, for a path or an open file. See statx(2).

    >>> stat(folder / "hello").st_size
    14
    """


@op("SPLICE", soft=in_own_worker(
    "rm_do_splice(source, (int64_t)offset_source, target, (int64_t)offset_target, n, flags, "
    "nowait)"))
def splice(source: SpliceFd, target: Fd, n: Number("len"), *,
           offset_source: Offset("splice_off_in") = None, offset_target: Offset() = None,
           flags: Number("splice_flags") = 0) -> Count:
    """Move up to `n` bytes between two files, one of them a pipe, without copying to us.

    The number of bytes moved, 0 at the end. Offsets as in `read`. See splice(2).

    >>> splice(hello, pipe_in, 5, offset_source=0)
    5
    """


@op("TEE", soft=in_own_worker("rm_do_tee(source, target, n, flags, nowait)"))
def tee(source: SpliceFd, target: Fd, n: Number("len"), *,
        flags: Number("splice_flags") = 0) -> Count:
    """Duplicate up to `n` bytes of one pipe into another; the source keeps them. See tee(2).

    >>> write(pipe_in, b"twice")
    5
    >>> tee(pipe_out, pipe2_in, 5)
    5
    """


@op("POLL_ADD", soft=None)
def poll(fd: Fd, mask: Number("poll32_events")) -> Events:
    """Wait until one of the events in `mask` (select.POLLIN …) holds; those that do. See poll(2).

    io_uring also ends the wait when the peer has shut down its side: POLLRDHUP, unasked.

    >>> poll(pipe_in, select.POLLOUT) == select.POLLOUT
    True
    """


# ── sockets ─────────────────────────────────────────────────────────────────────────────────


@op("SOCKET", soft=at_once("rm_result(socket(family, (int)type, proto))"))
def socket(family: NumberAsFd() = _socket.AF_INET,
           type: Number("off", also="SOCK_CLOEXEC") = _socket.SOCK_STREAM,
           proto: Number("len", "int") = 0) -> NewSocket:
    """A new socket object; never inherited by children. See socket(2).

    >>> socket().close()
    """


@op("BIND", soft=at_once("rm_result(bind(sock, address, address_len))"))
def bind(sock: Fd, address: Address) -> Nothing:
    """Bind a socket to an address as in `socket` (numeric hosts; a path). See bind(2).

    >>> bind(tcp, ("127.0.0.1", 0))
    """


@op("LISTEN", soft=at_once("rm_result(listen(sock, backlog))"))
def listen(sock: Fd, backlog: Number("len", "int") = 128) -> Nothing:
    """Let a bound socket take connections; `backlog` of them wait. See listen(2).

    >>> listen(bound)
    """


@op("ACCEPT", soft=when_readable(
    "rm_do_accept(sock, address, address_len, (int)flags, nowait)"))
def accept(sock: Fd, *, flags: Number("accept_flags", also="SOCK_CLOEXEC") = 0) -> Accepted:
    """The next connection, as (socket, address). See accept4(2).

    >>> peer, address = accept(knocked)
    >>> peer.close()
    """


@op("CONNECT", soft=when_writable("rm_do_connect(sock, address, address_len, nowait)"))
def connect(sock: Fd, address: Address) -> Nothing:
    """Connect a socket to an address (numeric hosts; a path). OSError with the address.

    See connect(2).

    >>> connect(tcp, listening.getsockname())
    """


@op("RECV", soft=when_readable("rm_do_recv(sock, data, n, (int)flags, nowait)"))
def recv(sock: Fd, n: Fresh, *, flags: Number("msg_flags") = 0) -> Data:
    """Receive up to `n` bytes; b"" when the peer has ended its side. See recv(2).

    >>> recv(letter, 100)
    b'a letter'
    """


@op("RECV", soft=None)
def recv_into(sock: Fd, buffer: Into, *, flags: Number("msg_flags") = 0) -> Count:
    """Receive into `buffer`; the number of bytes, 0 when the peer has ended its side.

    >>> recv_into(letter, bytearray(100))
    8
    """


@op("SEND", soft=when_writable("rm_do_send(sock, data, n, (int)flags, nowait)"))
def send(sock: Fd, data: From, *, flags: Number("msg_flags", also="MSG_NOSIGNAL") = 0) -> Count:
    """Send `data`; the number of bytes sent, which may be less. See send(2).

    >>> send(left, b"hello")
    5
    """


@op("SEND", soft=None)
def sendall(sock: Fd, data: From, *,
            flags: Number("msg_flags", also="MSG_NOSIGNAL | MSG_WAITALL") = 0) -> Whole:
    """Send all of `data`, however many sends that takes.

    When it raises, a part of it may have been sent.

    >>> sendall(left, b"hello")
    """


@op("SENDMSG", soft=when_writable("rm_do_sendmsg(sock, message, (int)flags, nowait)"))
def sendmsg(sock: Fd, buffers: Parts, ancdata: Ancillary = (), *,
            flags: Number("msg_flags", also="MSG_NOSIGNAL") = 0, address: Peer = None) -> Count:
    """Send buffers and ancillary data, as socket.sendmsg does; the number of bytes sent.

    ancdata: (level, type, data) each. See sendmsg(2).

    >>> sendmsg(left, [b"hel", b"lo"])
    5
    """


@op("RECVMSG", soft=when_readable("rm_do_recvmsg(sock, message, (int)flags, nowait)"))
def recvmsg(sock: Fd, n: MessageSize, ancbufsize: AncillaryRoom = 0, *,
            flags: Number("msg_flags", also="MSG_CMSG_CLOEXEC") = 0) -> Message:
    """Receive a message: (data, ancdata, msg_flags, address), as socket.recvmsg does.

    n, ancbufsize: bytes of room for data and ancillary data. See recvmsg(2).

    >>> recvmsg(letter, 100)[0]
    b'a letter'
    """


@op("SHUTDOWN", soft=at_once("rm_result(shutdown(sock, how))"))
def shutdown(sock: Fd, how: Number("len", "int")) -> Nothing:
    """End one or both directions: socket.SHUT_RD, SHUT_WR, SHUT_RDWR. See shutdown(2).

    >>> shutdown(left, _socket.SHUT_WR)
    """


# ── processes ───────────────────────────────────────────────────────────────────────────────


@op("WAITID", soft=in_own_worker("rm_do_waitid((int)idtype, id, info, (int)options)"))
def waitid(idtype: Number("len"), id: NumberAsFd(), options: Number("file_index")) -> Waited:
    """Wait for a child to change state, as os.waitid does. See waitid(2).

    None when os.WNOHANG is given and no child is in that state.

    >>> waitid(os.P_PID, child(), os.WEXITED).si_status
    7
    """


# ── words in memory ─────────────────────────────────────────────────────────────────────────


@op("FUTEX_WAIT", soft=in_own_worker(
    "rm_result(syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, NULL, NULL, mask))"))
def futex_wait(word: Word, value: Number("addr2"), *,
               mask: Number("addr3") = 0xFFFFFFFF) -> Woken:
    """Wait while the 32-bit `word` holds `value`, until somebody wakes it; see futex(2).

    True when it was woken; False, at once, when the word holds another value. Wake-ups may be
    for another reason, so look again at what you wait for. word: a writable buffer whose address
    is a multiple of 4, private or shared with other processes. mask: only a wake with one of
    these bits is for us.

    >>> futex_wait(word, 1)
    False
    """


@op("FUTEX_WAKE", soft=at_once(
    "n ? rm_result(syscall(SYS_futex, word, FUTEX_WAKE_BITSET, n, NULL, NULL, mask)) : 0"))
def futex_wake(word: Word, n: HowMany, *, mask: Number("addr3") = 0xFFFFFFFF) -> Count:
    """Wake up to `n` of those who wait for `word`, in any process; how many it were.

    >>> futex_wake(word, 1)
    0
    """


# ── many results ────────────────────────────────────────────────────────────────────────────


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
    recvmsg to learn of that, and who sent it.

    >>> next(iter(recv_each(letter)))
    b'a letter'
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
