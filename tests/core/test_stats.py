"""machine.stats(): every number is exact, names are stable, and looking changes nothing."""

from __future__ import annotations

import socket

import pytest

import ringmill
from ringmill import aio

ALIVE = {
    "ops_live", "ops_in_line", "views_held", "blocks_held", "buffers_lent", "leases", "strands",
    "ready", "timers", "writes_behind", "write_behind_bytes",
}
LIMITS = {"ops_max", "slots"}
COUNTED = {
    "buffers_starved", "enters", "submitted", "reaped", "beside_enters", "beside_submitted",
    "stale", "switches", "max_switches_between_io", "waits", "spins", "spins_won",
    "zero_copy_sends", "zero_copy_copied",
}


def test_the_names(machine):
    assert set(machine.stats()) == ALIVE | LIMITS | COUNTED
    assert all(isinstance(value, int) for value in machine.stats().values())


def test_a_fresh_machine_is_at_rest(machine):
    stats = machine.stats()
    assert {name: stats[name] for name in ALIVE} == dict.fromkeys(ALIVE, 0)
    assert stats["stale"] == 0 and stats["beside_submitted"] == 0


def test_looking_changes_nothing(machine):
    ringmill.nop()
    assert machine.stats() == machine.stats()


@pytest.mark.req("T12")
@pytest.mark.req("U19")
def test_what_is_alive_is_counted(machine, pipe):
    reader, _ = pipe
    left, right = socket.socketpair()
    base = machine.stats()

    def gained(name):
        return machine.stats()[name] - base[name]

    ops = [aio.read(reader, 10) for _ in range(3)]
    assert gained("ops_live") == 3
    ops.append(aio.recv_into(left, bytearray(10)))
    assert (gained("ops_live"), gained("views_held")) == (4, 1)
    ops.append(aio.readv(reader, [bytearray(1), bytearray(2)]))
    assert (gained("ops_live"), gained("views_held")) == (5, 3)
    ops.append(aio.recvmsg(left, 10))
    assert (gained("ops_live"), gained("blocks_held")) == (6, 1)
    sleeping = aio.sleep(3600)
    assert gained("timers") == 1
    fiber = ringmill.spawn(ringmill.park)
    assert (gained("strands"), gained("ready")) == (1, 1)
    ringmill.yield_now()
    assert (gained("strands"), gained("ready")) == (1, 0)
    for op in [*ops, sleeping]:
        op.cancel()
        with pytest.raises(ringmill.Cancelled):
            ringmill.wait(op)
    fiber.cancel()
    with pytest.raises(ringmill.Cancelled):
        fiber.join()
    assert [gained(name) for name in sorted(ALIVE)] == [0] * len(ALIVE)
    left.close()
    right.close()


def test_ops_are_counted_once_each(machine):
    ringmill.nop()
    before = machine.stats()
    for _ in range(100):
        ringmill.nop()
    after = machine.stats()
    assert after["submitted"] - before["submitted"] == 100
    assert after["reaped"] - before["reaped"] == 100
    assert after["ops_live"] == 0


def test_lent_buffers_come_back(machine):
    left, right = socket.socketpair()
    with ringmill.recv_each(left) as each:
        right.send(b"x" * 100)
        assert next(each) == b"x" * 100
        assert machine.stats()["buffers_lent"] == 0  # handed out as bytes, given back at once
        for _ in range(3):
            right.send(b"y")
            ringmill.nop()
    ringmill.nop()
    ringmill.nop()
    assert machine.stats()["buffers_lent"] == 0
    left.close()
    right.close()


@pytest.mark.req("U9")
def test_switches_are_counted(machine):
    def work():
        for _ in range(100):
            ringmill.yield_now()

    before = machine.stats()["switches"]
    machine.run(lambda: [fiber.join() for fiber in [ringmill.spawn(work) for _ in range(3)]])
    gained = machine.stats()["switches"] - before
    assert 300 <= gained <= 320


def test_stats_of_a_closed_machine(kernel):
    machine = ringmill.Machine(kernel=kernel)
    ringmill.nop()
    submitted = machine.stats()["submitted"]
    machine.close()
    stats = machine.stats()
    assert stats["submitted"] == submitted
    assert {name: stats[name] for name in ALIVE} == dict.fromkeys(ALIVE, 0)
