"""Native tasks: coroutines that await ops, fibers and each other, without asyncio."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import gc
import os
import sys
import traceback

import pytest

import ringmill
from ringmill import Cancelled, aio
from support import programs


def test_await_an_op(machine, pipe):
    reader, writer = pipe

    async def main():
        assert await aio.write(writer, b"hello") == 5
        return await aio.read(reader, 10)

    assert machine.run(main()) == b"hello"


def test_an_op_begins_when_it_is_called(machine, pipe):
    """Not when it is awaited: two reads and a write are under way together."""
    reader, writer = pipe

    async def main():
        first, second = aio.read(reader, 2), aio.read(reader, 2)
        await aio.nop()
        written = aio.write(writer, b"abcd")
        return await second, await first, await written

    got = machine.run(main())
    assert sorted(got[:2]) == [b"ab", b"cd"] and got[2] == 4


def test_await_a_task_and_a_fiber(machine):
    async def work(n):
        await aio.sleep(0.0001)
        return n

    def fiber_work(n):
        ringmill.sleep(0.0001)
        return n

    async def main():
        tasks = [ringmill.spawn(work(n)) for n in range(3)]
        fibers = [ringmill.spawn(fiber_work, n) for n in range(3)]
        return [await strand for strand in tasks + fibers]

    assert machine.run(main()) == [0, 1, 2, 0, 1, 2]


def test_a_fiber_joins_a_task(machine):
    async def work(error=None):
        await aio.nop()
        if error:
            raise error
        return 7

    def main():
        assert ringmill.spawn(work()).join() == 7
        with pytest.raises(LookupError):
            ringmill.spawn(work(LookupError())).join()
        return "fine"

    assert machine.run(main) == "fine"
    assert ringmill.spawn(work()).join() == 7  # a plain script too


def test_errors_travel_and_tell_where(machine):
    async def deep(n):
        if n:
            await deep(n - 1)
        await aio.nop()
        raise LookupError("deep")

    async def main():
        await ringmill.spawn(deep(3))

    with pytest.raises(LookupError) as caught:
        machine.run(main())
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names.count("deep") == 4 and "main" in names


def test_an_op_error_is_raised_at_its_await(machine):
    async def main():
        op = aio.read(1 << 19, 10)  # no such descriptor
        await aio.nop()
        with pytest.raises(OSError, match="Bad file"):
            await op
        return "fine"

    assert machine.run(main()) == "fine"


def test_yield_now_is_first_come_first_served(machine):
    order = []

    async def work(name):
        for _ in range(3):
            order.append(name)
            await aio.yield_now()

    async def main():
        for task in [ringmill.spawn(work(name)) for name in "abc"]:
            await task

    machine.run(main())
    assert "".join(order) == "abcabcabc"


def test_async_generators(machine, pipe):
    reader, writer = pipe
    ended = []

    async def pieces(count):
        try:
            for n in range(count):
                await aio.write(writer, b"%d" % n)
                yield await aio.read(reader, 10)
        finally:
            await aio.nop()
            ended.append(count)

    async def main():
        assert [piece async for piece in pieces(3)] == [b"0", b"1", b"2"]
        async with contextlib.aclosing(pieces(100)) as generator:
            async for piece in generator:
                assert piece == b"0"
                break
        return "fine"

    assert machine.run(main()) == "fine"
    assert ended == [3, 100]


def test_async_iterators_over_ops(machine, pipe):
    reader, writer = pipe

    async def main():
        got = bytearray()
        async with contextlib.aclosing(aio.read_each(reader)) as each:
            os.write(writer, b"some data")
            async for piece in each:
                got += piece
                if len(got) == 9:
                    break
        return bytes(got)

    assert machine.run(main()) == b"some data"


def test_contextvars_are_each_tasks_own(machine):
    """Also when a task's step runs on another's stack."""
    variable = contextvars.ContextVar("variable", default="unset")

    async def work(n):
        assert variable.get() == "outer"
        variable.set(n)
        for wait in (aio.yield_now, aio.nop, lambda: aio.sleep(0.0001)):
            await wait()
            assert variable.get() == n
        return await ringmill.spawn(read())

    async def read():
        return variable.get()

    async def main():
        variable.set("outer")
        tasks = [ringmill.spawn(work(n)) for n in range(20)]
        got = [await task for task in tasks]
        assert variable.get() == "outer"
        return got

    assert machine.run(main()) == list(range(20))
    assert variable.get() == "unset"


def test_a_step_on_a_fibers_stack_keeps_both_contexts(machine):
    """The fiber waits; the task's step runs on its stack; each sees its own variables."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    async def task():
        variable.set("task")
        for _ in range(5):
            await aio.yield_now()
            seen.append(variable.get())

    def fiber():
        variable.set("fiber")
        for _ in range(5):
            ringmill.yield_now()
            seen.append(variable.get())

    ringmill.spawn(task())
    ringmill.spawn(fiber)
    ringmill.sleep(0.001)
    assert sorted(seen) == ["fiber"] * 5 + ["task"] * 5
    assert variable.get() == "unset"


