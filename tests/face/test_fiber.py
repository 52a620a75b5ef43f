"""Fibers: begun, joined, returned from, raised from; and errors that nobody joins are reported."""

from __future__ import annotations

import contextvars
import gc
import os
import sys
import threading
import traceback

import pytest

import ringmill


@pytest.fixture
def reported(monkeypatch):
    """What went to sys.unraisablehook."""
    told = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    return told


def words(told):
    return f"{told.err_msg} {told.object}"


def fail(error):
    ringmill.yield_now()
    raise error


def test_join_returns_what_it_returned(machine):
    marker = object()
    fiber = ringmill.spawn(lambda *arguments, **keywords: (arguments, keywords, marker), 1, 2, x=3)
    assert not fiber.done
    assert fiber.join() == ((1, 2), {"x": 3}, marker)
    assert fiber.done
    assert fiber.join()[2] is marker  # again: the value stays


def test_join_raises_what_it_raised(machine, reported):
    error = LookupError("mine")
    fiber = ringmill.spawn(fail, error)
    with pytest.raises(LookupError, match="mine") as caught:
        fiber.join()
    assert caught.value is error
    assert fiber.error is error
    del fiber
    gc.collect()
    assert reported == []


def test_the_traceback_shows_where_it_failed(machine):
    def deep(n):
        if n == 0:
            raise LookupError("deep down")
        deep(n - 1)

    fiber = ringmill.spawn(deep, 5)
    with pytest.raises(LookupError) as caught:
        fiber.join()
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names.count("deep") == 6
    assert names[0] == "test_the_traceback_shows_where_it_failed"


def test_the_traceback_of_a_call_shows_the_fiber(machine):
    def reads_nothing():
        ringmill.read(-1, 10)

    with pytest.raises(OSError) as caught:
        ringmill.spawn(reads_nothing).join()
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "reads_nothing" in names


def test_nobody_joined_it_is_reported_once(machine, reported):
    """Never swallowed: when the fiber is collected, its error goes to sys.unraisablehook."""
    error = LookupError("lonely")
    ringmill.spawn(fail, error)
    ringmill.sleep(0.001)
    gc.collect()
    assert [told.exc_value for told in reported] == [error]
    assert reported[0].exc_traceback is not None
    assert "fail" in words(reported[0])
    gc.collect()
    assert len(reported) == 1


def test_kept_fibers_report_when_they_are_dropped(machine, reported):
    fiber = ringmill.spawn(fail, LookupError("later"))
    ringmill.sleep(0.001)
    assert fiber.done and reported == []
    del fiber
    gc.collect()
    assert len(reported) == 1


def test_a_cancel_that_ended_it_is_no_error_to_report(machine, reported):
    fiber = ringmill.spawn(ringmill.sleep, 3600)
    ringmill.yield_now()
    fiber.cancel()
    ringmill.sleep(0.001)
    assert fiber.done
    del fiber
    gc.collect()
    assert reported == []


def test_joined_by_many(machine):
    """Each gets the value; each gets the error."""
    def joins(fiber):
        try:
            return fiber.join()
        except LookupError as error:
            return error

    for function, expect in ((lambda: ringmill.yield_now() or 7, 7), (fail, LookupError)):
        error = LookupError("shared")
        target = ringmill.spawn(function, *([error] if function is fail else []))
        joiners = [ringmill.spawn(joins, target) for _ in range(5)]
        results = [joiner.join() for joiner in joiners]
        assert results == ([7] * 5 if expect == 7 else [error] * 5)


def test_a_fiber_cannot_join_itself(machine):
    """It would wait for ever: refused, or at least ended by a cancel, never a hang."""
    def main():
        with pytest.raises((RuntimeError, ringmill.RingmillError)):
            ringmill.current().join()

    ringmill.spawn(main).join()


def test_spawn_refuses_what_cannot_run(machine):
    for what in (3, None, "name", object()):
        with pytest.raises(TypeError):
            ringmill.spawn(what)
    with pytest.raises(TypeError, match="made by|cannot create"):
        ringmill.Fiber()
    assert machine.stats()["strands"] == 0


def test_wrong_arguments_are_the_fibers_error(machine):
    fiber = ringmill.spawn(lambda: 1, "too", "many")
    with pytest.raises(TypeError, match="takes 0 positional"):
        fiber.join()


def test_it_begins_when_the_caller_waits(machine):
    order = []
    fiber = ringmill.spawn(order.append, "fiber")
    order.append("caller")
    fiber.join()
    assert order == ["caller", "fiber"]


def test_yield_now_is_first_come_first_served(machine):
    order = []

    def work(name):
        for _ in range(3):
            order.append(name)
            ringmill.yield_now()

    for fiber in [ringmill.spawn(work, name) for name in "abc"]:
        fiber.join()
    assert "".join(order) == "abcabcabc"


def test_current_and_repr(machine):
    def work():
        me = ringmill.current()
        ringmill.yield_now()
        assert ringmill.current() is me
        return me

    fiber = ringmill.spawn(work)
    assert "work" in repr(fiber) and "runnable" in repr(fiber)
    assert fiber.join() is fiber
    assert "done" in repr(fiber)
    parked = ringmill.spawn(ringmill.park)
    ringmill.yield_now()
    assert "waiting" in repr(parked)
    ringmill.unpark(parked)
    parked.join()


def test_names_can_be_given(machine, reported):
    fiber = ringmill.spawn(fail, LookupError("x"))
    fiber.name = "the reader of letters"
    ringmill.sleep(0.001)
    assert "the reader of letters" in repr(fiber)
    del fiber
    gc.collect()
    assert "the reader of letters" in words(reported[0])


