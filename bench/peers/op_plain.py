"""What a plain system call costs: os.pread of 4 KiB, or os.getppid(), which does nothing.

WHAT PATH DEPTH SECONDS  (DEPTH is ignored: one after the other is all that a plain call can do)
"""

import os
import sys

from lap import lap, report
from offsets import READ_SIZE, offsets_in

what, path, _depth, seconds = sys.argv[1:]


def read(count: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    offsets = offsets_in(path, count)
    with lap:
        for offset in offsets:
            os.pread(fd, READ_SIZE, offset)
    os.close(fd)


def nop(count: int) -> None:
    with lap:
        for _ in range(count):
            os.getppid()


report(read if what == "read" else nop, float(seconds))
