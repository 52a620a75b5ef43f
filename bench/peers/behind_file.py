"""The file that is written behind, and what to: the same for every contender."""

import errno
import mmap
import os
import sys

from lap import CANNOT
from offsets import READ_SIZE

FLAGS = {"O_DSYNC": os.O_DSYNC, "O_DIRECT, O_DSYNC": os.O_DIRECT | os.O_DSYNC, "page cache": 0}
DEPTH = 64
DATA = mmap.mmap(-1, READ_SIZE)  # on a page's boundary, as O_DIRECT wants it


def opened(cell: str, path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | FLAGS[cell])
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        print(f"this file system has no {cell}", file=sys.stderr)
        raise SystemExit(CANNOT) from None
