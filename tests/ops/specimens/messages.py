"""Specimens of the ops on messages."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Any

from ops.lab import HELLO, LETTER, Lab
from ops.specimens.scene import Failure, Scene, Specimen, letter_of
from ops.specimens.sockets import receives, sends

DATA = b"some bytes"


def sendto_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.mail, "data": bytearray(DATA),
                  "address": lab.mailbox.getsockname()}, (len(DATA), DATA),
                 lambda result: (result, lab.mailbox.recv(100)))


def sendto_waits(lab: Lab) -> Scene:
    """Unix datagrams wait for room in the receiver's queue; those of UDP are dropped."""
    ours, theirs = (lab.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                    for _ in range(2))
    theirs.bind(b"")
    name = theirs.getsockname()
    waiting = 0
    try:
        while True:
            ours.sendto(b"one more", socket.MSG_DONTWAIT, name)
            waiting += 1
    except BlockingIOError:
        pass

    def read() -> None:
        for _ in range(waiting):
            theirs.recv(100)

    return Scene({"sock": ours, "data": bytearray(DATA), "address": name}, (len(DATA), DATA),
                 lambda result: (result, theirs.recv(100)), read)


def sendto_fails(lab: Lab) -> Failure:
    path = str(lab.folder / "nobody")
    sock = lab.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    return Failure({"sock": sock, "data": DATA, "address": path}, errno.ENOENT, path)


def brought(result: tuple[bytes, list[int], int, Any]) -> tuple[Any, ...]:
    """What came, and what can be read from the descriptors, which are closed."""
    data, fds, flags, address = result
    files = [os.pread(fd, 100, 0) for fd in fds]
    inherited = [os.get_inheritable(fd) for fd in fds]
    for fd in fds:
        os.close(fd)
    return data, files, inherited, flags, address


def send_fds_works(lab: Lab) -> Scene:
    ours, theirs = lab.pair()
    return Scene({"sock": ours, "buffers": [bytearray(DATA)], "fds": [lab.hello]},
                 (len(DATA), DATA, [HELLO]),
                 lambda result: (result, *brought(socket.recv_fds(theirs, 100, 1))[:2]))


def send_fds_waits(lab: Lab) -> Scene:
    ours, theirs = lab.pair(full=True)
    letters: list[Any] = []  # it may be sent between two of the reads that make room

    def read() -> None:
        theirs.setblocking(False)  # recv_fds forgets its flags before 3.13
        with contextlib.suppress(BlockingIOError):
            while True:
                data, fds, *rest = socket.recv_fds(theirs, 1 << 16, 1)
                if fds:  # what was in the way may come with it
                    letters.append((data[-len(DATA):], fds, *rest))
        theirs.setblocking(True)

    def letter() -> Any:
        return letters[0] if letters else socket.recv_fds(theirs, 100, 1)

    return Scene({"sock": ours, "buffers": [bytearray(DATA)], "fds": [lab.hello]},
                 (len(DATA), DATA, [HELLO]), lambda result: (result, *brought(letter())[:2]),
                 read)


def send_fds_fails(lab: Lab) -> Failure:
    return Failure({"sock": lab.pair()[0], "buffers": [DATA], "fds": [lab.closed()]}, errno.EBADF)


def recv_fds_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.passing, "n": 100, "maxfds": 3}, (LETTER, [HELLO], [False], 0, None),
                 brought)


def recv_fds_waits(lab: Lab) -> Scene:
    ours, theirs = lab.pair()
    return Scene({"sock": ours, "n": 100, "maxfds": 3}, (DATA, [HELLO] * 2, [False] * 2, 0, None),
                 brought, lambda: socket.send_fds(theirs, [DATA], [lab.hello] * 2))


def spread(result: tuple[Any, ...], given: list[bytearray]) -> tuple[Any, ...]:
    """A message in buffers, as if it had come in one piece."""
    size, ancillary, flags, _ = result
    return b"".join(given)[:size], ancillary, flags


def in_two() -> list[bytearray]:
    return [bytearray(2), bytearray(98)]


SPECIMENS: dict[str, Specimen] = {
    "sendto": Specimen(sendto_works, sendto_waits, sendto_fails),
    "sendmsg": sends("buffers", lambda: [bytearray(b"some "), bytearray(b"bytes")], 10),
    "send_fds": Specimen(send_fds_works, send_fds_waits, send_fds_fails),
    "recvmsg": receives("n", lambda: 100, lambda result, _: letter_of(result),
                        lambda data: (data, [], 0)),
    "recvmsg_into": receives("buffers", in_two, spread, lambda data: (data, [], 0)),
    "recvfrom": receives("n", lambda: 100, lambda result, _: result, lambda data: (data, None)),
    "recvfrom_into": receives(
        "buffer", lambda: bytearray(100),
        lambda result, given: (bytes(given[:result[0]]), result[1]), lambda data: (data, None)),
    "recv_fds": Specimen(recv_fds_works, recv_fds_waits,
                         lambda lab: Failure({"sock": lab.hello, "n": 9, "maxfds": 1},
                                             errno.ENOTSOCK)),
}
