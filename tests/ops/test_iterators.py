"""Ops with many results: they end at the end, and leave nothing behind wherever one breaks off.

What happens when results come faster than they are taken is in test_iterators_full.py.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import socket
from typing import Any

import pytest

import ringmill
from ops.lab import Lab, stream
from ops.specimens import entries, specimen
from ops.trying import Attempt, Iteration, left_open, silently, until
from ringmill.ops import fields
from ringmill.ops.entry import ENTRIES
from support import faces, leaks, machines

KERNELS = machines.EVERY_KERNEL

EACH = entries(which=lambda e: e.many)
BYTES = [name for name in EACH if ENTRIES[name].outcome is fields.Pieces]


# ── ends ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", BYTES)
@pytest.mark.usefixtures("machine")
def test_until_the_end(lab: Lab, face: str, name: str) -> None:
    source, feed, end = stream(lab, name)
    each = Iteration(face, name, source)
    feed(b"first")
    assert each.next() == b"first"
    feed(b"second")
    assert each.next() == b"second"
    feed(b"third")
    end()
    assert b"".join(each.rest()) == b"third"
    for _ in range(3):
        with pytest.raises(StopIteration):
            each.next()  # the end stays the end
    each.close()


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 5 * 16384, 1_000_000])
@pytest.mark.usefixtures("machine")
def test_a_regular_file(lab: Lab, face: str, size: int) -> None:
    data = os.urandom(size)
    (lab.folder / "file").write_bytes(data)
    fd = lab.opened(lab.folder / "file")
    pieces = Iteration(face, "read_each", fd).rest()
    assert b"".join(pieces) == data
    assert all(1 <= len(piece) <= 65536 for piece in pieces)
    assert os.lseek(fd, 0, os.SEEK_CUR) == size


@pytest.mark.usefixtures("machine")
def test_a_regular_file_from_where_it_stands(lab: Lab, face: str) -> None:
    os.lseek(lab.hello, 7, os.SEEK_SET)
    each = Iteration(face, "read_each", lab.hello)
    assert each.next() == b"ring!\r\n"
    each.close()
    gc.collect()


@pytest.mark.usefixtures("machine")
def test_shutdown_ends_a_listener(lab: Lab, face: str) -> None:
    each = Iteration(face, "accept_each", lab.listening)
    lab.dial(lab.listening)
    each.next().close()
    lab.listening.shutdown(socket.SHUT_RDWR)
    with pytest.raises(OSError):
        each.next()
    with pytest.raises(StopIteration):
        each.next()


@pytest.mark.usefixtures("machine")
def test_a_reset_is_an_error_once(lab: Lab, face: str) -> None:
    listener = lab.listening
    client = lab.dial(listener)
    server = lab.enter_context(listener.accept()[0])
    each = Iteration(face, "recv_each", server)
    client.send(b"last words")
    assert each.next() == b"last words"
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    with pytest.raises(ConnectionResetError):
        each.next()
    with pytest.raises(StopIteration):
        each.next()


@pytest.mark.parametrize("name", EACH)
@pytest.mark.usefixtures("machine")
def test_close_ends_it(lab: Lab, face: str, name: str) -> None:
    scene = specimen(name).works(lab)
    positional, keywords = scene.passed(ENTRIES[name])
    each = Iteration(face, name, *positional)
    assert scene.seen(each.next()) == scene.expected
    each.close()
    each.close()
    with pytest.raises(StopIteration):
        each.next()


@pytest.mark.parametrize("name", EACH)
@pytest.mark.usefixtures("machine")
def test_close_ends_who_waits(lab: Lab, face: str, name: str) -> None:
    scene = specimen(name).blocks(lab)
    positional, _ = scene.passed(ENTRIES[name])
    each = getattr(ringmill if face == "fiber" else ringmill.aio, name)(*positional)
    ended: list[str] = []

    def fiber() -> None:
        ended.extend(["item" for _ in each] or ["nothing"])

    async def task() -> None:
        ended.extend(["item" async for _ in each] or ["nothing"])

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    ringmill.sleep(0.002)
    each.close()
    until(lambda: strand.done, "the end")
    assert ended == ["nothing"]


@pytest.mark.parametrize("name", EACH)
@pytest.mark.usefixtures("machine")
def test_closed_before_the_kernel_hears_of_it(lab: Lab, name: str) -> None:
    """The NOP that stands in for it succeeds with 0: that is no result, and no descriptor."""
    positional, _ = specimen(name).blocks(lab).passed(ENTRIES[name])
    before = leaks.open_fds()
    assert 0 in before, "a process of this suite has a stdin"
    each = getattr(ringmill.aio, name)(*positional)
    asked = anext(each)
    each.close()
    with pytest.raises(StopAsyncIteration):
        ringmill.wait(asked)
    ringmill.sleep(0)
    assert leaks.lost_fds(before) == []


@pytest.mark.parametrize("name", EACH)
def test_made_and_never_used(lab: Lab, machine: Any, face: str, name: str) -> None:
    scene = specimen(name).works(lab)
    positional, _ = scene.passed(ENTRIES[name])
    assert silently(lambda: Iteration(face, name, *positional) and None) == []
    assert machine.stats()["ops_live"] == 0
    assert Attempt(face, name, scene).ended() == ("value", scene.expected)  # nothing was taken


@pytest.mark.usefixtures("machine")
def test_context_managers(lab: Lab) -> None:
    with ringmill.accept_each(lab.knocked) as each:
        next(each).close()
    assert list(each) == []

    async def main() -> None:
        source, feed, _ = stream(lab, "recv_each")
        feed(b"x")
        async with contextlib.aclosing(ringmill.aio.recv_each(source)) as each:
            assert await anext(each) == b"x"
        assert [piece async for piece in each] == []

    ringmill.run(main())


# ── breaking off ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", EACH)
def test_break_half_way(lab: Lab, machine: Any, face: str, name: str) -> None:
    """`break`, no close(): the collector ends it, and what had come and was not taken is undone."""
    if name == "accept_each":
        peers = [lab.dial(lab.listening) for _ in range(5)]
        given: tuple[Any, ...] = (lab.listening,)
    elif name == "poll_each":
        given = (lab.pipe_in, select.POLLOUT)
    else:
        source, feed, _ = stream(lab, name)
        for _ in range(5):
            feed(b"x" * 1000)
        given = (source,)
    before = leaks.open_fds()

    def fiber() -> Any:
        for item in getattr(ringmill, name)(*given):
            return item
        raise EOFError

    async def task() -> Any:
        async for item in getattr(ringmill.aio, name)(*given):
            return item
        raise EOFError

    item = ringmill.run(fiber if face == "fiber" else task())
    if name == "accept_each":
        item.close()
    del item
    gc.collect()
    until(lambda: machine.stats()["ops_live"] == 0, "the end of the op")
    assert left_open(before) == []
    assert machine.stats()["buffers_lent"] == 0
    if name == "accept_each":
        for peer in peers:
            peer.close()


@pytest.mark.parametrize("name", BYTES)
@pytest.mark.usefixtures("machine")
def test_what_was_not_taken_from_the_kernel_is_still_there(lab: Lab, face: str, name: str) -> None:
    """After close() the stream is as good as before: what comes later goes to the next reader."""
    source, feed, end = stream(lab, name)
    each = Iteration(face, name, source)
    feed(b"one")
    assert each.next() == b"one"
    each.close()
    until(lambda: ringmill.machine().stats()["ops_live"] == 0, "the end of the op")
    feed(b"two")
    assert Iteration(face, name, source).next() == b"two"
    gc.collect()


# ── poll ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.req("U26")
@pytest.mark.usefixtures("machine")
def test_poll_each_counts(lab: Lab, face: str) -> None:
    """Each signal of an eventfd is told while somebody takes them; none after close()."""
    fd = lab.kept(os.eventfd(0))
    each = Iteration(face, "poll_each", fd, select.POLLIN)
    for _ in range(200):
        os.eventfd_write(fd, 1)
        assert each.next() == select.POLLIN
        assert os.eventfd_read(fd) == 1
    each.close()
    os.eventfd_write(fd, 1)
    ringmill.sleep(0.002)
    with pytest.raises(StopIteration):
        each.next()


@pytest.mark.req("U26")
@pytest.mark.usefixtures("machine")
def test_poll_each_tells_edges(lab: Lab, face: str) -> None:
    """What holds on and on is told once; it is told again when it comes anew."""
    source, target = lab.pipe()
    seen: list[int] = []

    def fiber() -> None:
        for mask in ringmill.poll_each(source, select.POLLIN):
            seen.append(mask)

    async def task() -> None:
        async for mask in ringmill.aio.poll_each(source, select.POLLIN):
            seen.append(mask)

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    ringmill.sleep(0.002)
    os.write(target, b"x")
    until(lambda: len(seen) == 1, "the first edge")
    for _ in range(5):
        ringmill.sleep(0.001)
    assert seen == [select.POLLIN]  # nobody reads, and nobody is told again
    os.read(source, 100)
    os.write(target, b"x")
    until(lambda: len(seen) == 2, "the second edge")
    strand.cancel()
    until(lambda: strand.done, "the end")


@pytest.mark.req("U26")
@pytest.mark.usefixtures("machine")
def test_poll_each_and_the_end(lab: Lab, face: str) -> None:
    source, target = lab.pipe()
    each = Iteration(face, "poll_each", source, select.POLLIN)
    os.write(target, b"x")
    assert each.next() == select.POLLIN
    os.close(target)
    assert each.next() & select.POLLHUP
    each.close()


@pytest.mark.req("U26")
@pytest.mark.usefixtures("machine")
def test_poll_each_hosts_a_foreign_library(lab: Lab, face: str) -> None:
    """A non-blocking socket that somebody else reads, as a database driver would."""
    ours, theirs = lab.pair()
    ours.setblocking(False)
    received = bytearray()

    def pump() -> None:
        while True:
            try:
                piece = ours.recv(7)
            except BlockingIOError:
                return
            if not piece:
                raise EOFError
            received.extend(piece)

    def fiber() -> None:
        for _ in ringmill.poll_each(ours, select.POLLIN | select.POLLRDHUP):
            pump()

    async def task() -> None:
        async for _ in ringmill.aio.poll_each(ours, select.POLLIN | select.POLLRDHUP):
            pump()

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    sent = b""
    for i in range(100):
        theirs.send(b"message %d\n" % i)
        sent += b"message %d\n" % i
        ringmill.sleep(0)
    theirs.close()
    with pytest.raises(EOFError):
        strand.join()
    assert received == sent


def test_collect_gives_the_first_ones(lab: Lab, machine: Any, face: str) -> None:
    """The helper that other tests use closes what it opened."""
    source, feed, _ = stream(lab, "recv_each")
    feed(b"x")
    assert faces.collect(face, "recv_each", 1, source) == [b"x"]
    until(lambda: machine.stats()["ops_live"] == 0, "the end of the op")
