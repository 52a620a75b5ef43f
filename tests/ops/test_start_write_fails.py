"""Writes that nobody has to wait for, and that fail: told exactly once, whoever asks next."""

from __future__ import annotations

import gc
import os
import resource
import signal

import pytest

import ringmill
from ops.writing import content, drained, fill
from ringmill import aio
from support.faces import drive
from support.limits import limited


@pytest.mark.req("T6")
@pytest.mark.parametrize("ordered", [False, True])
def test_awaited_it_is_raised_there_and_nowhere_else(machine, face, full, ordered, reported):
    op = aio.start_write(full, b"x", ordered=ordered)
    with pytest.raises(OSError, match="No space"):
        drive(face, lambda: ringmill.wait(op) if face == "fiber" else op)
    drained(face, full)
    aio.start_write(full, b"", ordered=ordered)
    drained(face)
    assert reported == []


def by_drain(fd):
    ringmill.drain(fd)


def by_draining_all(fd):
    ringmill.drain()


def by_the_next_write(fd):
    ringmill.start_write(fd, b"")


def by_close(fd):
    ringmill.close(fd)


@pytest.mark.req("T6")
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("ask", [by_drain, by_draining_all, by_the_next_write, by_close])
def test_unawaited_it_is_told_once_to_the_next_who_asks(machine, ask, ordered, reported):
    fd = os.open("/dev/full", os.O_WRONLY)
    aio.start_write(fd, b"lost", ordered=ordered)
    ringmill.sleep(0.002)
    while machine.stats()["writes_behind"]:
        ringmill.sleep(0.001)
    gc.collect()
    with pytest.raises(OSError, match="No space") as caught:
        ask(fd)
    assert f"0 of 4 bytes were written by start_write to descriptor {fd}" in caught.value.__notes__
    if ask is by_close:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fd)
    else:
        ringmill.drain()
        ringmill.close(fd)
    assert reported == []


@pytest.mark.req("T6")
def test_a_closed_pipe(machine, face):
    reader, writer = os.pipe()
    os.close(reader)
    aio.start_write(writer, b"nobody reads this")
    with pytest.raises(BrokenPipeError):
        drained(face, writer)
    drained(face, writer)
    os.close(writer)


@pytest.mark.req("T6")
@pytest.mark.parametrize("hook", [False, True])
def test_nobody_asks_until_the_machine_is_closed(kernel, full, hook, reported):
    told = []
    with ringmill.Machine(kernel=kernel) as machine:
        if hook:
            machine.on_write_error = told.append
        aio.start_write(full, b"first")
        aio.start_write(full, b"second")
    errors = told if hook else reported
    assert [error.errno for error in errors] == [28, 28]
    assert (reported if hook else told) == []


def test_a_hook_that_fails(kernel, full, reported):
    def broken(error):
        raise LookupError("of its own")

    with ringmill.Machine(kernel=kernel) as machine:
        machine.on_write_error = broken
        aio.start_write(full, b"x")
    assert [type(error) for error in reported] == [LookupError]


def test_several_failures_are_one_error_with_notes(machine, face, full):
    for _ in range(3):
        aio.start_write(full, b"x")
    with pytest.raises(OSError, match="No space") as caught:
        drained(face, full)
    assert "and 2 more: [Errno 28] No space left on device" in caught.value.__notes__
    drained(face)


@pytest.mark.req("T6")
def test_behind_an_ordered_one_that_fails_nothing_is_written(machine, face, tmp_path):
    """A log without a hole: what stood behind it fails as well, and says so to who awaits it."""
    path = tmp_path / "limited"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        aio.start_write(fd, b"a" * 100, ordered=True)
        ringmill.drain()
        with limited(resource.RLIMIT_FSIZE, 100):
            ops = [aio.start_write(fd, b"b" * 100, ordered=True),
                   aio.start_write(fd, b"c", offset=0, ordered=True)]
            with pytest.raises(OSError, match="too large"):
                drained(face)
            for op in ops:  # whoever awaits a handle is told what became of it
                with pytest.raises(OSError, match="too large"):
                    op.result()
            drained(face)
    finally:
        signal.signal(signal.SIGXFSZ, previous)
    assert content(fd) == b"a" * 100
    assert aio.start_write(fd, b"c", offset=0, ordered=True).cancel()
    ringmill.drain()
    os.close(fd)


def test_a_drain_that_nobody_looks_at_gives_the_error_back(machine, full):
    aio.start_write(full, b"x")
    op = aio.drain(full)
    while not op.done:
        ringmill.nop()
    op.detach()
    del op
    with pytest.raises(OSError, match="No space"):
        ringmill.drain(full)
    ringmill.drain()


@pytest.mark.req("T6")
def test_a_failure_does_not_pass_to_the_file_that_has_the_number_now(machine, tmp_path):
    told = []
    machine.on_write_error = told.append
    first = os.open("/dev/full", os.O_WRONLY)
    aio.start_write(first, b"x")
    while machine.stats()["writes_behind"]:
        ringmill.nop()
    os.close(first)
    second = os.open(tmp_path / "second", os.O_RDWR | os.O_CREAT)
    assert second == first
    ringmill.wait(aio.start_write(second, b"fine"))
    ringmill.drain(second)
    ringmill.sleep(0)
    assert [error.errno for error in told] == [28]
    os.close(second)
    machine.on_write_error = None


def test_one_under_way_when_its_number_changes_hands(machine, tmp_path):
    """It goes on, and its failure is told to the hook, for nobody else can ask."""
    told = []
    machine.on_write_error = told.append
    source, target = os.pipe()
    fill(target)
    aio.start_write(target, b"x")
    ringmill.nop()
    os.close(target)
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    assert other == target
    ringmill.wait(aio.start_write(other, b"fine"))
    os.close(source)
    while machine.stats()["writes_behind"]:
        ringmill.sleep(0.001)
    ringmill.sleep(0)
    assert [type(error) for error in told] == [BrokenPipeError]
    os.close(other)
    machine.on_write_error = None


@pytest.mark.parametrize("ordered", [False, True])
def test_what_cannot_be_written_at_the_end_is_told(kernel, pipe, ordered, monkeypatch):
    """Machine.end(), which waits a second: each write that did not happen is an error."""
    fill(pipe[1])
    told = []
    machine = ringmill.Machine(kernel=kernel)
    machine.on_write_error = told.append
    ops = [aio.start_write(pipe[1], b"x", ordered=ordered) for _ in range(3)]
    ringmill.nop()
    machine.end()
    assert [error.errno for error in told] == [125] * 3
    assert all(op.done for op in ops)


def test_a_forked_child_writes_and_tells_nothing(machine, pipe, reported):
    filled = fill(pipe[1])
    aio.start_write(pipe[1], b"once", ordered=True)
    aio.start_write(pipe[1], b"more", ordered=True)
    ringmill.nop()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            ringmill.machine().close()
            if not reported:
                status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    while filled:
        filled -= len(ringmill.read(pipe[0], filled))
    ringmill.drain()
    assert os.read(pipe[0], 100) in (b"oncemore", b"once")
