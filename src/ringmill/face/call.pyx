"""The calls: start, then wait, in a fiber or a plain script.

Generated from ops/table/ by ops/generate.py; edit there.
"""
from ringmill.face.fiber cimport each_call, wait
from ringmill.ops.aio cimport *
from ringmill.ops.convert cimport int_of, unsigned_of

import socket as _socket

__all__ = [
    "nop", "open", "close", "read", "readinto", "readv", "write", "write_all", "writev",
    "fsync", "ftruncate", "fallocate", "sync_file_range", "fadvise", "madvise", "stat",
    "splice", "tee", "pipe", "poll", "mkdir", "unlink", "rmdir", "symlink", "link",
    "rename", "replace", "getxattr", "setxattr", "socket", "bind", "listen", "accept",
    "connect", "recv", "recv_into", "send", "sendall", "shutdown", "getsockopt",
    "setsockopt", "sendto", "sendmsg", "send_fds", "recvmsg", "recvmsg_into", "recvfrom",
    "recvfrom_into", "recv_fds", "waitid", "epoll_wait", "futex_wait", "futex_wake",
    "accept_each", "recv_each", "recvmsg_each", "read_each", "poll_each",
]


def nop():
    """Go through the kernel and back, doing nothing: what one op costs.

    >>> nop()
    """
    return wait(start_nop())


def open(path, flags, mode=511, *, dir_fd=None, resolve=0):
    """Open `path` and return a file descriptor, as os.open does; never inherited by children.

    flags: os.O_RDONLY and so on. mode: permission bits of a new file, less the umask. A relative
    path is looked up at `dir_fd`. Raises OSError with the filename. See open(2).

    resolve: how far the path may lead, as ringmill.Resolve says it: with BENEATH never out of
    `dir_fd`, neither by .. nor by a symbolic link (EXDEV). See openat2(2).

    Never waits for the other end of a FIFO, as with O_NONBLOCK: reading opens at once; writing
    without a reader is OSError (ENXIO).

    >>> fd = open(folder / "hello", os.O_RDONLY)
    >>> close(fd)
    """
    return wait(start_open(path, unsigned_of(flags), unsigned_of(mode), dir_fd, unsigned_of(resolve)))


def close(fd):
    """Close a file descriptor, or a socket object (which then is detached). See close(2).

    Not cancellable: a descriptor whose close was given up would leak. An op that is in flight on
    it goes on, on Linux, and keeps the connection or listener open: cancel it, or shutdown first.
    What start_write has begun on it is written before, and a failure nobody was told of is raised.

    >>> close(os.dup(hello))
    """
    return wait(start_close(fd))


def read(fd, n, *, offset=None):
    """Read up to `n` bytes; b"" at the end of the file. See read(2), pread(2).

    offset: bytes from the beginning, which leaves the file's own position alone; None reads at
    that position and moves it.

    >>> read(hello, 5)
    b'Hello'
    """
    return wait(start_read(fd, n, offset))


def readinto(fd, buffer, *, offset=None):
    """Read up to len(buffer) bytes into `buffer`; the number read, 0 at the end of the file.

    The buffer is exported until the op is done: a bytearray cannot be resized meanwhile.

    >>> readinto(hello, bytearray(5), offset=0)
    5
    """
    return wait(start_readinto(fd, buffer, offset))


def readv(fd, buffers, *, offset=None):
    """Read into several writable buffers, in order; the number of bytes read. See readv(2).

    >>> readv(hello, [bytearray(2), bytearray(3)], offset=0)
    5
    """
    return wait(start_readv(fd, buffers, offset))


def write(fd, data, *, offset=None):
    """Write `data`; the number of bytes written, which may be less. See write(2), pwrite(2).

    >>> write(scratch, b"some bytes")
    10
    """
    return wait(start_write(fd, data, offset))


def write_all(fd, data, *, offset=None):
    """Write all of `data`, however many writes that takes, at the position or from `offset` on.

    When it raises, a part of it may have been written.

    >>> write_all(scratch, b"some bytes")
    """
    return wait(start_write_all(fd, data, offset))


def writev(fd, buffers, *, offset=None):
    """Write several buffers, in order; the number of bytes written. See writev(2).

    >>> writev(scratch, [b"some ", b"bytes"])
    10
    """
    return wait(start_writev(fd, buffers, offset))


def fsync(fd, *, bint datasync=False):
    """Return once everything written to `fd` is on stable storage. See fsync(2).

    datasync: leave out metadata that is not needed to read the data back.

    >>> fsync(scratch)
    """
    return wait(start_fsync(fd, datasync))


