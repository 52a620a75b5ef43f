"""What get() of a gevent AsyncResult that is already set costs.  SECONDS"""

import sys

from gevent.event import AsyncResult

from lap import lap, report

BATCH = 512  # set before the stopwatch starts


def main(count: int) -> None:
    for _ in range(count // BATCH):
        results = [AsyncResult() for _ in range(BATCH)]
        for result in results:
            result.set(None)
        with lap:
            for result in results:
                result.get()


report(main, float(sys.argv[1]))
