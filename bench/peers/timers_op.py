"""What a ringmill timer op, started and cancelled, costs beside ALIVE others.  ALIVE SECONDS"""

import sys

from lap import lap, report
from machine import machine_from
from ringmill import aio

alive, seconds = int(sys.argv[1]), float(sys.argv[2])
FAR_S = 3600  # none of them expires while we measure
TURN = 256  # timers per turn of the machine: a busy server's


async def main(count: int) -> None:
    others = [aio.sleep(FAR_S + i / alive) for i in range(alive)]
    with lap:
        for _ in range(0, count, TURN):
            for _ in range(TURN):
                aio.sleep(FAR_S).cancel()
            await aio.yield_now()
    for other in others:
        other.cancel()


machine = machine_from([f"ops={alive * 2}"])
report(lambda count: machine.run(main(count)), seconds)
machine.close()
