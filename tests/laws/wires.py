"""Wires: a stream with a reading and a writing end, and a tape that says which byte comes where.

Every wire has a tape of its own, so a byte that is lost, comes twice or belongs to another wire is
seen where it arrives. Knows ringmill's public names; who does what next is in program.py.
"""

from __future__ import annotations

import functools
import os
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import ringmill
from ringmill.errors import Cancelled

TAPE = 1 << 20  # bytes of a tape: more than any program here sends
KINDS = ("pipe", "pair", "tcp")
HOWS = ("op", "fiber", "task", "timeout")
TURNS_MAX = 5000  # naps until something that must happen is called lost
NAP = 0.001


@functools.lru_cache(64)
def tape_of(number: int) -> bytes:
    return random.Random(number).randbytes(TAPE)


def until(done: Callable[[], Any], what: str) -> None:
    """Let the machine turn until `done()`."""
    for _ in range(TURNS_MAX):
        if done():
            return
        ringmill.sleep(NAP)
    raise AssertionError(f"{what} did not happen")


class Doing:
    """One op that somebody waits for, in one of four ways; and the one outcome of it."""

    injected: frozenset[int] = frozenset()  # the errnos that this kernel was asked to bring

    def __init__(self, how: str, start: Callable[[], Awaitable[Any]], call: Callable[[], Any],
                 span: float) -> None:
        self.outcome: tuple[str, Any] | None = None
        self.op: Any = None
        self.strand: Any = None
        if how == "op":
            self.op = start()
        elif how == "fiber":
            self.strand = ringmill.spawn(self._fiber, call)
        elif how == "task":
            self.strand = ringmill.spawn(self._task(start))
        else:
            self.strand = ringmill.spawn(self._in_time(start, span))

    def _fiber(self, call: Callable[[], Any]) -> None:
        try:
            self._told("value", call())
        except BaseException as error:
            self._failed(error)

    async def _task(self, start: Callable[[], Awaitable[Any]]) -> None:
        try:
            self._told("value", await start())
        except BaseException as error:
            self._failed(error)

    async def _in_time(self, start: Callable[[], Awaitable[Any]], span: float) -> None:
        try:
            with ringmill.timeout(span):
                self._told("value", await start())
        except BaseException as error:
            self._failed(error)

    def _told(self, kind: str, value: Any) -> None:
        assert self.outcome is None, f"a second outcome: {self.outcome} and then {kind} {value!r}"
        self.outcome = kind, value

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, (Cancelled, TimeoutError)):
            self._told("stopped", None)
        elif isinstance(error, StopAsyncIteration) or (
                isinstance(error, OSError) and error.errno in self.injected):
            self._told("error", error)
        else:
            raise error

    @property
    def done(self) -> bool:
        return bool(self.op.done if self.op is not None else self.strand.done)

    def cancel(self) -> None:
        (self.op if self.op is not None else self.strand).cancel()

    def end(self) -> tuple[str, Any]:
        """Wait for it; the outcome. A strand that was cancelled before it began has none."""
        until(lambda: self.done, "the end of an op")
        if self.op is not None:
            try:
                self._told("value", ringmill.wait(self.op))
            except BaseException as error:
                self._failed(error)
        else:
            try:
                self.strand.join()
            except Cancelled:
                pass
        return self.outcome or ("stopped", None)


