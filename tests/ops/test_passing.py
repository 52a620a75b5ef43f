"""send_fds and recv_fds: descriptors arrive as copies, not inherited, and none is ever lost."""

from __future__ import annotations

import os
import resource
import socket
from typing import Any

import pytest

import ringmill
from ops.lab import HELLO, Lab, drain
from ops.trying import until
from ringmill import aio
from support import faces, leaks, programs
from support.limits import limited

SO_PASSPIDFD = 76  # 6.5
SCM_PIDFD = 4


def content(fds: list[int]) -> list[bytes]:
    found = [os.pread(fd, 100, 0) for fd in fds]
    for fd in fds:
        assert not os.get_inheritable(fd)
        os.close(fd)
    return found


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 253])
def test_as_many_as_a_message_takes(lab: Lab, face: str, count: int) -> None:
    ours, theirs = lab.pair()
    assert faces.call(face, "send_fds", ours, [b"some ", b"files"], [lab.hello] * count) == 10
    data, fds, flags, address = faces.call(face, "recv_fds", theirs, 100, 253)
    assert (data, flags, address) == (b"some files", 0, None)
    assert content(fds) == [HELLO] * count


@pytest.mark.usefixtures("machine")
def test_one_more_than_the_kernel_takes(lab: Lab, face: str) -> None:
    with pytest.raises(OSError):
        faces.call(face, "send_fds", lab.left, [b"x"], [lab.hello] * 254)


@pytest.mark.usefixtures("machine")
def test_the_standard_library_understands(lab: Lab, face: str) -> None:
    ours, theirs = lab.pair()
    faces.call(face, "send_fds", ours, [b"x"], [lab.hello, lab.hello])
    data, fds, _, _ = socket.recv_fds(theirs, 10, 2)
    assert (data, len(fds)) == (b"x", 2)
    for fd in fds:
        os.close(fd)
    socket.send_fds(theirs, [b"y"], [lab.hello])
    data, fds, _, _ = faces.call(face, "recv_fds", ours, 10, 1)
    assert (data, content(fds)) == (b"y", [HELLO])


