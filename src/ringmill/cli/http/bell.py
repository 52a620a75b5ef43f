"""One fiber waits, others wake it. Knows park and unpark."""

from __future__ import annotations

import ringmill


class Bell:
    """Rung while nobody waits, it is not remembered: who waits looks at the state first, and
    again when it wakes."""

    def __init__(self) -> None:
        self._waiting: ringmill.Fiber | ringmill.Task | None = None

    def wait(self, seconds: float | None = None) -> None:
        """Until it rings, or for `seconds`; which of the two it was, the state tells."""
        self._waiting = ringmill.current()
        try:
            with ringmill.timeout(seconds):
                ringmill.park()
        except TimeoutError:
            pass
        finally:
            self._waiting = None

    def ring(self) -> None:
        if self._waiting is not None:
            ringmill.unpark(self._waiting)
            self._waiting = None
