"""What an op costs as a call in ringmill fibers, DEPTH at once.  WHAT PATH DEPTH SECONDS"""

import os
import sys
from collections.abc import Iterable

import ringmill
from lap import lap, report
from offsets import READ_SIZE, offsets_in

what, path, depth, seconds = sys.argv[1:]


def read(fd: int, offsets: Iterable[int]) -> None:
    for offset in offsets:  # all fibers draw from one supply
        ringmill.read(fd, READ_SIZE, offset=offset)


def nop(_fd: int, offsets: Iterable[int]) -> None:
    for _ in offsets:
        ringmill.nop()


def main(count: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    offsets = offsets_in(path, count)
    work = read if what == "read" else nop
    with lap:
        fibers = [ringmill.spawn(work, fd, offsets) for _ in range(int(depth))]
        for fiber in fibers:
            fiber.join()
    os.close(fd)


report(lambda count: ringmill.run(lambda: main(count)), float(seconds))
