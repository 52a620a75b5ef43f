"""Beginning to wait in either face, and being sure that it sleeps. Knows ringmill by its names."""

from __future__ import annotations

from typing import Any

import ringmill

# Turns until a wait is in flight and the soft kernel's worker asleep in it. Too few would let a
# test pass without its point, never fail.
NAPS = 5
NAP = 0.001


def begin_wait(face: str, event: Any) -> Any:
    """A fiber that waits for the event, or a task."""
    if face == "fiber":
        return ringmill.spawn(event.wait)

    async def wait() -> None:
        await event

    return ringmill.spawn(wait())


def asleep(machine: Any) -> None:
    """Let everybody get as far as they can."""
    for _ in range(NAPS):
        ringmill.sleep(NAP)
    assert machine.stats()["ready"] == 0
