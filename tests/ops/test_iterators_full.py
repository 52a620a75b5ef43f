"""Ops with many results when results come faster than they are taken, or a deadline strikes.

The engine beneath is one for all of them: paused when results stand in line, armed again when the
kernel ends them, fed when buffers come back. Each of that is provoked here, and no byte is lost.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import termios
from typing import Any

import pytest

import ringmill
from ops.lab import Lab, stream
from ops.specimens import entries, specimen
from ops.trying import Iteration, step, until
from ringmill.ops import fields
from ringmill.ops.entry import ENTRIES
from support import leaks
from support.limits import no_descriptors

GROUP_BYTES = 128 * 16384  # all that a group holds at once (core/machine.pyx)
PAUSE = 64  # results in line beyond which an iterator is paused (core/each.pyx)

EACH = entries(which=lambda e: e.many)
BYTES = [name for name in EACH if ENTRIES[name].outcome is fields.Pieces]


def waiting_in(source: Any) -> int:
    """Bytes that the kernel holds for whoever reads next."""
    count = array.array("i", [0])
    fcntl.ioctl(source, termios.FIONREAD, count)
    return count[0]


# ── slow consumers ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", BYTES)
def test_a_slow_consumer_gets_everything(lab: Lab, machine: Any, face: str, name: str) -> None:
    """Hundreds of pieces come before one is taken: the op is paused, resumed, and none is lost."""
    source, feed, end = stream(lab, name)
    each = Iteration(face, name, source)
    feed(b"begin")
    assert each.next() == b"begin"
    sent = []
    for i in range(5 * PAUSE):
        sent.append(b"%06d," % i)
        feed(sent[-1])
        if i % 3 == 0:
            ringmill.sleep(0)
    ringmill.sleep(0.005)
    assert machine.stats()["buffers_lent"] <= 2 * PAUSE
    assert waiting_in(source) > 0, "it takes on and on what nobody asks for"
    received = b""
    while len(received) < len(b"".join(sent)):
        received += each.next()
    assert received == b"".join(sent)
    feed(b"and on")
    end()
    assert b"".join(each.rest()) == b"and on"
    assert machine.stats()["buffers_lent"] == 0


@pytest.mark.usefixtures("machine")
def test_connections_for_a_slow_consumer(lab: Lab, face: str) -> None:
    """More connections than may stand in line: the rest waits in the listener's backlog."""
    listener = lab.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
    count = 5 * PAUSE
    each = Iteration(face, "accept_each", listener)
    clients = [lab.dial(listener)]
    lab.enter_context(each.next())
    before = leaks.open_fds()
    for _ in range(count - 1):
        clients.append(lab.dial(listener))
        ringmill.sleep(0)
    ringmill.sleep(0.01)
    accepted = len(leaks.new_fds(before)) - (count - 1)
    assert accepted < 3 * PAUSE, "it accepts on and on what nobody takes"
    servers = [each.next() for _ in range(count - 1)]
    ports = {server.getpeername()[1] for server in servers}
    assert len(ports) == count - 1
    assert ports <= {client.getsockname()[1] for client in clients}
    for server in servers:
        server.close()
    each.close()


@pytest.mark.usefixtures("machine")
def test_out_of_descriptors(lab: Lab, face: str) -> None:
    """EMFILE is an error of the moment: the iteration goes on when there are descriptors again."""
    listener = lab.listening
    clients = [lab.dial(listener) for _ in range(3)]
    each = Iteration(face, "accept_each", listener)
    with no_descriptors(), pytest.raises(OSError, match="Too many open files"):
        each.next()
    for _ in clients:
        each.next().close()
    each.close()


# ── more than all buffers ───────────────────────────────────────────────────────────────────


def feeding(target: socket.socket, data: bytes) -> Any:
    async def feed() -> None:
        await ringmill.aio.sendall(target, data)
        target.shutdown(socket.SHUT_WR)

    return ringmill.spawn(feed())


def burst(lab: Lab) -> tuple[list[Any], list[bytes]]:
    """Streams whose data is there already, more in sum than all buffers hold: all in one turn."""
    ends, data = [], []
    while sum(map(len, data)) < 3 * GROUP_BYTES:
        ours, theirs = lab.pair()
        data.append(os.urandom(150_000))
        theirs.setblocking(False)
        data[-1] = data[-1][:theirs.send(data[-1])]
        theirs.shutdown(socket.SHUT_WR)
        ends.append(ours)
    return ends, data


def test_out_of_buffers(lab: Lab, machine: Any, face: str) -> None:
    """ENOBUFS is no error and no end: whoever starved is fed when a buffer comes back."""
    ends, data = burst(lab)
    received: dict[int, bytes] = {}

    def fiber(i: int) -> None:
        received[i] = b"".join(ringmill.recv_each(ends[i]))

    async def task(i: int) -> None:
        received[i] = b"".join([piece async for piece in ringmill.aio.recv_each(ends[i])])

    strands = [ringmill.spawn(fiber, i) if face == "fiber" else ringmill.spawn(task(i))
               for i in range(len(ends))]
    for strand in strands:
        strand.join()
    assert machine.stats()["buffers_starved"] > 0, "the test did not run out of buffers"
    assert machine.stats()["buffers_lent"] == 0
    assert [received[i] for i in range(len(data))] == data


