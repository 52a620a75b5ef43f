"""What an op costs awaited in ringmill's native tasks, DEPTH at once.  WHAT PATH DEPTH SECONDS"""

import os
import sys
from collections.abc import Iterable

import ringmill
from lap import lap, report
from offsets import READ_SIZE, offsets_in
from ringmill import aio

what, path, depth, seconds = sys.argv[1:]


async def read(fd: int, offsets: Iterable[int]) -> None:
    for offset in offsets:  # all tasks draw from one supply
        await aio.read(fd, READ_SIZE, offset=offset)


async def nop(_fd: int, offsets: Iterable[int]) -> None:
    for _ in offsets:
        await aio.nop()


async def main(count: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    offsets = offsets_in(path, count)
    work = read if what == "read" else nop
    with lap:
        async with ringmill.scope() as scope:
            for _ in range(int(depth)):
                scope.spawn(work(fd, offsets))
    os.close(fd)


report(lambda count: ringmill.run(main(count)), float(seconds))
