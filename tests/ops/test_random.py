"""Random programs of ops, cancels, waits and drops: each op has one outcome, and nothing is left.

A program is made from its seed alone, so that a failure can be run again. `make soak` runs more.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ops.specimens import Scene, can_wait, entries, specimen
from ops.trying import Attempt, left_open, started, until
from ringmill.errors import Cancelled
from ringmill.ops.entry import ENTRIES
from support import leaks, machines

KERNELS = machines.EVERY_KERNEL

STEPS = 60
ALIVE_MAX = 12  # each has descriptors of its own

WORKS = entries(which=lambda e: not e.many)
WAITS = entries(which=lambda e: can_wait(e) and not e.many)
STRANDS = entries(which=can_wait)
ITERATIONS = entries(which=lambda e: e.many)
# A worker of the soft kernel answers when it does; those that wake somebody wait for him to sleep.
SLOW = {"futex_wait"}


class Program:
    """Ops that are alive, and what may be done with them next."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self.dice = random.Random(seed)
        self.ops: list[tuple[str, Any, Scene]] = []
        self.attempts: list[tuple[str, Attempt]] = []
        self.outcomes = 0

    def run(self) -> None:
        actions: list[Callable[[], None]] = [
            self.start_one, self.start_waiting, self.start_strand, self.cancel, self.unblock,
            self.wait, self.forget, self.turn, self.cancel_strand, self.time_out, self.iterate,
        ]
        for _ in range(STEPS):
            self.dice.choice(actions)()
        while self.ops:
            self.cancel()
            self.wait()
        while self.attempts:
            self.cancel_strand(keep=False)

    def start_one(self) -> None:
        self.start(self.dice.choice(WORKS), lambda name, lab: specimen(name).works(lab))

    def start_waiting(self) -> None:
        self.start(self.dice.choice(WAITS), lambda name, lab: specimen(name).blocks(lab))

    def start(self, name: str, make: Callable[[str, Lab], Scene]) -> None:
        if len(self.ops) < ALIVE_MAX:
            scene = make(name, self.lab.fresh())
            self.ops.append((name, started(name, scene), scene))

    def start_strand(self) -> None:
        if len(self.attempts) < ALIVE_MAX:
            name = self.dice.choice(STRANDS)
            scene = specimen(name).blocks(self.lab.fresh())
            face = self.dice.choice(["fiber", "aio"])
            self.attempts.append((name, Attempt(face, name, scene)))

    def cancel(self) -> None:
        if self.ops:
            self.dice.choice(self.ops)[1].cancel()

    def unblock(self) -> None:
        waiting = [(n, s) for n, op, s in self.ops if not op.done and s.unblock is not None]
        waiting += [(n, a.scene) for n, a in self.attempts if not a.strand.done]
        waiting = [(n, s) for n, s in waiting if n not in SLOW]
        if waiting:
            _, scene = self.dice.choice(waiting)
            scene.unblock()
            scene.unblock = lambda: None  # once: what comes twice is another scene

    def wait(self) -> None:
        """For one that will end: its outcome is its value, or Cancelled when that was asked."""
        if not self.ops:
            return
        name, op, scene = self.ops.pop(self.dice.randrange(len(self.ops)))
        if scene.unblock is not None and not op.done:
            op.cancel()
        until(lambda: op.done, f"the end of {name}")
        try:
            value = scene.seen(ringmill.wait(op))
        except Cancelled:
            assert op.done
        else:
            assert value == scene.expected, name
        self.outcomes += 1
        assert op.state == ("done", "taken")

    def forget(self) -> None:
        if self.ops:
            name, op, scene = self.ops.pop(self.dice.randrange(len(self.ops)))
            if scene.unblock is not None:
                op.cancel()
            op.detach()

    def turn(self) -> None:
        ringmill.sleep(self.dice.choice([0, 0, 0, 0.0005]))

    def time_out(self) -> None:
        """One that waits, under a deadline that strikes before, at or after its completion."""
        name = self.dice.choice(STRANDS)
        scene = specimen(name).blocks(self.lab.fresh())
        if name not in SLOW and self.dice.random() < 0.5:
            scene.unblock()
        entry, (positional, keywords) = ENTRIES[name], scene.passed(ENTRIES[name])
        span = self.dice.choice([0, 1e-6, 1e-5, 1e-4, 1e-3])

        async def main() -> Any:
            with ringmill.timeout(span):
                begun = getattr(ringmill.aio, name)(*positional, **keywords)
                if not entry.many:
                    return await begun
                with begun:
                    return await anext(begun)

        task = ringmill.spawn(main())
        until(lambda: task.done, f"the end of {name}")
        try:
            value = task.join()
        except TimeoutError:
            pass
        else:
            assert scene.seen(value) == scene.expected, name
        ringmill.nop()  # a stray TimeoutError would strike here
        self.outcomes += 1

    def iterate(self) -> None:
        """An iteration that is begun, perhaps fed, perhaps taken from, and broken off."""
        name = self.dice.choice(ITERATIONS)
        make = specimen(name).works if self.dice.random() < 0.5 else specimen(name).blocks
        positional, keywords = make(self.lab.fresh()).passed(ENTRIES[name])
        each = getattr(ringmill.aio, name)(*positional, **keywords)
        asked = anext(each) if self.dice.random() < 0.7 else None
        for _ in range(self.dice.randrange(3)):
            self.turn()
        each.close() if self.dice.random() < 0.5 else None
        if asked is not None:
            asked.cancel()
            asked.detach()

    def cancel_strand(self, *, keep: bool = True) -> None:
        if not self.attempts or (keep and self.dice.random() < 0.5):
            return
        name, attempt = self.attempts.pop(self.dice.randrange(len(self.attempts)))
        attempt.strand.cancel()
        until(lambda: attempt.strand.done, f"the end of {name}")
        if attempt.outcomes:  # none: it was cancelled before it ran
            (outcome,) = attempt.outcomes
            assert outcome in (("error", "Cancelled", ""), ("value", attempt.scene.expected)), name
        else:
            assert isinstance(attempt.strand.error, Cancelled)


@pytest.mark.req("U20", "U21")
@pytest.mark.parametrize("seeds", [
    range(12), pytest.param(range(100, 8500), marks=pytest.mark.soak)], ids=["few", "many"])
def test_random_programs(lab: Lab, machine: Any, seeds: range) -> None:
    for seed in seeds:
        before = leaks.open_fds()
        with lab.fresh() as own:
            program = Program(own, seed)
            try:
                program.run()
            except BaseException as error:
                error.add_note(f"the program of seed {seed}")
                raise
            del program
            gc.collect()
            until(lambda: machine.stats()["ops_live"] == 0, "the end of what was forgotten")
        gc.collect()
        stats = machine.stats()
        assert leaks.unrest(stats) == [], f"seed {seed}"
        assert stats["stale"] == 0, f"seed {seed}"
        assert left_open(before) == [], f"seed {seed}"
