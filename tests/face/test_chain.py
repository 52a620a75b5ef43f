"""Chains: several steps in one submission, with the results of the same steps one by one."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import stat
import tempfile

import pytest

import ringmill
from ringmill import Cancelled, Chain, aio
from support import faces, leaks, programs

HELLO = b"Hello, ring!\n"


@pytest.fixture
def hello(tmp_path):
    path = tmp_path / "hello"
    path.write_bytes(HELLO)
    return path


def run(face, chain):
    """The results of a chain, in one of the faces."""
    return faces.drive(face, chain.run if face == "fiber" else lambda: chain)


def reading(path, n=100):
    """open, stat, read, close."""
    chain = Chain()
    file = chain.open(path, os.O_RDONLY)
    chain.stat(path)
    chain.read(file, n)
    chain.close(file)
    return chain


@pytest.mark.req("T15")
def test_a_small_file(machine, face, hello):
    chain = reading(hello)
    for _ in range(3):  # a plan can be carried out again
        opened, about, data, closed = run(face, chain)
        assert (opened, data, closed) == (None, HELLO, None)
        assert about.st_size == len(HELLO) and stat.S_ISREG(about.st_mode)
    assert chain.failed is None


@pytest.mark.req("T15")
def test_a_step_that_fails_is_named_and_the_rest_is_not_done(machine, face, tmp_path, hello):
    before = leaks.open_fds()
    chain = Chain()
    file = chain.open(tmp_path / "missing", os.O_RDONLY)
    chain.read(file, 10)
    chain.close(file)
    chain.open(tmp_path / "made", os.O_CREAT | os.O_WRONLY)
    with pytest.raises(FileNotFoundError) as caught:
        run(face, chain)
    assert caught.value.filename == tmp_path / "missing"
    assert caught.value.__notes__ == ["in step 1 of 4 of a chain: open"]
    assert chain.failed is file
    assert os.listdir(tmp_path) == ["hello"]
    assert leaks.new_fds(before) == []


@pytest.mark.req("T15")
def test_a_failure_in_the_middle_closes_the_file(machine, face, tmp_path):
    """A directory can be opened and not read; its close is done all the same, a rename is not."""
    before = leaks.open_fds()
    for close in (True, False):
        chain = Chain()
        folder = chain.open(tmp_path, os.O_RDONLY)
        read = chain.read(folder, 10)
        if close:
            chain.close(folder)
        chain.open(tmp_path / "made", os.O_CREAT | os.O_WRONLY)
        with pytest.raises(IsADirectoryError) as caught:
            run(face, chain)
        assert caught.value.__notes__ == [f"in step 2 of {len(chain.steps)} of a chain: read"]
        assert chain.failed is read
    assert not os.listdir(tmp_path)
    assert leaks.new_fds(before) == []
    for _ in range(100):  # and every place can be had again
        with pytest.raises(IsADirectoryError):
            run(face, chain)


def program_of(body):
    """A script that does a chain many times, between two marks for strace."""
    return f"""
        import os, sys
        import ringmill
        path = sys.argv[1]
        def chain():
            chain = ringmill.Chain()
            {body}
            return chain
        def main():
            chain().run()
            os.write(1, b"begin")
            for n in range(50):
                chain().run()
            os.write(1, b"end")
        ringmill.run(main)
    """


READING = """
            file = chain.open(path, os.O_RDONLY)
            chain.stat(path)
            chain.read(file, 4096)
            chain.close(file)
"""
SYNCING = """
            file = chain.open(path, os.O_WRONLY)
            chain.write(file, b"data")
            chain.fsync(file)
            chain.close(file)
