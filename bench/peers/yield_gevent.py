"""What one gevent.sleep(0) costs.  TASKS SECONDS"""

import sys

import gevent

from lap import lap, report

tasks, seconds = int(sys.argv[1]), float(sys.argv[2])


def spin(count: int) -> None:
    for _ in range(count):
        gevent.sleep(0)


def main(count: int) -> None:
    with lap:
        gevent.joinall([gevent.spawn(spin, count // tasks + 1) for _ in range(tasks)])


report(main, seconds)
