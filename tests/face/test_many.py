"""Many fibers, deep stacks, and greenlets that are not ours.

Of pitfalls: a fresh greenlet inherits stack position and recursion depth from whoever begins it;
an exception must never leave a fiber.
"""

from __future__ import annotations

import sys
import threading

import greenlet
import pytest

import ringmill
from ringmill import aio
from support import programs

MANY = 100_000


def test_fibers_that_begin_fibers(machine):
    """A hundred thousand, each begun by the one before it: no RecursionError, no deeper stack."""
    count = 0

    def link(n):
        nonlocal count
        count += 1
        if n:
            return ringmill.spawn(link, n - 1)
        return None

    fiber = ringmill.spawn(link, MANY)
    while fiber is not None:
        fiber = fiber.join()
    assert count == MANY + 1


def test_fibers_that_join_the_fibers_they_begin(machine):
    """All alive at once, a chain of two thousand who wait for each other."""
    def link(n):
        return 1 + ringmill.spawn(link, n - 1).join() if n else 0

    assert ringmill.spawn(link, 2000).join() == 2000


def test_many_alive_at_once(machine):
    """Ten thousand suspended fibers, each with a stack of its own, each woken once."""
    woken = []

    def work(n):
        ringmill.park()
        woken.append(n)

    fibers = [ringmill.spawn(work, n) for n in range(10_000)]
    ringmill.yield_now()
    assert machine.stats()["strands"] == 10_000
    for fiber in fibers:
        ringmill.unpark(fiber)
    for fiber in fibers:
        fiber.join()
    assert sorted(woken) == list(range(10_000))
    assert machine.stats()["strands"] == 0


def test_the_recursion_limit_is_each_fibers_own(machine):
    """As deep inside a fiber as outside, wherever it was begun from; and waits in the depth."""
    def dive(n):
        if n == 0:
            ringmill.yield_now()
            ringmill.nop()
            return 0
        return 1 + dive(n - 1)

    def from_the_depth(n):
        if n:
            return from_the_depth(n - 1)
        fibers = [ringmill.spawn(dive, 600) for _ in range(20)]
        return [fiber.join() for fiber in fibers]

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    try:
        assert ringmill.spawn(from_the_depth, 600).join() == [600] * 20
        assert ringmill.spawn(lambda: ringmill.spawn(from_the_depth, 300).join()).join() \
            == [600] * 20
    finally:
        sys.setrecursionlimit(limit)


def test_recursion_without_end_is_the_fibers_own_error(machine):
    def endless():
        ringmill.yield_now()
        return endless()

    fibers = [ringmill.spawn(endless) for _ in range(3)]
    for fiber in fibers:
        with pytest.raises(RecursionError):
            fiber.join()
    ringmill.nop()
    assert ringmill.spawn(lambda: 7).join() == 7


def test_waves(machine):
    """More than are pooled, again and again: ended greenlets are used anew."""
    for _ in range(5):
        with ringmill.scope() as s:
            for _ in range(1000):
                s.spawn(ringmill.sleep, 0.0001)
    assert machine.stats()["strands"] == 0


def test_a_users_own_greenlet_calls_ringmill(machine):
    """A greenlet that is not a fiber waits like anybody; so does one inside it."""
    log = []

    def inner():
        ringmill.sleep(0.0001)
        log.append("inner")
        return "inner's"

    def outer():
        ringmill.nop()
        log.append("outer")
        nested = greenlet.greenlet(inner)
        result = nested.switch()
        ringmill.yield_now()
        return result

    assert greenlet.greenlet(outer).switch() == "inner's"
    assert log == ["outer", "inner"]
    assert ringmill.spawn(lambda: greenlet.greenlet(outer).switch()).join() == "inner's"
    ringmill.nop()


def test_a_users_greenlet_beside_fibers(machine):
    """Fibers run while a foreign greenlet waits, and it goes on where it was."""
    steps = []

    def ticker():
        for _ in range(5):
            steps.append("tick")
            ringmill.yield_now()

    def mine():
        for _ in range(3):
            ringmill.sleep(0.0002)
            steps.append("mine")
        return "end"

    fiber = ringmill.spawn(ticker)
    assert greenlet.greenlet(mine).switch() == "end"
    fiber.join()
    assert steps.count("tick") == 5 and steps.count("mine") == 3


def test_users_greenlets_that_switch_between_calls(machine):
    """A pair of generators made of greenlets, both doing I/O in a fiber."""
    def producer():
        for n in range(20):
            ringmill.nop()
            main.switch(n)
        return

    def consume():
        nonlocal main
        main = greenlet.getcurrent()
        source = greenlet.greenlet(producer)
        got = []
        while (n := source.switch()) is not None:
            got.append(n)
            ringmill.yield_now()
        return got

    main = None
    assert ringmill.spawn(consume).join() == list(range(20))
    assert consume() == list(range(20))


def test_an_exception_leaves_a_users_greenlet_as_usual(machine):
    def fail():
        ringmill.sleep(0.0001)
        raise LookupError("from the greenlet")

    with pytest.raises(LookupError):
        greenlet.greenlet(fail).switch()

    def work():
        with pytest.raises(LookupError):
            greenlet.greenlet(fail).switch()
        return "caught"

    assert ringmill.spawn(work).join() == "caught"


def test_fibers_of_a_thread_end_with_it(kernel):
    """Suspended fibers in threads that just return: no crash, nothing printed, no descriptor."""
    programs.clean("""
        import gc, os, threading
        import ringmill

        def work():
            def waits():
                try:
                    ringmill.read(reader, 10)
                except BaseException:
                    pass
            for _ in range(10):
                ringmill.spawn(waits)
            ringmill.spawn(ringmill.sleep, 3600)
            ringmill.yield_now()
            ringmill.nop()

        reader, writer = os.pipe()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before
        ringmill.nop()
    """, kernel=kernel)


def test_machines_in_many_threads(kernel):
    """Four machines at once, each with fibers and tasks; nothing is shared but the GIL."""
    results = []

    def work(n):
        async def task(k):
            for _ in range(20):
                await aio.nop()
                await aio.yield_now()
            return k

        def main():
            with ringmill.scope() as s:
                fibers = [s.spawn(lambda k=k: (ringmill.nop(), k)[1]) for k in range(50)]
                tasks = [s.spawn(task(k)) for k in range(50)]
            return [x.join() for x in fibers + tasks]

        results.append((n, ringmill.run(main, kernel=kernel)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(n for n, _ in results) == [0, 1, 2, 3]
    assert all(got == [*range(50), *range(50)] for _, got in results)
