"""What an entry costs with os.scandir and its stat, walked over and over.  FOLDER SECONDS"""

import os
import sys
from collections.abc import Iterator

from lap import lap, report

folder, seconds = sys.argv[1:]


def walk() -> Iterator[os.DirEntry[str]]:
    todo = [folder]
    while todo:
        with os.scandir(todo.pop()) as scanned:
            for entry in scanned:
                entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                yield entry


def main(count: int) -> None:
    with lap:
        while count > 0:
            for _ in walk():
                count -= 1
                if count == 0:
                    break


report(main, float(seconds))
