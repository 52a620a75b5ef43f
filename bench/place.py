"""Where everything lies, and how it comes to be there: environment, compiled C, cores, versions.

Knows: the file system, pip, cc. Must not know: what is measured. Everything is made on first use
and made again when what it was made from has changed.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from bench.harness import Missing

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
OUT = BENCH / "out"  # what a run leaves behind; not for the repository
RESULTS = BENCH / "results"  # what is kept
PEERS = BENCH / "peers"
VENV = ROOT / ".venv-bench"

# Installed one by one: a peer that has no wheel for this Python is a dash, not the end of the rest.
PACKAGES = ("uvloop", "gevent", "trio", "rloop", "aiofiles", "h11")  # h11: for our HTTP server
PIP_S = 600  # a peer without a wheel may be compiled
C_FLAGS = ("-std=gnu11", "-O2", "-g", "-Wall", "-Wextra")
TAIL = 400  # characters of a tool's complaint that are worth repeating


def tell(text: str) -> None:
    """Progress goes to stderr, so that stdout is only the tables."""
    print(text, file=sys.stderr, flush=True)


def digest_of(paths: list[Path]) -> str:
    """Changes when a name or a byte of any of these files does."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(str(path).encode())
        total.update(path.read_bytes())
    return total.hexdigest()


# ── the environment ──────────────────────────────────────────────────────────────────────────────


def pip_install(*what: str) -> str | None:
    """Install into the benchmarks' environment, by our own pip. Returns the complaint, or None."""
    command = [sys.executable, "-m", "pip", "--python", str(VENV / "bin/python"), "install", "-q"]
    command += what
    done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_S, check=False)
    return None if done.returncode == 0 else done.stderr.strip()[-TAIL:]


@cache
def peers_python() -> Path:
    """The Python that has the peers: the same version as ours, in an environment of its own."""
    python = VENV / "bin/python"
    stamp = VENV / "made.json"
    wanted = {"python": sys.version, "packages": list(PACKAGES)}
    if stamp.exists() and json.loads(stamp.read_text())["wanted"] == wanted:
        return python
    tell(f"making {VENV.name} for the peers: {', '.join(PACKAGES)}")
    shutil.rmtree(VENV, ignore_errors=True)
    # Without pip: a Python that was split from its ensurepip can make such a one, too.
    making = [sys.executable, "-m", "venv", "--without-pip", str(VENV)]
    subprocess.run(making, check=True, timeout=PIP_S)
    complaints = {name: pip_install(name) for name in PACKAGES}
    absent = {name: why for name, why in complaints.items() if why}
    for name, why in absent.items():
        tell(f"  {name} cannot be installed and will be a dash: {why.splitlines()[-1]}")
    stamp.write_text(json.dumps({"wanted": wanted, "absent": absent}))
    return python


@cache
def ringmill_python(development: bool) -> Path:
    """The Python that has ringmill: a release build in the peers' environment.

    A development build has assertions and bounds checks on: to measure it would be to measure
    those. It is taken only when asked for, or when the release build fails (and then told).
    """
    if development:
        return Path(sys.executable)
    python = peers_python()
    sources = [path for path in (ROOT / "src").rglob("*") if path.is_file()]
    sources = [path for path in sources if "__pycache__" not in path.parts]
    digest = digest_of([*sources, ROOT / "meson.build", ROOT / "pyproject.toml"])
    stamp = VENV / "ringmill.digest"
    if stamp.exists() and stamp.read_text() == digest:
        return python
    tell("building ringmill (release) for the benchmarks")
    stamp.unlink(missing_ok=True)
    complaint = pip_install("--force-reinstall", "--no-deps", str(ROOT))
    if complaint is None:
        stamp.write_text(digest)
        return python
    tell(f"  the release build failed; taking {sys.executable} instead: {complaint}")
    return Path(sys.executable)


@cache
def missing(python: Path, module: str) -> str | None:
    """Why this Python cannot import a module: a sentence, or None."""
    done = subprocess.run(
        [str(python), "-c", f"import {module}"], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return f"cannot import {module}: {lines[-1] if lines else 'no reason given'}"


# ── compiled C ───────────────────────────────────────────────────────────────────────────────────


@cache
def compiled(source: str) -> Path:
    """`c/<source>` compiled: a program, or a library for what is called count_*."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise Missing("no C compiler (cc)")
    path = BENCH / "c" / source
    shared = path.stem.startswith("count_")
    target = OUT / "bin" / (path.stem + (".so" if shared else ""))
    stamp = target.with_suffix(".digest")
    digest = digest_of([path, *(BENCH / "c").glob("*.h")])
    if target.exists() and stamp.exists() and stamp.read_text() == digest:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = [*C_FLAGS, *(("-shared", "-fPIC") if shared else ())]
    done = subprocess.run(
        [compiler, *flags, "-o", str(target), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Missing(f"{source} does not compile here: {done.stderr.strip()[:TAIL]}")
    stamp.write_text(digest)
    return target


# ── the machine ──────────────────────────────────────────────────────────────────────────────────


@cache
def cores() -> tuple[int, int]:
    """(server, load): two cores of our own; the same one twice when there is no second."""
    ours = sorted(os.sched_getaffinity(0))
    return ours[0], ours[-1]


class Addresses:
    """Fresh addresses for servers. Never one twice: a ring that dies gives its listener up late."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.count = 0

    def fresh(self, transport: str) -> str:
        if transport == "unix":
            self.count += 1
            return f"{self.folder.name}/{self.count}"
        import socket

        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        with socket.socket(type=kind) as probe:
            probe.bind(("127.0.0.1", 0))
            return str(probe.getsockname()[1])


def processor() -> str:
    """The model, for the record; a ratio from one is no promise for another."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions(python: Path) -> dict[str, str]:
    """Versions of ringmill and the peers as that Python sees them; absent ones are left out."""
    code = (
        "import json, importlib.metadata as m\n"
        "found = {}\n"
        f"for name in {(*PACKAGES, 'greenlet', 'ringmill')!r}:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    return json.loads(done.stdout) if done.returncode == 0 else {}


def about(development: bool) -> dict[str, object]:
    """What one must know to judge a figure: kernel, processor, versions, build, ring."""
    python = ringmill_python(development)
    facts: dict[str, object] = {
        "kernel": platform.release(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": versions(peers_python()) | versions(python),
        "build": "release" if python == peers_python() else "development",
    }
    ring = subprocess.run(
        [str(python), str(PEERS / "about_ringmill.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if ring.returncode == 0:
        facts["ring"] = json.loads(ring.stdout)
    floor = compiled("read_uring.c")
    ring = subprocess.run(
        [str(floor), str(floor), "1", "0.001"], capture_output=True, text=True, check=False
    )
    if ring.returncode == 0:
        facts["floor_ring_flags"] = json.loads(ring.stdout)["ring_flags"]
    return facts
