"""Much of it: splice, tee and poll_each with more than any pipe or queue holds, nothing lost."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from ringmill import aio

PIECE = 1 << 16  # a pipe's room


def ran(face: str, calls: Callable[..., Any], awaits: Callable[..., Any], *given: Any) -> Any:
    """The same program in one face or the other."""
    return ringmill.run(calls, *given) if face == "fiber" else ringmill.run(awaits(*given))


def digest_of(sock: socket.socket, told: list[Any]) -> None:
    """In a thread, without ringmill: what comes until the end."""
    digest, size = hashlib.sha256(), 0
    while data := sock.recv(1 << 18):
        digest.update(data)
        size += len(data)
    told += [size, digest.digest()]


@pytest.mark.req("U22", "T3")
@pytest.mark.usefixtures("machine")
def test_splice_64_mib_of_a_file_to_a_tcp_socket(lab: Lab, face: str) -> None:
    size = 64 << 20
    block = os.urandom(1 << 20)
    digest = hashlib.sha256()
    with open(lab.folder / "big", "wb") as file:
        for number in range(64):
            piece = number.to_bytes(8, "little") + block[8:]  # no two blocks are the same
            digest.update(piece)
            file.write(piece)
    big = lab.opened(lab.folder / "big")
    there, here = lab.pipe()[::-1]
    listener = lab.listener()
    ours = lab.dial(listener)
    theirs = lab.enter_context(listener.accept()[0])

    def calls() -> int:
        at = 0
        while moved := ringmill.splice(big, there, PIECE, offset_source=at):
            at += moved
            while moved:
                moved -= ringmill.splice(here, ours, moved)
        return at

    async def awaits() -> int:
        at = 0
        while moved := await aio.splice(big, there, PIECE, offset_source=at):
            at += moved
            while moved:
                moved -= await aio.splice(here, ours, moved)
        return at

    told: list[Any] = []
    thread = threading.Thread(target=digest_of, args=(theirs, told))
    thread.start()
    try:
        assert ran(face, calls, awaits) == size
    finally:
        ours.shutdown(socket.SHUT_WR)
        thread.join()
    assert told == [size, digest.digest()]


@pytest.mark.req("U23")
@pytest.mark.usefixtures("machine")
def test_tee_16_mib_to_two(lab: Lab, face: str) -> None:
    """Piece by piece to two consumers; and the source has every piece still."""
    data = os.urandom(16 << 20)
    pipes = [lab.pipe() for _ in range(3)]
    (source, feed), *consumers = pipes
    digests = [hashlib.sha256() for _ in pipes]

    def calls() -> None:
        for at in range(0, len(data), PIECE):
            piece = ringmill.write(feed, memoryview(data)[at:at + PIECE])
            for _, target in consumers:
                assert ringmill.tee(source, target, piece) == piece
            for digest, (end, _) in zip(digests, pipes, strict=True):
                digest.update(ringmill.read_exactly(end, piece))

    async def awaits() -> None:
        for at in range(0, len(data), PIECE):
            piece = await aio.write(feed, memoryview(data)[at:at + PIECE])
            for _, target in consumers:
                assert await aio.tee(source, target, piece) == piece
            for digest, (end, _) in zip(digests, pipes, strict=True):
                digest.update(await aio.read_exactly(end, piece))

    ran(face, calls, awaits)
    assert {digest.digest() for digest in digests} == {hashlib.sha256(data).digest()}


@pytest.mark.req("U26")
@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_poll_each_misses_no_signal(lab: Lab, machine: Any, face: str, count: int) -> None:
    """An eventfd that a thread signals as fast as it can: edges come until all is counted.

    Several signals may be one edge; what must not happen is that the last one is not told.
    """
    fd = lab.kept(os.eventfd(0, os.EFD_NONBLOCK))

    def signal_it() -> None:
        for _ in range(count):
            os.eventfd_write(fd, 1)

    def calls() -> int:
        seen = edges = 0
        with ringmill.poll_each(fd, select.POLLIN) as each:
            for mask in each:
                assert mask == select.POLLIN
                edges += 1
                seen += counted(fd)
                if seen == count:
                    return edges
        return 0

    async def awaits() -> int:
        seen = edges = 0
        with aio.poll_each(fd, select.POLLIN) as each:
            async for mask in each:
                assert mask == select.POLLIN
                edges += 1
                seen += counted(fd)
                if seen == count:
                    return edges
        return 0

    thread = threading.Thread(target=signal_it)
    thread.start()
    edges = ran(face, calls, awaits)
    thread.join()
    assert 1 <= edges <= count + 1
    # It was closed: the kernel tells nobody any more.
    for _ in range(3):
        ringmill.sleep(0.001)
    before = machine.stats()
    os.eventfd_write(fd, 1)
    for _ in range(3):
        ringmill.sleep(0.001)
    after = machine.stats()
    assert (before["ops_live"], after["ops_live"]) == (0, 0)
    assert (after["reaped"], after["stale"]) == (before["reaped"], before["stale"])


def counted(fd: int) -> int:
    try:
        return os.eventfd_read(fd)
    except BlockingIOError:
        return 0  # what this edge told had been counted with the last
