"""Cancel is a request, complete is a fact: before, while and after waiting; raced by results."""

from __future__ import annotations

import os
import random
import socket

import pytest

import ringmill
from ringmill import Cancelled, aio

# Each face's way to wait for ever, in something that takes an SQE and something that takes none.
WAITS = {
    "fiber": (lambda fd: ringmill.read(fd, 10), lambda _: ringmill.sleep(3600),
              lambda _: ringmill.park()),
    "aio": (lambda fd: aio.read(fd, 10), lambda _: aio.sleep(3600), lambda _: aio.park()),
}


def begin(face, function, *arguments):
    """Spawn a fiber that runs `function`, or a task that awaits what it returns."""
    if face == "fiber":
        return ringmill.spawn(function, *arguments)

    async def task():
        return await function(*arguments)

    return ringmill.spawn(task())


def test_not_begun(machine, face):
    """It never begins."""
    ran = []
    strand = begin(face, lambda: ran.append(1))
    assert strand.cancel() is True
    with pytest.raises(Cancelled):
        strand.join()
    assert ran == [] and strand.done
    assert strand.cancel() is False


@pytest.mark.parametrize("which", [0, 1, 2], ids=["op", "timer", "park"])
def test_while_it_waits(machine, face, which, pipe):
    strand = begin(face, WAITS[face][which], pipe[0])
    ringmill.sleep(0.001)
    assert not strand.done
    assert strand.cancel() is True
    with pytest.raises(Cancelled):
        strand.join()
    assert machine.stats()["timers"] == 0


@pytest.mark.parametrize("which", [0, 1, 2], ids=["op", "timer", "park"])
def test_while_it_runs(machine, face, which, pipe):
    """Asked by itself: raised where it waits next, and nothing is begun there."""
    steps = []

    def fiber():
        ringmill.current().cancel()
        steps.append("still running")
        try:
            WAITS["fiber"][which](pipe[0])
        except Cancelled:
            steps.append("cancelled")
        ringmill.nop()  # asked once, raised once
        return "went on"

    async def task():
        ringmill.current().cancel()
        steps.append("still running")
        try:
            await WAITS["aio"][which](pipe[0])
        except Cancelled:
            steps.append("cancelled")
        await aio.nop()
        return "went on"

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    assert strand.join() == "went on"
    assert steps == ["still running", "cancelled"]


def test_when_it_is_done(machine, face):
    strand = begin(face, ringmill.nop if face == "fiber" else aio.nop)
    strand.join()
    assert strand.cancel() is False
    assert strand.join() is None


def test_while_it_is_runnable(machine, face):
    """In yield_now(), on the runqueue."""
    async def task():
        while True:
            await aio.yield_now()

    def fiber():
        while True:
            ringmill.yield_now()

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    ringmill.yield_now()
    strand.cancel()
    with pytest.raises(Cancelled):
        strand.join()


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_while_an_awaitable_lets_others_run(machine, face, how):
    """One of the program's own, which yields None: as a task, and driven in a fiber."""
    class Others:
        def __await__(self):
            for _ in range(1_000_000):
                yield

    async def main():
        async with ringmill.timeout(0.001 if how == "timeout" else None):
            await Others()

    strand = ringmill.spawn(main() if face == "aio" else lambda: ringmill.drive(main()))
    ringmill.yield_now()
    if how == "cancel":
        strand.cancel()
    with pytest.raises(Cancelled if how == "cancel" else TimeoutError):
        strand.join()


def test_a_cancel_that_is_swallowed_is_spent(machine, face):
    async def task():
        try:
            await aio.sleep(3600)
        except Cancelled:
            pass
        await aio.sleep(0.0001)
        await aio.nop()
        return "lives"

    def fiber():
        try:
            ringmill.sleep(3600)
        except Cancelled:
            pass
        ringmill.sleep(0.0001)
        ringmill.nop()
        return "lives"

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    ringmill.yield_now()
    strand.cancel()
    assert strand.join() == "lives"


def test_cancelled_is_not_an_exception(machine):
    """`except Exception` does not swallow it."""
    def fiber():
        try:
            ringmill.sleep(3600)
        except Exception:
            return "swallowed"

    strand = ringmill.spawn(fiber)
    ringmill.yield_now()
    strand.cancel()
    with pytest.raises(Cancelled):
        strand.join()


