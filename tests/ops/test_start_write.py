"""Writes that nobody has to wait for: all of them happen, in order where asked, and to the file
that was meant."""

from __future__ import annotations

import hashlib
import os
import random
import threading

import pytest

import ringmill
from ops.writing import content, drained, fill
from ringmill import aio
from ringmill.errors import Cancelled, WouldExceedBudget
from support import leaks
from support.faces import drive
from support.limits import no_descriptors
from support.threads import elsewhere

KIB = 1 << 10


@pytest.mark.req("T6")
@pytest.mark.usefixtures("machine")
def test_it_returns_at_once_and_brings_the_count(face, scratch):
    def fiber():
        op = ringmill.start_write(scratch, b"some bytes", offset=5)
        assert not op.done
        assert content(scratch) == b""
        return ringmill.wait(op)

    async def task():
        return await aio.start_write(scratch, b"some bytes", offset=5)

    assert ringmill.run(fiber if face == "fiber" else task) == 10
    assert content(scratch) == bytes(5) + b"some bytes"


@pytest.mark.req("T6")
def test_it_is_submitted_by_the_next_turn(machine, scratch):
    op = aio.start_write(scratch, b"x" * 100, offset=0)
    ringmill.nop()
    ringmill.sleep(0.01)
    assert op.done
    assert content(scratch) == b"x" * 100


@pytest.mark.req("T6")
@pytest.mark.usefixtures("machine")
def test_a_thousand_writes(face, scratch):
    """In a shuffled order, to their offsets; then all are there."""
    parts = [os.urandom(KIB) for _ in range(1000)]
    for index in random.Random(7).sample(range(1000), 1000):
        aio.start_write(scratch, parts[index], offset=index * KIB)
    drained(face, scratch)
    assert hashlib.sha256(content(scratch)).digest() == hashlib.sha256(b"".join(parts)).digest()


@pytest.mark.req("T6")
@pytest.mark.usefixtures("machine")
def test_a_thousand_ordered_writes(face, pipe):
    """To a pipe, which has no offsets: what comes out is the log of the order."""
    came = []
    taker = threading.Thread(target=lambda: came.extend(iter(lambda: os.read(pipe[0], 4), b"-end")))
    taker.start()
    for index in range(1000):
        aio.start_write(pipe[1], b"%04d" % index, ordered=True)
    aio.start_write(pipe[1], b"-end", ordered=True)
    drained(face, pipe[1])
    taker.join()
    assert came == [b"%04d" % index for index in range(1000)]


@pytest.mark.usefixtures("machine")
def test_ordered_ones_at_the_files_own_position(face, scratch):
    parts = [os.urandom(random.Random(index).randrange(5000)) for index in range(100)]
    for part in parts:
        aio.start_write(scratch, part, ordered=True)
    drained(face)
    assert content(scratch) == b"".join(parts)


@pytest.mark.req("T6")
@pytest.mark.usefixtures("machine")
def test_all_of_a_large_one_through_a_small_pipe(face, pipe):
    """Short writes go on: the pipe takes 64 KiB at a time."""
    data = os.urandom(300 * KIB)
    came = bytearray()

    def take():
        while len(came) < len(data):
            came.extend(os.read(pipe[0], 7000))

    taker = threading.Thread(target=take)
    taker.start()
    op = aio.start_write(pipe[1], data)
    drained(face, pipe[1])
    taker.join()
    assert came == data
    assert op.result() == len(data)


@pytest.mark.req("T8")
@pytest.mark.usefixtures("machine")
def test_the_same_with_a_thread(face, scratch):
    """The alternative that docs/threads.md compares: waited for like any op."""
    def write():
        verb = ringmill.in_thread if face == "fiber" else aio.in_thread
        return verb(os.pwrite, scratch, b"by a thread", 5)

    assert drive(face, write) == 11
    assert content(scratch) == bytes(5) + b"by a thread"


# ── buffers ──

