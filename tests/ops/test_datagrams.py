"""sendto and recvfrom: each family's addresses, whole messages or told, nothing lost on the way."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ringmill import aio
from support import faces, programs

FAMILIES = {"IPv4": socket.AF_INET, "IPv6": socket.AF_INET6, "Unix": socket.AF_UNIX}


def mailbox(lab: Lab, family: str) -> socket.socket:
    if family == "IPv6" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        return lab.datagrams(FAMILIES[family])
    except OSError as error:
        if family == "IPv6" and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            pytest.skip("no IPv6 address here")
        raise


@pytest.fixture(params=[*FAMILIES, "Unix path"])
def boxes(request: pytest.FixtureRequest, lab: Lab) -> tuple[socket.socket, socket.socket]:
    """Two sockets with names."""
    if request.param != "Unix path":
        return mailbox(lab, request.param), mailbox(lab, request.param)
    both = [lab.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) for _ in "12"]
    for number, sock in enumerate(both):
        sock.bind(str(lab.folder / f"box {number}"))
    return both[0], both[1]


@pytest.mark.req("U24", "U25")
@pytest.mark.usefixtures("machine")
def test_an_echo(boxes: tuple[socket.socket, socket.socket], face: str) -> None:
    """What came goes back to whom it came from; the addresses are those of the sockets."""
    client, server = boxes
    for data in (b"ping", b"", b"x" * 9000):
        assert faces.call(face, "sendto", client, data, server.getsockname()) == len(data)
        came, address = faces.call(face, "recvfrom", server, 10_000)
        assert (came, address) == (data, client.getsockname())
        assert faces.call(face, "sendto", server, came, address) == len(data)
        room = bytearray(10_000)
        count, address = faces.call(face, "recvfrom_into", client, room)
        assert (bytes(room[:count]), address) == (data, server.getsockname())


@pytest.mark.req("U25")
@pytest.mark.usefixtures("machine")
def test_what_is_cut_is_told(boxes: tuple[socket.socket, socket.socket], face: str) -> None:
    client, server = boxes
    name = client.getsockname()
    for _ in range(5):
        client.sendto(b"0123456789", server.getsockname())
    assert faces.call(face, "recvfrom", server, 4) == (b"0123", name)
    assert faces.call(face, "recvmsg", server, 4) == (b"0123", [], socket.MSG_TRUNC, name)
    room = [bytearray(3), bytearray(3)]
    assert faces.call(face, "recvmsg_into", server, room) == (6, [], socket.MSG_TRUNC, name)
    assert room == [b"012", b"345"]
    whole = faces.call(face, "recvfrom", server, 4, flags=socket.MSG_TRUNC | socket.MSG_PEEK)
    assert whole == (b"0123", name)
    count, _ = faces.call(face, "recvfrom_into", server, bytearray(4), flags=socket.MSG_TRUNC)
    assert count == 10  # what it was, as in the socket module


@pytest.mark.req("U25")
@pytest.mark.usefixtures("machine")
def test_a_sender_without_a_name(lab: Lab, face: str) -> None:
    server = mailbox(lab, "Unix")
    nameless = lab.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    assert faces.call(face, "sendto", nameless, b"who?", server.getsockname()) == 4
    assert faces.call(face, "recvfrom", server, 10) == (b"who?", None)


@pytest.mark.usefixtures("machine")
def test_over_a_connection_there_is_no_address(lab: Lab, face: str) -> None:
    client = lab.dial(lab.listening)
    server = lab.enter_context(lab.listening.accept()[0])
    client.send(b"hello")
    assert faces.call(face, "recvfrom", server, 3) == (b"hel", None)
    assert faces.call(face, "recvmsg_into", server, [bytearray(3)]) == (2, [], 0, None)


@pytest.mark.usefixtures("machine")
def test_netlink_has_addresses_of_its_own(lab: Lab, face: str) -> None:
    """Ask for the links: the answer is from port 0, which is the kernel."""
    sock = lab.enter_context(
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))
    faces.call(face, "bind", sock, (0, 0))
    request = (20).to_bytes(4, "little") + b"\x12\x00" + b"\x01\x03" + bytes(8) + bytes(4)
    try:
        assert faces.call(face, "sendto", sock, request, (0, 0)) == 20
    except PermissionError:
        pytest.skip("netlink is refused here")
    data, _, flags, address = faces.call(face, "recvmsg", sock, 1 << 16)
    assert address == (0, 0)
    assert len(data) > 16
    assert not flags & socket.MSG_TRUNC


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("wrong", [(1, 2, 3), (1,), (1 << 40, 0), (-1, 0), (0, 1 << 32)], ids=str)
def test_wrong_netlink_addresses(lab: Lab, face: str, wrong: Any) -> None:
    with pytest.raises((TypeError, OverflowError)):
        faces.call(face, "sendto", lab.mail, b"x", wrong)


@pytest.mark.usefixtures("machine")
def test_refused_with_the_address(lab: Lab, face: str) -> None:
    name = mailbox(lab, "IPv4").getsockname()
    with pytest.raises(OSError) as caught:
        faces.call(face, "sendto", lab.mail, b"x" * 70_000, name)
    assert (caught.value.errno, caught.value.filename) == (errno.EMSGSIZE, name)
    with pytest.raises(OSError) as caught:
        faces.call(face, "sendto", lab.mail, b"x", "/a/path")
    assert caught.value.errno in (errno.EINVAL, errno.EAFNOSUPPORT)


# ── waiting for room ────────────────────────────────────────────────────────────────────────

SENDS = {
    "send": lambda sock, name: aio.send(sock, b"some bytes"),
    "sendall": lambda sock, name: aio.sendall(sock, b"some bytes"),
    "sendmsg": lambda sock, name: aio.sendmsg(sock, [b"some ", b"bytes"]),
    "sendto": lambda sock, name: aio.sendto(sock, b"some bytes", name),
    "sendto, by number": lambda sock, name: aio.sendto(sock.fileno(), b"some bytes", name),
    "write": lambda sock, name: aio.write(sock, b"some bytes"),
    "send_fds": lambda sock, name: aio.send_fds(sock, [b"some bytes"], [sock]),
}


def full(lab: Lab, kind: int, connected: bool) -> tuple[socket.socket, socket.socket, int]:
    """A sender whose receiver's queue is full, that receiver, and how many wait there."""
    if kind == socket.SOCK_SEQPACKET:
        listener = lab.enter_context(socket.socket(socket.AF_UNIX, kind))
        listener.bind(b"")
        listener.listen()
        sender = lab.enter_context(socket.socket(socket.AF_UNIX, kind))
        sender.connect(listener.getsockname())
        receiver = lab.enter_context(listener.accept()[0])
    else:
        receiver = mailbox(lab, "Unix")
        sender = lab.enter_context(socket.socket(socket.AF_UNIX, kind))
        if connected:
            sender.connect(receiver.getsockname())
    count = 0
    try:
        while True:
            if connected:
                sender.send(b"one more", socket.MSG_DONTWAIT)
            else:
                sender.sendto(b"one more", socket.MSG_DONTWAIT, receiver.getsockname())
            count += 1
    except BlockingIOError:
        return sender, receiver, count


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET], ids=str)
@pytest.mark.parametrize("how", SENDS)
def test_a_message_that_had_to_wait_goes_whole(lab: Lab, machine: Any, how: str,
                                               kind: int) -> None:
    """Linux forgets that its first try used up the bytes, and sends an empty one."""
    if "sendto" in how and kind == socket.SOCK_SEQPACKET:
        pytest.skip("sequenced packets go to the peer only")
    sender, receiver, count = full(lab, kind, "sendto" not in how)
    op = SENDS[how](sender, receiver.getsockname())
    for _ in range(5):
        ringmill.sleep(0.001)
    assert not op.done
    for _ in range(count):
        receiver.recv(100)
    assert ringmill.wait(op) in (10, None)
    assert receiver.recv(100, socket.MSG_DONTWAIT) == b"some bytes"


