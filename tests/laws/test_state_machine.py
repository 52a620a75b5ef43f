"""The laws, as a state machine: Hypothesis chooses the program, and makes a failing one small.

A short search runs always; `make fuzz` searches long, kernel by kernel. On sim the kernel's seed is
chosen, too, so what fails is a program and a seed, and fails again.

Each of these mechanisms, broken on purpose in a copy of the sources, was caught on sim by the law
behind it, within the seeds of test_programs.py that always run:

- descriptors that an op brought and nobody takes are closed (op_close_brought): "descriptors are
  left";
- a result that came before the cancel is kept (op_complete): "came before it was sent";
- sendall goes on after a part (rest.pyx): "bytes come after a gap";
- a multishot op that the kernel ended is armed again (shots_go_on): "the end of an op did not
  happen";
- ENOBUFS is recovered (shots_failed): an OSError that nobody injected, ENOBUFS, leaves a read.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from laws.program import FAULTS, Program
from ringmill.testing import SimMachine
from support import machines

KERNELS = machines.EVERY_KERNEL
NUMBERS = st.integers(0, (1 << 16) - 1)
QUICK = {"sim": 40, "soft": 15, "linux": 15}  # programs; a real kernel takes real time
STEPS = 40
FUZZ_EXAMPLES = 20_000


class Laws(RuleBasedStateMachine):
    """Any action at any time; then the end, and nothing is left."""

    kernel = "sim"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.machine: Any = None
        self.program: Any = None

    @initialize(seed=st.integers(0, (1 << 32) - 1), lying=st.booleans())
    def begin(self, seed: int, lying: bool) -> None:
        if self.kernel == "sim":
            self.machine = SimMachine(seed, lies=lying, faults=FAULTS if lying else None)
        else:
            self.machine = machines.make(self.kernel)
        self.program = Program(self.machine, self.folder)

    @rule(action=st.sampled_from(sorted(set(Program.ACTIONS))), a=NUMBERS, b=NUMBERS, c=NUMBERS)
    @precondition(lambda self: self.program is not None)
    def act(self, action: str, a: int, b: int, c: int) -> None:
        self.program.step(action, a, b, c)

    def teardown(self) -> None:
        try:
            if self.program is not None:
                self.program.finish()
                self.program.check()
        finally:
            self.program = None
            if self.machine is not None:
                self.machine.end()  # close() would wait for who was stopped for ever
            shutil.rmtree(self.folder)


def search(kernel: str, examples: int, steps: int) -> None:
    laws = type("Laws", (Laws,), {"kernel": kernel})
    run_state_machine_as_test(laws, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck)))


@pytest.mark.req("U20", "U21")
def test_any_program(kernel: str) -> None:
    search(kernel, QUICK[kernel], STEPS)


@pytest.mark.fuzz
def test_fuzz(kernel: str) -> None:
    search(kernel, FUZZ_EXAMPLES, 4 * STEPS)
