"""SharedEvent: set in one thread or process, awaited in others; no wake-up is ever lost."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import tempfile
import threading
from typing import Any

import pytest

import ringmill
from ringmill import SharedEvent
from sync.waiting import asleep, begin_wait


def test_set_clear_and_look() -> None:
    event = SharedEvent()
    assert not event.is_set()
    assert repr(event) == "<SharedEvent clear>"
    for _ in range(3):
        event.set()
        assert event.is_set()
    assert repr(event) == "<SharedEvent set>"
    for _ in range(3):
        event.clear()
        assert not event.is_set()


@pytest.mark.req("U1")
def test_every_word_has_a_cache_line_of_its_own() -> None:
    """10,000 of them; a few hundred at a time, since each has a descriptor."""
    for _ in range(50):
        events = [SharedEvent() for _ in range(200)]
        assert all(event._flag.address % 64 == 0 for event in events)
        assert len({event._flag.address for event in events}) == 200
        before = [event._flag.address for event in events]
        for event in events:
            event.set()
            event.clear()
        assert [event._flag.address for event in events] == before  # it does not move


@pytest.mark.req("T14")
def test_who_waits_goes_on(machine: Any, face: str) -> None:
    event = SharedEvent()
    waits = [begin_wait(face, event) for _ in range(5)]
    asleep(machine)
    assert not any(wait.done for wait in waits)
    event.set()
    for wait in waits:
        wait.join()
    begin_wait(face, event).join()  # it is set: at once
    ops = machine.stats()["submitted"]
    begin_wait(face, event).join()
    assert machine.stats()["submitted"] == ops


@pytest.mark.req("T14")
def test_cleared_at_once_all_the_same(machine: Any, face: str) -> None:
    """Whoever waited when it was set goes on, though it is clear again before he looks."""
    event = SharedEvent()
    for _ in range(20):
        waits = [begin_wait(face, event) for _ in range(3)]
        asleep(machine)
        event.set()
        event.clear()
        for wait in waits:
            wait.join()
    late = begin_wait(face, event)
    asleep(machine)
    assert not late.done
    event.set()
    late.join()


def test_set_before_the_wait_is_submitted(machine: Any, face: str) -> None:
    """The word is compared in the kernel: what happened since we looked is not missed."""
    event = SharedEvent()
    wait = begin_wait(face, event)
    ringmill.yield_now()  # the op is queued, and the kernel has not seen it
    event.set()
    event.clear()
    wait.join()
    assert machine.stats()["ops_live"] == 0


def test_giving_up_and_waiting_again(machine: Any, face: str) -> None:
    event = SharedEvent()
    stays = begin_wait(face, event)
    for _ in range(10):
        gone = begin_wait(face, event)
        asleep(machine)
        gone.cancel()
        with pytest.raises(ringmill.Cancelled):
            gone.join()
    with pytest.raises(TimeoutError), ringmill.timeout(0.005):
        event.wait()
    assert not stays.done
    event.set()
    stays.join()


@pytest.mark.usefixtures("machine")
def test_set_in_a_signal_handler(face: str) -> None:
    event = SharedEvent()
    before = signal.signal(signal.SIGUSR1, lambda *_: event.set())
    try:
        wait = begin_wait(face, event)
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        wait.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_descriptor_makes_another_of_the_same() -> None:
    one = SharedEvent()
    two = SharedEvent(fd=one.fileno())
    three = SharedEvent(fd=two)  # anything with fileno()
    assert len({one.fileno(), two.fileno(), three.fileno()}) == 3
    assert not os.get_inheritable(two.fileno())
    one.set()
    assert two.is_set() and three.is_set()
    three.clear()
    del three
    assert not one.is_set()


def test_a_descriptor_of_something_else() -> None:
    """Refused: were it cut by another process, reading it would kill this one."""
    with tempfile.TemporaryFile() as file:
        file.truncate(64)
        with pytest.raises(ValueError, match="SharedEvent"):
            SharedEvent(fd=file)
    memory = os.memfd_create("other", os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(memory, 64)
        with pytest.raises(ValueError, match="SharedEvent"):
            SharedEvent(fd=memory)
    finally:
        os.close(memory)
    for bad in (-1, 0x7FFFFFFF):
        with pytest.raises(OSError, match="Bad file"):
            SharedEvent(fd=bad)
    for wrong in ("3", 1.5):
        with pytest.raises((TypeError, AttributeError)):
            SharedEvent(fd=wrong)  # type: ignore[arg-type]


def test_its_memory_cannot_be_cut() -> None:
    event = SharedEvent()
    for size in (0, 32, 4096):
        with pytest.raises(PermissionError):
            os.ftruncate(event.fileno(), size)
    event.set()


def test_pickled_only_for_a_process_to_be() -> None:
    """As multiprocessing's own: a descriptor can be inherited, not sent in a string."""
    event = SharedEvent()
    for give in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(RuntimeError, match="argument of multiprocessing.Process"):
            give(event)


