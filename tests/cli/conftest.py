"""A tree worth serving, and a server for it on each kernel, shared by the tests of a module."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.talk import BIG
from ringmill.cli.demo import KERNELS, refused
from ringmill.cli.served import ServedDirectory


@pytest.fixture(scope="session", params=KERNELS)
def kernel_name(request: pytest.FixtureRequest) -> str:
    """Each kernel by name, as `kernel`, but for servers that outlive one test."""
    name: str = request.param
    if (reason := refused(name)) is not None:
        pytest.skip(f"kernel {name}: {reason}")
    return name


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every kind that a client may ask for, and some that it must not get."""
    top = tmp_path_factory.mktemp("served")
    (top / "secret").write_text("not to be seen")
    (top / "secrets").mkdir()
    (top / "secrets" / "key").write_text("not to be seen")
    root = top / "root"
    root.mkdir()
    (root / "hello.txt").write_text("hello\n")
    (root / "empty").touch()
    (root / "big").write_bytes(random.Random(7).randbytes(BIG))
    (root / "middle").write_bytes(random.Random(8).randbytes(100_000))
    (root / "a b & <c>.html").write_text("<p>")
    (root / "ü.txt").write_text("umlaut")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff")).write_text("not UTF-8")
    (root / "sub").mkdir()
    (root / "sub" / "deep.txt").write_text("deep")
    (root / "home").mkdir()
    (root / "home" / "index.html").write_text("<h1>home</h1>")
    (root / "inside").symlink_to("sub/deep.txt")
    (root / "inside_dir").symlink_to("sub")
    (root / "outside").symlink_to("../secret")
    (root / "outside_dir").symlink_to("../secrets")
    (root / "etc").symlink_to("/etc")
    (root / "dangling").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "fifo")
    # Old enough for a strong tag.
    for folder, _, names in os.walk(root):
        for name in names:
            os.utime(os.path.join(folder, name), (1.6e9, 1.6e9), follow_symlinks=False)
    return root


@pytest.fixture(scope="module")
def server(kernel_name: str, tree: Path) -> Iterator[ServedDirectory]:
    """One server for all tests of a module; it has to survive each of them and end well."""
    with ServedDirectory(
        str(tree), "--kernel", kernel_name, "--port", "0", "--no-access-log"
    ) as server:
        yield server
    assert server.stats["open"] == 0
    assert len(server.words) == 2, f"more than hello and goodbye: {server.words}"
