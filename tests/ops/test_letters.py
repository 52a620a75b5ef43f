"""recvmsg_each: messages as recvmsg tells of them, one after the other, and none is ever lost."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
from typing import Any

import pytest

import ringmill
from ops.lab import HELLO, Lab
from ops.trying import Iteration, left_open, until
from ringmill import aio
from support import leaks, programs

SO_RXQ_OVFL = 40  # how many datagrams the socket has dropped so far, told with each
FEW = 5000
MANY = 1_000_000
RIGHTS_ROOM = socket.CMSG_SPACE(4 * 4)


def number_of(content: bytes) -> int:
    return int.from_bytes(content[:4], sys.byteorder)


def fds_of(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    return [number_of(content[at:]) for level, kind, content in ancillary
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            for at in range(0, len(content), 4)]


# ── what a message is ───────────────────────────────────────────────────────────────────────


@pytest.mark.req("U25")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX], ids=str)
@pytest.mark.usefixtures("machine")
def test_who_sent_what(lab: Lab, face: str, family: int) -> None:
    try:
        server, one, other = (lab.datagrams(family) for _ in range(3))
    except OSError as error:
        pytest.skip(f"no address of that family here: {error}")
    each = Iteration(face, "recvmsg_each", server)
    for data in (b"hello", b"", b"x" * 5000, b"", b"z" * 65_000):
        for sender in (one, other):
            sender.sendto(data, server.getsockname())
            assert each.next() == (data, [], 0, sender.getsockname())
    each.close()


@pytest.mark.usefixtures("machine")
def test_a_sender_without_a_name_and_one_with_a_path(lab: Lab, face: str) -> None:
    server = lab.datagrams(socket.AF_UNIX)
    nameless, named = (lab.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                       for _ in range(2))
    named.bind(str(lab.folder / "näme"))
    each = Iteration(face, "recvmsg_each", server)
    for sender, name in ((nameless, None), (named, str(lab.folder / "näme"))):
        sender.sendto(b"?", server.getsockname())
        assert each.next() == (b"?", [], 0, name)
    each.close()


@pytest.mark.req("U25")
@pytest.mark.usefixtures("machine")
def test_what_is_cut_is_told(lab: Lab, face: str) -> None:
    """What no UDP datagram has a Unix one may: more than there is room for."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        for ancbufsize in (0, 100):
            each = Iteration(face, "recvmsg_each", ours, ancbufsize)
            room = 69_488 - ancbufsize
            for size in (room, room + 1, 100_000, 1):
                sent = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
                theirs.send(sent)
                data, _, flags, _ = each.next()
                assert (data, flags) == (sent[:room], socket.MSG_TRUNC * (size > room))
            each.close()


@pytest.mark.req("U25")
@pytest.mark.usefixtures("machine")
def test_control_data(lab: Lab, face: str) -> None:
    ours, theirs = lab.pair()
    each = Iteration(face, "recvmsg_each", ours, RIGHTS_ROOM)
    for count in (1, 4, 0, 3):
        socket.send_fds(theirs, [b"files"], [lab.hello] * count)
        data, ancillary, flags, address = each.next()
        assert (data, flags, address) == (b"files", 0, None)
        fds = fds_of(ancillary)
        assert [os.pread(fd, 100, 0) for fd in fds] == [HELLO] * count
        assert not any(os.get_inheritable(fd) for fd in fds)
        for fd in fds:
            os.close(fd)
    socket.send_fds(theirs, [b"too many"], [lab.hello] * 6)
    data, ancillary, flags, _ = each.next()
    assert (data, flags) == (b"too many", socket.MSG_CTRUNC)
    for fd in fds_of(ancillary):
        os.close(fd)
    each.close()


@pytest.mark.usefixtures("machine")
def test_a_stream_and_its_end(lab: Lab, face: str) -> None:
    ours, theirs = lab.pair()
    each = Iteration(face, "recvmsg_each", ours)
    theirs.sendall(b"x" * 150_000)
    theirs.close()
    pieces = [data for data, _, _, _ in each.rest()]
    assert b"".join(pieces) == b"x" * 150_000
    with pytest.raises(StopIteration):
        each.next()


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("wrong", [(-1, ValueError), (4096, ValueError), ("1", TypeError)], ids=str)
def test_room_for_control_data_is_limited(lab: Lab, face: str, wrong: Any) -> None:
    room, error = wrong
    with pytest.raises(error):
        Iteration(face, "recvmsg_each", lab.letter, room)


