"""The README is true: its echo servers echo, its links lead somewhere, its commands exist."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.tidy_sources import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVERS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def connected(port: int, server: subprocess.Popen) -> socket.socket:
    """A connection to `server` as soon as it listens; its own words when it died instead."""
    while server.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise AssertionError(f"the server ended: {server.stderr.read()}")


def test_there_are_two_servers():
    assert len(SERVERS) == 2
    assert "async" in SERVERS[1]
    assert "async" not in SERVERS[0]


@pytest.mark.parametrize("program", SERVERS, ids=["fiber", "aio"])
def test_the_echo_servers_echo(kernel, program):
    port = free_port()
    assert "7000" in program
    with subprocess.Popen(
            [sys.executable, "-c", program.replace("7000", str(port))],
            env={**os.environ, "RINGMILL_KERNEL": kernel}, stderr=subprocess.PIPE, text=True,
    ) as server:
        try:
            with connected(port, server) as one, connected(port, server) as two:
                for sock, data in ((one, b"one" * 50000), (two, b"two"), (one, b"again")):
                    sock.sendall(data)
                    with sock.makefile("rb") as file:
                        assert file.read(len(data)) == data
                one.shutdown(socket.SHUT_WR)
                assert one.recv(1) == b""
        finally:
            server.send_signal(signal.SIGINT)
            words = server.stderr.read()
        assert server.wait() != 0
        assert words.rstrip().endswith("KeyboardInterrupt"), words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"\bmake ([a-z][\w-]*)(?=[`\s])", page.read_text(encoding="utf-8")):
        assert target in targets, f"{page.name} names `make {target}`"
