"""A machine for a test, on any kernel by name: those that a program may ask for, and "sim"."""

from __future__ import annotations

import os
import zlib
from typing import Any

from ringmill.core.masks import KERNELS

SEED = "RINGMILL_SEED"  # replays a test on sim with another seed than its own

# For laws that compare what came with what was sent: a transfer is as long as it can be. A child or
# a thread gets a moment of real time before the clock jumps.
WHOLE = {"shorten": 0.0, "patience": 0.001}

EVERY_KERNEL = (*KERNELS, "sim")


def make(kernel: str, test: str = "", **options: Any) -> Any:
    """A fresh machine of this thread. On sim each test has a seed of its own, made of its name."""
    import ringmill
    from ringmill.testing import SimMachine

    if kernel != "sim":
        return ringmill.Machine(kernel=kernel, **options)
    seed = int(os.environ.get(SEED) or zlib.crc32(test.encode()))
    return SimMachine(seed, **{**WHOLE, **options})
