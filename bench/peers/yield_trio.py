"""What one trio.sleep(0) costs.  TASKS SECONDS"""

import sys

import trio

from lap import lap, report

tasks, seconds = int(sys.argv[1]), float(sys.argv[2])


async def spin(count: int) -> None:
    for _ in range(count):
        await trio.sleep(0)


async def main(count: int) -> None:
    with lap:
        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(spin, count // tasks + 1)


report(lambda count: trio.run(main, count), seconds)
