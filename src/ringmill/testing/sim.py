"""A machine on the kernel that lies. Knows the public Machine; see docs/testing.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import Any, Unpack

from ringmill.core.balance import Adaptive, Fixed
from ringmill.core.lies import RATES, Lies
from ringmill.face.machine import Machine, MachineOptions
from ringmill.testing.names import Faults, fault_list, rate_checked
from ringmill.testing.story import Event, events

__all__ = ["SimMachine"]

# Everything lies a little: often enough that a hundred ops meet each lie, seldom enough that the
# program gets on.
HONEST_DEFAULTS = {
    "reorder": 0.2, "delay": 0.1, "shorten": 0.1, "late_cancel": 0.1, "end_multishot": 0.1,
    "overflow": 0.02, "starve": 0.05, "refuse": 0.02,
}
SWITCHES = 16  # between two looks at I/O; a policy that looked at the real clock could not repeat
SEED_BITS = 32  # of a seed that nobody chose: short enough to be typed


class SimMachine(Machine):
    """A machine on a kernel that lies, by a seed: the same program hears the same story again.

    Files, pipes and sockets are the real ones; what io_uring and the system calls leave open is
    thrown by dice, and time is virtual: when nobody can run, the clock jumps to the next deadline.

    seed: an int; None draws one (it stands in the machine's repr, and is noted on what `run`
    raises). The lies are rates, 0 (never) to 1 (whenever it is allowed): `reorder` lets other
    results pass one; `delay` begins or tells one up to `delay_max` virtual seconds later;
    `shorten` cuts reads and writes; `late_cancel` lets a cancel miss; `end_multishot` ends
    multishot ops early; `overflow` finds no room for completions; `starve` has no buffer;
    `refuse` answers EAGAIN, EBUSY or EINTR to enter. With lies=False those that are not named are
    off. faults: {"read": {errno.EIO: 0.01}} fails one read in a hundred.

    patience: real seconds that threads and other processes are given, whenever everybody here
    waits, before the clock jumps. Without deadlines they are waited for as long as it takes.

    `lies` counts what was done, `story()` tells it, `fingerprint` is equal for equal stories,
    `elapsed` is the virtual time that has passed. Other options as for Machine; the policy
    `balance` may not look at the real clock (Adaptive).
    """

    def __init__(self, seed: int | None = None, *, lies: bool = True,
                 reorder: float | None = None, delay: float | None = None,
                 delay_max: float = 0.05, shorten: float | None = None,
                 late_cancel: float | None = None, end_multishot: float | None = None,
                 overflow: float | None = None, starve: float | None = None,
                 refuse: float | None = None, faults: Faults | None = None,
                 patience: float = 0.0, **options: Unpack[MachineOptions]) -> None:
        named = {"reorder": reorder, "delay": delay, "shorten": shorten,
                 "late_cancel": late_cancel, "end_multishot": end_multishot,
                 "overflow": overflow, "starve": starve, "refuse": refuse}
        usual = HONEST_DEFAULTS if lies else dict.fromkeys(HONEST_DEFAULTS, 0.0)
        rates = {name: usual[name] if rate is None else rate_checked(rate, name)
                 for name, rate in named.items()}
        if not 0 < delay_max <= 1e9:
            raise ValueError(f"delay_max is a span of virtual seconds, not {delay_max!r}")
        if not 0 <= patience <= 1e9:
            raise ValueError(f"patience is a span of real seconds, not {patience!r}")
        if options.get("balance") is None:
            options["balance"] = Fixed(SWITCHES)
        elif isinstance(options["balance"], Adaptive):
            raise ValueError("Adaptive looks at the real clock: no story would come twice; "
                             "take Fixed or Relative")
        if options.get("sqpoll"):
            raise ValueError("sqpoll is a thread of the real kernel; this one has none")
        self._seed = _seed_checked(seed)
        self._lies = Lies(self._seed, [rates[name] for name in RATES],
                          delay_ns=max(1, int(delay_max * 1e9)), patience_ns=int(patience * 1e9),
                          faults=fault_list(faults or {}))
        super().__init__(self._lies, **options)

    @property
    def seed(self) -> int:
        """What the dice began with: `SimMachine(seed)` tells the same story to the same program."""
        return self._seed

    @property
    def lies(self) -> dict[str, int]:
        """How often each lie was told; "fault", "jump" (of the clock) and "told" (completions)."""
        return self._lies.counts

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the machine was made."""
        return self._lies.clock_ns / 1e9

    @property
    def fingerprint(self) -> int:
        """One number for all that has happened, in its order: equal stories have equal ones."""
        return self._lies.fingerprint

    def story(self) -> list[Event]:
        """The last few thousand things that happened, in their order."""
        return events(self._lies.story())

    def run(self, main: Callable[..., Any] | Coroutine[Any, Any, Any], *arguments: Any) -> Any:
        """As Machine.run; what the program raises carries the seed, as a note."""
        try:
            return super().run(main, *arguments)
        except BaseException as error:
            error.add_note(f"on {self!r}")
            raise

    def __repr__(self) -> str:
        return f"SimMachine(seed={self._seed})"


def _seed_checked(seed: int | None) -> int:
    if seed is None:
        return int.from_bytes(os.urandom(SEED_BITS // 8))
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed is an int, not {type(seed).__name__}")
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"seed is 0 to 2**64 - 1, not {seed}")
    return seed
