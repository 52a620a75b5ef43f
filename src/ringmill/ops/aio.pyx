"""The awaitable ops: each function fills an SQE and returns its Op at once.

Generated from ops/table/ by ops/generate.py; edit there.
"""
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint16_t, uint64_t

from ringmill.core.address cimport address_pack
from ringmill.core.arena cimport fix, fix_many
from ringmill.core.aux cimport sockaddr_storage
from ringmill.core.each cimport Each, each_new, shots_new
from ringmill.core.elsewhere cimport elsewhere_begin, elsewhere_new
from ringmill.core.hold cimport *
from ringmill.core.op cimport *
from ringmill.core.rest cimport rest_begin, rest_new
from ringmill.core.sends cimport op_push_send
from ringmill.core.ring cimport (
    RM_ACCEPT_MULTISHOT, RM_POLL_MULTISHOT, RM_READ_MULTISHOT, RM_RECV_MULTISHOT, io_uring_sqe,
)
from ringmill.core.shots cimport Shots, shots_of_file, shots_of_messages, shots_of_socket
from ringmill.core.views cimport Views
from ringmill.core.zero cimport ZeroCopy, zero_begin, zero_new
from ringmill.ops.constants cimport *
from ringmill.ops.convert cimport *
from ringmill.ops.messages cimport *
from ringmill.ops.writes cimport close_late

import socket as _socket

cdef extern from "ring.h":
    enum:
        IORING_OP_ACCEPT
        IORING_OP_BIND
        IORING_OP_CLOSE
        IORING_OP_CONNECT
        IORING_OP_EPOLL_WAIT
        IORING_OP_FADVISE
        IORING_OP_FALLOCATE
        IORING_OP_FGETXATTR
        IORING_OP_FSETXATTR
        IORING_OP_FSYNC
        IORING_OP_FTRUNCATE
        IORING_OP_FUTEX_WAIT
        IORING_OP_FUTEX_WAKE
        IORING_OP_GETXATTR
        IORING_OP_LINKAT
        IORING_OP_LISTEN
        IORING_OP_MADVISE
        IORING_OP_MKDIRAT
        IORING_OP_NOP
        IORING_OP_OPENAT
        IORING_OP_OPENAT2
        IORING_OP_PIPE
        IORING_OP_POLL_ADD
        IORING_OP_READ
        IORING_OP_READV
        IORING_OP_READ_MULTISHOT
        IORING_OP_RECV
        IORING_OP_RECVMSG
        IORING_OP_RENAMEAT
        IORING_OP_SEND
        IORING_OP_SENDMSG
        IORING_OP_SENDMSG_ZC
        IORING_OP_SEND_ZC
        IORING_OP_SETXATTR
        IORING_OP_SHUTDOWN
        IORING_OP_SOCKET
        IORING_OP_SPLICE
        IORING_OP_STATX
        IORING_OP_SYMLINKAT
        IORING_OP_SYNC_FILE_RANGE
        IORING_OP_TEE
        IORING_OP_UNLINKAT
        IORING_OP_URING_CMD
        IORING_OP_WAITID
        IORING_OP_WRITE
        IORING_OP_WRITEV

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


cdef Op start_nop():
    cdef Op op = op_new(R_NOTHING)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_NOP, -1)
    return op


def nop():
    """Go through the kernel and back, doing nothing: what one op costs.

    >>> nop()
    """
    return start_nop()


cdef Op start_open(object path, unsigned flags, unsigned mode, object dir_fd, unsigned resolve):
    cdef Op op = op_new(R_FD)
    cdef bytes path_bytes = path_of(path)
    op.keep = path_bytes
    op.error = path
    cdef int dir_fd_number = dir_fd_of(dir_fd)
    op.target = dir_fd
    if resolve:
        hold_aux(op)
    cdef unsigned opcode = IORING_OP_OPENAT
    if resolve:
        opcode = IORING_OP_OPENAT2
    cdef io_uring_sqe *sqe = op_push(op, opcode, dir_fd_number)
    sqe.addr = <uint64_t><size_t><char *>path_bytes
    sqe.open_flags = flags | O_CLOEXEC
    sqe.len = mode
    if resolve:
        open_how(op, sqe, resolve)
    return op


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
    return start_open(path, unsigned_of(flags), unsigned_of(mode), dir_fd, unsigned_of(resolve))


cdef Op start_close(object fd):
    cdef Op late = close_late(fd)
    if late is not None:
        return late
    cdef Op op = op_new_shielded(R_NOTHING)
    cdef int fd_number = fd_to_close(fd)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_CLOSE, fd_number)
    let_go(fd)
    return op


def close(fd):
    """Close a file descriptor, or a socket object (which then is detached). See close(2).

    Not cancellable: a descriptor whose close was given up would leak. An op that is in flight on
    it goes on, on Linux, and keeps the connection or listener open: cancel it, or shutdown first.
    What start_write has begun on it is written before, and a failure nobody was told of is raised.

    >>> close(os.dup(hello))
    """
    return start_close(fd)


cdef Op start_read(object fd, object n, object offset):
    cdef Op op = op_new(R_DATA)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    cdef unsigned n_size = fresh_bytes(op, n)
    cdef uint64_t offset_at = offset_of(offset)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_READ, fd_number)
    sqe.addr = <uint64_t><size_t>PyBytes_AS_STRING(op.value)
    sqe.len = n_size
    sqe.off = offset_at
    return op


def read(fd, n, *, offset=None):
    """Read up to `n` bytes; b"" at the end of the file. See read(2), pread(2).

    offset: bytes from the beginning, which leaves the file's own position alone; None reads at
    that position and moves it.

    >>> read(hello, 5)
    b'Hello'
    """
    return start_read(fd, n, offset)


cdef Op start_readinto(object fd, object buffer, object offset):
    cdef Op op = op_new(R_COUNT)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    hold_view(op, buffer, True)
    cdef uint64_t offset_at = offset_of(offset)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_READ, fd_number)
    sqe.addr = <uint64_t><size_t>op.view.buf
    sqe.len = io_size(op.view.len)
    sqe.off = offset_at
    fix(op, sqe)
    return op


def readinto(fd, buffer, *, offset=None):
    """Read up to len(buffer) bytes into `buffer`; the number read, 0 at the end of the file.

    The buffer is exported until the op is done: a bytearray cannot be resized meanwhile.

    >>> readinto(hello, bytearray(5), offset=0)
    5
    """
    return start_readinto(fd, buffer, offset)


cdef Op start_readv(object fd, object buffers, object offset):
    cdef Op op = op_new(R_COUNT)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    cdef Views buffers_views = hold_views(op, buffers, True)
    cdef uint64_t offset_at = offset_of(offset)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_READV, fd_number)
    sqe.addr = <uint64_t><size_t>buffers_views.iov
    sqe.len = buffers_views.count
    sqe.off = offset_at
    fix_many(op, sqe)
    return op


