"""Ops on files, memory and pipes: open, read, write, sync, advise, stat, splice, poll."""

from __future__ import annotations

from ringmill.ops.entry import (
    Second,
    at_once,
    in_own_worker,
    in_worker,
    op,
    when_readable,
    when_writable,
)
from ringmill.ops.fields import (
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
    Into,
    IntoMany,
    Memory,
    NewFd,
    NewPipe,
    Nothing,
    Number,
    Offset,
    Path,
    PathOrFd,
    Position,
    Resolve,
    Span,
    SpliceFd,
    Stat,
    Whole,
)

LEASED = ("fix(op, sqe)",)  # memory of the arena: the kernel may have it registered
LEASED_MANY = ("fix_many(op, sqe)",)


@op("NOP", soft=at_once("0"))
def nop() -> Nothing:
    """Go through the kernel and back, doing nothing: what one op costs.

    >>> nop()
    """


@op("OPENAT", soft=in_worker("rm_do_openat(dir_fd, path, (int)flags, mode)"), second=Second(
    "OPENAT2", when="resolve", soft=in_worker("rm_do_openat2(dir_fd, path, how)")))
def open(path: Path, flags: Number("open_flags", also="O_CLOEXEC"),
         mode: Number("len") = 0o777, *, dir_fd: DirFd = None, resolve: Resolve = 0) -> NewFd:
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


