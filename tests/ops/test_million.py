"""A million ops of each kind leave everything flat: counts, allocated blocks, resident memory.

`make soak` runs the million; every run of the suite a smaller number, which finds a leak of one
object per op as surely.
"""

from __future__ import annotations

import gc
import mmap
import os
import select
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ops.specimens import entries
from support import leaks

FEW = 20_000
MANY = 1_000_000

BATCH = 64  # ops in flight at once: what one enter takes, and more than one of each thing

# What may differ between two looks without anything being lost: caches, freelists, the counters.
BLOCKS_SPARE = 400
# A heap grows in steps of 128 KiB to some MiB before it is warm; a leak of 16 bytes per op in the
# short run would not be seen here, but among the blocks; in the long one it is 16 MB.
RSS_SPARE = 8 << 20


def resident() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


Round = Callable[[], Awaitable[Any]]


def rounds(name: str, lab: Lab) -> Round:
    """A function that begins one op, again and again, each of which ends by itself."""
    assert name in ROUNDS, f"tell in ROUNDS of this file how {name} is done again and again"
    return ROUNDS[name](lab)


def opened(lab: Lab) -> Round:
    path = lab.folder / "hello"

    async def go() -> None:
        os.close(await ringmill.aio.open(path, os.O_RDONLY))

    return go


def closed(lab: Lab) -> Round:
    return lambda: ringmill.aio.close(os.dup(lab.hello))


def spliced(lab: Lab) -> Round:
    source, target = lab.pipe()
    null = lab.opened(Path(os.devnull), os.O_WRONLY)

    async def go() -> None:
        await ringmill.aio.splice(lab.hello, target, 5, offset_source=0)
        await ringmill.aio.splice(source, null, 5)

    return go


def teed(lab: Lab) -> Round:
    source, _ = lab.pipe(holding=b"twice")
    copy, target = lab.pipe()

    async def go() -> None:
        await ringmill.aio.tee(source, target, 5)
        os.read(copy, 5)

    return go


def made(lab: Lab) -> Round:
    async def go() -> None:
        (await ringmill.aio.socket(socket.AF_UNIX)).close()

    return go


def bound(lab: Lab) -> Round:
    async def go() -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            await ringmill.aio.bind(sock, b"")

    return go


def listened(lab: Lab) -> Round:
    return lambda: ringmill.aio.listen(lab.listening, 5)


def connections(lab: Lab) -> Round:
    """connect and accept: one makes the other end."""
    listener = lab.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(b"")
    listener.listen(BATCH)
    name = listener.getsockname()

    async def go() -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            await ringmill.aio.connect(sock, name)
            accepted, _ = await ringmill.aio.accept(listener)
            accepted.close()

    return go


def waited(lab: Lab) -> Round:
    pid, _ = lab.one_waiting_child
    return lambda: ringmill.aio.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)


def received(begin: Callable[[Any], Any]) -> Callable[..., Round]:
    def make(lab: Lab) -> Round:
        ours, theirs = lab.pair()

        async def go() -> None:
            theirs.send(b"x")
            await begin(ours)

        return go

    return make


def sent(begin: Callable[[Any], Any]) -> Callable[..., Round]:
    def make(lab: Lab) -> Round:
        ours, theirs = lab.pair()

        async def go() -> None:
            await begin(ours)
            theirs.recv(100)

        return go

    return make


def mailed(lab: Lab) -> Round:
    """sendto and the two that tell who it was."""
    mail, mailbox = lab.datagrams(), lab.datagrams()
    name = mailbox.getsockname()

    async def go() -> None:
        await ringmill.aio.sendto(mail, b"x", name)
        assert await ringmill.aio.recvfrom(mailbox, 10) == (b"x", mail.getsockname())
        await ringmill.aio.sendto(mailbox, b"x", mail.getsockname())
        assert await ringmill.aio.recvfrom_into(mail, bytearray(4)) == (1, name)

    return go


def passed(lab: Lab) -> Round:
    ours, theirs = lab.pair()

    async def go() -> None:
        await ringmill.aio.send_fds(ours, [b"x"], [lab.hello])
        _, fds, _, _ = await ringmill.aio.recv_fds(theirs, 10, 1)
        os.close(*fds)

    return go


def accepted_each(lab: Lab) -> Round:
    listener = lab.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(b"")
    listener.listen(BATCH)
    name = listener.getsockname()

    async def go() -> None:
        each = ringmill.aio.accept_each(listener)
        with each, socket.socket(socket.AF_UNIX) as sock:
            sock.setblocking(False)
            sock.connect(name)
            (await anext(each)).close()

    return go


def received_each(lab: Lab) -> Round:
    async def go() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs, ringmill.aio.recv_each(ours) as each:
            theirs.send(b"x")
            assert await anext(each) == b"x"

    return go


