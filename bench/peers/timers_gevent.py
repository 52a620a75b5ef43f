"""What gevent's Timeout, started and closed, costs beside ALIVE other timers.  ALIVE SECONDS"""

import sys

import gevent

from lap import lap, report

alive, seconds = int(sys.argv[1]), float(sys.argv[2])
FAR_S = 3600  # none of them expires while we measure
TURN = 256  # timers per turn of the hub: a busy server's


def main(count: int) -> None:
    others = [gevent.Timeout.start_new(FAR_S + i / alive) for i in range(alive)]
    with lap:
        for _ in range(0, count, TURN):
            for _ in range(TURN):
                with gevent.Timeout(FAR_S):
                    pass
            gevent.sleep(0)
    for other in others:
        other.close()


report(main, seconds)
