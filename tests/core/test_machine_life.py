"""A machine's life: made, one per thread, closed, collected, or ended by the end of the program."""

from __future__ import annotations

import os
import threading

import pytest

import ringmill
from support import leaks, programs


def test_a_thread_has_one_machine(kernel):
    with ringmill.Machine(kernel=kernel) as first:
        assert ringmill.machine() is first
        with pytest.raises(ringmill.RingmillError, match="already"):
            ringmill.Machine(kernel=kernel)
        assert ringmill.machine() is first
        ringmill.nop()
    with ringmill.Machine(kernel=kernel) as second:
        assert second is not first
        ringmill.nop()


@pytest.mark.req("T13")
def test_each_thread_has_its_own_machine(kernel):
    machines = []

    def work():
        machine = ringmill.Machine(kernel=kernel)
        machines.append(machine)
        barrier.wait()  # all alive at once
        assert machine.run(lambda: [ringmill.nop() for _ in range(100)]) == [None] * 100
        machine.close()

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(machine) for machine in machines}) == 4
    assert [machine.closed for machine in machines] == [True] * 4


def test_machine_is_made_at_first_use_and_again_after_close():
    first = ringmill.machine()
    assert ringmill.machine() is first and not first.closed
    first.close()
    assert first.closed
    ringmill.nop()
    second = ringmill.machine()
    assert second is not first
    second.close()


def test_close_again_does_nothing(kernel):
    machine = ringmill.Machine(kernel=kernel)
    machine.close()
    machine.close()
    assert machine.closed


def test_closed_machine_is_refused_with_its_name(kernel):
    machine = ringmill.Machine(kernel=kernel)
    machine.close()
    with pytest.raises(ringmill.ClosedError):
        machine.call_threadsafe(print)
    with pytest.raises(ringmill.ClosedError):
        machine.run(lambda: None)
    machine.wakeup()  # there is nobody to wake: nothing happens
    assert machine.stats()["ops_live"] == 0


@pytest.mark.parametrize("entries", [0, 1, 7, 9, 100, 65536, -8])
def test_entries_must_be_a_sane_power_of_two(entries):
    with pytest.raises(ValueError, match="power of two"):
        ringmill.Machine(entries=entries)


@pytest.mark.parametrize("options, error", [
    ({"ops_max": 0}, ValueError), ({"ops_max": -1}, (ValueError, OverflowError)),
    ({"ops_max": 1 << 40}, (ValueError, OverflowError)),
    ({"entries": "many"}, TypeError), ({"balance": 3}, TypeError),
    ({"balance": "fixed"}, TypeError),
    ({"kernel": "windows"}, ValueError), ({"kernel": ""}, ValueError), ({"colour": 1}, TypeError),
    ({"workers_max": -1}, (ValueError, OverflowError)),
])
def test_bad_options_leave_nothing_behind(options, error):
    before = leaks.open_fds()
    with pytest.raises(error):
        ringmill.Machine(**options)
    assert leaks.settled(lambda: leaks.new_fds(before)) == []
    ringmill.Machine(kernel="soft").close()  # the thread is free for a good one


def test_a_machine_that_was_never_closed_ends_with_its_thread(kernel):
    """Ring, pipe and buffers go with the thread, whatever was in flight."""
    before = leaks.open_fds()
    kept = []

    def work():
        ringmill.Machine(kernel=kernel)
        buffer = bytearray(8)
        op = ringmill.aio.readinto(reader, buffer)
        ringmill.nop()
        kept.append((op, buffer))
        ringmill.spawn(ringmill.sleep, 3600)
        ringmill.yield_now()

    reader, writer = os.pipe()
    for _ in range(5):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    os.close(reader)
    os.close(writer)
    assert leaks.settled(lambda: leaks.new_fds(before)) == []
    for op, buffer in kept:
        assert op.done
        buffer.extend(b"free again")  # nobody exports it any more


def test_close_with_ops_in_flight_lets_go_of_everything(kernel):
    """Pitfall 12: after close() no memory of the program is written any more."""
    reader, writer = os.pipe()
    machine = ringmill.Machine(kernel=kernel)
    buffers = [bytearray(8) for _ in range(100)]
    ops = [ringmill.aio.readinto(reader, buffer) for buffer in buffers]
    ringmill.nop()
    with pytest.raises(BufferError):
        buffers[0].extend(b"more")
    machine.close()
    os.write(writer, b"x" * 800)
    assert all(op.done for op in ops)
    assert all(buffer == bytes(8) for buffer in buffers)
    assert os.read(reader, 1000) == b"x" * 800
    for buffer in buffers:
        buffer.extend(b"more")
    for op in ops:
        op.detach()  # of a closed machine too: it asks nothing of it
    os.close(reader)
    os.close(writer)