@op("CLOSE", soft=at_once("rm_do_close(fd)"), shielded=True, prepare=(
    "cdef Op late = close_late(fd)", "if late is not None:", "    return late",
))
def close(fd: ClosingFd) -> Nothing:
    """Close a file descriptor, or a socket object (which then is detached). See close(2).

    Not cancellable: a descriptor whose close was given up would leak. An op that is in flight on
    it goes on, on Linux, and keeps the connection or listener open: cancel it, or shutdown first.
    What start_write has begun on it is written before, and a failure nobody was told of is raised.

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


@op("READ", soft=None, finish=LEASED)
def readinto(fd: Fd, buffer: Into, *, offset: Offset() = None) -> Count:
    """Read up to len(buffer) bytes into `buffer`; the number read, 0 at the end of the file.

    The buffer is exported until the op is done: a bytearray cannot be resized meanwhile.

    >>> readinto(hello, bytearray(5), offset=0)
    5
    """


@op("READV", soft=when_readable("rm_do_readv(fd, buffers, n, offset, nowait)"), finish=LEASED_MANY)
def readv(fd: Fd, buffers: IntoMany, *, offset: Offset() = None) -> Count:
    """Read into several writable buffers, in order; the number of bytes read. See readv(2).

    >>> readv(hello, [bytearray(2), bytearray(3)], offset=0)
    5
    """


@op("WRITE", soft=when_writable("rm_do_write(fd, data, n, offset, nowait)"), finish=LEASED)
def write(fd: Fd, data: From, *, offset: Offset() = None) -> Count:
    """Write `data`; the number of bytes written, which may be less. See write(2), pwrite(2).

    >>> write(scratch, b"some bytes")
    10
    """


@op("WRITE", soft=None, finish=LEASED)
def write_all(fd: Fd, data: From, *, offset: Offset() = None) -> Whole:
    """Write all of `data`, however many writes that takes, at the position or from `offset` on.

    When it raises, a part of it may have been written.

    >>> write_all(scratch, b"some bytes")
    """


@op("WRITEV", soft=when_writable("rm_do_writev(fd, buffers, n, offset, nowait)"),
    finish=LEASED_MANY)
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


@op("FTRUNCATE", soft=in_worker("rm_result(ftruncate(fd, (off_t)length))"))
def ftruncate(fd: Fd, length: Position("off")) -> Nothing:
    """Cut the file to `length` bytes, or extend it with zeros. See ftruncate(2).

    >>> ftruncate(scratch, 100)
    """


@op("FALLOCATE", soft=in_worker(
    "rm_result(fallocate(fd, (int)sqe->len, (off_t)offset, (off_t)length))"))
def fallocate(fd: Fd, offset: Position("off"), length: Position("addr"), *,
              keep_size: Bit("len", "FALLOC_FL_KEEP_SIZE") = False,
              punch_hole: Bit("len", "FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE") = False,
              zero_range: Bit("len", "FALLOC_FL_ZERO_RANGE") = False,
              collapse_range: Bit("len", "FALLOC_FL_COLLAPSE_RANGE") = False,
              insert_range: Bit("len", "FALLOC_FL_INSERT_RANGE") = False) -> Nothing:
    """Give a file room on disk for the bytes from `offset` on, as os.posix_fallocate does.

    keep_size: not even when it is beyond the end does the file's size change. punch_hole,
    zero_range: instead, make the range zeros, giving its blocks back or not. collapse_range,
    insert_range: take the range out, or put a hole there; what follows moves. OSError
    (EOPNOTSUPP) where the file system cannot. See fallocate(2).

    >>> fallocate(scratch, 0, 4096)
    """


@op("SYNC_FILE_RANGE", soft=in_worker(
    "rm_result(sync_file_range(fd, (off_t)offset, (off_t)length, sqe->sync_range_flags))"),
    elsewhere="length_bytes > 0xFFFFFFFF")
def sync_file_range(
    fd: Fd, offset: Position("off") = 0, length: Span = None, *,
    wait_before: Bit("sync_range_flags", "SYNC_FILE_RANGE_WAIT_BEFORE") = False,
    write: Bit("sync_range_flags", "SYNC_FILE_RANGE_WRITE") = True,
    wait_after: Bit("sync_range_flags", "SYNC_FILE_RANGE_WAIT_AFTER") = False,
) -> Nothing:
    """Have a part of the file written to disk: begin to; and wait, where that is asked for.

    length: None (or 0, as in C) is to the end. wait_before, wait_after: for what was being
    written already, and for all of it. Only data, no metadata: after a crash the file may be as
    short as before. See sync_file_range(2), and fsync.

    >>> sync_file_range(scratch, 0, 100, wait_after=True)
    """


@op("FADVISE", soft=in_worker(
    "-posix_fadvise(fd, (off_t)offset, (off_t)length, (int)advice)"),
    elsewhere="length_bytes > 0xFFFFFFFF")
def fadvise(fd: Fd, offset: Position("off"), length: Span,
            advice: Number("fadvise_advice")) -> Nothing:
    """Tell how a part of a file will be used, as os.posix_fadvise does. See posix_fadvise(2).

    length: None (or 0, as in os) is to the end. advice: os.POSIX_FADV_WILLNEED and so on.

    >>> fadvise(hello, 0, None, os.POSIX_FADV_DONTNEED)
    """


@op("MADVISE", soft=in_worker("rm_result(madvise(memory, n, (int)advice))"),
    elsewhere="op.view.len > 0xFFFFFFFF")
def madvise(memory: Memory, advice: Number("fadvise_advice")) -> Nothing:
    """Tell how memory will be used, as mmap.madvise does. See madvise(2).

    memory: an mmap, or a buffer that begins at a page; the kernel takes whole pages. advice:
    mmap.MADV_WILLNEED and so on; some of it, as mmap.MADV_DONTNEED, clears the memory.

    >>> madvise(mapped, mmap.MADV_DONTNEED)
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


@op("PIPE", soft=at_once("rm_result(pipe2(pipe, (int)flags))"), finish=("sqe.fd = 0",))
def pipe(*, flags: Number("rw_flags", also="O_CLOEXEC") = 0) -> NewPipe:
    """A new pipe, as (the end to read from, the end to write to); never inherited by children.

    flags: os.O_DIRECT, os.O_NONBLOCK. See pipe2(2).

    >>> reader, writer = pipe()
    >>> close(reader)
    >>> close(writer)
    """


@op("POLL_ADD", soft=None)
def poll(fd: Fd, mask: Number("poll32_events")) -> Events:
    """Wait until one of the events in `mask` (select.POLLIN …) holds; those that do. See poll(2).

    io_uring also ends the wait when the peer has shut down its side: POLLRDHUP, unasked.

    >>> poll(pipe_in, select.POLLOUT) == select.POLLOUT
    True
    """
