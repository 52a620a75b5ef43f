"""Binary files: buffered, and raw (one system call for each call).

Reading ahead fills `_buf`, of which `_at` bytes are taken; the descriptor stands behind its end.
Writing fills `_out`, which follows where the descriptor stands. Never are there both.

A call that fails or is cancelled takes nothing with it: what it had read goes back to the buffer,
and the position is where it was.

Knows descriptors; does not know text.
"""

from __future__ import annotations

import os
from io import UnsupportedOperation
from typing import TYPE_CHECKING, Any

from ringmill.files.base import AsyncFile
from ringmill.files.descriptor import Descriptor
from ringmill.files.serial import Turn

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

BUFFER_SIZE = 1 << 16  # bytes; an op costs as much as copying these
GROW_MAX = 1 << 20     # bytes read at once when nobody knows how many there are
NOT_SEEKABLE = "File or stream is not seekable."


def sized(n: int | None) -> int:
    if n is None:
        return -1
    if n < -1:
        raise ValueError("read length must be non-negative or -1")
    return n


class AsyncRawFile(AsyncFile[bytes]):
    """An unbuffered binary file: each call is one system call, and may do less than asked."""

    def __init__(self, d: Descriptor, turn: Turn | None = None) -> None:
        self._d = d
        self._turn = Turn() if turn is None else turn

    async def read(self, n: int | None = -1, /) -> bytes:
        """Up to `n` bytes, by one read; without `n`, all there are. b"" at the end."""
        n = sized(n)
        return await self._alone(self._read, n)

    async def _read(self, n: int) -> bytes:
        self._d.check_readable()
        return await (read_all(self._d) if n < 0 else self._d.read(n))

    async def readall(self) -> bytes:
        return await self.read()

    async def readinto(self, buffer: WriteableBuffer, /) -> int:
        return await self._alone(self._readinto, buffer)

    async def _readinto(self, buffer: WriteableBuffer) -> int:
        self._d.check_readable()
        return await self._d.readinto(buffer)

    async def readline(self, size: int | None = -1, /) -> bytes:
        """Byte by byte, since nothing can be given back. Buffered files are faster at it."""
        limit = -1 if size is None else size
        return await self._alone(self._readline, limit)

    async def _readline(self, limit: int) -> bytes:
        self._d.check_readable()
        line = bytearray()
        while not line.endswith(b"\n") and len(line) != limit:
            byte = await self._d.read(1)
            if not byte:
                break
            line += byte
        return bytes(line)

    async def write(self, data: ReadableBuffer, /) -> int:
        """One write; the number of bytes that were taken, which may be less."""
        return await self._alone(self._write, data)

    async def _write(self, data: ReadableBuffer) -> int:
        self._d.check_writable()
        return await self._d.write(data)

    async def seek(self, offset: int, whence: int = 0, /) -> int:
        return await self._alone(self._seek, offset, whence)

    async def _seek(self, offset: int, whence: int) -> int:
        return self._d.seek(offset, whence)

    async def tell(self) -> int:
        return await self._alone(self._tell)

    async def _tell(self) -> int:
        return self._d.tell()

    async def truncate(self, size: int | None = None, /) -> int:
        return await self._alone(self._truncate, size)

    async def _truncate(self, size: int | None) -> int:
        if not self._d.mode.writable:
            raise UnsupportedOperation("truncate")
        size = self._d.tell() if size is None else size
        await self._d.truncate(size)
        return size


async def read_all(d: Descriptor) -> bytes:
    """Everything from here to the end; what was read goes to nobody when it fails: see give."""
    pieces: list[bytes] = []
    try:
        await read_pieces(d, pieces)
    except BaseException:
        if d.place is not None:
            d.place -= sum(map(len, pieces))
        raise
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def read_pieces(d: Descriptor, pieces: list[bytes]) -> None:
    """Read until the end, however much the size that is known turns out to be wrong."""
    size = min(d.size_left() + 1, 1 << 30) if d.seekable else BUFFER_SIZE
    size = max(size, BUFFER_SIZE >> 4)
    while data := await d.read(size):
        pieces.append(data)
        # The size was a hint: a pipe, /proc, a file that grows.
        size = min(max(size, BUFFER_SIZE, 2 * len(data)), GROW_MAX) if len(data) == size else (
            min(size, BUFFER_SIZE))


