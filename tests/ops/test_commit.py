"""Writes from memory that the machine owns: filled in place, handed over, back when written."""

from __future__ import annotations

import hashlib
import os
import resource

import pytest

import ringmill
from ops.writing import content, drained, fill
from ringmill import aio
from ringmill.errors import WouldExceedBudget
from support.faces import call

KIB = 1 << 10


@pytest.mark.req("T9")
def test_filled_in_place_and_handed_over(machine, face, scratch):
    buffer = call(face, "alloc_write", 100)
    assert isinstance(buffer, memoryview) and len(buffer) == 100
    buffer[:] = b"x" * 100
    op = aio.commit(buffer, scratch, 5)
    with pytest.raises(ValueError, match="released"):
        buffer[0] = 1
    assert ringmill.wait(op) == 100
    assert content(scratch) == bytes(5) + b"x" * 100
    assert machine.stats()["leases"] == 0


@pytest.mark.req("T9")
def test_a_part_of_it_and_a_lease_itself(machine, scratch):
    buffer = ringmill.alloc_write(KIB)
    buffer[:10] = b"0123456789"
    assert ringmill.wait(aio.commit(buffer[2:5], scratch)) == 3
    buffer.release()
    lease = ringmill.lease(4)
    lease[:] = b"abcd"
    assert ringmill.wait(aio.commit(lease, scratch)) == 4
    assert lease.released
    with ringmill.lease(4) as view:
        view[:] = b"efgh"
        ringmill.wait(aio.commit(view, scratch))
    assert content(scratch) == b"234abcdefgh"
    assert machine.stats()["leases"] == 0


@pytest.mark.req("T7", "T9")
def test_the_memory_is_not_given_to_others_before_it_is_written(machine, pipe):
    filled = fill(pipe[1])
    buffer = ringmill.alloc_write(KIB)
    buffer[:] = b"x" * KIB
    op = aio.commit(buffer, pipe[1])
    ringmill.nop()
    assert machine.stats()["leases"] == 1
    left = filled + KIB
    while left:
        left -= len(ringmill.read(pipe[0], left))
    assert ringmill.wait(op) == KIB
    assert machine.stats()["leases"] == 0


@pytest.mark.req("T9")
def test_beyond_the_arena_the_caller_waits(kernel, face, scratch):
    """Ten thousand commits of 64 KiB through an arena of a MiB; it never grows."""
    wanted = hashlib.sha256()
    with ringmill.Machine(kernel=kernel, arena=1 << 20) as machine:
        async def main():
            for index in range(10_000):
                buffer = await aio.alloc_write(64 * KIB)
                buffer[:8] = b"%08d" % index
                aio.commit(buffer, scratch, (index % 32) * 64 * KIB, ordered=True)
            await aio.drain()

        def fiber():
            for index in range(10_000):
                buffer = ringmill.alloc_write(64 * KIB)
                buffer[:8] = b"%08d" % index
                ringmill.commit(buffer, scratch, (index % 32) * 64 * KIB, ordered=True)
            ringmill.drain()

        ringmill.run(fiber if face == "fiber" else main)
        assert machine.memory()["arena_high_water"] <= 1 << 20
        assert machine.stats()["leases"] == 0
    for index in range(10_000 - 10_000 % 32, 10_000):
        wanted.update(b"%08d" % index)
    came = hashlib.sha256()
    for place in range(10_000 % 32):
        came.update(os.pread(scratch, 8, place * 64 * KIB))
    assert came.digest() == wanted.digest()


@pytest.mark.req("T9")
def test_page_faults_are_flat_after_the_first_round(machine, scratch):
    """The same memory again and again: nothing is mapped anew."""
    def round():
        for index in range(200):
            buffer = ringmill.alloc_write(64 * KIB)
            buffer[:8] = b"%08d" % index
            aio.commit(buffer, scratch, 0)
            if index % 8 == 7:
                ringmill.drain()
        ringmill.drain()

    round()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    round()
    faults = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
    assert faults < 200  # one per commit, if each were mapped: sixteen pages each


@pytest.mark.req("T9")
def test_an_arena_that_is_spent_raises_when_asked_to(kernel, face, pipe):
    filled = fill(pipe[1])
    with ringmill.Machine(kernel=kernel, arena=64 * KIB):
        op = aio.commit(ringmill.alloc_write(64 * KIB), pipe[1])
        with pytest.raises(WouldExceedBudget):
            call(face, "alloc_write", 1, on_full="raise")
        with pytest.raises(TimeoutError), ringmill.timeout(0.005):
            ringmill.alloc_write(1)
        left = filled + 64 * KIB
        while left:
            left -= len(ringmill.read(pipe[0], left))
        assert ringmill.wait(op) == 64 * KIB
        call(face, "alloc_write", 1, on_full="raise").release()


@pytest.mark.req("T9")
def test_refused_it_stays_the_callers(machine):
    buffer = ringmill.alloc_write(10)
    with pytest.raises(OSError, match="Bad file"):
        aio.commit(buffer, 999999)
    buffer[:] = b"still mine"
    with pytest.raises(ValueError, match="offset"):
        aio.commit(buffer, 0, -1)
    for wrong in (b"bytes", bytearray(3), memoryview(b"view")):
        with pytest.raises(TypeError, match="alloc_write"):
            aio.commit(wrong, 0)
    buffer.release()
    assert machine.stats()["leases"] == 0


@pytest.mark.req("T9")
def test_cancelled_failed_or_dropped_the_memory_comes_back(machine, face, full, pipe):
    fill(pipe[1])
    op = aio.commit(ringmill.alloc_write(10), pipe[1], ordered=True)
    behind = aio.commit(ringmill.alloc_write(10), pipe[1], ordered=True)
    behind.cancel()
    op.cancel()
    aio.commit(ringmill.alloc_write(10), full)
    with pytest.raises(OSError, match="No space"):
        drained(face)
    call(face, "alloc_write", 10)
    assert machine.stats()["leases"] == 0
