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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "ringmill"
SKIPPED = 77  # automake's and meson's word for it
# psabi: gcc 12 notes that a struct changed its ABI in gcc 4.4; nobody links against that.
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-DRM_DEBUG=1", "-O1", "-g", "-pthread",
         "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-I", str(PACKAGE / "ring")]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
              "-fno-omit-frame-pointer"]


def ring_sources() -> list[Path]:
    """What meson links into the ring: the one list there is."""
    text = (PACKAGE / "meson.build").read_text(encoding="utf-8")
    block = re.search(r"ring_sources\s*=\s*files\((.*?)\n\)", text, re.DOTALL)
    if block is None:
        raise ValueError("src/ringmill/meson.build has no ring_sources")
    code = "\n".join(line.split("#")[0] for line in block[1].splitlines())
    return [PACKAGE / name for name in re.findall(r"'([^']+)'", code)]


def programs() -> list[Path]:
    return sorted((ROOT / "tests" / "ring").glob("*.c"))


def compiler(flags: Sequence[str]) -> list[str]:
    return [*shlex.split(os.environ.get("CC", "cc")), *FLAGS, *flags]


def compile_ring(folder: Path, flags: Sequence[str] = ()) -> list[Path]:
    """The ring's objects, made in `folder`; raises CalledProcessError when one does not compile."""

    def compile_one(source: Path) -> Path:
        target = folder / f"{source.stem}.o"
        subprocess.run([*compiler(flags), "-c", "-o", target, source], check=True)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, ring_sources()))


def compile_program(source: Path, target: Path, ring: list[Path],
                    flags: Sequence[str] = ()) -> None:
    subprocess.run([*compiler(flags), "-o", target, source, *ring], check=True)


def main(args: list[str]) -> int:
    flags = SANITIZERS if "--sanitize" in args else ()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            ring = compile_ring(folder, flags)
        except subprocess.CalledProcessError:
            return 1  # the compiler has said why
        for source in programs():
            target = folder / source.stem
            try:
                compile_program(source, target, ring, flags)
                code = subprocess.run([target], cwd=folder).returncode
                word = {0: "passed", SKIPPED: "skipped"}.get(code, f"FAILED with {code}")
            except subprocess.CalledProcessError:
                code, word = 1, "DOES NOT COMPILE"
            print(f"{source.relative_to(ROOT)}: {word}", flush=True)
            failed += code not in (0, SKIPPED)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