class AsyncBinaryFile(AsyncFile[bytes]):
    """A buffered binary file: reads and writes what was asked, as large as it is."""

    def __init__(self, d: Descriptor, size: int) -> None:
        self._d = d
        self._turn = Turn()
        self._size = size
        self._buf = b""
        self._at = 1  # behind the end: nothing can be taken from it, not even nothing
        self._out = bytearray()
        self._room = size if d.mode.writable else -1

    def detach(self) -> AsyncRawFile:
        """The raw file. This object can do nothing any more; what is buffered must be flushed."""
        self._d.check_open()
        if self._out or self._turn.busy:
            raise ValueError("flush before you detach, when nobody else uses the file")
        self._rewind()
        self._forget()
        return AsyncRawFile(self._d_moved(), self._turn)

    def _d_moved(self) -> Descriptor:
        return self._d.moved("raw stream has been detached")

    def fileno(self) -> int:
        fd = super().fileno()
        self._rewind()
        return fd

    # ── reading ──

    def _ready(self, n: int) -> bytes | None:
        """`n` bytes, when they are in the buffer and nobody is in the middle of a call."""
        end = self._at + n
        if 0 <= n and end <= len(self._buf) and not self._turn.busy:
            data = self._buf[self._at:end]
            self._at = end
            return data
        return None

    def _line_ready(self) -> bytes | None:
        end = self._buf.find(b"\n", self._at) + 1
        if end and not self._turn.busy:
            line = self._buf[self._at:end]
            self._at = end
            return line
        return None

    def _left(self) -> int:
        return max(0, len(self._buf) - self._at)

    def _take(self, n: int) -> bytes:
        """Up to `n` bytes of the buffer."""
        data = self._buf[self._at:self._at + n]
        self._at += len(data)
        return data

    def _give_back(self, data: bytes) -> None:
        self._buf = data + self._buf[self._at:]
        self._at = 0

    async def _to_read(self) -> None:
        self._d.check_readable()
        if self._out:
            await self._flush()

    async def _fill(self) -> int:
        """Read ahead once, into an empty buffer; the number of bytes, 0 at the end."""
        self._buf = await self._d.read(self._size)
        self._at = 0
        return len(self._buf)

    async def read(self, n: int | None = -1, /) -> bytes:
        """`n` bytes, or all there are; fewer only at the end."""
        if n is not None and (data := self._ready(n)) is not None:
            return data
        return await self._alone(self._read, sized(n))

    async def _read(self, n: int) -> bytes:
        await self._to_read()
        if n < 0:
            return await self._read_all()
        if self._left() >= n:
            return self._take(n)
        pieces = [self._take(n)]
        missing = n - len(pieces[0])
        try:
            while missing:
                if missing >= self._size:
                    pieces.append(await self._d.read(missing))
                else:
                    await self._fill()
                    pieces.append(self._take(missing))
                missing -= len(pieces[-1])
                if not pieces[-1]:
                    break
        except BaseException:
            self._give_back(b"".join(pieces))
            raise
        return pieces[1] if len(pieces) == 2 and not pieces[0] else b"".join(pieces)

    async def _read_all(self) -> bytes:
        pieces = [data] if (data := self._take(self._left())) else []
        try:
            await read_pieces(self._d, pieces)
        except BaseException:
            self._give_back(b"".join(pieces))
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read1(self, n: int | None = -1, /) -> bytes:
        """Up to `n` bytes, by one read at most; b"" at the end (or for 0)."""
        n = self._size if n is None or n < 0 else n
        return await self._alone(self._read1, n)

    async def _read1(self, n: int) -> bytes:
        await self._to_read()
        if not self._left() and n:
            if n >= self._size:
                return await self._d.read(n)
            await self._fill()
        return self._take(n)

    async def peek(self, n: int = 0, /) -> bytes:
        """What is buffered, of which nothing is taken; after one read when that is nothing."""
        return await self._alone(self._peek)

    async def _peek(self) -> bytes:
        await self._to_read()
        if not self._left():
            await self._fill()
        return self._buf[self._at:]

    async def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer`; the number of bytes, fewer than it has only at the end."""
        return await self._alone(self._readinto, buffer, False)

    async def readinto1(self, buffer: WriteableBuffer, /) -> int:
        """Like readinto, by one read at most."""
        return await self._alone(self._readinto, buffer, True)

    async def _readinto(self, buffer: WriteableBuffer, once: bool) -> int:
        await self._to_read()
        with memoryview(buffer) as given, given.cast("B") as room:
            data = self._take(len(room))
            done = len(data)
            room[:done] = data
            try:
                while done < len(room) and not (once and done):
                    if len(room) - done >= self._size:
                        with room[done:] as rest:
                            count = await self._d.readinto(rest)
                    else:
                        await self._fill()
                        data = self._take(len(room) - done)
                        count = len(data)
                        room[done:done + count] = data
                    done += count
                    if not count:
                        break
            except BaseException:
                self._give_back(bytes(room[:done]))
                raise
        return done

    async def readline(self, size: int | None = -1, /) -> bytes:
        """To the next line end, which is part of it; or `size` bytes of it."""
        limit = -1 if size is None else size
        if limit < 0 and (line := self._line_ready()) is not None:
            return line
        return await self._alone(self._readline, limit)

    async def _readline(self, limit: int) -> bytes:
        await self._to_read()
        pieces: list[bytes] = []
        total = 0
        try:
            while total != limit:
                if not self._left() and not await self._fill():
                    break
                end = self._buf.find(b"\n", self._at) + 1
                size = (end or len(self._buf)) - self._at
                pieces.append(self._take(size if limit < 0 else min(size, limit - total)))
                total += len(pieces[-1])
                if pieces[-1].endswith(b"\n"):
                    break
        except BaseException:
            self._give_back(b"".join(pieces))
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # ── writing ──

    def _accept(self, data: Any) -> bool:
        """Take what fits into the buffer, when nobody is in the middle of a call."""
        if (len(self._out) + len(data) > self._room or self._at < len(self._buf)
                or self._turn.busy):
            return False
        if self._buf:
            self._buf, self._at = b"", 1
        self._out += data
        return True

    async def write(self, data: ReadableBuffer, /) -> int:
        """All of `data`, into the buffer or through it.

        When it raises, none of it is in the buffer; of what is larger than that, a part may have
        reached a pipe. In a file, it lies behind the position, where the next try writes.
        """
        if isinstance(data, bytes):
            if not self._accept(data):
                await self._alone(self._write, data)
            return len(data)
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        with memoryview(data) as given, given.cast("B") as view:
            if not self._accept(view):
                await self._alone(self._write, view)
            return len(view)

    async def _write(self, data: bytes | memoryview) -> None:
        self._d.check_writable()
        self._rewind()
        if len(self._out) + len(data) > self._size:
            await self._flush()
        if len(data) >= self._size:
            await self._write_through(data)
        else:
            self._out += data

    async def _write_through(self, data: bytes | memoryview) -> None:
        place = self._d.place
        done = 0
        try:
            with memoryview(data) as whole:
                while done < len(whole):
                    with whole[done:] as rest:
                        done += await self._d.write(rest)
        except BaseException:
            self._d.place = place
            raise

    async def _flush(self) -> None:
        """What could not be written stays in the buffer."""
        done = 0
        try:
            with memoryview(self._out) as whole:
                while done < len(whole):
                    with whole[done:] as rest:
                        done += await self._d.write(rest)
        finally:
            del self._out[:done]

    def _rewind(self) -> None:
        """Forget what was read ahead: the descriptor stands where we do."""
        left = self._left()
        self._buf, self._at = b"", 1
        if left:
            self._d.seek(-left, os.SEEK_CUR)

    # ── positions ──

    async def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to `offset` from the beginning, from here (1) or from the end (2); bytes from the
        beginning."""
        return await self._alone(self._seek, offset, whence)

    async def _seek(self, offset: int, whence: int) -> int:
        if not self._d.seekable:
            raise UnsupportedOperation(NOT_SEEKABLE)
        if self._out:
            await self._flush()
        place = self._d.place
        if place is not None and self._buf and whence in (os.SEEK_SET, os.SEEK_CUR):
            target = offset if whence == os.SEEK_SET else self._tell() + offset
            begin = place - len(self._buf)
            if begin <= target <= place:
                self._at = target - begin
                return target
        if whence == os.SEEK_CUR:
            offset -= self._left()
        at = self._d.seek(offset, whence)
        self._buf, self._at = b"", 1
        return at

    async def tell(self) -> int:
        """Bytes from the beginning."""
        return await self._alone(self._told)

    async def _told(self) -> int:
        return self._tell()

    def _tell(self) -> int:
        return self._d.tell() - self._left() + len(self._out)

    async def truncate(self, size: int | None = None, /) -> int:
        """Cut the file to `size` bytes, or here; or let it grow, with zeros. The position stays."""
        return await self._alone(self._truncate, size)

    async def _truncate(self, size: int | None) -> int:
        if not self._d.mode.writable:
            raise UnsupportedOperation("truncate")
        await self._flush()
        self._rewind()
        size = self._d.tell() if size is None else size
        await self._d.truncate(size)
        return size

    # ── its end ──

    def _forget(self) -> None:
        self._buf, self._at = b"", 1
        self._out = bytearray()
        self._room = -1

    def _write_now(self) -> None:
        out, self._out = self._out, bytearray()
        if out:
            self._d.write_now(out)