def test_park_and_unpark(machine):
    log = []

    def sleeper():
        ringmill.park()
        log.append("woken")

    fiber = ringmill.spawn(sleeper)
    ringmill.yield_now()
    assert log == []
    ringmill.unpark(fiber)
    fiber.join()
    assert log == ["woken"]


def test_a_permit_waits_for_its_park_and_many_count_as_one(machine):
    log = []

    def sleeper():
        for n in range(2):
            ringmill.park()
            log.append(n)

    fiber = ringmill.spawn(sleeper)
    for _ in range(5):
        ringmill.unpark(fiber)
    ringmill.sleep(0.001)
    assert log == [0]
    ringmill.unpark(fiber)
    fiber.join()
    assert log == [0, 1]


def test_unpark_wakes_nobody_who_waits_for_something_else(machine):
    """A stale permit is spent on the next park(), not on a sleep or a read."""
    reader, writer = os.pipe()

    def work():
        data = ringmill.read(reader, 10)
        ringmill.park()  # the permit that came meanwhile
        return data

    fiber = ringmill.spawn(work)
    ringmill.yield_now()
    ringmill.unpark(fiber)
    ringmill.sleep(0.001)
    assert not fiber.done
    os.write(writer, b"data")
    assert fiber.join() == b"data"
    os.close(reader)
    os.close(writer)


def test_unpark_of_one_that_has_ended(machine):
    fiber = ringmill.spawn(lambda: 1)
    fiber.join()
    ringmill.unpark(fiber)
    with pytest.raises(TypeError):
        ringmill.unpark(None)
    with pytest.raises(TypeError):
        ringmill.unpark("fiber")


def test_wait_takes_ops_fibers_and_tasks_only(machine):
    async def seven():
        return 7

    assert ringmill.wait(ringmill.spawn(lambda: 5)) == 5
    assert ringmill.wait(ringmill.spawn(seven())) == 7
    assert ringmill.wait(ringmill.aio.nop()) is None
    for what in (None, 3, lambda: 1, "op"):
        with pytest.raises(TypeError):
            ringmill.wait(what)


def test_contextvars_are_each_fibers_own(machine):
    """Inherited from who spawns, changed by nobody else, across every kind of wait."""
    variable = contextvars.ContextVar("variable", default="unset")

    def work(value):
        assert variable.get() == "outer"
        variable.set(value)
        for wait in (ringmill.yield_now, ringmill.nop, lambda: ringmill.sleep(0.0001)):
            wait()
            assert variable.get() == value
        inner = ringmill.spawn(variable.get)
        assert inner.join() == value
        return variable.get()

    variable.set("outer")
    fibers = [ringmill.spawn(work, n) for n in range(20)]
    assert [fiber.join() for fiber in fibers] == list(range(20))
    assert variable.get() == "outer"
    context = contextvars.copy_context()
    assert context.run(lambda: ringmill.spawn(variable.get).join()) == "outer"


def test_callbacks_have_their_callers_context(machine, face):
    """Not that of the fiber whose stack they run on, which they leave alone."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    def callback(name):
        seen.append(variable.get())
        variable.set(name)
        seen.append(ringmill.spawn(variable.get))

    def from_thread():
        variable.set("the thread's")
        machine.call_threadsafe(callback, "changed")

    async def main():
        variable.set("the caller's")
        machine.call_threadsafe(callback, "changed")
        variable.set("later")
        thread = threading.Thread(target=from_thread)
        thread.start()
        thread.join()
        while len(seen) < 4:
            await ringmill.aio.sleep(0)
        assert variable.get() == "later"

    ringmill.run(main() if face == "aio" else lambda: ringmill.drive(main()))
    assert (seen[0], seen[2]) == ("the caller's", "the thread's")
    assert seen[1].join() == seen[3].join() == "changed"


def test_the_handled_exception_is_each_fibers_own(machine):
    """sys.exc_info() while several handle different errors and wait inside `except`."""
    def work(n):
        try:
            raise LookupError(n)
        except LookupError as error:
            for _ in range(3):
                ringmill.yield_now()
                assert sys.exc_info()[1] is error
                ringmill.nop()
                assert sys.exc_info()[1] is error
            try:
                raise KeyError("inner")
            except KeyError as inner:
                ringmill.sleep(0.0001)
                assert inner.__context__ is error
        assert sys.exc_info() == (None, None, None)
        return n

    fibers = [ringmill.spawn(work, n) for n in range(10)]
    assert [fiber.join() for fiber in fibers] == list(range(10))
    try:
        raise ValueError("mine")
    except ValueError as error:
        assert ringmill.spawn(sys.exc_info).join() == (None, None, None)
        assert sys.exc_info()[1] is error


def test_generators_wait_inside(machine):
    """A generator that does I/O, consumed by several fibers in turn."""
    reader, writer = os.pipe()

    def pieces():
        for n in range(5):
            ringmill.write(writer, b"%d" % n)
            yield ringmill.read(reader, 10)

    shared = pieces()
    assert ringmill.spawn(next, shared).join() == b"0"
    assert ringmill.spawn(next, shared).join() == b"1"
    assert next(shared) == b"2"
    assert ringmill.spawn(list, shared).join() == [b"3", b"4"]
    os.close(reader)
    os.close(writer)


def test_locals_are_let_go_of_at_the_end(machine):
    """A fiber that has ended holds neither its arguments nor its frame."""
    import weakref

    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    fiber = ringmill.spawn(lambda thing: None, thing)
    del thing
    fiber.join()
    assert gone() is None


def test_warnings_and_trace_functions_work_inside(machine):
    seen = []

    def tracer(frame, event, argument):
        seen.append(frame.f_code.co_name)

    def work():
        sys.settrace(tracer)
        (lambda: 1)()
        ringmill.yield_now()
        sys.settrace(None)

    ringmill.spawn(work).join()
    assert "<lambda>" in seen
