"""An SQE from its fields by name: what `raw` is asked for, as bytes, and what it must refuse.

Knows the layout of struct io_uring_sqe and what the machine keeps to itself; does not know Python
objects behind addresses, which it leaves to raw.pyx.
"""

from __future__ import annotations

import operator
import os
import struct
import sys
from dataclasses import dataclass, field
from typing import Any

from ringmill.core.masks import OPCODES

SIZE = 64
OPCODE_AT = 0
FLAGS_AT = 1
IOSQE_ASYNC = 1 << 4

# The struct's members: offset, size; "P" may be an address. Members of one place are one union.
_OP_FLAGS = (
    "rw fsync sync_range msg timeout accept cancel open statx splice rename unlink hardlink xattr "
    "msg_ring uring_cmd waitid futex install_fd nop pipe"
)
FIELDS: dict[str, tuple[int, str]] = {
    "ioprio": (2, "H"), "off": (8, "Q"), "addr2": (8, "P"), "cmd_op": (8, "I"),
    "addr": (16, "P"), "splice_off_in": (16, "Q"), "level": (16, "I"), "optname": (20, "I"),
    "len": (24, "I"), "poll32_events": (28, "I"), "fadvise_advice": (28, "I"),
    **{f"{name}_flags": (28, "I") for name in _OP_FLAGS.split()},
    "buf_index": (40, "H"), "personality": (42, "H"), "splice_fd_in": (44, "I"),
    "file_index": (44, "I"), "optlen": (44, "I"), "addr_len": (44, "H"),
    "addr3": (48, "P"), "optval": (48, "P"), "cmd": (48, "16s"),
}
SIZES = {"H": 2, "I": 4, "Q": 8, "P": 8, "16s": 16}

# What belongs to the machine, and what is there for those who want it.
_CANCELS = "cancel the Op instead, or set a ringmill.timeout"
_MANY = "it has many results, for which the iterators are (accept_each, recv_each, …)"
_BUFFERS = "the machine's groups of buffers would not know of it"
REFUSED = {
    "async_cancel": _CANCELS, "poll_remove": _CANCELS, "timeout_remove": _CANCELS,
    "link_timeout": _CANCELS, "provide_buffers": _BUFFERS, "remove_buffers": _BUFFERS,
    "files_update": "registered files belong to the machine",
    "msg_ring": "Machine.call_threadsafe reaches other machines", "read_multishot": _MANY,
    "recv_zc": _MANY,
}
# Opcode: member, bits of it, and why they cannot be had.
REFUSED_BITS = {
    "poll_add": ("len", 0x7, _MANY),  # MULTI, UPDATE_EVENTS, UPDATE_USER_DATA
    "accept": ("ioprio", 0x1, _MANY),
    "recv": ("ioprio", 0x2, _MANY),
    "recvmsg": ("ioprio", 0x2, _MANY),
    "timeout": ("timeout_flags", 0x40, _MANY),
    "uring_cmd": ("uring_cmd_flags", 0x2, _MANY),
}
DIRECT = {"openat", "openat2", "accept", "socket", "pipe", "close"}  # file_index: a registered file
BRINGS_FD = {"openat", "openat2", "accept", "socket", "fixed_fd_install"}
NOTIFIES = {"send_zc", "sendmsg_zc"}  # two CQEs: the result, and later that the buffer is free


@dataclass
class Wanted:
    """What is to be queued; `pointers` are (offset, object) whose addresses are still missing."""

    opcode: int
    name: str
    sqe: bytearray = field(default_factory=lambda: bytearray(SIZE))
    pointers: list[tuple[int, Any]] = field(default_factory=list)

    @property
    def brings_fd(self) -> bool:
        return self.name in BRINGS_FD

    @property
    def notifies(self) -> bool:
        return self.name in NOTIFIES


def wanted(opcode: int | str, members: dict[str, Any]) -> Wanted:
    """Check and lay out; ValueError says what cannot be had, and what to use instead."""
    number = _number(opcode)
    want = Wanted(number, OPCODES[number])
    if (reason := REFUSED.get(want.name)) is not None:
        raise ValueError(f"raw cannot do {want.name}: {reason}")
    taken: dict[int, str] = {}
    for name, value in members.items():
        if name == "flags":
            _set_flags(want, value)
        else:
            _set_member(want, taken, name, value)
    _check_bits(want)
    want.sqe[OPCODE_AT] = number
    return want


def _number(opcode: int | str) -> int:
    if isinstance(opcode, str):
        name = opcode.lower().removeprefix("ioring_op_")
        if name not in OPCODES:
            raise ValueError(f"ringmill knows no io_uring opcode {opcode!r}")
        return OPCODES.index(name)
    number = operator.index(opcode)
    if not 0 <= number < len(OPCODES):
        raise ValueError(f"ringmill knows the io_uring opcodes 0 to {len(OPCODES) - 1}, not "
                         f"{number}")
    return number


def _set_flags(want: Wanted, value: int) -> None:
    if value & ~IOSQE_ASYNC:
        raise ValueError("of an SQE's flags raw takes IOSQE_ASYNC (16) only: links, drains, "
                         "buffer selection, skipped CQEs and registered files are the machine's")
    want.sqe[FLAGS_AT] = value


def _set_member(want: Wanted, taken: dict[int, str], name: str, value: Any) -> None:
    if name == "user_data":
        raise ValueError("user_data is how the machine knows its ops")
    if name not in FIELDS:
        raise TypeError(f"an SQE has no field {name!r}")
    at, form = FIELDS[name]
    for place in range(at, at + SIZES[form]):
        if (other := taken.setdefault(place, name)) != name:
            raise TypeError(f"{name} and {other} are the same place of an SQE")
    if form == "P" and not isinstance(value, int):
        want.pointers.append((at, os.fsencode(value) + b"\0" if _is_path(value) else value))
        return
    size = SIZES[form]
    if form == "16s":
        data = bytes(memoryview(value).cast("B"))
        if len(data) > size:
            raise ValueError(f"{name} has {size} bytes in a ring of 64-byte SQEs, not {len(data)}")
        want.sqe[at:at + len(data)] = data
        return
    number = operator.index(value)
    if number < 0:  # -1 is what C programs write for "all bits"
        want.sqe[at:at + size] = number.to_bytes(size, sys.byteorder, signed=True)
    else:
        struct.pack_into(f"={form.replace('P', 'Q')}", want.sqe, at, _fitting(number, size))


def _is_path(value: Any) -> bool:
    if isinstance(value, (str, os.PathLike)):
        if b"\0" in os.fsencode(value):
            raise ValueError("embedded null byte")
        return True
    return False


def _fitting(number: int, size: int) -> int:
    if number >> 8 * size:
        raise OverflowError(f"{number} does not fit into {8 * size} bits")
    return number


def _check_bits(want: Wanted) -> None:
    if want.name in REFUSED_BITS:
        name, bits, reason = REFUSED_BITS[want.name]
        at, form = FIELDS[name]
        (value,) = struct.unpack_from(f"={form}", want.sqe, at)
        if value & bits:
            raise ValueError(f"raw cannot do {want.name} with {name}={value:#x}: {reason}")
    if want.name in DIRECT and any(want.sqe[44:48]):
        raise ValueError("file_index: registered files belong to the machine")
