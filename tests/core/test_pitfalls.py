"""What went wrong in other runtimes of this kind, shown to be absent here, by the pitfall's number.

Those that have no other natural place; test_pitfall_homes.py has the list of all.
Each was seen to fail with its mechanism broken on purpose.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
import select
import shutil
import socket
from pathlib import Path

import pytest

import ringmill
from ringmill import Cancelled, aio
from support import leaks, programs


def test_01_buffers_of_a_cancelled_receive(machine):
    """Data of one connection never appears in another, and every buffer comes back.

    More rounds than there are buffers, each cancelled with data in the queue, in the kernel and on
    its way.
    """
    rng = random.Random(1)
    for n in range(400):
        left, right = socket.socketpair()
        mine = bytes([n % 251]) * 50
        each = ringmill.recv_each(left)
        fiber = ringmill.spawn(next, each)
        ringmill.yield_now()
        for _ in range(rng.randrange(4)):
            right.send(mine)
            if rng.random() < 0.5:
                ringmill.nop()
        if rng.random() < 0.5:
            fiber.cancel()
        else:
            right.send(mine)
        each_end = rng.random()
        try:
            data = fiber.join() if each_end < 0.8 else None
        except Cancelled:
            data = None
        assert data is None or set(data) == {n % 251}
        each.close()
        if data is None and each_end >= 0.8:
            try:
                fiber.join()
            except (Cancelled, StopIteration, RuntimeError):
                pass
        left.close()
        right.close()
    while machine.stats()["ops_live"]:
        ringmill.nop()
    stats = machine.stats()
    assert stats["buffers_lent"] == 0 and stats["buffers_starved"] == 0


def test_01_buffers_that_come_after_the_end(machine):
    """Data stands in the CQ when its iteration is closed: the buffers come back all the same.

    A look takes in 256 completions. So many nops stand before the data that whoever waits for the
    first of them runs, and closes, before the data is looked at.
    """
    for _ in range(20):  # 320 buffers, of a group of 128
        pairs = [socket.socketpair() for _ in range(16)]
        eaches = [ringmill.recv_each(left) for left, _ in pairs]
        fibers = [ringmill.spawn(next, each, None) for each in eaches]
        ringmill.yield_now()
        ringmill.nop()
        for _, right in pairs:
            right.send(b"too late")
        first = aio.nop()
        for _ in range(300):
            aio.nop().detach()
        ringmill.wait(first)
        for each in eaches:
            each.close()
        for fiber in fibers:
            try:
                assert fiber.join() in (None, b"too late")
            except ringmill.ClosedError:
                pass
        for sock in (sock for pair in pairs for sock in pair):
            sock.close()
    while machine.stats()["ops_live"]:
        ringmill.nop()
    assert machine.stats()["buffers_lent"] == 0


@pytest.mark.parametrize("verb", ["open", "accept", "socket"])
def test_02_a_descriptor_that_nobody_takes_is_closed(machine, verb):
    """Done, and then dropped, cancelled too late, or its strand is gone."""
    listener = socket.create_server(("127.0.0.1", 0))
    begin = {"open": lambda: aio.open("/dev/null", os.O_RDONLY),
             "accept": lambda: aio.accept(listener), "socket": aio.socket}[verb]
    knocks = []
    before = leaks.open_fds()
    for n in range(60):
        if verb == "accept":
            knocks.append(socket.create_connection(listener.getsockname()))
            before = leaks.open_fds()
        op = begin()
        while not op.done:
            ringmill.sleep(0)
        assert len(leaks.new_fds(before)) == 1  # it is there …
        if n % 3 == 0:
            op.cancel()
        op.detach()
        del op
        assert leaks.new_fds(before) == []  # … and gone with the op
    for sock in [*knocks, listener]:
        sock.close()


def test_06_multishot_is_armed_again(machine):
    """Out of buffers, the kernel ends the receive: it goes on when they return, invisibly.

    Streams whose readers wait while as much comes as the sockets hold, which is more than all
    buffers together. Then all is read, in order, to the end.
    """
    streams = [socket.socketpair() for _ in range(32)]
    eaches = [ringmill.recv_each(left) for left, _ in streams]
    fibers = [ringmill.spawn(next, each) for each in eaches]
    ringmill.yield_now()
    ringmill.nop()
    sent = []
    for _, right in streams:  # all before the machine looks
        right.setblocking(False)
        data = os.urandom(1_000_000)
        sent.append(data[: right.send(data)])
        right.shutdown(socket.SHUT_WR)
    while any(not fiber.done for fiber in fibers):
        ringmill.nop()
    assert machine.stats()["buffers_starved"] > 0  # else this shows nothing
    firsts = [fiber.join() for fiber in fibers]
    rests = [ringmill.spawn(list, each) for each in eaches]
    for first, rest in zip(firsts, rests, strict=True):
        assert b"".join([first, *rest.join()]) == sent.pop(0)
    for each in eaches:
        each.close()
    assert machine.stats()["buffers_lent"] == 0
    for pair in streams:
        for sock in pair:
            sock.close()


def test_09_vectors_live_until_the_last_completion(machine, pipe):
    """The list of buffers may be changed, emptied and dropped while the op is in flight."""
    reader, writer = pipe
    for _ in range(200):
        buffers = [bytearray(3), bytearray(4), bytearray(5)]
        kept = list(buffers)
        op = aio.readv(reader, buffers)
        ringmill.nop()
        buffers[:] = [bytearray(1 << 16)]
        del buffers
        noise = [bytes(48) for _ in range(50)]  # takes the memory if it was freed
        os.write(writer, b"abcdefghijkl")
        assert ringmill.wait(op) == 12
        assert kept == [b"abc", b"defg", b"hijkl"]
        del noise


class Finalised(bytearray):
    """A buffer that runs user code when its last reference goes: while completions are walked."""

    ended = 0

    def __del__(self):
        Finalised.ended += 1
        self.at_end()


def test_12_the_ring_goes_before_what_it_points_to(kernel, tmp_path):
    """The buffers of a receive in flight are unmapped after the ring's descriptor is closed.

    Seen from outside, by the order of the system calls. That nothing is in flight any more when
    the descriptor closes is shown by tests/ring/linux_life.c.
    """
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    if kernel == "soft":
        pytest.skip("there is no descriptor that others write through")
    trace = tmp_path / "trace"
    programs.clean("""
        import socket
        import ringmill
        left, right = socket.socketpair()
        machine = ringmill.machine()
        each = iter(ringmill.recv_each(left))
        fiber = ringmill.spawn(next, each)
        ringmill.yield_now()
        ringmill.nop()
        machine.end()
        left.close(), right.close()
    """, kernel=kernel, before=(strace, "-f", "-o", str(trace), "-e",
                                "trace=io_uring_setup,close,mmap,munmap"))
    text = trace.read_text()
    ring = re.search(r"io_uring_setup\(.* = (\d+)$", text, re.MULTILINE)[1]
    size = 128 * 16384 + 4096  # a group's buffers, and the ring that names them
    group = re.search(rf"mmap\(NULL, {size}, .* = (0x\w+)$", text, re.MULTILINE)[1]
    assert text.index(f"close({ring})") < text.index(f"munmap({group}, {size})")


@pytest.mark.parametrize("at_end", ["begins an op", "spawns", "calls", "yields", "sleeps"])
def test_25_user_code_never_runs_while_completions_are_walked(kernel, pipe, monkeypatch, at_end):
    """A finaliser that uses ringmill: begun ops are fine, a wait is refused, nobody is forgotten.

    The buffers' last references are the ops', which end while their completions are taken in. The
    queues are small: what the finaliser begins makes the machine enter and reap in the midst.
    """
    reader, writer = pipe
    refused = []
    ran = []

    def act(self):
        try:
            if at_end == "begins an op":
                aio.nop().detach()
            elif at_end == "spawns":
                ringmill.spawn(ran.append, 1)
            elif at_end == "calls":
                ringmill.nop()
            elif at_end == "yields":
                ringmill.yield_now()
            else:
                ringmill.sleep(0)
        except ringmill.WouldBlock:
            refused.append(1)

    monkeypatch.setattr(Finalised, "at_end", act, raising=False)
    monkeypatch.setattr(Finalised, "ended", 0)

    def waits(n):
        for _ in range(n):
            ringmill.nop()
        return n

    def main():
        fibers = [ringmill.spawn(waits, 20) for _ in range(10)]
        for _ in range(50):
            aio.readinto(reader, Finalised(4)).detach()
        ringmill.nop()
        os.write(writer, b"x" * 200)
        assert [fiber.join() for fiber in fibers] == [20] * 10
        while machine.stats()["ops_live"]:
            ringmill.nop()

    with ringmill.Machine(kernel=kernel, entries=8) as machine:
        machine.run(main)
    assert Finalised.ended == 50
    # Those that ended while completions were taken in were refused, every one of them.
    assert len(refused) == (0 if at_end in ("begins an op", "spawns") else 50)
    assert len(ran) == (50 if at_end == "spawns" else 0)


def test_25_a_wakened_fiber_may_close_what_has_more_to_come(machine):
    """The first result's owner closes the iteration, whose other results are being walked."""
    for _ in range(50):
        left, right = socket.socketpair()
        each = ringmill.recv_each(left)
        fiber = ringmill.spawn(next, each)
        ringmill.yield_now()
        ringmill.nop()
        for n in range(10):
            right.send(bytes([n]))
        fiber.join()
        each.close()
        with pytest.raises(StopIteration):
            next(each)
        left.close()
        right.close()
    while machine.stats()["ops_live"]:
        ringmill.nop()


