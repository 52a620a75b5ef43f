"""A descriptor that arrives and that nobody takes is closed: however late, however it comes.

Which ops bring one is read from the table; a message may carry one as well. What is open is what
/proc says.
"""

from __future__ import annotations

import gc
import os
import socket
from typing import Any

import pytest

import ringmill
from ops import trying
from ops.lab import HELLO, Lab
from ops.specimens import Scene, Specimen, content, entries, specimen
from ops.trying import awaited, left_open, silently, submitted, until
from ringmill.errors import Cancelled
from ringmill.ops import fields
from ringmill.ops.entry import Entry
from support import leaks, machines

KERNELS = machines.EVERY_KERNEL

BRINGING = (fields.NewFd, fields.Accepted, fields.NewSocket)


def brings_fd(entry: Entry) -> bool:
    return entry.outcome in BRINGING and not entry.many


NAMES = entries(which=brings_fd)


def test_the_table_has_some() -> None:
    assert {"open", "accept", "socket"} <= set(NAMES)


# ── a message with one, which stands among them ─────────────────────────────────────────────

IN_A_MESSAGE = "recvmsg, of a descriptor"


def post(lab: Lab, sock: socket.socket) -> None:
    socket.send_fds(sock, [b"with"], [lab.hello])


def received(message: tuple[Any, ...]) -> tuple[bytes, bytes]:
    data, ((_level, _kind, rights),), _flags, _address = message
    return data, content(int.from_bytes(rights, "little"))


def a_message(lab: Lab, *, sent: bool) -> Scene:
    ours, theirs = lab.pair()
    os.lseek(lab.hello, 0, os.SEEK_SET)
    if sent:
        post(lab, theirs)
    return Scene({"sock": ours, "n": 10, "ancbufsize": socket.CMSG_SPACE(4)}, (b"with", HELLO),
                 received, lambda: post(lab, theirs))


def bringing(name: str) -> Specimen:
    if name != IN_A_MESSAGE:
        return specimen(name)
    return Specimen(lambda lab: a_message(lab, sent=True),
                    lambda lab: a_message(lab, sent=False), "it is tried elsewhere")


def started(name: str, scene: Scene) -> Any:
    return trying.started(name.split(",")[0], scene)


NAMES.append(IN_A_MESSAGE)

# ── nobody takes it ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NAMES)
def test_dropped_when_it_has_come(lab: Lab, machine: Any, name: str) -> None:
    op = started(name, bringing(name).works(lab))
    before = leaks.open_fds()
    until(lambda: op.done, "the end")
    assert len(left_open(before)) == 1

    def drop() -> None:
        nonlocal op
        op = None

    assert len(silently(drop)) == 1
    assert left_open(before) == []


@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_dropped_before_it_comes(lab: Lab, machine: Any, name: str, detached: bool) -> None:
    op = started(name, bringing(name).works(lab))
    before = leaks.open_fds()

    def drop() -> None:
        nonlocal op
        if detached:
            op.detach()
        op = None
        until(lambda: machine.stats()["ops_live"] == 0, "the end")

    assert len(silently(drop)) == (0 if detached else 1)
    assert left_open(before) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("machine")
def test_cancelled_too_late_and_not_taken(lab: Lab, name: str) -> None:
    """The cancel is asked when the fd is there; whoever asked does not look any more."""
    op = started(name, bringing(name).works(lab))
    before = leaks.open_fds()
    until(lambda: op.done, "the end")
    assert op.cancel() is False
    op.detach()
    op = None
    gc.collect()
    assert left_open(before) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.usefixtures("machine")
def test_cancelled_on_its_way(lab: Lab, name: str, turns: int) -> None:
    """The cancel meets the result somewhere between here and the kernel, and neither leaks."""
    for _ in range(10):
        scene = bringing(name).works(lab.fresh())
        before = leaks.open_fds()
        op = started(name, scene)
        for _ in range(turns):
            ringmill.sleep(0)
        op.cancel()
        op.detach()
        until(lambda op=op: op.done, "the end")
        del op
        gc.collect()
        assert left_open(before) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("machine")
def test_what_won_is_delivered(lab: Lab, face: str, name: str) -> None:
    """A result that came although a cancel was asked is the waiter's, not lost."""
    scene = bringing(name).works(lab)
    op = started(name, scene)
    submitted(op)
    op.cancel()
    try:
        assert scene.seen(awaited(face, op)) == scene.expected
    except Cancelled:
        pass
    del op


@pytest.mark.parametrize("name", [n for n in NAMES if not isinstance(bringing(n).blocks, str)])
@pytest.mark.usefixtures("machine")
def test_a_cancelled_strand_and_its_fd(lab: Lab, face: str, name: str) -> None:
    """A strand is cancelled in the very turn in which its fd comes."""
    scene = bringing(name).blocks(lab)
    attempt = trying.Attempt(face, name.split(",")[0], scene)
    attempt.waiting()
    scene.unblock()
    attempt.strand.cancel()
    assert attempt.ended() in (("value", scene.expected), ("error", "Cancelled", ""))


@pytest.mark.parametrize("name", NAMES)
def test_the_machine_is_closed_while_it_is_on_its_way(lab: Lab, kernel: str, name: str) -> None:
    scenes = [bringing(name).works(lab.fresh()) for _ in range(8)]
    machines.make(kernel).close()  # so that what a first machine opens is not counted
    before = leaks.open_fds()
    for scene in scenes:
        machine = machines.make(kernel)
        op = started(name, scene)
        submitted(op)
        op.detach()
        machine.close()
        del op
        gc.collect()
    assert left_open(before) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("machine")
def test_never_inherited(lab: Lab, name: str) -> None:
    op = started(name, bringing(name).works(lab))
    before = set(leaks.open_fds())
    until(lambda: op.done, "the end")
    (fd,) = set(leaks.open_fds()) - before
    assert os.get_inheritable(fd) is False
    op.detach()


@pytest.mark.parametrize("how", ["dropped", "closed", "strand cancelled"])
@pytest.mark.usefixtures("machine")
def test_connections_of_an_iterator_nobody_took(lab: Lab, face: str, how: str) -> None:
    """Five connections have come, one was taken: the other four are closed with the iterator."""
    listener = lab.listening
    peers = [lab.dial(listener) for _ in range(5)]
    before = leaks.open_fds()
    taken = []

    def main() -> None:
        each = ringmill.accept_each(listener)
        taken.append(next(each))
        ringmill.sleep(0.01)  # the rest arrive
        if how == "closed":
            each.close()
        elif how == "strand cancelled":
            ringmill.park()

    async def amain() -> None:
        each = ringmill.aio.accept_each(listener)
        taken.append(await anext(each))
        await ringmill.aio.sleep(0.01)
        if how == "closed":
            each.close()
        elif how == "strand cancelled":
            await ringmill.aio.park()

    strand = ringmill.spawn(main if face == "fiber" else amain())
    until(lambda: taken, "the first connection")
    ringmill.sleep(0.02)
    if how == "strand cancelled":
        strand.cancel()
    until(lambda: strand.done, "the end")
    strand = None
    taken.pop().close()
    until(lambda: (gc.collect(), left_open(before))[1] == [], "closing what nobody took")
    for peer in peers:
        peer.settimeout(10)
        assert peer.recv(1) == b""  # closed, not leaked
