"""Cancel before submit, in flight and after completion: exactly one outcome, and nothing leaks.

A cancel is a request; what came of it is told by the op's own last completion: `Cancelled`, or
the result when that came first. Never both, never neither.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ops.specimens import can_wait, entries, specimen
from ops.trying import Attempt, awaited, open_sockets, started, submitted, tried, until
from ringmill.errors import Cancelled, RingmillError
from ringmill.ops.entry import ENTRIES, Entry
from support import machines

KERNELS = machines.EVERY_KERNEL

CANCELLED = ("error", "Cancelled", "")


def is_op(entry: Entry) -> bool:
    return not entry.many


def outcomes(face: str, op: Any, seen: Any) -> list[Any]:
    """All that the op can be made to tell: its outcome, and what it says when asked again."""
    told: list[Any] = []
    try:
        told.append(("value", seen(awaited(face, op))))
    except Cancelled:
        told.append("cancelled")
    try:
        told.append(op.result())
    except RingmillError as error:
        assert "taken" in str(error)
    return told


@pytest.mark.req("U20", "U21")
@pytest.mark.parametrize("name", entries(which=is_op))
@pytest.mark.usefixtures("machine")
def test_before_submit(lab: Lab, face: str, name: str) -> None:
    scene = specimen(name).works(lab)
    op = started(name, scene)
    assert op.state == ("queued", "new")
    assert op.cancel() is True
    assert op.cancel() is True  # asking twice is asking
    if ENTRIES[name].shielded:
        assert outcomes(face, op, scene.seen) == [("value", scene.expected)]
    else:
        assert outcomes(face, op, scene.seen) == ["cancelled"]
        # It did not happen: the same arguments work as if for the first time.
        assert tried(face, name, scene) == ("value", scene.expected)
    assert op.state == ("done", "taken")
    assert op.cancel() is False


@pytest.mark.req("U20", "U21")
@pytest.mark.parametrize("name", entries(which=lambda e: can_wait(e) and is_op(e)))
@pytest.mark.parametrize("age", ["next turn", "next but one", "just submitted", "settled"])
@pytest.mark.usefixtures("machine")
def test_in_flight(lab: Lab, face: str, name: str, age: str) -> None:
    """However old it is: on its way to where it waits, the kernel may not find it at first."""
    scene = specimen(name).blocks(lab)
    op = started(name, scene)
    if age.startswith("next"):
        for _ in range(1 + (age == "next but one")):
            ringmill.nop()
    else:
        submitted(op)
        if age == "settled":
            ringmill.sleep(0.005)
    assert op.state == ("in flight", "new")
    assert op.cancel() is True
    until(lambda: op.done, "the end")
    assert outcomes(face, op, scene.seen) == ["cancelled"]
    assert op.cancel() is False


@pytest.mark.req("U20", "U21")
@pytest.mark.parametrize("name", entries(which=is_op))
@pytest.mark.usefixtures("machine")
def test_after_completion(lab: Lab, face: str, name: str) -> None:
    scene = specimen(name).works(lab)
    op = started(name, scene)
    until(lambda: op.done, f"the end of {name}")
    assert op.state == ("done", "new")
    assert op.cancel() is False
    assert outcomes(face, op, scene.seen) == [("value", scene.expected)]
    assert op.state == ("done", "taken")


@pytest.mark.req("U20", "U21")
@pytest.mark.parametrize("name", entries(which=lambda e: can_wait(e) and is_op(e)))
@pytest.mark.parametrize("first", ["cancel", "result"])
@pytest.mark.usefixtures("machine")
def test_the_cancel_races_with_the_result(lab: Lab, face: str, name: str, first: str) -> None:
    """Both in one turn: the outcome is either, but it is one, and a lost result is undone."""
    scene = specimen(name).blocks(lab)
    op = started(name, scene)
    submitted(op)
    ringmill.sleep(0.001)
    if first == "cancel":
        op.cancel()
        scene.unblock()
    else:
        scene.unblock()
        op.cancel()
    (outcome,) = outcomes(face, op, scene.seen)
    assert outcome in ("cancelled", ("value", scene.expected))
    if name.startswith(("read", "recv", "splice")) and outcome == "cancelled":
        # What was not received is still there.
        assert tried(face, name, scene) == ("value", scene.expected)


@pytest.mark.parametrize("name", entries(which=can_wait))
@pytest.mark.usefixtures("machine")
def test_a_strand_is_cancelled(lab: Lab, face: str, name: str) -> None:
    attempt = Attempt(face, name, specimen(name).blocks(lab))
    attempt.waiting()
    assert attempt.strand.cancel() is True
    assert attempt.ended() == CANCELLED
    assert attempt.strand.cancel() is False


@pytest.mark.parametrize("name", entries(which=can_wait))
@pytest.mark.usefixtures("machine")
def test_a_strand_is_cancelled_before_it_runs(lab: Lab, face: str, name: str) -> None:
    attempt = Attempt(face, name, specimen(name).blocks(lab))
    attempt.strand.cancel()
    until(lambda: attempt.strand.done, "the end of the strand")
    assert attempt.outcomes == []
    assert isinstance(attempt.strand.error, Cancelled)


@pytest.mark.parametrize("name", entries(which=can_wait))
@pytest.mark.usefixtures("machine")
def test_what_waited_goes_on_when_let(lab: Lab, face: str, name: str) -> None:
    scene = specimen(name).blocks(lab)
    attempt = Attempt(face, name, scene)
    attempt.waiting()
    scene.unblock()
    assert attempt.ended() == ("value", scene.expected)


@pytest.mark.req("U21")
@pytest.mark.parametrize("name", entries(which=can_wait))
@pytest.mark.usefixtures("machine")
def test_a_timeout_ends_the_wait(lab: Lab, face: str, name: str) -> None:
    scene = specimen(name).blocks(lab)
    positional, keywords = scene.passed(ENTRIES[name])
    verbs = ringmill if face == "fiber" else ringmill.aio
    begin = getattr(verbs, name)

    def main() -> None:
        with ringmill.timeout(0.003):
            if ENTRIES[name].many:
                next(begin(*positional, **keywords))
            else:
                begin(*positional, **keywords)

    async def amain() -> None:
        with ringmill.timeout(0.003):
            if ENTRIES[name].many:
                each = begin(*positional, **keywords)
                await anext(each)
            else:
                await begin(*positional, **keywords)

    with pytest.raises(TimeoutError):
        ringmill.run(main if face == "fiber" else amain())
    # The machine is as good as before: no stray TimeoutError, no early return.
    ringmill.nop()


@pytest.mark.parametrize("name", entries(which=lambda e: not can_wait(e)))
@pytest.mark.usefixtures("machine")
def test_what_never_waits_has_one_outcome_too(lab: Lab, face: str, name: str) -> None:
    """Cancelled right after it was submitted: done or not, and never both."""
    scene = specimen(name).works(lab)
    sockets = open_sockets()
    op = started(name, scene)
    submitted(op)
    op.cancel()
    (outcome,) = outcomes(face, op, scene.seen)
    assert outcome in ("cancelled", ("value", scene.expected))
    assert open_sockets() <= sockets


def test_a_cancel_of_a_queued_op_has_no_effect_in_the_kernel(lab: Lab, machine: Any) -> None:
    source, target = lab.pipe()
    path = lab.folder / "never made"
    ops = [ringmill.aio.write(target, b"never written"),
           ringmill.aio.open(path, os.O_CREAT | os.O_WRONLY)]
    for op in ops:
        op.cancel()
    for op in ops:
        with pytest.raises(Cancelled):
            ringmill.wait(op)
    assert not path.exists()
    assert machine.stats()["ops_live"] == 0
    ringmill.write(target, b"x")
    assert os.read(source, 100) == b"x"


@pytest.mark.req("U21")
def test_a_thousand_races_end_a_thousand_times(lab: Lab, machine: Any) -> None:
    """Deadline and data at the same moment, again and again: no byte is lost, none is doubled."""
    source, target = lab.pipe()
    sent = received = timeouts = 0

    def main() -> None:
        nonlocal sent, received, timeouts
        for i in range(500):
            try:
                with ringmill.timeout(0):
                    if i % 2:
                        os.write(target, b"x")
                        sent += 1
                    ringmill.sleep(0) if i % 3 else None
                    received += len(ringmill.read(source, 1))
            except TimeoutError:
                timeouts += 1
            ringmill.nop()  # a stale cancel would strike here

    ringmill.run(main)
    left = len(os.read(source, 1 << 16)) if received < sent else 0
    assert received + left == sent
    assert timeouts > 0
