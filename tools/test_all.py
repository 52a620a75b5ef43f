"""Run the suite on every CPython >= 3.11 this host has, each in an environment of its own.

`make test-all`; arguments go to pytest. Looks on PATH and among pyenv's versions. Each version has
its own .venv-X.Y and its own build folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION_MIN = (3, 11)
# Prints "3.12" for a CPython with a GIL and its headers, nothing for others: the free-threaded
# build is not claimed, and without Python.h nothing can be compiled.
ASK = """
import os, sys, sysconfig
gil = not sysconfig.get_config_var("Py_GIL_DISABLED")
header = os.path.join(sysconfig.get_path("include"), "Python.h")
if sys.implementation.name == "cpython" and gil and os.path.exists(header):
    print("%d.%d" % sys.version_info[:2])
"""


def candidates() -> Iterator[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from sorted(pyenv.glob("3.*/bin/python3"), reverse=True)
    for folder in os.get_exec_path():
        for name in ("python3", *(f"python3.{minor}" for minor in range(11, 20))):
            yield Path(folder, name)


def version_of(python: Path) -> tuple[int, int] | None:
    try:
        asked = subprocess.run([python, "-c", ASK], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = asked.stdout.split()
    if asked.returncode != 0 or not words:
        return None  # also a pyenv shim whose version is not selected
    major, minor = words[0].split(".")
    return int(major), int(minor)


def pythons() -> dict[tuple[int, int], Path]:
    found: dict[tuple[int, int], Path] = {}
    for python in candidates():
        if os.access(python, os.X_OK):
            version = version_of(python)
            if version and version >= VERSION_MIN:
                found.setdefault(version, python)
    return dict(sorted(found.items()))


def main(args: list[str]) -> int:
    found = pythons()
    if not found:
        print("no CPython >= 3.11 with headers was found", file=sys.stderr)
        return 1
    failed = []
    for (major, minor), python in found.items():
        name = f"{major}.{minor}"
        print(f"── Python {name}: {python}", flush=True)
        make = ["make", "--no-print-directory", "build", f"PYTHON={python}", f"VENV=.venv-{name}"]
        suite = [f".venv-{name}/bin/python", "-m", "pytest", "-q", *args]
        if any(subprocess.run(command, cwd=ROOT).returncode for command in (make, suite)):
            failed.append(name)
    names = ", ".join(f"{major}.{minor}" for major, minor in found)
    print(f"ran on {names}; failed on {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
