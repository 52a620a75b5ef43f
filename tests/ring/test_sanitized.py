"""The soft kernel's C tests under sanitizers: memory and undefined behaviour, and its threads.

Without Python, so with stack red zones (see tools/ring_tests.py). ThreadSanitizer has its turn
here only: it cannot be loaded into a Python that was not built for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from support import programs, tools

ring_tests = tools.load("ring_tests")

pytestmark = [
    pytest.mark.skipif("RINGMILL_SANITIZED" in os.environ, reason="already under a sanitizer"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on PATH"),
]

SANITIZERS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
    # gcc warns that it does not model fences; linux.c has one, against the kernel.
    "thread": ["-fsanitize=thread", "-Wno-error"],
}
# linux_*.c have no threads of ours; with addresses they are checked by `make asan`.
PROGRAMS = [path for path in ring_tests.programs() if path.stem.startswith(("soft_", "twin_"))]


@pytest.fixture(scope="module", params=SANITIZERS)
def build(request, tmp_path_factory):
    """Compiles a program with the ring, itself compiled once per sanitizer."""
    folder = tmp_path_factory.mktemp(request.param)
    flags = [*SANITIZERS[request.param], "-fno-omit-frame-pointer"]
    empty = folder / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    try:
        ring_tests.compile_program(empty, folder / "empty", [], flags)
        subprocess.run([folder / "empty"], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip(f"this compiler has no {request.param} sanitizer, or it does not run here")

    ring = ring_tests.compile_ring(folder, flags)

    def link(source):
        ring_tests.compile_program(source, folder / source.stem, ring, flags)
        return folder / source.stem

    return link


@pytest.mark.parametrize("source", PROGRAMS, ids=lambda path: path.stem)
def test_program_under_sanitizer(build, source, tmp_path):
    done = subprocess.run([build(source)], cwd=tmp_path, capture_output=True, text=True,
                          timeout=programs.TIMEOUT_S)
    if done.returncode == ring_tests.SKIPPED:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