"""


@pytest.mark.parametrize("body", [
    pytest.param(READING, marks=pytest.mark.req("T15"), id="open, stat, read, close"),
    pytest.param(SYNCING, marks=pytest.mark.req("U27"), id="open, write, fsync, close"),
])
def test_in_system_calls(kernel, tmp_path, hello, body):
    """One enter for all steps, where the kernel can wait for several completions together (6.12).

    Some chains take two: a step that a worker of the kernel does may take longer than that wait.
    """
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    if kernel == "soft":
        pytest.skip("the soft kernel makes the plain system calls: that is its job")
    if ringmill.probe()["features"]["min_timeout"] != "present":
        pytest.skip("this kernel cannot wait for several completions with a limit")
    trace = tmp_path / "trace"
    if os.path.isdir("/dev/shm"):  # a disk may take longer to sync than the kernel is to wait
        memory = tempfile.NamedTemporaryFile(dir="/dev/shm")
    else:
        memory = open(hello)
    with memory as file:
        programs.clean(program_of(body), file.name, kernel=kernel,
                       before=(strace, "-f", "-o", str(trace), "-e", "trace=all"))
    text = trace.read_text()
    calls = re.findall(r"^\d+ +(\w+)\(", text[text.index('"begin"'):text.index('"end"')],
                       re.MULTILINE)
    assert not {"openat", "read", "close", "statx", "fsync"} & set(calls)
    enters = calls.count("io_uring_enter")
    assert 50 <= enters <= 100
    once = re.findall(r'io_uring_enter\(\d+, 4, 4, .*\) = 4$', text, re.MULTILINE)
    assert len(once) >= 25  # four steps given, four completions awaited, in one call


@pytest.mark.req("U27")
def test_data_is_written_before_it_is_synced(machine, face, tmp_path):
    """With an ordinary descriptor; both steps in one submission."""
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        chain = Chain()
        chain.write(fd, b"data", offset=0)
        chain.fsync(fd, datasync=True)
        assert run(face, chain) == [4, None]
        assert os.pread(fd, 100, 0) == b"data"
    finally:
        os.close(fd)


def test_a_short_transfer_does_not_end_the_chain(machine, face, hello):
    """It breaks the kernel's link; what is left is submitted anew."""
    chain = Chain()
    file = chain.open(hello, os.O_RDONLY)
    chain.read(file, 1000)
    chain.read(file, 1000)
    about = chain.stat(hello)
    chain.read(file, 5, offset=1)
    results = run(face, chain)
    assert results[1:3] == [HELLO, b""]
    assert results[about.index].st_size == len(HELLO)
    assert results[4] == b"ello,"


def test_a_step_that_goes_on_until_all_is_done(machine, face, tmp_path):
    data = os.urandom(3 << 20)
    left, right = socket.socketpair()
    with left, right:
        chain = Chain()
        file = chain.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
        chain.write_all(file, data)
        chain.sendall(left, data)
        chain.shutdown(left, socket.SHUT_WR)
        chain.close(file)

        def main():
            taker = ringmill.spawn(lambda: b"".join(ringmill.recv_each(right)))
            chain.run()
            return taker.join()

        assert machine.run(main) == data
    assert (tmp_path / "file").read_bytes() == data


def test_a_file_to_a_socket(machine, face, hello):
    """Sockets are files of a chain, too; and splice takes one as its source."""
    reader, writer = os.pipe()
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        chain = Chain()
        file = chain.open(hello, os.O_RDONLY)
        chain.splice(file, writer, len(HELLO), offset_source=0)
        chain.close(file)
        sock = chain.socket()
        chain.connect(sock, listener.getsockname())
        chain.splice(reader, sock, len(HELLO))
        results = run(face, chain)
        assert results == [None, len(HELLO), None, None, None, len(HELLO)]
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(100) == HELLO
            assert peer.recv(100) == b""  # the chain has closed its socket
    finally:
        os.close(reader)
        os.close(writer)
        listener.close()


