"""`ringmill demo`: the main job on real input, checked byte by byte.

Serves a tree with `ringmill serve`, once per kernel, and fetches every file of it with fibers and
with curl; every SHA-256 is compared with the file's own. It stands here, and not in a script of
the repository, so that whoever has installed ringmill can run it too.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import ringmill
from ringmill.errors import RingmillError

from .doctor import examine_or_say_why, show
from .fetch import Fetched, fetch_all
from .foreign import curl_all, trace_calls
from .served import ServedDirectory, ServerFailed
from .units import human_size

KERNELS = ("linux", "soft")
FIBERS = 64

# What is not part of a source tree: histories, environments, caches, builds.
SKIPPED = frozenset((
    ".git", ".hg", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox",
    "__pycache__", "build", "dist", "node_modules",
))  # fmt: skip
SKIPPED_PREFIXES = (".venv", "venv")

# strace stops the server at every call, so it looks at a sample.
TRACED_MAX = 200

Fetch = Callable[[ServedDirectory, list[str]], list[Fetched]]


@dataclass(frozen=True, slots=True)
class Row:
    """One server's life: a kernel, a client, and what came of it."""

    kernel: str
    client: str
    files: int
    size: int
    seconds: float
    enters: float | None  # per request
    calls: float | None  # per request, all of them, counted by strace
    spliced: int  # bodies
    wrong: tuple[str, ...]

    @property
    def rate(self) -> float:
        return self.files / self.seconds if self.seconds else 0.0


@click.command()
@click.argument("directory", required=False, type=click.Path(exists=True, file_okay=False))
@click.option("--fibers", default=FIBERS, show_default=True, type=click.IntRange(1),
              help="Connections at once.")
def demo(directory: str | None, fibers: int) -> None:
    """Serve a source tree, fetch every file of it, compare every byte.

    Without DIRECTORY: the project around the current directory, else ringmill itself.
    """
    console = Console(highlight=False)
    show(examine_or_say_why(), console)
    root = Path(directory) if directory else tree_root()
    digests = digest_tree(root)
    if not digests:
        raise click.ClickException(f"no files below {shown(root)}")
    console.print(f"\n[bold]demo[/]  {len(digests):,} files below {escape(shown(root))}, "
                  f"{fibers} connections\n")
    rows: list[Row] = []
    for kernel in KERNELS:
        if (refusal := refused(kernel)) is not None:
            console.print(f"kernel {kernel} skipped: {escape(refusal)}")
            continue
        rows += run_kernel(kernel, root, digests, fibers, console)
    console.print(draw(rows))
    if rows:
        console.print("enters, syscalls: the server's, per request; spliced: bodies\n")
    wrong = [f"{row.kernel}, {row.client}: {what}" for row in rows for what in row.wrong]
    for line in wrong:
        console.print(escape(line), style="red")
    if wrong or not rows:
        sys.exit(1)
    console.print("every byte is as it is on disk", style="green")


def run_kernel(
    kernel: str, root: Path, digests: dict[str, str], fibers: int, console: Console
) -> list[Row]:
    """The rows of one kernel; a client that is not here is told and left out."""
    by_fibers = functools.partial(fetch_with_fibers, kernel, fibers)
    rows = [measure(kernel, "fibers", by_fibers, root, digests)]
    if shutil.which("curl"):
        rows.append(measure(kernel, "curl", fetch_with_curl, root, digests))
    else:
        console.print("curl is not here: its rows are left out")
    return rows


