"""What a machine tells of itself, as types. Knows names only."""

from __future__ import annotations

from typing import TypedDict


class Memory(TypedDict):
    """What `Machine.memory()` answers: bytes, by what they are for.

    What the machine cannot know is not in it: the Python objects that programs make, the stacks of
    fibers, and what the kernel keeps for itself.
    """

    rings: int
    """SQEs and CQEs, those of the soft ring beside included."""
    op_slots: int
    """The table in which an op stands while the kernel has it; grows up to `ops_max`."""
    ops: int
    """Ops that the kernel has now."""
    ops_spare: int
    """Ops of this process that wait to be used again: at most 1024 of them."""
    blocks: int
    """What ops point to: addresses, message headers, stat results."""
    blocks_spare: int
    """… that wait to be used again."""
    buffer_groups: int
    """Buffers that the kernel chooses from (`recv_each`): address space, used as data comes."""
    arena: int
    """What may be leased at all; address space until it is."""
    arena_leased: int
    """What is leased now, in whole pages."""
    arena_high_water: int
    """The most that ever was."""
    arena_registered: int
    """What of the arena is registered with the kernel, and so locked in memory."""
    runqueues: int
    """Places for those who can run."""
    timers: int
    """Places for deadlines."""
