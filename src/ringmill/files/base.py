"""What every open file can do: who it is, whose turn it is, lines, and its end.

Methods that may wait are `async def`; the call face (call.py) drives the same ones in a fiber.

Knows descriptors and turns; does not know what is buffered.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar

from ringmill.files.descriptor import Descriptor
from ringmill.files.serial import Turn

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", str, bytes)


class AsyncFile(Generic[T]):
    """A file whose methods are awaited. Calls of several tasks on one take turns.

    Close it, or use `async with`: one that is dropped gives a ResourceWarning.
    """

    _d: Descriptor
    _turn: Turn

    # ── who it is ──

    @property
    def name(self) -> Any:
        """What was opened: a path, or the number of a descriptor."""
        return self._d.name

    @property
    def mode(self) -> str:
        return self._d.mode.letters

    @property
    def closed(self) -> bool:
        return self._d.fd < 0

    def fileno(self) -> int:
        """The descriptor. From here on its own position counts, since others may share it."""
        return self._d.fileno()

    def isatty(self) -> bool:
        self._d.check_open()
        return os.isatty(self._d.fd)

    def readable(self) -> bool:
        self._d.check_open()
        return self._d.mode.readable

    def writable(self) -> bool:
        self._d.check_open()
        return self._d.mode.writable

    def seekable(self) -> bool:
        self._d.check_open()
        return self._d.seekable

    def __repr__(self) -> str:
        state = "closed" if self.closed else self.mode
        return f"<{type(self).__module__}.{type(self).__name__} {self.name!r} {state}>"

    # ── one call at a time ──

    async def _alone(self, method: Callable[P, Awaitable[R]],
                     *arguments: P.args, **keywords: P.kwargs) -> R:
        """`method`, once the calls before it have ended; ValueError when the file is closed."""
        turn = self._turn
        if not turn.take():
            await turn.wait()
        try:
            self._d.check_open()
            return await method(*arguments, **keywords)
        finally:
            turn.give()

    # ── lines ──

    async def readline(self, size: int | None = -1, /) -> T:
        raise NotImplementedError

    async def write(self, data: Any, /) -> int:
        raise NotImplementedError

    async def readlines(self, hint: int | None = -1, /) -> list[T]:
        """The lines to the end, or until they have more than `hint` bytes or characters."""
        lines: list[T] = []
        total = 0
        while line := await self.readline():
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint < total:
                break
        return lines

    async def writelines(self, lines: Iterable[Any], /) -> None:
        """Write each; no line ends are added."""
        self._d.check_open()
        for line in lines:
            await self.write(line)

    def __aiter__(self) -> Self:
        self._d.check_open()
        return self

    def _line_ready(self) -> T | None:
        """The next line, when it needs no I/O and nobody is in the middle of a call."""
        return None

    async def __anext__(self) -> T:
        line = self._line_ready()
        if line is None and not (line := await self.readline()):
            raise StopAsyncIteration
        return line

    # ── its end ──

    async def _flush(self) -> None:
        """Write what is buffered; it is this one's turn."""

    async def flush(self) -> None:
        """Hand what is buffered to the kernel. (For the disk: ringmill.fsync.)"""
        await self._alone(self._flush)

    async def close(self) -> None:
        """Write what is buffered and close, even when that fails. Again: does nothing.

        Waits for the call that another task is in the middle of.
        """
        if self._d.fd >= 0:
            await self._close_alone()

    async def _close_alone(self) -> None:
        turn = self._turn
        if not turn.take():
            await turn.wait()
        try:
            try:
                if self._d.fd >= 0:
                    await self._flush()
            finally:
                self._forget()
                await self._d.close()
        finally:
            turn.give()

    def _forget(self) -> None:
        """Drop what is buffered: the file is closed, or another object's."""

    def _write_now(self) -> None:
        """What is buffered, without a machine."""

    async def __aenter__(self) -> Self:
        self._d.check_open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        await self.close()

    def __del__(self) -> None:
        # A finaliser runs anywhere, in any thread: no ops, plain system calls.
        d: Descriptor | None = getattr(self, "_d", None)
        if d is None or d.fd < 0:
            return
        try:
            if d.closefd:
                warnings.warn(f"unclosed file {self!r}", ResourceWarning, stacklevel=2,
                              source=self)
        finally:
            try:
                self._write_now()
            finally:
                d.close_now()