@pytest.mark.req("U1")
def test_nobody_waits_nobody_is_asked(script: Any) -> None:
    """With futex(2) forbidden set() works, unless somebody waits: then its failure is told."""
    out = script("""
        import ctypes, errno, struct
        import ringmill

        class Program(ctypes.Structure):
            _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))

        def forbid(number):
            lines = ((0x20, 0, 0, 0), (0x15, 0, 1, number),  # the call's number; is it that one?
                     (0x06, 0, 0, 0x00050000 | errno.ENOSYS), (0x06, 0, 0, 0x7FFF0000))
            code = b"".join(struct.pack("HBBI", *line) for line in lines)
            memory = ctypes.create_string_buffer(code)
            program = Program(len(lines), ctypes.addressof(memory))
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
            assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0

        event = ringmill.SharedEvent()
        forbid({"x86_64": 202, "aarch64": 98}[__import__("os").uname().machine])
        for _ in range(3):
            event.set(), event.set(), event.clear(), event.clear()
        event._flag.enter()  # now somebody may sleep
        try:
            event.set()
        except OSError as error:
            print(error.errno == errno.ENOSYS, event.is_set())
    """).clean()
    assert out == "True True\n"


PING_PONG = """
    import multiprocessing, os, sys
    import ringmill
    from ringmill import SharedEvent

    def partner(face, ping, pong, rounds):
        def calls():
            for _ in range(rounds):
                ping.wait()
                ping.clear()
                pong.set()

        async def awaits():
            for _ in range(rounds):
                await ping
                ping.clear()
                pong.set()

        ringmill.run(calls if face == "fiber" else awaits())

    if __name__ == "__main__":
        face, how, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
        ping, pong = SharedEvent(), SharedEvent()
        given = (face, ping, pong, rounds)
        if how == "fork":  # before there is any thread or ring
            if (pid := os.fork()) == 0:
                partner(*given)
                os._exit(7)
        else:
            child = multiprocessing.get_context("spawn").Process(target=partner, args=given)
            child.start()
        ping.set()
        partner(face, pong, ping, rounds)
        if how == "fork":
            assert os.waitpid(pid, 0)[1] == 7 << 8
        else:
            child.join()
            assert child.exitcode == 0
        print(rounds, ping.is_set(), pong.is_set())
"""


@pytest.mark.req("T14", "U1")
@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_ping_pong_between_processes(script: Any, face: str, how: str) -> None:
    """Every round puts both to sleep: the moment before must lose nothing."""
    rounds = 10_000
    # The partner's answer to the last round is what the first set() stood for.
    assert script(PING_PONG).clean(face, how, rounds) == f"{rounds} True False\n"


CROWD = """
    import random, sys, threading, time
    import ringmill
    from ringmill import SharedEvent

    rounds, seconds = int(sys.argv[1]), float(sys.argv[2])
    threads, each = 4, 2
    arrived = [SharedEvent() for _ in range(threads * each)]
    go = SharedEvent(), SharedEvent()
    ended = threading.Event()
    passed = [0] * len(arrived)

    def calls(me):
        while not ended.is_set():
            number = passed[me]
            arrived[me].set()
            go[number % 2].wait()
            passed[me] = number + 1
            if random.random() < 0.1:
                ringmill.sleep(random.random() / 5000)

    async def awaits(me):
        while not ended.is_set():
            number = passed[me]
            arrived[me].set()
            await go[number % 2]
            passed[me] = number + 1
            if random.random() < 0.1:
                await ringmill.aio.sleep(random.random() / 5000)

    def thread(first):
        def main():
            with ringmill.scope() as s:
                s.spawn(calls, first)
                s.spawn(awaits(first + 1))
        ringmill.run(main)

    crew = [threading.Thread(target=thread, args=(each * i,)) for i in range(threads)]
    for member in crew:
        member.start()
    number = 0
    end = time.monotonic() + seconds
    while number < rounds or time.monotonic() < end:
        for event in arrived:
            event.wait()
            event.clear()
        assert all(count == number for count in passed)
        go[(number + 1) % 2].clear()
        if random.random() < 0.3:
            time.sleep(random.random() / 5000)
        number += 1
        if number >= rounds and time.monotonic() >= end:
            ended.set()
        go[(number - 1) % 2].set()
    for member in crew:
        member.join()
    assert all(count == number for count in passed)
    print("all of", len(arrived))
"""


@pytest.mark.req("T14", "U1")
@pytest.mark.parametrize(("rounds", "seconds"), [
    (500, 0), pytest.param(0, 60, marks=pytest.mark.soak)])
def test_a_crowd_in_threads(script: Any, rounds: int, seconds: float) -> None:
    """Eight waiters in four threads, late and early, round by round: all pass each round once."""
    assert script(CROWD).clean(rounds, seconds) == "all of 8\n"


@pytest.mark.soak
@pytest.mark.req("T14", "U1")
def test_ping_pong_for_long(script: Any, face: str) -> None:
    rounds = 300_000
    assert script(PING_PONG).clean(face, "spawn", rounds) == f"{rounds} True False\n"


def test_a_waiter_that_is_killed(script: Any) -> None:
    """The others are woken as if it had never been, and the event is as good as new."""
    out = script("""
        import os, signal
        from ringmill import SharedEvent

        event, ready = SharedEvent(), SharedEvent()
        pids = []
        for number in range(4):
            if (pid := os.fork()) == 0:
                import ringmill
                ringmill.spawn(event.wait)
                ringmill.sleep(0.01)
                ready.set()
                event.wait()
                os._exit(0)
            pids.append(pid)
            ready.wait()
            ready.clear()
        os.kill(pids[1], signal.SIGKILL)
        os.waitpid(pids[1], 0)
        event.set()
        print([os.waitpid(pid, 0)[1] for pid in (pids[0], pids[2], pids[3])])
        event.clear()
        print(event.is_set(), event._flag.set())
    """)
    # The parent waits between the forks and so has a machine (and a worker thread on soft).
    out = out.run()
    assert (out[0], out[1]) == (0, "[0, 0, 0]\nFalse 0\n"), out