def test_the_handled_exception_is_each_tasks_own(machine):
    async def work(n):
        try:
            raise LookupError(n)
        except LookupError as error:
            for _ in range(3):
                await aio.yield_now()
                assert sys.exc_info()[1] is error
                await aio.nop()
                assert sys.exc_info()[1] is error
        return sys.exc_info()

    async def main():
        return [await task for task in [ringmill.spawn(work(n)) for n in range(10)]]

    assert machine.run(main()) == [(None, None, None)] * 10
    try:
        raise ValueError
    except ValueError:
        # The task inherits nothing of what its caller handles.
        assert machine.run(main()) == [(None, None, None)] * 10


def test_an_error_nobody_awaits_is_reported_once(machine, monkeypatch):
    reported = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)

    async def fail():
        await aio.nop()
        raise LookupError("lonely")

    async def main():
        ringmill.spawn(fail())
        await aio.sleep(0.001)
        gc.collect()
        return len(reported)

    assert machine.run(main()) == 1
    assert isinstance(reported[0].exc_value, LookupError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_and_exit_in_a_task_end_main(machine, error):
    async def fail():
        await aio.nop()
        raise error(3)

    async def main():
        ringmill.spawn(fail())
        await aio.sleep(3600)

    with pytest.raises(error):
        machine.run(main())


def test_a_coroutine_takes_no_arguments(machine):
    async def main():
        return 1

    coroutine = main()
    with pytest.raises(TypeError, match="takes no arguments"):
        ringmill.spawn(coroutine, 1)
    coroutine.close()
    with pytest.raises(TypeError):
        ringmill.Task()


def test_a_coroutine_that_is_already_running_or_done(machine):
    async def seven():
        return 7

    async def main():
        coroutine = seven()
        assert await coroutine == 7
        with pytest.raises(RuntimeError, match="cannot reuse"):
            await ringmill.spawn(coroutine)
        return "fine"

    assert machine.run(main()) == "fine"


def test_gather_by_hand(machine):
    """Ops are begun together and awaited one by one; the order of completion does not matter."""
    async def main():
        ops = [aio.sleep(0.003 - 0.0001 * n) for n in range(20)]
        for op in ops:
            await op
        return "all"

    assert machine.run(main()) == "all"


def test_aio_calls_in_a_plain_script(machine, pipe):
    """The awaitable face without a coroutine: begin, wait, take the result."""
    reader, writer = pipe
    op = aio.read(reader, 10)
    ringmill.write(writer, b"x")
    assert ringmill.wait(op) == b"x"
    op = aio.nop()
    with pytest.raises(ringmill.RingmillError, match="not done"):
        op.result()
    while not op.done:
        ringmill.yield_now()
        ringmill.sleep(0)
    assert op.result() is None


def test_drive_runs_a_coroutine_in_this_fiber(machine):
    async def inner(n):
        for _ in range(n):
            await aio.yield_now()
            await aio.nop()
        return ringmill.current()

    def fiber():
        me = ringmill.current()
        assert ringmill.drive(inner(3)) is me
        return "fine"

    assert ringmill.spawn(fiber).join() == "fine"

    async def fail():
        await aio.nop()
        raise LookupError

    with pytest.raises(LookupError):
        ringmill.drive(fail())


def test_a_cancelled_drive_ends_the_coroutine(machine):
    log = []

    async def inner():
        try:
            await aio.sleep(3600)
        finally:
            await aio.nop()
            log.append("cleaned")

    fiber = ringmill.spawn(lambda: ringmill.drive(inner()))
    ringmill.yield_now()
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.join()
    assert log == ["cleaned"]


def test_asyncio_is_never_imported(kernel):
    """Not by importing ringmill, and not by running either face."""
    out = programs.clean("""
        import sys
        import ringmill, ringmill.aio
        from ringmill import aio
        imported = "asyncio" in sys.modules

        async def main():
            async with ringmill.scope() as s:
                s.spawn(child())
            async with ringmill.timeout(1):
                await aio.sleep(0.001)
            listener = await aio.tcp_listen("127.0.0.1", 0)
            sock = await aio.tcp_connect("127.0.0.1", listener.getsockname()[1])
            await aio.close(sock)
            await aio.close(listener)
            await aio.in_thread(len, "x")

        async def child():
            await aio.nop()

        ringmill.run(main())
        ringmill.run(lambda: ringmill.spawn(ringmill.nop).join())
        print(imported, "asyncio" in sys.modules)
    """, kernel=kernel)
    assert out == "False False\n"


# ── async functions ─────────────────────────────────────────────────────────────────────────


async def doubled(number, *, plus=0):
    await aio.nop()
    return 2 * number + plus


class Service:
    async def answer(self, number):
        return await doubled(number)


@pytest.mark.parametrize("function", [
    doubled, Service().answer, functools.partial(doubled, plus=0),
], ids=["function", "method", "partial"])
def test_an_async_function_is_a_task(machine, function):
    """`ringmill.run(main)` and `ringmill.run(main())` are the same."""
    assert machine.run(function, 21) == 42
    assert ringmill.run(function, 21) == 42
    task = ringmill.spawn(function, 21)
    assert isinstance(task, ringmill.Task)
    assert task.join() == 42
    with ringmill.scope() as scope:
        child = scope.spawn(function, 21)
    assert child.join() == 42


def test_an_async_functions_arguments_are_checked_at_once(machine):
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        ringmill.spawn(doubled)
    assert ringmill.spawn(doubled, 1, plus=3).join() == 5