def readv(fd, buffers, *, offset=None):
    """Read into several writable buffers, in order; the number of bytes read. See readv(2).

    >>> readv(hello, [bytearray(2), bytearray(3)], offset=0)
    5
    """
    return start_readv(fd, buffers, offset)


cdef Op start_write(object fd, object data, object offset):
    cdef Op op = op_new(R_COUNT)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    hold_view(op, data, False)
    cdef uint64_t offset_at = offset_of(offset)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_WRITE, fd_number)
    sqe.addr = <uint64_t><size_t>op.view.buf
    sqe.len = io_size(op.view.len)
    sqe.off = offset_at
    fix(op, sqe)
    return op


def write(fd, data, *, offset=None):
    """Write `data`; the number of bytes written, which may be less. See write(2), pwrite(2).

    >>> write(scratch, b"some bytes")
    10
    """
    return start_write(fd, data, offset)


cdef Op start_write_all(object fd, object data, object offset):
    cdef Op op = op_new(R_NOTHING)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    hold_view(op, data, False)
    cdef uint64_t offset_at = offset_of(offset)
    op.handler = rest_new()
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_WRITE, fd_number)
    sqe.addr = <uint64_t><size_t>op.view.buf
    sqe.len = io_size(op.view.len)
    sqe.off = offset_at
    fix(op, sqe)
    rest_begin(op, sqe)
    return op


def write_all(fd, data, *, offset=None):
    """Write all of `data`, however many writes that takes, at the position or from `offset` on.

    When it raises, a part of it may have been written.

    >>> write_all(scratch, b"some bytes")
    """
    return start_write_all(fd, data, offset)


cdef Op start_writev(object fd, object buffers, object offset):
    cdef Op op = op_new(R_COUNT)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    cdef Views buffers_views = hold_views(op, buffers, False)
    cdef uint64_t offset_at = offset_of(offset)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_WRITEV, fd_number)
    sqe.addr = <uint64_t><size_t>buffers_views.iov
    sqe.len = buffers_views.count
    sqe.off = offset_at
    fix_many(op, sqe)
    return op


def writev(fd, buffers, *, offset=None):
    """Write several buffers, in order; the number of bytes written. See writev(2).

    >>> writev(scratch, [b"some ", b"bytes"])
    10
    """
    return start_writev(fd, buffers, offset)


cdef Op start_fsync(object fd, bint datasync):
    cdef Op op = op_new(R_NOTHING)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_FSYNC, fd_number)
    if datasync:
        sqe.fsync_flags |= IORING_FSYNC_DATASYNC
    return op


def fsync(fd, *, bint datasync=False):
    """Return once everything written to `fd` is on stable storage. See fsync(2).

    datasync: leave out metadata that is not needed to read the data back.

    >>> fsync(scratch)
    """
    return start_fsync(fd, datasync)


cdef Op start_ftruncate(object fd, object length):
    cdef Op op = op_new(R_NOTHING)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    cdef uint64_t length_bytes = position_of(length)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_FTRUNCATE, fd_number)
    sqe.off = length_bytes
    return op


def ftruncate(fd, length):
    """Cut the file to `length` bytes, or extend it with zeros. See ftruncate(2).

    >>> ftruncate(scratch, 100)
    """
    return start_ftruncate(fd, length)


cdef Op start_fallocate(object fd, object offset, object length, bint keep_size, bint punch_hole, bint zero_range, bint collapse_range, bint insert_range):
    cdef Op op = op_new(R_NOTHING)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    cdef uint64_t offset_bytes = position_of(offset)
    cdef uint64_t length_bytes = position_of(length)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_FALLOCATE, fd_number)
    sqe.off = offset_bytes
    sqe.addr = length_bytes
    if keep_size:
        sqe.len |= FALLOC_FL_KEEP_SIZE
    if punch_hole:
        sqe.len |= FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    if zero_range:
        sqe.len |= FALLOC_FL_ZERO_RANGE
    if collapse_range:
        sqe.len |= FALLOC_FL_COLLAPSE_RANGE
    if insert_range:
        sqe.len |= FALLOC_FL_INSERT_RANGE
    return op


def fallocate(fd, offset, length, *, bint keep_size=False, bint punch_hole=False, bint zero_range=False, bint collapse_range=False, bint insert_range=False):
    """Give a file room on disk for the bytes from `offset` on, as os.posix_fallocate does.

    keep_size: not even when it is beyond the end does the file's size change. punch_hole,
    zero_range: instead, make the range zeros, giving its blocks back or not. collapse_range,
    insert_range: take the range out, or put a hole there; what follows moves. OSError
    (EOPNOTSUPP) where the file system cannot. See fallocate(2).

    >>> fallocate(scratch, 0, 4096)
    """
    return start_fallocate(fd, offset, length, keep_size, punch_hole, zero_range, collapse_range, insert_range)


cdef Op start_sync_file_range(object fd, object offset, object length, bint wait_before, bint write, bint wait_after):
    cdef Op op = op_new(R_NOTHING)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    cdef uint64_t offset_bytes = position_of(offset)
    cdef uint64_t length_bytes = 0 if length is None else position_of(length)
    if length_bytes > 0xFFFFFFFF:
        op.handler = elsewhere_new()
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_SYNC_FILE_RANGE, fd_number)
    sqe.off = offset_bytes
    if length_bytes > 0xFFFFFFFF:
        sqe.addr = length_bytes
    else:
        sqe.len = <unsigned>length_bytes
    if wait_before:
        sqe.sync_range_flags |= SYNC_FILE_RANGE_WAIT_BEFORE
    if write:
        sqe.sync_range_flags |= SYNC_FILE_RANGE_WRITE
    if wait_after:
        sqe.sync_range_flags |= SYNC_FILE_RANGE_WAIT_AFTER
    if op.handler is not None:
        elsewhere_begin(op, sqe)
    return op


def sync_file_range(fd, offset=0, length=None, *, bint wait_before=False, bint write=True, bint wait_after=False):
    """Have a part of the file written to disk: begin to; and wait, where that is asked for.

    length: None (or 0, as in C) is to the end. wait_before, wait_after: for what was being
    written already, and for all of it. Only data, no metadata: after a crash the file may be as
    short as before. See sync_file_range(2), and fsync.

    >>> sync_file_range(scratch, 0, 100, wait_after=True)
    """
    return start_sync_file_range(fd, offset, length, wait_before, write, wait_after)


