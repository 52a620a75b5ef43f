"""What opening, reading and closing a small file costs, by system calls.  FOLDER DEPTH SECONDS"""

import os
import sys

from lap import lap, report
from supply import files_in

folder, _depth, seconds = sys.argv[1:]
SIZE = 4096


def main(count: int) -> None:
    paths = files_in(folder, count)
    with lap:
        for path in paths:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            os.read(fd, SIZE)
            os.close(fd)


report(main, float(seconds))