@pytest.mark.usefixtures("machine")
def test_an_error_about_a_datagram_is_not_the_end(lab: Lab, face: str) -> None:
    ours, theirs = lab.datagrams(), lab.datagrams()
    name = theirs.getsockname()
    ours.connect(name)
    each = Iteration(face, "recvmsg_each", ours)
    theirs.close()
    ours.send(b"anybody there?")
    with pytest.raises(ConnectionRefusedError):
        each.next()
    theirs = lab.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    theirs.bind(name)
    theirs.sendto(b"now I am", ours.getsockname())
    assert each.next() == (b"now I am", [], 0, name)
    each.close()


@pytest.mark.usefixtures("machine")
def test_a_netlink_socket_that_ran_over_says_so(lab: Lab, face: str) -> None:
    """ENOBUFS there is not about our buffers: something was lost. It is told, and it goes on."""
    ours, theirs = (lab.enter_context(
        socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_USERSOCK))
        for _ in range(2))
    for sock in (ours, theirs):
        sock.bind((0, 0))
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    if (name := ours.getsockname())[0] == 0:
        pytest.skip("netlink gives no port here")
    each = Iteration(face, "recvmsg_each", ours)
    theirs.sendto(b"first", name)
    data, _, _, address = each.next()
    assert (data, address) == (b"first", theirs.getsockname())
    each.close()


# ── none is lost ────────────────────────────────────────────────────────────────────────────


@pytest.mark.req("U25")
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.soak)])
def test_every_datagram_is_accounted_for(lab: Lab, machine: Any, count: int) -> None:
    """What was sent either came, in order, or the socket has counted it as dropped."""
    sender, server = lab.datagrams(), lab.datagrams()
    name = server.getsockname()
    server.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    came: list[int] = []
    dropped = 0

    async def receive() -> None:
        nonlocal dropped
        async for data, ancillary, flags, address in aio.recvmsg_each(server, 64):
            assert (flags, address) == (0, sender.getsockname())
            for _, kind, content in ancillary:
                assert kind == SO_RXQ_OVFL
                dropped = number_of(content)
            if data == b"the last":
                return
            came.append(int(data))

    async def main() -> None:
        task = ringmill.spawn(receive())
        for number in range(count):
            sender.sendto(b"%d" % number, name)  # in floods: the socket holds some hundred
            if number % 5000 == 4999:
                await aio.sleep(0.001)
        while not task.done:
            await aio.sleep(0.001)
            sender.sendto(b"the last", name)
        await aio.join(task)

    ringmill.run(main())
    assert came == sorted(set(came))
    assert len(came) + dropped >= count  # some more "the last" may have been dropped
    assert len(came) + dropped < count + 5
    assert came


@pytest.mark.req("U24", "U25")
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.soak)])
def test_over_a_unix_socket_all_arrive(lab: Lab, machine: Any, count: int) -> None:
    """Senders wait there for room: not one is dropped, and each comes whole and once."""
    sender, server = lab.datagrams(socket.AF_UNIX), lab.datagrams(socket.AF_UNIX)
    came: list[bytes] = []

    async def send() -> None:
        for number in range(count):
            await aio.sendto(sender, b"%d" % number, server.getsockname())

    async def main() -> None:
        async with ringmill.scope() as scope:
            scope.spawn(send())
            with aio.recvmsg_each(server) as each:
                while len(came) < count:
                    came.append((await anext(each))[0])

    ringmill.run(main())
    assert came == [b"%d" % number for number in range(count)]


def test_more_at_once_than_there_are_buffers(lab: Lab, machine: Any) -> None:
    """ENOBUFS is recovered from, unseen."""
    sender, server = lab.datagrams(), lab.datagrams()
    each = aio.recvmsg_each(server)
    first = anext(each)
    ringmill.sleep(0.001)
    for number in range(200):
        sender.sendto(b"%d" % number, server.getsockname())
    came = [ringmill.wait(first)[0]]
    came += [ringmill.wait(anext(each))[0] for _ in range(199)]
    assert came == [b"%d" % number for number in range(200)]
    each.close()


@pytest.mark.usefixtures("machine")
def test_a_timeout_loses_none(lab: Lab, face: str) -> None:
    sender, server = lab.datagrams(), lab.datagrams()
    came: list[bytes] = []
    count = 300

    def fiber() -> None:
        with ringmill.recvmsg_each(server) as each:
            while len(came) < count:
                try:
                    with ringmill.timeout(0.0002):
                        came.append(next(each)[0])
                except TimeoutError:
                    sender.sendto(b"%d" % (sent.pop()), server.getsockname())

    async def task() -> None:
        with aio.recvmsg_each(server) as each:
            while len(came) < count:
                try:
                    async with ringmill.timeout(0.0002):
                        came.append((await anext(each))[0])
                except TimeoutError:
                    sender.sendto(b"%d" % (sent.pop()), server.getsockname())

    sent = list(range(count * 2, -1, -1))
    ringmill.run(fiber if face == "fiber" else task())
    assert came == [b"%d" % number for number in range(count)]