def test_cleanup_may_wait(machine, face, pipe):
    reader, writer = pipe
    done = []

    def fiber():
        try:
            ringmill.read(reader, 10)
        finally:
            ringmill.sleep(0.0001)
            ringmill.write(writer, b"bye")
            done.append(1)

    async def task():
        try:
            await aio.read(reader, 10)
        finally:
            await aio.sleep(0.0001)
            await aio.write(writer, b"bye")
            done.append(1)

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    ringmill.sleep(0.0001)
    strand.cancel()
    with pytest.raises(Cancelled):
        strand.join()
    assert done == [1]
    assert os.read(reader, 10) == b"bye"


def test_many_requests_are_raised_once(machine, face):
    count = []

    async def task():
        for _ in range(2):
            try:
                await aio.sleep(0.001)
            except Cancelled:
                count.append(1)

    def fiber():
        for _ in range(2):
            try:
                ringmill.sleep(0.001)
            except Cancelled:
                count.append(1)

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    ringmill.yield_now()
    for _ in range(5):
        strand.cancel()
    strand.join()
    assert count == [1]


def test_the_result_that_came_first_is_kept(machine, face, pipe):
    """Pitfall 2: data is there when the cancel is asked: it is returned, the cancel comes next."""
    reader, writer = pipe
    got = []

    def fiber():
        got.append(ringmill.read(reader, 10))
        ringmill.sleep(3600)

    async def task():
        got.append(await aio.read(reader, 10))
        await aio.sleep(3600)

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    ringmill.sleep(0.0001)
    os.write(writer, b"first")
    for _ in range(1000):
        if machine.stats()["ready"] or got:
            break
        ringmill.nop()
    strand.cancel()
    with pytest.raises(Cancelled):
        strand.join()
    # Either it was read, or it is still there: never lost.
    if got == []:
        assert os.read(reader, 10) == b"first"
    else:
        assert got == [b"first"]


@pytest.mark.parametrize("order", ["cancel first", "data first"])
def test_cancel_and_data_at_once_lose_no_byte(machine, face, pipe, order):
    """Pitfall 2, a thousand times at every distance: each byte is read once, or still there."""
    reader, writer = pipe
    rng = random.Random(5)
    received = bytearray()
    cancelled = 0

    def fiber():
        received.extend(ringmill.read(reader, 1))

    async def task():
        received.extend(await aio.read(reader, 1))

    sent = bytearray()
    for n in range(1000):
        strand = ringmill.spawn(fiber if face == "fiber" else task())
        for _ in range(rng.randrange(3)):
            ringmill.yield_now()
        if rng.random() < 0.5:
            ringmill.nop()
        byte = bytes([n % 256])
        sent += byte
        if order == "cancel first":
            strand.cancel()
            os.write(writer, byte)
        else:
            os.write(writer, byte)
            if rng.random() < 0.5:
                ringmill.nop()
            strand.cancel()
        try:
            strand.join()
        except Cancelled:
            cancelled += 1
            received.extend(os.read(reader, 1))  # what was not taken must be there
    assert received == sent
    assert cancelled > 0


def test_descriptors_that_arrive_after_a_cancel_are_closed(machine, face):
    """Pitfall 2: open, accept and socket, cancelled at every moment; conftest counts the fds."""
    rng = random.Random(6)
    listener = socket.create_server(("127.0.0.1", 0))
    kept = 0

    def opens():
        return ringmill.open("/dev/null", os.O_RDONLY)

    def accepts():
        return ringmill.accept(listener)[0].detach()

    async def aopens():
        return await aio.open("/dev/null", os.O_RDONLY)

    async def aaccepts():
        return (await aio.accept(listener))[0].detach()

    for n in range(300):
        knock = None
        if n % 2:
            knock = socket.create_connection(listener.getsockname())
            strand = ringmill.spawn(accepts if face == "fiber" else aaccepts())
        else:
            strand = ringmill.spawn(opens if face == "fiber" else aopens())
        for _ in range(rng.randrange(4)):
            ringmill.yield_now()
        if rng.random() < 0.3:
            ringmill.nop()
        strand.cancel()
        try:
            os.close(strand.join())
            kept += 1
        except Cancelled:
            pass
        if knock is not None:
            knock.close()
    listener.close()
    assert kept < 300