def test_26_sqpoll_saves_the_system_call(kernel, tmp_path):
    """Submitting takes no call while the kernel's thread is awake; else it would cost a core for
    nothing."""
    strace = shutil.which("strace")
    if kernel == "soft":
        pytest.skip("the soft kernel has no thread that submits")
    if strace is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    out = programs.clean("""
        import ringmill
        from ringmill import aio

        machine = ringmill.Machine(sqpoll=True, balance=ringmill.Fixed(8))
        print("SQPOLL" in machine.kernel.why)

        def submits():
            for _ in range(2000):
                aio.nop().detach()
                ringmill.yield_now()

        def main():
            for fiber in [ringmill.spawn(submits) for _ in range(4)]:
                fiber.join()
            while machine.stats()["ops_live"]:
                ringmill.sleep(0.0001)

        machine.run(main)
        stats = machine.stats()
        print(stats["submitted"], stats["enters"])
    """, kernel=kernel, before=(strace, "-o", str(trace), "-e", "trace=io_uring_enter"))
    granted, numbers = out.splitlines()
    if granted != "True":
        pytest.skip("this kernel grants no SQPOLL")
    submitted, enters = map(int, numbers.split())
    assert submitted >= 8000
    assert enters >= 8000 // 8 // 2  # it did look about every eighth switch …
    assert len(trace.read_text().splitlines()) <= enters // 2  # … and seldom had to call