@pytest.mark.parametrize("nonblocking", [False, True])
def test_room_that_others_made_is_noticed(lab: Lab, machine: Any, nonblocking: bool) -> None:
    """The queue is full of another's datagrams: to take them wakes nobody that polls for us."""
    other, receiver, count = full(lab, socket.SOCK_DGRAM, False)
    ours = lab.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    ours.setblocking(not nonblocking)
    op = aio.sendto(ours, b"ours", receiver.getsockname())
    for _ in range(5):
        ringmill.sleep(0.001)
    assert not op.done
    for _ in range(count):
        receiver.recv(100)
    with ringmill.timeout(20):
        assert ringmill.wait(op) == 4
    assert receiver.recv(100) == b"ours"


@pytest.mark.parametrize("how", SENDS)
def test_cancelled_while_it_waits_nothing_goes(lab: Lab, machine: Any, how: str) -> None:
    sender, receiver, count = full(lab, socket.SOCK_DGRAM, "sendto" not in how)
    op = SENDS[how](sender, receiver.getsockname())
    ringmill.sleep(0.002)
    op.cancel()
    with pytest.raises(ringmill.Cancelled):
        ringmill.wait(op)
    for _ in range(count):
        assert receiver.recv(100) == b"one more"
    ringmill.sleep(0.002)
    with pytest.raises(BlockingIOError):
        receiver.recv(100, socket.MSG_DONTWAIT)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("verb", ["write", "send", "writev"])
@pytest.mark.parametrize("family", ["IPv4", "Unix"])
def test_an_empty_datagram_is_one(lab: Lab, face: str, verb: str, family: str) -> None:
    receiver = mailbox(lab, family)
    sender = mailbox(lab, family)
    sender.connect(receiver.getsockname())
    nothing: Any = [b"", b""] if verb == "writev" else b""
    assert faces.call(face, verb, sender, nothing) == 0
    assert receiver.recvfrom(10, socket.MSG_DONTWAIT) == (b"", sender.getsockname())


@pytest.mark.usefixtures("machine")
def test_nothing_written_to_a_stream_is_nothing(lab: Lab, face: str) -> None:
    ours, theirs = lab.pair()
    assert faces.call(face, "write", ours, b"") == 0
    with pytest.raises(BlockingIOError):
        theirs.recv(10, socket.MSG_DONTWAIT)


# ── kernels that can less ───────────────────────────────────────────────────────────────────

ECHO = """
import socket, sys
import ringmill

machine = ringmill.Machine()
both = [socket.socket(type=socket.SOCK_DGRAM) for _ in "12"]
for sock in both:
    sock.bind(("127.0.0.1", 0))
client, server = both
assert ringmill.sendto(client, b"hello", server.getsockname()) == 5
assert ringmill.recvfrom(server, 10) == (b"hello", client.getsockname())
try:
    ringmill.sendto(client, b"x" * 70_000, server.getsockname())
except OSError as error:
    print(error.filename == server.getsockname())
client.close()
server.close()
print(machine.stats()["ops_live"])
"""


@pytest.mark.req("U24")
@pytest.mark.parametrize("hidden", ["", "send_to", "send", "send,send_to", "sendmsg,send_to",
                                    "send,sendmsg,recvmsg,send_to", "@5.10", "@6.1"])
def test_wherever_the_address_goes(kernel: str, hidden: str) -> None:
    assert programs.clean(ECHO, kernel=kernel, RINGMILL_DISABLE=hidden) == "True\n0\n"
