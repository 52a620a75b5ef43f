"""What it costs in ringmill's native tasks, DEPTH at once.  HOW FOLDER DEPTH SECONDS"""

import os
import sys

import ringmill
from lap import lap, report
from ringmill import aio
from supply import files_in

how, folder, depth, seconds = sys.argv[1:]
SIZE = 4096


async def ops(paths) -> None:
    for path in paths:  # all tasks draw from one supply
        fd = await aio.open(path, os.O_RDONLY)
        await aio.read(fd, SIZE)
        await aio.close(fd)


async def read_file(paths) -> None:
    for path in paths:
        await aio.read_file(path)


async def open_file(paths) -> None:
    for path in paths:
        async with aio.open_file(path, "rb") as file:
            await file.read(SIZE)


async def main(count: int) -> None:
    paths = files_in(folder, count)
    work = {"ops": ops, "read_file": read_file, "open_file": open_file}[how]
    with lap:
        async with ringmill.scope() as scope:
            for _ in range(int(depth)):
                scope.spawn(work(paths))


report(lambda count: ringmill.run(main(count)), float(seconds))
