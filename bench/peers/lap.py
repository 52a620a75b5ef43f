"""The stopwatch of every program that measures itself, and the one line of JSON it ends with.

A program hands `report` a function that does `count` operations and times the part that matters
with `with lap:`. It is called with growing counts until one call took `seconds`. A warm-up is in
that: the early, short calls.
"""

import ctypes
import json
import time
from collections.abc import Callable

# The status that means "not offered" to the harness (as in automake): a dash, no error.
CANNOT = 77

FIRST = 512  # operations of the first call
GROWTH_MAX = 8  # per call, so that one strangely quick call cannot ask for hours


def find_malloc_counter() -> Callable[[], int] | None:
    """bench_mallocs() of c/count_malloc.c, when it is preloaded."""
    try:
        counter = ctypes.CDLL(None).bench_mallocs
    except AttributeError:
        return None
    counter.restype = ctypes.c_ulonglong
    return counter


class Lap:
    """Time, CPU time and allocations inside `with lap:`, added up."""

    def __init__(self) -> None:
        counter = find_malloc_counter()
        self.counts_mallocs = counter is not None
        self.mallocs_now = counter or (lambda: 0)
        self.own_mallocs = 0
        for _ in range(3):  # the first ones make what the later ones reuse
            self.clear()
            with self:
                pass
        self.own_mallocs = self.mallocs

    def clear(self) -> None:
        self.ns = self.cpu_ns = self.mallocs = 0
        self.took: list[int] = []  # ns of single operations, by programs that know them

    def __enter__(self) -> None:
        self.mallocs -= self.mallocs_now()
        self.cpu_ns -= time.process_time_ns()
        self.ns -= time.perf_counter_ns()

    def __exit__(self, *error: object) -> None:
        self.ns += time.perf_counter_ns()
        self.cpu_ns += time.process_time_ns()
        self.mallocs += self.mallocs_now() - self.own_mallocs


lap = Lap()


def report(run: Callable[[int], None], seconds: float) -> None:
    """Grow `count` until `run(count)` takes `seconds`, then print what one operation cost."""
    count, total = FIRST, 0
    while True:
        lap.clear()
        run(count)
        total += count
        if lap.ns >= seconds * 1e9:
            break
        wanted = count * seconds * 1.1e9 / max(lap.ns, 1)
        count = max(count + 1, int(min(wanted, count * GROWTH_MAX)))
    figures = {"count": count, "total": total, "ns": lap.ns / count, "cpu_ns": lap.cpu_ns / count}
    if lap.took:
        figures["p99_us"] = sorted(lap.took)[len(lap.took) * 99 // 100] / 1000
    if lap.counts_mallocs:
        figures["mallocs"] = lap.mallocs / count
    print(json.dumps(figures))
