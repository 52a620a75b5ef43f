"""Both faces agree, and so do both kernels: the same result or error for the same scene."""

from __future__ import annotations

import os

import pytest

import ringmill
from ops.lab import Lab
from ops.specimens import Scene, can_fail, can_wait, entries, specimen
from ops.trying import Attempt, told, tried
from ringmill.ops.entry import ENTRIES
from support import machines

KERNELS = machines.EVERY_KERNEL


@pytest.mark.req("T2")
@pytest.mark.parametrize("name", entries())
@pytest.mark.usefixtures("machine")
def test_a_success(lab: Lab, face: str, name: str) -> None:
    scene = specimen(name).works(lab)
    assert tried(face, name, scene) == ("value", scene.expected)


@pytest.mark.parametrize("name", entries(which=can_fail))
@pytest.mark.usefixtures("machine")
def test_a_failure(lab: Lab, face: str, name: str) -> None:
    failure = specimen(name).fails(lab)
    expected = OSError(failure.number, os.strerror(failure.number))
    if failure.filename is not None:
        expected = OSError(*expected.args, failure.filename, None, failure.filename2)
    assert tried(face, name, Scene(failure.arguments)) == ("error", *told(expected))


@pytest.mark.parametrize("name", entries(which=can_wait))
@pytest.mark.usefixtures("machine")
def test_a_wait_of_many(lab: Lab, face: str, name: str) -> None:
    """Several wait at once; each gets its own."""
    scenes = [specimen(name).blocks(lab.fresh()) for _ in range(5)]
    attempts = [Attempt(face, name, scene) for scene in scenes]
    for attempt in attempts:
        attempt.waiting()
    for scene in reversed(scenes):
        scene.unblock()
    for attempt in attempts:
        assert attempt.ended() == ("value", attempt.scene.expected)


@pytest.mark.parametrize("name", entries(which=lambda e: not e.many))
@pytest.mark.usefixtures("machine")
def test_a_fiber_waits_for_an_op_and_a_task_too(lab: Lab, name: str) -> None:
    """call = wait(start): the op of one face is as good in the other, in a plain script too."""
    scene = specimen(name).works(lab)
    positional, keywords = scene.passed(ENTRIES[name])
    op = getattr(ringmill.aio, name)(*positional, **keywords)
    assert scene.seen(ringmill.wait(op)) == scene.expected
    scene = specimen(name).works(lab.fresh())
    positional, keywords = scene.passed(ENTRIES[name])
    assert scene.seen(getattr(ringmill, name)(*positional, **keywords)) == scene.expected
