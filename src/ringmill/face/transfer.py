"""Bytes from one descriptor to another without passing through the program: written once.

Splice moves pages between a pipe and anything else; where neither end is a pipe, one of the
machine's own stands in between. Where splice refuses (EINVAL: a file opened to append, most
devices), the same bytes are read and written. Knows ops and pipes; does not know who sends what.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ringmill.core.op import Op
from ringmill.errors import Cancelled
from ringmill.face.pipes import PIPE_BYTES, Pipe, Pipes, pipes_here
from ringmill.ops import aio

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

# What one read takes. Above 64 KiB the copy leaves the second-level cache and malloc maps and
# unmaps each buffer.
COPY_BYTES = 64 << 10

# From here up splicing pays: two trips to a kernel worker cost about as much as copying this.
SPLICE_FROM = 256 << 10

# What splice says to a file or socket it cannot handle.
CANNOT_SPLICE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class Progress:
    """How far a transfer has come, for whoever wants to know although it raised.

    `moved`: bytes that the target has taken. `left`: bytes that were taken from the source and did
    not get there; the next copy() with this Progress begins with them.
    """

    __slots__ = ("left", "moved")

    def __init__(self) -> None:
        self.moved = 0
        self.left = b""

    def __repr__(self) -> str:
        return f"<Progress: {self.moved} bytes moved, {len(self.left)} left>"


async def sendfile(sock: FileDescriptorLike, fd: FileDescriptorLike, offset: int = 0,
                   count: int | None = None, *, progress: Progress | None = None) -> int:
    """Send `count` bytes of a file from `offset` on, or all up to its end; how many were sent.

    Fewer than `count` when the file ends before. The file's own position is left alone. What was
    sent when it raises, or is cancelled, is added to `progress.moved`. From a pipe or a socket:
    copy().
    """
    _check(offset, "an offset")
    _check(count, "a count")
    about = os.fstat(_number(fd))
    if stat.S_ISFIFO(about.st_mode) or stat.S_ISSOCK(about.st_mode):
        raise OSError(errno.ESPIPE, os.strerror(errno.ESPIPE))
    mine = Progress()
    try:
        await _send_extent(sock, fd, offset, count, about.st_size, mine)
    finally:
        if progress is not None:
            progress.moved += mine.moved
    return mine.moved


async def copy(source: FileDescriptorLike, target: FileDescriptorLike, n: int | None = None, *,
               progress: Progress | None = None) -> int:
    """Move `n` bytes, or all up to the end, from one descriptor to another: pipes, stream sockets
    and files, at their own positions. How many were moved; fewer than `n` when the end came.

    When it raises or is cancelled, bytes may be on the way: taken from the source, and not at the
    target. `progress.left` has them, and another copy() with the same `progress` begins with them;
    without a `progress` they are lost.
    """
    _check(n, "a count")
    given = progress
    progress = Progress() if progress is None else progress
    begun = progress.moved
    if progress.left:
        await _write_left(target, n, progress)
    rest = None if n is None else n - (progress.moved - begun)
    if rest != 0:
        await _copy(Source(source), target, rest, progress, keep=given is not None)
    return progress.moved - begun


async def broadcast(source: FileDescriptorLike, targets: Iterable[FileDescriptorLike],
                    n: int | None = None) -> int:
    """Move `n` bytes, or all up to the end, from one descriptor to every one of several: the pages
    are shared (tee), not copied. How many each has got.

    The slowest target sets the pace. An error of one ends it for all, and its note says which it
    was; the others may have got up to a pipe full more than it has.
    """
    _check(n, "a count")
    outlets = [Outlet(target, index) for index, target in enumerate(targets)]
    if not outlets:
        raise ValueError("broadcast needs a target")
    if len(outlets) == 1:
        return await copy(source, outlets[0].fd, n)
    pipes = pipes_here()
    inner = [] if _is_pipe(source) else [None]
    lent = pipes.take_many(len(outlets) - 1 + len(inner))
    moved = 0
    clean = False
    try:
        if len(lent) == len(outlets) - 1 + len(inner):
            moved, ended = await _tee_all(Source(source), lent, outlets, n)
            clean = True
            if ended:
                return moved
        return moved + await _write_to_all(source, outlets, None if n is None else n - moved)
    finally:
        for pipe in lent:
            pipes.give(pipe, empty=clean)


# ── what they are made of ──


async def _send_extent(sock: FileDescriptorLike, fd: FileDescriptorLike, offset: int,
                       count: int | None, size: int, progress: Progress) -> None:
    pipes = pipes_here()
    wanted = size - offset if count is None else count
    pipe = pipes.take() if wanted >= SPLICE_FROM else None
    if pipe is not None and await _through(pipes, pipe, Source(fd, offset), sock, count, progress):
        return
    progress.left = b""  # what was in the pipe is read again
    rest = None if count is None else count - progress.moved
    await _read_and_write(Source(fd, offset + progress.moved), sock, rest, progress)


class Source:
    """Where bytes come from: an offset that we count, or the descriptor's own position."""

    __slots__ = ("fd", "offset")

    def __init__(self, fd: FileDescriptorLike, offset: int | None = None) -> None:
        self.fd = fd
        self.offset = offset

    async def splice(self, target: FileDescriptorLike, n: int) -> int:
        count = await _splice(self.fd, target, n, self.offset)
        if self.offset is not None:
            self.offset += count
        return count

    async def read(self, n: int) -> bytes:
        while True:
            try:
                data = await aio.read(self.fd, n, offset=self.offset)
                break
            except BlockingIOError:
                await _ready(self.fd, select.POLLIN)
        if self.offset is not None:
            self.offset += len(data)
        return data