def ftruncate(fd, length):
    """Cut the file to `length` bytes, or extend it with zeros. See ftruncate(2).

    >>> ftruncate(scratch, 100)
    """
    return wait(start_ftruncate(fd, length))


def fallocate(fd, offset, length, *, bint keep_size=False, bint punch_hole=False, bint zero_range=False, bint collapse_range=False, bint insert_range=False):
    """Give a file room on disk for the bytes from `offset` on, as os.posix_fallocate does.

    keep_size: not even when it is beyond the end does the file's size change. punch_hole,
    zero_range: instead, make the range zeros, giving its blocks back or not. collapse_range,
    insert_range: take the range out, or put a hole there; what follows moves. OSError
    (EOPNOTSUPP) where the file system cannot. See fallocate(2).

    >>> fallocate(scratch, 0, 4096)
    """
    return wait(start_fallocate(fd, offset, length, keep_size, punch_hole, zero_range, collapse_range, insert_range))


def sync_file_range(fd, offset=0, length=None, *, bint wait_before=False, bint write=True, bint wait_after=False):
    """Have a part of the file written to disk: begin to; and wait, where that is asked for.

    length: None (or 0, as in C) is to the end. wait_before, wait_after: for what was being
    written already, and for all of it. Only data, no metadata: after a crash the file may be as
    short as before. See sync_file_range(2), and fsync.

    >>> sync_file_range(scratch, 0, 100, wait_after=True)
    """
    return wait(start_sync_file_range(fd, offset, length, wait_before, write, wait_after))


def fadvise(fd, offset, length, advice):
    """Tell how a part of a file will be used, as os.posix_fadvise does. See posix_fadvise(2).

    length: None (or 0, as in os) is to the end. advice: os.POSIX_FADV_WILLNEED and so on.

    >>> fadvise(hello, 0, None, os.POSIX_FADV_DONTNEED)
    """
    return wait(start_fadvise(fd, offset, length, unsigned_of(advice)))


def madvise(memory, advice):
    """Tell how memory will be used, as mmap.madvise does. See madvise(2).

    memory: an mmap, or a buffer that begins at a page; the kernel takes whole pages. advice:
    mmap.MADV_WILLNEED and so on; some of it, as mmap.MADV_DONTNEED, clears the memory.

    >>> madvise(mapped, mmap.MADV_DONTNEED)
    """
    return wait(start_madvise(memory, unsigned_of(advice)))


def stat(path, *, dir_fd=None, bint follow_symlinks=True):
    """What os.stat gives, nanoseconds included, for a path or an open file. See statx(2).

    >>> stat(folder / "hello").st_size
    14
    """
    return wait(start_stat(path, dir_fd, follow_symlinks))


def splice(source, target, n, *, offset_source=None, offset_target=None, flags=0):
    """Move up to `n` bytes between two files, one of them a pipe, without copying to us.

    The number of bytes moved, 0 at the end. Offsets as in `read`. See splice(2).

    >>> splice(hello, pipe_in, 5, offset_source=0)
    5
    """
    return wait(start_splice(source, target, unsigned_of(n), offset_source, offset_target, unsigned_of(flags)))


def tee(source, target, n, *, flags=0):
    """Duplicate up to `n` bytes of one pipe into another; the source keeps them. See tee(2).

    >>> write(pipe_in, b"twice")
    5
    >>> tee(pipe_out, pipe2_in, 5)
    5
    """
    return wait(start_tee(source, target, unsigned_of(n), unsigned_of(flags)))


def pipe(*, flags=0):
    """A new pipe, as (the end to read from, the end to write to); never inherited by children.

    flags: os.O_DIRECT, os.O_NONBLOCK. See pipe2(2).

    >>> reader, writer = pipe()
    >>> close(reader)
    >>> close(writer)
    """
    return wait(start_pipe(unsigned_of(flags)))


def poll(fd, mask):
    """Wait until one of the events in `mask` (select.POLLIN …) holds; those that do. See poll(2).

    io_uring also ends the wait when the peer has shut down its side: POLLRDHUP, unasked.

    >>> poll(pipe_in, select.POLLOUT) == select.POLLOUT
    True
    """
    return wait(start_poll(fd, unsigned_of(mask)))


def mkdir(path, mode=511, *, dir_fd=None):
    """Make a folder; FileExistsError when there is something of that name. See mkdirat(2).

    mode: permission bits, less the umask. For the folders above it, too: makedirs.

    >>> mkdir(folder / "new")
    >>> rmdir(folder / "new")
    """
    return wait(start_mkdir(path, unsigned_of(mode), dir_fd))


