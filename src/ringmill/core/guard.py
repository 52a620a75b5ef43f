"""What a thread keeps of its machine: when the thread ends, the machine does.

Without it an op that somebody still holds would keep the ring open for ever, with nobody left who
may close it. Thread-locals are cleared in the thread that ends. Knows how to ask a machine to
end; does not know machines.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_of_thread = threading.local()
_for_ever: list[object] = []  # machines whose thread may still sleep in their ring: never freed


class Guard:
    """Ends `machine` when the last reference goes, which is the thread's own."""

    __slots__ = ("end", "machine")

    def __init__(self, machine: object, end: Callable[[object], bool]) -> None:
        self.machine = machine
        self.end = end

    def __del__(self) -> None:
        if not self.end(self.machine):
            _for_ever.append(self.machine)


def keep(machine: object, end: Callable[[object], bool]) -> None:
    """Let this thread own `machine`; `end(machine)` is False where that is not for us to do."""
    _of_thread.guard = Guard(machine, end)


def let_go(of_thread: threading.local = _of_thread) -> None:
    """The thread's machine has ended. Also while the interpreter ends and empties this module."""
    of_thread.guard = None
