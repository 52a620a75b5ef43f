"""Specimens of the iterators: the first result is what counts, test_iterators.py has the rest."""

from __future__ import annotations

import errno
import os
import socket

from ops.lab import HELLO, LETTER, Lab
from ops.specimens.files import poll_waits, poll_works
from ops.specimens.scene import NO_OTHER_FAILURE, Failure, Scene, Specimen, kind_of
from ops.specimens.sockets import accept_fails


def accept_each_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.knocked}, (socket.AF_INET, socket.SOCK_STREAM, 0, False), kind_of)


def accept_each_waits(lab: Lab) -> Scene:
    return Scene({"sock": lab.listening}, (socket.AF_INET, socket.SOCK_STREAM, 0, False), kind_of,
                 lambda: lab.dial(lab.listening))


def recv_each_waits(lab: Lab) -> Scene:
    ours, theirs = lab.pair()
    return Scene({"sock": ours}, b"late", unblock=lambda: theirs.send(b"late"))


def recvmsg_each_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.letter}, (LETTER, [], 0, None))


def recvmsg_each_waits(lab: Lab) -> Scene:
    ours, theirs = lab.pair()
    return Scene({"sock": ours, "ancbufsize": 100}, (b"late", [], 0, None),
                 unblock=lambda: theirs.send(b"late"))


def read_each_waits(lab: Lab) -> Scene:
    source, target = lab.pipe()
    return Scene({"fd": source}, b"late", unblock=lambda: os.write(target, b"late"))


SPECIMENS: dict[str, Specimen] = {
    "accept_each": Specimen(accept_each_works, accept_each_waits, accept_fails),
    "recv_each": Specimen(lambda lab: Scene({"sock": lab.letter}, LETTER), recv_each_waits,
                          lambda lab: Failure({"sock": lab.hello}, errno.ENOTSOCK)),
    "recvmsg_each": Specimen(recvmsg_each_works, recvmsg_each_waits,
                             lambda lab: Failure({"sock": lab.hello}, errno.ENOTSOCK)),
    "read_each": Specimen(lambda lab: Scene({"fd": lab.hello}, HELLO), read_each_waits,
                          lambda lab: Failure({"fd": lab.directory}, errno.EISDIR)),
    "poll_each": Specimen(poll_works, poll_waits, NO_OTHER_FAILURE),
}
