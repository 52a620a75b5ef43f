"""What an op costs as a call in a plain script, where no fiber is.  WHAT PATH DEPTH SECONDS"""

import os
import sys

import ringmill
from lap import lap, report
from offsets import READ_SIZE, offsets_in

what, path, _depth, seconds = sys.argv[1:]


def read(count: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    offsets = offsets_in(path, count)
    with lap:
        for offset in offsets:
            ringmill.read(fd, READ_SIZE, offset=offset)
    os.close(fd)


def nop(count: int) -> None:
    with lap:
        for _ in range(count):
            ringmill.nop()


report(read if what == "read" else nop, float(seconds))
