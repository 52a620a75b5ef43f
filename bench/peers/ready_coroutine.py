"""What the await of an `async def` that returns at once costs: Python's own floor.  SECONDS"""

import asyncio
import sys

from lap import lap, report


async def ready() -> None:
    return None


async def main(count: int) -> None:
    with lap:
        for _ in range(count):
            await ready()


report(lambda count: asyncio.run(main(count)), float(sys.argv[1]))
