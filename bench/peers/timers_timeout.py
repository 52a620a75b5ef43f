"""What `with ringmill.timeout()` costs in a fiber beside ALIVE other timers.  ALIVE SECONDS"""

import sys

import ringmill
from lap import lap, report
from machine import machine_from
from ringmill import aio

alive, seconds = int(sys.argv[1]), float(sys.argv[2])
FAR_S = 3600  # none of them expires while we measure
TURN = 256  # timers per turn of the machine: a busy server's


def main(count: int) -> None:
    others = [aio.sleep(FAR_S + i / alive) for i in range(alive)]
    with lap:
        for _ in range(0, count, TURN):
            for _ in range(TURN):
                with ringmill.timeout(FAR_S):
                    pass
            ringmill.yield_now()
    for other in others:
        other.cancel()


machine = machine_from([f"ops={alive * 2}"])
report(lambda count: machine.run(lambda: main(count)), seconds)
machine.close()
