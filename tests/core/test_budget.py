"""What an op costs, counted: system calls and allocations. Never times."""

from __future__ import annotations

import gc
import os
import shutil
import sys

import pytest

import ringmill
from ringmill import aio
from support import programs

OPS = 100_000
# Blocks that a loop's own bookkeeping may have: a frame, an int, a growing table.
SLACK = 64


def blocks():
    gc.collect()
    return sys.getallocatedblocks()


def fiber_ops(count, reader, writer, buffer):
    for _ in range(count // 4):
        ringmill.nop()
        ringmill.write(writer, b"12345678")
        ringmill.readinto(reader, buffer)
        ringmill.yield_now()


async def aio_ops(count, reader, writer, buffer):
    for _ in range(count // 4):
        await aio.nop()
        await aio.write(writer, b"12345678")
        await aio.readinto(reader, buffer)
        await aio.yield_now()


@pytest.mark.req("T5", "T12", "T31")
@pytest.mark.parametrize("count", [OPS // 5, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_no_allocation_at_steady_state(machine, face, count):
    """Ops come from a freelist, slots and blocks are used again: nothing grows with the count."""
    reader, writer = os.pipe()
    buffer = bytearray(8)

    def round_of(count):
        if face == "fiber":
            machine.run(fiber_ops, count, reader, writer, buffer)
        else:
            machine.run(aio_ops(count, reader, writer, buffer))

    round_of(4000)
    before = blocks()
    slots = machine.stats()["slots"]
    round_of(count)
    assert blocks() - before <= SLACK
    assert machine.stats()["slots"] == slots
    os.close(reader)
    os.close(writer)


@pytest.mark.req("T12", "T31")
def test_no_growth_in_any_kind_of_op(machine, tmp_path):
    """Also where an op needs more than itself: addresses, stat, messages, vectors."""
    import socket

    left, right = socket.socketpair()
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    fd = os.open(path, os.O_RDWR)

    def ops(count):
        for _ in range(count):
            ringmill.stat(path)
            ringmill.close(ringmill.open(path, os.O_RDONLY))
            ringmill.sendmsg(left, [b"ab", b"cd"])
            assert ringmill.recvmsg(right, 10)[0] == b"abcd"
            ringmill.readv(fd, [bytearray(2), bytearray(3)], offset=0)
            with pytest.raises(OSError):
                ringmill.stat(tmp_path / "missing")
            ringmill.sleep(0)
            ringmill.spawn(ringmill.nop).join()
            with ringmill.timeout(10):
                ringmill.nop()

    machine.run(ops, 50)
    before = blocks()
    machine.run(ops, 500)
    assert blocks() - before <= 2 * SLACK
    os.close(fd)
    left.close()
    right.close()


@pytest.mark.req("T5", "T31")
def test_a_ready_await_allocates_nothing(machine):
    """Measured inside the loop: blocks at its middle and at its end, without a collection."""
    async def ready(count):
        ops = []
        for _ in range(count):
            ops.append(aio.nop())
        while not ops[-1].done or not ops[0].done:
            await aio.nop()
        ops.reverse()
        while not all(op.done for op in ops):
            await aio.nop()
        before = sys.getallocatedblocks()
        for op in ops:
            await op
        return sys.getallocatedblocks() - before

    machine.run(ready(100))
    assert machine.run(ready(5000)) <= 8


@pytest.mark.req("T5")
def test_a_wait_allocates_nothing(machine):
    """A fiber's op, from the call to its result."""
    def loop(count):
        before = sys.getallocatedblocks()
        for _ in range(count):
            ringmill.nop()
        return sys.getallocatedblocks() - before

    machine.run(loop, 100)
    assert machine.run(loop, 5000) <= 8


def talk(rounds, pairs):
    """A hundred pipes, each with somebody who writes and somebody who reads."""
    def writes(writer):
        for _ in range(rounds):
            ringmill.write(writer, b"x" * 100)

    def reads(reader):
        for _ in range(rounds):
            got = 0
            while got < 100:
                got += len(ringmill.read(reader, 100 - got))

    with ringmill.scope() as s:
        for reader, writer in pairs:
            s.spawn(writes, writer)
            s.spawn(reads, reader)


@pytest.mark.req("T5")
def test_system_calls_per_op(machine, face):
    """A hundred pipes at once: one enter for eight ops or more."""
    async def writes(writer, rounds):
        for _ in range(rounds):
            await aio.write(writer, b"x" * 100)

    async def reads(reader, rounds):
        for _ in range(rounds):
            got = 0
            while got < 100:
                got += len(await aio.read(reader, 100 - got))

    async def atalk(rounds, pairs):
        async with ringmill.scope() as s:
            for reader, writer in pairs:
                s.spawn(writes(writer, rounds))
                s.spawn(reads(reader, rounds))

    pairs = [os.pipe() for _ in range(100)]
    before = machine.stats()
    if face == "fiber":
        machine.run(talk, 50, pairs)
    else:
        machine.run(atalk(50, pairs))
    after = machine.stats()
    ops = after["submitted"] - before["submitted"]
    assert ops >= 10_000
    assert after["enters"] - before["enters"] <= ops // 8
    for pair in pairs:
        for fd in pair:
            os.close(fd)


@pytest.mark.req("T5")
def test_system_calls_per_op_as_strace_counts_them(kernel, tmp_path):
    """stats() tells the truth: nobody else enters, reads or writes behind its back."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    if kernel == "soft":
        pytest.skip("the soft kernel makes the plain system calls: that is its job")
    trace = tmp_path / "trace"
    out = programs.clean("""
        import os
        import ringmill

        def writes(writer):
            for _ in range(50):
                ringmill.write(writer, b"x" * 100)

        def reads(reader):
            for _ in range(50):
                got = 0
                while got < 100:
                    got += len(ringmill.read(reader, 100 - got))

        def main():
            with ringmill.scope() as s:
                for reader, writer in pairs:
                    s.spawn(writes, writer)
                    s.spawn(reads, reader)

        pairs = [os.pipe() for _ in range(100)]
        machine = ringmill.Machine(spin=False)
        ringmill.nop()
        before = machine.stats()
        os.write(1, b"begin ")
        machine.run(main)
        os.write(1, b"end ")
        after = machine.stats()
        print(after["submitted"] - before["submitted"], after["enters"] - before["enters"])
    """, kernel=kernel, before=(strace, "-o", str(trace), "-e", "trace=all"))
    *_, ops, enters = out.split()
    lines = trace.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith('write(1, "begin'))
    last = next(i for i, line in enumerate(lines) if line.startswith('write(1, "end'))
    calls = [line.partition("(")[0] for line in lines[first + 1:last]]
    entered = calls.count("io_uring_enter")
    assert int(ops) >= 10_000
    assert entered <= int(enters) + 1
    assert entered <= int(ops) // 8
    assert calls.count("read") == calls.count("write") == 0
    assert len(calls) <= int(ops) // 8 + 50  # and hardly anything else
