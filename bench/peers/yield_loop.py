"""What one asyncio.sleep(0) costs.  LOOP TASKS SECONDS"""

import asyncio
import sys

import loops
from lap import lap, report

loop_name, tasks, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])


async def spin(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def main(count: int) -> None:
    with lap:
        await asyncio.gather(*[spin(count // tasks + 1) for _ in range(tasks)])


report(lambda count: loops.run(loop_name, main(count)), seconds)
