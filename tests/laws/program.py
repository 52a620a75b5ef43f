"""A random program: wires, files that are opened, doors that are knocked at, strands in scopes.

`step(choice, …)` does one thing of ACTIONS; what it does is decided by numbers alone, which come
from a seed (test_programs.py) or from Hypothesis (test_state_machine.py). `finish()` ends it all,
and `check` looks that nothing is left. The laws: no byte lost, none twice, none to the wrong
stream; nobody is told twice, nobody not at all; counts end at zero; no descriptor is left.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import socket
from pathlib import Path
from typing import Any

import ringmill
from laws.wires import HOWS, KINDS, Doing, Wire, until
from ringmill.errors import Cancelled
from support import leaks

WIRES_MAX = 6
DOINGS_MAX = 12
SPANS = (0.0, 1e-6, 1e-4, 0.001, 0.02)
SIZES = (1, 2, 17, 100, 1000, 5000, 40_000)

# One in a hundred, where the op has then done nothing; the program goes on.
FAULTS = {
    "recv": {errno.ECONNRESET: 0.01, errno.ENOMEM: 0.01}, "send": {errno.ENETDOWN: 0.01},
    "read": {errno.EIO: 0.01}, "write": {errno.EIO: 0.01}, "open": {errno.ENFILE: 0.02},
    "accept": {errno.ECONNABORTED: 0.02}, "connect": {errno.ETIMEDOUT: 0.02},
}

INJECTED = frozenset(error for rates in FAULTS.values() for error in rates)


class Door:
    """A listener: everybody who has come in is let in once, also when an accept was cancelled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.each = ringmill.aio.accept_each(self.listener)
        self.outside: list[socket.socket] = []
        self.accepting: Doing | None = None
        self.let_in = 0

    def knock(self) -> None:
        if len(self.outside) < 32:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(self.path))
            self.outside.append(sock)

    def accept(self, how: str, span: float) -> None:
        if self.accepting is None:
            self.accepting = Doing("op" if how == "fiber" else how, self.each.__anext__,
                                   lambda: None, span)

    def accepted(self) -> None:
        assert self.accepting is not None
        kind, value = self.accepting.end()
        self.accepting = None
        if kind == "value":
            value.close()
            self.let_in += 1
        elif kind == "error":
            assert not isinstance(value, StopAsyncIteration), "the door has shut by itself"

    def finish(self) -> None:
        while self.let_in < len(self.outside):
            self.accept("op", 0)
            self.accepted()
        if self.accepting is not None:
            self.accepting.cancel()
            self.accepted()
        assert self.let_in == len(self.outside), "one more than have knocked"
        self.each.close()
        self.listener.close()
        for sock in self.outside:
            sock.close()
        self.path.unlink()