@pytest.mark.req("T7")
@pytest.mark.parametrize("ordered", [False, True])
def test_the_buffer_is_held_until_it_is_written(machine, pipe, ordered):
    """Not to be resized; its items may be changed, and what is written is what they are then."""
    filled = fill(pipe[1])
    buffer = bytearray(b"0123456789")
    ops = [aio.start_write(pipe[1], b"before", ordered=ordered),
           aio.start_write(pipe[1], buffer, ordered=ordered)]
    ringmill.nop()
    with pytest.raises(BufferError):
        buffer.append(1)
    if ordered:
        buffer[0:3] = b"abc"
    left = filled + 16
    while left:
        left -= len(ringmill.read(pipe[0], left))
    assert [ringmill.wait(op) for op in ops] == [6, 10]
    buffer.append(1)
    assert machine.stats()["views_held"] == 0


def test_what_is_not_a_buffer(machine, scratch):
    part = memoryview(b"abcd")[::2]
    for wrong, error in (("text", TypeError), (7, TypeError), (part, BufferError)):
        with pytest.raises(error):
            aio.start_write(scratch, wrong)
    with pytest.raises(ValueError, match="offset"):
        aio.start_write(scratch, b"x", offset=-1)
    with pytest.raises(OSError, match="Bad file"):
        aio.start_write(999999, b"x")
    assert machine.stats()["writes_behind"] == machine.stats()["views_held"] == 0


# ── cancel ──

@pytest.mark.req("T6")
@pytest.mark.parametrize("ordered", [False, True])
def test_cancel(machine, pipe, ordered):
    """One that is under way, and those that stand in line; nothing is told to anybody else."""
    filled = fill(pipe[1])
    ops = [aio.start_write(pipe[1], b"%d" % i, ordered=ordered) for i in range(3)]
    ringmill.nop()
    ops[1].cancel()
    ops[0].cancel()
    for op in ops[:2]:
        with pytest.raises(Cancelled):
            ringmill.wait(op)
    left = filled
    while left:
        left -= len(ringmill.read(pipe[0], left))
    assert ringmill.wait(ops[2]) == 1
    assert os.read(pipe[0], 10) == b"2"
    ringmill.drain()
    assert machine.stats()["write_behind_bytes"] == 0


def test_cancelled_before_it_is_submitted(machine, scratch):
    op = aio.start_write(scratch, b"never")
    op.cancel()
    with pytest.raises(Cancelled):
        ringmill.wait(op)
    assert content(scratch) == b""
    ringmill.drain(scratch)


def test_a_drain_is_cancelled_not_the_writes(machine, pipe):
    filled = fill(pipe[1])
    op = aio.start_write(pipe[1], b"x")
    with pytest.raises(TimeoutError), ringmill.timeout(0.005):
        ringmill.drain(pipe[1])
    assert not op.done
    while filled:
        filled -= len(ringmill.read(pipe[0], filled))
    ringmill.drain()
    assert os.read(pipe[0], 10) == b"x"


# ── descriptors that are closed, and used again ──

@pytest.mark.req("T6")
@pytest.mark.parametrize("ordered", [False, True])
def test_a_number_that_is_used_again_gets_nothing_of_it(machine, tmp_path, ordered):
    """Closed by os.close before the write was even submitted, and opened as another file."""
    first = os.open(tmp_path / "first", os.O_RDWR | os.O_CREAT)
    for index in range(3):
        aio.start_write(first, b"%d" % index, offset=index, ordered=ordered)
    os.close(first)
    second = os.open(tmp_path / "second", os.O_RDWR | os.O_CREAT)
    assert second == first
    aio.start_write(second, b"second", offset=0, ordered=ordered)
    ringmill.drain()
    assert (tmp_path / "first").read_bytes() == b"012"
    assert (tmp_path / "second").read_bytes() == b"second"
    os.close(second)


def test_the_line_lets_go_of_the_file(machine, pipe):
    """A pipe's reader sees the end when the program closes it: our duplicate is gone by then."""
    source, target = os.pipe()
    aio.start_write(target, b"x")
    ringmill.drain(target)
    before = leaks.open_fds()
    os.close(target)
    assert os.read(source, 10) == b"x"
    assert os.read(source, 10) == b""
    os.close(source)
    assert len(before) - len(leaks.open_fds()) == 2


