"""The laws at scale: random programs by their seeds, on every kernel.

A quick part runs always; `make soak` takes a million steps over a thousand seeds on sim. A failure
names its seed: `RINGMILL_LAWS=<seed>` runs that one alone.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from laws.program import FAULTS, Program
from ringmill.testing import SimMachine
from support import machines

KERNELS = machines.EVERY_KERNEL
STEPS = 1000
ONLY = os.environ.get("RINGMILL_LAWS")


def run_program(kernel: str, seed: int, folder: Path, steps: int = STEPS) -> int:
    """A machine, a program of `steps` steps, and its end; how many steps were taken."""
    dice = random.Random(seed)
    machine = SimMachine(seed, faults=FAULTS) if kernel == "sim" else machines.make(kernel)
    try:
        program = Program(machine, folder)
        for _ in range(steps):
            program.step(dice.choice(Program.ACTIONS), dice.getrandbits(16),
                         dice.getrandbits(16), dice.getrandbits(16))
        program.finish()
        program.check()
    except BaseException as error:
        error.add_note(f"the program of seed {seed} on {kernel}")
        machine.end()  # close() would wait for strands that a broken law may have stopped for ever
        raise
    machine.close()
    return program.steps


def run_all(kernel: str, seeds: Iterable[int], folder: Path) -> int:
    seeds = seeds if ONLY is None else [int(ONLY)]
    return sum(run_program(kernel, seed, folder) for seed in seeds)


@pytest.mark.req("U20", "U21")
def test_random_programs(kernel: str, tmp_path: Path) -> None:
    assert run_all(kernel, range(12), tmp_path) >= STEPS


@pytest.mark.soak
@pytest.mark.req("U20", "U21")
def test_a_million_steps_over_a_thousand_seeds(tmp_path: Path) -> None:
    steps = run_all("sim", range(1000, 2000), tmp_path)
    assert steps == 1_000_000 or ONLY is not None
