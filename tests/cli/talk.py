"""Talking to a server with nothing in between: raw bytes over a plain socket."""

from __future__ import annotations

import socket
import struct
from http.client import HTTPConnection, HTTPResponse
from typing import NamedTuple

from ringmill.cli.served import ServedDirectory

# The largest file of the served tree: several pipes full, and no multiple of anything.
BIG = 3 * 1024 * 1024 + 17

# A server that does not answer is a failed test, not a hanging one.
PATIENCE_S = 30.0


class Answer(NamedTuple):
    status: int
    fields: dict[str, str]  # names in lower case
    body: bytes


def dial(server: ServedDirectory) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)


def reader_of_little(server: ServedDirectory) -> socket.socket:
    """A client whose side of the connection holds little: the server is still sending when the
    client has begun to read."""
    sock = socket.socket()
    sock.settimeout(PATIENCE_S)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before the handshake
    sock.connect(("127.0.0.1", server.port))
    return sock


def reset(sock: socket.socket) -> None:
    """Hang up as a crashing client does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def say(server: ServedDirectory, data: bytes, *, hang_up: bool = True) -> bytes:
    """Send `data` and return all that comes until the server hangs up."""
    with dial(server) as sock:
        sock.sendall(data)
        if hang_up:
            sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def parse(data: bytes, method: str = "GET") -> tuple[Answer, bytes]:
    """The first answer in `data`, and what follows it."""
    head, gap, rest = data.partition(b"\r\n\r\n")
    assert gap, f"no whole head in {data[:200]!r}"
    lines = head.decode("latin-1").split("\r\n")
    version, status, _ = lines[0].split(" ", 2)
    assert version == "HTTP/1.1"
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(": ")
        assert name.lower() not in fields, f"{name} comes twice"
        fields[name.lower()] = value
    size = int(fields.get("content-length", 0))
    if method == "HEAD" or status in ("204", "304"):
        size = 0
    return Answer(int(status), fields, rest[:size]), rest[size:]


def get(server: ServedDirectory, path: str, method: str = "GET", **fields: str) -> Answer:
    """One request on a connection of its own, through the standard library's client."""
    client = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        return ask(client, path, method, **fields)
    finally:
        client.close()


def ask(client: HTTPConnection, path: str, method: str = "GET", **fields: str) -> Answer:
    """One request on a connection that may be used again."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    client.request(method, path, headers=headers)
    response: HTTPResponse = client.getresponse()
    names = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, names, response.read())