cdef Op start_fadvise(object fd, object offset, object length, unsigned advice):
    cdef Op op = op_new(R_NOTHING)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    cdef uint64_t offset_bytes = position_of(offset)
    cdef uint64_t length_bytes = 0 if length is None else position_of(length)
    if length_bytes > 0xFFFFFFFF:
        op.handler = elsewhere_new()
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_FADVISE, fd_number)
    sqe.off = offset_bytes
    if length_bytes > 0xFFFFFFFF:
        sqe.addr = length_bytes
    else:
        sqe.len = <unsigned>length_bytes
    sqe.fadvise_advice = advice
    if op.handler is not None:
        elsewhere_begin(op, sqe)
    return op


def fadvise(fd, offset, length, advice):
    """Tell how a part of a file will be used, as os.posix_fadvise does. See posix_fadvise(2).

    length: None (or 0, as in os) is to the end. advice: os.POSIX_FADV_WILLNEED and so on.

    >>> fadvise(hello, 0, None, os.POSIX_FADV_DONTNEED)
    """
    return start_fadvise(fd, offset, length, unsigned_of(advice))


cdef Op start_madvise(object memory, unsigned advice):
    cdef Op op = op_new(R_NOTHING)
    hold_view(op, memory, False)
    if op.view.len > 0xFFFFFFFF:
        op.handler = elsewhere_new()
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_MADVISE, -1)
    sqe.addr = <uint64_t><size_t>op.view.buf
    if op.view.len > 0xFFFFFFFF:
        sqe.off = op.view.len
    else:
        sqe.len = <unsigned>op.view.len
    sqe.fadvise_advice = advice
    if op.handler is not None:
        elsewhere_begin(op, sqe)
    return op


def madvise(memory, advice):
    """Tell how memory will be used, as mmap.madvise does. See madvise(2).

    memory: an mmap, or a buffer that begins at a page; the kernel takes whole pages. advice:
    mmap.MADV_WILLNEED and so on; some of it, as mmap.MADV_DONTNEED, clears the memory.

    >>> madvise(mapped, mmap.MADV_DONTNEED)
    """
    return start_madvise(memory, unsigned_of(advice))


cdef Op start_stat(object path, object dir_fd, bint follow_symlinks):
    cdef bint by_fd = isinstance(path, int)
    dir_fd = path if by_fd else dir_fd
    cdef Op op = op_new(R_STAT)
    cdef bytes path_bytes = b'' if by_fd else path_of(path)
    op.keep = path_bytes
    op.error = path
    cdef int dir_fd_number = dir_fd_of(dir_fd)
    op.target = dir_fd
    hold_aux(op)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_STATX, dir_fd_number)
    sqe.addr = <uint64_t><size_t><char *>path_bytes
    if not follow_symlinks:
        sqe.statx_flags |= AT_SYMLINK_NOFOLLOW
    sqe.addr2 = <uint64_t><size_t>&op.aux.stx
    sqe.len = STATX_BASIC_STATS
    if by_fd:
        sqe.statx_flags |= AT_EMPTY_PATH
    return op


def stat(path, *, dir_fd=None, bint follow_symlinks=True):
    """What os.stat gives, nanoseconds included, for a path or an open file. See statx(2).

    >>> stat(folder / "hello").st_size
    14
    """
    return start_stat(path, dir_fd, follow_symlinks)


cdef Op start_splice(object source, object target, unsigned n, object offset_source, object offset_target, unsigned flags):
    cdef Op op = op_new(R_COUNT)
    cdef int source_number = fd_of(source)
    op.keep = source
    cdef int target_number = fd_of(target)
    op.target = target
    cdef uint64_t offset_source_at = offset_of(offset_source)
    cdef uint64_t offset_target_at = offset_of(offset_target)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_SPLICE, target_number)
    sqe.splice_fd_in = source_number
    sqe.len = n
    sqe.splice_off_in = offset_source_at
    sqe.off = offset_target_at
    sqe.splice_flags = flags
    return op


def splice(source, target, n, *, offset_source=None, offset_target=None, flags=0):
    """Move up to `n` bytes between two files, one of them a pipe, without copying to us.

    The number of bytes moved, 0 at the end. Offsets as in `read`. See splice(2).

    >>> splice(hello, pipe_in, 5, offset_source=0)
    5
    """
    return start_splice(source, target, unsigned_of(n), offset_source, offset_target, unsigned_of(flags))


cdef Op start_tee(object source, object target, unsigned n, unsigned flags):
    cdef Op op = op_new(R_COUNT)
    cdef int source_number = fd_of(source)
    op.keep = source
    cdef int target_number = fd_of(target)
    op.target = target
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_TEE, target_number)
    sqe.splice_fd_in = source_number
    sqe.len = n
    sqe.splice_flags = flags
    return op


def tee(source, target, n, *, flags=0):
    """Duplicate up to `n` bytes of one pipe into another; the source keeps them. See tee(2).

    >>> write(pipe_in, b"twice")
    5
    >>> tee(pipe_out, pipe2_in, 5)
    5
    """
    return start_tee(source, target, unsigned_of(n), unsigned_of(flags))


cdef Op start_pipe(unsigned flags):
    cdef Op op = op_new(R_PIPE)
    hold_aux(op)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_PIPE, -1)
    sqe.rw_flags = flags | O_CLOEXEC
    sqe.addr = <uint64_t><size_t>op.aux.pipe
    sqe.fd = 0
    return op


def pipe(*, flags=0):
    """A new pipe, as (the end to read from, the end to write to); never inherited by children.

    flags: os.O_DIRECT, os.O_NONBLOCK. See pipe2(2).

    >>> reader, writer = pipe()
    >>> close(reader)
    >>> close(writer)
    """
    return start_pipe(unsigned_of(flags))


cdef Op start_poll(object fd, unsigned mask):
    cdef Op op = op_new(R_EVENTS)
    cdef int fd_number = fd_of(fd)
    op.target = fd
    op.keep = mask
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_POLL_ADD, fd_number)
    sqe.poll32_events = mask
    return op


def poll(fd, mask):
    """Wait until one of the events in `mask` (select.POLLIN …) holds; those that do. See poll(2).

    io_uring also ends the wait when the peer has shut down its side: POLLRDHUP, unasked.

    >>> poll(pipe_in, select.POLLOUT) == select.POLLOUT
    True
    """
    return start_poll(fd, unsigned_of(mask))


cdef Op start_mkdir(object path, unsigned mode, object dir_fd):
    cdef Op op = op_new(R_NOTHING)
    cdef bytes path_bytes = path_of(path)
    op.keep = path_bytes
    op.error = path
    cdef int dir_fd_number = dir_fd_of(dir_fd)
    op.target = dir_fd
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_MKDIRAT, dir_fd_number)
    sqe.addr = <uint64_t><size_t><char *>path_bytes
    sqe.len = mode
    return op


def mkdir(path, mode=511, *, dir_fd=None):
    """Make a folder; FileExistsError when there is something of that name. See mkdirat(2).

    mode: permission bits, less the umask. For the folders above it, too: makedirs.

    >>> mkdir(folder / "new")
    >>> rmdir(folder / "new")
    """
    return start_mkdir(path, unsigned_of(mode), dir_fd)


