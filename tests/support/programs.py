"""Programs of their own: for what only a whole process can show (exit, signals, fork, no io_uring).

Runs Python in a child with this suite's ringmill, in development mode, so that memory is checked
and warnings are shown; a clean program exits with 0 and says nothing on stderr.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

REFUSE = Path(__file__).with_name("refuse.py")
# Only against hanging for ever: a child of a busy machine may take long.
TIMEOUT_S = 120


@dataclass
class Ended:
    """How a program ended and what it said."""

    code: int
    out: str
    err: str


def run(source: str, *arguments: object, kernel: str | None = None, refuse: str | None = None,
        before: tuple[str, ...] = (), **environ: str) -> Ended:
    """Run `source` to its end, on `kernel`; refuse: "EPERM" …, see refuse.py; before: strace …"""
    env = dict(os.environ, **environ)
    if kernel is not None:
        env["RINGMILL_KERNEL"] = kernel
    elif refuse is not None:
        env.pop("RINGMILL_KERNEL", None)
    command = [sys.executable, "-X", "dev", "-c", textwrap.dedent(source), *map(str, arguments)]
    if refuse is not None:
        command = [sys.executable, str(REFUSE), refuse, *command]
    done = subprocess.run([*before, *command], env=env, capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def clean(source: str, *arguments: object, **options: object) -> str:
    """What the program printed; it must exit with 0 and say nothing on stderr."""
    ended = run(source, *arguments, **options)
    assert (ended.code, ended.err) == (0, ""), f"exit {ended.code}:\n{ended.out}\n{ended.err}"
    return ended.out
