"""An op that nobody waits for: it warns, it is still reaped, and nothing of it is left.

And an op has one waiter and one result: asking twice is an error, not a second answer.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ops.specimens import Scene, can_fail, can_wait, entries, specimen
from ops.trying import awaited, silently, started, submitted, until
from ringmill.errors import Cancelled, RingmillError, WrongThread
from support import machines

KERNELS = machines.EVERY_KERNEL

WARNING = ["an op was dropped, not awaited, waited for or detached"]


@pytest.mark.req("T12", "U21")
@pytest.mark.parametrize("name", entries(which=lambda e: not e.many))
def test_dropped(lab: Lab, machine: Any, name: str) -> None:
    op = started(name, specimen(name).works(lab))

    def drop() -> None:
        nonlocal op
        op = None
        until(lambda: machine.stats()["ops_live"] == 0, "the end")

    assert silently(drop) == WARNING
    stats = machine.stats()
    assert (stats["views_held"], stats["blocks_held"]) == (0, 0)


@pytest.mark.req("T12", "U21")
@pytest.mark.parametrize("name", entries(which=lambda e: not e.many))
def test_detached(lab: Lab, machine: Any, name: str) -> None:
    op = started(name, specimen(name).works(lab))
    op.detach()
    assert op.state == ("queued", "detached")

    def drop() -> None:
        nonlocal op
        op = None
        until(lambda: machine.stats()["ops_live"] == 0, "the end")

    assert silently(drop) == []


@pytest.mark.req("T12")
@pytest.mark.parametrize("name", entries(which=lambda e: can_wait(e) and not e.many))
def test_dropped_in_flight(lab: Lab, machine: Any, name: str) -> None:
    """The kernel's reference keeps it; when it completes, that is the end of it."""
    scene = specimen(name).blocks(lab)
    op = started(name, scene)
    submitted(op)

    def drop() -> None:
        nonlocal op
        op = None
        gc.collect()
        assert machine.stats()["ops_live"] == 1
        scene.unblock()
        until(lambda: machine.stats()["ops_live"] == 0, "the end")

    assert silently(drop) == WARNING


@pytest.mark.req("T12")
@pytest.mark.parametrize("name", entries(which=lambda e: can_fail(e) and not e.many))
def test_a_dropped_error_is_dropped(lab: Lab, machine: Any, name: str) -> None:
    op = started(name, Scene(specimen(name).fails(lab).arguments))
    op.detach()
    del op
    until(lambda: machine.stats()["ops_live"] == 0, "the end")
    assert machine.stats()["blocks_held"] == 0


@pytest.mark.req("T12")
@pytest.mark.usefixtures("machine")
def test_a_cancelled_op_may_be_dropped() -> None:
    def begin() -> None:
        op = ringmill.aio.nop()
        op.cancel()
        del op
        ringmill.sleep(0)

    assert silently(begin) == []


@pytest.mark.req("U21")
@pytest.mark.parametrize("name", entries(which=lambda e: not e.many))
@pytest.mark.usefixtures("machine")
def test_one_result(lab: Lab, face: str, name: str) -> None:
    scene = specimen(name).works(lab)
    op = started(name, scene)
    with pytest.raises(RingmillError, match="not done"):
        op.result()
    assert scene.seen(awaited(face, op)) == scene.expected
    for again in (op.result, lambda: awaited(face, op), lambda: ringmill.wait(op)):
        with pytest.raises(RingmillError, match="taken already"):
            again()


@pytest.mark.req("U21")
@pytest.mark.usefixtures("machine")
def test_one_error(lab: Lab, face: str) -> None:
    op = ringmill.aio.read(lab.closed(), 1)
    with pytest.raises(OSError):
        awaited(face, op)
    with pytest.raises(RingmillError, match="taken already"):
        op.result()


@pytest.mark.req("U21")
@pytest.mark.parametrize("second", ["fiber", "task"])
@pytest.mark.parametrize("first", ["fiber", "task"])
@pytest.mark.usefixtures("machine")
def test_one_waiter(lab: Lab, first: str, second: str) -> None:
    source, target = lab.pipe()
    op = ringmill.aio.read(source, 10)

    async def task() -> bytes:
        return await op

    def waiter(kind: str) -> Any:
        return ringmill.spawn(ringmill.wait, op) if kind == "fiber" else ringmill.spawn(task())

    winner, loser = waiter(first), waiter(second)
    until(lambda: loser.done, "the refusal")
    with pytest.raises(RuntimeError, match="somebody else is already waiting"):
        loser.join()
    os.write(target, b"data")
    assert winner.join() == b"data"


