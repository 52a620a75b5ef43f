"""Text files: characters over a buffered binary file, with io's own decoders and line ends.

Bytes are taken from the binary file in chunks; `_text` is what the last one made, of which `_used`
characters are taken. `_before` and `_chunk` say what it was made of: the decoder's flags before
it, and its bytes; from these a position can be told. A call that fails or is cancelled gives its
chunks back to the binary file.

Knows binary files, codecs and cookies.
"""

from __future__ import annotations

import codecs
import io
import os
from io import UnsupportedOperation
from typing import cast

from ringmill.files.base import AsyncFile
from ringmill.files.binary import AsyncBinaryFile
from ringmill.files.cookie import Decoder, Place, locate, pack, unpack

CHUNK = 8192  # bytes decoded at once: what tell() may have to decode again
NEWLINES = (None, "", "\n", "\r", "\r\n")
# Encodings whose encoder has no state, by the names that codecs gives them.
STATELESS = ("utf-8", "ascii", "iso8859-1")


class Mark:
    """All that is between the binary file and the next character."""

    __slots__ = ("before", "chunk", "decoder", "text", "used")

    def __init__(self, file: AsyncTextFile) -> None:
        self.text = file._text
        self.used = file._used
        self.before = file._before
        self.chunk = file._chunk
        self.decoder = file._decoder.getstate()


