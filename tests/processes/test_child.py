"""Waiting and reaping: through a pidfd or without, whoever else waits, whatever SIGCHLD does."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

import ringmill
from ringmill.processes import child
from support import faces

PIPE = subprocess.PIPE


@pytest.fixture(params=["pidfd", "no pidfd"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With pidfds, and as where the system has none."""
    if request.param == "no pidfd":
        def missing(_pid: int, _flags: int = 0) -> int:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

        monkeypatch.setattr(os, "pidfd_open", missing)
    return request.param


@pytest.fixture
def nobody_told() -> Iterator[None]:
    """SIGCHLD ignored: the kernel keeps no child for its parent."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.fixture(scope="module")
def tells_later() -> bool:
    """Does this kernel know how a process ended that has been reaped? (Linux 6.15)"""
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 5"], {})
    reaped = child.Child.__new__(child.Child)
    reaped.pidfd = os.pidfd_open(pid)
    os.waitpid(pid, 0)
    return reaped._code_of_reaped() == 5


@pytest.mark.usefixtures("machine")
def test_waiting(face: str, way: str) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["sh", "-c", "read x; exit 4"],
                                             stdin=PIPE)) as process:
            assert (process._child.pidfd >= 0) == (way == "pidfd")
            waiting = ringmill.spawn(process.wait if face == "fiber" else process.wait())
            await ringmill.aio.sleep(0.002)
            assert process.poll() is None
            process.stdin.close()
            assert await waiting == 4
        async with on.within(on.open_process(["sleep", "60"])) as process:
            with pytest.raises(TimeoutError), ringmill.timeout(0.002):
                await on(process.wait())
            process.terminate()
            assert await on(process.wait()) == -15
            process.kill()
        assert process._child.pidfd == -1

    faces.play(face, program)


@pytest.mark.usefixtures("machine", "way")
def test_the_block_ends_it(face: str) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["sleep", "60"])) as process:
            pass
        assert process.returncode == -9

    faces.play(face, program)


@pytest.mark.usefixtures("machine", "tells_later", "nobody_told")
def test_when_sigchld_is_ignored(face: str, way: str, tells_later: bool) -> None:
    """The end is seen; how it ended as well where Linux remembers, else it is 0: subprocess's
    answer."""
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["sh", "-c", "read x; exit 4"],
                                             stdin=PIPE)) as process:
            process.stdin.close()
            assert await on(process.wait()) == (4 if way == "pidfd" and tells_later else 0)
        # Ended, and its number free, before anybody could look.
        async with on.within(on.open_process(["true"])) as process:
            await on(process.wait())
            process.kill()

    faces.play(face, program)


@pytest.mark.usefixtures("machine")
def test_when_somebody_else_reaps_it(face: str, way: str, tells_later: bool) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.open_process(["sh", "-c", "exit 4"])) as process:
            os.waitpid(process.pid, 0)
            assert await on(process.wait()) == (4 if way == "pidfd" and tells_later else 0)
            process.kill()

    faces.play(face, program)


@pytest.mark.usefixtures("machine", "way")
def test_children_of_others_are_not_touched(face: str) -> None:
    async def program(on: faces.Play) -> None:
        others = [subprocess.Popen(["sh", "-c", f"exit {code}"]) for code in range(5)]
        for code in range(5):
            done = await on(on.run_process(["sh", "-c", f"exit {code + 10}"]))
            assert done.returncode == code + 10
        assert [other.wait() for other in others] == list(range(5))

    faces.play(face, program)


@pytest.mark.usefixtures("machine")
def test_no_handler_of_ours(face: str) -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGCHLD, lambda number, _frame: told.append(number))
    try:
        faces.call(face, "run_process", ["true"])
        assert told  # the program's own handler has run
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_signal_handler_that_looks(machine: Any) -> None:
    """It may come at any point of looking, and look itself."""
    with ringmill.open_process(["sh", "-c", "exit 3"]) as process:
        before = signal.signal(signal.SIGCHLD, lambda *_: process.poll())
        try:
            assert process.wait() == 3
        finally:
            signal.signal(signal.SIGCHLD, before)


def test_a_number_that_is_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the end of a child that nobody keeps and pidfd_open, its number was given away."""
    stranger = os.getppid()
    opened = os.pidfd_open
    monkeypatch.setattr(os, "pidfd_open", lambda _pid: opened(stranger))
    with ringmill.open_process(["true"]) as process:
        assert process._child.pidfd == -1
        assert process.wait() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_ends_nothing(machine: Any) -> None:
    """It has the block on its stack as well; the process is not its to kill."""
    with ringmill.open_process(["cat"], stdin=PIPE, stdout=PIPE) as process:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                process.__exit__(None, None, None)
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert process.communicate(b"alive") == (b"alive", None)