class Refused(Exception):
    """splice cannot handle one of the ends; nothing was moved by that call."""


async def _splice(source: FileDescriptorLike, target: FileDescriptorLike, n: int,
                  offset: int | None = None) -> int:
    while True:
        try:
            return await aio.splice(source, target, n, offset_source=offset)
        except BlockingIOError:  # an end with O_NONBLOCK
            await _ready(source, select.POLLIN)
            await _ready(target, select.POLLOUT)
        except OSError as error:
            if error.errno in CANNOT_SPLICE:
                raise Refused from error
            raise


async def _copy(source: Source, target: FileDescriptorLike, n: int | None, progress: Progress,
                *, keep: bool) -> None:
    if _is_pipe(source.fd) or _is_pipe(target):
        ended = await _directly(source, target, n, progress)
    else:
        pipes = pipes_here()
        pipe = pipes.take() if n is None or n >= SPLICE_FROM else None
        begun = progress.moved
        ended = pipe is not None and await _through(pipes, pipe, source, target, n, progress,
                                                    keep=keep)
        n = None if n is None else n - (progress.moved - begun)
        if not ended and progress.left:
            n = None if n is None else n - len(progress.left)
            await _write_left(target, None, progress)
    if not ended:
        await _read_and_write(source, target, n, progress)


async def _directly(source: Source, target: FileDescriptorLike, n: int | None,
                    progress: Progress) -> bool:
    """One end is a pipe. False: splice refused, and nothing has been moved."""
    begun = progress.moved
    try:
        while (want := _next(n, progress.moved - begun, PIPE_BYTES)):
            count = await source.splice(target, want)
            if count == 0:
                break
            progress.moved += count
    except Refused:
        if progress.moved != begun:
            raise OSError(errno.EINVAL, "splice refused half-way") from None
        return False
    return True


async def _through(pipes: Pipes, pipe: Pipe, source: Source, target: FileDescriptorLike,
                   n: int | None, progress: Progress, *, keep: bool = False) -> bool:
    """Through a pipe of ours. False: splice refuses; what it still held is in `progress.left`."""
    begun = progress.moved
    clean = False
    try:
        while (want := _next(n, progress.moved - begun, pipe.size)):
            held = await source.splice(pipe.target, want)
            if held == 0:
                break
            while held:
                count = _some(await _splice(pipe.source, target, held))
                held -= count
                progress.moved += count
        clean = True
    except Refused:
        progress.left = pipe.taken()
        clean = True
        return False
    finally:
        if keep and not clean:
            progress.left = pipe.taken()
        pipes.give(pipe, empty=clean)
    return True


async def _read_and_write(source: Source, target: FileDescriptorLike, n: int | None,
                          progress: Progress) -> None:
    begun = progress.moved
    while (want := _next(n, progress.moved - begun, COPY_BYTES)):
        progress.left = await source.read(want)
        if not progress.left:
            return
        await _write_left(target, None, progress)


async def _write_left(target: FileDescriptorLike, n: int | None, progress: Progress) -> None:
    """Write what is on its way, or `n` bytes of it."""
    view = memoryview(progress.left)
    stop = len(view) if n is None else min(n, len(view))
    done = 0
    is_socket = stat.S_ISSOCK(os.fstat(_number(target)).st_mode)
    try:
        while done < stop:
            part = view[done:stop]
            try:
                if is_socket:  # write(2) on one whose peer has gone would be a SIGPIPE
                    count = await aio.send(target, part)
                else:
                    count = await aio.write(target, part)
            except BlockingIOError:
                await _ready(target, select.POLLOUT)
                continue
            done += _some(count)
            progress.moved += count
    finally:
        progress.left = bytes(view[done:])


