"""run(): a function or a coroutine to its end, with what it leaves behind; and plain scripts."""

from __future__ import annotations

import os
import shutil
import threading

import pytest

import ringmill
from ringmill import aio
from support import leaks, programs


def test_run_of_a_function(kernel):
    def main(a, b):
        ringmill.nop()
        return a + b

    assert ringmill.run(main, 1, 2, kernel=kernel) == 3


def test_run_of_a_coroutine(kernel):
    async def main():
        await aio.nop()
        return ringmill.machine().kernel.name

    assert ringmill.run(main(), kernel=kernel) == kernel


def test_run_raises_what_main_raises(kernel, face):
    def main():
        ringmill.nop()
        raise LookupError("main's")

    async def amain():
        await aio.nop()
        raise LookupError("main's")

    with pytest.raises(LookupError, match="main's"):
        ringmill.run(main if face == "fiber" else amain(), kernel=kernel)


def test_run_closes_the_machine_that_it_made(kernel):
    before = leaks.open_fds()
    seen = []
    ringmill.run(lambda: seen.append(ringmill.machine()), kernel=kernel)
    assert seen[0].closed
    assert leaks.new_fds(before) == []


def test_run_uses_the_machine_there_is(machine):
    assert ringmill.run(ringmill.machine) is machine
    assert not machine.closed
    with pytest.raises(ValueError, match="already"):
        ringmill.run(lambda: 1, kernel="soft")


def test_what_main_leaves_behind_is_cancelled_and_awaited(machine, face):
    ended = []

    def work(n):
        try:
            ringmill.sleep(3600)
        finally:
            ringmill.nop()
            ended.append(n)

    async def awork(n):
        try:
            await aio.sleep(3600)
        finally:
            await aio.nop()
            ended.append(n)

    def main():
        for n in range(3):
            ringmill.spawn(work, n)
            ringmill.spawn(awork(n))
        ringmill.sleep(0.0001)
        return "main"

    async def amain():
        for n in range(3):
            ringmill.spawn(work, n)
            ringmill.spawn(awork(n))
        await aio.sleep(0.0001)
        return "main"

    assert machine.run(main if face == "fiber" else amain()) == "main"
    assert sorted(ended) == [0, 0, 1, 1, 2, 2]
    assert machine.stats()["strands"] == 0


def test_what_never_began_is_ended_too(machine, face):
    """Spawned as the last thing: it runs to its first wait or not at all, and is gone."""
    ended = []

    async def task():
        try:
            await aio.sleep(3600)
        finally:
            ended.append("task")

    def fiber():
        try:
            ringmill.sleep(3600)
        finally:
            ended.append("fiber")

    def main():
        ringmill.spawn(fiber)
        ringmill.spawn(task())

    async def amain():
        main()

    machine.run(main if face == "fiber" else amain())
    assert sorted(ended) in ([], ["fiber", "task"])
    assert machine.stats()["strands"] == 0


def test_leftovers_that_spawn_more(machine):
    """Cancelled ones that begin others in their cleanup: those end as well."""
    log = []

    def work(n):
        try:
            ringmill.sleep(3600)
        finally:
            log.append(n)
            if n:
                ringmill.spawn(work, n - 1)

    machine.run(lambda: (ringmill.spawn(work, 3), ringmill.yield_now()))
    assert log[0] == 3
    assert machine.stats()["strands"] == 0


def test_an_error_of_a_leftover_is_reported(machine, monkeypatch):
    import gc

    reported = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)

    def work():
        try:
            ringmill.sleep(3600)
        except ringmill.Cancelled:
            raise LookupError("in cleanup") from None

    machine.run(lambda: (ringmill.spawn(work), ringmill.yield_now()))
    gc.collect()
    assert [type(told.exc_value) for told in reported] == [LookupError]


def test_run_again_and_again(machine):
    for n in range(50):
        assert machine.run(lambda n=n: (ringmill.nop(), n)[1]) == n


def test_a_nested_run_is_refused(machine, face):
    """It would wait for fibers of the outer one, and cancel them."""
    def refused():
        with pytest.raises(ringmill.WouldBlock):
            ringmill.run(lambda: 1)
        return "refused"

    async def main():
        return refused()

    bystander = []

    def outer():
        fiber = ringmill.spawn(lambda: (ringmill.sleep(0.001), bystander.append(1)))
        ringmill.yield_now()
        result = refused()
        fiber.join()
        return result

    assert machine.run(outer if face == "fiber" else main()) == "refused"
    assert bystander == ([1] if face == "fiber" else [])


def test_run_refuses_what_cannot_run(machine):
    for what in (3, None, object()):
        with pytest.raises(TypeError):
            ringmill.run(what)
    assert machine.stats()["strands"] == 0


