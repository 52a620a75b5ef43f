"""Asynchronous generators that tasks begin: whoever does not exhaust one still has it closed.

The interpreter tells, per thread, when one is begun and when one is collected half-way (PEP 525).
Its `finally` may await, so it needs a task of its own; and those that are alive when a program
ends are closed before it returns.

Knows the interpreter's hooks; does not know how tasks are run.
"""

from __future__ import annotations

import collections
import sys
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any


class AsyncGens:
    """Those that have begun under one machine, and the thread's hooks, as long as it has them."""

    def __init__(self, machine: Any, spawn: Callable[..., Any]) -> None:
        self.machine = weakref.ref(machine)
        self.spawn = spawn
        self.begun: weakref.WeakSet[AsyncGenerator[Any, Any]] = weakref.WeakSet()
        self.left: collections.deque[AsyncGenerator[Any, Any]] = collections.deque()
        self.hooked = False

    def track(self) -> None:
        """From now on, those that begin in this thread are ours."""
        # An event loop that runs in this thread has hooks of its own, and closes them itself.
        self.hooked = sys.get_asyncgen_hooks() == (None, None)
        if self.hooked:
            sys.set_asyncgen_hooks(self.begin, self.collected)

    def begin(self, generator: AsyncGenerator[Any, Any]) -> None:
        self.begun.add(generator)

    def collected(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Called by the collector, in whatever thread, with the last reference there is."""
        self.begun.discard(generator)
        machine = self.machine()
        if machine is not None and not machine.closed:
            self.left.append(generator)
            machine.call_threadsafe(self.close_left)

    def close_left(self) -> None:
        while self.left:
            self.spawn(close(self.left.popleft()))

    def take(self) -> list[AsyncGenerator[Any, Any]]:
        """Those that are alive; from here on they are the caller's to close."""
        alive = [*self.begun, *self.left]
        self.begun.clear()
        self.left.clear()
        return alive

    def end(self) -> None:
        """Give the thread's hooks back."""
        if self.hooked and sys.get_asyncgen_hooks().firstiter == self.begin:
            sys.set_asyncgen_hooks(None, None)
        self.hooked = False


async def close(generator: AsyncGenerator[Any, Any]) -> None:
    """Run what is left of it: its `finally` blocks."""
    await generator.aclose()
