"""One fiber waits, others wake it. Knows park and unpark."""

from __future__ import annotations

import ringmill


class Bell:
    """Rung while nobody waits, it is not remembered: who waits looks at the state first."""

    def __init__(self) -> None:
        self.owner: ringmill.Fiber | None = None  # the one fiber that may wait
        self._waiting = False

    def wait(self) -> None:
        self._waiting = True
        try:
            ringmill.park()
        finally:
            self._waiting = False

    def ring(self) -> None:
        if self._waiting and self.owner is not None:
            self._waiting = False
            ringmill.unpark(self.owner)
