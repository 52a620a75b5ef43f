"""Other threads: refused, let in by call_threadsafe, and let run while the machine waits."""

from __future__ import annotations

import array
import collections
import fcntl
import os
import socket
import termios
import threading
import time

import pytest

import ringmill
from ringmill import aio
from support import leaks
from support.threads import elsewhere

THREADS = 4
POSTS = 25_000  # by each thread


@pytest.mark.req("T13")
def test_a_foreign_thread_is_refused(machine, pipe):
    """Pitfall 10: nothing is done, and the error names the way in."""
    reader, writer = pipe
    op = aio.read(reader, 10)
    done = aio.nop()
    ringmill.nop()
    fiber = ringmill.spawn(ringmill.park)
    ringmill.yield_now()
    each = aio.read_each(reader)

    async def awaits(what):
        await what

    for refused in (
        lambda: op.cancel(), lambda: op.result(), lambda: op.detach(), lambda: done.result(),
        lambda: ringmill.wait(op), lambda: ringmill.run(awaits(op)),
        lambda: ringmill.drive(awaits(op)), lambda: ringmill.wait(fiber),
        lambda: fiber.cancel(), lambda: fiber.join(), lambda: ringmill.unpark(fiber),
        lambda: aio.join(fiber), lambda: machine.run(lambda: 1), lambda: machine.close(),
        lambda: next(each), lambda: each.__anext__(), lambda: each.close(),
    ):
        error = elsewhere(refused)
        if isinstance(error, TypeError):
            continue  # aio iterators have no next()
        assert isinstance(error, ringmill.WrongThread), error
        assert "call_threadsafe" in str(error) or "thread" in str(error)
    assert not op.done and not fiber.done and not machine.closed
    os.write(writer, b"still mine")
    assert ringmill.wait(op) == b"still mine"
    each.close()
    ringmill.wait(done)
    fiber.cancel()
    with pytest.raises(ringmill.Cancelled):
        fiber.join()


@pytest.mark.req("T13")
def test_the_way_in_does_it(machine, pipe):
    reader, _ = pipe
    op = aio.read(reader, 10)
    ringmill.nop()

    def from_outside():
        machine.call_threadsafe(op.cancel)

    thread = threading.Thread(target=from_outside)
    thread.start()
    with pytest.raises(ringmill.Cancelled):
        ringmill.wait(op)
    thread.join()


def test_an_op_dropped_by_a_foreign_thread_is_undone(machine):
    """The last reference may go anywhere; what the op brought is given back all the same."""
    before = leaks.open_fds()
    box = [aio.open("/dev/null", os.O_RDONLY)]
    ringmill.nop()
    while not box[0].done:
        ringmill.nop()
    box[0].detach()
    elsewhere(box.clear)
    assert leaks.new_fds(before) == []
    assert machine.stats()["blocks_held"] == 0


def test_an_iterator_dropped_by_a_foreign_thread_is_closed(machine):
    left, right = socket.socketpair()
    box = [aio.recv_each(left)]
    op = box[0].__anext__()
    right.send(b"one")
    assert ringmill.wait(op) == b"one"
    del op
    elsewhere(box.clear)
    for _ in range(1000):
        if machine.stats()["ops_live"] == 0:
            break
        ringmill.nop()
    assert machine.stats()["ops_live"] == 0
    left.close()
    right.close()


@pytest.mark.req("T14")
def test_no_call_of_another_thread_is_lost(machine):
    """A hundred thousand, while the machine sleeps and works; each thread's in their order."""
    seen = [[] for _ in range(THREADS)]
    target = THREADS * POSTS
    count = 0

    def note(thread, number):
        nonlocal count
        seen[thread].append(number)
        count += 1
        if count == target:
            ringmill.unpark(main)

    def work(thread):
        for number in range(POSTS):
            machine.call_threadsafe(note, thread, number)

    main = ringmill.current()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    ringmill.park()
    for thread in threads:
        thread.join()
    assert count == target
    assert all(numbers == list(range(POSTS)) for numbers in seen)


def bytes_in_pipes():
    """What waits to be read in the pipes that this process reads and writes itself.

    Not in those of others: what the test run prints may go into a pipe, too.
    """
    modes, waiting = collections.defaultdict(set), {}
    for fd, what in leaks.open_fds().items():
        if what.startswith("pipe:"):
            count = array.array("i", [0])
            fcntl.ioctl(fd, termios.FIONREAD, count)
            modes[what].add(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE)
            waiting[what] = count[0]
    return sum(waiting[what] for what, ends in modes.items() if len(ends) == 2)