@pytest.mark.usefixtures("machine")
def test_two_slow_readers_starve_nobody(lab: Lab, face: str) -> None:
    """Streams with much in line that nobody takes: all others get their bytes all the same."""
    slow = []
    for _ in range(4):
        ours, theirs = lab.pair()
        slow.append(Iteration(face, "recv_each", ours))
        theirs.send(b"first")
        with ringmill.timeout(5):
            assert slow[-1].next() == b"first"
        theirs.setblocking(False)
        for _ in range(3 * PAUSE):
            try:
                theirs.send(b"x" * 100)
            except BlockingIOError:
                break
            ringmill.sleep(0)
    ours, theirs = lab.pair()
    quick = Iteration(face, "recv_each", ours)
    theirs.send(b"in time")
    with ringmill.timeout(5):
        assert quick.next() == b"in time"
    quick.close()
    for each in slow:
        assert set(each.next()) == set(b"x")
        each.close()


def test_one_stream_more_than_all_buffers(lab: Lab, machine: Any, face: str) -> None:
    data = os.urandom(2 * GROUP_BYTES)
    ours, theirs = lab.pair()
    each = Iteration(face, "recv_each", ours)
    feeder = feeding(theirs, data)
    received = [each.next()]
    for _ in range(20):
        ringmill.sleep(0.001)
    received += each.rest()
    assert b"".join(received) == data
    feeder.join()


@pytest.mark.usefixtures("machine")
def test_whoever_starved_may_close(lab: Lab, face: str) -> None:
    """Who waits for a buffer is closed or cancelled: the others are fed in its place."""
    ends, data = burst(lab)
    received: dict[int, bytes] = {}

    def fiber(i: int) -> None:
        with ringmill.recv_each(ends[i]) as each:
            received[i] = next(each) if i % 3 == 0 else b"".join(each)

    async def task(i: int) -> None:
        with ringmill.aio.recv_each(ends[i]) as each:
            if i % 3 == 0:
                received[i] = await anext(each)
            else:
                received[i] = b"".join([piece async for piece in each])

    strands = [ringmill.spawn(fiber, i) if face == "fiber" else ringmill.spawn(task(i))
               for i in range(len(ends))]
    ringmill.sleep(0)
    for strand in strands[1::3]:
        strand.cancel()
    for i, strand in enumerate(strands):
        until(lambda strand=strand: strand.done, "the end of a reader")
        if i % 3 == 0:
            assert data[i].startswith(received[i])
        elif i % 3 == 2:
            assert received[i] == data[i]


@pytest.mark.usefixtures("machine")
def test_many_share_the_group(lab: Lab, face: str) -> None:
    """A hundred idle streams pin no buffer; each gets its own bytes, never another's."""
    count = 100
    pairs = [lab.pair() for _ in range(count)]
    received: dict[int, bytes] = {}

    def fiber(i: int) -> None:
        received[i] = b"".join(ringmill.recv_each(pairs[i][0]))

    async def task(i: int) -> None:
        received[i] = b"".join([piece async for piece in ringmill.aio.recv_each(pairs[i][0])])

    strands = [ringmill.spawn(fiber, i) if face == "fiber" else ringmill.spawn(task(i))
               for i in range(count)]
    ringmill.sleep(0.002)
    assert ringmill.machine().stats()["buffers_lent"] == 0
    for round_ in range(5):
        for i, (_, theirs) in enumerate(pairs):
            theirs.send(b"%d:%d;" % (i, round_))
        ringmill.sleep(0.001)
    for _, theirs in pairs:
        theirs.close()
    for strand in strands:
        strand.join()
    for i in range(count):
        assert received[i] == b"".join(b"%d:%d;" % (i, r) for r in range(5))


# ── cancels ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", BYTES)
@pytest.mark.usefixtures("machine")
def test_a_timeout_keeps_the_data(lab: Lab, face: str, name: str) -> None:
    """Deadlines strike at every moment; every byte arrives, once, in order."""
    source, feed, end = stream(lab, name)
    total = 300
    received: list[bytes] = []
    timeouts = 0

    def fiber() -> None:
        nonlocal timeouts
        each = ringmill.read_each(source) if name == "read_each" else ringmill.recv_each(source)
        while True:
            try:
                with ringmill.timeout(0.0001):
                    received.append(next(each))
            except TimeoutError:
                timeouts += 1
            except StopIteration:
                return

    async def task() -> None:
        nonlocal timeouts
        each = getattr(ringmill.aio, name)(source)
        while True:
            try:
                with ringmill.timeout(0.0001):
                    received.append(await anext(each))
            except TimeoutError:
                timeouts += 1
            except StopAsyncIteration:
                return

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    sent = b""
    for i in range(total):
        feed(b"%d," % i)
        sent += b"%d," % i
        ringmill.sleep(0.0001 if i % 7 else 0.0005)
    end()
    until(lambda: strand.done, "the end")
    assert strand.error is None
    assert b"".join(received) == sent
    assert timeouts > 0


