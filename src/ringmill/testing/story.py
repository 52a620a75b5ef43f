"""What a lying kernel has done, as plain values that can be read and compared."""

from __future__ import annotations

import errno
from typing import NamedTuple

from ringmill.testing.names import opcode_name

__all__ = ["Event", "events"]


class Event(NamedTuple):
    """One thing that happened. `what` is "told" for a completion, "jump" for the clock, "fault", or
    the name of a lie; `op` is io_uring's name of the op (None: none), `number` tells ops apart."""

    at: float  # virtual seconds since the machine was made
    what: str
    op: str | None
    number: int
    result: int

    def __str__(self) -> str:
        result = errno.errorcode.get(-self.result, "") if self.result < 0 else ""
        about = f"{self.op} #{self.number & 0xFFFFFFFF}" if self.op is not None else ""
        return f"{self.at:12.6f} {self.what:14} {about:20} {result or self.result}"


ABOUT_NO_OP = ("jump", "overflow", "refuse")


def events(raw: list[tuple[int, str, int, int, int]]) -> list[Event]:
    """The events of core/lies.pyx, with names."""
    return [Event(at_ns / 1e9, what, None if what in ABOUT_NO_OP else opcode_name(opcode), number,
                  result)
            for at_ns, what, opcode, number, result in raw]
