"""Socket options as socket has them, on kernels whose io_uring knows all, some or none."""

from __future__ import annotations

import errno
import gc
import os
import select
import socket
import struct
import weakref
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from support import faces
from support.limits import no_descriptors

pytestmark = pytest.mark.usefixtures("machine")

SOL, TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP


def failing(face: str, name: str, *args: Any, **kw: Any) -> OSError:
    with pytest.raises(OSError) as caught:
        faces.call(face, name, *args, **kw)
    return caught.value


@pytest.mark.parametrize(("level", "name"), [
    (SOL, socket.SO_REUSEADDR), (SOL, socket.SO_KEEPALIVE), (TCP, socket.TCP_NODELAY),
    (TCP, socket.TCP_KEEPIDLE), (socket.IPPROTO_IP, socket.IP_TTL)])
def test_numbers(lab: Lab, face: str, level: int, name: int) -> None:
    sock = lab.tcp_socket()
    for value in (1, 5, True):
        assert faces.call(face, "setsockopt", sock, level, name, value) is None
        expected = sock.getsockopt(level, name)
        assert expected
        assert faces.call(face, "getsockopt", sock, level, name) == expected
        assert faces.call(face, "getsockopt", sock.fileno(), level, name) == expected


def test_bytes(lab: Lab, face: str) -> None:
    sock = lab.tcp_socket()
    linger = struct.pack("ii", 1, 7)
    faces.call(face, "setsockopt", sock, SOL, socket.SO_LINGER, linger)
    assert sock.getsockopt(SOL, socket.SO_LINGER, 8) == linger
    assert faces.call(face, "getsockopt", sock, SOL, socket.SO_LINGER, 8) == linger
    assert faces.call(face, "getsockopt", sock, SOL, socket.SO_LINGER, 100) == linger
    assert faces.call(face, "getsockopt", sock, SOL, socket.SO_LINGER, 4) == linger[:4]
    assert faces.call(face, "getsockopt", sock, SOL, socket.SO_LINGER, 0) == b""
    faces.call(face, "setsockopt", sock, SOL, socket.SO_RCVTIMEO, struct.pack("ll", 3, 0))
    got = faces.call(face, "getsockopt", sock, SOL, socket.SO_RCVTIMEO, 16)
    assert got == struct.pack("ll", 3, 0)


def test_of_a_connection(lab: Lab, face: str) -> None:
    """TCP_INFO is long, and of a level that io_uring does not get."""
    listener = lab.listener()
    sock = lab.dial(listener)
    info = faces.call(face, "getsockopt", sock, TCP, socket.TCP_INFO, 1024)
    assert len(info) == len(sock.getsockopt(TCP, socket.TCP_INFO, 1024))
    assert info[0] == 1  # TCP_ESTABLISHED
    congestion = faces.call(face, "getsockopt", sock, TCP, socket.TCP_CONGESTION, 16)
    assert congestion == sock.getsockopt(TCP, socket.TCP_CONGESTION, 16)
    faces.call(face, "setsockopt", sock, TCP, socket.TCP_CONGESTION, b"reno")
    assert sock.getsockopt(TCP, socket.TCP_CONGESTION, 16).startswith(b"reno\0")
    credentials = faces.call(face, "getsockopt", lab.left, SOL, socket.SO_PEERCRED, 12)
    assert struct.unpack("3i", credentials)[0] == os.getpid()


@pytest.mark.parametrize("name", ["getsockopt", "setsockopt"])
def test_what_is_refused(lab: Lab, face: str, name: str) -> None:
    """As socket tells it, whichever kernel it came from."""
    more = (1,) if name == "setsockopt" else ()
    assert failing(face, name, lab.tcp, SOL, 9999, *more).errno == errno.ENOPROTOOPT
    assert failing(face, name, lab.tcp, TCP, 9999, *more).errno == errno.ENOPROTOOPT
    for other in (lab.pipe_out, lab.hello):
        assert failing(face, name, other, SOL, socket.SO_TYPE, *more).errno == errno.ENOTSOCK
    assert failing(face, name, lab.closed(), SOL, socket.SO_TYPE, *more).errno == errno.EBADF
    with pytest.raises(OSError) as theirs:
        lab.left.setsockopt(TCP, socket.TCP_NODELAY, 1)
    assert failing(face, name, lab.left, TCP, socket.TCP_NODELAY,
                   *more).errno == theirs.value.errno
    for bad in (1 << 31, -(1 << 31) - 1):
        with pytest.raises(OverflowError):
            faces.call(face, name, lab.tcp, bad, socket.SO_TYPE, *more)


