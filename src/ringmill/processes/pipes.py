"""Our ends of a program's pipes: read from its output, write to its input; in both faces.

What was read and not asked for yet stays, through cancels as well: nothing is lost between two
calls. One fiber or task at a time reads from an end, or writes to it.

Knows pipes and text; does not know whose they are.
"""

from __future__ import annotations

import codecs
import io
import locale
import os
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ringmill.errors import IncompleteRead
from ringmill.face.composite import call_face
from ringmill.face.owned import Owned
from ringmill.face.spawn import drive
from ringmill.ops import aio

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PIECE = 1 << 16  # what a pipe holds: more never comes at once


class Text(NamedTuple):
    """How bytes become text: line ends become "\\n", as in files opened as text."""

    encoding: str
    errors: str

    @classmethod
    def asked(cls, text: bool | None, encoding: str | None, errors: str | None) -> Text | None:
        """What subprocess makes of these arguments; None: bytes stay bytes."""
        if not (text or encoding or errors):
            return None
        found = cls(encoding or locale.getpreferredencoding(False), errors or "strict")
        codecs.lookup(found.encoding)  # refuses what does not exist, before anything begins
        return found

    def decoder(self) -> io.IncrementalNewlineDecoder:
        decoder = codecs.getincrementaldecoder(self.encoding)(self.errors)
        return io.IncrementalNewlineDecoder(decoder, translate=True)


class PipeEnd(Owned):
    """A descriptor that is ours to close."""

    what = "this pipe"

    def __init__(self, fd: int, text: Text | None) -> None:
        super().__init__(fd)
        self._text = text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._fd if self._fd >= 0 else 'closed'}>"

    def __del__(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            warnings.warn(f"the pipe {fd} was not closed", ResourceWarning, stacklevel=2)
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self.close()


class Source(PipeEnd):
    """What both faces of a reader share. `_held`: the pieces of a line whose end has not come;
    `_rest` from `_at` on: what came after it."""

    doing = "reading from"

    def __init__(self, fd: int, text: Text | None) -> None:
        super().__init__(fd, text)
        self._decoder = text.decoder() if text else None
        self._nothing: Any = "" if text else b""
        self._newline: Any = "\n" if text else b"\n"
        self._held: list[Any] = []
        self._rest = self._nothing
        self._at = 0
        self._ended = False

    def _decode(self, data: bytes, final: bool) -> Any:
        return self._decoder.decode(data, final) if self._decoder else data

    async def _take_in(self) -> bytes:
        """The next bytes, as they come; b"" at the end."""
        self._check_alone()
        return await self._wait(aio.read(self._fd, PIECE))

    def _finish(self, data: bytes) -> Any:
        """All that was not asked for yet, when `data` is what came last, up to the end."""
        self._gather()
        self._ended = True
        return self._take(len(self._rest)) + self._decode(data, True)

    async def _more(self) -> bool:
        """Have something in `_rest`, which is empty; False at the end."""
        while not self._ended:
            data = await self._take_in()
            self._ended = not data
            self._rest, self._at = self._decode(data, not data), 0
            if self._rest:
                return True
        return False

    def _gather(self) -> None:
        """Bring together what a readline() that was cancelled had held."""
        if self._held:
            self._held.append(self._rest[self._at:])
            self._rest, self._at = self._nothing.join(self._held), 0
            self._held = []

    def _take(self, end: int) -> Any:
        piece = self._rest[self._at:end]
        self._at = min(end, len(self._rest))
        if self._at == len(self._rest):
            self._rest, self._at = self._nothing, 0
        return piece

    async def _read(self, n: int | None = None) -> Any:
        """What there is, 1 to `n` bytes or characters, waiting for the first; empty at the end.

        None: everything until the end.
        """
        self._check_alone()
        if n is None:
            await self._hold_until(None)
            held, self._held = self._held, []
            return self._nothing.join(held)
        if n < 1:
            raise ValueError(f"1 or more can be read, not {n}")
        self._gather()
        if not self._rest:
            await self._more()
        return self._take(self._at + n)

    async def _hold_until(self, n: int | None) -> bool:
        """Move what comes to `_held` until it is `n` long (None: until the end); whether it is."""
        size = sum(map(len, self._held))
        while n is None or size < n:
            if self._rest:
                piece = self._take(len(self._rest) if n is None else self._at + n - size)
                self._held.append(piece)
                size += len(piece)
            elif not await self._more():
                return False
        return True

    async def _read_exactly(self, n: int) -> Any:
        """Exactly `n` bytes or characters; IncompleteRead, with what came, when the end is first.

        """
        self._check_alone()
        if n < 0:
            raise ValueError(f"0 or more can be read, not {n}")
        self._gather()
        complete = await self._hold_until(n)
        data, self._held = self._nothing.join(self._held), []
        if not complete:
            raise IncompleteRead(data, n)
        return data

    async def _readline(self, limit: int | None = None) -> Any:
        """The next line with its end; empty at the end of all. The last may lack its "\\n".

        limit: give at most so many bytes or characters of a longer line; the rest comes next.
        """
        self._check_alone()
        if limit is not None and limit < 1:
            raise ValueError(f"a limit is 1 or more, not {limit}")
        self._gather()
        size = 0
        while True:
            end = len(self._rest) if limit is None else self._at + limit - size
            place = self._rest.find(self._newline, self._at, end)
            if place >= 0:
                end = place + 1
            piece = self._take(end)
            if piece:
                self._held.append(piece)
                size += len(piece)
            if place >= 0 or size == limit or not (self._rest or await self._more()):
                line, self._held = self._nothing.join(self._held), []
                return line


class PipeReader(Source):
    """The output of a program: an iterator over its lines. In text mode str, else bytes."""

    read = call_face(Source._read)
    read_exactly = call_face(Source._read_exactly)
    readline = call_face(Source._readline)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        line = drive(self._readline())
        if not line:
            raise StopIteration
        return line


class AsyncPipeReader(Source):
    """The output of a program: an asynchronous iterator over its lines. In text mode str."""

    read = Source._read
    read_exactly = Source._read_exactly
    readline = Source._readline

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        line = await self._readline()
        if not line:
            raise StopAsyncIteration
        return line


class Sink(PipeEnd):
    """What both faces of a writer share."""

    doing = "writing to"

    def _encode(self, data: Any) -> Any:
        if self._text is None:
            return data
        if not isinstance(data, str):
            raise TypeError(f"this pipe takes str, not {type(data).__name__}: it is in text mode")
        return data.encode(*self._text)

    async def _write(self, data: ReadableBuffer) -> int:
        """Write bytes; how many it took, which may be fewer. BrokenPipeError: nobody reads."""
        self._check_alone()
        if self._text is not None:
            raise TypeError("in text mode, write_all is the one to write with")
        return await self._wait(aio.write(self._fd, data))

    async def _write_all(self, data: ReadableBuffer | str) -> None:
        """Write all of it, waiting as often as that takes. When it raises, a part may be written.

        """
        self._check_alone()
        await self._wait(aio.write_all(self._fd, self._encode(data)))


class PipeWriter(Sink):
    """The input of a program; close() tells it that no more will come."""

    write = call_face(Sink._write)
    write_all = call_face(Sink._write_all)


class AsyncPipeWriter(Sink):
    """The input of a program; close() tells it that no more will come."""

    write = Sink._write
    write_all = Sink._write_all
