"""The soft kernel's C tests under sanitizers: memory and undefined behaviour, and its threads.

Without Python, so with stack red zones (see tools/ring_tests.py). ThreadSanitizer has its turn
here only: it cannot be loaded into a Python that was not built for it.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import programs
from support.tidy_sources import ROOT

spec = importlib.util.spec_from_file_location("ring_tests", ROOT / "tools" / "ring_tests.py")
ring_tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ring_tests)

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


def compile_with(flags, *args):
    command = [*shlex.split(os.environ.get("CC", "cc")), *ring_tests.FLAGS, *flags, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", params=SANITIZERS)
def build(request, tmp_path_factory):
    """Compiles a program with the ring, itself compiled once per sanitizer."""
    folder = tmp_path_factory.mktemp(request.param)
    flags = [*SANITIZERS[request.param], "-fno-omit-frame-pointer"]
    empty = folder / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    try:
        compile_with(flags, "-o", folder / "empty", empty)
        subprocess.run([folder / "empty"], check=True, capture_output=True)
    except (AssertionError, subprocess.CalledProcessError):
        pytest.skip(f"this compiler has no {request.param} sanitizer, or it does not run here")

    def compile_one(source):
        target = folder / f"{source.stem}.o"
        compile_with(flags, "-c", "-o", target, source)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ring = list(pool.map(compile_one, ring_tests.ring_sources()))

    def link(source):
        compile_with(flags, "-o", folder / source.stem, source, *ring)
        return folder / source.stem

    return link


@pytest.mark.parametrize("source", PROGRAMS, ids=lambda path: path.stem)
def test_program_under_sanitizer(build, source, tmp_path):
    done = subprocess.run([build(source)], cwd=tmp_path, capture_output=True, text=True,
                          timeout=programs.TIMEOUT_S)
    if done.returncode == ring_tests.SKIPPED:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
