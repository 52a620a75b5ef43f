"""What people call an op, and its opcode. Knows the table of ops and io_uring's own names."""

from __future__ import annotations

import difflib
import errno as errnos
from collections.abc import Iterator, Mapping

from ringmill.core.masks import OPCODES
from ringmill.ops import table  # noqa: F401  (fills ENTRIES)
from ringmill.ops.entry import ENTRIES

__all__ = ["Faults", "fault_list", "opcode_name"]

# {"recv": {errno.ECONNRESET: 0.01}}: of a hundred receives one fails so.
Faults = Mapping[str, Mapping[int, float]]


def opcode_name(opcode: int) -> str:
    """io_uring's own name, in lower case."""
    return OPCODES[opcode] if opcode < len(OPCODES) else str(opcode)


def opcodes_of(name: str) -> list[int]:
    """The opcodes that an op of ringmill's, or an opcode by its own name, stands for."""
    wanted = ENTRIES[name].opcode.lower() if name in ENTRIES else name
    if wanted not in OPCODES:
        near = difflib.get_close_matches(name, [*ENTRIES, *OPCODES], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"faults: there is no op {name!r}{hint}")
    return [OPCODES.index(wanted)]


def rate_checked(rate: float, what: str) -> float:
    if isinstance(rate, bool) or not 0 <= rate <= 1:
        raise ValueError(f"{what} is a rate from 0 (never) to 1 (always), not {rate!r}")
    return float(rate)


def fault_list(faults: Faults) -> list[tuple[int, int, float]]:
    """(opcode, errno, rate) of each fault; ValueError says what makes no sense."""
    return list(_faults(faults))


def _faults(faults: Faults) -> Iterator[tuple[int, int, float]]:
    for name, rates in faults.items():
        for error, rate in rates.items():
            if error not in errnos.errorcode:
                raise ValueError(f"faults[{name!r}]: {error!r} is no errno")
            if error == errnos.ECANCELED:
                raise ValueError(f"faults[{name!r}]: ECANCELED is what a cancel tells; cancel it")
            rate = rate_checked(rate, f"faults[{name!r}][{errnos.errorcode[error]}]")
            yield from ((opcode, error, rate) for opcode in opcodes_of(name))
