"""sendmany: datagrams in one enter, counted; what was refused is told, and stops no other."""

from __future__ import annotations

import errno
import pickle
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import ringmill
from ringmill import aio
from support import faces

FEW = 2000
MANY = 1_000_000


@pytest.fixture
def boxes() -> Iterator[list[socket.socket]]:
    """Five Unix sockets with names: nothing is dropped there."""
    found = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(5)]
    for sock in found:
        sock.bind(b"")
    yield found
    for sock in found:
        sock.close()


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        yield sock


@pytest.mark.req("U24")
@pytest.mark.usefixtures("machine")
def test_each_to_its_own(face: str, boxes: list[socket.socket], sender: socket.socket) -> None:
    messages = [(bytearray(b"%d" % number), box.getsockname()) for number, box in enumerate(boxes)]
    assert faces.call(face, "sendmany", sender, messages) == 5
    assert [box.recv(10) for box in boxes] == [b"0", b"1", b"2", b"3", b"4"]
    assert faces.call(face, "sendmany", sender, []) == 0
    messages[0][0].append(1)  # and let go of


@pytest.mark.req("U24")
def test_all_in_one_enter(machine: Any, face: str) -> None:
    """Over UDP, where none has to wait."""
    with socket.socket(type=socket.SOCK_DGRAM) as ours, socket.socket(
            type=socket.SOCK_DGRAM) as theirs:
        theirs.bind(("127.0.0.1", 0))
        name = theirs.getsockname()
        faces.call(face, "sendmany", ours, [(b"warm", name)])
        before = machine.stats()["enters"]
        assert faces.call(face, "sendmany", ours, [(b"x", name)] * 100) == 100
        assert machine.stats()["enters"] - before <= 3  # and the end of the program's own
        assert theirs.recv(10) == b"warm"
        assert all(theirs.recv(10) == b"x" for _ in range(100))


@pytest.mark.req("U24")
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.soak)])
def test_many_more_than_there_is_room_for(machine: Any, boxes: list[socket.socket],
                                          sender: socket.socket, count: int) -> None:
    came: list[int] = []

    async def receive() -> None:
        while len(came) < count:
            came.append(int(await aio.recv(boxes[0], 100)))

    async def main() -> None:
        name = boxes[0].getsockname()
        async with ringmill.scope() as scope:
            scope.spawn(receive())
            sent = await aio.sendmany(sender, ((b"%d" % n, name) for n in range(count)))
            assert sent == count

    ringmill.run(main())
    assert sorted(came) == list(range(count))


@pytest.mark.usefixtures("machine")
def test_those_that_are_refused_are_told(face: str, boxes: list[socket.socket],
                                         sender: socket.socket) -> None:
    messages = [(b"0", boxes[0].getsockname()), (b"1", "/nobody/here"),
                (b"2", boxes[2].getsockname()), (b"3", b"\0nor here"),
                (b"4", boxes[4].getsockname())]
    with pytest.raises(ringmill.NotAllSent) as caught:
        faces.call(face, "sendmany", sender, messages)
    error = caught.value
    assert error.sent == 3
    assert [(number, why.errno, why.filename) for number, why in error.refused] == [
        (1, errno.ENOENT, "/nobody/here"), (3, errno.ECONNREFUSED, b"\0nor here")]
    assert error.__cause__ is error.refused[0][1]
    assert str(error).startswith("2 of 5 messages were refused; the first is number 1: [Errno 2]")
    assert [boxes[number].recv(10) for number in (0, 2, 4)] == [b"0", b"2", b"4"]
    again = pickle.loads(pickle.dumps(error))
    assert (again.sent, str(again)) == (error.sent, str(error))


@pytest.mark.usefixtures("machine")
def test_over_a_connection(face: str, boxes: list[socket.socket], sender: socket.socket) -> None:
    sender.connect(boxes[0].getsockname())
    assert faces.call(face, "sendmany", sender, [(b"1", None), (b"2", None)]) == 2
    assert (boxes[0].recv(10), boxes[0].recv(10)) == (b"1", b"2")


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("wrong", [5, (b"x",), (b"x", "/a", 1), ("text", "/a"), (b"x", 1)],
                         ids=str)
def test_wrong_in_the_middle(face: str, boxes: list[socket.socket], sender: socket.socket,
                             wrong: Any) -> None:
    """What was only queued does not go: it had not begun."""
    name = boxes[0].getsockname()
    with pytest.raises((TypeError, ValueError)):
        faces.call(face, "sendmany", sender, [(b"1", name), wrong, (b"2", name)])
    ringmill.sleep(0.001)
    with pytest.raises(BlockingIOError):
        boxes[0].recv(10, socket.MSG_DONTWAIT)


def test_cancelled_while_some_wait(machine: Any, face: str, boxes: list[socket.socket],
                                   sender: socket.socket) -> None:
    """Each went whole or not at all, and the buffers are free again."""
    name = boxes[0].getsockname()
    data = bytearray(b"some bytes")

    def fiber() -> None:
        with pytest.raises(TimeoutError), ringmill.timeout(0.005):
            ringmill.sendmany(sender, [(data, name)] * 600)

    async def task() -> None:
        with pytest.raises(TimeoutError):
            async with ringmill.timeout(0.005):
                await aio.sendmany(sender, [(data, name)] * 600)

    ringmill.run(fiber if face == "fiber" else task())
    while machine.stats()["ops_live"]:  # on soft each stops a thread of its own
        ringmill.sleep(0.001)
    count = 0
    try:
        while True:
            assert boxes[0].recv(100, socket.MSG_DONTWAIT) == b"some bytes"
            count += 1
    except BlockingIOError:
        pass
    assert 1 <= count < 600
    data.append(1)
    assert machine.stats()["views_held"] == 0


def test_within_a_budget(kernel: str, boxes: list[socket.socket], sender: socket.socket) -> None:
    """Fewer ops than messages: it makes do with what there is."""
    machine = ringmill.Machine(kernel=kernel, ops_max=8)
    with sender, socket.socket(type=socket.SOCK_DGRAM) as theirs, socket.socket(
            type=socket.SOCK_DGRAM) as ours:
        theirs.bind(("127.0.0.1", 0))
        assert ringmill.sendmany(ours, [(b"x", theirs.getsockname())] * 100) == 100
    machine.close()
