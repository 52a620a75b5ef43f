"""More ops than the machine may have: they stand in line, in their order, and lose nothing."""

from __future__ import annotations

import os
import random

import pytest

import ringmill
from ringmill import aio
from support import programs

LETTERS = (b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h")


@pytest.fixture
def narrow(kernel):
    """A machine that may have four ops."""
    with ringmill.Machine(kernel=kernel, ops_max=4) as machine:
        yield machine
        for _ in range(100):
            if machine.stats()["ops_live"]:
                ringmill.sleep(0)  # what was closed is on its way
        stats = machine.stats()
        assert (stats["ops_live"], stats["ops_in_line"], stats["views_held"]) == (0, 0, 0)


def cancelled(op):
    with pytest.raises(ringmill.Cancelled):
        ringmill.wait(op)


@pytest.mark.req("T10")
def test_first_come_first_served(narrow, pipe, other_pipe):
    """A hundred writes behind four reads that wait: they happen in their order."""
    reader, writer = pipe
    blocking = [aio.read(other_pipe[0], 1) for _ in range(4)]
    ops = [aio.write(writer, bytes([i])) for i in range(100)]
    stats = narrow.stats()
    assert (stats["ops_live"], stats["ops_in_line"]) == (4, 100)
    assert {op.state for op in ops} == {("queued", "new")}
    os.write(other_pipe[1], b"1234")
    assert [ringmill.wait(op) for op in ops] == [1] * 100
    assert os.read(reader, 200) == bytes(range(100))
    assert sorted(ringmill.wait(op) for op in blocking) == [b"1", b"2", b"3", b"4"]


@pytest.mark.req("T10")
def test_who_waits_in_a_call_stands_there_too(narrow, face, pipe):
    reader, writer = pipe
    got = []

    def reads():
        got.append(ringmill.read(reader, 1))

    async def areads():
        got.append(await aio.read(reader, 1))

    def main():
        with ringmill.scope() as s:
            for _ in range(50):
                s.spawn(reads if face == "fiber" else areads)
            ringmill.yield_now()
            assert narrow.stats()["ops_live"] == 4
            os.write(writer, b"z" * 50)

    narrow.run(main)
    assert got == [b"z"] * 50


def test_cancelled_in_line(narrow, pipe):
    """It certainly does not happen, at once, whoever has the slots; those behind move up."""
    reader, writer = pipe
    ops = [aio.read(reader, 1) for _ in range(12)]
    for op in ops[4:8]:
        assert op.cancel()
        cancelled(op)
    assert narrow.stats()["ops_in_line"] == 4
    with pytest.raises(TimeoutError), ringmill.timeout(0.001):
        ringmill.read(reader, 1)
    os.write(writer, b"abcdefgh")
    assert sorted(ringmill.wait(op) for op in ops[:4] + ops[8:]) == list(LETTERS)


def test_all_cancelled_at_once(narrow, pipe):
    ops = [aio.read(pipe[0], 1) for _ in range(1000)]
    for op in ops:
        op.cancel()
    for op in ops:
        cancelled(op)


def test_dropped_in_line(narrow, pipe):
    """As anywhere: it goes on, and what it brings is undone."""
    reader, writer = pipe
    ops = [aio.read(reader, 1) for _ in range(4)]
    dropped = aio.open("/dev/null", os.O_RDONLY)
    dropped.detach()
    del dropped
    os.write(writer, b"1234")
    for op in ops:
        ringmill.wait(op)
    while narrow.stats()["ops_live"] or narrow.stats()["ops_in_line"]:
        ringmill.sleep(0)


def test_its_buffer_is_held_meanwhile(narrow, pipe):
    reader, writer = pipe
    for _ in range(4):
        aio.read(reader, 1).detach()
    buffer = bytearray(3)
    op = aio.readinto(reader, buffer)
    with pytest.raises(BufferError):
        buffer.clear()
    os.write(writer, b"abcdXYZ")
    assert ringmill.wait(op) == 3 and buffer == b"XYZ"
    buffer.clear()


def test_ops_that_go_on(narrow, pipe):
    """write_all from the line: more SQEs than one, and all of it."""
    reader, writer = pipe
    blocking = [aio.poll(reader, 1) for _ in range(4)]
    data = os.urandom(300_000)
    op = aio.write_all(writer, data)
    got = bytearray()
    assert not op.done
    os.write(writer, b"!")
    for each in blocking:
        ringmill.wait(each)
    assert ringmill.read(reader, 1) == b"!"
    while len(got) < len(data):
        got += ringmill.read(reader, 65536)
    ringmill.wait(op)
    assert got == data


def test_iterators_in_line(narrow, pipe, face):
    """One with many results takes its turn, and keeps it; closed in line, it just ends."""
    reader, writer = pipe
    ops = [aio.poll(reader, 1) for _ in range(4)]
    closed = ringmill.read_each(reader)
    first = aio.read_each(reader)
    op = anext(first)
    del closed
    assert narrow.stats()["ops_in_line"] >= 1
    first.close()
    with pytest.raises((StopAsyncIteration, ringmill.Cancelled)):
        ringmill.wait(op)
    each = ringmill.read_each(reader)
    os.write(writer, b"hello")
    assert next(each) == b"hello"
    each.close()
    for op in ops:
        op.cancel()
        try:
            ringmill.wait(op)
        except ringmill.Cancelled:
            pass


def test_a_close_does_not_stand_behind_readers(narrow, pipe):
    """Cleaning up must go on while others wait: who holds the slots may wait for just that."""
    reader, _ = pipe
    ops = [aio.read(reader, 1) for _ in range(8)]
    ringmill.close(os.dup(reader))
    for op in ops:
        op.cancel()
        cancelled(op)


def test_a_machine_is_closed_with_a_line(kernel, pipe):
    """All end, those in line too; descriptors that come are closed, buffers let go."""
    reader, _ = pipe
    buffer = bytearray(1)
    with ringmill.Machine(kernel=kernel, ops_max=2) as machine:
        ops = [aio.read(reader, 1) for _ in range(5)]
        ops += [aio.readinto(reader, buffer), aio.open("/dev/null", os.O_RDONLY)]
        shielded = [aio.close(os.dup(reader)) for _ in range(100)]
    assert machine.stats()["ops_in_line"] == 0
    assert all(op.done for op in ops + shielded)
    buffer.clear()
    for op in ops[:6]:
        with pytest.raises(ringmill.Cancelled):
            op.result()
    for op in shielded:
        op.result()
    try:
        os.close(ops[6].result())
    except ringmill.Cancelled:
        pass


def test_a_full_queue_and_a_line(kernel, pipe):
    """The smallest ring: no room and no slot at the same time."""
    reader, writer = pipe
    with ringmill.Machine(kernel=kernel, entries=8, ops_max=64) as machine:
        reads = [aio.read(reader, 1) for _ in range(500)]
        nops = [aio.nop() for _ in range(500)]
        for op in reads[100:200]:
            op.cancel()
        os.write(writer, b"x" * 400)
        for op in nops:
            ringmill.wait(op)
        for op in reads[:100] + reads[200:]:
            assert ringmill.wait(op) == b"x"
        for op in reads[100:200]:
            cancelled(op)
        assert machine.stats()["ops_live"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_random_cancels_lose_nothing(kernel, pipe, seed):
    """Bytes read by those who were not cancelled, and bytes left, are those written, in order."""
    reader, writer = pipe
    chance = random.Random(seed)
    written, got = b"", []
    with ringmill.Machine(kernel=kernel, ops_max=3) as machine:
        ops = []
        for _ in range(300):
            what = chance.randrange(4)
            if what == 0:
                written += (more := os.urandom(chance.randrange(1, 4)))
                os.write(writer, more)
            elif what == 1:
                ops.append(aio.read(reader, 1))
            elif what == 2 and ops:
                chance.choice(ops).cancel()
            else:
                ringmill.sleep(0)
        for op in ops:
            op.cancel()
        for op in ops:
            try:
                got.append(ringmill.wait(op))
            except ringmill.Cancelled:
                pass
        assert machine.stats()["ops_in_line"] == 0
    os.set_blocking(reader, False)
    try:
        rest = os.read(reader, 10_000)
    except BlockingIOError:
        rest = b""
    assert sorted(b"".join(got) + rest) == sorted(written)


def test_the_wrong_limit_is_ended_by_a_timeout(kernel, pipe):
    """Who holds every slot and waits for a op in line waits for ever; a timeout needs no slot."""
    reader, writer = pipe
    with ringmill.Machine(kernel=kernel, ops_max=1):
        op = aio.read(reader, 1)
        with pytest.raises(TimeoutError), ringmill.timeout(0.001):
            ringmill.write(writer, b"x")
        op.cancel()
        cancelled(op)


def test_fork_with_a_line(kernel):
    programs.clean("""
        import os
        import ringmill
        from ringmill import aio

        reader, writer = os.pipe()
        machine = ringmill.Machine(ops_max=2)
        ops = [aio.read(reader, 1) for _ in range(6)]
        pid = os.fork()
        if pid == 0:
            assert all(op.done for op in ops)
            assert ringmill.write(writer, b"abcdef") == 6
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert sorted(ringmill.wait(op) for op in ops) == [b"%c" % c for c in b"abcdef"]
    """, kernel=kernel)
