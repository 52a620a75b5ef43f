"""What the await of an asyncio Future that is already done costs.  SECONDS"""

import asyncio
import sys

from lap import lap, report

BATCH = 512  # done before the stopwatch starts; few enough to stay in the cache


async def main(count: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count // BATCH):
        futures = [loop.create_future() for _ in range(BATCH)]
        for future in futures:
            future.set_result(None)
        with lap:
            for future in futures:
                await future


report(lambda count: asyncio.run(main(count)), float(sys.argv[1]))
