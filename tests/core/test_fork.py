"""Fork: the child has a clean machine and touches nothing of the parent's; the parent goes on.

Each in a program of its own, which tells by its exit code and its silence.
"""

from __future__ import annotations

import pytest

from support import programs

# DeprecationWarning: 3.12 warns of fork() in a process with threads, which the soft kernel has.
FORK = """
    import os, socket, sys, threading, time, warnings
    import ringmill
    from ringmill import aio

    warnings.simplefilter("ignore", DeprecationWarning)

    def fds():
        return {int(name): os.readlink(f"/proc/self/fd/{name}")
                for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}

    def in_child(function):
        \"\"\"Run `function` in a child; the parent waits for its good end.\"\"\"
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                function()
                code = 0
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                os._exit(code)
        done, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status

    def some_io():
        reader, writer = os.pipe()
        assert ringmill.write(writer, b"mine") == 4
        assert ringmill.read(reader, 10) == b"mine"
        ringmill.sleep(0.001)
        fiber = ringmill.spawn(ringmill.read, reader, 10)
        ringmill.yield_now()
        ringmill.write(writer, b"more")
        assert fiber.join() == b"more"
        left, right = socket.socketpair()
        ringmill.sendall(left, b"abc")
        assert ringmill.recv(right, 10) == b"abc"
        for fd in (reader, writer):
            ringmill.close(fd)
        left.close(), right.close()
"""


def test_fork_with_ops_in_flight(kernel):
    """Pitfall 11: the child works on a ring of its own; the parent's ops complete in the parent."""
    programs.clean(FORK + """
    reader, writer = os.pipe()
    ops = [aio.read(reader, 1) for _ in range(10)]
    ringmill.nop()
    queued = aio.write(writer, b"A")  # not submitted when the fork comes
    parent = ringmill.machine()

    def child():
        assert parent.closed
        assert ringmill.machine() is not parent
        some_io()
        for op in [*ops, queued]:
            assert op.cancel() is False  # nothing of it is alive here
        try:
            parent.call_threadsafe(print)
        except ringmill.ClosedError:
            pass
        os.write(writer, b"B" * 9)
        ringmill.machine().close()

    in_child(child)
    assert not parent.closed and ringmill.machine() is parent
    assert ringmill.wait(queued) == 1
    assert sorted(ringmill.wait(op) for op in ops) == [b"A"] + [b"B"] * 9
    some_io()
    """, kernel=kernel)


def test_fork_leaks_no_descriptor(kernel):
    """Not in the child, which closes what it inherited of the ring; not in the parent."""
    programs.clean(FORK + """
    reader, writer = os.pipe()
    clean = fds()
    op = aio.read(reader, 1)
    ringmill.nop()
    with_machine = fds()
    assert with_machine != clean

    def child():
        assert fds() == clean, (fds(), clean)
        some_io()
        ringmill.machine().close()
        assert fds() == clean, (fds(), clean)

    for _ in range(3):
        in_child(child)
        assert fds() == with_machine
    os.write(writer, b"x")
    assert ringmill.wait(op) == b"x"
    ringmill.machine().close()
    assert fds() == clean
    """, kernel=kernel)


def test_the_child_completes_nothing_of_the_parents(kernel):
    """What the child does with a shared descriptor is its own; a buffer of the parent stays."""
    programs.clean(FORK + """
    reader, writer = os.pipe()
    buffer = bytearray(4)
    op = aio.readinto(reader, buffer)
    ringmill.nop()

    def child():
        os.write(writer, b"data")
        some_io()
        assert buffer == bytes(4)

    in_child(child)
    assert ringmill.wait(op) == 4
    assert buffer == b"data"
    """, kernel=kernel)


@pytest.mark.parametrize("main", ["ringmill.run(main)", "ringmill.spawn(main).join()"])
def test_fork_inside_a_fiber(kernel, main):
    programs.clean(FORK + f"""
    def other():
        try:
            ringmill.sleep(3600)
        finally:
            ended.append(os.getpid())

    def main():
        ringmill.spawn(other)
        ringmill.yield_now()
        parent = os.getpid()
        def child():
            some_io()
            ringmill.run(some_io)
            assert not ended  # the parent's fibers are not ours to end
        in_child(child)
        some_io()
        return 7

    ended = []
    assert {main} == 7
    ringmill.machine().close()
    assert ended == [os.getpid()]
    """, kernel=kernel)


def test_fork_inside_a_task(kernel):
    programs.clean(FORK + """
    async def main():
        op = aio.sleep(0.01)
        in_child(lambda: None)
        await op
        return 7

    assert ringmill.run(main()) == 7
    """, kernel=kernel)


def test_a_child_that_ends_the_usual_way(kernel):
    """No os._exit: the interpreter of the child shuts down with the parent's fibers in memory."""
    out = programs.clean(FORK + """
    def other():
        try:
            ringmill.sleep(3600)
        finally:
            print("ended in", "child" if os.getpid() != parent else "parent", flush=True)

    parent = os.getpid()
    ringmill.spawn(other)
    reader, writer = os.pipe()
    op = aio.read(reader, 1)
    ringmill.yield_now()
    pid = os.fork()
    if pid == 0:
        some_io()
        sys.exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    os.write(writer, b"x")
    assert ringmill.wait(op) == b"x"
    """, kernel=kernel)
    assert out == "ended in parent\n"


