"""All clients' life: accepting, making room, the log, and coming to an end.

Knows ringmill's fibers and a listening socket; signals and command line options are `serve`'s.
"""

from __future__ import annotations

import errno
import socket
import sys
import time
import traceback
from collections import OrderedDict
from dataclasses import dataclass

import ringmill
from ringmill.errors import Cancelled

from .accesslog import AccessLog, Record
from .bell import Bell
from .body import Sender
from .connection import Connection, Phase
from .dates import Clock
from .limits import Limits
from .site import Site

# accept answers these when somebody has to close something first. Nothing is wrong with the
# listener, and the clients that wait in its queue are served later.
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

# These are about the one connection that did not come to be (accept(2) lists them).
STILLBORN = (
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.EPERM,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENONET,
    errno.ETIMEDOUT,
)

# How long accepting rests when descriptors are short although no connection of ours is open: the
# rest of the process or of the machine holds them, and nobody tells us when that ends.
ROOM_PAUSE_S = 0.1

# A client has at least so long to speak before it is closed to make room: a round trip around the
# world. Longer, and a silent crowd holds the others up: with room for 488 connections, a full
# queue of 4,096 takes two seconds to pass.
SILENCE_S = 0.25

# Log lines wait this long for company; a terminal does not notice.
LOG_EVERY_S = 0.1


@dataclass(slots=True)
class Counts:
    """What the server did so far; part of the statistics."""

    connections: int = 0
    requests: int = 0
    body_bytes: int = 0
    evicted: int = 0  # idle, closed to make room
    cut: int = 0  # still busy when the grace was over


class Server:
    """A listener, its connections, and what they share."""

    def __init__(
        self,
        site: Site,
        listener: socket.socket,
        limits: Limits,
        sender: Sender,
        log_fd: int | None = None,
    ) -> None:
        self.site = site
        self.listener = listener
        self.limits = limits
        self.sender = sender
        self.clock = Clock()
        self.counts = Counts()
        self.log = AccessLog()
        self.log_fd = log_fd
        self.stopping = False  # nobody else is accepted
        self.drained = False  # and the last connection has ended
        self.connections: set[Connection] = set()
        # Connections that wait for their client and since when, the longest waiting first.
        self.idle: OrderedDict[Connection, float] = OrderedDict()
        self._room = Bell()
        self._lines = Bell()
        self._acceptor: ringmill.Fiber | None = None
        self._logger: ringmill.Fiber | None = None

    # Beginning and end

    def start(self) -> None:
        self._acceptor = ringmill.spawn(self.accept_loop)
        if self.log_fd is not None:
            self._logger = ringmill.spawn(self.log_loop)

    def join(self) -> None:
        """Until nobody is accepted any more: after `stop`, or when the listener fails."""
        assert self._acceptor is not None
        self._acceptor.join()

    def stop(self) -> None:
        """Accept nobody else, let go of who waits; replies that are being sent go on."""
        if self.stopping:
            return
        self.stopping = True
        if self._acceptor is not None:
            self._acceptor.cancel()
        for connection in list(self.connections):
            if connection.phase is not Phase.REPLYING:
                connection.hurry()

    def drain(self) -> None:
        """After `stop`: wait for the replies, cut those that outlast the grace, write the log."""
        try:
            with ringmill.timeout(self.limits.grace_s):
                self.join_connections()
        except TimeoutError:
            self.cut()
            self.join_connections()
        self.drained = True
        if self._logger is not None:
            self._lines.ring()
            try:
                with ringmill.timeout(LOG_EVERY_S + self.limits.linger_s):
                    self._logger.join()
            except TimeoutError:
                self._logger.cancel()

    def cut(self) -> None:
        """End every connection now."""
        for connection in list(self.connections):
            self.counts.cut += 1
            assert connection.fiber is not None
            connection.fiber.cancel()

    def join_connections(self) -> None:
        for connection in list(self.connections):
            connection.join()

    # Accepting

    def accept_loop(self) -> None:
        """One accept at a time, so that it can rest.

        A multishot accept would take clients as fast as they come, up to the last descriptor:
        no file could be opened for those who are already in. Here one client beyond
        `limits.connections` is held and the others stay in the kernel's queue.
        """
        try:
            while True:
                try:
                    sock, address = ringmill.accept(self.listener)
                except OSError as error:
                    self.survive(error)
                else:
                    self.admit(sock, peer_name(address))
        except Cancelled:
            if not self.stopping:
                raise

    def admit(self, sock: socket.socket, peer: str) -> None:
        """Serve a client as soon as there is room."""
        try:
            while len(self.connections) >= self.limits.connections:
                self._room.wait(self.evict())
        except BaseException:
            sock.close()
            raise
        connection = Connection(self, sock, peer)
        self.connections.add(connection)
        self.counts.connections += 1
        connection.fiber = ringmill.spawn(connection.run)

    def survive(self, error: OSError) -> None:
        """After a failed accept: wait until another can succeed. Raises when none ever will."""
        if error.errno in NO_ROOM:
            self._room.wait(self.evict() if self.connections else ROOM_PAUSE_S)
        elif error.errno not in STILLBORN:
            raise error

    def evict(self) -> float | None:
        """Ask the connection that has been silent longest to make room. When none has been for
        long enough: in how many seconds one will have been; None when nobody is idle at all."""
        if not self.idle:
            return None
        longest, since = next(iter(self.idle.items()))
        wait_s = since + SILENCE_S - time.monotonic()
        if wait_s > 0:
            return wait_s
        del self.idle[longest]
        longest.hurry()
        self.counts.evicted += 1
        return None

    def waits(self, connection: Connection) -> None:
        """A connection begins to wait for its client: it could make room, now or soon."""
        self.idle[connection] = time.monotonic()
        self._room.ring()

    def woke(self, connection: Connection) -> None:
        self.idle.pop(connection, None)

    def ended(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._room.ring()

    # Telling

    def count(self, connection: Connection, status: int, size: int) -> None:
        """One reply for the statistics and the log."""
        self.counts.requests += 1
        self.counts.body_bytes += size
        if self.log_fd is None:
            return
        asked = connection.asked
        line = b"%b %b HTTP/%b" % (asked.method, asked.target, asked.version) if asked else b""
        referer = (asked.one(b"referer") if asked else None) or b""
        agent = (asked.one(b"user-agent") if asked else None) or b""
        if self.log.add(
            Record(self.clock.now(), connection.peer, line, status, size, referer, agent)
        ):
            self._lines.ring()

    def log_loop(self) -> None:
        """Write what the log has collected, a batch at a time, for as long as somebody reads."""
        assert self.log_fd is not None
        try:
            while self.log.records or not self.drained:
                if not self.log.records:
                    self._lines.wait()
                if not self.drained:
                    ringmill.sleep(LOG_EVERY_S)
                ringmill.write_all(self.log_fd, self.log.take())
        except OSError:
            self.log_fd = None  # nobody reads the log any more; serving goes on
        except Cancelled:
            if not self.drained:
                raise

    def report(self, error: Exception) -> None:
        """A mistake of ours in one connection: said once, and the others go on."""
        if sys.stderr is None:
            return  # we were started with it closed
        stamp = time.strftime("%H:%M:%S")
        print(f"{stamp} error in a connection:", file=sys.stderr)
        traceback.print_exception(error, file=sys.stderr)


def peer_name(address: object) -> str:
    """What the log calls a client: its numeric address, or `unix`."""
    return str(address[0]) if isinstance(address, tuple) else "unix"