@pytest.mark.parametrize("how", ["close", "drop", "end"])
def test_descriptors_nobody_takes_are_closed(lab: Lab, machine: Any, how: str) -> None:
    """In line, handed to an op that is dropped, and on their way when it ends."""
    ours, theirs = lab.pair()
    assert lab.hello
    each = aio.recvmsg_each(ours, RIGHTS_ROOM)
    op = anext(each)
    ringmill.sleep(0.001)
    before = leaks.open_fds()
    for _ in range(10):
        socket.send_fds(theirs, [b"x"], [lab.hello] * 4)
    until(lambda: op.done, "a message")
    assert len(left_open(before)) >= 4
    op.detach()
    op = None
    for _ in range(3):
        socket.send_fds(theirs, [b"x"], [lab.hello] * 4)  # these come when it is closed
    if how == "close":
        each.close()
    elif how == "end":
        machine.close()
    each = None
    gc.collect()
    if how != "end":
        ringmill.sleep(0.005)
    assert left_open(before) == []


@pytest.mark.usefixtures("machine")
def test_dropped_ones_are_the_next(lab: Lab) -> None:
    ours, theirs = lab.pair()
    each = aio.recvmsg_each(ours, RIGHTS_ROOM)
    ops: Any = [anext(each)]
    assert lab.hello
    for data in (b"1", b"2"):
        socket.send_fds(theirs, [data], [lab.hello])
        until(lambda: ops[-1].done, "its message")
        ops.append(anext(each))
    ops[0].detach()
    ops[1].detach()
    ops[2].cancel()
    ops = None
    for expected in (b"1", b"2"):
        data, ancillary, _, _ = ringmill.wait(anext(each))
        assert data == expected
        (fd,) = fds_of(ancillary)
        assert os.pread(fd, 100, 0) == HELLO
        os.close(fd)
    each.close()


NO_MEMORY = """
import os, socket, sys
import _testcapi
import ringmill
from ringmill import aio

failing = int(sys.argv[1])
machine = ringmill.Machine()
ours, theirs = socket.socketpair()
each = aio.recvmsg_each(ours, 100)
heard = []

async def reader():
    for _ in range(2):
        try:
            data, ancillary, _, _ = await anext(each)
        except (MemoryError, StopAsyncIteration) as error:
            heard.append(type(error).__name__)
        else:
            os.close(int.from_bytes(ancillary[0][2], sys.byteorder))
            heard.append(len(data))

socket.send_fds(theirs, [b"x" * 5000], [0])
first = ringmill.wait(anext(each))
os.close(int.from_bytes(first[1][0][2], sys.byteorder))
strand = ringmill.spawn(reader())
ringmill.sleep(0.01)  # it waits
before = len(os.listdir("/proc/self/fd"))
socket.send_fds(theirs, [b"y" * 5000], [0])
theirs.shutdown(socket.SHUT_WR)
pause = aio.sleep(0)
_testcapi.set_nomemory(failing, failing + 1)
try:
    pause.done or ringmill.wait(pause)
except MemoryError:
    pass
_testcapi.remove_mem_hooks()
pause.detach()
strand.join()
each.close()
ringmill.sleep(0.01)
print(*heard, machine.stats()["ops_live"], len(os.listdir("/proc/self/fd")) - before)
ours.close()
theirs.close()
"""


def test_without_memory_for_a_message_it_says_so(kernel: str) -> None:
    """Whoever waits is told, and the descriptor that came is closed."""
    pytest.importorskip("_testcapi")
    heard = {programs.clean(NO_MEMORY, failing, kernel=kernel) for failing in range(1, 5)}
    assert "MemoryError StopAsyncIteration 0 0\n" in heard
    assert heard <= {"MemoryError StopAsyncIteration 0 0\n", "5000 StopAsyncIteration 0 0\n"}


def test_what_is_refused(lab: Lab, machine: Any, face: str) -> None:
    each = Iteration(face, "recvmsg_each", lab.hello)
    with pytest.raises(OSError) as caught:
        each.next()
    assert caught.value.errno == errno.ENOTSOCK
    with pytest.raises(StopIteration):
        each.next()
