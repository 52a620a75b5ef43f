"""What takes a worker of its own on the soft kernel, and how the lying kernel does without one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import ringmill
from ringmill.core.masks import OPCODES
from ringmill.testing import SimMachine

ROWS = Path(__file__).parents[2] / "src" / "ringmill" / "ring" / "soft_rows.c"


@pytest.mark.skipif(not ROWS.exists(), reason="the sources are not here")
def test_every_op_that_may_block_for_ever_has_a_form_that_does_not() -> None:
    rows = re.findall(r"\[IORING_OP_(\w+)\] = \{RM_IN_OWN_WORKER", ROWS.read_text())
    assert len(rows) >= 4
    with SimMachine(1) as machine:
        has = machine.facts()["opcodes"]
    missing = [row for row in rows if not has >> OPCODES.index(row.lower()) & 1]
    assert not missing, f"sim_calls.c does not know {', '.join(missing)}"


def test_a_child_is_waited_for() -> None:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 7"], os.environ)
    with SimMachine(1):
        assert ringmill.waitid(os.P_PID, pid, os.WEXITED).si_status == 7


def test_a_futex_within_the_program() -> None:
    word = bytearray(4)
    with SimMachine(1):
        waiting = [ringmill.spawn(ringmill.futex_wait, word, 0) for _ in range(3)]
        ringmill.sleep(1)
        assert not any(strand.done for strand in waiting)
        assert ringmill.futex_wake(word, 2) == 2
        ringmill.sleep(1)
        assert [strand.done for strand in waiting].count(True) == 2
        word[0] = 1  # whoever changes the word wakes, sooner or later
        ringmill.sleep(1)
        assert all(strand.done for strand in waiting)
        assert ringmill.futex_wait(word, 0) is False


def test_a_pipe_that_is_full() -> None:
    """A write of more than fits does not block the thread: its reader is in the same program."""
    source, target = os.pipe()
    much = bytes(range(256)) * 2000
    with SimMachine(1):
        writing = ringmill.spawn(ringmill.write_all, target, much)
        received = b""
        while len(received) < len(much):
            received += ringmill.read(source, 1 << 16)
        writing.join()
    os.close(source)
    os.close(target)
    assert received == much


def test_splice_waits_for_both_ends() -> None:
    source, target = os.pipe()
    out, full = os.pipe()
    with SimMachine(1):
        moving = ringmill.spawn(ringmill.splice, source, full, 100)
        ringmill.sleep(1)
        assert not moving.done
        os.write(target, b"hello")
        assert moving.join() == 5
        assert os.read(out, 100) == b"hello"
    for fd in (source, target, out, full):
        os.close(fd)
