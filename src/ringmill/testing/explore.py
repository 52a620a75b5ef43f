"""A program on many seeds. Knows SimMachine; what the program should do, the program asserts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ringmill.errors import RingmillError
from ringmill.face.run import has_machine
from ringmill.testing.sim import SimMachine

__all__ = ["explore"]

SEEDS = 100


def explore(program: Callable[..., Any], *arguments: Any, seeds: int | Iterable[int] = SEEDS,
            **options: Any) -> int:
    """Run `program(*arguments)` (a function, perhaps `async def`) once for each seed, each on a
    fresh SimMachine with these options. How many seeds there were.

    seeds: the seeds, or how many: 0, 1, 2, … The first error ends it; a note on it has the seed,
    and `explore(program, seeds=[that])` brings it again.

    >>> explore(lambda: ringmill.sleep(3600), seeds=10)
    10
    """
    if has_machine():
        raise RingmillError("explore makes its own machines; close this thread's first")
    count = 0
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        with SimMachine(seed, **options) as machine:
            machine.run(program, *arguments)
        count += 1
    return count