def test_close_runs_the_finally_blocks_of_those_who_wait(kernel):
    machine = ringmill.Machine(kernel=kernel)
    reader, writer = os.pipe()
    ended = []

    def fiber(name, wait, *arguments):
        try:
            wait(*arguments)
        finally:
            ringmill.nop()  # I/O still works here
            ended.append(name)

    async def task():
        try:
            await ringmill.aio.read(reader, 10)
        finally:
            await ringmill.aio.nop()
            ended.append("task")

    ringmill.spawn(fiber, "reads", ringmill.read, reader, 10)
    ringmill.spawn(fiber, "sleeps", ringmill.sleep, 3600)
    ringmill.spawn(fiber, "parks", ringmill.park)
    ringmill.spawn(task())
    ringmill.yield_now()
    machine.close()
    assert sorted(ended) == ["parks", "reads", "sleeps", "task"]
    os.close(reader)
    os.close(writer)


def test_close_inside_a_fiber_is_refused(kernel):
    """A fiber cannot wait for its own end."""

    def main():
        with pytest.raises((ringmill.RingmillError, RuntimeError)):
            machine.close()
        ringmill.nop()
        return "went on"

    with ringmill.Machine(kernel=kernel) as machine:
        assert machine.run(main) == "went on"


def test_close_inside_a_task_is_refused(kernel):
    async def main():
        with pytest.raises((ringmill.RingmillError, RuntimeError)):
            machine.close()
        await ringmill.aio.nop()
        return "went on"

    with ringmill.Machine(kernel=kernel) as machine:
        assert machine.run(main()) == "went on"


def test_a_fiber_that_goes_on_after_its_cancel_is_waited_for(kernel):
    machine = ringmill.Machine(kernel=kernel)
    done = []

    def stubborn():
        try:
            ringmill.sleep(3600)
        except ringmill.Cancelled:
            pass
        for _ in range(3):
            ringmill.sleep(0.001)
            done.append(1)

    ringmill.spawn(stubborn)
    ringmill.yield_now()
    machine.close()
    assert len(done) == 3


IN_FLIGHT = """
    import os, socket, sys
    import ringmill
    from ringmill import aio

    reader, writer = os.pipe()
    left, right = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))

    def fiber(name, function, *arguments):
        try:
            function(*arguments)
        finally:
            print(name)

    async def task():
        try:
            await aio.recv(left, 10)
        finally:
            print("task")

    def begin():
        global ops, each
        ops = [aio.read(reader, 100), aio.recv_into(left, bytearray(9)), aio.accept(listener)]
        each = [ringmill.recv_each(right), aio.accept_each(listener)]
        ops.append(each[1].__anext__())
        for op in ops:
            op.detach()
        ringmill.spawn(fiber, "reads", ringmill.read, reader, 10)
        ringmill.spawn(fiber, "sleeps", ringmill.sleep, 3600)
        ringmill.spawn(fiber, "next", next, each[0])
        ringmill.spawn(task())
        ringmill.yield_now()
        ringmill.nop()
"""


@pytest.mark.parametrize("end, code", [
    ("", 0), ("sys.exit(3)", 3), ("ringmill.machine().close()", 0), ("del ops, each", 0),
    ("ringmill.spawn(sys.exit, 5); ringmill.sleep(5)", 5),
])
def test_exit_with_ops_in_flight(kernel, end, code):
    """Pitfall 12, and of fibers: suspended ones run their `finally` at exit; nothing is said."""
    source = IN_FLIGHT + f"""
    begin()
    for thing in (reader, writer):
        os.close(thing)
    left.close(), right.close(), listener.close()
    {end}
    """
    ended = programs.run(source, kernel=kernel)
    assert ended.err == ""
    assert ended.code == code
    assert sorted(ended.out.split()) == ["next", "reads", "sleeps", "task"]


def test_exit_by_an_exception_with_ops_in_flight(kernel):
    source = IN_FLIGHT + """
    begin()
    left.close(), right.close(), listener.close()
    raise LookupError("the program's own")
    """
    ended = programs.run(source, kernel=kernel)
    assert ended.code == 1
    assert ended.err.count("Traceback") == 1 and "LookupError: the program's own" in ended.err
    assert sorted(ended.out.split()) == ["next", "reads", "sleeps", "task"]


def test_exit_while_daemon_threads_run_machines(kernel):
    programs.clean("""
        import os, threading, ringmill

        def work():
            ringmill.Machine()
            ready.release()
            ringmill.run(lambda: [ringmill.spawn(ringmill.sleep, 3600).join()])

        ready = threading.Semaphore(0)
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        for _ in range(3):
            ready.acquire()
        ringmill.nop()
    """, kernel=kernel)


def test_garbage_collected_with_ops_in_flight(kernel):
    """Ops in cycles, with their fiber, with the machine itself: freed in the right order."""
    programs.clean("""
        import gc, os, ringmill

        reader, writer = os.pipe()

        class Node:
            pass

        def cycle():
            node = Node()
            node.op, node.self = ringmill.aio.read(reader, 1 << 16), node
            node.op.detach()
            node.fiber = ringmill.spawn(lambda: (node, ringmill.read(reader, 10)))

        for _ in range(50):
            cycle()
            ringmill.yield_now()
            gc.collect()
        machine = ringmill.machine()
        machine.self = machine
        machine.close()
        del machine
        gc.collect()
        os.write(writer, b"x")
        assert os.read(reader, 10) == b"x"
    """, kernel=kernel)