@pytest.mark.parametrize("waits_at", range(1, 4))
def test_cancelled_while_a_step_waits(machine, face, tmp_path, waits_at):
    """The step ends, those behind it are not done, and what was open is closed."""
    before = leaks.open_fds()
    left, right = socket.socketpair()
    chain = Chain()
    file = chain.open(tmp_path / "a", os.O_CREAT | os.O_WRONLY)
    steps = [lambda: chain.write(file, b"x"), lambda: chain.write(file, b"y"),
             lambda: chain.open(tmp_path / "b", os.O_CREAT | os.O_WRONLY)]
    steps.insert(waits_at - 1, lambda: chain.recv(left, 10))
    for step in steps:
        step()

    async def arun():
        return await chain

    def main():
        strand = ringmill.spawn(chain.run if face == "fiber" else arun())
        while not done_so_far():
            ringmill.sleep(0.001)
        strand.cancel()
        with pytest.raises(Cancelled):
            strand.join()

    def done_so_far():
        path = tmp_path / "a"
        return path.exists() and path.read_bytes() == b"xy"[:waits_at - 1]

    machine.run(main)
    left.close()
    right.close()
    assert done_so_far()
    assert not (tmp_path / "b").exists()
    assert leaks.new_fds(before) == []


def test_cancelled_before_it_is_submitted(machine, face, tmp_path):
    """Nothing of it happens: not the step that was cancelled, nor what is linked to it."""
    chain = Chain()
    file = chain.open(tmp_path / "a", os.O_CREAT | os.O_WRONLY)
    chain.write(file, b"x")
    chain.close(file)
    chain.open(tmp_path / "b", os.O_CREAT | os.O_WRONLY)

    async def arun():
        return await chain

    def main():
        strand = ringmill.spawn(chain.run if face == "fiber" else arun())
        ringmill.yield_now()
        strand.cancel()
        with pytest.raises(Cancelled):
            strand.join()

    machine.run(main)
    assert os.listdir(tmp_path) == []


def test_in_time_or_not_at_all(machine, hello):
    left, right = socket.socketpair()
    chain = Chain()
    file = chain.open(hello, os.O_RDONLY)
    chain.recv(left, 10)
    chain.read(file, 10)
    with left, right, pytest.raises(TimeoutError), ringmill.timeout(0.01):
        chain.run()


def test_closing_the_machine_ends_it(kernel, face, hello):
    before = leaks.open_fds()
    left, right = socket.socketpair()
    chain = Chain()
    chain.recv(left, 10)
    chain.write(chain.open(hello, os.O_WRONLY), b"not this")

    async def arun():
        return await chain

    with ringmill.Machine(kernel=kernel) as machine:
        machine.run(lambda: (ringmill.spawn(chain.run if face == "fiber" else arun()),
                             ringmill.nop(), None)[-1])
    left.close()
    right.close()
    assert hello.read_bytes() == HELLO
    assert leaks.new_fds(before) == []


@pytest.mark.req("T15")
def test_more_at_once_than_there_are_places(machine, hello):
    """The others go step by step, with ordinary descriptors."""
    def one():
        return reading(hello).run()[2]

    def main():
        with ringmill.scope() as s:
            fibers = [s.spawn(one) for _ in range(500)]
        return [fiber.join() for fiber in fibers]

    assert machine.run(main) == [HELLO] * 500
    assert reading(hello).run()[2] == HELLO


BY_STEPS = """
    import os, sys
    import ringmill
    before = sorted(os.listdir("/proc/self/fd"))
    def main():
        chain = ringmill.Chain()
        file = chain.open(sys.argv[1], os.O_RDONLY)
        chain.stat(sys.argv[1])
        chain.read(file, 100)
        chain.close(file)
        print(chain.run()[2])
        chain = ringmill.Chain()
        folder = chain.open("/", os.O_RDONLY)
        chain.read(folder, 100)
        chain.open(sys.argv[1] + "2", os.O_CREAT)
        try:
            chain.run()
        except IsADirectoryError as error:
            print(error.__notes__[0], chain.failed.index, os.path.exists(sys.argv[1] + "2"))
    ringmill.run(main)
    if sorted(os.listdir("/proc/self/fd")) != before:
        print("left open")
"""