cdef Op start_unlink(object path, object dir_fd, bint missing_ok):
    cdef Op op = op_new(R_NOTHING)
    cdef bytes path_bytes = path_of(path)
    op.keep = path_bytes
    op.error = path
    cdef int dir_fd_number = dir_fd_of(dir_fd)
    op.target = dir_fd
    if missing_ok:
        op.kind = R_GONE
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_UNLINKAT, dir_fd_number)
    sqe.addr = <uint64_t><size_t><char *>path_bytes
    return op


def unlink(path, *, dir_fd=None, bint missing_ok=False):
    """Remove a name; the file goes with its last one. See unlinkat(2).

    missing_ok: no FileNotFoundError when there is no such name.

    >>> unlink(folder / "hello")
    """
    return start_unlink(path, dir_fd, missing_ok)


cdef Op start_rmdir(object path, object dir_fd):
    cdef Op op = op_new(R_NOTHING)
    cdef bytes path_bytes = path_of(path)
    op.keep = path_bytes
    op.error = path
    cdef int dir_fd_number = dir_fd_of(dir_fd)
    op.target = dir_fd
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_UNLINKAT, dir_fd_number)
    sqe.addr = <uint64_t><size_t><char *>path_bytes
    sqe.unlink_flags = AT_REMOVEDIR
    return op


def rmdir(path, *, dir_fd=None):
    """Remove an empty folder. See unlinkat(2).

    >>> mkdir(folder / "new")
    >>> rmdir(folder / "new")
    """
    return start_rmdir(path, dir_fd)


cdef Op start_symlink(object src, object dst, object dir_fd):
    cdef Op op = op_new(R_NOTHING)
    cdef bytes src_bytes = path_of(src)
    hold_also(op, src_bytes)
    name_also(op, src)
    cdef bytes dst_bytes = path_of(dst)
    hold_also(op, dst_bytes)
    name_also(op, dst)
    cdef int dir_fd_number = dir_fd_of(dir_fd)
    op.target = dir_fd
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_SYMLINKAT, dir_fd_number)
    sqe.addr = <uint64_t><size_t><char *>src_bytes
    sqe.addr2 = <uint64_t><size_t><char *>dst_bytes
    return op


def symlink(src, dst, *, dir_fd=None):
    """Make `dst` a symbolic link to `src`, which need not exist. See symlinkat(2).

    dir_fd: where a relative `dst` is made; `src` is stored as it is.

    >>> symlink("hello", folder / "soft link")
    """
    return start_symlink(src, dst, dir_fd)


cdef Op start_link(object src, object dst, object src_dir_fd, object dst_dir_fd, bint follow_symlinks):
    follow_symlinks = follow_symlinks or isinstance(src, int)
    cdef Op op = op_new(R_NOTHING)
    cdef bytes src_bytes = link_source(src, src_dir_fd)
    hold_also(op, src_bytes)
    name_also(op, src)
    cdef bytes dst_bytes = path_of(dst)
    hold_also(op, dst_bytes)
    name_also(op, dst)
    cdef int src_dir_fd_number = dir_fd_of(src_dir_fd)
    op.target = src_dir_fd
    cdef int dst_dir_fd_number = dir_fd_of(dst_dir_fd)
    hold_also(op, dst_dir_fd)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_LINKAT, src_dir_fd_number)
    sqe.addr = <uint64_t><size_t><char *>src_bytes
    sqe.addr2 = <uint64_t><size_t><char *>dst_bytes
    sqe.len = <unsigned>dst_dir_fd_number
    if follow_symlinks:
        sqe.hardlink_flags |= AT_SYMLINK_FOLLOW
    return op


def link(src, dst, *, src_dir_fd=None, dst_dir_fd=None, bint follow_symlinks=True):
    """Make `dst` one more name of the file `src`. See linkat(2).

    src: a path, or the descriptor of an open file: one that was opened with os.O_TMPFILE gets
    its first name, all at once (by way of /proc). follow_symlinks: when `src` is a symbolic link,
    the file it points to, not the link.

    >>> link(folder / "hello", folder / "hard link")
    """
    return start_link(src, dst, src_dir_fd, dst_dir_fd, follow_symlinks)


cdef Op start_rename(object src, object dst, object src_dir_fd, object dst_dir_fd, bint noreplace, bint exchange):
    cdef Op op = op_new(R_NOTHING)
    cdef bytes src_bytes = path_of(src)
    hold_also(op, src_bytes)
    name_also(op, src)
    cdef bytes dst_bytes = path_of(dst)
    hold_also(op, dst_bytes)
    name_also(op, dst)
    cdef int src_dir_fd_number = dir_fd_of(src_dir_fd)
    op.target = src_dir_fd
    cdef int dst_dir_fd_number = dir_fd_of(dst_dir_fd)
    hold_also(op, dst_dir_fd)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_RENAMEAT, src_dir_fd_number)
    sqe.addr = <uint64_t><size_t><char *>src_bytes
    sqe.addr2 = <uint64_t><size_t><char *>dst_bytes
    sqe.len = <unsigned>dst_dir_fd_number
    if noreplace:
        sqe.rename_flags |= RENAME_NOREPLACE
    if exchange:
        sqe.rename_flags |= RENAME_EXCHANGE
    return op


def rename(src, dst, *, src_dir_fd=None, dst_dir_fd=None, bint noreplace=False, bint exchange=False):
    """Give the file `src` the name `dst`, at one stroke: who looks sees the old or the new.

    A file that has the name `dst` is replaced. noreplace: FileExistsError instead. exchange: the
    two exchange their names; both must exist. See renameat2(2).

    >>> rename(folder / "hello", folder / "goodbye", noreplace=True)
    """
    return start_rename(src, dst, src_dir_fd, dst_dir_fd, noreplace, exchange)


cdef Op start_replace(object src, object dst, object src_dir_fd, object dst_dir_fd):
    cdef Op op = op_new(R_NOTHING)
    cdef bytes src_bytes = path_of(src)
    hold_also(op, src_bytes)
    name_also(op, src)
    cdef bytes dst_bytes = path_of(dst)
    hold_also(op, dst_bytes)
    name_also(op, dst)
    cdef int src_dir_fd_number = dir_fd_of(src_dir_fd)
    op.target = src_dir_fd
    cdef int dst_dir_fd_number = dir_fd_of(dst_dir_fd)
    hold_also(op, dst_dir_fd)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_RENAMEAT, src_dir_fd_number)
    sqe.addr = <uint64_t><size_t><char *>src_bytes
    sqe.addr2 = <uint64_t><size_t><char *>dst_bytes
    sqe.len = <unsigned>dst_dir_fd_number
    return op