def letters_each(lab: Lab) -> Round:
    async def go() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with ours, theirs, ringmill.aio.recvmsg_each(ours, 100) as each:
            socket.send_fds(theirs, [b"x"], [lab.hello])
            _, ancillary, _, _ = await anext(each)
            os.close(int.from_bytes(ancillary[0][2], sys.byteorder))

    return go


def read_each(lab: Lab) -> Round:
    async def go() -> None:
        source, target = os.pipe()
        try:
            with ringmill.aio.read_each(source) as each:
                os.write(target, b"x")
                assert await anext(each) == b"x"
        finally:
            os.close(source)
            os.close(target)

    return go


def polled_each(lab: Lab) -> Round:
    async def go() -> None:
        with ringmill.aio.poll_each(lab.pipe_in, select.POLLOUT) as each:
            await anext(each)

    return go


def made_and_removed(lab: Lab) -> Round:
    async def go() -> None:
        path = lab.folder / "a folder"
        await ringmill.aio.mkdir(path)
        await ringmill.aio.rmdir(path)

    return go


def linked(lab: Lab) -> Round:
    async def go() -> None:
        await ringmill.aio.link(lab.folder / "hello", lab.folder / "hard")
        await ringmill.aio.unlink(lab.folder / "hard")
        await ringmill.aio.unlink(lab.folder / "hard", missing_ok=True)

    return go


def linked_softly(lab: Lab) -> Round:
    async def go() -> None:
        await ringmill.aio.symlink("hello", lab.folder / "soft")
        await ringmill.aio.unlink(lab.folder / "soft")

    return go


def renamed(name: str) -> Callable[..., Round]:
    def make(lab: Lab) -> Round:
        there, back = lab.folder / "hello", lab.folder / "goodbye"
        (lab.folder / "goodbye").unlink(missing_ok=True)

        async def go() -> None:
            await getattr(ringmill.aio, name)(there, back)
            await getattr(ringmill.aio, name)(back, there)

        return go

    return make


def attributes(lab: Lab) -> Round:
    async def go() -> None:
        await ringmill.aio.setxattr(lab.hello, lab.attribute, b"blue")
        assert await ringmill.aio.getxattr(lab.folder / "hello", lab.attribute) == b"blue"

    return go


def piped(lab: Lab) -> Round:
    async def go() -> None:
        for fd in await ringmill.aio.pipe():
            os.close(fd)

    return go


def plain(begin: Callable[[Any, Lab], Any]) -> Callable[..., Round]:
    return lambda lab: lambda: begin(ringmill.aio, lab)


ROUNDS: dict[str, Callable[..., Round]] = {
    "nop": plain(lambda do, lab: do.nop()),
    "open": opened,
    "close": closed,
    "read": plain(lambda do, lab: do.read(lab.hello, 5, offset=0)),
    "readinto": plain(lambda do, lab: do.readinto(lab.hello, bytearray(5), offset=0)),
    "readv": plain(lambda do, lab: do.readv(lab.hello, [bytearray(2), bytearray(3)], offset=0)),
    "write": plain(lambda do, lab: do.write(lab.scratch, b"data", offset=0)),
    "write_all": plain(lambda do, lab: do.write_all(lab.scratch, b"data", offset=0)),
    "writev": plain(lambda do, lab: do.writev(lab.scratch, [b"da", b"ta"], offset=0)),
    "fsync": plain(lambda do, lab: do.fsync(lab.hello)),
    "ftruncate": plain(lambda do, lab: do.ftruncate(lab.scratch, 100)),
    "fallocate": plain(lambda do, lab: do.fallocate(lab.scratch, 0, 4096)),
    "sync_file_range": plain(lambda do, lab: do.sync_file_range(lab.scratch)),
    "fadvise": plain(lambda do, lab: do.fadvise(lab.hello, 0, 5, os.POSIX_FADV_NORMAL)),
    "madvise": plain(lambda do, lab: do.madvise(lab.mapped, mmap.MADV_NORMAL)),
    "getxattr": attributes,
    "setxattr": attributes,
    "mkdir": made_and_removed,
    "rmdir": made_and_removed,
    "link": linked,
    "unlink": linked,
    "symlink": linked_softly,
    "rename": renamed("rename"),
    "replace": renamed("replace"),
    "stat": plain(lambda do, lab: do.stat(lab.folder)),
    "splice": spliced,
    "tee": teed,
    "poll": plain(lambda do, lab: do.poll(lab.pipe_in, select.POLLOUT)),
    "pipe": piped,
    "epoll_wait": plain(lambda do, lab: do.epoll_wait(lab.watching)),
    "getsockopt": plain(lambda do, lab: do.getsockopt(lab.left, socket.SOL_SOCKET,
                                                      socket.SO_TYPE)),
    "setsockopt": plain(lambda do, lab: do.setsockopt(lab.left, socket.SOL_SOCKET,
                                                      socket.SO_KEEPALIVE, 1)),
    "socket": made,
    "bind": bound,
    "listen": listened,
    "accept": connections,
    "connect": connections,
    "recv": received(lambda sock: ringmill.aio.recv(sock, 1)),
    "recv_into": received(lambda sock: ringmill.aio.recv_into(sock, bytearray(4))),
    "recvmsg": received(lambda sock: ringmill.aio.recvmsg(sock, 1, 100)),
    "send": sent(lambda sock: ringmill.aio.send(sock, b"x")),
    "sendall": sent(lambda sock: ringmill.aio.sendall(sock, b"x")),
    "sendmsg": sent(lambda sock: ringmill.aio.sendmsg(sock, [b"x"])),
    "sendto": mailed,
    "recvfrom": mailed,
    "recvfrom_into": mailed,
    "recvmsg_into": received(lambda sock: ringmill.aio.recvmsg_into(sock, [bytearray(4)], 100)),
    "send_fds": passed,
    "recv_fds": passed,
    "shutdown": plain(lambda do, lab: do.shutdown(lab.left, socket.SHUT_WR)),
    "waitid": waited,
    "futex_wait": plain(lambda do, lab: do.futex_wait(bytearray(4), 1)),
    "futex_wake": plain(lambda do, lab: do.futex_wake(lab.word, 1)),
    "accept_each": accepted_each,
    "recv_each": received_each,
    "recvmsg_each": letters_each,
    "read_each": read_each,
    "poll_each": polled_each,
}

