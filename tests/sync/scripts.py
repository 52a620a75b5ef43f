"""Programs in files: what multiprocessing spawns imports them again, and `-c` cannot be imported.

Each runs in development mode with this suite's ringmill, on the kernel that was asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

# Only against hanging for ever: a lost wake-up ends here.
TIMEOUT_S = 120


class Script:
    """A program under `folder`."""

    def __init__(self, folder: Path, kernel: str, source: str) -> None:
        self.path = folder / "program.py"
        self.path.write_text(textwrap.dedent(source), encoding="utf-8")
        self.environ = dict(os.environ, RINGMILL_KERNEL=kernel)

    def begin(self, *arguments: object) -> subprocess.Popen[str]:
        """Begun, in a process group of its own, its stdout and stderr to be read."""
        return subprocess.Popen(
            [sys.executable, "-X", "dev", self.path, *map(str, arguments)], env=self.environ,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def run(self, *arguments: object) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)"""
        return self.end(self.begin(*arguments))

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
        with process:
            try:
                out, err = process.communicate(timeout=TIMEOUT_S)
            except BaseException:
                process.kill()
                raise
        return process.returncode, out, err

    def clean(self, *arguments: object) -> str:
        """What it printed; it must exit with 0 and say nothing on stderr."""
        code, out, err = self.run(*arguments)
        assert (code, err) == (0, ""), f"exit {code}:\n{out}\n{err}"
        return out
