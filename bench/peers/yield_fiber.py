"""What one ringmill.yield_now() of a fiber costs.  TASKS SECONDS"""

import sys

import ringmill
from lap import lap, report

tasks, seconds = int(sys.argv[1]), float(sys.argv[2])


def spin(count: int) -> None:
    for _ in range(count):
        ringmill.yield_now()


def main(count: int) -> None:
    with lap:
        fibers = [ringmill.spawn(spin, count // tasks + 1) for _ in range(tasks)]
        for fiber in fibers:
            fiber.join()


report(lambda count: ringmill.run(lambda: main(count)), seconds)