def test_cancel_of_the_op_itself(machine, face, pipe):
    """op.cancel() ends the wait of whoever waits for it, and is not a request to that strand."""
    op = aio.read(pipe[0], 10)

    def fiber():
        try:
            ringmill.wait(op)
        except Cancelled:
            ringmill.nop()
            return ringmill.current().cancels

    async def task():
        try:
            await op
        except Cancelled:
            await aio.nop()
            return ringmill.current().cancels

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    ringmill.nop()
    assert op.cancel() is True
    assert strand.join() == 0


def test_cancel_of_one_who_joins_leaves_the_other_alone(machine, face):
    """Who is joined does not end because who joins was cancelled."""
    target = ringmill.spawn(lambda: (ringmill.sleep(0.005), "done")[1])
    joiner = begin(face, target.join if face == "fiber" else lambda: aio.join(target))
    ringmill.yield_now()
    joiner.cancel()
    with pytest.raises(Cancelled):
        joiner.join()
    assert not target.done
    assert target.join() == "done"


def test_a_cancelled_joiner_leaves_the_error_unseen(machine, face, monkeypatch):
    """The error was told to nobody after all: it is reported."""
    import gc

    reported = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)

    def fail():
        ringmill.sleep(0.002)
        raise LookupError("nobody heard")

    target = ringmill.spawn(fail)
    joiner = begin(face, target.join if face == "fiber" else lambda it=target: aio.join(it))
    ringmill.yield_now()
    joiner.cancel()
    with pytest.raises(Cancelled):
        joiner.join()
    while not target.done:
        ringmill.sleep(0.001)
    del target, joiner
    gc.collect()
    assert [type(told.exc_value) for told in reported] == [LookupError]


def test_close_is_not_given_up(machine, face):
    """A descriptor whose close was cancelled would leak: close() happens, then the cancel."""
    reader, writer = os.pipe()
    after = []

    def fiber():
        ringmill.current().cancel()
        ringmill.close(reader)
        after.append(1)
        ringmill.nop()

    async def task():
        ringmill.current().cancel()
        await aio.close(reader)
        after.append(1)
        await aio.nop()

    strand = ringmill.spawn(fiber if face == "fiber" else task())
    with pytest.raises(Cancelled):
        strand.join()
    assert after == [1]
    with pytest.raises(OSError):
        os.fstat(reader)
    os.close(writer)


def test_an_iteration_cancelled_and_resumed_loses_nothing(machine):
    """Pitfall 1: the piece that came with the cancel is given to whoever asks next."""
    left, right = socket.socketpair()
    got = bytearray()
    sent = bytearray()
    rng = random.Random(8)
    each = ringmill.recv_each(left)

    def take():
        got.extend(next(each))

    for n in range(500):
        fiber = ringmill.spawn(take)
        for _ in range(rng.randrange(3)):
            ringmill.yield_now()
        byte = bytes([n % 256])
        right.send(byte)
        sent += byte
        if rng.random() < 0.5:
            ringmill.nop()
        fiber.cancel()
        try:
            fiber.join()
        except Cancelled:
            pass
    right.shutdown(socket.SHUT_WR)
    for piece in each:
        got += piece
    assert got == sent
    each.close()
    left.close()
    right.close()


def test_a_piece_handed_to_an_op_that_is_dropped_is_not_lost(machine):
    """Pitfall 2: what nobody took goes back to its stream, in front of what comes after it."""
    left, right = socket.socketpair()
    each = aio.recv_each(left)
    sent = b""
    for n in range(10):
        op = each.__anext__()
        right.send(b"%d" % n)
        sent += b"%d" % n
        while not op.done:
            ringmill.nop()
        op.detach()
        del op
    got = b""
    while len(got) < len(sent):
        got += ringmill.wait(each.__anext__())
    assert got == sent
    each.close()
    ringmill.nop()
    left.close()
    right.close()


def test_a_connection_handed_to_an_op_that_is_dropped_is_closed(machine):
    """Pitfall 2: nobody took it, so the peer sees its end; the descriptors are counted."""
    listener = socket.create_server(("127.0.0.1", 0))
    for _ in range(5):
        op = aio.accept(listener)
        client = socket.create_connection(listener.getsockname())
        while not op.done:
            ringmill.nop()
        op.detach()
        del op
        assert ringmill.recv(client, 10) == b""
        client.close()
    listener.close()