@pytest.mark.req("T13")
def test_run_in_four_threads_at_once(kernel):
    results = []
    barrier = threading.Barrier(4)

    def main(n):
        barrier.wait()
        reader, writer = os.pipe()
        got = bytearray()
        with ringmill.scope() as s:
            s.spawn(ringmill.write_all, writer, bytes([n]) * 100_000)
            while len(got) < 100_000:
                got += ringmill.read(reader, 4096)
        os.close(reader)
        os.close(writer)
        return bytes(got) == bytes([n]) * 100_000

    threads = [threading.Thread(target=lambda n=n: results.append(
        ringmill.run(main, n, kernel=kernel))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4


COPY = """
    import os, sys
    import ringmill

    source = ringmill.open(sys.argv[1], os.O_RDONLY)
    target = ringmill.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
    while data := ringmill.read(source, 4096):
        ringmill.write_all(target, data)
    ringmill.fsync(target)
    ringmill.close(source)
    ringmill.close(target)
"""


@pytest.mark.req("T1")
def test_a_plain_script_copies_a_file(kernel, tmp_path):
    """No run(), no async, no machine to be made or closed."""
    data = os.urandom(300_001)
    (tmp_path / "source").write_bytes(data)
    assert programs.clean(COPY, tmp_path / "source", tmp_path / "target", kernel=kernel) == ""
    assert (tmp_path / "target").read_bytes() == data


@pytest.mark.req("T1")
def test_a_plain_script_in_system_calls(kernel, tmp_path):
    """One io_uring_enter for each op, and not one read(2) of the file."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    if kernel == "soft":
        pytest.skip("the soft kernel makes the plain system calls: that is its job")
    ops = 400
    (tmp_path / "file").write_bytes(b"x" * 4096 * ops)
    trace = tmp_path / "trace"
    programs.clean("""
        import os, sys
        import ringmill
        fd = os.open(sys.argv[1], os.O_RDONLY)
        ringmill.nop()
        os.write(1, b"begin")
        for n in range(int(sys.argv[2])):
            assert len(ringmill.read(fd, 4096, offset=4096 * n)) == 4096
        os.write(1, b"end")
    """, tmp_path / "file", ops, kernel=kernel,
        before=(strace, "-o", str(trace), "-e", "trace=io_uring_enter,read,pread64,write"))
    lines = trace.read_text().splitlines()
    calls = [line.partition("(")[0] for line in lines]
    first = next(i for i, line in enumerate(lines) if '"begin"' in line)
    last = next(i for i, line in enumerate(lines) if '"end"' in line)
    between = calls[first + 1:last]
    assert between.count("read") == between.count("pread64") == 0
    assert ops <= between.count("io_uring_enter") <= ops + ops // 100


@pytest.mark.req("T1")
def test_a_copy_in_system_calls(kernel, tmp_path):
    """The whole copy: one enter for each op, and no other system call touches the files.

    A write that the kernel hands to a worker of its own is waited for awake; then a second enter
    takes in what has come. Each of those is a spin in stats().
    """
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    if kernel == "soft":
        pytest.skip("the soft kernel makes the plain system calls: that is its job")
    data = os.urandom(4096 * 100)
    (tmp_path / "source").write_bytes(data)
    trace = tmp_path / "trace"
    out = programs.clean("""
    import os
    import ringmill
    ringmill.nop()
    os.write(1, b"begin ")
    """ + COPY + """
    os.write(1, b"end ")
    print(ringmill.machine().stats()["spins"])
    """, tmp_path / "source", tmp_path / "target", kernel=kernel,
        before=(strace, "-f", "-o", str(trace), "-e", "trace=all"))
    assert (tmp_path / "target").read_bytes() == data
    lines = trace.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if '"begin ' in line)
    last = next(i for i, line in enumerate(lines) if '"end ' in line)
    calls = [line.split()[1].partition("(")[0] for line in lines[first + 1:last]]
    ops = 2 + 101 + 100 + 1 + 2  # open, read to the end, write, fsync, close
    spins = int(out.split()[-1])
    assert ops <= calls.count("io_uring_enter") <= ops + spins + 4
    touching = {"open", "openat", "read", "pread64", "write", "pwrite64", "fsync", "fdatasync",
                "close"}
    assert not touching & set(calls)


def test_plain_calls_drive_the_fibers_meanwhile(machine):
    """While the script waits, what it spawned runs."""
    log = []
    ringmill.spawn(lambda: (ringmill.nop(), log.append("fiber")))
    ringmill.sleep(0.001)
    assert log == ["fiber"]


def test_plain_calls_in_threads(kernel):
    """A thread without any ceremony gets a machine of its own, and loses it at its end."""
    programs.clean("""
        import os, threading
        import ringmill

        def work(n):
            reader, writer = os.pipe()
            for _ in range(20):
                ringmill.write(writer, b"x" * n)
                assert ringmill.read(reader, 100) == b"x" * n
            os.close(reader), os.close(writer)

        before = len(os.listdir("/proc/self/fd"))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert len(os.listdir("/proc/self/fd")) == before
    """, kernel=kernel)


# What unwinds when its machine has ended: it waits again on its way out, and others are ready.
UNWINDS = """
    import os, sys, threading
    import ringmill

    def cleans(n):
        try:
            ringmill.sleep(3600)
        finally:
            try:
                ringmill.sleep(0.001)
            except ringmill.ClosedError:
                ended.append(1)

    def hosts(n):
        try:
            with ringmill.scope() as s:
                for _ in range(5):
                    s.spawn(ringmill.sleep, 3600)
                ringmill.sleep(3600)
        finally:
            ended.append(1)

    def never(n):
        begun.append(n)
        ringmill.sleep(3600)
        begun.append(n)

    def leave(leaves):
        for n in range(5):
            ringmill.spawn(cleans if leaves == "fibers that clean up" else hosts, n)
        ringmill.sleep(0.001)
        for n in range(5):
            ringmill.spawn(never, n)
        ringmill.aio.read(reader, 1).detach()

    reader, writer = os.pipe()
    begun, ended = [], []
"""


@pytest.mark.parametrize("leaves", ["fibers that clean up", "fibers in scopes"])
def test_a_thread_ends_with_fibers_that_wait_as_they_unwind(kernel, leaves):
    """Their waits are refused, those that are ready are not begun, and the thread ends."""
    programs.clean(UNWINDS + """
    for _ in range(4):
        thread = threading.Thread(target=leave, args=(sys.argv[1],))
        thread.start()
        thread.join()
    assert (begun, ended) == ([], [1] * 20), (begun, ended)
    ringmill.nop()
    """, leaves, kernel=kernel)


@pytest.mark.parametrize("leaves", ["fibers that clean up", "fibers in scopes"])
def test_end_runs_nobody(kernel, leaves):
    """Machine.end() unwinds who has begun; nobody else runs, and a wait says what has happened."""
    programs.clean(UNWINDS + """
    for _ in range(4):
        with ringmill.Machine() as machine:
            leave(sys.argv[1])
            machine.end()
    assert (begun, ended) == ([], [1] * 20), (begun, ended)
    ringmill.nop()
    """, leaves, kernel=kernel)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("how", ["as it ends", "in its clean-up"])
def test_exit_of_a_leftover_right_after_main(machine, face, error, how):
    """run() raises it, though main has returned and cannot be told any more; and once."""
    raised = error(4)

    def work():
        try:
            ringmill.yield_now()
            if how == "in its clean-up":
                ringmill.sleep(3600)
        finally:
            raise raised

    async def awork():
        try:
            await aio.yield_now()
            if how == "in its clean-up":
                await aio.sleep(3600)
        finally:
            raise raised

    def main():
        ringmill.spawn(work if face == "fiber" else awork())
        ringmill.yield_now()
        return "value"

    with pytest.raises(error) as caught:
        machine.run(main)
    assert caught.value is raised
    ringmill.sleep(0)
    assert machine.run(lambda: (ringmill.sleep(0), "as before")[1]) == "as before"


@pytest.mark.parametrize("leaves", ["nothing", "a fiber that sleeps", "its own fiber"])
def test_a_threads_greenlet_goes_with_the_thread(kernel, leaves):
    """At once, not when garbage is collected.

    At a thread's end greenlet looks at who still refers to the thread's main greenlet. If that is
    one fiber in a cycle, which is collected just then, greenlet goes on with freed memory.
    """
    programs.clean("""
        import gc, sys, threading, time, weakref
        import greenlet
        import ringmill

        def work():
            greenlets.append(weakref.ref(greenlet.getcurrent()))
            ringmill.nop()
            if sys.argv[1] == "a fiber that sleeps":
                ringmill.spawn(sleeps)
                ringmill.yield_now()
            elif sys.argv[1] == "its own fiber":
                kept.append(ringmill.current())

        def sleeps():
            try:
                ringmill.sleep(3600)
            finally:
                ended.append(1)

        gc.disable()
        greenlets, kept, ended = [], [], []
        for _ in range(5):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        for _ in range(1000):  # the main thread lets go of them a moment later
            if not any(ref() for ref in greenlets):
                break
            time.sleep(0.001)
        assert [ref() for ref in greenlets] == [None] * 5
        assert len(ended) == (5 if sys.argv[1] == "a fiber that sleeps" else 0)
    """, leaves, kernel=kernel)
