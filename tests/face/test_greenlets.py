"""Greenlets that are not ours: each waits like anybody, and stays apart from the fibers."""

from __future__ import annotations

import greenlet
import pytest

import ringmill
from ringmill import Cancelled
from support import programs


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


def test_the_first_call_in_a_greenlet_that_ends(kernel):
    """The machine begins there and does not depend on it: fibers begin, Ctrl-C is heard."""
    out = programs.clean("""
        import os, signal, threading, time
        import greenlet
        import ringmill

        def chain(n):
            if n:
                ringmill.spawn(chain, n - 1)
            else:
                print("chain")
            ringmill.park()

        def interrupt():
            waits = machine.stats()["waits"]
            while machine.stats()["waits"] == waits:
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)

        greenlet.greenlet(ringmill.nop).switch()
        machine = ringmill.machine()
        ringmill.spawn(chain, 1500)
        ringmill.sleep(0)
        while machine.stats()["ready"]:
            ringmill.yield_now()
        threading.Thread(target=interrupt, daemon=True).start()
        try:
            for _ in range(2):
                ringmill.sleep(20)
        except KeyboardInterrupt:
            print("interrupted in sleep", _)
    """, kernel=kernel)
    assert out == "chain\ninterrupted in sleep 0\n"


@pytest.mark.parametrize("main", ["main()", "ringmill.run(main)"])
def test_ctrl_c_while_a_greenlet_waits(kernel, main):
    """Whoever called it cannot be told before it is over: it is interrupted itself."""
    out = programs.clean(f"""
        import os, signal, threading, time
        import greenlet
        import ringmill

        def interrupt():
            waits = machine.stats()["waits"]
            while machine.stats()["waits"] == waits:
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)

        def waits():
            try:
                ringmill.sleep(20)
            except KeyboardInterrupt:
                print("interrupted")
                ringmill.sleep(0.001)
                raise

        def main():
            threading.Thread(target=interrupt, daemon=True).start()
            greenlet.greenlet(waits).switch()

        machine = ringmill.machine()
        ringmill.nop()
        try:
            {main}
        except KeyboardInterrupt:
            print("and it goes on")
        ringmill.sleep(0.001)
    """, kernel=kernel)
    assert out == "interrupted\nand it goes on\n"


@pytest.mark.parametrize("waits", ["", "twice"])
def test_a_fiber_that_has_used_a_greenlet_is_the_same(machine, waits):
    """current() is; and a cancel reaches what it waits for."""
    def work():
        me = ringmill.current()
        for _ in range(2 if waits else 1):
            greenlet.greenlet(lambda: ringmill.sleep(0.0001)).switch()
            same.append(ringmill.current() is me)
        with pytest.raises(TimeoutError):
            with ringmill.timeout(0):
                ringmill.sleep(3600)
        ready.append(1)
        ringmill.sleep(20)

    same, ready = [], []
    fiber = ringmill.spawn(work)
    while not ready:
        ringmill.sleep(0.0001)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.join()
    assert all(same)