@pytest.mark.req("T14")
def test_many_wake_ups_count_as_one(machine):
    """Coalesced: a thousand posts while nobody looks are one byte in the pipe and one event."""
    calls = []
    main = ringmill.current()

    def work():
        for number in range(1000):
            machine.call_threadsafe(calls.append, number)
            machine.wakeup()
        machine.call_threadsafe(ringmill.unpark, main)

    ringmill.nop()
    before, bytes_before = machine.stats(), bytes_in_pipes()
    elsewhere(work)
    assert bytes_in_pipes() - bytes_before == 1
    ringmill.park()
    after = machine.stats()
    assert calls == list(range(1000))
    # The poll of the wake-up pipe is armed once again, for all of them.
    assert after["submitted"] - before["submitted"] <= 2
    assert after["enters"] - before["enters"] <= 20


@pytest.mark.req("T14")
def test_ping_pong_with_a_thread_that_wakes_us_each_time(machine):
    """The machine goes to sleep each time: the moment before it does must lose nothing."""
    rounds = 3000
    turn = threading.Semaphore(0)
    main = ringmill.current()

    def work():
        for _ in range(rounds):
            turn.acquire()
            machine.call_threadsafe(ringmill.unpark, main)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(rounds):
        turn.release()
        ringmill.park()
    thread.join()


def test_wakeup_alone_wakes_nobody_wrongly(machine, pipe):
    """A wake-up ends the machine's sleep, not anybody's wait."""
    reader, writer = pipe

    def work():
        for _ in range(100):
            machine.wakeup()
            time.sleep(0.0001)
        os.write(writer, b"now")

    thread = threading.Thread(target=work)
    thread.start()
    assert ringmill.read(reader, 10) == b"now"
    thread.join()


def test_an_error_in_a_posted_call_is_reported_and_the_machine_goes_on(machine, monkeypatch):
    reported = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)
    calls = []

    def fail():
        raise LookupError("posted")

    elsewhere(lambda: machine.call_threadsafe(calls.append, 1))
    elsewhere(lambda: machine.call_threadsafe(fail))
    elsewhere(lambda: machine.call_threadsafe(calls.append, 2))
    while len(calls) < 2:
        ringmill.nop()
    assert [type(told.exc_value) for told in reported] == [LookupError]
    assert "fail" in f"{reported[0].err_msg} {reported[0].object}"


def test_a_posted_call_may_not_wait(machine, monkeypatch):
    """It runs on whatever stack is at hand: blocking there would block somebody else."""
    reported = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)
    machine.call_threadsafe(ringmill.sleep, 1)
    machine.call_threadsafe(ringmill.yield_now)
    while len(reported) < 2:
        ringmill.nop()
    assert [type(told.exc_value) for told in reported] == [ringmill.WouldBlock] * 2


def test_a_posted_call_begins_fibers_and_tasks(machine):
    done = []

    def fiber():
        ringmill.nop()
        done.append("fiber")

    async def task():
        await aio.nop()
        done.append("task")

    elsewhere(lambda: machine.call_threadsafe(ringmill.spawn, fiber))
    elsewhere(lambda: machine.call_threadsafe(lambda: ringmill.spawn(task())))
    while len(done) < 2:
        ringmill.sleep(0.001)
    assert sorted(done) == ["fiber", "task"]


def test_posting_from_within(machine):
    """From the machine's own thread, from a fiber, and from a posted call itself."""
    order = []

    def again(n):
        order.append(n)
        if n:
            machine.call_threadsafe(again, n - 1)

    machine.call_threadsafe(again, 5)
    while len(order) < 6:
        ringmill.nop()
    assert order == [5, 4, 3, 2, 1, 0]


def test_others_run_while_the_machine_waits(machine, pipe):
    """The GIL is let go of in the wait: the thread that feeds us could not run otherwise."""
    reader, writer = pipe
    steps = 0

    def work():
        nonlocal steps
        for _ in range(200_000):
            steps += 1
        os.write(writer, b"!")

    thread = threading.Thread(target=work)
    thread.start()
    assert ringmill.read(reader, 1) == b"!"
    assert steps == 200_000
    thread.join()


def test_in_thread_from_many_fibers(machine):
    """Blocking calls beside each other; each answer comes to who asked."""

    def main():
        with ringmill.scope() as s:
            fibers = [s.spawn(ringmill.in_thread, divmod, i, 7) for i in range(200)]
        return [fiber.join() for fiber in fibers]

    assert machine.run(main) == [divmod(i, 7) for i in range(200)]


def test_in_thread_raises_what_the_call_raised(machine):
    with pytest.raises(ZeroDivisionError):
        ringmill.in_thread(divmod, 1, 0)
    with pytest.raises(LookupError):
        machine.run(aio_lookup())


async def aio_lookup():
    await aio.in_thread({}.__getitem__, "nothing")


def test_in_thread_is_let_go_of_by_a_cancel(machine):
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        with ringmill.timeout(0.01):
            ringmill.in_thread(gate.wait)
    gate.set()
    assert ringmill.in_thread(len, "after") == 5
