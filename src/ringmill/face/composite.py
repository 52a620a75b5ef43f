"""What people build first from ops: read exactly, listen, connect. Written once.

Each is `async def` over ops; call_face() makes the call from it, by driving the coroutine in the
fiber that calls. Knows ops and errors; does not know machines.
"""

from __future__ import annotations

import functools
import os
import socket as _socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ringmill.errors import IncompleteRead
from ringmill.face.spawn import drive
from ringmill.face.threads import in_thread_op
from ringmill.ops import aio

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

P = ParamSpec("P")
T = TypeVar("T")

BACKLOG = 1024  # connections that may wait to be accepted; the kernel caps it (somaxconn)


def call_face(composite: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """The call of the same name, for fibers and plain scripts."""

    @functools.wraps(composite)
    def call(*arguments: P.args, **keywords: P.kwargs) -> T:
        result: T = drive(composite(*arguments, **keywords))
        return result

    return call


async def read_exactly(fd: FileDescriptorLike, n: int) -> bytes:
    """Read `n` bytes; IncompleteRead, with what came, when the end comes first."""
    data = await aio.read(fd, n)
    if len(data) == n:
        return data
    pieces = [data]
    missing = n - len(data)
    while missing and data:
        data = await aio.read(fd, missing)
        pieces.append(data)
        missing -= len(data)
    if missing:
        raise IncompleteRead(b"".join(pieces), n)
    return b"".join(pieces)


async def _resolve(host: str | None, port: int | str, flags: int) -> list[tuple[Any, ...]]:
    """What getaddrinfo says; a numeric host is not worth a thread."""
    found: list[tuple[Any, ...]]
    if isinstance(port, int):
        for family in (_socket.AF_INET, _socket.AF_INET6):
            try:
                _socket.inet_pton(family, host or "")
            except (OSError, ValueError):
                continue
            address: tuple[Any, ...] = (host, port)
            if family == _socket.AF_INET6:
                address = (host, port, 0, 0)
            return [(family, _socket.SOCK_STREAM, _socket.IPPROTO_TCP, "", address)]
    found = await in_thread_op(_socket.getaddrinfo, host, port, 0, _socket.SOCK_STREAM, 0, flags)
    return found


async def tcp_listen(host: str | None, port: int | str, *, backlog: int = BACKLOG,
                     reuse_port: bool = False) -> _socket.socket:
    """A socket that listens on the first address `host` resolves to; port 0 takes a free one.

    host: None is every address, IPv6 and IPv4 both where the system has them.
    """
    dual = host is None and _socket.has_dualstack_ipv6()
    if dual:
        host = "::"
    family, kind, proto, _, address = (await _resolve(host, port, _socket.AI_PASSIVE))[0]
    sock = await aio.socket(family, kind, proto)
    try:
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEPORT, 1)
        if family == _socket.AF_INET6:
            sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0 if dual else 1)
        await aio.bind(sock, address)
        await aio.listen(sock, backlog)
    except BaseException:
        sock.close()
        raise
    return sock


async def tcp_connect(host: str, port: int | str) -> _socket.socket:
    """A socket connected to the first of `host`'s addresses that answers; TCP_NODELAY is set.

    Raises the error of the last address when none does.
    """
    failure: OSError | None = None
    for family, kind, proto, _, address in await _resolve(host, port, 0):
        try:
            sock = await aio.socket(family, kind, proto)
        except OSError as error:
            failure = error
            continue
        try:
            await aio.connect(sock, address)
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure or OSError(f"{os.fspath(host)!r} has no address")
