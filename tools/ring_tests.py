"""Compile each tests/ring/*.c with all of ring/ and run it: the ring without Python.

By hand or from tests/ring; with --sanitize under AddressSanitizer, stack red zones included, and
UndefinedBehaviorSanitizer. Each file is a program of its own that returns 0 when all is well, and
77 when this host cannot run it (io_uring refused), having said why.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "ringmill"
SKIPPED = 77  # automake's and meson's word for it
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-DRM_DEBUG=1", "-g", "-Wall", "-Wextra", "-Werror",
         "-pthread"]
PLAIN = ["-O1"]
SANITIZED = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
             "-fno-omit-frame-pointer"]


def ring_sources() -> list[Path]:
    """What meson links into the ring: the one list there is."""
    text = (PACKAGE / "meson.build").read_text(encoding="utf-8")
    block = re.search(r"ring_sources\s*=\s*files\((.*?)\)", text, re.DOTALL)
    if block is None:
        raise ValueError("src/ringmill/meson.build has no ring_sources")
    code = "\n".join(line.split("#")[0] for line in block[1].splitlines())
    return [PACKAGE / name for name in re.findall(r"'([^']+)'", code)]


def programs() -> list[Path]:
    return sorted((ROOT / "tests" / "ring").glob("*.c"))


def compile_test(source: Path, target: Path, sanitize: bool) -> None:
    """Compile one C test with the ring's sources; raises CalledProcessError when it does not."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run(
        [*compiler, *FLAGS, *(SANITIZED if sanitize else PLAIN), "-I", PACKAGE / "ring",
         "-o", target, source, *ring_sources()], check=True)


def run_test(source: Path, sanitize: bool) -> int:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, source.stem)
        compile_test(source, target, sanitize)
        return subprocess.run([target], cwd=folder).returncode


def main(args: list[str]) -> int:
    sanitize = "--sanitize" in args
    failed = []
    for source in programs():
        code = run_test(source, sanitize)
        word = {0: "passed", SKIPPED: "skipped"}.get(code, f"FAILED ({code})")
        print(f"{source.relative_to(ROOT)}: {word}", flush=True)
        if code not in (0, SKIPPED):
            failed.append(source)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
