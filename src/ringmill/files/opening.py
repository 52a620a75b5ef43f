"""open_file(): from a path, a mode and the rest to an open file. Written once for both faces.

Knows all kinds of files; does not know how a call waits.
"""

from __future__ import annotations

import errno
import io
import locale
import os
import stat
import warnings
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from ringmill.face.spawn import sleep_op
from ringmill.files.base import AsyncFile
from ringmill.files.binary import BUFFER_SIZE, AsyncBinaryFile, AsyncRawFile
from ringmill.files.descriptor import Descriptor
from ringmill.files.mode import Mode, parse
from ringmill.files.text import AsyncTextFile, check_newline
from ringmill.ops import aio

if TYPE_CHECKING:
    from _typeshed import FileDescriptorOrPath, OpenBinaryMode, OpenTextMode

F = TypeVar("F", bound=AsyncFile[Any])
Opener = Callable[[str, int], int]
FIFO_AGAIN = 0.01  # s; whether somebody reads a FIFO by now can only be tried


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of open_file(), found to make sense."""

    path: Any
    mode: Mode
    buffering: int
    encoding: str | None
    errors: str | None
    newline: str | None
    closefd: bool
    opener: Opener | None
    dir_fd: int | None
    permissions: int


def request(path: FileDescriptorOrPath, mode: str, buffering: int, encoding: str | None,
            errors: str | None, newline: str | None, closefd: bool, opener: Opener | None,
            dir_fd: int | None, permissions: int) -> Request:
    """Refuse what could never be opened, before anything is."""
    if not isinstance(path, int):
        path = os.fspath(path)
        if not closefd:
            raise ValueError("Cannot use closefd=False with file name")
    asked = parse(mode)
    if not isinstance(buffering, int):
        raise TypeError(f"buffering is an int, not {type(buffering).__name__}")
    if asked.binary:
        for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
            if value is not None:
                raise ValueError(f"binary mode doesn't take an {name!r} argument")
        if buffering == 1:
            warnings.warn("line buffering (buffering=1) isn't supported in binary mode, the "
                          "default buffer size will be used", RuntimeWarning, stacklevel=3)
    else:
        check_newline(newline)
        if buffering == 0:
            raise ValueError("can't have unbuffered text I/O")
        encoding = io.text_encoding(encoding, 3)
        if encoding == "locale":
            encoding = locale.getencoding()
    return Request(path, asked, buffering, encoding, errors, newline, closefd, opener, dir_fd,
                   permissions)


async def opened(asked: Request) -> AsyncFile[Any]:
    """Open it, and lay on the descriptor what the mode says."""
    path, mode = asked.path, asked.mode
    ours = not isinstance(path, int) and asked.opener is None
    if isinstance(path, int):
        fd = path
    elif asked.opener is not None:
        fd = asked.opener(path, mode.flags | os.O_CLOEXEC)
        if fd < 0:
            raise ValueError(f"opener returned {fd}")
    else:
        fd = await open_path(asked)
    try:
        return laid(fd, asked, ours)
    except BaseException:
        if asked.closefd and not isinstance(path, int):
            os.close(fd)
        raise


async def open_path(asked: Request) -> int:
    """The descriptor; a FIFO that is to be written waits for somebody who reads it."""
    while True:
        try:
            return await aio.open(asked.path, asked.mode.flags, asked.permissions,
                                  dir_fd=asked.dir_fd)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            found = await aio.stat(asked.path, dir_fd=asked.dir_fd)
            if not stat.S_ISFIFO(found.st_mode):
                raise
        await sleep_op(FIFO_AGAIN)


def laid(fd: int, asked: Request, ours: bool) -> AsyncFile[Any]:
    mode = asked.mode
    try:
        kind = os.fstat(fd).st_mode
    except OSError as error:
        error.filename = asked.path
        raise
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), asked.path)
    # Devices and pipes have no position, or one of their own making.
    ours = ours and (stat.S_ISREG(kind) or stat.S_ISBLK(kind))
    d = Descriptor(fd, asked.path, mode, closefd=asked.closefd, ours=ours)
    if asked.buffering == 0:
        return AsyncRawFile(d)
    if mode.readable and mode.writable and not d.seekable:
        raise io.UnsupportedOperation("File or stream is not seekable.")
    size = asked.buffering if asked.buffering > 1 else BUFFER_SIZE
    buffer = AsyncBinaryFile(d, size)
    if mode.binary:
        return buffer
    lines = asked.buffering == 1 or (
        asked.buffering < 0 and stat.S_ISCHR(kind) and os.isatty(fd))
    try:
        return AsyncTextFile(buffer, asked.encoding or "utf-8", asked.errors, asked.newline,
                             line_buffering=lines)
    except BaseException:
        d.moved("")  # the caller closes the number
        raise


class Opening(Generic[F]):
    """What aio.open_file() returns: `await` it for the file, or use it in `async with`."""

    __slots__ = ("_begin", "_file")

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, F]]) -> None:
        self._begin = begin
        self._file: F | None = None

    def __await__(self) -> Generator[Any, Any, F]:
        return self._begin().__await__()

    async def __aenter__(self) -> F:
        self._file = file = await self._begin()
        return file

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        if self._file is not None:
            await self._file.close()


@overload
def open_file(path: FileDescriptorOrPath, mode: OpenTextMode = "r", buffering: int = -1,
              encoding: str | None = None, errors: str | None = None, newline: str | None = None,
              *, closefd: bool = True, opener: Opener | None = None, dir_fd: int | None = None,
              permissions: int = 0o666) -> Opening[AsyncTextFile]: ...
@overload
def open_file(  # type: ignore[overload-overlap]
              path: FileDescriptorOrPath, mode: OpenBinaryMode, buffering: Literal[0],
              encoding: None = None, errors: None = None, newline: None = None,
              *, closefd: bool = True, opener: Opener | None = None, dir_fd: int | None = None,
              permissions: int = 0o666) -> Opening[AsyncRawFile]: ...
@overload
def open_file(path: FileDescriptorOrPath, mode: OpenBinaryMode, buffering: int = -1,
              encoding: None = None, errors: None = None, newline: None = None,
              *, closefd: bool = True, opener: Opener | None = None, dir_fd: int | None = None,
              permissions: int = 0o666) -> Opening[AsyncBinaryFile]: ...
@overload
def open_file(path: FileDescriptorOrPath, mode: str, buffering: int = -1,
              encoding: str | None = None, errors: str | None = None, newline: str | None = None,
              *, closefd: bool = True, opener: Opener | None = None, dir_fd: int | None = None,
              permissions: int = 0o666) -> Opening[Any]: ...
def open_file(path: FileDescriptorOrPath, mode: str = "r", buffering: int = -1,
              encoding: str | None = None, errors: str | None = None, newline: str | None = None,
              *, closefd: bool = True, opener: Opener | None = None, dir_fd: int | None = None,
              permissions: int = 0o666) -> Opening[Any]:
    """Open a file, as open() does: `async with open_file(path) as file:`, or `await` it.

    path: a name, or the number of an open descriptor (which is closed with the file, unless
    closefd=False). dir_fd: where a relative path is looked up. permissions: of a new file, less
    the umask. buffering: 0 (binary only) none, 1 (text only) by lines, more: bytes of the buffer.

    Opening a FIFO for reading does not wait, the first read does, for somebody who writes.
    Opening one for writing waits for somebody who reads.
    """
    asked = request(path, mode, buffering, encoding, errors, newline, closefd, opener, dir_fd,
                    permissions)
    return Opening(lambda: opened(asked))