# Those that would be in each other's way in one folder.
ALONE = {"mkdir", "rmdir", "link", "unlink", "symlink", "rename", "replace"}

COUNTS = [FEW, pytest.param(MANY, marks=pytest.mark.soak)]


async def repeat(go: Round, count: int) -> None:
    for _ in range(count):
        await go()


async def batches(goes: list[Round], count: int) -> None:
    """`count` of them, in flight together; each that goes has descriptors of its own."""
    async with ringmill.scope() as scope:
        for go in goes:
            scope.spawn(repeat(go, count // BATCH))


def look() -> tuple[int, int]:
    gc.collect()
    return sys.getallocatedblocks(), resident()


@pytest.mark.req("T12", "U19")
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", entries())
def test_of_each_kind(lab: Lab, machine: Any, name: str, count: int) -> None:
    goes = [rounds(name, lab.fresh() if name in ALONE else lab) for _ in range(BATCH)]
    ringmill.run(batches(goes, max(FEW // 10, count // 20)))  # caches fill, the heap finds its size
    blocks, memory = look()
    ringmill.run(batches(goes, count))
    blocks_after, memory_after = look()
    assert blocks_after - blocks < BLOCKS_SPARE
    assert memory_after - memory < RSS_SPARE
    # Closed iterators end a turn later, so that a few more are alive than are in use.
    assert machine.stats()["slots"] <= 16 * BATCH
    assert leaks.settled(lambda: leaks.unrest(machine.stats())) == []


@pytest.mark.req("T12", "U19")
@pytest.mark.parametrize("count", COUNTS)
def test_cancelled_ones(lab: Lab, machine: Any, count: int) -> None:
    """Half are cancelled in the queue, half in flight; some nobody awaits."""
    source, _ = lab.pipe()

    async def go() -> None:
        for flight in (False, True):
            op = ringmill.aio.read(source, 100)
            if flight:
                await ringmill.aio.sleep(0)
            op.cancel()
            try:
                await op
            except ringmill.Cancelled:
                pass
        ringmill.aio.nop().detach()

    ringmill.run(batches([go] * BATCH, FEW // 10))
    blocks, memory = look()
    ringmill.run(batches([go] * BATCH, count // 3))
    blocks_after, memory_after = look()
    assert blocks_after - blocks < BLOCKS_SPARE
    assert memory_after - memory < RSS_SPARE


@pytest.mark.req("T12", "U19")
@pytest.mark.parametrize("count", COUNTS)
def test_calls_in_fibers(lab: Lab, machine: Any, count: int) -> None:
    """The other face: fibers that come and go, each with a call."""

    def one() -> None:
        ringmill.nop()

    def main(times: int) -> None:
        for _ in range(times // BATCH):
            with ringmill.scope() as scope:
                for _ in range(BATCH):
                    scope.spawn(one)

    ringmill.run(main, FEW // 10)
    blocks, memory = look()
    ringmill.run(main, count)
    blocks_after, memory_after = look()
    assert blocks_after - blocks < BLOCKS_SPARE
    assert memory_after - memory < RSS_SPARE
