"""What one await of aio.yield_now() in a native task costs.  TASKS SECONDS"""

import sys

import ringmill
from lap import lap, report
from ringmill import aio

tasks, seconds = int(sys.argv[1]), float(sys.argv[2])


async def spin(count: int) -> None:
    for _ in range(count):
        await aio.yield_now()


async def main(count: int) -> None:
    with lap:
        async with ringmill.scope() as scope:
            for _ in range(tasks):
                scope.spawn(spin(count // tasks + 1))


report(lambda count: ringmill.run(main(count)), seconds)