def test_fork_while_another_thread_has_a_machine(kernel):
    programs.clean(FORK + """
    def work():
        ringmill.machine()
        ready.set()
        ringmill.read(reader, 1)

    reader, writer = os.pipe()
    ready = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    time.sleep(0.01)
    in_child(some_io)
    os.write(writer, b"x")
    thread.join()
    """, kernel=kernel)


def test_in_thread_after_a_fork(kernel):
    """The parent's helper threads are not in the child; it makes its own."""
    programs.clean(FORK + """
    assert ringmill.in_thread(len, "abc") == 3
    def child():
        assert ringmill.in_thread(len, "abcd") == 4
    in_child(child)
    assert ringmill.in_thread(len, "abcde") == 5
    """, kernel=kernel)


def test_multiprocessing_from_a_fiber(kernel):
    programs.clean(FORK + """
    import multiprocessing

    def work(connection):
        some_io()
        connection.send("done")

    def main():
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs,))
        process.start()
        ringmill.poll(ours.fileno(), 1)
        assert ours.recv() == "done"
        process.join()
        assert process.exitcode == 0
        process.close()
        ours.close(), theirs.close()

    ringmill.run(main)
    """, kernel=kernel)


def test_generations_of_children(kernel):
    """A child forks a child, with ops in flight in each."""
    programs.clean(FORK + """
    def generation(depth):
        reader, writer = os.pipe()
        op = aio.read(reader, 5)
        ringmill.nop()
        if depth:
            in_child(lambda: generation(depth - 1))
        os.write(writer, b"depth")
        assert ringmill.wait(op) == b"depth"
        ringmill.close(reader), ringmill.close(writer)

    generation(4)
    """, kernel=kernel)


# Strands that are runnable when one of them forks; each says in which process it is.
OTHERS = FORK + """
    def say(what):
        os.write(1, f"{'parent' if os.getpid() == parent else 'child'}: {what}\\n".encode())

    async def task():
        for _ in range(20):
            say("task")
            await aio.yield_now()
        await aio.sleep(0.01)
        say("task")

    def fiber():
        for _ in range(20):
            say("fiber")
            ringmill.yield_now()
        ringmill.sleep(0.01)
        say("fiber")

    def forks():
        for goes_on in (lambda: None, lambda: sys.exit(7), lambda: sys.exit(0)):
            pid = os.fork()
            if pid == 0:
                return goes_on()
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    async def forker():
        await aio.yield_now()
        forks()

    def forker_in_a_fiber():
        ringmill.yield_now()
        forks()

    def forker_in_a_callback():
        ringmill.machine().call_threadsafe(forks)
        while len(codes) < 3:
            ringmill.yield_now()

    def main():
        with ringmill.scope() as s:
            for _ in range(3):
                s.spawn(task())
                s.spawn(fiber)
            s.spawn(forking())
            for _ in range(3):
                s.spawn(task())
                s.spawn(fiber)

    parent, codes = os.getpid(), []
"""


@pytest.mark.parametrize("forking", ["forker", "lambda: forker_in_a_fiber",
                                     "lambda: forker_in_a_callback"],
                         ids=["task", "fiber", "callback"])
def test_fork_among_others_that_are_ready(kernel, forking):
    """The child runs nobody else: what it returns to says so, and its sys.exit() is an exit.

    Others would do their I/O twice, on a ring that is not there.
    """
    out = programs.clean(OTHERS + f"""
    forking = {forking}
    try:
        ringmill.run(main)
    except ringmill.ClosedError:
        assert os.getpid() != parent
        some_io()
        os._exit(5)
    assert os.getpid() == parent  # run() returns in the parent only; SystemExit goes on
    assert codes == [5, 7, 0], codes
    """, kernel=kernel)
    assert sorted(out.split("\n")) == ["", *["parent: fiber"] * 126, *["parent: task"] * 126]


@pytest.mark.parametrize("where", ["leaves", "ringmill.run", "ringmill.drive"],
                         ids=["script", "fiber", "async with"])
def test_a_child_leaves_a_scope(kernel, where):
    """The parent's children will never end here: the block does not wait for them."""
    block = """
                pid = os.fork()
                if pid == 0:
                    signal.alarm(20)  # a child that waits for ever must not outlive the suite
                    if how == "exit":
                        sys.exit(7)
                    if how == "error":
                        raise LookupError("the child's")
    """
    end = """
        except LookupError:
            os._exit(5)
        if pid == 0:
            some_io()
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    call = {"leaves": "leaves(how)", "ringmill.run": "ringmill.run(leaves, how)",
            "ringmill.drive": "ringmill.drive(aleaves(how))"}[where]
    programs.clean(FORK + f"""
    import signal

    def leaves(how):
        try:
            with ringmill.scope() as s:
                s.spawn(ringmill.sleep, 0.01)
                ringmill.sleep(0.001)
                {block}
        {end}

    async def aleaves(how):
        try:
            async with ringmill.scope() as s:
                s.spawn(ringmill.sleep, 0.01)
                await aio.sleep(0.001)
                {block}
        {end}

    codes, parent = [], os.getpid()
    for how in ("normally", "error", "exit"):
        {call}
    assert os.getpid() == parent
    assert codes == [0, 5, 7], codes
    """, kernel=kernel)
