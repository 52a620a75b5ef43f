"""signals(): each signal arrives, in order, where somebody iterates; then it is let go of."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import ringmill
from ringmill import signals
from support import programs
from support.threads import elsewhere

ONE, TWO, THREE = signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Iterator[None]:
    """A law of this file: whatever happens, the handlers are those of before."""
    def handlers() -> list[Any]:
        return [signal.getsignal(n) for n in (ONE, TWO, THREE, signal.SIGINT, signal.SIGTERM)]

    before = handlers()
    yield
    gc.collect()
    assert handlers() == before


def take(face: str, source: signals, count: int = 1) -> list[int]:
    """The next ones, in a program of its own."""
    if face == "fiber":
        return ringmill.run(lambda: [next(source) for _ in range(count)])

    async def main() -> list[int]:
        return [await anext(source) for _ in range(count)]

    return ringmill.run(main())


def begin(face: str, source: signals) -> Any:
    """A fiber or task that iterates to the end; what came is its result."""
    if face == "fiber":
        return ringmill.spawn(lambda: list(source))

    async def main() -> list[int]:
        return [number async for number in source]

    return ringmill.spawn(main())


@pytest.mark.req("T14")
@pytest.mark.usefixtures("machine")
def test_a_signal_while_the_machine_sleeps(face: str) -> None:
    with signals(ONE, signal.SIGINT) as source:
        for number in (ONE, signal.SIGINT):
            threading.Timer(0.01, os.kill, (os.getpid(), number)).start()
            (came,) = take(face, source)
            assert came is number


@pytest.mark.usefixtures("machine")
def test_what_comes_between_two_iterations(face: str) -> None:
    """In the order of arrival; several of one number count as one, as in the kernel."""
    with signals(ONE, TWO, THREE) as source:
        for number in (TWO, ONE, TWO, TWO, THREE, ONE):
            signal.raise_signal(number)
        assert take(face, source, 3) == [TWO, ONE, THREE]
        signal.raise_signal(TWO)
        assert take(face, source) == [TWO]
        with pytest.raises(TimeoutError), ringmill.timeout(0.005):
            next(source)


@pytest.mark.usefixtures("machine")
def test_one_more_while_the_last_is_on_its_way(face: str) -> None:
    """Given to a waiter that has not run yet, a signal is taken: the next one is another."""
    with signals(ONE) as source:
        iterating = begin(face, source)
        ringmill.yield_now()
        for _ in range(3):
            signal.raise_signal(ONE)
        ringmill.yield_now()
        ringmill.yield_now()
        source.close()
        assert iterating.join() == [ONE, ONE]


@pytest.mark.usefixtures("machine")
def test_close_ends_who_waits(face: str) -> None:
    source = signals(ONE)
    iterating = begin(face, source)
    ringmill.yield_now()
    source.close()
    source.close()
    assert iterating.join() == []
    assert begin(face, source).join() == []


@pytest.mark.usefixtures("machine")
def test_a_timeout_loses_nothing(face: str) -> None:
    """Cancelled while it waits, or when the signal had come already: the next one gets it."""
    with signals(ONE) as source:
        for early in (True, False):
            iterating = begin(face, source)
            ringmill.yield_now()
            if early:
                iterating.cancel()
            signal.raise_signal(ONE)
            if not early:
                iterating.cancel()
            with pytest.raises(ringmill.Cancelled):
                iterating.join()
            if early:
                assert take(face, source) == [ONE]
            iterating = None
        with pytest.raises(TimeoutError), ringmill.timeout(0.002):
            next(source)


@pytest.mark.usefixtures("machine")
def test_an_op_that_nobody_took_gives_it_back() -> None:
    with signals(ONE) as source:
        op = source.__anext__()
        signal.raise_signal(ONE)
        assert op.done
        op.detach()
        del op
        assert take("aio", source) == [ONE]


@pytest.mark.usefixtures("machine")
def test_one_at_a_time(face: str) -> None:
    with signals(ONE) as source:
        iterating = begin(face, source)
        ringmill.yield_now()
        with pytest.raises(RuntimeError, match="already waiting"):
            next(source)
        source.close()
        assert iterating.join() == []


def test_nested_on_another_signal_only() -> None:
    with signals(ONE) as outer:
        with pytest.raises(ValueError, match="SIGUSR1.* iterated over already"):
            signals(TWO, ONE)
        assert signal.getsignal(TWO) == signal.SIG_DFL  # nothing was taken
        with signals(TWO) as inner:
            signal.raise_signal(ONE)
            signal.raise_signal(TWO)
            assert (next(outer), next(inner)) == (ONE, TWO)
    with signals(ONE):
        pass


@pytest.mark.parametrize("wrong", [
    (), (0,), (-1,), (10_000,), ("SIGINT",), (1.5,), (ONE, signal.SIGKILL), (ONE, signal.SIGSTOP)])
def test_what_is_no_signal(wrong: tuple[Any, ...]) -> None:
    with pytest.raises((ValueError, TypeError, OSError)):
        signals(*wrong)


def test_twice_the_same_is_once() -> None:
    with signals(ONE, ONE) as source:
        signal.raise_signal(ONE)
        assert next(source) == ONE


def test_real_time_signals() -> None:
    number = signal.SIGRTMIN + 1
    with signals(number) as source:
        signal.raise_signal(number)
        assert next(source) == number


def test_put_back_when_dropped() -> None:
    calls: list[int] = []
    before = signal.signal(ONE, lambda number, _: calls.append(number))
    try:
        handler = signal.getsignal(ONE)
        source = signals(ONE)
        assert signal.getsignal(ONE) is not handler
        del source
        assert signal.getsignal(ONE) is handler
        threading.Timer(0.01, os.kill, (os.getpid(), TWO)).start()
        for number in signals(ONE, TWO):
            assert number == TWO
            break
        assert signal.getsignal(ONE) is handler
    finally:
        signal.signal(ONE, before)
    assert calls == []


def test_put_back_after_an_error(face: str) -> None:
    async def amain() -> None:
        async with signals(ONE) as source:
            signal.raise_signal(ONE)
            async for _ in source:
                raise LookupError

    def main() -> None:
        with signals(ONE) as source:
            signal.raise_signal(ONE)
            for _ in source:
                raise LookupError

    with pytest.raises(LookupError):
        ringmill.run(main if face == "fiber" else amain())


def test_a_handler_set_meanwhile_stays() -> None:
    def mine(*_: Any) -> None:
        pass

    before = signal.getsignal(ONE)
    with signals(ONE):
        signal.signal(ONE, mine)
    assert signal.getsignal(ONE) is mine
    signal.signal(ONE, before)


def test_what_nobody_took_goes_to_the_handler_before() -> None:
    calls: list[int] = []
    before = signal.signal(ONE, lambda number, _: calls.append(number))
    try:
        with signals(ONE, signal.SIGINT) as source:
            signal.raise_signal(ONE)
        assert calls == [ONE]
        source = signals(ONE)
        signal.raise_signal(ONE)
        del source
        ringmill.nop()  # Python runs handlers a moment later
        assert calls == [ONE, ONE]
        with pytest.raises(KeyboardInterrupt):
            with signals(signal.SIGINT):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(ONE, before)


@pytest.mark.req("T13")
def test_the_main_thread_only() -> None:
    with signals(ONE) as source:
        for refused in (lambda: signals(TWO), lambda: next(source), source.__anext__,
                        source.close):
            error = elsewhere(refused)
            assert isinstance(error, ringmill.WrongThread)
            assert "main thread" in str(error)
        signal.raise_signal(ONE)
        assert next(source) == ONE


def test_dropped_by_another_thread() -> None:
    """It may not touch handlers; the next signal finds that nobody iterates any more."""
    calls: list[int] = []
    before = signal.signal(ONE, lambda number, _: calls.append(number))
    try:
        box = [signals(ONE)]
        elsewhere(box.clear)
        signal.raise_signal(ONE)
        assert calls == [ONE]
        box = [signals(ONE)]
        elsewhere(box.clear)
        with signals(ONE) as source:  # nobody else does any more
            signal.raise_signal(ONE)
            assert next(source) == ONE
        signal.raise_signal(ONE)
        assert calls == [ONE, ONE]
    finally:
        signal.signal(ONE, before)


def test_on_one_machine_after_the_other(kernel: str) -> None:
    with signals(ONE) as source:
        for _ in range(3):
            with ringmill.Machine(kernel=kernel) as machine:
                machine.run(lambda: ringmill.spawn(next, source) and ringmill.sleep(0.002))
                signal.raise_signal(ONE)
                assert machine.run(lambda: next(source)) == ONE


@pytest.mark.req("T14")
def test_none_is_lost_just_before_the_sleep(kernel: str, face: str) -> None:
    """A timer fires at every moment of the way into the sleep; a lost one would end nothing."""
    out = programs.clean("""
        import signal, sys
        import ringmill

        ROUNDS = 3000

        def arm(number):
            signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number % 60))

        def calls():
            with ringmill.signals(signal.SIGALRM) as source:
                arm(0)
                for number, _ in enumerate(source, 1):
                    if number == ROUNDS:
                        break
                    arm(number)
            print(number)

        async def awaits():
            number = 0
            with ringmill.signals(signal.SIGALRM) as source:
                arm(0)
                async for _ in source:
                    number += 1
                    if number == ROUNDS:
                        break
                    arm(number)
            print(number)

        ringmill.run(calls if sys.argv[1] == "fiber" else awaits())
    """, face, kernel=kernel)
    assert out == "3000\n"


@pytest.mark.req("T14")
def test_ctrl_c_is_iterated_not_raised(kernel: str, face: str) -> None:
    """While idle, while busy, in the middle of I/O; afterwards it interrupts as it did."""
    out = programs.clean("""
        import os, signal, sys, threading, time
        import ringmill
        from ringmill import aio

        machine = ringmill.machine()
        seen = []

        def interrupt(count):
            for _ in range(count):
                before = len(seen)
                os.kill(os.getpid(), signal.SIGINT)
                while len(seen) == before:
                    time.sleep(0.001)

        def busy():
            while len(seen) < 20:
                ringmill.yield_now()

        def calls(source):
            for number in source:
                seen.append(number)
                if len(seen) % 20 == 0:
                    return

        async def awaits(source):
            async for number in source:
                seen.append(number)
                if len(seen) % 20 == 0:
                    return

        def main():
            with ringmill.signals(signal.SIGINT) as source:
                for others in (busy, None):
                    with ringmill.scope() as s:
                        if others:
                            s.spawn(others)
                        reader, writer = os.pipe()
                        op = aio.read(reader, 1)
                        threading.Thread(target=interrupt, args=(20,)).start()
                        s.spawn(calls, source) if fiber else s.spawn(awaits(source))
                    assert not op.done
                    os.write(writer, b"!")
                    assert ringmill.wait(op) == b"!"
                    os.close(reader), os.close(writer)

        fiber = sys.argv[1] == "fiber"
        machine.run(main)
        print(len(seen), set(seen))
        try:
            os.kill(os.getpid(), signal.SIGINT)
            ringmill.sleep(3600)
        except KeyboardInterrupt:
            print("interrupted")
    """, face, kernel=kernel)
    assert out == "40 {<Signals.SIGINT: 2>}\ninterrupted\n"
