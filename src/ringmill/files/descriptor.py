"""An open descriptor: where it stands, what it is called in errors, its reads and writes.

A file that we opened by name has a position of ours, and its reads and writes give offsets: a
cancelled one has moved nothing. Once somebody else may see the descriptor (it was given to us, or
fileno() was asked for), the file's own position counts, as it does for `io`: whoever shares the
descriptor goes on where we stopped. So it does where the kernel has to find the end (appending).

Knows ops; does not know buffers.
"""

from __future__ import annotations

import errno
import os
import select
from io import UnsupportedOperation
from typing import TYPE_CHECKING, Any

from ringmill.files.mode import Mode
from ringmill.ops import aio

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

CLOSED = "I/O operation on closed file."


class Descriptor:
    """`fd` is -1 once it is closed; `place` is our position, None where the file's own counts."""

    __slots__ = ("closefd", "fd", "gone", "mode", "name", "place", "seekable")

    def __init__(self, fd: int, name: Any, mode: Mode, *, closefd: bool, ours: bool) -> None:
        self.fd = fd
        self.name = name
        self.mode = mode
        self.closefd = closefd
        self.gone = CLOSED
        try:
            at = os.lseek(fd, 0, os.SEEK_END if mode.appending else os.SEEK_CUR)
            self.seekable = True
        except OSError:
            at = 0
            self.seekable = False
        self.place = at if self.seekable and ours and not mode.appending else None

    # ── asking ──

    def check_open(self) -> None:
        if self.fd < 0:
            raise ValueError(self.gone)

    def check_readable(self) -> None:
        self.check_open()
        if not self.mode.readable:
            raise UnsupportedOperation("not readable")

    def check_writable(self) -> None:
        self.check_open()
        if not self.mode.writable:
            raise UnsupportedOperation("not writable")

    def fileno(self) -> int:
        """From here on somebody else may move the file's own position: it becomes ours as well."""
        self.check_open()
        if self.place is not None:
            os.lseek(self.fd, self.place, os.SEEK_SET)
            self.place = None
        return self.fd

    def size_left(self) -> int:
        """Bytes from here to the end, as far as anybody knows; a hint."""
        if not self.seekable:
            return 0
        return max(0, os.fstat(self.fd).st_size - self.tell())

    def tell(self) -> int:
        if self.place is not None:
            return self.place
        if not self.seekable:
            self.check_open()
            raise UnsupportedOperation("File or stream is not seekable.")
        return os.lseek(self.fd, 0, os.SEEK_CUR)

    def seek(self, offset: int, whence: int) -> int:
        """lseek(2), which never waits for a disk."""
        if not self.seekable:
            self.check_open()
            raise UnsupportedOperation("File or stream is not seekable.")
        if self.place is not None and whence == os.SEEK_CUR:
            offset, whence = self.place + offset, os.SEEK_SET
        at = os.lseek(self.fd, offset, whence)
        if self.place is not None:
            self.place = at
        return at

    # ── moving bytes ──

    async def read(self, n: int) -> bytes:
        """One read; b"" at the end."""
        while True:
            try:
                data = await aio.read(self.fd, n, offset=self.place)
                break
            except BlockingIOError:  # somebody made it non-blocking; we wait all the same
                await aio.poll(self.fd, select.POLLIN)
            except OSError as error:
                raise self.named(error) from None
        if self.place is not None:
            self.place += len(data)
        return data

    async def readinto(self, buffer: WriteableBuffer) -> int:
        while True:
            try:
                count = await aio.readinto(self.fd, buffer, offset=self.place)
                break
            except BlockingIOError:
                await aio.poll(self.fd, select.POLLIN)
            except OSError as error:
                raise self.named(error) from None
        if self.place is not None:
            self.place += count
        return count

    async def write(self, data: ReadableBuffer) -> int:
        """One write; the number of bytes that were taken."""
        shared = self.place is None and self.seekable and not self.mode.appending
        before = os.lseek(self.fd, 0, os.SEEK_CUR) if shared else 0
        while True:
            try:
                count = await aio.write(self.fd, data, offset=self.place)
                break
            except BlockingIOError:
                await aio.poll(self.fd, select.POLLOUT)
            except OSError as error:
                raise self.named(error) from None
        if self.place is not None:
            self.place += count
        elif shared and os.lseek(self.fd, 0, os.SEEK_CUR) == before:
            # What Linux forgets when a worker goes on with a short write, and fails (disk full).
            os.lseek(self.fd, before + count, os.SEEK_SET)
        return count

    async def truncate(self, size: int) -> None:
        if size < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), self.name)
        try:
            await aio.ftruncate(self.fd, size)
        except OSError as error:
            raise self.named(error) from None

    async def close(self) -> None:
        """Whatever happens, the descriptor is closed afterwards."""
        fd, self.fd = self.fd, -1
        if fd >= 0 and self.closefd:
            try:
                await aio.close(fd)
            except OSError as error:
                raise self.named(error) from None

    # ── without a machine: in a finaliser nobody may wait ──

    def write_now(self, data: bytes | bytearray) -> None:
        done = 0
        with memoryview(data) as whole:
            while done < len(whole):
                if self.place is None:
                    done += os.write(self.fd, whole[done:])
                else:
                    done += os.pwrite(self.fd, whole[done:], self.place + done)

    def close_now(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0 and self.closefd:
            os.close(fd)

    def named(self, error: OSError) -> OSError:
        """The error, which says what file it is about."""
        if error.filename is None:
            error.filename = self.name
        return error

    def moved(self, message: str) -> Descriptor:
        """Hand everything to a new one; whoever asks this one is told `message`."""
        new: Descriptor = object.__new__(Descriptor)
        for name in Descriptor.__slots__:
            setattr(new, name, getattr(self, name))
        self.fd = -1
        self.gone = message
        return new
