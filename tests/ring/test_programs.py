"""The C tests of ring/: each tests/ring/*.c is compiled with the ring, without Python, and run."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from support import programs, tools

ring_tests = tools.load("ring_tests")

pytestmark = [
    pytest.mark.skipif("RINGMILL_SANITIZED" in os.environ,
                       reason="tools/asan.py has run these, with stack red zones"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on PATH"),
]


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """The ring's objects, compiled once for all programs."""
    return ring_tests.compile_ring(tmp_path_factory.mktemp("ring"))


@pytest.mark.parametrize("source", ring_tests.programs(), ids=lambda path: path.stem)
def test_program(source, ring, tmp_path):
    program = tmp_path / source.stem
    ring_tests.compile_program(source, program, ring)
    done = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True,
                          timeout=programs.TIMEOUT_S)
    if done.returncode == ring_tests.SKIPPED:
        pytest.skip(done.stdout.strip() + done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