@pytest.mark.req("T6")
def test_close_waits_for_the_writes(machine, face):
    source, target = os.pipe()
    filled = fill(target)
    aio.start_write(target, b"last words")
    taken = threading.Thread(target=lambda: os.read(source, filled))
    taken.start()
    drive(face, lambda: (ringmill if face == "fiber" else aio).close(target))
    taken.join()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(target)
    assert os.read(source, 100) == b"last words"
    assert os.read(source, 100) == b""
    os.close(source)


# ── limits, ends ──

@pytest.mark.req("T6", "T10")
def test_bytes_under_way_are_bounded(machine, pipe):
    machine.write_behind_max = 100
    filled = fill(pipe[1])
    aio.start_write(pipe[1], bytes(500))  # one alone is never too large
    with pytest.raises(WouldExceedBudget, match="write_behind_max: 500 of 100"):
        aio.start_write(pipe[1], b"x")
    left = filled + 500
    while left:
        left -= len(ringmill.read(pipe[0], left))
    ringmill.drain()
    aio.start_write(pipe[1], bytes(60))
    aio.start_write(pipe[1], bytes(40))
    with pytest.raises(WouldExceedBudget):
        aio.start_write(pipe[1], b"x")
    ringmill.drain()


@pytest.mark.req("T6")
@pytest.mark.parametrize("ordered", [False, True])
def test_closing_the_machine_writes_what_was_begun(kernel, tmp_path, ordered):
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    with ringmill.Machine(kernel=kernel):
        for index in range(200):
            aio.start_write(fd, b"%03d" % index, offset=3 * index, ordered=ordered)
    os.close(fd)
    assert path.read_bytes() == b"".join(b"%03d" % index for index in range(200))


def test_without_descriptors(machine, scratch):
    """EMFILE: said at once, and nothing is written."""
    with no_descriptors():
        with pytest.raises(OSError, match="Too many"):
            os.dup(scratch)
        with pytest.raises(OSError, match="Too many"):
            aio.start_write(scratch, b"x")
    assert content(scratch) == b""


def test_more_than_there_are_ops(kernel, scratch):
    """ops_max: the refused one leaves nothing behind, the others are written."""
    with ringmill.Machine(kernel=kernel, ops_max=4, on_full="raise") as machine:
        for index in range(4):
            aio.start_write(scratch, b"%d" % index, offset=index)
        with pytest.raises(WouldExceedBudget, match="ops_max"):
            aio.start_write(scratch, b"x", offset=9)
        ringmill.drain()
        assert machine.stats()["views_held"] == 0
        for index in range(50):
            aio.start_write(scratch, b"%d" % (index % 10), ordered=True, offset=index)
        ringmill.drain()
    assert content(scratch) == b"0123456789" * 5


@pytest.mark.parametrize("ordered", [False, True])
def test_those_that_stand_in_line_for_a_slot(kernel, scratch, ordered):
    """Where ops_max does not refuse but lets wait: all are written, and one may be cancelled."""
    with ringmill.Machine(kernel=kernel, ops_max=4) as machine:
        ops = [aio.start_write(scratch, b"%d" % (index % 10), offset=index, ordered=ordered)
               for index in range(50)]
        last = aio.start_write(scratch, b"x", offset=50, ordered=ordered)
        last.cancel()
        ringmill.drain()
        assert all(op.result() == 1 for op in ops)
        assert machine.stats()["views_held"] == machine.stats()["writes_behind"] == 0
    assert content(scratch) == b"0123456789" * 5


def test_some_that_still_stand_there_when_the_machine_ends(kernel, pipe):
    """Not written, not lost: each is told."""
    fill(pipe[1])
    told = []
    machine = ringmill.Machine(kernel=kernel, ops_max=2)
    machine.on_write_error = told.append
    for _ in range(5):
        aio.start_write(pipe[1], b"x")
    ringmill.yield_now()
    machine.end()
    assert [error.errno for error in told] == [125] * 5


def test_a_thread_that_ends_leaves_nothing_unwritten(kernel, tmp_path):
    """Its machine is not closed by anybody; what it has begun is written all the same."""
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    told = []

    def work():
        machine = ringmill.Machine(kernel=kernel)
        machine.on_write_error = told.append
        for index in range(50):
            aio.start_write(fd, b"%d" % (index % 10), offset=index, ordered=True)

    elsewhere(work)
    assert content(fd) == b"0123456789" * 5
    assert told == []
    os.close(fd)
