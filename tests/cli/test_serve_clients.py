"""Other people's clients: what they fetch is what is there. Each skipped where it is not installed.

And the crowd: ten thousand connections at 1,024 descriptors.
"""

from __future__ import annotations

import filecmp
import re
import resource
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from cli.talk import PATIENCE_S, dial, get
from ringmill.cli.served import ServedDirectory

CROWD = 10_000
FILES = 1024  # descriptors that the server has


def client(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """`name` with these words, without proxies; skips where there is none."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return subprocess.run([name, *map(str, words)], capture_output=True, text=True,
                          timeout=PATIENCE_S, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})


def test_curl(server: ServedDirectory, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for words, code, body in (
        ((), "200", (tree / "big").read_bytes()),
        (("-r", "100-199"), "206", (tree / "big").read_bytes()[100:200]),
        (("-r", "-7"), "206", (tree / "big").read_bytes()[-7:]),
        (("-I",), "200", None),
        (("-H", "If-None-Match: *"), "304", b""),
        (("-X", "DELETE"), "405", None),
        (("--http1.0",), "200", (tree / "big").read_bytes()),
    ):
        out.write_bytes(b"")
        done = client("curl", "-qsS", "-o", out, "-w", "%{http_code}", *words, server.url + "big")
        assert (done.returncode, done.stdout) == (0, code), (words, done.stderr)
        assert body is None or out.read_bytes() == body, words


def test_curl_on_one_connection(server: ServedDirectory) -> None:
    urls = [server.url + "hello.txt"] * 20
    done = client("curl", "-qsSv", *urls)
    assert done.stdout == "hello\n" * 20
    assert len(re.findall(r"Connected to|Established", done.stderr)) == 1, done.stderr


def test_wget(server: ServedDirectory, tree: Path, tmp_path: Path) -> None:
    """The whole of a folder by its listings; and the rest of a file that was half there."""
    done = client("wget", "-q", "-r", "-np", "-nH", "-P", tmp_path, server.url + "sub/")
    assert done.returncode == 0, done.stderr
    assert filecmp.cmp(tmp_path / "sub" / "deep.txt", tree / "sub" / "deep.txt", shallow=False)
    half = tmp_path / "middle"
    half.write_bytes((tree / "middle").read_bytes()[:40_000])
    done = client("wget", "-q", "-c", "-O", half, server.url + "middle")
    assert done.returncode == 0, done.stderr
    assert half.read_bytes() == (tree / "middle").read_bytes()


@pytest.mark.parametrize("words", [(), ("-k",)], ids=["close", "keep"])
def test_ab(server: ServedDirectory, words: tuple[str, ...]) -> None:
    done = client("ab", "-q", "-n", "600", "-c", "30", *words, server.url + "hello.txt")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Complete requests: +600\b", done.stdout), done.stdout
    assert re.search(r"Failed requests: +0\b", done.stdout), done.stdout
    assert "Non-2xx" not in done.stdout
    assert re.search(r"HTML transferred: +3600 bytes", done.stdout), done.stdout


def test_h2load(server: ServedDirectory) -> None:
    done = client("h2load", "--h1", "-n", "1000", "-c", "30", server.url + "hello.txt")
    assert done.returncode == 0, done.stderr
    assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert "1000 2xx, 0 3xx, 0 4xx, 0 5xx" in done.stdout, done.stdout


@pytest.fixture
def _room_for_a_crowd() -> object:
    """Descriptors for its ends in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CROWD + FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} descriptors are allowed here; {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_room_for_a_crowd")
def test_ten_thousand_connections(kernel_name: str, tree: Path) -> None:
    """They say nothing, or half a word; who asks is answered all the while, whole."""
    with ServedDirectory(
        str(tree), "--kernel", kernel_name, "--port", "0", "--no-access-log",
        wrapper=("sh", "-c", f'ulimit -n {FILES}; exec "$@"', "sh"),
    ) as server:  # fmt: skip
        crowd: list[socket.socket] = []
        try:
            for number in range(CROWD):
                crowd.append(dial(server))
                if number % 3 == 0:
                    crowd[-1].send(b"GET /hel")
                if number % 1000 == 999:
                    assert get(server, "/hello.txt").body == b"hello\n"
            assert get(server, "/big").body == (tree / "big").read_bytes()
        finally:
            for sock in crowd:
                sock.close()
        assert get(server, "/hello.txt").body == b"hello\n"
    assert server.stats["open"] == 0
    assert server.stats["evicted"] >= CROWD - FILES
