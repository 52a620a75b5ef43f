"""An event in shared memory: set in one thread or process, awaited in others.

Waiting is an op (IORING_OP_FUTEX_WAIT), so fibers and tasks go on meanwhile, timeouts and cancels
work. Knows the flag and the ops; does not know machines.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from ringmill.face.spawn import drive
from ringmill.ops import aio
from ringmill.sync.flag import Flag
from ringmill.sync.passing import packed, unpacked

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike


class SharedEvent:
    """A flag that threads and processes share: `event.wait()` in a fiber, `await event` in a task.

    `set()` lets everybody go on who waits at that moment, even when `clear()` follows at once, and
    everybody who comes until then. It never waits, works in any thread and in signal handlers, and
    enters the kernel only when somebody waits (or has given up waiting since the last `set()`).

    Other processes get it by fork, as an argument of multiprocessing.Process, or as a descriptor:
    `SharedEvent(fd=…)` duplicates that of another one's `fileno()`; ValueError when it is none.
    """

    __slots__ = ("__weakref__", "_flag")

    def __init__(self, *, fd: FileDescriptorLike | None = None) -> None:
        if fd is not None and not isinstance(fd, int):
            fd = fd.fileno()
        self._flag = Flag(fd)

    def set(self) -> None:
        """Set it; whoever waits goes on."""
        self._flag.set()

    def clear(self) -> None:
        """Let those who come from now on wait again."""
        self._flag.clear()

    def is_set(self) -> bool:
        """Whether it is set now."""
        return self._flag.is_set()

    def wait(self) -> None:
        """Wait until it is set; at once when it is."""
        if not self._flag.is_set():
            drive(self._passed())

    def __await__(self) -> Generator[Any, Any, None]:
        return self._passed().__await__()

    async def _passed(self) -> None:
        # A wake-up only says: look again. What counts is what the word has become meanwhile.
        while seen := self._flag.enter():
            await aio.futex_wait(self._flag, seen)
            if self._flag.passed(seen):
                return

    def fileno(self) -> int:
        """The descriptor of its memory; it stays the event's own."""
        return self._flag.fileno()

    def __reduce__(self) -> tuple[Callable[[Any], SharedEvent], tuple[Any]]:
        return _from_parcel, (packed(self.fileno(), "SharedEvent"),)

    def __repr__(self) -> str:
        return f"<SharedEvent {'set' if self.is_set() else 'clear'}>"


def _from_parcel(parcel: Any) -> SharedEvent:
    fd = unpacked(parcel)
    try:
        return SharedEvent(fd=fd)
    finally:
        os.close(fd)
