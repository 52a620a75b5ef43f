"""Slots: an op that is used again, and loops that allocate nothing."""

from __future__ import annotations

import os
import socket
import sys

import pytest

import ringmill
from ringmill import aio

ROUNDS = 20_000


def fiber_loop(slot, fd, buffer, rounds):
    for _ in range(rounds):
        slot.readinto(fd, buffer, 0)


async def aio_loop(slot, fd, buffer, rounds):
    for _ in range(rounds):
        await slot.readinto(fd, buffer, 0)


@pytest.mark.req("T28")
@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_a_loop_allocates_nothing(machine, face, rounds):
    fd = os.open(sys.executable, os.O_RDONLY)
    buffer = bytearray(512)
    slot = ringmill.Slot() if face == "fiber" else aio.Slot()

    def loop(count):
        if face == "fiber":
            machine.run(fiber_loop, slot, fd, buffer, count)
        else:
            machine.run(aio_loop(slot, fd, buffer, count))

    loop(1000)
    before = sys.getallocatedblocks()
    loop(rounds)
    assert sys.getallocatedblocks() - before <= 16  # what run() itself keeps: a few objects
    os.close(fd)


def test_each_verb(machine):
    left, right = socket.socketpair()
    with left, right:
        buffer = bytearray(5)
        slot = ringmill.Slot()
        assert slot.send(left, b"hello") == 5
        assert slot.recv_into(right, buffer) == 5 and buffer == b"hello"
        assert slot.write(left, b"world") == 5
        assert slot.readinto(right, buffer) == 5 and buffer == b"world"


def test_one_at_a_time(machine, pipe):
    reader, writer = pipe
    slot = aio.Slot()
    buffer = bytearray(3)
    op = slot.readinto(reader, buffer)
    with pytest.raises(RuntimeError, match="not done"):
        slot.readinto(reader, buffer)
    os.write(writer, b"abc")
    assert ringmill.wait(op) == 3
    assert slot.readinto(reader, buffer) is op
    op.cancel()
    with pytest.raises(ringmill.Cancelled):
        ringmill.wait(op)
    os.write(writer, b"xyz")
    assert ringmill.wait(slot.readinto(reader, buffer)) == 3 and buffer == b"xyz"


def test_refused_arguments_leave_it_whole(machine, pipe):
    """The op was not begun: neither it, nor the next that anybody begins, is spoilt."""
    reader, writer = pipe
    slot = ringmill.Slot()
    for fd, buffer in ((-1, bytearray(1)), ("no", bytearray(1)), (reader, b"read-only")):
        with pytest.raises((OSError, TypeError, BufferError)):
            slot.readinto(fd, buffer)
        ringmill.nop()
    with pytest.raises(ValueError, match="offset"):
        slot.readinto(reader, bytearray(1), -1)
    os.write(writer, b"a")
    assert slot.readinto(reader, bytearray(1)) == 1
    assert machine.stats()["views_held"] == 0


def test_an_argument_that_begins_ops_itself(machine, pipe):
    """fileno() runs anybody's code: what it begins is an op of its own."""
    reader, writer = pipe

    class File:
        def fileno(self):
            ringmill.nop()
            return reader

    os.write(writer, b"ab")
    slot = ringmill.Slot()
    assert slot.readinto(File(), bytearray(1)) == 1
    assert slot.readinto(File(), bytearray(1)) == 1


def test_a_slot_and_a_timeout(machine, pipe):
    reader, writer = pipe
    slot = ringmill.Slot()
    for _ in range(3):
        with pytest.raises(TimeoutError), ringmill.timeout(0.001):
            slot.readinto(reader, bytearray(1))
    os.write(writer, b"a")
    assert slot.readinto(reader, bytearray(1)) == 1


@pytest.mark.req("T33")
def test_nested_reads_take_one_slot(machine, face, tmp_path):
    """A long operation of many steps: as much as it needs at a time, not in all."""
    (tmp_path / "file").write_bytes(bytes(4096))
    fd = os.open(tmp_path / "file", os.O_RDONLY)

    def parent():
        for _ in range(5000):
            with ringmill.lease(4096) as view:
                ringmill.readinto(fd, view, offset=0)

    async def aparent():
        for _ in range(5000):
            with await aio.lease(4096) as view:
                await aio.readinto(fd, view, offset=0)

    machine.run(parent if face == "fiber" else aparent)
    memory = machine.memory()
    assert memory["arena_high_water"] <= 2 * 4096
    assert memory["arena_leased"] == 0
    assert memory["op_slots"] == ringmill.Machine.memory(machine)["op_slots"] <= 256 * 16
    os.close(fd)


@pytest.mark.req("T32")
@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_cancelled_compounds_give_all_back(machine, pipe, count):
    """A stripe read of several steps, cancelled anywhere: nothing of it stays out."""
    import random

    chance = random.Random(1)
    reader, _ = pipe

    async def compound():
        with await aio.lease(8192) as first:
            await aio.nop()
            with await aio.lease(4096) as second:
                ops = [aio.readinto(reader, part) for part in (first, second)]
                try:
                    for op in ops:
                        await op
                finally:
                    for op in ops:
                        op.cancel()
                        op.detach()

    def main():
        for _ in range(count // 50):
            tasks = [ringmill.spawn(compound()) for _ in range(50)]
            for task in tasks:
                for _ in range(chance.randrange(3)):
                    ringmill.yield_now()
                task.cancel()
            for task in tasks:
                with pytest.raises(ringmill.Cancelled):
                    task.join()
            del task
            tasks.clear()  # their errors hold frames, and those what was leased: it is looked at
            while machine.stats()["ops_live"]:
                ringmill.sleep(0)
            assert machine.memory()["arena_leased"] == 0

    machine.run(main)
