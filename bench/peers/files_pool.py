"""What it costs in an event loop's thread pool, or with aiofiles.  LOOP HOW FOLDER DEPTH SECONDS"""

import asyncio
import os
import sys

import loops
from lap import lap, report
from supply import files_in

loop_name, how, folder, depth, seconds = sys.argv[1:]
SIZE = 4096


async def with_os(paths) -> None:
    loop = asyncio.get_running_loop()
    for path in paths:  # all readers draw from one supply
        fd = await loop.run_in_executor(None, os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        await loop.run_in_executor(None, os.read, fd, SIZE)
        await loop.run_in_executor(None, os.close, fd)


async def with_aiofiles(paths) -> None:
    import aiofiles

    for path in paths:
        async with aiofiles.open(path, "rb", buffering=0) as file:
            await file.read(SIZE)


async def main(count: int) -> None:
    paths = files_in(folder, count)
    reader = with_os if how == "os" else with_aiofiles
    with lap:
        await asyncio.gather(*[reader(paths) for _ in range(int(depth))])


report(lambda count: loops.run(loop_name, main(count)), float(seconds))
