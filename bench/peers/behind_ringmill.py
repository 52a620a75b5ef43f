"""What 4 KiB writes cost in ringmill, 64 under way.  start_write|fibers CELL PATH SECONDS"""

import collections
import os
import sys
import time
from collections.abc import Iterable

import ringmill
from behind_file import DATA, DEPTH, opened
from lap import lap, report
from offsets import offsets_in

way, cell, path, seconds = sys.argv[1:]
now = time.perf_counter_ns


def behind(fd: int, offsets: Iterable[int]) -> None:
    under_way: collections.deque[tuple[ringmill.Op[int], int]] = collections.deque()
    for offset in offsets:
        if len(under_way) == DEPTH:
            op, begun = under_way.popleft()
            ringmill.wait(op)
            lap.took.append(now() - begun)
        under_way.append((ringmill.start_write(fd, DATA, offset=offset), now()))
    ringmill.drain(fd)


def writer(fd: int, offsets: Iterable[int]) -> None:
    for offset in offsets:
        begun = now()
        ringmill.write(fd, DATA, offset=offset)
        lap.took.append(now() - begun)


def fibers(fd: int, offsets: Iterable[int]) -> None:
    for fiber in [ringmill.spawn(writer, fd, offsets) for _ in range(DEPTH)]:
        fiber.join()


def main(count: int) -> None:
    fd = opened(cell, path)
    offsets = offsets_in(path, count)
    with lap:
        (behind if way == "start_write" else fibers)(fd, offsets)
    os.close(fd)


report(lambda count: ringmill.run(lambda: main(count)), float(seconds))
