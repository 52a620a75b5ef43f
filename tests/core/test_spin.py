"""Short waits awake: only where completions come that fast, and never when told not to."""

from __future__ import annotations

import socket

import pytest

import ringmill
from ringmill.core import masks

TASKRUN_FLAG = masks.parse("taskrun_flag").behaviours


def echo(machine, rounds):
    """Rounds between two fibers over a socket pair: completions come within microseconds."""
    left, right = socket.socketpair()

    def serve():
        for _ in range(rounds):
            ringmill.send(right, ringmill.recv(right, 10))

    def main():
        fiber = ringmill.spawn(serve)
        for _ in range(rounds):
            ringmill.send(left, b"x")
            assert ringmill.recv(left, 10) == b"x"
        fiber.join()

    machine.run(main)
    left.close()
    right.close()


def test_spin_false_never_spins(kernel):
    with ringmill.Machine(kernel=kernel, spin=False) as machine:
        echo(machine, 200)
        for _ in range(20):
            ringmill.sleep(0.0001)
        stats = machine.stats()
        assert stats["spins"] == 0 and stats["spins_won"] == 0
        assert stats["waits"] > 0


def test_spinning_stops_when_waits_are_long(kernel):
    """A miss is not repeated at once: long waits are slept, with a try now and then."""
    with ringmill.Machine(kernel=kernel, spin=True) as machine:
        for _ in range(100):
            ringmill.sleep(0.001)
        stats = machine.stats()
        assert stats["waits"] >= 100
        assert stats["spins"] <= stats["waits"] // 4
        assert stats["spins_won"] <= stats["spins"]


@pytest.mark.parametrize("spin", [True, False])
def test_the_results_are_the_same(kernel, spin):
    with ringmill.Machine(kernel=kernel, spin=spin) as machine:
        echo(machine, 300)
        stats = machine.stats()
        assert stats["spins_won"] <= stats["spins"] <= stats["waits"]


def test_a_spin_ends_with_the_timer_that_is_due(kernel):
    """Short sleeps among spins are not stretched into lost ones: all end."""
    with ringmill.Machine(kernel=kernel, spin=True) as machine:
        echo(machine, 50)
        for _ in range(200):
            ringmill.sleep(0.00002)
        assert machine.stats()["timers"] == 0


def test_it_does_spin(kernel):
    """A fresh machine tries it at the first wait: else all of the above would show nothing."""
    with ringmill.Machine(kernel=kernel, spin=True) as machine:
        flags = machine.facts()["behaviours"]
        ringmill.sleep(0.0005)
        stats = machine.stats()
        assert stats["waits"] >= 1
        # Waiting awake needs the kernel's word (TASKRUN_FLAG); where it is not given, we sleep.
        assert stats["spins"] >= (1 if flags & TASKRUN_FLAG else 0)
