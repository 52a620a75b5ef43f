"""Run what is measured: pinned to a core, bounded in time, with its complaint kept.

Knows: processes, strace. Must not know: what a program computes or a server serves.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import place
from bench.harness import Contender, Failed, Missing

CANNOT = 77  # as in peers/lap.py, which lives in another environment and says what it means
END_S = 5  # after SIGTERM; then SIGKILL
GRACE_S = 60  # to start a Python and its peers, build tasks, end; far more than is needed
TRACE_END_S = 10  # strace writes its summary after the traced process is gone
TAIL_LINES = 3  # of a complaint: the exception and where


def command_of(contender: Contender, development: bool = False) -> list[str]:
    """The command line of a contender, or Missing with the reason."""
    if contender.program.endswith(".c"):
        return [str(place.compiled(contender.program)), *contender.arguments]
    python = place.ringmill_python(development) if contender.ours else place.peers_python()
    for module in contender.needs:
        if reason := place.missing(python, module):
            raise Missing(reason)
    return [str(python), str(place.PEERS / contender.program), *contender.arguments]


def complaint(text: str) -> str:
    """The last lines of a stderr, as one line."""
    return " | ".join(line.strip() for line in text.strip().splitlines()[-TAIL_LINES:])


def failure(status: int, said: str) -> Missing | Failed:
    """What the status of a program that ended badly means."""
    return Missing(said) if status == CANNOT else Failed(f"ended with status {status}: {said}")


def pin(core: int) -> None:
    """In the child, before exec: threads made later are born on the same core."""
    os.sched_setaffinity(0, {core})


def start(
    command: Sequence[str], core: int, errors: Any, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env={**os.environ, **(environment or {})},
        preexec_fn=lambda: pin(core),  # the harness has one thread: nothing can hold a lock here
        start_new_session=True,  # a Ctrl-C is for the harness, which then ends the others in order
    )


def end(process: subprocess.Popen[str]) -> None:
    """Ask, then insist. Whoever strace follows is its own process group's first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            try:
                os.killpg(process.pid, number)
                process.wait(END_S)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
    if process.stdout:
        process.stdout.close()


def run_json(
    command: Sequence[str],
    core: int,
    seconds: float,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a program that ends by itself; its last line of stdout is one JSON object."""
    with tempfile.TemporaryFile("w+") as errors:
        process = start(command, core, errors, environment)
        try:
            output, _ = process.communicate(timeout=seconds + GRACE_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"did not end within {seconds + GRACE_S:.0f} s") from None
        finally:
            end(process)
        errors.seek(0)
        said = complaint(errors.read())
    if process.returncode:
        raise failure(process.returncode, said)
    try:
        return dict(json.loads(output.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        raise Failed(f"printed no JSON but {output[-80:]!r}; {said}") from None


@contextmanager
def running(command: Sequence[str], core: int) -> Iterator["Server"]:
    """A server for as long as the block lasts."""
    with tempfile.TemporaryFile("w+") as errors:
        process = start(command, core, errors)
        server = Server(process, errors)
        try:
            yield server
        finally:
            end(process)


class Server:
    """A process that serves until it is ended, or ends by itself with a last word."""

    def __init__(self, process: subprocess.Popen[str], errors: Any) -> None:
        self.process = process
        self.errors = errors

    @property
    def pid(self) -> int:
        return self.process.pid

    def complaint(self) -> str:
        """What it wrote to stderr so far, for the sentence that tells of a failure."""
        self.errors.seek(0)
        return complaint(self.errors.read())

    def fail(self, reason: Exception) -> Missing | Failed:
        """Why its load failed: the load's reason, unless the server gave a better one by ending."""
        if self.process.poll() == CANNOT:
            return Missing(self.complaint())
        return Failed(f"{reason}; the server said: {self.complaint() or 'nothing'}")

    def last_word(self, seconds: float) -> dict[str, Any]:
        """Wait for it to end by itself and read the JSON it printed last."""
        try:
            output, _ = self.process.communicate(timeout=seconds + GRACE_S)
            if self.process.returncode:
                raise failure(self.process.returncode, self.complaint())
            return dict(json.loads(output.strip().splitlines()[-1]))
        except subprocess.TimeoutExpired:
            raise Failed(f"did not end although its load was over: {self.complaint()}") from None
        except (IndexError, ValueError):
            raise Failed(f"printed no JSON; {self.complaint()}") from None


# ── counting system calls ────────────────────────────────────────────────────────────────────────


def strace_prefix(file: Path) -> list[str]:
    """-DD: the tracer is a grandchild in a group of its own, so that the pid we started is the
    traced one's, and ending its group leaves the tracer the time to write."""
    strace = shutil.which("strace")
    if strace is None:
        raise Missing("no strace")
    return [strace, "-DD", "-qq", "-f", "-c", "-o", str(file)]


def calls_in(summary: str) -> dict[str, int]:
    """`strace -c`'s table as {system call: how often}. Its total and its rules are left out."""
    calls: dict[str, int] = {}
    for line in summary.splitlines():
        words = line.split()
        # % time, seconds, usecs/call, calls, [errors,] syscall
        if len(words) in (5, 6) and words[3].isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3])
    return calls


def traced_calls(file: Path) -> int:
    """All calls in the summary, which strace writes a moment after the process has ended."""
    deadline = time.monotonic() + TRACE_END_S
    while time.monotonic() < deadline:
        if file.exists() and "total" in (text := file.read_text()):
            return sum(calls_in(text).values())
        time.sleep(0.02)
    raise Missing("strace may not trace here")