@pytest.mark.parametrize("hidden", ["direct_files", "statx,openat", "@5.10", "min_timeout"])
def test_where_the_kernel_cannot_the_results_are_the_same(kernel, hello, hidden):
    if hidden == "min_timeout":
        hidden = "@6.1"
    out = programs.clean(BY_STEPS, hello, kernel=kernel, RINGMILL_DISABLE=hidden)
    assert out == f"{HELLO}\nin step 2 of 3 of a chain: read 1 False\n"


def test_where_no_table_of_files_is_allowed(kernel, hello):
    """RLIMIT_NOFILE counts the places."""
    limited = """
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    """ + BY_STEPS
    out = programs.clean(limited, hello, kernel=kernel)
    assert out == f"{HELLO}\nin step 2 of 3 of a chain: read 1 False\n"


def test_what_cannot_be_a_step_is_refused(machine, hello):
    chain, other = Chain(), Chain()
    file = chain.open(hello, os.O_RDONLY)
    looked = chain.stat(hello)
    with pytest.raises(ValueError, match="of another chain"):
        other.read(file, 1)
    with pytest.raises(TypeError, match="opens nothing"):
        chain.read(looked, 1)
    chain.close(file)
    with pytest.raises(ValueError, match="has been closed by an earlier step"):
        chain.read(file, 1)
    with pytest.raises(TypeError, match="closes a descriptor or a file of its chain"):
        chain.close(socket.socket)
    assert [step.verb for step in chain.steps] == ["open", "stat", "close"]
    assert chain.run()[1].st_size == len(HELLO)


def test_a_bad_argument_leaves_nothing_behind(machine, tmp_path):
    chain = Chain()
    chain.open(tmp_path / "made", os.O_CREAT | os.O_WRONLY)
    chain.write("no descriptor", b"")
    with pytest.raises(TypeError, match="a file descriptor is"):
        chain.run()
    assert os.listdir(tmp_path) == []
    chain = Chain()
    for _ in range(65):
        chain.nop()
    with pytest.raises(ValueError, match="at most 64 steps"):
        chain.run()


def test_an_empty_chain_has_no_results(machine, face):
    assert run(face, Chain()) == []


def test_a_small_queue_goes_step_by_step(kernel, hello):
    with ringmill.Machine(kernel=kernel, entries=8):
        assert reading(hello).run()[2] == HELLO


@pytest.mark.parametrize("slots", range(2, 6))
def test_out_of_slots_half_way(kernel, hello, tmp_path, slots):
    """What was pushed already does not happen; a step alone would not have been refused."""
    with ringmill.Machine(kernel=kernel, ops_max=slots, on_full="raise") as machine:
        chain = Chain()
        for n in range(6):
            chain.open(tmp_path / str(n), os.O_CREAT | os.O_WRONLY)
        with pytest.raises(ringmill.WouldExceedBudget):
            chain.run()
        ringmill.nop()
        assert os.listdir(tmp_path) == ["hello"]
        assert machine.stats()["ops_live"] == 0


@pytest.mark.parametrize("slots", range(1, 4))
def test_a_chain_stands_in_line_step_by_step(kernel, hello, slots):
    """More steps than slots, and others who have them: each takes its turn, in its order."""
    with ringmill.Machine(kernel=kernel, ops_max=slots) as machine:
        others = [aio.nop() for _ in range(10)]
        assert reading(hello).run()[2] == HELLO
        for op in others:
            ringmill.wait(op)
        assert machine.stats()["ops_live"] == 0


def test_ops_beside_a_chain_are_not_part_of_it(machine, hello):
    """Begun before and after, in the same turn: a failing chain does not touch them."""
    def main():
        before = aio.nop()
        chain = Chain()
        chain.open(hello / "not", os.O_RDONLY)
        chain.nop()
        failing = ringmill.spawn(chain.run)
        ringmill.yield_now()
        after = aio.nop()
        with pytest.raises(NotADirectoryError) as caught:
            failing.join()
        assert caught.value.errno == errno.ENOTDIR
        assert ringmill.wait(before) is None and ringmill.wait(after) is None

    machine.run(main)
