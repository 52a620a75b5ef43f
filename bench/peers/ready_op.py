"""What the await of a ringmill op that is already complete costs.  SECONDS"""

import sys

import ringmill
from lap import lap, report
from ringmill import aio

BATCH = 512  # complete before the stopwatch starts


async def main(count: int) -> None:
    for _ in range(count // BATCH):
        ops = [aio.nop() for _ in range(BATCH)]
        while not all(op.done for op in ops):
            await aio.sleep(0.0001)
        with lap:
            for op in ops:
                await op


report(lambda count: ringmill.run(main(count)), float(sys.argv[1]))
