"""every: ticks at multiples of an interval, told when some were missed. No time is asserted: what a
tick says is held against the clock before and after it."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import ringmill
from ringmill import aio
from support import programs

MS = 0.001


class Ticks:
    """`every` in either face, with the same verbs; and what the clock allows a tick to say."""

    def __init__(self, face: str, interval: float) -> None:
        self.face = face
        self.interval = interval
        self.earliest = time.monotonic()
        self.every = (ringmill if face == "fiber" else aio).every(interval)
        self.latest = time.monotonic()

    def next(self) -> Any:
        def call() -> Any:
            return next(self.every)

        async def step() -> Any:
            return await anext(self.every)

        before = time.monotonic()
        tick = ringmill.run(call if self.face == "fiber" else step())
        after = time.monotonic()
        assert int((before - self.latest) / self.interval) <= tick.number
        assert tick.number <= int((after - self.earliest) / self.interval + 1e-6)
        return tick


@pytest.mark.usefixtures("machine")
def test_ticks_are_multiples(face: str) -> None:
    ticks = Ticks(face, 2 * MS)
    numbers = []
    for _ in range(20):
        tick = ticks.next()
        assert tick.number == sum(numbers) + tick.missed + 1
        numbers.append(tick.missed + 1)
    ticks.every.close()


@pytest.mark.usefixtures("machine")
def test_what_was_missed_is_told_and_not_made_up_for(face: str) -> None:
    ticks = Ticks(face, 2 * MS)
    first = ticks.next()
    time.sleep(15 * MS)
    second = ticks.next()
    assert second.missed >= 6
    assert second.number == first.number + second.missed + 1
    ticks.every.close()


@pytest.mark.usefixtures("machine")
def test_both_faces_iterate(face: str) -> None:
    seen: list[int] = []

    def fiber() -> None:
        for tick in ringmill.every(MS):
            seen.append(tick.number)
            if len(seen) == 3:
                break

    async def task() -> None:
        async for tick in aio.every(MS):
            seen.append(tick.number)
            if len(seen) == 3:
                break

    ringmill.run(fiber if face == "fiber" else task())
    assert seen == sorted(set(seen))
    assert len(seen) == 3


def test_no_sqe_per_tick(machine: Any) -> None:
    every = ringmill.every(MS)
    next(every)
    before = machine.stats()
    for _ in range(20):
        next(every)
    after = machine.stats()
    assert after["submitted"] == before["submitted"]
    assert after["ops_live"] == before["ops_live"] == 0
    assert after["timers"] == 0  # between two ticks there is nothing
    every.close()


@pytest.mark.usefixtures("machine")
def test_a_body_that_is_always_late_lets_others_run(face: str) -> None:
    """A tick that is due already is still a point where others have their turn."""
    turns = [0]

    def other() -> None:
        while turns[0] < 10:
            turns[0] += 1
            ringmill.yield_now()

    ringmill.spawn(other)
    ticks = Ticks(face, 1e-6)
    for _ in range(20):
        ticks.next()
    assert turns[0] == 10
    ticks.every.close()


# ── ends ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("machine")
def test_close_ends_who_waits(face: str) -> None:
    every = (ringmill if face == "fiber" else aio).every(3600)
    ended: list[str] = []

    def fiber() -> None:
        ended.extend(["tick" for _ in every] or ["nothing"])

    async def task() -> None:
        ended.extend(["tick" async for _ in every] or ["nothing"])

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    ringmill.sleep(MS)
    every.close()
    every.close()
    strand.join()
    assert ended == ["nothing"]
    with pytest.raises(StopIteration):
        next(ringmill.every.__iter__(every))


def test_context_managers(machine: Any) -> None:
    with ringmill.every(MS) as every:
        assert next(every).number >= 1
    assert list(every) == []

    async def main() -> None:
        async with aio.every(MS) as every:
            assert (await anext(every)).number >= 1
        assert [tick async for tick in every] == []
        async with contextlib.aclosing(aio.every(MS)) as every:
            await anext(every)

    ringmill.run(main())


def test_cancelled_while_it_waits(machine: Any, face: str) -> None:
    """A timeout takes the wait away, not the ticks."""
    every = (ringmill if face == "fiber" else aio).every(3600)

    def fiber() -> None:
        with pytest.raises(TimeoutError), ringmill.timeout(MS):
            next(every)

    async def task() -> None:
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(MS):
                await anext(every)

    ringmill.run(fiber if face == "fiber" else task())
    assert machine.stats()["timers"] == 0
    op = anext(every)
    assert machine.stats()["timers"] == 1
    op.cancel()
    with pytest.raises(ringmill.Cancelled):
        ringmill.wait(op)
    assert machine.stats()["timers"] == 0
    every.close()


def test_a_tick_that_nobody_took_is_missed(machine: Any) -> None:
    every = aio.every(MS)
    op = anext(every)
    while not op.done:
        ringmill.sleep(MS)
    op.detach()
    op = None
    tick = ringmill.wait(anext(every))
    assert tick.missed == tick.number - 1  # counted from the one that nobody took
    every.close()


def test_dropped_while_somebody_waits(machine: Any) -> None:
    op = anext(aio.every(MS))
    gc.collect()
    assert ringmill.wait(op).number >= 1
    op = anext(aio.every(3600))
    op.detach()
    op = None
    gc.collect()
    assert machine.stats()["timers"] == 0


# ── what is refused ─────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("wrong", "error"), [
    (0, ValueError), (0.0, ValueError), (-1, ValueError), (-0.0, ValueError),
    (float("nan"), ValueError), (float("inf"), ValueError), (float("-inf"), ValueError),
    (1e-10, ValueError), ("1", TypeError), (None, TypeError), ([], TypeError),
    (10**400, OverflowError),
], ids=str)
def test_what_is_no_interval(wrong: Any, error: type[Exception]) -> None:
    for make in (ringmill.every, aio.every):
        with pytest.raises(error):
            make(wrong)


@pytest.mark.parametrize("interval", [1e-9, 1, 1e12, 1e300])
def test_intervals_of_every_size(machine: Any, interval: float) -> None:
    every = aio.every(interval)
    op = anext(every)
    if interval < 1:
        assert ringmill.wait(op).number >= 1
    else:
        ringmill.sleep(0)
        assert not op.done
        op.detach()
    op = None
    every.close()


@pytest.mark.usefixtures("machine")
def test_one_waits_at_a_time() -> None:
    every = aio.every(3600)
    first = anext(every)
    with pytest.raises(RuntimeError, match="somebody else"):
        anext(every)
    first.cancel()
    with pytest.raises(ringmill.Cancelled):
        ringmill.wait(first)
    with pytest.raises(RuntimeError, match="begun once"):
        every.__init__(1)
    every.close()


@pytest.mark.usefixtures("machine")
def test_another_thread_is_refused() -> None:
    every = ringmill.every(3600)
    refused: list[type[BaseException]] = []

    def work(ask: Callable[[], Any]) -> None:
        try:
            ask()
        except BaseException as error:
            refused.append(type(error))

    for ask in (every.__next__, every.__anext__, every.close):
        thread = threading.Thread(target=work, args=(ask,))
        thread.start()
        thread.join()
    assert refused == [ringmill.WrongThread] * 3
    every.close()


def test_ticks_are_values() -> None:
    with ringmill.every(MS) as every:
        tick = next(every)
    ringmill.machine().close()
    assert tick == tick
    assert tick != (tick.number, tick.missed)
    assert len({tick, tick}) == 1
    assert repr(tick) == f"Tick(number={tick.number}, missed={tick.missed})"
    with pytest.raises(TypeError):
        type(tick)()


CLOSED = """
import ringmill
machine = ringmill.Machine()
every = ringmill.every(3600)
op = every.__anext__()
machine.close()
try:
    next(every)
except ringmill.ClosedError:
    print("closed")
every.close()
op.detach()
del op, every
"""


def test_of_a_machine_that_is_closed(kernel: str) -> None:
    assert programs.clean(CLOSED, kernel=kernel) == "closed\n"


def test_in_a_plain_script(kernel: str) -> None:
    source = "import ringmill\nfor tick in ringmill.every(0.001): break\nprint(tick.number > 0)"
    assert programs.clean(source, kernel=kernel) == "True\n"
