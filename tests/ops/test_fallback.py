"""What the real kernel lacks, the soft one does beside it: per opcode, unseen.

Each case is a process of its own that runs tests/ops/smoke.py with something hidden.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ringmill.core import masks
from ringmill.core.older_kernels import MISSING
from ringmill.ops.entry import ENTRIES
from support.tidy_sources import ROOT

OPCODES = sorted({opcode.lower() for entry in ENTRIES.values() for opcode in entry.opcodes})

# Hidden one by one: of each way in which the soft kernel executes, and what the engine itself uses.
REPRESENTATIVE = ["nop", "read", "writev", "statx", "splice", "accept", "poll_add", "close"]

BEHAVIOURS = ["accept_multishot,recv_multishot,read_multishot,poll_multishot", "buffer_rings",
              "taskrun_flag,defer_taskrun", "cancel_fd,cqe_skip", "registered_ring",
              "async_cancel"]


HANGS = 100  # seconds; it takes about one. Whoever waits longer waits for ever


def smoke(**environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("smoke.py")], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}, cwd=ROOT,
        timeout=HANGS)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture
def linux(request: pytest.FixtureRequest) -> None:
    """Only where io_uring can be had: else there is nothing to hide."""
    from conftest import refusal

    if (reason := refusal("linux")) is not None:
        pytest.skip(f"kernel linux: {reason}")


@pytest.mark.usefixtures("linux")
@pytest.mark.parametrize("hidden", [*REPRESENTATIVE, ",".join(OPCODES)],
                         ids=[*REPRESENTATIVE, "all of the table"])
def test_without_an_opcode(hidden: str) -> None:
    told = smoke(RINGMILL_KERNEL="linux", RINGMILL_DISABLE=hidden)
    assert told["wrong"] == []
    assert told["kernel"] == "linux"
    assert told["beside_submitted"] > 0, "nothing was done beside"


@pytest.mark.usefixtures("linux")
@pytest.mark.parametrize("hidden", BEHAVIOURS)
def test_without_a_behaviour(hidden: str) -> None:
    told = smoke(RINGMILL_KERNEL="linux", RINGMILL_DISABLE=hidden)
    assert told["wrong"] == []


@pytest.mark.usefixtures("linux")
@pytest.mark.parametrize("version", MISSING)
def test_on_an_older_kernel(version: str) -> None:
    told = smoke(RINGMILL_KERNEL="linux", RINGMILL_DISABLE=f"@{version}")
    assert told["wrong"] == []
    lacks = {name for name in MISSING[version] if name in masks.OPCODES} & set(OPCODES)
    assert (told["beside_submitted"] > 0) >= bool(lacks)


def test_on_the_soft_kernel() -> None:
    told = smoke(RINGMILL_KERNEL="soft")
    assert told["wrong"] == []
    assert told["kernel"] == "soft"
    assert told["beside_submitted"] == 0


def test_the_representatives_are_of_every_kind() -> None:
    how = {e.opcode.lower(): e.soft.how for e in ENTRIES.values() if e.soft is not None}
    assert {how[opcode] for opcode in REPRESENTATIVE if opcode in how} == set(how.values())
