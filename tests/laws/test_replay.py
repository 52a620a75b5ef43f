"""A story comes again exactly: in the same process, and in another one with other addresses."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from laws.program import FAULTS, Program
from ringmill.testing import SimMachine
from support import programs

TESTS = Path(__file__).parents[1]
SEEDS = range(5)

ELSEWHERE = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from laws.test_replay import SEEDS, fingerprint
print(*(fingerprint(seed, pathlib.Path(sys.argv[2])) for seed in SEEDS))
"""


def fingerprint(seed: int, folder: Path, steps: int = 300) -> int:
    dice = random.Random(seed)
    with SimMachine(seed, faults=FAULTS) as machine:
        program = Program(machine, folder)
        for _ in range(steps):
            program.step(dice.choice(Program.ACTIONS), *(dice.getrandbits(16) for _ in range(3)))
        program.finish()
        program.check()
        return machine.fingerprint


def elsewhere(folder: Path, hash_seed: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, str(TESTS), str(folder)],
                          env=os.environ | {"PYTHONHASHSEED": hash_seed}, text=True,
                          capture_output=True, timeout=programs.TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def test_again_in_this_process_and_in_others(tmp_path: Path) -> None:
    here = [fingerprint(seed, tmp_path) for seed in SEEDS]
    assert [fingerprint(seed, tmp_path) for seed in SEEDS] == here
    assert len(set(here)) == len(here)
    assert elsewhere(tmp_path, "1") == elsewhere(tmp_path, "2") == here
