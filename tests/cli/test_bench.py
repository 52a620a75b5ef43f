"""`ringmill bench`: the harness of a checkout, from the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.tidy_sources import ROOT

COMMAND = [sys.executable, "-m", "ringmill", "bench"]


def bench(*words: str, where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], cwd=where, capture_output=True, text=True)


def test_the_questions_are_told() -> None:
    done = bench("--list", where=ROOT)
    assert done.returncode == 0, done.stderr
    assert "What does it cost to let another fiber or task run?" in done.stdout


def test_the_harness_status_is_ours() -> None:
    done = bench("nothing-of-this-name", where=ROOT)
    assert done.returncode == 1
    assert "no question is called" in done.stderr


def test_outside_a_checkout_it_says_so(tmp_path: Path) -> None:
    done = bench("echo", where=tmp_path)
    assert done.returncode == 1
    assert "from a checkout" in done.stderr