def replace(src, dst, *, src_dir_fd=None, dst_dir_fd=None):
    """What rename does, by the name that says so.

    >>> replace(folder / "hello", folder / "goodbye")
    """
    return start_replace(src, dst, src_dir_fd, dst_dir_fd)


cdef Op start_getxattr(object path, object attribute, bint follow_symlinks):
    cdef bint by_fd = isinstance(path, int)
    follow_symlinks = follow_symlinks or by_fd
    cdef Op op = op_new(R_DATA)
    cdef int path_fd = fd_of(path) if by_fd else -1
    cdef bytes path_bytes = None if by_fd else path_of(path)
    hold_also(op, path_bytes)
    op.error = path
    cdef bytes attribute_bytes = path_of(attribute)
    hold_also(op, attribute_bytes)
    fresh_bytes(op, XATTR_SIZE_MAX)
    if not follow_symlinks:
        op.handler = elsewhere_new()
    cdef unsigned opcode = IORING_OP_GETXATTR
    if by_fd:
        opcode = IORING_OP_FGETXATTR
    cdef io_uring_sqe *sqe = op_push(op, opcode, path_fd)
    if not by_fd:
        sqe.addr3 = <uint64_t><size_t><char *>path_bytes
    sqe.addr = <uint64_t><size_t><char *>attribute_bytes
    if not follow_symlinks:
        sqe.xattr_flags |= AT_SYMLINK_NOFOLLOW
    sqe.addr2 = <uint64_t><size_t>PyBytes_AS_STRING(op.value)
    sqe.len = XATTR_SIZE_MAX
    if op.handler is not None:
        elsewhere_begin(op, sqe)
    return op


def getxattr(path, attribute, *, bint follow_symlinks=True):
    """The value of an extended attribute of a path or an open file, however long. See getxattr(2).

    OSError (ENODATA) when there is no such attribute, (EOPNOTSUPP) where there are none.
    follow_symlinks: of the file that a symbolic link points to, not of the link.

    >>> setxattr(folder / "hello", attribute, b"blue")
    >>> getxattr(folder / "hello", attribute)
    b'blue'
    """
    return start_getxattr(path, attribute, follow_symlinks)


cdef Op start_setxattr(object path, object attribute, object value, unsigned flags, bint follow_symlinks):
    cdef bint by_fd = isinstance(path, int)
    follow_symlinks = follow_symlinks or by_fd
    cdef Op op = op_new(R_NOTHING)
    cdef int path_fd = fd_of(path) if by_fd else -1
    cdef bytes path_bytes = None if by_fd else path_of(path)
    hold_also(op, path_bytes)
    op.error = path
    cdef bytes attribute_bytes = path_of(attribute)
    hold_also(op, attribute_bytes)
    hold_view(op, value, False)
    if not follow_symlinks:
        op.handler = elsewhere_new()
    cdef unsigned opcode = IORING_OP_SETXATTR
    if by_fd:
        opcode = IORING_OP_FSETXATTR
    cdef io_uring_sqe *sqe = op_push(op, opcode, path_fd)
    if not by_fd:
        sqe.addr3 = <uint64_t><size_t><char *>path_bytes
    sqe.addr = <uint64_t><size_t><char *>attribute_bytes
    sqe.addr2 = <uint64_t><size_t>op.view.buf
    sqe.len = io_size(op.view.len)
    sqe.xattr_flags = flags
    if not follow_symlinks:
        sqe.xattr_flags |= AT_SYMLINK_NOFOLLOW
    if op.handler is not None:
        elsewhere_begin(op, sqe)
    return op


def setxattr(path, attribute, value, flags=0, *, bint follow_symlinks=True):
    """Set an extended attribute of a path or an open file, as os.setxattr does. See setxattr(2).

    flags: os.XATTR_CREATE, FileExistsError when there is one already; os.XATTR_REPLACE, OSError
    (ENODATA) when there is none.

    >>> setxattr(folder / "hello", attribute, b"blue", os.XATTR_CREATE)
    """
    return start_setxattr(path, attribute, value, unsigned_of(flags), follow_symlinks)


cdef Op start_socket(int family, unsigned type, int proto):
    cdef Op op = op_new(R_SOCKET)
    op.keep = (family, type, proto)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_SOCKET, family)
    sqe.off = type | SOCK_CLOEXEC
    sqe.len = proto
    return op


def socket(family=_socket.AF_INET, type=_socket.SOCK_STREAM, proto=0):
    """A new socket object; never inherited by children. See socket(2).

    >>> socket().close()
    """
    return start_socket(int_of(family), unsigned_of(type), int_of(proto))


cdef Op start_bind(object sock, object address):
    cdef Op op = op_new(R_NOTHING)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    hold_aux(op)
    op.aux.net.address_len = address_pack(address, &op.aux.net.address)
    op.error = address
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_BIND, sock_number)
    sqe.addr = <uint64_t><size_t>&op.aux.net.address
    sqe.addr2 = op.aux.net.address_len
    return op


def bind(sock, address):
    """Bind a socket to an address as in `socket` (numeric hosts; a path). See bind(2).

    >>> bind(tcp, ("127.0.0.1", 0))
    """
    return start_bind(sock, address)


cdef Op start_listen(object sock, int backlog):
    cdef Op op = op_new(R_NOTHING)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_LISTEN, sock_number)
    sqe.len = backlog
    return op


def listen(sock, backlog=128):
    """Let a bound socket take connections; `backlog` of them wait. See listen(2).

    >>> listen(bound)
    """
    return start_listen(sock, int_of(backlog))


cdef Op start_accept(object sock, unsigned flags):
    cdef Op op = op_new(R_ACCEPT)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    hold_aux(op)
    op.aux.net.address_len = sizeof(sockaddr_storage)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_ACCEPT, sock_number)
    sqe.accept_flags = flags | SOCK_CLOEXEC
    sqe.addr = <uint64_t><size_t>&op.aux.net.address
    sqe.addr2 = <uint64_t><size_t>&op.aux.net.address_len
    return op


def accept(sock, *, flags=0):
    """The next connection, as (socket, address). See accept4(2).

    >>> peer, address = accept(knocked)
    >>> peer.close()
    """
    return start_accept(sock, unsigned_of(flags))


cdef Op start_connect(object sock, object address):
    cdef Op op = op_new(R_NOTHING)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    hold_aux(op)
    op.aux.net.address_len = address_pack(address, &op.aux.net.address)
    op.error = address
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_CONNECT, sock_number)
    sqe.addr = <uint64_t><size_t>&op.aux.net.address
    sqe.addr2 = op.aux.net.address_len
    return op


def connect(sock, address):
    """Connect a socket to an address (numeric hosts; a path). OSError with the address.

    See connect(2).

    >>> connect(tcp, listening.getsockname())
    """
    return start_connect(sock, address)


