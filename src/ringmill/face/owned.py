"""A descriptor that an object owns and that one fiber or task at a time waits on.

Closing it ends that wait with ClosedError, which a cancel of the waiter itself is not taken for.
Knows ops; does not know what the descriptor is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from ringmill.errors import Cancelled, ClosedError
from ringmill.ops import aio

if TYPE_CHECKING:
    from ringmill.core.op import Op

T = TypeVar("T")


class Owned:
    """`fd` is ours to close; -1 afterwards. `what` and `doing` are for people."""

    what = "this descriptor"
    doing = "using"

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._op: Op[Any] | None = None

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._fd < 0

    def fileno(self) -> int:
        """The descriptor, which stays ours; ClosedError when it is closed."""
        if self._fd < 0:
            raise ClosedError(f"{self.what} is closed")
        return self._fd

    def _check_alone(self) -> None:
        self.fileno()
        if self._op is not None:
            raise RuntimeError(f"another fiber or task is {self.doing} {self.what}")

    async def _wait(self, op: Op[T]) -> T:
        """What `op` brings; ClosedError when the descriptor is closed meanwhile."""
        self._op = op
        try:
            return await op
        except Cancelled:
            # "taken": it was the op that was asked to stop, and not who waits for it.
            if self._fd < 0 and op.state[1] == "taken":
                raise ClosedError(f"{self.what} was closed meanwhile") from None
            raise
        finally:
            self._op = None

    def close(self) -> None:
        """Close the descriptor; whoever waits for it gets ClosedError. Again: does nothing."""
        fd = self._fd
        if fd < 0:
            return
        if self._op is not None:
            self._op.cancel()  # refuses a foreign thread
        self._fd = -1
        if self._op is None:
            os.close(fd)
        else:  # behind the cancel: the kernel first lets go of the op, then of the number
            aio.close(fd).detach()
