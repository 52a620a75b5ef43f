"""Specimens of the ops on sockets."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from typing import Any

from ops.lab import LETTER, Lab, drain
from ops.specimens.scene import (
    NEVER_WAITS,
    Failure,
    Scene,
    Specimen,
    all_of,
    kind_of,
    who,
)


def bind_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.tcp, "address": ("127.0.0.1", 0)}, (None, True),
                 lambda result: (result, lab.tcp.getsockname()[1] != 0))


def bind_fails(lab: Lab) -> Failure:
    path = str(lab.folder / "missing" / "socket")
    return Failure({"sock": lab.unix_socket(), "address": path}, errno.ENOENT, path)


def listen_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.bound}, (None, 1), lambda result: (
        result, lab.bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)))


def listen_fails(lab: Lab) -> Failure:
    return Failure({"sock": lab.enter_context(socket.socket(type=socket.SOCK_DGRAM))},
                   errno.EOPNOTSUPP)


def accept_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.knocked}, (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"), who)


def accept_waits(lab: Lab) -> Scene:
    return Scene({"sock": lab.listening}, (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"), who,
                 lambda: lab.dial(lab.listening))


def accept_fails(lab: Lab) -> Failure:
    return Failure({"sock": lab.tcp}, errno.EINVAL)


def connect_works(lab: Lab) -> Scene:
    address = lab.listening.getsockname()
    return Scene({"sock": lab.tcp, "address": address}, (None, address),
                 lambda result: (result, lab.tcp.getpeername()))


def connect_waits(lab: Lab) -> Scene:
    listener = lab.unix_listener(full=True)
    sock = lab.unix_socket()
    name = listener.getsockname()

    def come() -> None:
        lab.enter_context(listener.accept()[0])

    return Scene({"sock": sock, "address": name}, (None, name),
                 lambda result: (result, sock.getpeername()), come)


def connect_fails(lab: Lab) -> Failure:
    address = lab.bound.getsockname()  # bound, not listening: nobody else can listen there
    return Failure({"sock": lab.tcp, "address": address}, errno.ECONNREFUSED, address)


def receives(argument: str, make: Callable[[], Any], seen_as: Callable[[Any, Any], Any],
             expected: Callable[[bytes], Any]) -> Specimen:
    def works(lab: Lab) -> Scene:
        given = make()
        return Scene({"sock": lab.letter, argument: given}, expected(LETTER),
                     lambda result: seen_as(result, given))

    def waits(lab: Lab) -> Scene:
        given = make()
        ours, theirs = lab.pair()
        return Scene({"sock": ours, argument: given}, expected(b"late"),
                     lambda result: seen_as(result, given), lambda: theirs.send(b"late"))

    return Specimen(works, waits,
                    lambda lab: Failure({"sock": lab.hello, argument: make()}, errno.ENOTSOCK))


def sends(argument: str, make: Callable[[], Any], size: int) -> Specimen:
    def works(lab: Lab) -> Scene:
        ours, theirs = lab.pair()
        return Scene({"sock": ours, argument: make()}, (size, b"some bytes"),
                     lambda result: (result, theirs.recv(100)))

    def waits(lab: Lab) -> Scene:
        ours, theirs = lab.pair(full=True)
        taken = bytearray()
        return Scene({"sock": ours, argument: make()}, (size, b"some bytes"),
                     lambda result: (result, bytes(taken + drain(theirs.fileno()))[-size:]),
                     lambda: taken.extend(drain(theirs.fileno())))

    def fails(lab: Lab) -> Failure:
        ours, theirs = lab.pair()
        theirs.close()
        return Failure({"sock": ours, argument: make()}, errno.EPIPE)

    return Specimen(works, waits, fails)


def shutdown_works(lab: Lab) -> Scene:
    ours, theirs = lab.pair()
    return Scene({"sock": ours, "how": socket.SHUT_WR}, (None, b""),
                 lambda result: (result, theirs.recv(1)))


def shutdown_fails(lab: Lab) -> Failure:
    return Failure({"sock": lab.tcp, "how": socket.SHUT_WR}, errno.ENOTCONN)


def getsockopt_works(lab: Lab) -> Scene:
    return Scene({"sock": lab.tcp, "level": socket.SOL_SOCKET, "optname": socket.SO_TYPE},
                 socket.SOCK_STREAM)


def getsockopt_fails(lab: Lab) -> Failure:
    return Failure({"sock": lab.tcp, "level": socket.SOL_SOCKET, "optname": 9999},
                   errno.ENOPROTOOPT)


def setsockopt_works(lab: Lab) -> Scene:
    level, name = socket.SOL_SOCKET, socket.SO_KEEPALIVE
    return Scene({"sock": lab.tcp, "level": level, "optname": name,
                  "value": bytearray(struct.pack("i", 1))},
                 (None, 1), lambda result: (result, lab.tcp.getsockopt(level, name)))


def setsockopt_fails(lab: Lab) -> Failure:
    return Failure({"sock": lab.tcp, "level": socket.SOL_SOCKET, "optname": 9999, "value": 1},
                   errno.ENOPROTOOPT)


SPECIMENS: dict[str, Specimen] = {
    "socket": Specimen(
        lambda lab: Scene({}, (socket.AF_INET, socket.SOCK_STREAM, 0, False), kind_of),
        NEVER_WAITS, lambda lab: Failure({"family": 12345}, errno.EAFNOSUPPORT)),
    "bind": Specimen(bind_works, NEVER_WAITS, bind_fails),
    "listen": Specimen(listen_works, NEVER_WAITS, listen_fails),
    "accept": Specimen(accept_works, accept_waits, accept_fails),
    "connect": Specimen(connect_works, connect_waits, connect_fails),
    "recv": receives("n", lambda: 100, lambda result, _: result, lambda data: data),
    "recv_into": receives("buffer", lambda: bytearray(100),
                          lambda result, given: (result, bytes(given[:result])),
                          lambda data: (len(data), data)),
    "send": sends("data", lambda: bytearray(b"some bytes"), 10),
    "sendall": all_of(sends("data", lambda: bytearray(b"some bytes"), 10)),
    "shutdown": Specimen(shutdown_works, NEVER_WAITS, shutdown_fails),
    "getsockopt": Specimen(getsockopt_works, NEVER_WAITS, getsockopt_fails),
    "setsockopt": Specimen(setsockopt_works, NEVER_WAITS, setsockopt_fails),
}
