"""Open files for fibers and plain scripts: io's own base classes, whose methods wait in a fiber.

So csv, json, zipfile, logging and the like can use them, and only the fiber that asks waits.
Each method drives the one of the same name of the awaitable file.

Knows the awaitable files; does no I/O itself.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from ringmill.face.spawn import drive
from ringmill.files import opening
from ringmill.files.base import AsyncFile
from ringmill.files.binary import AsyncBinaryFile, AsyncRawFile
from ringmill.files.opening import Opener
from ringmill.files.text import AsyncTextFile

if TYPE_CHECKING:
    from _typeshed import (
        FileDescriptorOrPath,
        OpenBinaryMode,
        OpenTextMode,
        ReadableBuffer,
        WriteableBuffer,
    )

F = TypeVar("F", bound=AsyncFile[Any])


class Called(Generic[F]):
    """What the three kinds share."""

    _file: F

    def __init__(self, file: F) -> None:
        self._file = file

    @property
    def name(self) -> Any:
        return self._file.name

    @property
    def mode(self) -> str:
        return self._file.mode

    @property
    def closed(self) -> bool:
        return self._file.closed

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()

    def readable(self) -> bool:
        return self._file.readable()

    def writable(self) -> bool:
        return self._file.writable()

    def seekable(self) -> bool:
        return self._file.seekable()

    def tell(self) -> int:
        told: int = drive(self._file.tell())  # type: ignore[attr-defined]
        return told

    def seek(self, offset: int, whence: int = 0, /) -> int:
        at: int = drive(self._file.seek(offset, whence))  # type: ignore[attr-defined]
        return at

    def truncate(self, size: int | None = None, /) -> int:
        cut: int = drive(self._file.truncate(size))  # type: ignore[attr-defined]
        return cut

    def flush(self) -> None:
        if not self._file.closed:
            drive(self._file.flush())
        else:
            self._file._d.check_open()

    def close(self) -> None:
        if not self._file.closed:
            drive(self._file.close())

    def writelines(self, lines: Iterable[Any], /) -> None:
        drive(self._file.writelines(lines))

    def __repr__(self) -> str:
        return repr(self._file).replace("Async", "")

    def __del__(self) -> None:
        """The awaitable file has its own end."""


class RawFile(Called[AsyncRawFile], io.RawIOBase):
    """An unbuffered binary file: each call is one system call, and may do less than asked."""

    def read(self, n: int | None = -1, /) -> bytes:
        return drive(self._file.read(n))

    def readall(self) -> bytes:
        return drive(self._file.readall())

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return drive(self._file.readinto(buffer))

    def readline(self, size: int | None = -1, /) -> bytes:
        return drive(self._file.readline(size))

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        return drive(self._file.readlines(hint))

    def write(self, data: ReadableBuffer, /) -> int:
        return drive(self._file.write(data))


class BinaryFile(Called[AsyncBinaryFile], io.BufferedIOBase):
    """A buffered binary file: reads and writes what was asked, as large as it is."""

    def detach(self) -> RawFile:
        return RawFile(self._file.detach())

    def read(self, n: int | None = -1, /) -> bytes:
        if n is not None and (data := self._file._ready(n)) is not None:
            return data
        return drive(self._file.read(n))

    def read1(self, n: int | None = -1, /) -> bytes:
        return drive(self._file.read1(n))

    def peek(self, n: int = 0, /) -> bytes:
        return drive(self._file.peek(n))

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return drive(self._file.readinto(buffer))

    def readinto1(self, buffer: WriteableBuffer, /) -> int:
        return drive(self._file.readinto1(buffer))

    def readline(self, size: int | None = -1, /) -> bytes:
        if size == -1 and (line := self._file._line_ready()) is not None:
            return line
        return drive(self._file.readline(size))

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        return drive(self._file.readlines(hint))

    def write(self, data: ReadableBuffer, /) -> int:
        if type(data) is bytes and self._file._accept(data):
            return len(data)
        return drive(self._file.write(data))

    def __next__(self) -> bytes:
        line = self._file._line_ready()
        if line is None and not (line := drive(self._file.readline())):
            raise StopIteration
        return line


class TextFile(Called[AsyncTextFile], io.TextIOBase):
    """A text file. Positions (`tell`, `seek`) are numbers that only it understands, as in io."""

    @property
    def buffer(self) -> BinaryFile:
        """The binary file below; what it reads, this one does not."""
        return BinaryFile(self._file.buffer)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._file.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        return self._file.errors

    @property
    def newlines(self) -> str | tuple[str, ...] | None:  # type: ignore[override]
        return self._file.newlines

    @property
    def line_buffering(self) -> bool:
        return self._file.line_buffering

    def detach(self) -> BinaryFile:  # type: ignore[override]
        return BinaryFile(self._file.detach())

    def read(self, n: int | None = -1, /) -> str:
        if n is not None and (text := self._file._ready(n)) is not None:
            return text
        return drive(self._file.read(n))

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        if size == -1 and (line := self._file._line_ready()) is not None:
            return line
        return drive(self._file.readline(size))

    def readlines(self, hint: int | None = -1, /) -> list[str]:  # type: ignore[override]
        return drive(self._file.readlines(hint))

    def write(self, text: str, /) -> int:
        if self._file._accept(text):
            return len(text)
        return drive(self._file.write(text))

    def __next__(self) -> str:  # type: ignore[override]
        line = self._file._line_ready()
        if line is None and not (line := drive(self._file.readline())):
            raise StopIteration
        return line


FACES: dict[type[AsyncFile[Any]], Any] = {
    AsyncRawFile: RawFile, AsyncBinaryFile: BinaryFile, AsyncTextFile: TextFile,
}


@overload
def open_file(path: FileDescriptorOrPath, mode: OpenTextMode = "r", buffering: int = -1,
              encoding: str | None = None, errors: str | None = None, newline: str | None = None,
              *, closefd: bool = True, opener: Opener | None = None, dir_fd: int | None = None,
              permissions: int = 0o666) -> TextFile: ...
@overload
def open_file(  # type: ignore[overload-overlap]
              path: FileDescriptorOrPath, mode: OpenBinaryMode, buffering: Literal[0],
              encoding: None = None, errors: None = None, newline: None = None,
              *, closefd: bool = True, opener: Opener | None = None, dir_fd: int | None = None,
              permissions: int = 0o666) -> RawFile: ...
@overload
def open_file(path: FileDescriptorOrPath, mode: OpenBinaryMode, buffering: int = -1,
              encoding: None = None, errors: None = None, newline: None = None,
              *, closefd: bool = True, opener: Opener | None = None, dir_fd: int | None = None,
              permissions: int = 0o666) -> BinaryFile: ...
@overload
def open_file(path: FileDescriptorOrPath, mode: str, buffering: int = -1,
              encoding: str | None = None, errors: str | None = None, newline: str | None = None,
              *, closefd: bool = True, opener: Opener | None = None, dir_fd: int | None = None,
              permissions: int = 0o666) -> Any: ...
def open_file(path: FileDescriptorOrPath, mode: str = "r", buffering: int = -1,
              encoding: str | None = None, errors: str | None = None, newline: str | None = None,
              *, closefd: bool = True, opener: Opener | None = None, dir_fd: int | None = None,
              permissions: int = 0o666) -> Any:
    asked = opening.request(path, mode, buffering, encoding, errors, newline, closefd, opener,
                            dir_fd, permissions)
    file = drive(opening.opened(asked))
    return FACES[type(file)](file)


open_file.__doc__ = (opening.open_file.__doc__ or "").replace(
    "`async with open_file(path) as file:`, or `await` it", "`with open_file(path) as file:`")