cdef Op start_recv(object sock, object n, unsigned flags):
    cdef Op op = op_new(R_DATA)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    cdef unsigned n_size = fresh_bytes(op, n)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_RECV, sock_number)
    sqe.addr = <uint64_t><size_t>PyBytes_AS_STRING(op.value)
    sqe.len = n_size
    sqe.msg_flags = flags
    return op


def recv(sock, n, *, flags=0):
    """Receive up to `n` bytes; b"" when the peer has ended its side. See recv(2).

    >>> recv(letter, 100)
    b'a letter'
    """
    return start_recv(sock, n, unsigned_of(flags))


cdef Op start_recv_into(object sock, object buffer, unsigned flags):
    cdef Op op = op_new(R_COUNT)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    hold_view(op, buffer, True)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_RECV, sock_number)
    sqe.addr = <uint64_t><size_t>op.view.buf
    sqe.len = io_size(op.view.len)
    sqe.msg_flags = flags
    return op


def recv_into(sock, buffer, *, flags=0):
    """Receive into `buffer`; the number of bytes, 0 when the peer has ended its side.

    >>> recv_into(letter, bytearray(100))
    8
    """
    return start_recv_into(sock, buffer, unsigned_of(flags))


cdef Op start_send(object sock, object data, unsigned flags, bint zero_copy):
    cdef Op op = op_new(R_COUNT)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    hold_view(op, data, False)
    cdef ZeroCopy zero_copy_way = zero_new(op, IORING_OP_SEND_ZC, IORING_OP_SEND) if zero_copy else None
    cdef unsigned opcode = IORING_OP_SEND
    if zero_copy_way is not None:
        opcode = IORING_OP_SEND_ZC
    cdef io_uring_sqe *sqe = op_push_send(op, opcode, sock_number)
    sqe.addr = <uint64_t><size_t>op.view.buf
    sqe.len = io_size(op.view.len)
    sqe.msg_flags = flags | MSG_NOSIGNAL
    if zero_copy:
        zero_begin(op, zero_copy_way, sqe)
    return op


def send(sock, data, *, flags=0, bint zero_copy=False):
    """Send `data`; the number of bytes sent, which may be less. See send(2).

    zero_copy: the kernel sends from `data` itself, which stays exported, and the op is done, and
    a cancel answered, only when it needs that memory no more: over a network, when the peer has
    confirmed it. What refuses is sent with a copy, with the same result. `copied` of the op tells
    whether the kernel copied after all, as it does on the loopback; `stats()` counts both.

    >>> send(left, b"hello")
    5
    """
    return start_send(sock, data, unsigned_of(flags), zero_copy)


cdef Op start_sendall(object sock, object data, unsigned flags, bint zero_copy):
    cdef Op op = op_new(R_NOTHING)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    hold_view(op, data, False)
    cdef ZeroCopy zero_copy_way = zero_new(op, IORING_OP_SEND_ZC, IORING_OP_SEND) if zero_copy else None
    op.handler = rest_new()
    cdef unsigned opcode = IORING_OP_SEND
    if zero_copy_way is not None:
        opcode = IORING_OP_SEND_ZC
    cdef io_uring_sqe *sqe = op_push_send(op, opcode, sock_number)
    sqe.addr = <uint64_t><size_t>op.view.buf
    sqe.len = io_size(op.view.len)
    sqe.msg_flags = flags | MSG_NOSIGNAL | MSG_WAITALL
    rest_begin(op, sqe)
    if zero_copy:
        zero_begin(op, zero_copy_way, sqe)
    return op


def sendall(sock, data, *, flags=0, bint zero_copy=False):
    """Send all of `data`, however many sends that takes.

    When it raises, a part of it may have been sent. zero_copy: as in `send`.

    >>> sendall(left, b"hello")
    """
    return start_sendall(sock, data, unsigned_of(flags), zero_copy)


cdef Op start_shutdown(object sock, int how):
    cdef Op op = op_new(R_NOTHING)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_SHUTDOWN, sock_number)
    sqe.len = how
    return op


def shutdown(sock, how):
    """End one or both directions: socket.SHUT_RD, SHUT_WR, SHUT_RDWR. See shutdown(2).

    >>> shutdown(left, _socket.SHUT_WR)
    """
    return start_shutdown(sock, int_of(how))


cdef Op start_getsockopt(object sock, int level, int optname, object buflen):
    cdef Op op = op_new(R_DATA)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    option_room(op, buflen)
    if True:
        op.handler = elsewhere_new()
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_URING_CMD, sock_number)
    sqe.addr = rm_option(<unsigned>level, <unsigned>optname)
    sqe.addr3 = <uint64_t><size_t>op.view.buf
    sqe.file_index = io_size(op.view.len)
    sqe.cmd_op = SOCKET_URING_OP_GETSOCKOPT
    if op.handler is not None:
        elsewhere_begin(op, sqe)
    return op


def getsockopt(sock, level, optname, buflen=None):
    """A socket option, as an int, or with `buflen` as at most so many bytes. See getsockopt(2).

    >>> getsockopt(tcp, _socket.SOL_SOCKET, _socket.SO_TYPE) == _socket.SOCK_STREAM
    True
    """
    return start_getsockopt(sock, int_of(level), int_of(optname), buflen)


cdef Op start_setsockopt(object sock, int level, int optname, object value, object optlen):
    cdef Op op = op_new(R_NOTHING)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    option_value(op, value, optlen)
    if True:
        op.handler = elsewhere_new()
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_URING_CMD, sock_number)
    sqe.addr = rm_option(<unsigned>level, <unsigned>optname)
    sqe.addr3 = <uint64_t><size_t>op.view.buf
    sqe.file_index = io_size(op.view.len)
    sqe.cmd_op = SOCKET_URING_OP_SETSOCKOPT
    if op.handler is not None:
        elsewhere_begin(op, sqe)
    return op


def setsockopt(sock, level, optname, value, optlen=None):
    """Set a socket option, as socket.setsockopt does: an int or a buffer. See setsockopt(2).

    optlen: where the option has no value (None) but a length; see there.

    >>> setsockopt(tcp, _socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    """
    return start_setsockopt(sock, int_of(level), int_of(optname), value, optlen)


cdef Op start_sendto(object sock, object data, object address, unsigned flags):
    cdef Op op = op_new(R_COUNT)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    hold_view(op, data, False)
    cdef bint apart = destination_out(op, address)
    cdef unsigned opcode = IORING_OP_SEND
    if apart:
        opcode = IORING_OP_SENDMSG
    cdef io_uring_sqe *sqe = op_push_send(op, opcode, sock_number)
    sqe.addr = <uint64_t><size_t>op.view.buf
    sqe.len = io_size(op.view.len)
    if apart:
        sqe.addr = <uint64_t><size_t>&op.aux.net.msg
        sqe.len = 1
    else:
        sqe.addr2 = <uint64_t><size_t>&op.aux.net.address
        sqe.addr_len = <uint16_t>op.aux.net.address_len
    sqe.msg_flags = flags | MSG_NOSIGNAL
    return op


