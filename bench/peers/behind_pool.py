"""What 4 KiB writes cost with a pool of N threads, 64 under way; 0: without threads, one by one.

N CELL PATH SECONDS
"""

import collections
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from behind_file import DATA, DEPTH, opened
from lap import lap, report
from offsets import offsets_in

threads, cell, path, seconds = sys.argv[1:]
now = time.perf_counter_ns


def one_by_one(fd: int, offsets: Iterable[int]) -> None:
    for offset in offsets:
        begun = now()
        os.pwrite(fd, DATA, offset)
        lap.took.append(now() - begun)


def pooled(pool: ThreadPoolExecutor, fd: int, offsets: Iterable[int]) -> None:
    under_way: collections.deque[tuple[Future[int], int]] = collections.deque()
    for offset in offsets:
        if len(under_way) == DEPTH:
            future, begun = under_way.popleft()
            future.result()
            lap.took.append(now() - begun)
        under_way.append((pool.submit(os.pwrite, fd, DATA, offset), now()))
    for future, _ in under_way:
        future.result()


def main(count: int) -> None:
    fd = opened(cell, path)
    offsets = offsets_in(path, count)
    if threads == "0":
        with lap:
            one_by_one(fd, offsets)
    else:
        with ThreadPoolExecutor(int(threads)) as pool, lap:
            pooled(pool, fd, offsets)
    os.close(fd)


report(main, float(seconds))
