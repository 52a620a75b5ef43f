"""The arena: its pages, registered buffers, what becomes of it in a child."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ringmill
from ringmill import aio
from support import programs

PAGE = 4096


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
