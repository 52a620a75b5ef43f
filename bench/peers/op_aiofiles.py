"""What a 4 KiB read costs with aiofiles (seek, then read).  LOOP WHAT PATH DEPTH SECONDS"""

import asyncio
import sys

import aiofiles

import loops
from lap import lap, report
from offsets import READ_SIZE, offsets_in

loop_name, _what, path, depth, seconds = sys.argv[1:]


async def main(count: int) -> None:
    offsets = offsets_in(path, count)

    async def reader() -> None:
        async with aiofiles.open(path, "rb", buffering=0) as file:
            for offset in offsets:  # all readers draw from one supply
                await file.seek(offset)
                await file.read(READ_SIZE)

    with lap:
        await asyncio.gather(*[reader() for _ in range(int(depth))])


report(lambda count: loops.run(loop_name, main(count)), float(seconds))
