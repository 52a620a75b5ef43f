"""Sends without a copy: the same results as with one, memory held until the notification, and the
truth about whether the kernel copied after all."""

from __future__ import annotations

import errno
import gc
import os
import socket
import struct
import threading

import pytest

import ringmill
from ops.lab import Lab
from ops.specimens import Scene, specimen
from ops.trying import started, submitted, tried, until
from ringmill import aio
from ringmill.errors import Cancelled
from support.faces import call
from support.lie import Liar, ring_fds

SENDS = ("send", "sendall", "sendmsg")
MORE, NOTIF = 1 << 1, 1 << 3  # IORING_CQE_F_*
ZC_COPIED = 1 << 31
FIRST = 1 << 32  # user_data of the first op of a machine: generation 1, slot 0
MIB = 1 << 20


def asking(scene: Scene) -> Scene:
    """The same, without a copy."""
    return Scene({**scene.arguments, "zero_copy": True}, scene.expected, scene.seen,
                 scene.unblock)


def full(sock):
    """Put as much into `sock` as goes, so that the next send waits."""
    sock.setblocking(False)
    try:
        while True:
            sock.send(bytes(1 << 16))
    except BlockingIOError:
        sock.setblocking(True)


def drained(sock, wanted):
    """All that comes, in a thread: bytes, when it has ended."""
    parts = []

    def take():
        while part := sock.recv(1 << 18):
            parts.append(part)

    thread = threading.Thread(target=take)
    thread.start()

    def join():
        thread.join()
        return b"".join(parts)[-wanted:]

    return join


def is_held(buffer):
    try:
        buffer.append(0)
    except BufferError:
        return True
    buffer.pop()
    return False


@pytest.mark.req("T4")
@pytest.mark.parametrize("name", SENDS)
@pytest.mark.parametrize("masked", ["", "send_zc", "sendmsg_zc", "send_zc,sendmsg_zc,send"])
def test_the_same_result_where_it_is_refused(kernel, lab: Lab, face, name, masked, monkeypatch):
    """A unix socket, a kernel that lacks the opcode."""
    monkeypatch.setenv("RINGMILL_DISABLE", masked)
    with ringmill.Machine(kernel=kernel):
        scene = specimen(name).works(lab)
        assert tried(face, name, asking(scene)) == ("value", scene.expected)
        failure = specimen(name).fails(lab)
        kind, *told = tried(face, name, asking(Scene(failure.arguments)))
        assert (kind, told[1]) == ("error", failure.number)


@pytest.mark.req("T3", "T4")
@pytest.mark.parametrize("name", SENDS)
@pytest.mark.parametrize("size", [0, 1, 4096, 3 * MIB])
def test_over_tcp(machine, face, tcp, name, size):
    data = os.urandom(size)
    join = drained(tcp[1], size or 1)
    given = [data[:100], data[100:]] if name == "sendmsg" else data
    sent = 0
    while sent < size or sent == 0:
        count = call(face, name, tcp[0], given, zero_copy=True)
        sent += size if count is None else count
        if name == "send":
            given = data[sent:]
        elif name == "sendmsg":
            given = [data[sent:]]
        if size == 0:
            break
    tcp[0].shutdown(socket.SHUT_WR)
    assert sent == size
    assert join() == data


@pytest.mark.req("T3")
@pytest.mark.parametrize("name", SENDS)
def test_the_loopback_copies_and_that_is_told(machine, tcp, name):
    """Pitfall 17: report it, do not pretend. The copying kinds do not claim anything."""
    data = [b"x" * 5000] if name == "sendmsg" else b"x" * 5000

    async def main():
        op = getattr(aio, name)(tcp[0], data, zero_copy=True)
        assert op.copied is None
        assert await op in (None, 5000)
        plain = getattr(aio, name)(tcp[0], data)
        await plain
        return op.copied, plain.copied

    assert ringmill.run(main()) == (True, None)
    assert machine.stats()["zero_copy_sends"] == 1
    assert machine.stats()["zero_copy_copied"] == 1


