"""Leases: memory of the arena, its line, and that all of it comes back."""

from __future__ import annotations

import gc
import os
import threading

import pytest

import ringmill
from ringmill import aio
from support import faces, threads

PAGE = 4096


@pytest.fixture
def small(kernel):
    """A machine whose arena has four pages."""
    with ringmill.Machine(kernel=kernel, arena=4 * PAGE) as machine:
        yield machine
        assert machine.stats()["leases"] == 0


def take(face, *arguments, **keywords):
    return faces.call(face, "lease", *arguments, **keywords)


@pytest.mark.req("T9")
def test_it_is_a_writable_buffer(machine, face):
    lease = take(face, 10_000)
    assert len(lease) == 10_000
    with lease as view:
        assert isinstance(view, memoryview)
        assert not view.readonly and view.nbytes == 10_000
        view[:3] = b"abc"
        assert bytes(lease[:3]) == b"abc"
        lease[1:2] = b"X"
        assert bytes(view[:3]) == b"aXc"
    assert lease.released
    with pytest.raises(ValueError, match="released"):
        memoryview(lease)
    with pytest.raises(ValueError, match="released"):
        lease.detach()
    lease.release()  # again: nothing


@pytest.mark.parametrize("n", [0, -1])
def test_a_size_that_is_none(machine, n):
    with pytest.raises(ValueError, match="1 byte or more"):
        ringmill.lease(n)


@pytest.mark.parametrize("n", ["1", 1.0, None])
def test_a_size_of_the_wrong_type(machine, n):
    with pytest.raises(TypeError):
        ringmill.lease(n)
    with pytest.raises(TypeError):
        aio.lease(n)


def test_on_full_is_a_word(machine):
    with pytest.raises(ValueError, match="on_full"):
        ringmill.lease(1, on_full="never")
    with pytest.raises(ValueError, match="on_full"):
        ringmill.scope(on_full=True)


@pytest.mark.parametrize("arena", [-1, 1 << 50])
def test_an_arena_that_cannot_be(arena):
    with pytest.raises(ValueError, match="arena"):
        ringmill.Machine(arena=arena)


def test_what_can_never_fit_is_told_at_once(small, face):
    with pytest.raises(ringmill.WouldExceedBudget, match="arena: 16385 bytes"):
        take(face, 4 * PAGE + 1)


def test_no_arena_at_all(kernel):
    with ringmill.Machine(kernel=kernel, arena=0), pytest.raises(ringmill.WouldExceedBudget):
        ringmill.lease(1)


def test_full_raises_when_asked(small, face):
    with ringmill.lease(4 * PAGE):
        with pytest.raises(ringmill.WouldExceedBudget, match="16384 of 16384 are out"):
            take(face, 1, on_full="raise")
    take(face, 1, on_full="raise").release()


def test_a_machine_that_raises(kernel):
    with ringmill.Machine(kernel=kernel, arena=PAGE, on_full="raise"), ringmill.lease(1):
        with pytest.raises(ringmill.WouldExceedBudget):
            ringmill.lease(1)
        with pytest.raises(TimeoutError), ringmill.timeout(0.001):
            ringmill.lease(1, on_full="wait")


@pytest.mark.req("T10")
def test_the_line_is_fair(small, face):
    """First come, first served: a small one does not overtake a large one that waits."""
    order = []

    def wants(name, n):
        with ringmill.lease(n):
            order.append(name)

    async def awants(name, n):
        with await aio.lease(n):
            order.append(name)

    def main():
        with ringmill.scope() as s:
            held = [ringmill.lease(PAGE) for _ in range(4)]
            for name, n in (("large", 3 * PAGE), ("small", PAGE), ("last", 2 * PAGE)):
                s.spawn(wants if face == "fiber" else awants, name, n)
            for _ in range(4):
                ringmill.yield_now()
                assert not order or len(held) < 2
                held.pop().release()

    small.run(main)
    assert order == ["large", "small", "last"]


@pytest.mark.req("T10")
def test_waiting_ends_in_time_and_by_cancel(small, face):
    """Who gives up leaves the line; those behind move up."""
    with ringmill.lease(3 * PAGE):
        with pytest.raises(TimeoutError), ringmill.timeout(0.001):
            take_inside(2 * PAGE)
        op = aio.lease(2 * PAGE)
        behind = aio.lease(PAGE)
        assert not op.done and not behind.done  # there would be room for the second
        assert op.cancel()
        assert behind.done
        with pytest.raises(ringmill.Cancelled):
            op.result()
        behind.result().release()
        dropped = aio.lease(2 * PAGE)
        dropped.detach()
        behind = aio.lease(PAGE)
        assert not behind.done
        del dropped
        assert behind.done
        behind.detach()
        del behind  # granted, and taken by nobody
        behind = aio.lease(PAGE)
        assert behind.done
        behind.result().release()


def take_inside(n):
    return ringmill.lease(n)


def test_a_view_keeps_it(small):
    lease = ringmill.lease(4 * PAGE)
    view = memoryview(lease)[5:7]
    lease.release()
    assert not lease.released
    assert small.stats()["leases"] == 1
    with pytest.raises(ringmill.WouldExceedBudget):
        ringmill.lease(1, on_full="raise")
    del view
    assert lease.released
    ringmill.lease(1, on_full="raise").release()


