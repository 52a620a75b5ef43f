"""What kind of file a descriptor stands for: no kernel waits where the other answers.

FIFOs and terminals without room for all, files of /proc and /sys, sockets that were refused or
half closed.
"""

from __future__ import annotations

import errno
import os
import pty
import select
import socket
import tty

import pytest

import ringmill
from ops.lab import Lab
from ops.specimens import Scene
from ops.trying import Attempt, Iteration
from support import faces

# ── room for a part ─────────────────────────────────────────────────────────────────────────

MUCH = bytes(range(250)) * 1200  # more than any pipe or terminal takes at once


@pytest.fixture(params=["FIFO", "terminal"])
def ends(request: pytest.FixtureRequest, lab: Lab, kernel: str) -> tuple[int, int]:
    """Where to read and where to write; both block."""
    if request.param == "terminal":
        if kernel == "linux":
            pytest.skip("Linux may itself wait for a terminal, in the thread that enters")
        outer, inner = pty.openpty()
        tty.setraw(inner)
        return lab.kept(outer), lab.kept(inner)
    reader = lab.opened(lab.fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = lab.opened(lab.fifo, os.O_WRONLY)
    os.set_blocking(reader, True)
    return reader, writer


@pytest.mark.parametrize("name", ["write", "write_all", "writev"])
@pytest.mark.usefixtures("machine")
def test_a_reader_in_the_same_program(ends: tuple[int, int], face: str, name: str) -> None:
    """Whoever writes more than there is room for does not stop the one who would make room."""
    reader, writer = ends
    given = {"fd": writer, **({"buffers": [MUCH]} if name == "writev" else {"data": MUCH})}
    attempt = Attempt(face, name, Scene(given))
    received = b""
    while attempt.outcomes == []:
        if select.select([reader], [], [], 0)[0]:  # not waited for: it may have been the last
            received += ringmill.read(reader, 1 << 16)
        ringmill.sleep(0.0001)
    kind, written = attempt.ended()
    assert kind == "value"
    if written is None:
        written = len(MUCH)
    while len(received) < written:
        received += ringmill.read(reader, 1 << 16)
    assert received == MUCH[:written]
    assert os.get_blocking(writer)


@pytest.mark.usefixtures("machine")
def test_a_timeout_where_nobody_reads(ends: tuple[int, int], face: str) -> None:
    _, writer = ends
    attempt = Attempt(face, "write_all", Scene({"fd": writer, "data": MUCH}))
    attempt.waiting()
    attempt.strand.cancel()
    assert attempt.ended()[:2] == ("error", "Cancelled")


# ── files that only look regular ────────────────────────────────────────────────────────────

# What stays as it is while a test reads it twice.
STEADY = ("/proc/self/mounts", "/proc/sys/kernel/ostype", "/proc/version", "/proc/filesystems",
          "/sys/devices/system/cpu/online")


@pytest.mark.parametrize("path", STEADY)
@pytest.mark.usefixtures("machine")
def test_proc_and_sys_are_read(lab: Lab, face: str, path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"no {path} here")
    with open(path, "rb") as file:
        text = file.read()
    fd = lab.opened(path)
    assert faces.call(face, "read", fd, 4) == text[:4]
    assert faces.call(face, "read", fd, 4, offset=2) == text[2:6]
    os.lseek(fd, 0, os.SEEK_SET)
    assert b"".join(Iteration(face, "read_each", fd).rest()) == text


@pytest.mark.parametrize("path", ["/proc/uptime", "/proc/meminfo", "/proc/self/stat"])
@pytest.mark.usefixtures("machine")
def test_proc_that_changes_has_an_end(lab: Lab, face: str, path: str) -> None:
    fd = lab.opened(path)
    pieces = Iteration(face, "read_each", fd).rest()
    assert b"".join(pieces).endswith(b"\n")
    assert os.lseek(fd, 0, os.SEEK_CUR) == sum(map(len, pieces))


# ── sockets ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("machine")
def test_a_refused_socket_connects_again(lab: Lab, face: str) -> None:
    """Until the server is up, as connect(2) on Linux allows."""
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            faces.call(face, "connect", lab.tcp, lab.bound.getsockname())
    lab.bound.listen()
    faces.call(face, "connect", lab.tcp, lab.bound.getsockname())
    with lab.bound.accept()[0] as server:
        assert server.getpeername() == lab.tcp.getsockname()
    with pytest.raises(OSError) as caught:
        faces.call(face, "connect", lab.tcp, lab.bound.getsockname())
    assert caught.value.errno == errno.EISCONN


# What is asked of a socket whose peer has shut down its side, and what is told.
HALF_CLOSED = (
    (select.POLLIN, select.POLLIN),
    (select.POLLOUT, select.POLLOUT),
    (select.POLLIN | select.POLLOUT, select.POLLIN | select.POLLOUT),
    (select.POLLIN | select.POLLRDHUP, select.POLLIN | select.POLLRDHUP),
    (select.POLLPRI, select.POLLRDHUP),  # unasked, and nothing else: Linux cannot wait on
)


@pytest.mark.parametrize(("mask", "told"), HALF_CLOSED)
@pytest.mark.usefixtures("machine")
def test_polls_of_a_half_closed_socket(lab: Lab, face: str, mask: int, told: int) -> None:
    ours, theirs = lab.pair()
    theirs.shutdown(socket.SHUT_WR)
    assert faces.call(face, "poll", ours, mask) == told
    each = Iteration(face, "poll_each", ours, mask)
    assert each.next() == told
    each.close()


@pytest.mark.usefixtures("machine")
def test_half_closed_while_it_is_polled(lab: Lab, face: str) -> None:
    ours, theirs = lab.pair()
    scene = Scene({"fd": ours, "mask": select.POLLPRI})
    attempts = [Attempt(face, name, scene) for name in ("poll", "poll_each")]
    for attempt in attempts:
        attempt.waiting()
    theirs.shutdown(socket.SHUT_WR)
    for attempt in attempts:
        assert attempt.ended() == ("value", select.POLLRDHUP)