@pytest.mark.req("U21")
@pytest.mark.usefixtures("machine")
def test_whoever_gave_up_leaves_the_op_to_others(lab: Lab) -> None:
    """A refused waiter takes nothing from the op; a cancelled one ends it."""
    source, target = lab.pipe()
    op = ringmill.aio.read(source, 10)
    waiter = ringmill.spawn(ringmill.wait, op)
    ringmill.sleep(0.001)
    waiter.cancel()
    with pytest.raises(Cancelled):
        waiter.join()
    assert op.done
    os.write(target, b"data")
    assert ringmill.read(source, 10) == b"data"


class Wrapped:
    """An awaitable of the program's own, which yields the op as often as it likes to."""

    def __init__(self, op: Any) -> None:
        self.op = op

    def __await__(self) -> Any:
        yield self.op
        yield self.op
        return self.op.result()


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.usefixtures("machine")
def test_an_op_that_is_done_may_be_yielded(lab: Lab, face: str, done: bool) -> None:
    """There is nothing to wait for: whoever yields it looks again."""
    source, target = lab.pipe()
    op = ringmill.aio.read(source, 10)

    def feed() -> None:
        os.write(target, b"hello")

    if done:
        feed()
        until(lambda: op.done, "the end")
    else:
        ringmill.spawn(feed)

    async def main() -> bytes:
        return await Wrapped(op)

    if face == "fiber":
        assert ringmill.run(lambda: ringmill.drive(main())) == b"hello"
    else:
        assert ringmill.run(main()) == b"hello"


@pytest.mark.req("T12", "U21")
@pytest.mark.usefixtures("machine")
def test_ops_cannot_be_made_by_hand(lab: Lab) -> None:
    each = ringmill.aio.accept_each(lab.listening)
    for make in (ringmill.Op, type(each)):
        with pytest.raises(TypeError, match="made by|cannot create"):
            make()
    each.close()


@pytest.mark.req("T13")
@pytest.mark.usefixtures("machine")
def test_of_another_thread(lab: Lab) -> None:
    """From a foreign thread an op is refused, whatever is asked of it; it stays as it was."""
    source, target = lab.pipe()
    op = ringmill.aio.read(source, 10)
    each = ringmill.aio.accept_each(lab.listening)
    refused: list[str] = []

    def meddle() -> None:
        for ask in (op.result, op.cancel, op.detach, each.__anext__, each.close,
                    lambda: ringmill.wait(op)):
            try:
                ask()
            except WrongThread:
                refused.append("refused")
            except BaseException as error:  # told below, in the thread of the test
                refused.append(f"{ask}: {error!r}")
            else:
                refused.append(f"{ask}: not refused")
        if ringmill.machine() is not None:
            ringmill.machine().close()

    thread = threading.Thread(target=meddle)
    thread.start()
    thread.join()
    assert refused == ["refused"] * 6
    os.write(target, b"data")
    assert ringmill.wait(op) == b"data"
    each.close()


@pytest.mark.req("U19")
def test_slots_are_used_again(machine: Any) -> None:
    """One representation, from a freelist: a thousand ops one after the other take no more room."""
    slots = machine.stats()["slots"]
    for _ in range(1000):
        ringmill.nop()
    assert machine.stats()["slots"] == slots
    assert machine.stats()["ops_live"] == 0


@pytest.mark.req("U19", "U20")
def test_an_op_is_small_and_we_notice(machine: Any) -> None:
    op = ringmill.aio.nop()
    # One cache line more is a decision, not an accident: 20 words, a Py_buffer, bookkeeping.
    assert sys.getsizeof(op) <= 272
    ringmill.wait(op)


@pytest.mark.req("U20")
@pytest.mark.usefixtures("machine")
def test_the_states_of_a_life(lab: Lab) -> None:
    source, target = lab.pipe()
    op = ringmill.aio.read(source, 10)
    assert op.state == ("queued", "new") and not op.done
    ringmill.nop()
    assert op.state == ("in flight", "new") and not op.done
    waiter = ringmill.spawn(ringmill.wait, op)
    ringmill.sleep(0)
    ringmill.sleep(0)
    assert op.state == ("in flight", "waited")
    assert repr(op) == "<Op in flight, waited>"
    os.write(target, b"x")
    waiter.join()
    assert op.state == ("done", "taken") and op.done