def sendto(sock, data, address, *, flags=0):
    """Send `data` as one datagram to `address` (a numeric host); the number of bytes sent.

    OSError, with the address, when it is refused: EMSGSIZE for what is too long for one datagram.
    See sendto(2).

    >>> sendto(mail, b"hello", mailbox.getsockname())
    5
    """
    return start_sendto(sock, data, address, unsigned_of(flags))


cdef Op start_sendmsg(object sock, object buffers, object ancdata, unsigned flags, object address, bint zero_copy):
    cdef Op op = op_new(R_COUNT)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    parts_out(op, hold_views(op, buffers, False))
    ancillary_out(op, ancdata)
    peer_out(op, address)
    cdef ZeroCopy zero_copy_way = zero_new(op, IORING_OP_SENDMSG_ZC, IORING_OP_SENDMSG) if zero_copy else None
    cdef unsigned opcode = IORING_OP_SENDMSG
    if zero_copy_way is not None:
        opcode = IORING_OP_SENDMSG_ZC
    cdef io_uring_sqe *sqe = op_push_send(op, opcode, sock_number)
    sqe.addr = <uint64_t><size_t>&op.aux.net.msg
    sqe.len = 1
    sqe.msg_flags = flags | MSG_NOSIGNAL
    if zero_copy:
        zero_begin(op, zero_copy_way, sqe)
    return op


def sendmsg(sock, buffers, ancdata=(), *, flags=0, address=None, bint zero_copy=False):
    """Send buffers and ancillary data, as socket.sendmsg does; the number of bytes sent.

    ancdata: (level, type, data) each. See sendmsg(2). zero_copy: as in `send`.

    >>> sendmsg(left, [b"hel", b"lo"])
    5
    """
    return start_sendmsg(sock, buffers, ancdata, unsigned_of(flags), address, zero_copy)


cdef Op start_send_fds(object sock, object buffers, object fds, unsigned flags, object address):
    cdef Op op = op_new(R_COUNT)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    parts_out(op, hold_views(op, buffers, False))
    descriptors_out(op, fds, sock_number)
    peer_out(op, address)
    cdef io_uring_sqe *sqe = op_push_send(op, IORING_OP_SENDMSG, sock_number)
    sqe.addr = <uint64_t><size_t>&op.aux.net.msg
    sqe.len = 1
    sqe.msg_flags = flags | MSG_NOSIGNAL
    return op


def send_fds(sock, buffers, fds, *, flags=0, address=None):
    """Send descriptors over a Unix socket, with some data; the number of bytes sent.

    The receiver gets its own descriptors of the same open files; ours stay open. A stream carries
    them with the first byte of the data, so there has to be one. See unix(7), SCM_RIGHTS.

    >>> send_fds(left, [b"a file"], [hello])
    6
    """
    return start_send_fds(sock, buffers, fds, unsigned_of(flags), address)


cdef Op start_recvmsg(object sock, object n, object ancbufsize, unsigned flags):
    cdef Op op = op_new(R_MESSAGE)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    fresh_message(op, n)
    ancillary_in(op, ancbufsize)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_RECVMSG, sock_number)
    sqe.addr = <uint64_t><size_t>&op.aux.net.msg
    sqe.len = 1
    sqe.msg_flags = flags | MSG_CMSG_CLOEXEC
    return op


def recvmsg(sock, n, ancbufsize=0, *, flags=0):
    """Receive a message: (data, ancdata, msg_flags, address), as socket.recvmsg does.

    n, ancbufsize: bytes of room for data and ancillary data. What found none is lost: msg_flags
    then has MSG_TRUNC or MSG_CTRUNC. Descriptors are never inherited by children. See recvmsg(2).

    >>> recvmsg(letter, 100)[0]
    b'a letter'
    """
    return start_recvmsg(sock, n, ancbufsize, unsigned_of(flags))


cdef Op start_recvmsg_into(object sock, object buffers, object ancbufsize, unsigned flags):
    cdef Op op = op_new(R_MESSAGE_INTO)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    parts_in(op, hold_views(op, buffers, True))
    ancillary_in(op, ancbufsize)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_RECVMSG, sock_number)
    sqe.addr = <uint64_t><size_t>&op.aux.net.msg
    sqe.len = 1
    sqe.msg_flags = flags | MSG_CMSG_CLOEXEC
    return op


def recvmsg_into(sock, buffers, ancbufsize=0, *, flags=0):
    """Receive a message into buffers, in order: (count, ancdata, msg_flags, address).

    >>> recvmsg_into(letter, [bytearray(2), bytearray(100)])[0]
    8
    """
    return start_recvmsg_into(sock, buffers, ancbufsize, unsigned_of(flags))


cdef Op start_recvfrom(object sock, object n, unsigned flags):
    cdef Op op = op_new(R_FROM)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    fresh_message(op, n)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_RECVMSG, sock_number)
    sqe.addr = <uint64_t><size_t>&op.aux.net.msg
    sqe.len = 1
    sqe.msg_flags = flags
    return op


def recvfrom(sock, n, *, flags=0):
    """Receive a datagram of up to `n` bytes and who sent it: (data, address).

    A longer one is cut: recvmsg tells of that. The address is None when the sender has none.
    See recvfrom(2).

    >>> recvfrom(letter, 100)
    (b'a letter', None)
    """
    return start_recvfrom(sock, n, unsigned_of(flags))


cdef Op start_recvfrom_into(object sock, object buffer, unsigned flags):
    cdef Op op = op_new(R_FROM_INTO)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    message_into(op, buffer)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_RECVMSG, sock_number)
    sqe.addr = <uint64_t><size_t>&op.aux.net.msg
    sqe.len = 1
    sqe.msg_flags = flags
    return op


def recvfrom_into(sock, buffer, *, flags=0):
    """Receive a datagram into `buffer`: (the number of bytes, address).

    >>> recvfrom_into(letter, bytearray(100))
    (8, None)
    """
    return start_recvfrom_into(sock, buffer, unsigned_of(flags))


cdef Op start_recv_fds(object sock, object n, object maxfds, unsigned flags):
    cdef Op op = op_new(R_FDS)
    cdef int sock_number = fd_of(sock)
    op.target = sock
    fresh_message(op, n)
    descriptors_in(op, maxfds)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_RECVMSG, sock_number)
    sqe.addr = <uint64_t><size_t>&op.aux.net.msg
    sqe.len = 1
    sqe.msg_flags = flags | MSG_CMSG_CLOEXEC
    return op