@pytest.mark.usefixtures("machine")
def test_a_timeout_keeps_connections(lab: Lab, face: str) -> None:
    listener = lab.listening
    each = Iteration(face, "accept_each", listener)
    ports = set()
    for _ in range(40):
        ports.add(lab.dial(listener).getsockname()[1])
    accepted: set[int] = set()

    def fiber() -> None:
        while len(accepted) < 40:
            try:
                with ringmill.timeout(0):
                    with next(each.each) as sock:
                        accepted.add(sock.getpeername()[1])
                    ringmill.sleep(0)
            except TimeoutError:
                pass

    async def task() -> None:
        while len(accepted) < 40:
            try:
                with ringmill.timeout(0):
                    with await anext(each.each) as sock:
                        accepted.add(sock.getpeername()[1])
                    await ringmill.aio.sleep(0)
            except TimeoutError:
                pass

    ringmill.run(fiber if face == "fiber" else task())
    assert accepted == ports
    each.close()


@pytest.mark.parametrize("name", EACH)
@pytest.mark.usefixtures("machine")
def test_one_at_a_time(lab: Lab, face: str, name: str) -> None:
    """Two who wait for the next result: the second is refused, the first is not disturbed."""
    scene = specimen(name).blocks(lab)
    positional, _ = scene.passed(ENTRIES[name])
    each = Iteration(face, name, *positional)
    verb = (lambda: next(each.each)) if face == "fiber" else (lambda: step(each.each))
    first = ringmill.spawn(verb) if face == "fiber" else ringmill.spawn(verb())
    ringmill.sleep(0.002)
    second = ringmill.spawn(verb) if face == "fiber" else ringmill.spawn(verb())
    until(lambda: second.done, "the refusal")
    with pytest.raises(RuntimeError, match="already waiting for the next result"):
        second.join()
    scene.unblock()
    assert scene.seen(first.join()) == scene.expected
    each.close()


# ── bulk ────────────────────────────────────────────────────────────────────────────────────


def rounds(each: Iteration, feed: Any, sizes: list[int]) -> list[int]:
    """Send one message after the other, each when the one before has come; the largest pieces."""
    largest = []
    for number, size in enumerate(sizes):
        message = bytes([number % 251]) * size
        feed(message)
        received: list[bytes] = []
        while sum(map(len, received)) < size:
            received.append(each.next())
        assert b"".join(received) == message
        largest.append(max(map(len, received)))
    return largest


@pytest.mark.parametrize("name", BYTES)
def test_bulk_comes_in_large_pieces(lab: Lab, machine: Any, face: str, name: str) -> None:
    """Where piece after piece fills a buffer, larger ones are received; small talk ends that."""
    source, feed, end = stream(lab, name)
    each = Iteration(face, name, source)
    assert max(rounds(each, feed, [100] * 5)) == 100
    assert max(rounds(each, feed, [60_000] * 8)) > 16384
    assert rounds(each, feed, [100] * 20) == [100] * 20
    assert max(rounds(each, feed, [60_000] * 8)) > 16384
    end()
    assert each.rest() == []
    assert machine.stats()["buffers_lent"] == 0


@pytest.mark.parametrize("name", BYTES)
def test_bulk_stops_for_a_slow_consumer(lab: Lab, machine: Any, face: str, name: str) -> None:
    source, feed, end = stream(lab, name)
    each = Iteration(face, name, source)
    rounds(each, feed, [60_000] * 8)
    os.set_blocking(source if isinstance(source, int) else source.fileno(), True)
    sent = [bytes([number]) * 1000 for number in range(200)]
    for message in sent:
        feed(message)
        ringmill.sleep(0)
        if waiting_in(source) > 30_000:
            break
    else:
        pytest.fail("it takes on and on what nobody asks for")
    expected = b"".join(sent[: sent.index(message) + 1])
    received = b""
    while len(received) < len(expected):
        received += each.next()
    assert received == expected
    end()
    assert each.rest() == []


@pytest.mark.parametrize("name", BYTES)
def test_bulk_and_a_timeout(lab: Lab, machine: Any, name: str) -> None:
    """A deadline strikes while a receive in bulk waits: what comes later is still there."""
    source, feed, _end = stream(lab, name)
    each = Iteration("fiber", name, source)
    rounds(each, feed, [60_000] * 8)
    for _ in range(3):
        with pytest.raises(TimeoutError), ringmill.timeout(0.001):
            each.next()
        feed(b"later")
        assert each.next() == b"later"
    each.close()
    ringmill.sleep(0.001)
    assert machine.stats()["ops_live"] == 0
