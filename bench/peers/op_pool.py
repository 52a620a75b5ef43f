"""What a 4 KiB read costs through an event loop's thread pool.  LOOP WHAT PATH DEPTH SECONDS"""

import asyncio
import os
import sys

import loops
from lap import lap, report
from offsets import READ_SIZE, offsets_in

loop_name, _what, path, depth, seconds = sys.argv[1:]


async def main(count: int) -> None:
    loop = asyncio.get_running_loop()
    fd = os.open(path, os.O_RDONLY)
    offsets = offsets_in(path, count)

    async def reader() -> None:
        for offset in offsets:  # all readers draw from one supply
            await loop.run_in_executor(None, os.pread, fd, READ_SIZE, offset)

    with lap:
        await asyncio.gather(*[reader() for _ in range(int(depth))])
    os.close(fd)


report(lambda count: loops.run(loop_name, main(count)), float(seconds))