def test_values_that_are_none(lab: Lab, face: str) -> None:
    name = socket.SO_KEEPALIVE
    for bad, error in ((1.5, TypeError), ("1", TypeError), (None, TypeError),
                       (1 << 31, OverflowError), (memoryview(bytes(8))[::2], BufferError)):
        with pytest.raises(error):
            faces.call(face, "setsockopt", lab.tcp, SOL, name, bad)
    with pytest.raises(TypeError):
        faces.call(face, "setsockopt", lab.tcp, SOL, name, 1, 4)
    with pytest.raises(ValueError, match="0 or more"):
        faces.call(face, "setsockopt", lab.tcp, SOL, name, None, -1)
    # Nothing but a length: the kernel says what it thinks of it.
    assert failing(face, "setsockopt", lab.tcp, SOL, name, None, 4).errno == errno.EFAULT
    assert failing(face, "setsockopt", lab.tcp, SOL, name, b"").errno == errno.EINVAL
    assert lab.tcp.getsockopt(SOL, name) == 0


def test_many_in_a_row(lab: Lab, machine: Any) -> None:
    """Those that both kernels have to be asked for, in flight together."""
    async def main() -> None:
        ops = [ringmill.aio.getsockopt(lab.tcp, TCP, socket.TCP_MAXSEG) for _ in range(500)]
        assert {await op for op in ops} == {lab.tcp.getsockopt(TCP, socket.TCP_MAXSEG)}

    ringmill.run(main())
    assert machine.stats()["ops_live"] == 0


def test_cancelled_between_the_kernels(lab: Lab, machine: Any) -> None:
    for i in range(50):
        op = ringmill.aio.getsockopt(lab.tcp, TCP, socket.TCP_MAXSEG)
        if i % 2:
            ringmill.sleep(0)
        op.cancel()
        try:
            assert ringmill.wait(op) == lab.tcp.getsockopt(TCP, socket.TCP_MAXSEG)
        except ringmill.Cancelled:
            pass
    assert machine.stats()["ops_live"] == 0


def test_the_socket_stays(lab: Lab) -> None:
    """The op keeps the object: a socket that nobody else holds is not closed meanwhile."""

    class Holder:
        def fileno(self) -> int:
            return lab.tcp.fileno()

    holder = Holder()
    gone = weakref.ref(holder)
    op = ringmill.aio.getsockopt(holder, TCP, socket.TCP_MAXSEG)
    del holder
    gc.collect()
    assert gone() is not None
    assert ringmill.wait(op) > 0
    del op
    gc.collect()
    assert gone() is None


# ── epoll ───────────────────────────────────────────────────────────────────────────────────


def test_epoll_tells_what_is_ready(lab: Lab, face: str) -> None:
    pipes = [lab.pipe(holding=b"x" if i % 2 else b"") for i in range(10)]
    epoll = lab.epoll(*(source for source, _ in pipes))
    ready = {source for i, (source, _) in enumerate(pipes) if i % 2}
    found = faces.call(face, "epoll_wait", epoll)
    assert dict(found) == dict.fromkeys(ready, select.EPOLLIN)
    assert sorted(found) == sorted(epoll.poll(0))
    assert len(faces.call(face, "epoll_wait", epoll, 3)) == 3
    assert len(faces.call(face, "epoll_wait", epoll.fileno(), maxevents=1)) == 1


def test_epoll_in_turn(lab: Lab, face: str) -> None:
    """More are ready than asked for: each comes once before the first comes again."""
    pipes = [lab.pipe(holding=b"x") for _ in range(6)]
    epoll = lab.epoll(*(source for source, _ in pipes))
    seen = [fd for _ in range(3) for fd, _ in faces.call(face, "epoll_wait", epoll, 2)]
    assert sorted(seen) == sorted(source for source, _ in pipes)


def test_an_edge_comes_once(lab: Lab, face: str) -> None:
    source, target = lab.pipe(holding=b"x")
    epoll = lab.epoll(source, events=select.EPOLLIN | select.EPOLLET)
    assert faces.call(face, "epoll_wait", epoll) == [(source, select.EPOLLIN)]
    with pytest.raises(TimeoutError), ringmill.timeout(0.005):
        ringmill.epoll_wait(epoll)
    os.write(target, b"y")
    assert faces.call(face, "epoll_wait", epoll) == [(source, select.EPOLLIN)]


# ── pipes ───────────────────────────────────────────────────────────────────────────────────


def test_a_pipe(lab: Lab, face: str) -> None:
    reader, writer = map(lab.kept, faces.call(face, "pipe"))
    for fd in (reader, writer):
        assert not os.get_inheritable(fd)
        assert os.get_blocking(fd)
    assert faces.call(face, "write", writer, b"through") == 7
    assert faces.call(face, "read", reader, 100) == b"through"
    reader, writer = map(lab.kept, faces.call(face, "pipe", flags=os.O_NONBLOCK))
    assert not os.get_blocking(reader)


def test_a_pipe_nobody_takes(lab: Lab, machine: Any) -> None:
    """Both its ends are closed; the fixture sees to it that nothing is left open."""
    for i in range(40):
        op = ringmill.aio.pipe()
        op.detach()
        if i % 2:
            ringmill.sleep(0)
        op.cancel()
        del op
    ringmill.sleep(0.005)
    assert machine.stats()["ops_live"] == 0


def test_no_descriptors_left(lab: Lab, face: str) -> None:
    faces.call(face, "nop")
    with no_descriptors():
        error = failing(face, "pipe")
    assert error.errno == errno.EMFILE