class Wire:
    """One stream. At most one op writes and one reads at a time: else the order is nobody's."""

    def __init__(self, number: int, kind: str) -> None:
        self.number, self.kind, self.tape = number, kind, tape_of(number)
        self.sent = self.received = self.underway = 0
        self.writing: Doing | None = None
        self.reading: Doing | None = None
        self.each: Any = None
        self.write_end_open, self.at_end = True, False
        self.source, self.target = ends_of(kind)
        self.socket = kind != "pipe"

    # ── writing ──

    def write(self, how: str, size: int, whole: bool, span: float) -> None:
        size = min(size, TAPE - self.sent)
        if self.writing is not None or not self.write_end_open or size == 0:
            return
        data = self.tape[self.sent:self.sent + size]
        verb = ("sendall" if self.socket else "write_all") if whole else (
            "send" if self.socket else "write")
        # A whole transfer that is stopped half-way cannot be told from one that was not begun.
        how = how if not whole or how != "timeout" else "task"
        self.underway = size
        self.whole = whole
        self.writing = Doing(how, lambda: getattr(ringmill.aio, verb)(self.target, data),
                             lambda: getattr(ringmill, verb)(self.target, data), span)

    def written(self) -> None:
        """Take the outcome of the write in."""
        assert self.writing is not None
        kind, value = self.writing.end()
        self.writing = None
        if kind == "value":
            self.sent += self.underway if value is None else value
        elif self.whole:
            # It may have sent any part; nobody writes here any more, and what comes decides.
            self.sent = -1
            self.close_write_end()
        self.underway = 0

    def close_write_end(self) -> None:
        if self.write_end_open and self.writing is None:
            self.write_end_open = False
            close(self.target)

    # ── reading ──

    def read(self, how: str, size: int, many: bool, span: float) -> None:
        if self.reading is not None or self.at_end:
            return
        if many or self.each is not None:  # an iteration that is begun goes on to its end
            if self.each is None:
                verb = "recv_each" if self.socket else "read_each"
                self.each = getattr(ringmill.aio, verb)(self.source)
            each = self.each
            how = "op" if how == "fiber" else how
            self.reading = Doing(how, each.__anext__, lambda: None, span)
            return
        verb = "recv" if self.socket else "read"
        self.reading = Doing(how, lambda: getattr(ringmill.aio, verb)(self.source, size),
                             lambda: getattr(ringmill, verb)(self.source, size), span)

    def have_read(self) -> None:
        """Take the outcome of the read in, and look at every byte of it."""
        assert self.reading is not None
        kind, value = self.reading.end()
        self.reading = None
        if kind == "stopped":
            return
        if kind == "error":
            if self.each is not None:  # an injected errno has ended it; and StopAsyncIteration has
                self.each.close()
                self.each = None
            self.at_end = isinstance(value, StopAsyncIteration)
            return
        self.at_end = value == b""
        wanted = self.tape[self.received:self.received + len(value)]
        assert value == wanted, self.told(value)
        self.received += len(value)
        if self.sent >= 0:
            assert self.received <= self.sent + self.underway, f"{self}: came before it was sent"

    def told(self, value: bytes) -> str:
        """Whose bytes these are."""
        at = self.tape.find(value)
        what = f"come {'again' if at < self.received else 'after a gap'}, from {at}"
        return f"{self}: {len(value)} bytes {what if at >= 0 else 'are of no part of this wire'}"

    # ── the end ──

    def finish(self) -> None:
        """Close the writing end, read what is left, and compare."""
        until(self.wrote, f"{self}: the end of a write")
        self.close_write_end()
        while not self.at_end:
            self.read_some()
        assert self.sent < 0 or self.received == self.sent, (
            f"{self}: {self.sent} bytes were sent, {self.received} came")
        if self.each is not None:
            self.each.close()
        close(self.source)

    def wrote(self) -> bool:
        """Is no write underway? Somebody has to read, or it waits for ever."""
        if self.writing is not None and self.writing.done:
            self.written()
        elif self.reading is not None and self.reading.done:
            self.have_read()
        elif self.reading is None and self.writing is not None:
            self.read("op", 1 << 16, False, 0)
        return self.writing is None

    def read_some(self) -> None:
        if self.reading is None:
            self.read("op", 1 << 16, False, 0)
        self.have_read()

    def __str__(self) -> str:
        return f"wire {self.number} ({self.kind})"


def ends_of(kind: str) -> tuple[Any, Any]:
    """Where to read and where to write: descriptors of a pipe, or sockets."""
    if kind == "pipe":
        return os.pipe()
    if kind == "pair":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = socket.create_connection(listener.getsockname())
        return listener.accept()[0], target


def close(end: Any) -> None:
    os.close(end) if isinstance(end, int) else end.close()
