"""What an op works on is not closed under it: it holds the socket or file object until its end.

A socket that nobody else refers to closes its descriptor; the number is soon somebody else's, and
the op would read or write there.
"""

from __future__ import annotations

import gc
import os
import socket
import weakref
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ops.specimens import Scene, can_wait, specimen
from ops.trying import Iteration, awaited, started, submitted, until
from ringmill.ops import fields
from ringmill.ops.entry import ENTRIES
from support import machines

KERNELS = machines.EVERY_KERNEL

FD_KINDS = (fields.Fd, fields.SpliceFd)  # not ClosingFd: close() takes it away
WITH_FD = [(name, argument.name) for name, entry in ENTRIES.items()
           for argument in entry.arguments if argument.kind in FD_KINDS]
OPS = [(name, argument) for name, argument in WITH_FD if not ENTRIES[name].many]
WAITING = [(name, argument) for name, argument in OPS if can_wait(ENTRIES[name])]
EACH = [(name, argument) for name, argument in WITH_FD if ENTRIES[name].many]


class OwnFd:
    """Closes its descriptor when nobody refers to it any more, as files and sockets do."""

    def __init__(self, good: Any) -> None:
        self.fd = os.dup(good if isinstance(good, int) else good.fileno())

    def fileno(self) -> int:
        return self.fd

    def __del__(self) -> None:
        os.close(self.fd)


class OwnSocket(socket.socket):
    """The same, and a socket: closed without a warning."""

    def __del__(self) -> None:
        self.close()


def own(good: Any) -> Any:
    if isinstance(good, socket.socket):
        return OwnSocket(good.family, good.type, good.proto, os.dup(good.fileno()))
    return OwnFd(good)


def on_its_own(lab: Lab, name: str, argument: str) -> tuple[Scene, weakref.ref[Any]]:
    """A scene whose `argument` nobody else refers to, and a look at whether it lives."""
    scene = specimen(name).works(lab)
    scene.arguments[argument] = own(scene.arguments[argument])
    return scene, weakref.ref(scene.arguments[argument])


@pytest.mark.req("T12")
@pytest.mark.parametrize(("name", "argument"), OPS)
@pytest.mark.usefixtures("machine")
def test_until_its_end(lab: Lab, face: str, name: str, argument: str) -> None:
    """Dropped while the op is still in the queue: it does what it was to do, and then lets go."""
    scene, held = on_its_own(lab, name, argument)
    op = started(name, scene)
    del scene.arguments[argument]
    gc.collect()
    assert held() is not None
    assert scene.seen(awaited(face, op)) == scene.expected
    del op
    assert held() is None


@pytest.mark.req("T12")
@pytest.mark.parametrize(("name", "argument"), WAITING)
@pytest.mark.usefixtures("machine")
def test_while_it_waits(lab: Lab, name: str, argument: str) -> None:
    """In the kernel's hands: held, also when the op is detached; a cancel ends that."""
    scene = specimen(name).blocks(lab)
    scene.arguments[argument] = own(scene.arguments[argument])
    held = weakref.ref(scene.arguments[argument])
    op = started(name, scene)
    op.detach()
    submitted(op)
    del scene.arguments[argument]
    gc.collect()
    assert held() is not None
    op.cancel()
    del op
    until(lambda: held() is None, "the end")


@pytest.mark.req("T12")
@pytest.mark.usefixtures("machine")
def test_what_is_sent_and_forgotten_arrives(lab: Lab) -> None:
    """More than the socket has room for: the rest goes to the same peer, to the last byte."""
    pair, theirs = lab.pair()
    ours = own(pair)
    pair.close()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    data = os.urandom(300_000)
    ringmill.aio.sendall(ours, data).detach()
    del ours
    gc.collect()
    strangers = [lab.pair() for _ in range(3)]  # one of them would have got the number
    received = bytearray()
    while piece := ringmill.recv(theirs, 1 << 16):
        received += piece
    assert received == data  # and then the end: it was let go of
    for _, peer in strangers:
        with pytest.raises(BlockingIOError):
            peer.recv(1, socket.MSG_DONTWAIT)


@pytest.mark.req("T12")
@pytest.mark.parametrize(("name", "argument"), EACH)
@pytest.mark.usefixtures("machine")
def test_an_iteration_holds_it(lab: Lab, face: str, name: str, argument: str) -> None:
    """Begun with what nobody else refers to, as in `for data in recv_each(tcp_connect(…))`."""
    scene, held = on_its_own(lab, name, argument)
    positional, _ = scene.passed(ENTRIES[name])
    each = Iteration(face, name, *positional)
    del positional, scene.arguments[argument]
    gc.collect()
    assert scene.seen(each.next()) == scene.expected
    assert held() is not None
    each.close()
    del each
    gc.collect()
    until(lambda: held() is None, "the end of the op")