def measure(
    kernel: str, client: str, fetch: Fetch, root: Path, digests: dict[str, str]
) -> Row:
    """One server for one client: fetch everything, then a traced sample."""
    paths = list(digests)
    fetched: list[Fetched] = []
    seconds = 0.0
    wrong: list[str] = []
    server = ServedDirectory(str(root), "--kernel", kernel, "--port", "0", "--no-access-log")
    try:
        with server:
            begun = time.monotonic()
            fetched = fetch(server, paths)
            seconds = time.monotonic() - begun
    except (ServerFailed, OSError, ExceptionGroup) as error:
        wrong.append(f"{type(error).__name__}: {error}")
    wrong += differences(root, digests, fetched)
    stats = server.stats
    requests = stats.get("requests", 0)
    calls = None
    if client == "fibers" and not wrong:
        calls = count_calls(kernel, fetch, root, paths[:TRACED_MAX])
    return Row(
        kernel, client, len(fetched), sum(one.size for one in fetched), seconds,
        enters=stats["machine"]["enters"] / requests if requests else None,
        calls=calls,
        spliced=stats.get("extents_spliced", 0),
        wrong=tuple(wrong),
    )  # fmt: skip


def count_calls(kernel: str, fetch: Fetch, root: Path, paths: list[str]) -> float | None:
    """System calls per request of a server under strace, where strace may look."""
    server = ServedDirectory(str(root), "--kernel", kernel, "--port", "0", "--no-access-log")
    with server:
        total = trace_calls(server.process.pid, lambda: fetch(server, paths))
    return None if total is None else total / len(paths)


def fetch_with_fibers(
    kernel: str, fibers: int, server: ServedDirectory, paths: list[str]
) -> list[Fetched]:
    """The client runs on the same kernel as the server."""
    with ringmill.Machine(kernel=kernel) as machine:
        fetched: list[Fetched] = machine.run(fetch_all, "127.0.0.1", server.port, paths, fibers)
    return fetched


def fetch_with_curl(server: ServedDirectory, paths: list[str]) -> list[Fetched]:
    with tempfile.TemporaryDirectory(prefix="ringmill-curl-") as folder:
        return curl_all(server.url, paths, Path(folder))


def differences(root: Path, digests: dict[str, str], fetched: list[Fetched]) -> list[str]:
    """Everything that did not arrive as it is on disk, in words."""
    got = {one.path: one for one in fetched}
    wrong = []
    for path, digest in digests.items():
        one = got.get(path)
        if one is None:
            wrong.append(f"{path}: did not arrive")
        elif one.status != 200:
            wrong.append(f"{path}: status {one.status}")
        elif one.sha256 not in (digest, digest_file(root / unquoted(path))):
            # The second digest: somebody may edit the tree while it is served.
            wrong.append(f"{path}: differs ({one.size:,} bytes came)")
    return wrong


def refused(kernel: str) -> str | None:
    """Why `kernel` cannot run here; None when it can."""
    try:
        ringmill.Machine(kernel=kernel).close()
    except (OSError, RingmillError) as error:
        return str(error)
    return None


def tree_root() -> Path:
    """The project around the current directory, else the package itself."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").exists():
            return folder
    return Path(__file__).resolve().parent.parent


def digest_tree(root: Path) -> dict[str, str]:
    """URL path → SHA-256 of every file below `root` that belongs to the source tree and that we,
    and so the server, may read."""
    digests = {}
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders
            if name not in SKIPPED and not name.startswith(SKIPPED_PREFIXES)
        )
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                digests["/" + quote(os.fsencode(path.relative_to(root)))] = digest_file(path)
    return digests


def unquoted(path: str) -> str:
    return os.fsdecode(unquote_to_bytes(path.removeprefix("/")))


def shown(path: Path) -> str:
    """A path as text that every terminal takes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def digest_file(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:  # it was edited away meanwhile, or closed to us
        return str(error.strerror)


def draw(rows: list[Row]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("kernel", "client"):
        table.add_column(name, no_wrap=True)
    for name in ("files", "bytes", "req/s", "enters", "syscalls", "spliced", "wrong"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.kernel, row.client, f"{row.files:,}", human_size(row.size), f"{row.rate:,.0f}",
            decimal(row.enters), decimal(row.calls), f"{row.spliced:,}", f"{len(row.wrong):,}",
        )  # fmt: skip
    return table


def decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
