"""What a burst has made a machine take is given back when it idles; and then it sleeps."""

from __future__ import annotations

import os

import pytest

import ringmill
from ringmill import aio

IDLE_S = 1.2  # core/turn.pyx gives back after a second
POOLS = ("op_slots", "blocks_spare", "buffer_groups", "runqueues", "timers", "arena_registered")


def resident():
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def burst(machine, pipe, path):
    """Many of everything at once; what memory() says in the midst of it."""
    reader, writer = pipe
    ops = [aio.read(reader, 1) for _ in range(4000)]
    naps = [aio.sleep(60) for _ in range(4000)]
    stats = [aio.stat(path) for _ in range(1000)]
    fibers = [ringmill.spawn(ringmill.yield_now) for _ in range(5000)]
    each = aio.read_each(reader)
    first = anext(each)
    fd = os.open(path, os.O_RDONLY)
    leases = [ringmill.lease(1 << 20) for _ in range(20)]
    for lease in leases:
        with lease as view:
            view[:] = bytes(1 << 20)
            ringmill.readinto(fd, view, offset=0)
    os.close(fd)
    for fiber in fibers:
        fiber.join()
    for op in stats:
        ringmill.wait(op)
    at_most = machine.memory()
    each.close()
    for op in (*ops, *naps, first):
        op.cancel()
    for op in (*ops, *naps, first):
        with pytest.raises((ringmill.Cancelled, StopAsyncIteration)):
            ringmill.wait(op)
    return at_most


@pytest.mark.req("T10")
def test_pools_shrink_when_idle(kernel, pipe, tmp_path):
    (tmp_path / "file").write_bytes(bytes(100_000))
    with ringmill.Machine(kernel=kernel) as machine:
        ringmill.sleep(0.001)
        before = machine.memory()
        at_most = burst(machine, pipe, tmp_path / "file")
        grown = [name for name in POOLS if at_most[name] > before[name]]
        assert len(grown) >= (len(POOLS) if kernel == "linux" else len(POOLS) - 1)
        full = resident()
        ringmill.sleep(IDLE_S)
        ringmill.sleep(IDLE_S)
        after = machine.memory()
        assert {name: after[name] for name in POOLS if after[name] > before[name]} \
            in ({}, {"blocks_spare": after["blocks_spare"]})
        assert after["blocks_spare"] <= 64 << 10
        assert full - resident() > 15 << 20  # the arena's pages, above all
        waits = machine.stats()["waits"]
        ringmill.sleep(2 * IDLE_S)
        assert machine.stats()["waits"] - waits <= 2  # nobody wakes it for nothing
        assert burst(machine, pipe, tmp_path / "file")["op_slots"] == at_most["op_slots"]
        assert machine.stats()["stale"] == 0


def test_what_is_used_stays(kernel, pipe):
    """Ops and leases that are alive while the machine idles are not touched."""
    reader, writer = pipe
    with ringmill.Machine(kernel=kernel) as machine:
        many = [aio.read(reader, 1) for _ in range(2000)]
        others = [ringmill.lease(1 << 20) for _ in range(4)]
        kept = [ringmill.lease(1 << 20) for _ in range(4)]
        for i, lease in enumerate(kept):
            lease[:] = bytes([i]) * (1 << 20)
        others.clear()
        for op in many[:1900]:
            op.cancel()
        for op in many[:1900]:
            with pytest.raises(ringmill.Cancelled):
                ringmill.wait(op)
        ringmill.sleep(IDLE_S)
        ringmill.sleep(IDLE_S)
        for i, lease in enumerate(kept):
            assert bytes(lease[:]) == bytes([i]) * (1 << 20)
            lease.release()
        os.write(writer, b"x" * 100)
        for op in many[1900:]:
            assert ringmill.wait(op) == b"x"
        assert machine.stats()["stale"] == 0