@pytest.mark.parametrize("cancel", [False, True])
def test_sqpoll_does_all_that_the_others_do(kernel, cancel):
    """Cancels too: an SQE that the kernel's thread may be reading is not ours to change."""
    rng = random.Random(26)
    with ringmill.Machine(kernel=kernel, sqpoll=True) as machine:
        reader, writer = os.pipe()

        async def main():
            done = cancelled = 0
            for n in range(2000):
                op = aio.write(writer, b"x")
                if rng.random() < 0.5:
                    await aio.yield_now()
                if cancel and n % 2:
                    op.cancel()
                try:
                    done += await op
                except Cancelled:
                    cancelled += 1
            return done, cancelled

        done, cancelled = machine.run(main())
        assert done + cancelled == 2000
        assert len(os.read(reader, 65536)) == done
        assert cancel or cancelled == 0
        os.close(reader)
        os.close(writer)


def flags_of(fd):
    return fcntl.fcntl(fd, fcntl.F_GETFL)


@pytest.mark.parametrize("blocking", [True, False])
def test_28_the_users_descriptor_flags_stay(machine, face, blocking):
    """O_NONBLOCK belongs to the open file, which others share: it is neither set nor cleared."""
    reader, writer = os.pipe()
    left, right = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    fds = [reader, writer, left.fileno(), right.fileno(), listener.fileno()]
    for fd in fds:
        os.set_blocking(fd, blocking)
    before = [flags_of(fd) for fd in fds]

    async def main():
        ops = [aio.read(reader, 10), aio.recv(left, 10), aio.accept(listener),
               aio.poll(right, select.POLLIN)]
        await aio.nop()
        await aio.sleep(0.001)
        assert [flags_of(fd) for fd in fds] == before
        client = await aio.tcp_connect("127.0.0.1", listener.getsockname()[1])
        os.write(writer, b"pipe")
        right.send(b"right")
        left.send(b"left")
        assert await ops[0] == b"pipe" and await ops[1] == b"right"
        accepted, _ = await ops[2]
        assert await ops[3] == select.POLLIN
        accepted.close()
        client.close()
        assert [flags_of(fd) for fd in fds] == before

    machine.run(main() if face == "aio" else lambda: ringmill.drive(main()))
    for fd in (reader, writer):
        os.close(fd)
    for sock in (left, right, listener):
        sock.close()


def test_28_descriptors_that_epoll_refuses(machine, face, tmp_path):
    """Regular files, directories and devices: read, written and polled like everything else."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 1000)

    async def main():
        fd = await aio.open(path, os.O_RDWR)
        assert await aio.read(fd, 10) == b"0123456789"
        assert await aio.poll(fd, select.POLLIN | select.POLLOUT)
        assert await aio.write(fd, b"new", offset=3) == 3
        got = b"".join([piece async for piece in aio.read_each(fd)])
        assert len(got) == 9990
        await aio.close(fd)
        null = await aio.open("/dev/null", os.O_RDWR)
        assert await aio.read(null, 10) == b""
        assert await aio.write(null, b"gone") == 4
        await aio.close(null)
        zero = await aio.open("/dev/zero", os.O_RDONLY)
        assert await aio.read(zero, 4) == bytes(4)
        await aio.close(zero)
        folder = await aio.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        with pytest.raises(IsADirectoryError):
            await aio.read(folder, 10)
        await aio.close(folder)

    machine.run(main() if face == "aio" else lambda: ringmill.drive(main()))


def test_the_rings_code_is_in_one_module_only():
    """Linked into two extension modules, each C global would silently exist twice."""
    package = Path(ringmill.core.op.__file__).parent.parent
    modules = [path.name for path in package.rglob("*.so")
               if b"io_uring_setup: " in path.read_bytes()]
    assert len(modules) == 1, modules