class Program:
    """The state of it all."""

    ACTIONS = (
        "new_wire", "write", "write", "write", "read", "read", "read", "cancel_write",
        "cancel_read", "settle", "settle", "sleep", "yield_now", "close_wire", "open_file",
        "drop_open", "knock", "accept", "cancel_accept", "scope", "join",
    )

    def __init__(self, machine: Any, folder: Path, base: int = 0) -> None:
        self.machine, self.folder = machine, folder
        Doing.injected = INJECTED if machine.kernel.name == "sim" else frozenset()
        self.before = leaks.open_fds()
        self.wires: list[Wire] = []
        self.openings: list[Doing] = []
        self.strands: list[Any] = []
        self.door = Door(folder / "door")
        self.numbers = base
        self.steps = 0

    def step(self, action: str, a: int, b: int, c: int) -> None:
        self.steps += 1
        self.how, self.span, self.size = HOWS[a % 4], SPANS[b % 5], SIZES[c % 7]
        self.coin = bool(b & 64)
        self.wire = self.wires[a // 4 % len(self.wires)] if self.wires else None
        getattr(self, action)()

    # ── wires ──

    def new_wire(self) -> None:
        if len(self.wires) < WIRES_MAX:
            self.numbers += 1
            self.wires.append(Wire(self.numbers, KINDS[self.numbers % 3]))

    def write(self) -> None:
        if self.wire is not None:
            self.wire.write(self.how, self.size, self.coin, self.span)

    def read(self) -> None:
        if self.wire is not None:
            self.wire.read(self.how, self.size, self.coin, self.span)

    def cancel_write(self) -> None:
        if self.wire is not None and self.wire.writing is not None:
            self.wire.writing.cancel()

    def cancel_read(self) -> None:
        if self.wire is not None and self.wire.reading is not None:
            self.wire.reading.cancel()

    def settle(self) -> None:
        """Take in what is done."""
        for wire in self.wires:
            if wire.reading is not None and wire.reading.done:
                wire.have_read()
            if wire.writing is not None and wire.writing.done:
                wire.written()
        if self.door.accepting is not None and self.door.accepting.done:
            self.door.accepted()
        for opening in [each for each in self.openings if each.done]:
            self.openings.remove(opening)
            self.opened(opening)

    def close_wire(self) -> None:
        if self.wire is None:
            return
        if self.coin or len(self.wires) == WIRES_MAX:
            self.wires.remove(self.wire)
            self.wire.finish()
        else:
            self.wire.close_write_end()

    # ── what brings a descriptor ──

    def open_file(self) -> None:
        if len(self.openings) < DOINGS_MAX:
            path, flags = self.folder / f"file{self.size}", os.O_RDWR | os.O_CREAT
            self.openings.append(Doing(self.how, lambda: ringmill.aio.open(path, flags),
                                       lambda: ringmill.open(path, flags), self.span))

    def drop_open(self) -> None:
        """Cancelled, and perhaps let go of: what it brings then is closed by the machine."""
        if self.openings:
            opening = self.openings.pop()
            opening.cancel()
            if opening.op is not None and self.coin:
                opening.op.detach()
            else:
                self.opened(opening)

    @staticmethod
    def opened(opening: Doing) -> None:
        kind, fd = opening.end()
        if kind == "value":
            os.close(fd)

    # ── the door ──

    def knock(self) -> None:
        self.door.knock()

    def accept(self) -> None:
        self.door.accept(self.how, self.span)

    def cancel_accept(self) -> None:
        if self.door.accepting is not None:
            self.door.accepting.cancel()

    # ── strands ──

    def scope(self) -> None:
        """Children that sleep and wait for what never comes, ended by a timeout or by the block."""
        if len(self.strands) < DOINGS_MAX:
            ends: list[int] = []
            self.strands.append((ringmill.spawn(self._scope(ends, self.span, self.coin)), ends))

    async def _scope(self, ends: list[int], span: float, cancels: bool) -> None:
        source, target = os.pipe()

        async def child(number: int) -> None:
            try:
                if number % 2:
                    await ringmill.aio.sleep(span * number)
                else:
                    await ringmill.aio.read(source, 1)
            finally:
                ends.append(number)

        try:
            with contextlib.suppress(TimeoutError):
                with ringmill.timeout(span):
                    async with ringmill.scope() as scope:
                        children = [scope.spawn(child(number)) for number in range(4)]
                        if cancels:
                            await ringmill.aio.sleep(span / 2)
                            scope.cancel()
            assert all(strand.done for strand in children), "a child outlived its scope"
        finally:
            os.close(source)
            os.close(target)

    def join(self) -> None:
        if self.strands:
            strand, ends = self.strands.pop(0)
            if self.coin:
                strand.cancel()
            try:
                strand.join()
            except (Cancelled, OSError):
                pass  # an injected EIO ends a scope with it; its children have ended all the same
            except BaseExceptionGroup as error:
                assert error.split(OSError)[1] is None, "more than the injected errors"
            assert len(ends) == len(set(ends)), "a child ended twice"

    def sleep(self) -> None:
        ringmill.sleep(self.span)

    def yield_now(self) -> None:
        ringmill.yield_now()

    # ── the end ──

    def finish(self) -> None:
        while self.wires:
            self.wires.pop().finish()
        while self.strands:
            self.coin = True
            self.join()
        while self.openings:
            opening = self.openings.pop()
            opening.cancel()
            self.opened(opening)
        self.door.finish()

    def check(self) -> None:
        """Nothing is left: no op, no buffer, no timer, no strand, no descriptor."""
        self.door = self.wire = None
        gc.collect()
        until(lambda: self.machine.stats()["ops_live"] == 0, "the end of what was let go of")
        assert leaks.unrest(self.machine.stats()) == []
        assert self.machine.stats()["stale"] == 0
        left = [what for what in leaks.new_fds(self.before) if "anon_inode:" not in what]
        assert left == [], "descriptors are left"
        assert not leaks.lost_fds(self.before)