def unlink(path, *, dir_fd=None, bint missing_ok=False):
    """Remove a name; the file goes with its last one. See unlinkat(2).

    missing_ok: no FileNotFoundError when there is no such name.

    >>> unlink(folder / "hello")
    """
    return wait(start_unlink(path, dir_fd, missing_ok))


def rmdir(path, *, dir_fd=None):
    """Remove an empty folder. See unlinkat(2).

    >>> mkdir(folder / "new")
    >>> rmdir(folder / "new")
    """
    return wait(start_rmdir(path, dir_fd))


def symlink(src, dst, *, dir_fd=None):
    """Make `dst` a symbolic link to `src`, which need not exist. See symlinkat(2).

    dir_fd: where a relative `dst` is made; `src` is stored as it is.

    >>> symlink("hello", folder / "soft link")
    """
    return wait(start_symlink(src, dst, dir_fd))


def link(src, dst, *, src_dir_fd=None, dst_dir_fd=None, bint follow_symlinks=True):
    """Make `dst` one more name of the file `src`. See linkat(2).

    src: a path, or the descriptor of an open file: one that was opened with os.O_TMPFILE gets
    its first name, all at once (by way of /proc). follow_symlinks: when `src` is a symbolic link,
    the file it points to, not the link.

    >>> link(folder / "hello", folder / "hard link")
    """
    return wait(start_link(src, dst, src_dir_fd, dst_dir_fd, follow_symlinks))


def rename(src, dst, *, src_dir_fd=None, dst_dir_fd=None, bint noreplace=False, bint exchange=False):
    """Give the file `src` the name `dst`, at one stroke: who looks sees the old or the new.

    A file that has the name `dst` is replaced. noreplace: FileExistsError instead. exchange: the
    two exchange their names; both must exist. See renameat2(2).

    >>> rename(folder / "hello", folder / "goodbye", noreplace=True)
    """
    return wait(start_rename(src, dst, src_dir_fd, dst_dir_fd, noreplace, exchange))


def replace(src, dst, *, src_dir_fd=None, dst_dir_fd=None):
    """What rename does, by the name that says so.

    >>> replace(folder / "hello", folder / "goodbye")
    """
    return wait(start_replace(src, dst, src_dir_fd, dst_dir_fd))


def getxattr(path, attribute, *, bint follow_symlinks=True):
    """The value of an extended attribute of a path or an open file, however long. See getxattr(2).

    OSError (ENODATA) when there is no such attribute, (EOPNOTSUPP) where there are none.
    follow_symlinks: of the file that a symbolic link points to, not of the link.

    >>> setxattr(folder / "hello", attribute, b"blue")
    >>> getxattr(folder / "hello", attribute)
    b'blue'
    """
    return wait(start_getxattr(path, attribute, follow_symlinks))


def setxattr(path, attribute, value, flags=0, *, bint follow_symlinks=True):
    """Set an extended attribute of a path or an open file, as os.setxattr does. See setxattr(2).

    flags: os.XATTR_CREATE, FileExistsError when there is one already; os.XATTR_REPLACE, OSError
    (ENODATA) when there is none.

    >>> setxattr(folder / "hello", attribute, b"blue", os.XATTR_CREATE)
    """
    return wait(start_setxattr(path, attribute, value, unsigned_of(flags), follow_symlinks))


def socket(family=_socket.AF_INET, type=_socket.SOCK_STREAM, proto=0):
    """A new socket object; never inherited by children. See socket(2).

    >>> socket().close()
    """
    return wait(start_socket(int_of(family), unsigned_of(type), int_of(proto)))


def bind(sock, address):
    """Bind a socket to an address as in `socket` (numeric hosts; a path). See bind(2).

    >>> bind(tcp, ("127.0.0.1", 0))
    """
    return wait(start_bind(sock, address))


def listen(sock, backlog=128):
    """Let a bound socket take connections; `backlog` of them wait. See listen(2).

    >>> listen(bound)
    """
    return wait(start_listen(sock, int_of(backlog)))


def accept(sock, *, flags=0):
    """The next connection, as (socket, address). See accept4(2).

    >>> peer, address = accept(knocked)
    >>> peer.close()
    """
    return wait(start_accept(sock, unsigned_of(flags)))


def connect(sock, address):
    """Connect a socket to an address (numeric hosts; a path). OSError with the address.

    See connect(2).

    >>> connect(tcp, listening.getsockname())
    """
    return wait(start_connect(sock, address))


