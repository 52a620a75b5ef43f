"""The machine's pipes: few, handed out empty, closed with the machine and in a forked child."""

from __future__ import annotations

import os

import pytest

import ringmill
from ringmill.face import pipes
from ringmill.face.pipes import PIPES_MAX, pipes_here
from support import leaks


def test_one_is_used_again_when_it_is_empty(machine):
    pool = pipes_here()
    pipe = pool.take()
    pool.give(pipe, empty=True)
    assert pool.take() is pipe
    pool.give(pipe, empty=True)
    assert pipes_here() is pool


@pytest.mark.req("T3")
@pytest.mark.parametrize("believed", [True, False])
def test_one_that_holds_bytes_is_never_used_again(machine, believed):
    """Whatever its user believes."""
    pool = pipes_here()
    pipe = pool.take()
    os.write(pipe.target, b"left over")
    pool.give(pipe, empty=believed)
    assert pipe.closed
    assert pool.take() is not pipe


def test_there_are_at_most_so_many(machine):
    pool = pipes_here()
    lent = pool.take_many(PIPES_MAX)
    assert len(set(lent)) == PIPES_MAX
    assert pool.take() is None
    pool.give(lent.pop(), empty=True)
    assert pool.take_many(2) == []
    assert len(pool.idle) == 1
    for pipe in lent:
        pool.give(pipe, empty=True)
    assert len(pool.idle) == PIPES_MAX


def test_without_descriptors_there_is_none(machine, monkeypatch):
    def refused(flags):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(pipes.os, "pipe2", refused)
    assert pipes_here().take() is None


def test_closed_with_the_machine(kernel):
    before = leaks.open_fds()
    with ringmill.Machine(kernel=kernel):
        pool = pipes_here()
        lent, idle = pool.take_many(2)
        pool.give(idle, empty=True)
    assert lent.closed and idle.closed
    assert leaks.new_fds(before) == []
    pool.give(lent, empty=True)  # by a block that unwinds after that
    assert pool.idle == []


def test_a_forked_child_has_pipes_of_its_own(machine):
    pool = pipes_here()
    lent, idle = pool.take_many(2)
    pool.give(idle, empty=True)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if lent.closed and idle.closed and pipes_here() is not pool:
                status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.write(lent.target, b"still ours")
    assert os.read(lent.source, 100) == b"still ours"
    pool.give(lent, empty=True)
