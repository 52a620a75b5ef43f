"""What a test may not leave behind: descriptors, live ops, lent buffers, parked waiters.

Knows /proc and the names of machine.stats(); does not know pytest.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

# The counters of machine.stats() that are zero when nobody waits for anything: ops alive or in
# line, Python buffers and blocks they hold, slices of buffer rings, leases of the arena, fibers and
# tasks that have not ended, those that could run, timers, writes that nobody has waited for.
AT_REST = (
    "ops_live", "ops_in_line", "views_held", "blocks_held", "buffers_lent", "leases", "strands",
    "ready", "timers", "writes_behind",
)


def open_fds() -> dict[int, str]:
    """Every descriptor of this process and what it is, as the kernel names it."""
    fds = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            fds[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass  # the descriptor of the listing itself
    return fds


def new_fds(before: dict[int, str]) -> list[str]:
    """What is open now and was not before, in words."""
    return [f"{fd} -> {what}" for fd, what in sorted(open_fds().items()) if before.get(fd) != what]


def lost_fds(before: dict[int, str]) -> list[str]:
    """What was open before and is not now, in words: a close of what was somebody else's."""
    now = open_fds()
    return [f"{fd} -> {what}" for fd, what in sorted(before.items()) if fd not in now]


def unrest(stats: Any) -> list[str]:
    """The counters that should be zero and are not, in words."""
    return [f"{name} = {stats[name]}" for name in AT_REST if stats[name] != 0]


def settled(look: Callable[[], list[str]]) -> list[str]:
    """What `look` still finds when garbage is collected. Collecting is slow: only when needed."""
    if not look():
        return []
    # Twice: what the first pass finalises (a socket in a cycle) may let go of more.
    gc.collect()
    gc.collect()
    return look()
