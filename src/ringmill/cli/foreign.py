"""Other people's programs: curl as a second opinion, strace as a second count.

Knows their options and how to read what they say. Both may be missing.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .fetch import Fetched

# curl keeps its connection from one URL to the next; a few of them keep the server busy.
CURLS = 4

# strace says nothing when it has attached; what it can be asked is whether the kernel thinks so.
ATTACH_S = 10.0
ATTACH_STEP_S = 0.02


def curl_all(url: str, paths: list[str], folder: Path) -> list[Fetched]:
    """Fetch every path with a few curls at once, into `folder`."""
    shares = [share for i in range(CURLS) if (share := paths[i::CURLS])]
    # --noproxy and -q: this is about one local server, whatever the user's settings are.
    command = ["curl", "-q", "--silent", "--show-error", "--globoff", "--path-as-is",
               "--noproxy", "*", "--write-out", "%{http_code}\\n", "--config", "-"]  # fmt: skip
    curls = []
    for number, share in enumerate(shares):
        lines = []
        for index, path in enumerate(share):
            target = folder / f"{number}-{index}"
            lines.append(f'url = "{url.rstrip("/")}{path}"\noutput = "{target}"\n')
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write("".join(lines))
        process.stdin.close()
        process.stdin = None
        curls.append((number, share, process))
    fetched: list[Fetched] = []
    for number, share, process in curls:
        out, err = process.communicate()
        if process.returncode != 0:
            raise ConnectionError(f"curl ended with {process.returncode}: {err.strip()}")
        for index, (path, status) in enumerate(zip(share, out.split(), strict=True)):
            fetched.append(read_back(path, int(status), folder / f"{number}-{index}"))
    return fetched


def read_back(path: str, status: int, file: Path) -> Fetched:
    # curl makes no file for an empty body.
    data = file.read_bytes() if file.exists() else b""
    return Fetched(path, status, len(data), hashlib.sha256(data).hexdigest())


def trace_calls(pid: int, work: Callable[[], object]) -> int | None:
    """How many system calls process `pid` made during `work`; None where strace may not look."""
    if shutil.which("strace") is None:
        return None
    strace = subprocess.Popen(
        ["strace", "-f", "-c", "-U", "calls,name", "-p", str(pid)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if not attached(pid, strace):
        strace.kill()
        strace.communicate()
        return None
    work()
    strace.send_signal(signal.SIGINT)
    _, summary = strace.communicate()
    return total_of(summary)


def attached(pid: int, strace: subprocess.Popen[str]) -> bool:
    """Wait until `strace` traces every thread of `pid`; False when it gave up."""
    deadline = time.monotonic() + ATTACH_S
    while time.monotonic() < deadline and strace.poll() is None:
        tracers = []
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            lines = status.read_text().splitlines()
            tracers += [line.split()[1] for line in lines if line.startswith("TracerPid:")]
        if tracers and all(int(tracer) == strace.pid for tracer in tracers):
            return True
        time.sleep(ATTACH_STEP_S)
    return False


def total_of(summary: str) -> int | None:
    """The last line of `strace -c`: `   12345 total`."""
    for line in reversed(summary.splitlines()):
        words = line.split()
        if len(words) == 2 and words[1] == "total" and words[0].isdigit():
            return int(words[0])
    return None