def recv_fds(sock, n, maxfds, *, flags=0):
    """Receive up to `n` bytes and `maxfds` descriptors: (data, fds, msg_flags, address).

    The descriptors are the caller's to close, and never inherited by children. Those that found
    no room, here or in the process, are closed: msg_flags then has MSG_CTRUNC.

    >>> data, fds, flags, address = recv_fds(passing, 100, 1)
    >>> close(fds[0])
    """
    return start_recv_fds(sock, n, maxfds, unsigned_of(flags))


cdef Op start_waitid(unsigned idtype, int id, unsigned options):
    cdef Op op = op_new(R_WAITID)
    hold_aux(op)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_WAITID, id)
    sqe.len = idtype
    sqe.file_index = options
    sqe.addr2 = <uint64_t><size_t>&op.aux.info
    return op


def waitid(idtype, id, options):
    """Wait for a child to change state, as os.waitid does. See waitid(2).

    None when os.WNOHANG is given and no child is in that state. idtype os.P_PIDFD waits for the
    child of a descriptor of os.pidfd_open, which no other process can take the number of.

    >>> waitid(os.P_PID, child(), os.WEXITED).si_status
    7
    """
    return start_waitid(unsigned_of(idtype), int_of(id), unsigned_of(options))


cdef Op start_epoll_wait(object epoll, object maxevents):
    cdef Op op = op_new(R_EPOLL)
    cdef int epoll_number = fd_of(epoll)
    op.target = epoll
    cdef unsigned maxevents_count = event_room(op, maxevents)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_EPOLL_WAIT, epoll_number)
    sqe.addr = <uint64_t><size_t>PyBytes_AS_STRING(op.value)
    sqe.len = maxevents_count
    return op


def epoll_wait(epoll, maxevents=64):
    """Wait until descriptors of a select.epoll are ready: (descriptor, events) each.

    At most `maxevents` of them, at least one; for no longer than you like: ringmill.timeout. See
    epoll_wait(2).

    >>> epoll_wait(watching) == [(pipe_in, select.EPOLLOUT)]
    True
    """
    return start_epoll_wait(epoll, maxevents)


cdef Op start_futex_wait(object word, unsigned value, unsigned mask):
    cdef Op op = op_new(R_WOKEN)
    hold_word(op, word)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_FUTEX_WAIT, FUTEX2_SIZE_U32)
    sqe.addr = <uint64_t><size_t>op.view.buf
    sqe.addr2 = value
    sqe.addr3 = mask
    return op


def futex_wait(word, value, *, mask=4294967295):
    """Wait while the 32-bit `word` holds `value`, until somebody wakes it; see futex(2).

    True when it was woken; False, at once, when the word holds another value. Wake-ups may be
    for another reason, so look again at what you wait for. word: a writable buffer whose address
    is a multiple of 4, private or shared with other processes. mask: only a wake with one of
    these bits is for us.

    >>> futex_wait(word, 1)
    False
    """
    return start_futex_wait(word, unsigned_of(value), unsigned_of(mask))


cdef Op start_futex_wake(object word, unsigned n, unsigned mask):
    cdef Op op = op_new(R_COUNT)
    hold_word(op, word)
    cdef io_uring_sqe *sqe = op_push(op, IORING_OP_FUTEX_WAKE, FUTEX2_SIZE_U32)
    sqe.addr = <uint64_t><size_t>op.view.buf
    sqe.addr2 = n if n < 0x7FFFFFFF else 0x7FFFFFFF
    sqe.addr3 = mask
    return op


def futex_wake(word, n, *, mask=4294967295):
    """Wake up to `n` of those who wait for `word`, in any process; how many it were.

    >>> futex_wake(word, 1)
    0
    """
    return start_futex_wake(word, unsigned_of(n), unsigned_of(mask))


cdef Each start_accept_each(object sock):
    cdef Shots shots = shots_new(R_ACCEPT, IORING_OP_ACCEPT, RM_ACCEPT_MULTISHOT, False)
    shots.template.fd = fd_of(sock)
    shots.source = sock
    shots.template.ioprio = IORING_ACCEPT_MULTISHOT
    shots.template.accept_flags = SOCK_CLOEXEC
    return each_new(shots)


def accept_each(sock):
    """The connections that come, one after the other, as socket objects.

    OSError (EMFILE, ENFILE) when the process has no descriptors left: iterate on once it has.

    >>> next(iter(accept_each(knocked))).close()
    """
    return start_accept_each(sock)


cdef Each start_recv_each(object sock):
    cdef Shots shots = shots_new(R_DATA, IORING_OP_RECV, RM_RECV_MULTISHOT, True)
    shots.template.fd = fd_of(sock)
    shots.source = sock
    shots.template.ioprio = IORING_RECV_MULTISHOT
    shots_of_socket(shots)
    return each_new(shots)


def recv_each(sock):
    """The data that comes, piece by piece (1 to 65,536 bytes), until the peer ends its side.

    From a datagram socket: one datagram after the other, without end; a longer one is cut. Use
    recvmsg_each to learn of that, and who sent it.

    >>> next(iter(recv_each(letter)))
    b'a letter'
    """
    return start_recv_each(sock)


cdef Each start_recvmsg_each(object sock, object ancbufsize):
    cdef Shots shots = shots_new(R_LETTER, IORING_OP_RECVMSG, RM_RECV_MULTISHOT, True)
    shots.template.fd = fd_of(sock)
    shots.source = sock
    shots.template.ioprio = IORING_RECV_MULTISHOT
    shots.template.msg_flags = MSG_CMSG_CLOEXEC
    shots_of_messages(shots, ancbufsize)
    return each_new(shots)


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
    return start_recvmsg_each(sock, ancbufsize)


cdef Each start_read_each(object fd):
    cdef Shots shots = shots_new(R_DATA, IORING_OP_READ_MULTISHOT, RM_READ_MULTISHOT, True)
    shots.template.fd = fd_of(fd)
    shots.source = fd
    shots.template.off = <uint64_t>-1
    shots_of_file(shots)
    return each_new(shots)


def read_each(fd):
    """The data that a pipe, terminal or file brings, piece by piece, until its end.

    >>> list(read_each(hello))
    [b'Hello, ring!\\r\\n']
    """
    return start_read_each(fd)


cdef Each start_poll_each(object fd, unsigned mask):
    cdef Shots shots = shots_new(R_COUNT, IORING_OP_POLL_ADD, RM_POLL_MULTISHOT, False)
    shots.template.fd = fd_of(fd)
    shots.source = fd
    shots.template.poll32_events = mask
    shots.template.len = IORING_POLL_ADD_MULTI
    return each_new(shots)


def poll_each(fd, mask):
    """Each time that events of `mask` come anew (edges, not levels): those that hold.

    >>> next(iter(poll_each(pipe_in, select.POLLOUT))) == select.POLLOUT
    True
    """
    return start_poll_each(fd, unsigned_of(mask))
