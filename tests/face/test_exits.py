"""Ctrl-C and sys.exit() in a fiber, a task or a callback: main raises them, and once."""

from __future__ import annotations

import gc

import pytest

import ringmill


@pytest.fixture
def reported(monkeypatch):
    """What went to sys.unraisablehook."""
    told = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    return told


def fail(error):
    ringmill.yield_now()
    raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_and_exit_in_a_fiber_end_main(machine, error, reported):
    """They end the program, whichever fiber they struck; nothing is reported twice."""
    ended = []

    def main():
        ringmill.spawn(fail, error(3))
        try:
            ringmill.sleep(3600)
        finally:
            ended.append(1)

    with pytest.raises(error):
        machine.run(main)
    assert ended == [1]
    gc.collect()
    assert reported == []


def test_ctrl_c_in_a_fiber_that_somebody_joins(machine):
    """It reaches who joins, and it reaches main."""
    seen = []

    def joins():
        try:
            ringmill.spawn(fail, KeyboardInterrupt()).join()
        except KeyboardInterrupt:
            seen.append("joiner")

    def main():
        fiber = ringmill.spawn(joins)
        try:
            ringmill.sleep(3600)
        except KeyboardInterrupt:
            seen.append("main")
        fiber.join()

    machine.run(main)
    assert sorted(seen) == ["joiner", "main"]


def join_directly(error):
    ringmill.spawn(fail, error).join()


def join_through_one_that_cleans_up(error):
    """The joiner waits in its `finally`: the error arrives a second time, and late."""
    def joins():
        try:
            ringmill.spawn(fail, error).join()
        finally:
            ringmill.sleep(0.001)

    fiber = ringmill.spawn(joins)
    try:
        ringmill.sleep(3600)
    finally:
        with pytest.raises(type(error)):
            fiber.join()


def join_nobody(error):
    ringmill.spawn(fail, error)
    ringmill.sleep(3600)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("join", [join_directly, join_through_one_that_cleans_up, join_nobody])
@pytest.mark.parametrize("where", ["script", "fiber", "task"])
def test_exit_of_a_child_is_raised_once(machine, error, join, where, reported):
    """Who catches it goes on: no later call of main raises it again."""
    def main():
        raised = error(3)
        with pytest.raises(error) as caught:
            join(raised)
        assert caught.value is raised
        ringmill.sleep(0)
        ringmill.sleep(0.002)
        return "went on"

    async def amain():
        raised = error(3)
        fiber = ringmill.spawn(join, raised)
        with pytest.raises(error) as caught:
            await fiber
        assert caught.value is raised
        await ringmill.aio.sleep(0)
        await ringmill.aio.sleep(0.002)
        return "went on"

    if where == "script":
        assert main() == "went on"
    else:
        assert machine.run(main if where == "fiber" else amain()) == "went on"
    gc.collect()
    assert reported == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ringmill.Cancelled,
                                   GeneratorExit, LookupError])
@pytest.mark.parametrize("wait", [ringmill.yield_now, ringmill.nop, lambda: ringmill.sleep(0)])
def test_exit_in_a_callback_ends_main(machine, error, wait, reported):
    """Main, once, and not a fiber that happens to wait; errors are reported, and end nobody."""
    raised, exits = error(5), error in (KeyboardInterrupt, SystemExit)

    def callback():
        called.append(1)
        raise raised

    def bystander():
        while not stop:
            wait()
        return "in peace"

    def main():
        fibers = [ringmill.spawn(bystander) for _ in range(3)]
        machine.call_threadsafe(callback)
        try:
            while not called:
                wait()
            wait()  # a callback may have run on the stack of another
        except (KeyboardInterrupt, SystemExit) as caught:
            struck.append(caught)
        ringmill.yield_now()  # nothing of it is left on the runqueue
        ringmill.sleep(0.001)
        stop.append(1)
        return [fiber.join() for fiber in fibers]

    called, stop, struck = [], [], []
    assert machine.run(main) == ["in peace"] * 3
    assert struck == ([raised] if exits else [])
    told = [each.exc_value for each in reported]
    assert told == ([] if exits or error is ringmill.Cancelled else [raised])
