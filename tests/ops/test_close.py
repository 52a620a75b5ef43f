"""Closing the machine with an op in flight ends it and frees everything; nobody waits for ever."""

from __future__ import annotations

import gc
import os
import weakref
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ops.specimens import can_wait, entries, specimen
from ops.trying import Attempt, started, submitted
from ringmill.errors import Cancelled, ClosedError
from ringmill.ops.entry import ENTRIES
from support import leaks, machines

KERNELS = machines.EVERY_KERNEL


@pytest.fixture
def doomed(kernel: str):
    """A machine that the test itself closes."""
    machine = machines.make(kernel)
    yield machine
    machine.close()


def check_nothing_left(machine: Any) -> None:
    assert machine.closed
    assert leaks.unrest(machine.stats()) == []


@pytest.mark.parametrize("how", ["close", "end"])
@pytest.mark.parametrize("name", entries(which=lambda e: can_wait(e) and not e.many))
def test_an_op_in_flight_is_ended(lab: Lab, doomed: Any, name: str, how: str) -> None:
    op = started(name, specimen(name).blocks(lab))
    submitted(op)
    getattr(doomed, how)()
    assert op.done
    with pytest.raises(Cancelled):
        op.result()
    assert op.state == ("done", "taken")
    check_nothing_left(doomed)


@pytest.mark.parametrize("name", entries(which=can_wait))
def test_a_strand_that_waits_is_cancelled(lab: Lab, doomed: Any, face: str, name: str) -> None:
    attempt = Attempt(face, name, specimen(name).blocks(lab))
    attempt.waiting()
    doomed.close()
    assert attempt.strand.done
    assert attempt.outcomes == [("error", "Cancelled", "")]
    check_nothing_left(doomed)


@pytest.mark.parametrize("name", entries(which=lambda e: not e.many))
def test_an_op_in_the_queue_is_ended(lab: Lab, doomed: Any, name: str) -> None:
    scene = specimen(name).works(lab)
    op = started(name, scene)
    doomed.close()
    assert op.done
    # It may have happened all the same (a close always does), or not: it is one of both.
    try:
        assert scene.seen(op.result()) == scene.expected
    except Cancelled:
        assert not ENTRIES[name].shielded
    del op  # it keeps what the kernel wrote for it, or read from it
    check_nothing_left(doomed)


@pytest.mark.parametrize("name", entries(which=lambda e: not e.many))
def test_a_result_nobody_took_goes_with_the_machine(lab: Lab, doomed: Any, name: str) -> None:
    before = leaks.open_fds()
    scene = specimen(name).works(lab)
    op = started(name, scene)
    op.detach()
    while not op.done:
        ringmill.sleep(0)
    doomed.close()
    del op
    gc.collect()
    check_nothing_left(doomed)
    del scene
    lab.close()
    assert [fd for fd in leaks.new_fds(before) if "wake" in fd] == []


@pytest.mark.parametrize("name", entries(which=can_wait))
def test_nothing_is_begun_on_a_closed_machine(lab: Lab, doomed: Any, name: str) -> None:
    """A closed machine is gone from its thread: the next call makes another, of its own."""
    doomed.close()
    scene = specimen(name).works(lab)
    positional, keywords = scene.passed(ENTRIES[name])
    begun = getattr(ringmill.aio, name)(*positional, **keywords)
    if ENTRIES[name].many:
        begun.close()
    else:
        begun.detach()
        begun.cancel()
    assert ringmill.machine() is not doomed
    ringmill.machine().close()
    del begun


@pytest.mark.parametrize("name", entries(which=lambda e: e.many))
def test_an_iterator_outlives_its_machine(lab: Lab, doomed: Any, face: str, name: str) -> None:
    scene = specimen(name).works(lab)
    positional, keywords = scene.passed(ENTRIES[name])
    each = getattr(ringmill if face == "fiber" else ringmill.aio, name)(*positional, **keywords)
    if face == "fiber":
        scene.seen(next(each))
    doomed.close()
    with pytest.raises(ClosedError):
        next(each) if face == "fiber" else each.__anext__()
    each.close()
    del each
    check_nothing_left(doomed)


def test_a_closed_machine_can_be_collected(lab: Lab, kernel: str) -> None:
    machine = machines.make(kernel)
    source, _ = lab.pipe()
    op = ringmill.aio.read(source, 10)
    op.detach()
    submitted(op)
    machine.close()
    gone = weakref.ref(machine)
    del machine, op
    gc.collect()
    assert gone() is None


def test_close_with_many_of_everything(lab: Lab, doomed: Any) -> None:
    """Hundreds of ops, iterators and strands of every kind in flight at once."""
    held: list[Any] = []
    attempts: list[Attempt] = []
    for name in entries(which=can_wait):
        for _ in range(3):
            scene = specimen(name).blocks(lab.fresh())
            positional, keywords = scene.passed(ENTRIES[name])
            held.append(getattr(ringmill.aio, name)(*positional, **keywords))
            if ENTRIES[name].many:
                ringmill.spawn(anext_of(held[-1]))
            else:
                held[-1].detach()
    for face in ("fiber", "aio"):
        for name in entries(which=can_wait):
            attempts.append(Attempt(face, name, specimen(name).blocks(lab.fresh())))
    ringmill.sleep(0.005)
    assert doomed.stats()["ops_live"] > 50
    doomed.close()
    held.clear()  # an op keeps what the kernel wrote until it is taken or dropped
    check_nothing_left(doomed)
    for attempt in attempts:
        assert attempt.outcomes == [("error", "Cancelled", "")]


async def anext_of(each: Any) -> None:
    await anext(each)


def test_closing_twice_is_closing(doomed: Any) -> None:
    doomed.close()
    doomed.close()
    doomed.end()


def test_descriptors_of_the_machine_are_closed(kernel: str) -> None:
    machines.make(kernel).close()
    before = leaks.open_fds()
    for _ in range(20):
        machine = machines.make(kernel)
        ringmill.nop()
        machine.close()
    assert leaks.new_fds(before) == []
    assert len(os.listdir("/proc/self/task")) < 40
