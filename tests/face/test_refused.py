"""What a task may not do: await what is foreign, await twice, or call what would block.

Refused where it stands in the program, with a sentence; and nothing has been done.
"""

from __future__ import annotations

import os
import threading

import pytest

import ringmill
from ringmill import aio


class Foreign:
    """Awaitable, but of another loop: yields what ringmill does not know."""

    def __init__(self, what):
        self.what = what

    def __await__(self):
        yield self.what


@pytest.mark.parametrize("what", [1, "op", object(), Foreign(1)], ids=str)
def test_a_foreign_awaitable_is_refused_inside_the_coroutine(machine, what):
    """Where it stands in the program, with a sentence; the coroutine may go on."""
    async def main():
        with pytest.raises(RuntimeError, match="was awaited"):
            await Foreign(what)
        await aio.nop()
        return "went on"

    assert machine.run(main()) == "went on"
    assert machine.run(lambda: ringmill.drive(main())) == "went on"


def test_an_asyncio_future_is_refused(machine):
    import asyncio

    loop = asyncio.new_event_loop()

    async def main():
        with pytest.raises(RuntimeError, match="was awaited"):
            await loop.create_future()
        return "went on"

    try:
        assert machine.run(main()) == "went on"
    finally:
        loop.close()


def test_an_op_awaited_by_two_is_refused_for_the_second(machine, pipe):
    reader, writer = pipe

    async def main():
        op = aio.read(reader, 10)

        async def waits():
            return await op

        first = ringmill.spawn(waits())
        second = ringmill.spawn(waits())
        await aio.sleep(0.0001)
        os.write(writer, b"one")
        assert await first == b"one"
        with pytest.raises(RuntimeError, match="already waiting"):
            await second

    machine.run(main())


def test_an_op_awaited_again_is_refused(machine):
    async def main():
        op = aio.nop()
        await op
        with pytest.raises(ringmill.RingmillError, match="taken already"):
            await op

    machine.run(main())


@pytest.mark.req("T1")
def test_a_call_inside_a_task_is_refused_not_deadlocked(machine, pipe):
    """Every kind of call that would wait, with the way out in the message."""
    reader, writer = pipe

    async def seven():
        return 7

    async def main():
        await aio.nop()
        refused = 0
        fiber = ringmill.spawn(lambda: None)
        coroutine = seven()
        for call in (
            lambda: ringmill.read(reader, 1), lambda: ringmill.sleep(0), ringmill.yield_now,
            ringmill.park, fiber.join, lambda: ringmill.wait(fiber),
            lambda: ringmill.sendall(writer, b"x"), lambda: ringmill.write_all(writer, b"x"),
            lambda: ringmill.run(lambda: 1), lambda: machine.run(coroutine),
            lambda: ringmill.in_thread(len, "x"),
        ):
            with pytest.raises(ringmill.WouldBlock):
                call()
            refused += 1
        coroutine.close()
        await aio.nop()
        await fiber
        return refused

    assert machine.run(main()) == 11


@pytest.mark.req("T1")
def test_a_refused_call_has_done_nothing(machine, pipe):
    """It did not read, write or begin: the bytes are still there for who awaits."""
    reader, writer = pipe

    async def main():
        os.write(writer, b"data")
        with pytest.raises(ringmill.WouldBlock, match="aio"):
            ringmill.read(reader, 10)
        with pytest.raises(ringmill.WouldBlock):
            ringmill.write(writer, b"more")
        return await aio.read(reader, 10)

    assert machine.run(main()) == b"data"


@pytest.mark.req("T1")
def test_a_refused_wait_leaves_the_op_alone(machine, pipe):
    """An op that was there before the call is nobody's to cancel."""
    reader, writer = pipe

    async def main():
        op = aio.read(reader, 10)
        with pytest.raises(ringmill.WouldBlock):
            ringmill.wait(op)
        fiber = ringmill.spawn(lambda: (ringmill.nop(), "joined")[1])
        with pytest.raises(ringmill.WouldBlock):
            fiber.join()
        os.write(writer, b"data")
        return await op, await fiber

    assert machine.run(main()) == (b"data", "joined")


def test_a_foreign_thread_is_refused(machine, face):
    """What spawns, cancels, reschedules or joins belongs to the thread; and nothing was done."""
    log = []

    async def waits():
        await aio.park()
        return "not cancelled"

    async def main():
        strand = ringmill.spawn(waits() if face == "aio" else lambda: ringmill.drive(waits()))
        async with ringmill.timeout(3600) as t, ringmill.scope() as s:
            await aio.yield_now()
            before = machine.stats()
            calls = (lambda: s.spawn(log.append, "spawned"), s.cancel, lambda: t.reschedule(0),
                     lambda: t.reschedule(None), strand.__await__)
            thread = threading.Thread(target=lambda: log.extend(map(error_of, calls)))
            thread.start()
            thread.join()
            assert machine.stats() == before
            assert not s.cancelled and not t.expired
        ringmill.unpark(strand)
        return await strand

    assert run(face, main) == "not cancelled"
    assert log == [ringmill.WrongThread] * 5


def error_of(call):
    try:
        call()
    except BaseException as error:
        return type(error)


def run(face, main):
    return ringmill.run(main() if face == "aio" else lambda: ringmill.drive(main()))
