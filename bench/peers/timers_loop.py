"""What call_later and cancel cost beside ALIVE other timers.  LOOP ALIVE SECONDS"""

import asyncio
import sys

import loops
from lap import lap, report

loop_name, alive, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
FAR_S = 3600  # none of them expires while we measure
TURN = 256  # timers per turn of the loop: a busy server's


def nothing() -> None:
    return None


async def main(count: int) -> None:
    loop = asyncio.get_running_loop()
    others = [loop.call_later(FAR_S + i / alive, nothing) for i in range(alive)]
    with lap:
        for _ in range(0, count, TURN):
            for _ in range(TURN):
                loop.call_later(FAR_S, nothing).cancel()
            await asyncio.sleep(0)  # a turn, where a loop throws away what was cancelled
    for other in others:
        other.cancel()


report(lambda count: loops.run(loop_name, main(count)), seconds)
