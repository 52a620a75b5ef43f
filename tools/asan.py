"""Build ringmill with sanitizers and run the suite under them.

`make asan`; arguments go to pytest. Two builds, since greenlet and stack red zones do not mix: the
extension modules without stack red zones under the whole suite, and ring/ alone with them under
its C tests (tools/ring_tests.py).

The suite runs in .venv-asan, which has no ringmill of its own: in the environment of the editable
install, its import hook would win over PYTHONPATH and the plain build be tested without a word.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "asan"
VENV = ROOT / ".venv-asan"
VERSION = "python{}.{}".format(*sys.version_info[:2])
SITE = BUILD / "prefix" / "lib" / VERSION / "site-packages"

FOREIGN = ("curl", "wget", "ab", "h2load")  # what tests talk to, not what is tested

SETTINGS = {
    "PYTHONMALLOC": "malloc",  # else the sanitizer sees arenas, not objects
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "PYTHONPATH": str(SITE),
    "PYTHONDONTWRITEBYTECODE": "1",
    "RINGMILL_SANITIZED": str(SITE),  # tests/test_build.py: is it really this build that runs?
}


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})})
    if done.returncode:
        sys.exit(done.returncode)


def library(name: str) -> str:
    """The full path of a library that comes with the compiler."""
    compiler = os.environ.get("CC", "gcc")
    asked = subprocess.run([compiler, f"-print-file-name={name}"],
                           capture_output=True, text=True, check=True)
    path = asked.stdout.strip()
    if not os.path.isabs(path):
        sys.exit(f"{compiler} has no {name}: the sanitizers need it")
    return path


def build() -> None:
    options = ["-Dsanitize=true", "-Ddebug_checks=true", "-Dbuildtype=debugoptimized",
               "-Dpython.install_env=prefix", f"--prefix={BUILD / 'prefix'}"]
    meson = Path(sys.executable).with_name("meson")
    env = {"CYTHON": str(Path(sys.executable).with_name("cython"))}
    again = ["--reconfigure"] if (BUILD / "build.ninja").exists() else []
    run(meson, "setup", *again, BUILD, *options, env=env)
    # A module that was renamed must not go on being importable.
    shutil.rmtree(BUILD / "prefix", ignore_errors=True)
    run(meson, "install", "-C", BUILD, "--quiet", env=env)


def environment() -> Path:
    python = VENV / "bin" / "python"
    made = VENV / ".made"
    wanted = (ROOT / "pyproject.toml").stat().st_mtime
    if not made.exists() or made.stat().st_mtime < wanted:
        run(sys.executable, "-m", "venv", VENV)
        run(python, "-m", "pip", "install", "-q", "--upgrade", "pip>=25.1")
        run(python, "-m", "pip", "install", "-q", "--group", "test")
        made.touch()
    return python


def unloaded() -> Path:
    """A folder of commands that begin without the preloaded sanitizer: some hang with it (curl)."""
    folder = BUILD / "bin"
    folder.mkdir(exist_ok=True)
    for name in FOREIGN:
        command = shutil.which(name)
        if command is not None and Path(command).parent != folder:
            shim = folder / name
            shim.write_text(f'#!/bin/sh\nunset LD_PRELOAD\nexec {command} "$@"\n')
            shim.chmod(0o755)
    return folder


def main(args: list[str]) -> None:
    build()
    python = environment()
    run(sys.executable, "tools/ring_tests.py", "--sanitize")
    # libstdc++ too: greenlet throws C++ exceptions, and the sanitizer must meet them first. Only
    # for this command: compilers and pip would be slowed for nothing.
    preload = {"LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so')}",
               "PATH": f"{unloaded()}:{os.environ['PATH']}"}
    # -s: a dying process takes what pytest has captured with it, the report above all.
    run(python, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", *args,
        env={**SETTINGS, **preload})


if __name__ == "__main__":
    main(sys.argv[1:])