def test_never_the_default(machine, tcp):
    ringmill.sendall(tcp[0], bytes(MIB // 8))
    assert machine.stats()["zero_copy_sends"] == 0


@pytest.mark.req("T7")
@pytest.mark.parametrize("name", SENDS)
def test_a_cancel_of_one_that_waits(machine, lab, name):
    """For room: the buffer is let go of with the last completion, and nothing is left."""
    scene = asking(specimen(name).blocks(lab))
    ours = scene.arguments["sock"]
    op = started(name, scene)
    submitted(op)
    assert op.cancel()
    with pytest.raises(Cancelled):
        ringmill.wait(op)
    assert machine.stats()["views_held"] == 0
    assert ours.fileno() >= 0


@pytest.mark.req("T7")
@pytest.mark.parametrize("name", SENDS)
def test_cancelled_over_tcp(machine, tcp, name):
    full(tcp[0])
    buffer = bytearray(b"never sent")
    op = getattr(aio, name)(tcp[0], [buffer] if name == "sendmsg" else buffer, zero_copy=True)
    submitted(op)
    assert is_held(buffer)
    op.cancel()
    with pytest.raises(Cancelled):
        ringmill.wait(op)
    assert not is_held(buffer)


def test_dropped_while_it_waits(machine, tcp):
    full(tcp[0])
    buffer = bytearray(b"dropped")
    op = aio.send(tcp[0], buffer, zero_copy=True)
    submitted(op)
    op.detach()
    del op
    gc.collect()
    assert is_held(buffer)
    tcp[1].close()
    until(lambda: machine.stats()["ops_live"] == 0, "the end of the send")
    assert not is_held(buffer)


def test_closed_with_one_that_waits(kernel, tcp):
    full(tcp[0])
    buffer = bytearray(b"the machine goes first")
    with ringmill.Machine(kernel=kernel):
        op = aio.send(tcp[0], buffer, zero_copy=True)
        submitted(op)
    assert op.done
    assert not is_held(buffer)


@pytest.mark.parametrize("name", SENDS)
def test_a_peer_that_resets(machine, tcp, face, name):
    ours, theirs = tcp
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    data = bytes(MIB)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        for _ in range(4):
            call(face, name, ours, [data] if name == "sendmsg" else data, zero_copy=True)
    assert machine.stats()["views_held"] == 0


# ── the two completions, told apart: a kernel that says them when we want ──

@pytest.fixture
def pending(tcp):
    """A send that waits, and somebody who can speak for its kernel."""
    try:
        machine = ringmill.Machine(kernel="linux")
    except OSError as error:
        pytest.skip(f"kernel linux: {error}")
    liar = Liar(ring_fds()[0])
    full(tcp[0])
    buffer = bytearray(b"0123456789")
    op = aio.send(tcp[0], buffer, zero_copy=True)
    submitted(op)
    yield machine, op, buffer, lambda res, flags: liar.tell(FIRST, res, flags)
    liar.close()
    machine.close()


@pytest.mark.req("T3", "T7")
@pytest.mark.parametrize(("usage", "copied"), [(0, False), (ZC_COPIED, True)])
def test_done_at_the_notification_not_before(pending, usage, copied):
    machine, op, buffer, tell = pending
    tell(7, MORE)
    ringmill.nop()
    assert not op.done
    assert is_held(buffer)
    tell(usage, NOTIF)
    ringmill.nop()
    assert op.done
    assert not is_held(buffer)
    assert ringmill.wait(op) == 7
    assert op.copied is copied


def test_closed_between_the_two(pending):
    """The result is not forgotten."""
    machine, op, buffer, tell = pending
    tell(7, MORE)
    ringmill.nop()
    machine.close()
    assert op.result() == 7
    assert not is_held(buffer)


@pytest.mark.parametrize("refusal", ["EINVAL", "EOPNOTSUPP", "ENOMEM", "ENOBUFS"])
def test_refused_after_a_notification(pending, refusal):
    """An error that comes in two parts is a refusal like any other: sent with a copy, then."""
    machine, op, buffer, tell = pending
    tell(-getattr(errno, refusal), MORE)
    tell(0, NOTIF)
    ringmill.nop()
    assert not op.done  # asked again, and waits for room
    assert is_held(buffer)
