"""The law that nothing is left behind is enforced: tests that leave something fail for it."""

from __future__ import annotations

import os

import pytest

from support import leaks
from support.tidy_sources import ROOT


def test_descriptors_are_seen():
    before = leaks.open_fds()
    assert leaks.new_fds(before) == []
    r, w = os.pipe()
    try:
        assert len(leaks.new_fds(before)) == 2
        assert "pipe:" in leaks.new_fds(before)[0]
    finally:
        os.close(r)
        os.close(w)
    assert leaks.new_fds(before) == []


def test_a_descriptor_that_became_another_is_seen():
    r, w = os.pipe()
    before = leaks.open_fds()
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, r)
    os.close(null)
    try:
        assert leaks.new_fds(before) == [f"{r} -> /dev/null"]
    finally:
        os.close(r)
        os.close(w)


def test_counters_are_seen():
    rest = dict.fromkeys(leaks.AT_REST, 0)
    assert leaks.unrest(rest) == []
    for name in leaks.AT_REST:
        assert leaks.unrest({**rest, name: 2}) == [f"{name} = 2"]


LEAKS = {
    "fd": "import os\ndef test_it(): os.dup(0)\n",
    "op": """
import os, ringmill
def test_it(machine):
    r, w = os.pipe()
    try:
        global op
        op = ringmill.aio.read(r, 1)
    finally:
        os.close(w); os.close(r)
""",
    "fiber": """
import ringmill
def test_it(machine):
    ringmill.run(lambda: None)
    ringmill.spawn(ringmill.park)
""",
    "thread": """
import ringmill
def test_it():
    global op
    ringmill.nop()
    op = ringmill.aio.sleep(3600)
""",
}


@pytest.mark.parametrize("what", LEAKS)
def test_a_test_that_leaves_something_fails(pytester, monkeypatch, what):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"), prepend=os.pathsep)
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(LEAKS[what])
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    text = result.stdout.str() + result.stderr.str()
    outcomes = result.parseoutcomes()
    # The test itself passed on every kernel there is, and what it left failed it each time.
    assert outcomes.get("failed", 0) == 0, text
    assert outcomes["passed"] == outcomes["errors"] >= 1, text
    assert ("the test left open" if what == "fd" else "the test left") in text