def test_an_op_keeps_it(small, pipe):
    """The kernel may still write there: the op's end gives it back."""
    reader, writer = pipe
    with ringmill.lease(4 * PAGE) as view:
        op = aio.readinto(reader, view[:10])
    assert small.stats()["leases"] == 1
    os.write(writer, b"abc")
    assert ringmill.wait(op) == 3
    assert small.stats()["leases"] == 0


def test_a_block_that_fails_gives_it_back(small):
    with pytest.raises(LookupError), ringmill.lease(PAGE):
        raise LookupError
    assert small.stats()["leases"] == 0


@pytest.mark.req("T35")
def test_detach_copies(machine, pipe):
    lease = ringmill.lease(100)
    lease[:] = bytes(range(100))
    mine = lease.detach()
    assert type(mine) is bytearray and mine == bytes(range(100))
    assert lease.released
    lease = ringmill.lease(100)
    op = aio.readinto(pipe[0], lease)
    with pytest.raises(BufferError):
        lease.detach()
    op.cancel()
    with pytest.raises(ringmill.Cancelled):
        ringmill.wait(op)
    assert len(lease.detach()) == 100


@pytest.mark.req("T35")
def test_dropped_in_another_thread(small):
    """It goes back in the machine's own thread, and those in line there are woken."""
    held = [ringmill.lease(4 * PAGE)]

    def drop():
        assert len(held[0]) == 4 * PAGE
        held.clear()

    thread = threading.Thread(target=drop)
    waiting = aio.lease(4 * PAGE)
    thread.start()
    ringmill.wait(waiting).release()
    thread.join()


@pytest.mark.req("T35")
def test_another_thread_has_an_arena_of_its_own(small):
    def other():
        with ringmill.Machine(arena=PAGE) as machine:
            with ringmill.lease(PAGE) as view:
                view[:] = bytes(PAGE)
                assert machine.stats()["leases"] == 1

    with ringmill.lease(4 * PAGE):
        assert threads.elsewhere(other) is None


def test_it_outlives_its_machine(kernel):
    with ringmill.Machine(kernel=kernel) as machine:
        lease = ringmill.lease(PAGE)
        view = memoryview(lease)
        view[:3] = b"abc"
    del machine
    gc.collect()
    assert bytes(view[:3]) == b"abc"
    with pytest.raises(BufferError):
        lease.detach()
    view.release()
    assert lease.detach()[:3] == b"abc"
    assert lease.released


@pytest.mark.req("T30")
def test_a_scope_has_a_budget(machine, face):
    """The third half of a MiB waits, or raises; all is back at the end."""
    half = 512 << 10

    def body(s):
        first, second = ringmill.lease(half), ringmill.lease(half)
        assert s.memory_used == 2 * half
        with pytest.raises(ringmill.WouldExceedBudget, match="scope: 524288 bytes"):
            ringmill.lease(half, on_full="raise")
        with pytest.raises(TimeoutError), ringmill.timeout(0.001):
            ringmill.lease(half)
        third = s.spawn(ringmill.lease, half)
        ringmill.yield_now()
        assert not third.done
        first.release()
        third.join().release()
        del third
        second.release()

    def main():
        with ringmill.scope(memory=1 << 20) as s:
            body(s)
            assert s.memory_used == 0
            kept = ringmill.lease(half)
        with ringmill.lease(4 << 20):  # outside, it does not count
            pass
        kept.release()
        assert s.memory_used == 0

    async def amain():
        async with ringmill.scope(memory=1 << 20) as s:
            first, second = await aio.lease(half), await aio.lease(half)
            with pytest.raises(ringmill.WouldExceedBudget):
                aio.lease(half, on_full="raise")
            third = aio.lease(half)
            await aio.yield_now()
            assert not third.done
            first.release()
            (await third).release()
            second.release()
            del third
            assert s.memory_used == 0

    machine.run(main if face == "fiber" else amain)


@pytest.mark.req("T30")
def test_scopes_in_scopes(machine):
    """What is leased inside counts outside, too; children of a scope share its budget."""
    def child(n):
        with ringmill.lease(n):
            ringmill.yield_now()

    def main():
        with ringmill.scope(memory=8 * PAGE, on_full="raise") as outer:
            mine = ringmill.lease(4 * PAGE)
            with ringmill.scope(memory=4 * PAGE, on_full="wait") as inner:
                for _ in range(10):
                    inner.spawn(child, 4 * PAGE)  # they wait in the inner line for each other
                ringmill.yield_now()
                assert (inner.memory_used, outer.memory_used) == (4 * PAGE, 8 * PAGE)
            assert outer.memory_used == 4 * PAGE
            with ringmill.scope(memory=99 * PAGE):
                with pytest.raises(ringmill.WouldExceedBudget, match="32768 that there are"):
                    ringmill.lease(9 * PAGE)
            mine.release()

    machine.run(main)


def test_a_scope_that_waits_for_the_arena(small):
    """Cancelled there, it gives back what its scope was charged."""
    def main():
        held = ringmill.lease(4 * PAGE)
        with ringmill.scope(memory=2 * PAGE) as s:
            op = aio.lease(2 * PAGE)
            assert s.memory_used == 2 * PAGE
            assert op.cancel()
            assert s.memory_used == 0
            with pytest.raises(ringmill.Cancelled):
                op.result()
        held.release()

    small.run(main)


@pytest.mark.parametrize("memory", [0, -5])
def test_a_scope_without_room(memory):
    with pytest.raises(ValueError, match="memory"):
        ringmill.scope(memory=memory)