def recv(sock, n, *, flags=0):
    """Receive up to `n` bytes; b"" when the peer has ended its side. See recv(2).

    >>> recv(letter, 100)
    b'a letter'
    """
    return wait(start_recv(sock, n, unsigned_of(flags)))


def recv_into(sock, buffer, *, flags=0):
    """Receive into `buffer`; the number of bytes, 0 when the peer has ended its side.

    >>> recv_into(letter, bytearray(100))
    8
    """
    return wait(start_recv_into(sock, buffer, unsigned_of(flags)))


def send(sock, data, *, flags=0, bint zero_copy=False):
    """Send `data`; the number of bytes sent, which may be less. See send(2).

    zero_copy: the kernel sends from `data` itself, which stays exported, and the op is done, and
    a cancel answered, only when it needs that memory no more: over a network, when the peer has
    confirmed it. What refuses is sent with a copy, with the same result. `copied` of the op tells
    whether the kernel copied after all, as it does on the loopback; `stats()` counts both.

    >>> send(left, b"hello")
    5
    """
    return wait(start_send(sock, data, unsigned_of(flags), zero_copy))


def sendall(sock, data, *, flags=0, bint zero_copy=False):
    """Send all of `data`, however many sends that takes.

    When it raises, a part of it may have been sent. zero_copy: as in `send`.

    >>> sendall(left, b"hello")
    """
    return wait(start_sendall(sock, data, unsigned_of(flags), zero_copy))


def shutdown(sock, how):
    """End one or both directions: socket.SHUT_RD, SHUT_WR, SHUT_RDWR. See shutdown(2).

    >>> shutdown(left, _socket.SHUT_WR)
    """
    return wait(start_shutdown(sock, int_of(how)))


def getsockopt(sock, level, optname, buflen=None):
    """A socket option, as an int, or with `buflen` as at most so many bytes. See getsockopt(2).

    >>> getsockopt(tcp, _socket.SOL_SOCKET, _socket.SO_TYPE) == _socket.SOCK_STREAM
    True
    """
    return wait(start_getsockopt(sock, int_of(level), int_of(optname), buflen))


def setsockopt(sock, level, optname, value, optlen=None):
    """Set a socket option, as socket.setsockopt does: an int or a buffer. See setsockopt(2).

    optlen: where the option has no value (None) but a length; see there.

    >>> setsockopt(tcp, _socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    """
    return wait(start_setsockopt(sock, int_of(level), int_of(optname), value, optlen))


def sendto(sock, data, address, *, flags=0):
    """Send `data` as one datagram to `address` (a numeric host); the number of bytes sent.

    OSError, with the address, when it is refused: EMSGSIZE for what is too long for one datagram.
    See sendto(2).

    >>> sendto(mail, b"hello", mailbox.getsockname())
    5
    """
    return wait(start_sendto(sock, data, address, unsigned_of(flags)))


def sendmsg(sock, buffers, ancdata=(), *, flags=0, address=None, bint zero_copy=False):
    """Send buffers and ancillary data, as socket.sendmsg does; the number of bytes sent.

    ancdata: (level, type, data) each. See sendmsg(2). zero_copy: as in `send`.

    >>> sendmsg(left, [b"hel", b"lo"])
    5
    """
    return wait(start_sendmsg(sock, buffers, ancdata, unsigned_of(flags), address, zero_copy))


def send_fds(sock, buffers, fds, *, flags=0, address=None):
    """Send descriptors over a Unix socket, with some data; the number of bytes sent.

    The receiver gets its own descriptors of the same open files; ours stay open. A stream carries
    them with the first byte of the data, so there has to be one. See unix(7), SCM_RIGHTS.

    >>> send_fds(left, [b"a file"], [hello])
    6
    """
    return wait(start_send_fds(sock, buffers, fds, unsigned_of(flags), address))


def recvmsg(sock, n, ancbufsize=0, *, flags=0):
    """Receive a message: (data, ancdata, msg_flags, address), as socket.recvmsg does.

    n, ancbufsize: bytes of room for data and ancillary data. What found none is lost: msg_flags
    then has MSG_TRUNC or MSG_CTRUNC. Descriptors are never inherited by children. See recvmsg(2).

    >>> recvmsg(letter, 100)[0]
    b'a letter'
    """
    return wait(start_recvmsg(sock, n, ancbufsize, unsigned_of(flags)))