class Owner:
    """Closes its descriptor when nobody refers to it, without complaint."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def fileno(self) -> int:
        return self.fd

    def __del__(self) -> None:
        os.close(self.fd)


@pytest.mark.usefixtures("machine")
def test_objects_are_sent_and_kept(lab: Lab) -> None:
    """Whoever has a fileno() may be sent; it lives until it is, whoever lets go of it."""
    ours, theirs = lab.pair(full=True)
    file = Owner(os.dup(lab.hello))
    op = aio.send_fds(ours, [b"x"], [file])
    del file
    ringmill.sleep(0.002)
    assert not op.done
    drain(theirs.fileno())
    assert ringmill.wait(op) == 1
    data, fds, _, _ = ringmill.recv_fds(theirs, 10, 1)
    assert (data, content(fds)) == (b"x", [HELLO])


@pytest.mark.usefixtures("machine")
def test_a_datagram_needs_no_data_a_stream_does(lab: Lab, face: str) -> None:
    ours, theirs = lab.pair()
    for nothing in ([], [b""], [b"", b""]):
        with pytest.raises(ValueError, match="at least one byte"):
            faces.call(face, "send_fds", ours, nothing, [lab.hello])
    sender, receiver = lab.datagrams(socket.AF_UNIX), lab.datagrams(socket.AF_UNIX)
    name = receiver.getsockname()
    assert faces.call(face, "send_fds", sender, [], [lab.hello], address=name) == 0
    data, fds, flags, address = faces.call(face, "recv_fds", receiver, 10, 1)
    assert (data, content(fds), flags, address) == (b"", [HELLO], 0, sender.getsockname())


# ── none is lost ────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("room", [0, 1, 2])
def test_those_without_room_are_closed_and_told(lab: Lab, face: str, room: int) -> None:
    ours, theirs = lab.pair()
    assert lab.hello  # opened before the others are counted
    before = leaks.open_fds()
    socket.send_fds(theirs, [b"x"], [lab.hello] * 5)
    data, fds, flags, _ = faces.call(face, "recv_fds", ours, 10, room)
    assert (data, len(fds)) == (b"x", room)
    assert flags & socket.MSG_CTRUNC
    for fd in fds:
        os.close(fd)
    assert leaks.new_fds(before) == []


@pytest.mark.usefixtures("machine")
def test_no_place_in_the_process(lab: Lab, face: str) -> None:
    """EMFILE half-way: those that found a place arrive, the rest is told."""
    ours, theirs = lab.pair()
    socket.send_fds(theirs, [b"x"], [lab.hello] * 5)
    highest = max(leaks.open_fds())
    taken = [os.dup(lab.hello)]
    while taken[-1] < highest:  # fill the gaps
        taken.append(os.dup(lab.hello))
    try:
        with limited(resource.RLIMIT_NOFILE, taken[-1] + 3):
            data, fds, flags, _ = faces.call(face, "recv_fds", ours, 10, 5)
    finally:
        for fd in taken:
            os.close(fd)
    assert (data, len(fds)) == (b"x", 2)
    assert flags & socket.MSG_CTRUNC
    assert content(fds) == [HELLO] * 2


@pytest.mark.parametrize("verb", ["recv_fds", "recvmsg", "recvmsg_into", "recvfrom",
                                  "recvfrom_into"])
def test_dropped_messages_close_what_they_brought(lab: Lab, machine: Any, verb: str) -> None:
    given = {"recv_fds": (10, 3), "recvmsg": (10, 100), "recvmsg_into": ([bytearray(10)], 100),
             "recvfrom": (10,), "recvfrom_into": (bytearray(10),)}[verb]
    ours, theirs = lab.pair()
    assert lab.hello  # opened before the others are counted
    before = leaks.open_fds()
    op = getattr(aio, verb)(ours, *given)
    socket.send_fds(theirs, [b"x"], [lab.hello] * 3)
    until(lambda: op.done, "the message")
    arrived = 0 if verb.startswith("recvfrom") else 3
    assert len(leaks.new_fds(before)) == arrived
    op.detach()
    op = None
    assert leaks.new_fds(before) == []


def test_cancelled_at_every_point(lab: Lab, machine: Any) -> None:
    """Either it was in time, and the message is there for the next; or the descriptors come."""
    ours, theirs = lab.pair()
    assert lab.hello  # opened before the others are counted
    before = leaks.open_fds()
    outcomes = set()
    for turns in range(6):
        for early in (False, True):
            op = aio.recv_fds(ours, 10, 2)
            for _ in range(turns):
                ringmill.sleep(0)
            if early:
                socket.send_fds(theirs, [b"x"], [lab.hello] * 2)
            op.cancel()
            if not early:
                socket.send_fds(theirs, [b"x"], [lab.hello] * 2)
            try:
                _, fds, _, _ = ringmill.wait(op)
            except ringmill.Cancelled:
                outcomes.add("cancelled")
                _, fds, _, _ = ringmill.recv_fds(ours, 10, 2)
            else:
                outcomes.add("came")
            assert content(fds) == [HELLO] * 2
            assert leaks.new_fds(before) == []
    assert "cancelled" in outcomes


@pytest.mark.usefixtures("machine")
def test_a_pidfd_beside_them_is_closed(lab: Lab, face: str) -> None:
    """SO_PASSPIDFD: a descriptor of the sender comes along, that nobody asked recv_fds for."""
    ours, theirs = lab.pair()
    try:
        ours.setsockopt(socket.SOL_SOCKET, SO_PASSPIDFD, 1)
    except OSError:
        pytest.skip("this kernel knows no SO_PASSPIDFD")
    assert lab.hello  # opened before the others are counted
    before = leaks.open_fds()
    theirs.send(b"x")
    data, fds, _, _ = faces.call(face, "recv_fds", ours, 10, 5)
    assert (data, fds) == (b"x", [])
    assert leaks.new_fds(before) == []
    theirs.send(b"y")
    data, ancillary, _, _ = faces.call(face, "recvmsg", ours, 10, 100)
    ((level, kind, number),) = ancillary
    assert (data, level, kind) == (b"y", socket.SOL_SOCKET, SCM_PIDFD)
    os.close(int.from_bytes(number, "little"))
    theirs.send(b"z")
    op = aio.recvmsg(ours, 10, 100)
    until(lambda: op.done, "the message")
    op.detach()
    op = None
    assert leaks.new_fds(before) == []


CLOSED = """
import os, socket
import ringmill

before = os.listdir("/proc/self/fd")
machine = ringmill.Machine()
ours, theirs = socket.socketpair()
op = ringmill.aio.recv_fds(ours, 10, 2)
ringmill.sleep(0.002)
socket.send_fds(theirs, [b"x"], [0, 1])
machine.close()  # the message comes in while it ends, or stays in the socket
try:
    data, fds, flags, address = op.result()
    for fd in fds:
        os.close(fd)
except ringmill.Cancelled:
    pass
del op
ours.close()
theirs.close()
print(len(os.listdir("/proc/self/fd")) - len(before))
"""


def test_a_machine_that_closes_with_descriptors_on_the_way(kernel: str) -> None:
    assert programs.clean(CLOSED, kernel=kernel) == "0\n"
