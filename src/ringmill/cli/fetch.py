"""A small HTTP client on fibers: many files over a few kept-alive connections.

The demo's other half, and an example of the fiber face. Knows ringmill's calls and h11; knows
nothing of the server's insides.
"""

from __future__ import annotations

import hashlib
import socket
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import h11

import ringmill

from .units import KIB

RECV_BYTES = 64 * KIB

# A local server that says nothing for so long is broken, and the demo should say so.
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came for one path."""

    path: str
    status: int
    size: int
    sha256: str


class Client:
    """One kept-alive connection."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.sock: socket.socket = ringmill.tcp_connect(host, port)
        self.http = h11.Connection(h11.CLIENT)

    def get(self, path: str) -> Fetched:
        """Fetch and hash; the body is not kept."""
        if self.http.our_state is h11.DONE:
            self.http.start_next_cycle()
        request = h11.Request(method="GET", target=path, headers=[("Host", self.host)])
        with ringmill.timeout(PATIENCE_S):
            ringmill.sendall(self.sock, self.http.send(request) or b"")
            self.http.send(h11.EndOfMessage())
            return self.receive(path)

    def receive(self, path: str) -> Fetched:
        status = size = 0
        digest = hashlib.sha256()
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(ringmill.recv(self.sock, RECV_BYTES))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                size += len(event.data)
                digest.update(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return Fetched(path, status, size, digest.hexdigest())
            else:
                raise ConnectionError(f"the server hung up over {path}")

    def close(self) -> None:
        self.sock.close()


def fetch_all(host: str, port: int, paths: Iterable[str], fibers: int) -> list[Fetched]:
    """Every path once, by `fibers` connections that take the next one when they are free."""
    queue = deque(paths)
    fetched: list[Fetched] = []

    def work() -> None:
        client = Client(host, port)
        try:
            while queue:
                fetched.append(client.get(queue.popleft()))
        finally:
            client.close()

    with ringmill.scope() as scope:
        for _ in range(min(fibers, len(queue))):
            scope.spawn(work)
    return fetched
