"""Asynchronous generators that nobody exhausts are closed: half-way, at the end, and as the last
thing that a program does.
"""

from __future__ import annotations

import gc
import sys
import weakref

import pytest

import ringmill
from ringmill import aio
from support import programs


async def numbers(log):
    """Goes on for ever; its clean-up awaits."""
    try:
        number = 0
        while True:
            yield number
            number += 1
    finally:
        await aio.sleep(0)
        log.append("closed")


def test_a_generator_left_half_way_is_closed(machine):
    """As soon as it is collected, not at the end: by a task of its own, so `finally` may await."""
    log = []

    async def main():
        async for number in numbers(log):
            if number == 3:
                break
        gc.collect()
        await aio.sleep(0.001)
        log.append("main goes on")

    machine.run(main())
    assert log == ["closed", "main goes on"]


def test_a_generator_alive_at_the_end_is_closed(machine):
    log = []
    alive = []

    async def main():
        alive.append(numbers(log))
        return await anext(alive[0])

    assert machine.run(main()) == 0
    assert log == ["closed"]
    machine.run(aio_nop())  # and not once more
    assert log == ["closed"]


def test_generators_in_a_driven_coroutine_are_closed(machine):
    log = []

    async def one():
        async for number in numbers(log):
            log.append(number)
            break

    machine.run(lambda: ringmill.drive(one()))
    gc.collect()
    ringmill.sleep(0.001)
    assert log == [0, "closed"]


def test_a_generator_whose_close_fails_is_reported(machine, monkeypatch):
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: reported.append(told.exc_value))

    async def bad():
        try:
            yield 1
        finally:
            await aio.nop()
            raise LookupError("in finally")

    async def main():
        generator = bad()
        await anext(generator)
        alive.append(generator)

    alive = []
    machine.run(main())
    alive.clear()
    gc.collect()
    assert [str(error) for error in reported] == ["in finally"]


def test_the_hooks_of_the_thread_come_back(kernel):
    ringmill.machine().close()
    assert sys.get_asyncgen_hooks() == (None, None)
    with ringmill.Machine(kernel=kernel) as machine:
        machine.run(aio_nop())
        assert sys.get_asyncgen_hooks() != (None, None)
    assert sys.get_asyncgen_hooks() == (None, None)


async def aio_nop():
    await aio.nop()


def test_a_machine_is_not_kept_alive_by_its_hooks(kernel):
    machine = ringmill.Machine(kernel=kernel)
    machine.run(aio_nop())
    machine.close()
    gone = weakref.ref(machine)
    del machine
    gc.collect()
    assert gone() is None


async def drops(log):
    """Leaves a generator half-way as the last thing, so that nobody waits after that."""
    async for _ in numbers(log):
        break
    log.append("main ends")


ENDS = {
    "machine.run()": lambda log: ringmill.machine().run(drops(log)),
    "machine.run() of a drive": lambda log: ringmill.machine().run(
        lambda: ringmill.drive(drops(log))),
    "spawn().join() and close()": lambda log: (
        ringmill.spawn(drops(log)).join(), ringmill.machine().close()),
    "drive() and close()": lambda log: (ringmill.drive(drops(log)), ringmill.machine().close()),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_generator_dropped_as_the_last_thing(machine, end):
    """Collected already, and the task that closes it not begun: the end waits for it, too."""
    for n in range(1, 2 if "close" in end else 4):
        log = []
        ENDS[end](log)
        assert log == ["main ends", "closed"], f"time {n}"


def test_a_generator_dropped_as_the_last_thing_of_run(kernel):
    """run() with a machine that it makes and closes itself."""
    log = []
    ringmill.run(drops(log), kernel=kernel)
    assert log == ["main ends", "closed"]


def test_a_generator_dropped_at_the_end_of_a_script(kernel):
    """No run(), no close(): closed when the interpreter goes."""
    assert programs.clean("""
        import ringmill

        async def numbers():
            try:
                while True:
                    yield 1
            finally:
                print("closing", flush=True)
                await ringmill.aio.sleep(0.001)
                print("closed", flush=True)

        async def main():
            async for _ in numbers():
                break

        ringmill.drive(main())
        print("end", flush=True)
    """, kernel=kernel) == "end\nclosing\nclosed\n"