def recvmsg_into(sock, buffers, ancbufsize=0, *, flags=0):
    """Receive a message into buffers, in order: (count, ancdata, msg_flags, address).

    >>> recvmsg_into(letter, [bytearray(2), bytearray(100)])[0]
    8
    """
    return wait(start_recvmsg_into(sock, buffers, ancbufsize, unsigned_of(flags)))


def recvfrom(sock, n, *, flags=0):
    """Receive a datagram of up to `n` bytes and who sent it: (data, address).

    A longer one is cut: recvmsg tells of that. The address is None when the sender has none.
    See recvfrom(2).

    >>> recvfrom(letter, 100)
    (b'a letter', None)
    """
    return wait(start_recvfrom(sock, n, unsigned_of(flags)))


def recvfrom_into(sock, buffer, *, flags=0):
    """Receive a datagram into `buffer`: (the number of bytes, address).

    >>> recvfrom_into(letter, bytearray(100))
    (8, None)
    """
    return wait(start_recvfrom_into(sock, buffer, unsigned_of(flags)))


def recv_fds(sock, n, maxfds, *, flags=0):
    """Receive up to `n` bytes and `maxfds` descriptors: (data, fds, msg_flags, address).

    The descriptors are the caller's to close, and never inherited by children. Those that found
    no room, here or in the process, are closed: msg_flags then has MSG_CTRUNC.

    >>> data, fds, flags, address = recv_fds(passing, 100, 1)
    >>> close(fds[0])
    """
    return wait(start_recv_fds(sock, n, maxfds, unsigned_of(flags)))


def waitid(idtype, id, options):
    """Wait for a child to change state, as os.waitid does. See waitid(2).

    None when os.WNOHANG is given and no child is in that state. idtype os.P_PIDFD waits for the
    child of a descriptor of os.pidfd_open, which no other process can take the number of.

    >>> waitid(os.P_PID, child(), os.WEXITED).si_status
    7
    """
    return wait(start_waitid(unsigned_of(idtype), int_of(id), unsigned_of(options)))


def epoll_wait(epoll, maxevents=64):
    """Wait until descriptors of a select.epoll are ready: (descriptor, events) each.

    At most `maxevents` of them, at least one; for no longer than you like: ringmill.timeout. See
    epoll_wait(2).

    >>> epoll_wait(watching) == [(pipe_in, select.EPOLLOUT)]
    True
    """
    return wait(start_epoll_wait(epoll, maxevents))


def futex_wait(word, value, *, mask=4294967295):
    """Wait while the 32-bit `word` holds `value`, until somebody wakes it; see futex(2).

    True when it was woken; False, at once, when the word holds another value. Wake-ups may be
    for another reason, so look again at what you wait for. word: a writable buffer whose address
    is a multiple of 4, private or shared with other processes. mask: only a wake with one of
    these bits is for us.

    >>> futex_wait(word, 1)
    False
    """
    return wait(start_futex_wait(word, unsigned_of(value), unsigned_of(mask)))


def futex_wake(word, n, *, mask=4294967295):
    """Wake up to `n` of those who wait for `word`, in any process; how many it were.

    >>> futex_wake(word, 1)
    0
    """
    return wait(start_futex_wake(word, unsigned_of(n), unsigned_of(mask)))


def accept_each(sock):
    """The connections that come, one after the other, as socket objects.

    OSError (EMFILE, ENFILE) when the process has no descriptors left: iterate on once it has.

    >>> next(iter(accept_each(knocked))).close()
    """
    return each_call(start_accept_each(sock))


def recv_each(sock):
    """The data that comes, piece by piece (1 to 65,536 bytes), until the peer ends its side.

    From a datagram socket: one datagram after the other, without end; a longer one is cut. Use
    recvmsg_each to learn of that, and who sent it.

    >>> next(iter(recv_each(letter)))
    b'a letter'
    """
    return each_call(start_recv_each(sock))


def recvmsg_each(sock, ancbufsize=0):
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
    return each_call(start_recvmsg_each(sock, ancbufsize))


def read_each(fd):
    """The data that a pipe, terminal or file brings, piece by piece, until its end.

    >>> list(read_each(hello))
    [b'Hello, ring!\\r\\n']
    """
    return each_call(start_read_each(fd))


def poll_each(fd, mask):
    """Each time that events of `mask` come anew (edges, not levels): those that hold.

    >>> next(iter(poll_each(pipe_in, select.POLLOUT))) == select.POLLOUT
    True
    """
    return each_call(start_poll_each(fd, unsigned_of(mask)))
