"""The bound of the turn policy counts everybody who runs: also those whom I/O or a timer woke.

Pitfall 24, from its other side: many that became runnable at one look must not put off the next
look until all of them have run. Counts, not times.
"""

from __future__ import annotations

import array
import fcntl
import os
import random
import termios
import time

import pytest

import ringmill
from ringmill import Adaptive, Fixed, Relative, aio

CROWD = 300  # more than the 256 that one look takes in


def waiting_in(fd):
    """Bytes that could be read from a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


@pytest.mark.req("U7", "U8", "U9")
@pytest.mark.parametrize("woken_by", ["a timer", "I/O"])
@pytest.mark.parametrize("bound", [1, 16])
def test_a_crowd_that_wakes_at_once_does_not_put_off_the_next_look(
        kernel, face, woken_by, bound, pipe, other_pipe):
    """What the first of them begins is submitted after the bound, not when all of them have run.

    Three hundred become runnable at one look; each writes a byte. How many bytes were asked for
    and are not in the pipe yet: that is how far the look at I/O is behind.
    """
    (feeds, feed), (reader, writer) = pipe, other_pipe
    asked = behind = 0

    def answer():
        nonlocal asked, behind
        aio.write(writer, b"x").detach()
        asked += 1
        behind = max(behind, asked - waiting_in(reader))

    def fiber():
        ringmill.sleep(0.01) if woken_by == "a timer" else ringmill.read(feeds, 1)
        answer()

    async def task():
        await (aio.sleep(0.01) if woken_by == "a timer" else aio.read(feeds, 1))
        answer()

    def main():
        with ringmill.scope() as s:
            for _ in range(CROWD):
                s.spawn(fiber if face == "fiber" else task())
            while ringmill.machine().stats()["ready"]:
                ringmill.yield_now()
            ringmill.nop()  # everybody's op is with the kernel
            if woken_by == "I/O":
                os.write(feed, bytes(CROWD))
            else:
                time.sleep(0.01)  # all are due at the next look

    with ringmill.Machine(kernel=kernel, balance=Fixed(bound)) as machine:
        machine.run(main)
        while machine.stats()["ops_live"]:
            ringmill.sleep(0)
        assert asked == waiting_in(reader) == CROWD
        assert behind <= bound
        assert machine.stats()["max_switches_between_io"] <= bound


@pytest.mark.req("U9", "U10", "U11", "U12")
@pytest.mark.parametrize("policy, bound", [
    (Fixed(1), 1), (Fixed(5), 5), (Relative(0.5, least=4), 64), (Adaptive(1e-6), 4096)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_holds_after_any_workload(kernel, policy, bound, seed, pipe):
    """Fibers and tasks that yield, sleep, time out, talk, spawn, join and cancel, at random."""
    rng = random.Random(seed)
    runs = 0  # everybody who was resumed, as the test itself counts them

    def step():
        nonlocal runs
        runs += 1

    def fiber(depth):
        left, right = os.pipe()
        try:
            for _ in range(rng.randrange(8)):
                step()
                what = rng.randrange(7)
                if what == 0:
                    ringmill.yield_now()
                elif what == 1:
                    ringmill.sleep(rng.choice((0, 0, 1e-5, 1e-3)))
                elif what == 2:
                    ringmill.write(right, b"x")
                    ringmill.read(left, 1)
                elif what == 3 and depth:
                    ringmill.spawn(fiber, depth - 1).join()
                elif what == 4 and depth:
                    ringmill.spawn(task(depth - 1)).join()
                elif what == 5:
                    try:
                        with ringmill.timeout(1e-4):
                            ringmill.read(left, 1)
                    except TimeoutError:
                        pass
                else:
                    aio.nop().detach()
        finally:
            os.close(left)
            os.close(right)

    async def task(depth):
        for _ in range(rng.randrange(8)):
            step()
            what = rng.randrange(5)
            if what == 0:
                await aio.yield_now()
            elif what == 1:
                await aio.sleep(rng.choice((0, 0, 1e-5, 1e-3)))
            elif what == 2 and depth:
                await ringmill.spawn(task(depth - 1))
            elif what == 3 and depth:
                await ringmill.spawn(fiber, depth - 1)
            else:
                await aio.nop()

    def main():
        with ringmill.scope() as s:
            for _ in range(60):
                s.spawn(fiber, 2)
                s.spawn(task(2))

    with ringmill.Machine(kernel=kernel, balance=policy) as machine:
        machine.run(main)
        stats = machine.stats()
        assert stats["max_switches_between_io"] <= bound
        assert stats["switches"] >= runs // 2  # it counted them
