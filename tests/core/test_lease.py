"""Leases: memory of the arena, its line, and that all of it comes back."""

from __future__ import annotations

import gc
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ringmill
from ringmill import aio
from support import faces, programs, threads

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


# ── the pages ───────────────────────────────────────────────────────────────────────────────

@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 3 << 20)), max_size=120))
def test_leases_never_overlap(steps):
    """Random takes and gives: each keeps its own bytes, and all is one run in the end."""
    with ringmill.Machine(kernel="soft", arena=5 << 20) as machine:
        out = []
        for number, (which, n) in enumerate(steps):
            try:
                lease = ringmill.lease(n, on_full="raise")
            except ringmill.WouldExceedBudget:
                if out:
                    check(*out.pop(which % len(out)))
                continue
            mark = bytes([number % 251 + 1])
            for at in {0, n // 2, n - 1}:
                lease[at:at + 1] = mark
            out.append((lease, n, mark))
        for lease, n, mark in out:
            check(lease, n, mark)
        assert machine.stats()["leases"] == 0
        ringmill.lease(5 << 20, on_full="raise").release()


def check(lease, n, mark):
    for at in {0, n // 2, n - 1}:
        assert bytes(lease[at:at + 1]) == mark
    lease.release()


# ── registered buffers ──────────────────────────────────────────────────────────────────────

SIZES = [1, 10, PAGE, 100_000, (1 << 20) - 5, (1 << 20) + PAGE, 3 << 20]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("masked", ["", "fixed", "readv_fixed,write_fixed"])
def test_the_same_in_registered_memory(kernel, size, masked, tmp_path, monkeypatch):
    """Reads and writes, at once and in pieces, at every size: as with any other memory."""
    monkeypatch.setenv("RINGMILL_DISABLE", masked)
    data = os.urandom(size)
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    with ringmill.Machine(kernel=kernel, arena=8 << 20) as machine:
        for _ in range(4):  # a large lease is registered when it is used again
            with ringmill.lease(size) as view:
                view[:] = data
                ringmill.write_all(fd, view, offset=3)
                for _ in range(4):
                    view[:] = bytes(size)
                    assert ringmill.readinto(fd, view, offset=3) == size
                    assert bytes(view) == data
                half = size // 2
                assert ringmill.writev(fd, [view[half:], view[:half]], offset=0) == size
                view[:] = bytes(size)
                assert ringmill.readv(fd, [view[:1], view[1:]], offset=0) == size
                assert bytes(view) == data[half:] + data[:half]
                registered = machine.memory()["arena_registered"]
                assert (registered > 0) == (kernel == "linux" and masked != "fixed")
    os.close(fd)


def test_a_mixture_of_memory(machine, tmp_path):
    """One vector in the arena, one not: no registered buffer holds both."""
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"0123456789")
    with ringmill.lease(PAGE) as view:
        other = bytearray(3)
        assert ringmill.readv(fd, [view[:4], other, view[4:7]], offset=0) == 10
        assert bytes(view[:7]) == b"0123789" and other == b"456"
        assert ringmill.readv(fd, [view[:0], view[0:0]], offset=0) == 0
        assert ringmill.readinto(fd, view[:0], offset=0) == 0
    os.close(fd)


def test_errors_are_the_same(machine, tmp_path):
    with ringmill.lease(PAGE) as view:
        with pytest.raises(IsADirectoryError):
            fd = os.open(tmp_path, os.O_RDONLY)
            try:
                ringmill.readinto(fd, view)
            finally:
                os.close(fd)
        with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="space"):
            ringmill.write(full, view)
        with open("/dev/zero", "rb", buffering=0) as zero:
            view[:] = b"x" * PAGE
            assert ringmill.readinto(zero, view) == PAGE
            assert bytes(view) == bytes(PAGE)
        with open("/proc/self/status", "rb", buffering=0) as status:
            n = ringmill.readinto(status, view)
            assert bytes(view[:n]).startswith(b"Name:")


def test_sockets_and_pipes(machine, pipe):
    import socket

    reader, writer = pipe
    left, right = socket.socketpair()
    with left, right, ringmill.lease(2 * PAGE) as view:
        op = aio.readinto(reader, view)
        ringmill.yield_now()
        view2 = view[PAGE:]
        view2[:5] = b"hello"
        ringmill.write_all(writer, view2[:5])
        assert ringmill.wait(op) == 5 and bytes(view[:5]) == b"hello"
        ringmill.sendall(left, view[:5])
        assert ringmill.recv_into(right, view2) == 5
        ringmill.write(left, view[:5])
        assert ringmill.readinto(right, view[10:]) == 5


@pytest.mark.parametrize("limit", ["MEMLOCK", "MEMLOCK=700000"])
def test_little_memory_may_be_locked(limit):
    """Not even a ring, or a ring and no buffers: the same, in plain memory."""
    programs.clean("""
        import os, tempfile
        import ringmill

        with tempfile.TemporaryFile() as file, ringmill.lease(100_000) as view:
            view[:] = bytes(range(250)) * 400
            ringmill.write_all(file.fileno(), view)
            view[:] = bytes(100_000)
            assert ringmill.readinto(file.fileno(), view, offset=0) == 100_000
            assert bytes(view) == bytes(range(250)) * 400
            assert ringmill.machine().memory()["arena_registered"] == 0
    """, refuse=limit)


@pytest.mark.req("T35")
def test_fork_with_leases(kernel):
    """The child's are its own copies, and its machine is another; the parent's go on."""
    programs.clean("""
        import os
        import ringmill
        from ringmill import aio

        reader, writer = os.pipe()
        lease = ringmill.lease(8192)
        view = memoryview(lease)
        view[:5] = b"hello"
        op = aio.readinto(reader, view[100:200])
        waits = aio.lease(32 << 20)
        ringmill.nop()
        pid = os.fork()
        if pid == 0:
            assert bytes(view[:5]) == b"hello"
            view[:5] = b"child"
            view.release()
            lease.release()
            with ringmill.lease(4096) as mine:
                mine[:2] = b"ab"
                ringmill.write(writer, mine[:2])
            assert ringmill.machine().stats()["leases"] == 0
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert ringmill.wait(op) == 2 and bytes(view[100:102]) == b"ab"
        assert bytes(view[:5]) == b"hello"
        assert not waits.done
        waits.cancel()
        try:
            waits.result()
        except ringmill.Cancelled:
            pass
        view.release()
        lease.release()
        assert ringmill.machine().stats()["leases"] == 0
    """, kernel=kernel)