class Outlet:
    """One target of a broadcast: what it has yet to get stands in a pipe, or in memory."""

    __slots__ = ("fd", "held", "index", "is_socket", "pipe", "view")

    def __init__(self, fd: FileDescriptorLike, index: int) -> None:
        self.fd = fd
        self.index = index
        self.is_socket = stat.S_ISSOCK(os.fstat(_number(fd)).st_mode)
        self.pipe: FileDescriptorLike = -1
        self.held = 0  # bytes for it in the pipe
        self.view = memoryview(b"")

    def begin(self) -> Op[int]:
        if self.held:
            return aio.splice(self.pipe, self.fd, self.held)
        if self.is_socket:
            return aio.send(self.fd, self.view)
        return aio.write(self.fd, self.view)

    async def took(self, op: Op[int]) -> None:
        """Account for what `op` did; what it did not do is done by the next."""
        try:
            count = await op
        except BlockingIOError:
            await _ready(self.fd, select.POLLOUT)
        except OSError as error:
            if not self.held or error.errno not in CANNOT_SPLICE:
                error.add_note(f"this was target {self.index} of a broadcast")
                raise
            parts = []
            while self.held:
                parts.append(await aio.read(self.pipe, self.held))
                self.held -= len(parts[-1])
            self.view = memoryview(b"".join(parts))
        else:
            if self.held:
                self.held -= _some(count)
            else:
                self.view = self.view[_some(count):]


async def _deliver(outlets: list[Outlet]) -> None:
    """All at once: one that waits for another's reader must not keep that one from its bytes."""
    while waiting := [outlet for outlet in outlets if outlet.held or outlet.view]:
        begun: list[Op[int]] = []
        try:
            for outlet in waiting:
                begun.append(outlet.begin())
            for outlet in waiting:
                await outlet.took(begun.pop(0))
        except BaseException:
            for op in begun:
                op.cancel()
            for op in begun:
                await _ended(op)
            raise


async def _ended(op: Op[int]) -> None:
    """Wait for its end, whatever that is: it uses pipes that are closed next."""
    try:
        await op
    except (OSError, Cancelled):
        pass


async def _tee_all(source: Source, lent: list[Pipe], outlets: list[Outlet],
                   n: int | None) -> tuple[int, bool]:
    """Rounds of at most a pipe full. False: splice refused, and this round has moved nothing."""
    copies = lent[:len(outlets) - 1]
    inlet = lent[-1] if len(lent) == len(outlets) else None
    entry: FileDescriptorLike = source.fd if inlet is None else inlet.source
    moved = 0
    while (want := _next(n, moved, PIPE_BYTES)):
        if inlet is not None:
            try:
                want = await source.splice(inlet.target, min(want, inlet.size))
            except Refused:
                return moved, False
        for pipe in copies:
            if want:
                want = await _tee(entry, pipe.target, want)
        if want == 0:
            break
        for outlet, pipe in zip(outlets, copies, strict=False):
            outlet.pipe = pipe.source
            outlet.held = want
        outlets[-1].pipe = entry
        outlets[-1].held = want
        await _deliver(outlets)
        moved += want
        for pipe in copies:
            pipe.taken()  # what a later, smaller pipe had no room for
    return moved, True


async def _tee(source: FileDescriptorLike, target: FileDescriptorLike, n: int) -> int:
    while True:
        try:
            return await aio.tee(source, target, n)
        except BlockingIOError:
            await _ready(source, select.POLLIN)


async def _write_to_all(source: FileDescriptorLike, outlets: list[Outlet], n: int | None) -> int:
    from_here = Source(source)
    moved = 0
    while (want := _next(n, moved, COPY_BYTES)):
        data = await from_here.read(want)
        if not data:
            break
        for outlet in outlets:
            outlet.view = memoryview(data)
        await _deliver(outlets)
        moved += len(data)
    return moved


async def _ready(fd: FileDescriptorLike, mask: int) -> None:
    try:
        await aio.poll(fd, mask)
    except PermissionError:
        pass  # a file on a disk: always


def _some(count: int) -> int:
    """Never try for ever: there are bytes to move, so none is a failure."""
    if count == 0:
        raise OSError(errno.EIO, "nothing could be moved, and nobody says why")
    return count


def _next(n: int | None, done: int, most: int) -> int:
    return most if n is None else min(n - done, most)


def _number(fd: FileDescriptorLike) -> int:
    if isinstance(fd, int):
        return fd
    if not hasattr(fd, "fileno"):
        raise TypeError("a file descriptor is an int or an object with a fileno() method, not "
                        f"{type(fd).__name__}")
    return fd.fileno()


def _is_pipe(fd: FileDescriptorLike) -> bool:
    return stat.S_ISFIFO(os.fstat(_number(fd)).st_mode)


def _check(n: int | None, what: str) -> None:
    if n is not None and n < 0:
        raise ValueError(f"{what} is 0 or more bytes, not {n}")