class AsyncTextFile(AsyncFile[str]):
    """A text file. Positions (`tell`, `seek`) are numbers that only it understands, as in io."""

    def __init__(self, buffer: AsyncBinaryFile, encoding: str, errors: str | None,
                 newline: str | None, *, line_buffering: bool = False) -> None:
        check_newline(newline)
        info = codecs.lookup(encoding)
        if not getattr(info, "_is_text_encoding", True):
            raise LookupError(f"{encoding!r} is not a text encoding")
        self.errors = errors = "strict" if errors is None else errors
        if not isinstance(errors, str):
            raise TypeError(f"errors is a str, not {type(errors).__name__}")
        codecs.lookup_error(errors)
        self.buffer = buffer
        self._d = buffer._d
        self._turn = buffer._turn
        self.encoding = encoding
        self.line_buffering = line_buffering
        mode = buffer._d.mode
        if mode.readable:
            decoder = codecs.getincrementaldecoder(encoding)(errors)
            self._decoder = cast(Decoder, io.IncrementalNewlineDecoder(
                decoder, newline is None) if not newline else decoder)
        self._end = newline or "\n"      # that by which lines end, when there is one
        self._any_end = newline == ""    # …, or any of the three does
        self._line_end = newline if newline in ("\r", "\r\n") else ""  # what "\n" is written as
        self._plain = info.name in STATELESS and mode.writable
        self._encoder = codecs.getincrementalencoder(encoding)(errors)
        if mode.writable and self._d.seekable and self._d.tell():
            self._encoder.setstate(0)  # no byte order mark in the middle
        self._text = ""
        self._used = 1  # behind the end, see AsyncBinaryFile
        self._before = 0
        self._chunk: bytes | None = None

    @property
    def newlines(self) -> str | tuple[str, ...] | None:
        """The line ends that were met so far, where they are translated or any of them ends one."""
        decoder = getattr(self, "_decoder", None)
        return cast("str | tuple[str, ...] | None", getattr(decoder, "newlines", None))

    def fileno(self) -> int:
        return self.buffer.fileno()

    def detach(self) -> AsyncBinaryFile:
        """The binary file, which stands behind the chunk that was decoded last."""
        self._d.check_open()
        if self._turn.busy:
            raise ValueError("detach when nobody else uses the file")
        buffer = self.buffer
        self._forget_text()
        buffer._d = self._d.moved("underlying buffer has been detached")
        self.buffer = AsyncBinaryFile(self._d, 1)
        self.buffer._forget()
        return buffer

    def __del__(self) -> None:
        """The binary file sees to it."""

    # ── reading ──

    async def _next_chunk(self) -> bool:
        """Decode the next chunk, instead of the one there is; False at the end."""
        decoder = self._decoder
        state = decoder.getstate()
        data = await self.buffer._read1(CHUNK)
        try:
            self._text = decoder.decode(data, not data)
        except BaseException:
            decoder.setstate(state)
            self.buffer._give_back(data)
            raise
        self._used = 0
        self._before = state[1]
        self._chunk = state[0] + data
        return bool(data)

    def _back_to(self, mark: Mark, chunks: list[bytes]) -> None:
        """Undo the reading of `chunks`."""
        self.buffer._give_back(b"".join(chunks))
        self._text, self._used = mark.text, mark.used
        self._before, self._chunk = mark.before, mark.chunk
        self._decoder.setstate(mark.decoder)

    def _ready(self, n: int) -> str | None:
        """`n` characters, when they are in the text and nobody is in the middle of a call."""
        end = self._used + n
        if 0 <= n and end <= len(self._text) and not self._turn.busy:
            text = self._text[self._used:end]
            self._used = end
            return text
        return None

    async def read(self, n: int | None = -1, /) -> str:
        """`n` characters, or all there are; fewer only at the end."""
        n = -1 if n is None else n.__index__()
        if (text := self._ready(n)) is not None:
            return text
        return await self._alone(self._read, n)

    async def _read(self, n: int) -> str:
        self._d.check_readable()
        if n < 0:
            return await self._read_all()
        mark = Mark(self)
        chunks: list[bytes] = []
        pieces = [self._text[self._used:self._used + n]]
        self._used += len(pieces[0])
        missing = n - len(pieces[0])
        try:
            while missing:
                more = await self._chunk_into(chunks)
                pieces.append(self._text[:missing])
                self._used = len(pieces[-1])
                missing -= self._used
                if not more:
                    break
        except BaseException:
            self._back_to(mark, chunks)
            raise
        return "".join(pieces)

    async def _chunk_into(self, chunks: list[bytes]) -> bool:
        """The next chunk; what it took from the binary file is noted in `chunks`."""
        held = len(self._decoder.getstate()[0])
        more = await self._next_chunk()
        chunks.append((self._chunk or b"")[held:])
        return more

    async def _read_all(self) -> str:
        data = await self.buffer._read(-1)
        decoder = self._decoder
        state = decoder.getstate()
        try:
            rest = decoder.decode(data, True)
        except BaseException:
            decoder.setstate(state)
            self.buffer._give_back(data)
            raise
        text = self._text[self._used:] + rest
        self._text, self._used, self._chunk = "", 0, None
        return text

    def _line_ready(self) -> str | None:
        """The next line, when it is in the text and nobody is in the middle of a call."""
        if self._turn.busy:
            return None
        used = self._used
        if self._any_end:
            end = line_end(self._text, used)
        else:
            end = self._text.find(self._end, used)
            if end >= 0:
                end += len(self._end)
        if end < 0:
            return None
        self._used = end
        return self._text[used:end]

    async def readline(self, size: int | None = -1, /) -> str:
        """To the next line end, which is part of it; or `size` characters of it."""
        limit = -1 if size is None else size.__index__()
        if limit < 0 and (line := self._line_ready()) is not None:
            return line
        return await self._alone(self._readline, limit)

    async def _readline(self, limit: int) -> str:
        self._d.check_readable()
        mark = Mark(self)
        chunks: list[bytes] = []
        pieces: list[str] = []
        total = 0
        last = ""  # of the pieces: a "\r" that a "\n" may follow
        try:
            while total != limit:
                if self._used >= len(self._text):
                    more = await self._chunk_into(chunks)
                    if not self._text:
                        if not more:
                            break
                        continue
                used = self._used
                end = self._find_end(last)
                stop = len(self._text) if end < 0 else end
                if limit >= 0:
                    stop = min(stop, used + limit - total)
                pieces.append(self._text[used:stop])
                self._used = stop
                total += stop - used
                last = pieces[-1][-1:]
                if stop == end:
                    break
        except BaseException:
            self._back_to(mark, chunks)
            raise
        return pieces[0] if len(pieces) == 1 else "".join(pieces)

    def _find_end(self, last: str) -> int:
        """Behind the next line end, or -1; `last` is the character before."""
        if self._any_end:
            return line_end(self._text, self._used)
        if self._end == "\r\n" and last == "\r" and self._text.startswith("\n", self._used):
            return self._used + 1
        end = self._text.find(self._end, self._used)
        return end if end < 0 else end + len(self._end)

    # ── writing ──

    def _encoded(self, text: str) -> bytes:
        if self._line_end:
            text = text.replace("\n", self._line_end)
        return text.encode(self.encoding, self.errors) if self._plain else (
            self._encoder.encode(text))

    async def write(self, text: str, /) -> int:
        """All of `text`; the number of characters."""
        if not self._accept(text):
            await self._alone(self._write, text)
        return len(text)

    def _accept(self, text: str) -> bool:
        """Take what fits into the buffer, when nobody is in the middle of a call."""
        if not isinstance(text, str):
            raise TypeError(f"a str is written to a text file, not {type(text).__name__}")
        return (self._plain and self._chunk is None and not self.line_buffering
                and self.buffer._accept(self._encoded(text)))

    async def _write(self, text: str) -> None:
        self._d.check_writable()
        state = None if self._plain else self._encoder.getstate()
        try:
            await self.buffer._write(self._encoded(text))
        except BaseException:
            if state is not None:
                self._encoder.setstate(state)
            raise
        if self._d.mode.readable:
            self._forget_text()
            self._decoder.reset()
        if self.line_buffering and ("\n" in text or "\r" in text):
            await self._flush()

    async def _flush(self) -> None:
        await self.buffer._flush()

    # ── positions ──

    async def tell(self) -> int:
        """A number for seek(): where the next character begins."""
        return await self._alone(self._told)

    async def _told(self) -> int:
        return self._tell()

    def _tell(self) -> int:
        if not self._d.seekable:
            raise UnsupportedOperation("underlying stream is not seekable")
        behind = self.buffer._tell()
        if self._chunk is None or not self._d.mode.readable:
            return behind
        begin = behind - len(self._chunk)
        place = locate(self._decoder, self._before, self._chunk, self._used)
        return pack(place._replace(position=begin + place.position))

    async def seek(self, cookie: int, whence: int = 0, /) -> int:
        """Go to what tell() said, or to the beginning (0); with whence 2 and 0 to the end."""
        return await self._alone(self._seek, cookie.__index__(), whence)

    async def _seek(self, cookie: int, whence: int) -> int:
        if not self._d.seekable:
            raise UnsupportedOperation("underlying stream is not seekable")
        if whence == os.SEEK_CUR:
            if cookie:
                raise UnsupportedOperation("can't do nonzero cur-relative seeks")
            cookie, whence = self._tell(), os.SEEK_SET
        if whence == os.SEEK_END:
            if cookie:
                raise UnsupportedOperation("can't do nonzero end-relative seeks")
            at = await self.buffer._seek(0, os.SEEK_END)
            self._decode_from(Place(at))
            return at
        if whence != os.SEEK_SET:
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        if cookie < 0:
            raise ValueError(f"negative seek position {cookie}")
        place = unpack(cookie)
        await self.buffer._seek(place.position, os.SEEK_SET)
        self._decode_from(place)
        if place.skip:
            await self._skip(place.skip)
        return cookie

    async def _skip(self, n: int) -> None:
        """Take `n` characters that begin where a position says, in the middle of something."""
        more = await self._next_chunk()
        while n > len(self._text):
            if not more:
                raise OSError("can't restore logical file position")
            n -= len(self._text)
            more = await self._next_chunk()
        self._used = n

    def _decode_from(self, place: Place) -> None:
        """Nothing is decoded; the binary file stands at `place`."""
        self._forget_text()
        if self._d.mode.readable:
            if place.position or place.flags:
                self._decoder.setstate((b"", place.flags))  # in the middle: no byte order mark
            else:
                self._decoder.reset()
        if place != (0, 0, 0):
            self._encoder.setstate(0)
        else:
            self._encoder.reset()

    async def truncate(self, size: int | None = None, /) -> int:
        """Cut the file to `size` bytes, or where the binary file stands; the position stays."""
        return await self._alone(self.buffer._truncate, size)

    def _forget_text(self) -> None:
        self._text, self._used, self._chunk = "", 1, None

    def _forget(self) -> None:
        self._forget_text()
        self.buffer._forget()


def check_newline(newline: str | None) -> None:
    if newline is not None and not isinstance(newline, str):
        raise TypeError(f"newline is a str or None, not {type(newline).__name__}")
    if newline not in NEWLINES:
        raise ValueError(f"illegal newline value: {newline!r}")


def line_end(text: str, start: int) -> int:
    r"""Behind the first "\n", "\r" or "\r\n" from `start` on; -1 without one."""
    feed = text.find("\n", start)
    back = text.find("\r", start, feed if feed >= 0 else len(text))
    if back < 0:
        return feed + 1 if feed >= 0 else -1
    return back + 2 if back + 1 == feed else back + 1
