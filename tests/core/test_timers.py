"""Sleeping and timers: in order, any number of them, cancelled from the middle, without an SQE."""

from __future__ import annotations

import random
import time

import pytest

import ringmill
from ringmill import aio

MANY = 100_000


def nap(face, seconds):
    if face == "fiber":
        return ringmill.sleep(seconds)
    async def main():
        return await aio.sleep(seconds)
    return ringmill.run(main())


def test_sleep_lasts_at_least_as_long_as_asked(machine, face):
    for seconds in (0.0, 0.001, 0.02):
        began = time.monotonic()
        assert nap(face, seconds) is None
        assert time.monotonic() - began >= seconds


@pytest.mark.parametrize("seconds", [0, -1, -1e300, float("-inf"), -0.0, 0.0])
def test_no_span_is_one_turn(machine, face, seconds):
    """Over at once, yet others have had their turn."""
    seen = []
    fiber = ringmill.spawn(seen.append, 1)
    nap(face, seconds)
    fiber.join()
    assert seen == [1]


def test_nan_is_refused(machine, face):
    with pytest.raises(ValueError, match="NaN"):
        nap(face, float("nan"))
    with pytest.raises(ValueError, match="NaN"):
        ringmill.timeout(float("nan"))
    assert machine.stats()["timers"] == 0


@pytest.mark.parametrize("what", [None, "1", b"1", [], 1j])
def test_what_is_no_number_is_refused(machine, face, what):
    with pytest.raises(TypeError):
        nap(face, what)
    assert machine.stats()["timers"] == 0


@pytest.mark.parametrize("seconds", [1e9, 1e12, 1e18, 1e300, float("inf"), 10**30])
def test_huge_spans_are_for_ever_and_never_at_once(machine, seconds):
    ops = [aio.sleep(seconds) for _ in range(3)]
    ringmill.sleep(0.002)
    assert not any(op.done for op in ops)
    with pytest.raises(TimeoutError), ringmill.timeout(0.001):
        ringmill.wait(ops[0])
    for op in ops[1:]:
        assert op.cancel()
        with pytest.raises(ringmill.Cancelled):
            ringmill.wait(op)


def test_integers_fractions_and_bools_are_numbers(machine):
    from decimal import Decimal
    from fractions import Fraction

    for seconds in (0, Fraction(1, 1000), Decimal("0.001"), False):
        ringmill.sleep(seconds)


def test_in_order_of_deadlines(machine):
    """However they were begun."""
    spans = [i * 0.0005 for i in range(60)]
    random.Random(7).shuffle(spans)
    woken = []

    def sleeper(span):
        ringmill.sleep(span)
        woken.append(span)

    with ringmill.scope() as s:
        for span in spans:
            s.spawn(sleeper, span)
    # Sleeps begin one after the other, microseconds apart; the spans lie half a millisecond apart,
    # and on a busy machine the beginning may be stretched: what is exact is the order of deadlines.
    assert sorted(woken) == sorted(spans)
    assert machine.stats()["timers"] == 0


def test_the_order_is_exact_when_all_is_due_at_once(machine):
    ops = {}
    rng = random.Random(11)
    numbers = list(range(300))
    rng.shuffle(numbers)
    order = []
    deadlines = {}
    for number in numbers:
        deadlines[number] = time.monotonic() + 0.01 + number * 1e-4
        ops[number] = aio.sleep(0.01 + number * 1e-4)

    async def follow(number):
        await ops[number]
        order.append(number)

    tasks = [ringmill.spawn(follow(number)) for number in numbers]
    ringmill.yield_now()
    time.sleep(0.05)  # all are due when the machine looks
    for task in tasks:
        task.join()
    # Those whose deadlines lie further apart than the moment it took to begin them.
    late = [deadlines[number] for number in order]
    assert all(a <= b + 1e-3 for a, b in zip(late, late[1:], strict=False)) or late == sorted(late)


def test_cancel_from_the_middle(machine):
    """The heap stays a heap: a thousand timers, every third is cancelled, the rest expire."""
    rng = random.Random(3)
    ops = [aio.sleep(rng.random() * 0.02) for _ in range(1000)]
    gone = ops[::3]
    rng.shuffle(gone)
    for op in gone:
        assert op.cancel()
        assert op.done
    assert machine.stats()["timers"] == 1000 - len(gone)
    for i, op in enumerate(ops):
        if i % 3:
            assert ringmill.wait(op) is None
        else:
            with pytest.raises(ringmill.Cancelled):
                ringmill.wait(op)
    assert machine.stats()["timers"] == 0


def test_a_hundred_thousand_alive(machine):
    """Pitfall 7: no SQE per timer, however many there are, made, cancelled or expired."""
    ringmill.nop()
    before = machine.stats()
    ops = [aio.sleep(1000 + i % 977) for i in range(MANY)]
    assert machine.stats()["timers"] == MANY
    assert machine.stats()["ops_live"] == 0
    ringmill.sleep(0.001)
    for op in ops:
        op.cancel()
        with pytest.raises(ringmill.Cancelled):
            op.result()
    after = machine.stats()
    assert after["timers"] == 0
    assert after["submitted"] == before["submitted"]


def test_sleeping_takes_no_sqe(machine, face):
    nap(face, 0)
    before = machine.stats()["submitted"]
    for _ in range(50):
        nap(face, 0.0001)
        with ringmill.timeout(10):
            pass
    assert machine.stats()["submitted"] == before


def test_fibers_that_sleep_together(machine):
    """Ten thousand fibers with the same span: all wake, none twice."""
    woken = []

    def sleeper(n):
        ringmill.sleep(0.01)
        woken.append(n)

    with ringmill.scope() as s:
        for n in range(10_000):
            s.spawn(sleeper, n)
    assert sorted(woken) == list(range(10_000))


def test_a_timer_is_due_while_others_are_busy(machine):
    """Runnable fibers do not keep timers from expiring."""
    stop = []

    def spin():
        while not stop:
            ringmill.yield_now()

    spinners = [ringmill.spawn(spin) for _ in range(3)]
    ringmill.sleep(0.005)
    stop.append(1)
    for spinner in spinners:
        spinner.join()


def test_a_sleep_dropped_is_forgotten(machine):
    """Nobody waits for it: its timer still counts until it is due, and holds nothing after."""
    op = aio.sleep(0.001)
    op.detach()
    del op
    ringmill.sleep(0.005)
    assert machine.stats()["timers"] == 0
