"""The GIL is let go of while the machine waits, and only then: a look at I/O keeps it."""

from __future__ import annotations

import sys
import threading

import pytest

import ringmill
from ringmill import Fixed, aio


@pytest.fixture
def _nobody_is_asked_to_let_go():
    """Python itself switches threads every 5 ms; not in this test."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_nobody_is_asked_to_let_go")
def test_only_a_wait_lets_go_of_the_gil(kernel):
    """A thread that needs nothing but the GIL runs at the first wait, after a thousand looks."""
    gate, ready = threading.Lock(), threading.Lock()
    ran = []

    def other():
        ready.release()
        with gate:
            ran.append(1)

    def main():
        gate.acquire()
        ready.acquire()
        thread = threading.Thread(target=other)
        thread.start()
        ready.acquire()
        # Until it stands at the gate: a short rest, in which the GIL is free.
        threading.Event().wait(0.05)
        before = machine.stats()
        gate.release()  # from here on it needs only the GIL
        for _ in range(1000):
            aio.nop().detach()
            ringmill.yield_now()
        after = machine.stats()
        seen = list(ran)
        stop.append(1)
        spinner.join()
        ringmill.sleep(0.02)  # nobody can run: the machine waits
        thread.join()
        return seen, after["enters"] - before["enters"], after["waits"] - before["waits"]

    def spin():
        while not stop:
            ringmill.yield_now()

    stop = []
    with ringmill.Machine(kernel=kernel, balance=Fixed(1)) as machine:
        spinner = ringmill.spawn(spin)
        seen, enters, waits = machine.run(main)
    assert seen == [] and ran == [1]
    assert enters >= 1000 and waits == 0
