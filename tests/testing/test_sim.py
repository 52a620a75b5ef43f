"""The lying kernel itself: the same seed tells the same story, and every lie is told."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ringmill.core.lies import RATES
from ringmill.testing import Event, SimMachine


def chatter(folder: Path) -> int:
    """A bit of everything: a server and clients, a file, timers, a timeout that strikes."""
    ours, theirs = socket.socketpair()
    received = 0

    async def reader() -> None:
        nonlocal received
        async for data in ringmill.aio.recv_each(ours):
            received += len(data)

    def writer() -> None:
        for i in range(30):
            ringmill.sendall(theirs, bytes(100 + i))
            ringmill.sleep(0.01)
        theirs.close()

    def filer() -> None:
        fd = ringmill.open(folder / "file", os.O_RDWR | os.O_CREAT)
        for _ in range(20):
            ringmill.write_all(fd, b"0123456789")
        ringmill.fsync(fd)
        ringmill.close(fd)

    def impatient() -> None:
        source, target = os.pipe()
        for _ in range(20):
            try:
                with ringmill.timeout(0.001):
                    ringmill.read(source, 1)
            except TimeoutError:
                pass
        os.close(source)
        os.close(target)

    with ringmill.scope() as scope:
        for strand in (reader(), writer, filer, impatient):
            scope.spawn(strand)
    ours.close()
    return received


def told(seed: int, folder: Path, **lies: Any) -> tuple[int, list[Event], dict[str, int], float]:
    with SimMachine(seed, **lies) as machine:
        machine.run(chatter, folder)
        assert machine.stats()["stale"] == 0
        return machine.fingerprint, machine.story(), machine.lies, machine.elapsed


def test_one_seed_one_story(tmp_path: Path) -> None:
    first, second = told(7, tmp_path), told(7, tmp_path)
    assert first == second
    assert len(first[1]) > 100
    prints = {told(seed, tmp_path)[0] for seed in range(10)}
    assert len(prints) == 10, "seeds that differ tell stories that do"


def test_the_descriptors_numbers_are_no_part_of_it(tmp_path: Path) -> None:
    first = told(3, tmp_path)
    more = [os.dup(0) for _ in range(20)]
    try:
        assert told(3, tmp_path) == first
    finally:
        for fd in more:
            os.close(fd)


def test_every_lie_is_told(tmp_path: Path) -> None:
    counts = dict.fromkeys(RATES, 0)
    for seed in range(20):
        for lie, count in told(seed, tmp_path)[2].items():
            if lie in counts:
                counts[lie] += count
    assert all(counts.values()), counts


@pytest.mark.parametrize("lie", RATES)
def test_each_alone_and_always(lie: str, tmp_path: Path) -> None:
    """The others are off; and at its worst the program still ends, as it should."""
    with SimMachine(1, lies=False, **{lie: 1.0}) as machine:
        assert machine.run(chatter, tmp_path) == sum(range(100, 130))
        assert {name for name in RATES if machine.lies[name]} == {lie}


def test_without_lies(tmp_path: Path) -> None:
    counts = told(1, tmp_path, lies=False)[2]
    assert not any(counts[lie] for lie in RATES)
    assert counts["told"] > 50


# ── the clock ───────────────────────────────────────────────────────────────────────────────


def test_a_year_passes_at_once() -> None:
    year = 365 * 86400.0

    def main() -> None:
        for _ in range(12):
            ringmill.sleep(year / 12)

    with SimMachine(1) as machine:
        machine.run(main)
        assert year <= machine.elapsed < year + 1
        assert machine.stats()["waits"] < 1000


def test_sleepers_wake_in_order_of_their_deadlines() -> None:
    woken = []

    def sleeper(seconds: float) -> None:
        ringmill.sleep(seconds)
        woken.append(seconds)

    with SimMachine(1) as machine:
        for seconds in (3600.0, 5.0, 86400.0, 0.001):
            ringmill.spawn(sleeper, seconds)
        machine.run(ringmill.sleep, 86401)
    assert woken == [0.001, 5.0, 3600.0, 86400.0]


def test_time_passes_for_who_only_yields() -> None:
    """A strand that never waits does not stop the clock of the others."""
    with SimMachine(1, lies=False) as machine:
        slept = ringmill.spawn(ringmill.sleep, 0.001)
        while not slept.done:
            ringmill.yield_now()
        assert machine.elapsed >= 0.001


def test_another_thread_is_waited_for_in_real_time() -> None:
    """Nothing has a deadline, so nobody jumps ahead of a thread; nor of one that gets patience."""
    with SimMachine(1):
        assert ringmill.in_thread(lambda: 7) == 7
    with SimMachine(1, patience=60.0):
        with ringmill.timeout(5):
            assert ringmill.in_thread(lambda: 7) == 7


# ── faults ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def failures(machine: SimMachine, times: int, call: Callable[[], Any]) -> int:
    """How often `call` fails with an OSError."""
    count = 0
    for _ in range(times):
        try:
            call()
        except OSError:
            count += 1
    return count


def test_faults_by_op_and_rate(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    with SimMachine(1, lies=False, faults={"send": {errno.EPIPE: 0.25}}) as machine:
        count = failures(machine, 200, lambda: ringmill.send(ours, b"x"))
        assert count == machine.lies["fault"]
        assert 20 < count < 80
        # What failed was not sent, and nobody else failed.
        assert len(ringmill.recv(theirs, 10_000)) == 200 - count


def test_a_fault_has_its_errno_and_name(tmp_path: Path) -> None:
    with SimMachine(1, lies=False, faults={"open": {errno.EMFILE: 1.0}}):
        with pytest.raises(OSError) as caught:
            ringmill.open(tmp_path / "file", os.O_RDONLY)
        assert caught.value.errno == errno.EMFILE
        assert caught.value.filename == tmp_path / "file"


def test_a_close_that_fails_has_closed() -> None:
    fd = os.dup(0)
    with SimMachine(1, lies=False, faults={"close": {errno.EIO: 1.0}}):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            ringmill.close(fd)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


# ── what must stay whole ────────────────────────────────────────────────────────────────────


def test_what_is_whole_stays_whole(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    stream, other = socket.socketpair()
    source, target = os.pipe()
    with SimMachine(1, lies=False, shorten=1.0) as machine:
        assert ringmill.send(ours, b"a datagram") == 10
        assert ringmill.recv(theirs, 100) == b"a datagram"
        other.send(b"0123456789")
        assert ringmill.recv(stream, 10, flags=socket.MSG_WAITALL) == b"0123456789"
        assert ringmill.write(target, bytes(4096)) == 4096  # POSIX: up to PIPE_BUF at once
        assert len(ringmill.read(source, 4096)) < 4096  # but not to be read at once
        assert ringmill.send(stream, bytes(1000)) < 1000
        fd = ringmill.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
        assert ringmill.write(fd, bytes(1000)) < 1000
        ringmill.close(fd)
        assert machine.lies["shorten"] == 3
    for each in (ours, theirs, stream, other):
        each.close()
    os.close(source)
    os.close(target)


# ── wrong use ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("options, error, said", [
    ({"seed": "7"}, TypeError, "seed is an int"),
    ({"seed": True}, TypeError, "seed is an int"),
    ({"seed": -1}, ValueError, "seed is 0 to"),
    ({"shorten": 1.5}, ValueError, "shorten is a rate"),
    ({"delay": -0.1}, ValueError, "delay is a rate"),
    ({"delay_max": 0}, ValueError, "delay_max"),
    ({"patience": float("nan")}, ValueError, "patience"),
    ({"faults": {"raed": {errno.EIO: 1.0}}}, ValueError, "no op 'raed'; did you mean 'read'"),
    ({"faults": {"read": {errno.EIO: 2}}}, ValueError, r"faults\['read'\]\[EIO\] is a rate"),
    ({"faults": {"read": {-5: 1}}}, ValueError, "no errno"),
    ({"faults": {"read": {errno.ECANCELED: 1}}}, ValueError, "cancel it"),
    ({"balance": ringmill.Adaptive()}, ValueError, "real clock"),
    ({"sqpoll": True}, ValueError, "sqpoll"),
])
def test_refused(options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        SimMachine(**options)


def test_a_failure_brings_its_seed() -> None:
    with SimMachine(42) as machine, pytest.raises(ZeroDivisionError) as caught:
        machine.run(lambda: 1 // 0)
    assert "SimMachine(seed=42)" in "".join(caught.value.__notes__)
    with SimMachine() as machine:
        assert f"seed={machine.seed}" in repr(machine)
        assert machine.kernel.name == "sim"
        assert str(machine.seed) in machine.kernel.why
