"""Many fibers, deep stacks, and finalisers that come at every moment of a fiber's life.

Of pitfalls: a fresh greenlet inherits stack position and recursion depth from whoever begins it;
an exception must never leave a fiber.
"""

from __future__ import annotations

import sys
import threading

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


# Garbage in a cycle whose finaliser makes the next one, for collections at every allocation.
FINALISERS = """
    import gc, os, sys
    import ringmill

    class Left:
        def __init__(self):
            self.me = self
        def __del__(self):
            global finalised
            if quiet:
                return
            finalised += 1
            if finalised < 200:
                Left()
            try:
                look()
            except ringmill.WouldBlock:
                pass

    finalised, quiet = 0, False
    ringmill.nop()
    Left()
"""


@pytest.mark.parametrize("look", [
    "ringmill.current()", "ringmill.close(os.open('/dev/null', os.O_RDONLY))",
    "ringmill.yield_now()"])
def test_finalisers_while_fibers_are_begun(kernel, look):
    """The greenlet's own allocation collects: whoever is about to begin is begun, and once."""
    out = programs.clean(FINALISERS + f"""
    look = lambda: {look}
    done = []
    for n in range(2):
        ringmill.spawn(done.append, n)
    gc.set_threshold(1)  # collect at the next allocation: the greenlet's
    ringmill.nop()
    gc.set_threshold(700)
    quiet = True
    ringmill.sleep(0.001)
    print(done, finalised > 0)
    """, kernel=kernel)
    assert out == "[0, 1] True\n"


@pytest.mark.parametrize("wait", ["ringmill.sleep(0.001)", "ringmill.yield_now()",
                                  "ringmill.drive(yields())"])
def test_finalisers_that_wait_while_their_fiber_is_runnable(kernel, wait):
    """They may not: the fiber's own wake-up would end their wait."""
    out = programs.clean(FINALISERS + f"""
    class Yields:
        def __await__(self):
            yield

    async def yields():
        await Yields()

    look = lambda: {wait}
    fibers = [ringmill.spawn(ringmill.sleep, 0.001) for _ in range(2)]
    gc.set_threshold(1)
    ringmill.yield_now()
    ringmill.drive(yields())
    gc.set_threshold(700)
    quiet = True
    for fiber in fibers:
        fiber.join()
    print(finalised > 0)
    """, kernel=kernel)
    assert out == "True\n"


@pytest.mark.parametrize("call", ["ringmill.current()", "ringmill.nop()", "ringmill.sleep(0)"])
def test_finalisers_as_the_interpreter_ends(kernel, call):
    """They may be told that it is too late, and the machine that they have made goes quietly."""
    out = programs.clean(f"""
        import ringmill

        class Late:
            def __init__(self, n):
                self.me, self.n = self, n
            def __del__(self):
                if self.n:
                    Late(self.n - 1)
                print("late", flush=True)
                try:
                    {call}
                except Exception:
                    pass

        late = Late(3)
        ringmill.nop()
    """, kernel=kernel)
    assert set(out.split()) == {"late"}
