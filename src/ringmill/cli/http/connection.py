"""One client's life: requests in, replies out, one after the other, until either side has enough.

h11 holds the protocol's state; this decides how long to wait and when to hang up. Knows ringmill's
calls on one socket.
"""

from __future__ import annotations

import os
import socket
from enum import Enum
from http import HTTPStatus
from typing import Protocol, cast

import h11

import ringmill
from ringmill.errors import Cancelled

from ..units import KIB
from .body import Gone, Sender, Shrunk, read_extent
from .dates import Clock
from .limits import Limits
from .ranges import Extent
from .reply import Reply, plan_error
from .request import Request
from .site import Found, Site

# A request head is a few hundred bytes, and every idle connection holds one such buffer.
RECV_BYTES = 4 * KIB

# What may stand before a request line and means nothing. RFC 9112 section 2.2: some clients end a
# body with a line end that its length does not count. h11 refuses it.
LINE_ENDS = (b"\r", b"\n")
EMPTY_LINES = b"\r\n"

# Replies up to here leave in one send, head and body together.
TOGETHER_BYTES = 64 * KIB


class Phase(Enum):
    """What a connection is at: it decides who makes room, and who may finish at the end."""

    IDLE = "between requests"
    RECEIVING = "in the middle of a request"
    REPLYING = "replying"


class Refusal(Exception):
    """What came is not a request to be answered; say so and hang up."""

    def __init__(self, status: int, why: str = "") -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Host(Protocol):
    """What a connection asks of the server that accepted it."""

    site: Site
    limits: Limits
    sender: Sender
    clock: Clock
    stopping: bool

    def waits(self, connection: Connection) -> None:
        """`connection` begins to wait for its client."""

    def woke(self, connection: Connection) -> None:
        """It does so no longer."""

    def ended(self, connection: Connection) -> None:
        """It has closed its socket."""

    def count(self, connection: Connection, status: int, size: int) -> None:
        """A reply has gone out, or as much of it as ever will."""

    def report(self, error: Exception) -> None:
        """A mistake of ours, for whoever runs the server."""


class Placeholder:
    """Stands for bytes that do not pass through h11, which only counts them."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size


class Connection:
    """One accepted socket and the fiber that serves it."""

    def __init__(self, server: Host, sock: socket.socket, peer: str) -> None:
        self.server = server
        self.limits = server.limits
        self.sock = sock
        self.peer = peer
        self.phase = Phase.IDLE
        self.fiber: ringmill.Fiber | None = None
        self.asked: Request | None = None  # what is being answered
        self.unread = False  # its body was not sent by the client and is not waited for
        self.hanging_up = False  # by our decision: the client may still be talking
        self.http = self.parser()

    def parser(self) -> h11.Connection:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=self.limits.header_bytes)

    def run(self) -> None:
        """The fiber's whole life. Nothing but the server's own mistakes is worth a report."""
        try:
            self.converse()
        except (OSError, Shrunk):
            pass  # the client has gone, stalls, or was promised more than there is: hang up
        except Cancelled:
            pass  # the server ends, and its grace is over
        except Exception as error:
            self.server.report(error)
        finally:
            self.close()

    def close(self) -> None:
        self.sock.close()
        self.server.ended(self)

    def join(self) -> None:
        """Wait for its end. One that was cancelled before it began has never run: its socket is
        closed here."""
        assert self.fiber is not None
        try:
            self.fiber.join()
        except Cancelled:
            if not self.fiber.done:
                raise  # it is the caller who is to stop
            self.close()

    def hurry(self) -> None:
        """End a connection that waits for its client; what has already arrived is still read."""
        try:
            self.sock.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # it has ended by itself

    # Requests

    def converse(self) -> None:
        while True:
            try:
                request = self.next_request()
                if request is None:
                    return
                self.phase = Phase.REPLYING
                self.answer(request)
            except Refusal as refusal:
                self.phase = Phase.REPLYING
                self.refuse(refusal)
            if self.hanging_up:
                self.linger()
                return
            if self.http.our_state is not h11.DONE:
                return  # the client wanted no more
            self.next_cycle()

    def next_cycle(self) -> None:
        """Ready for the next request, of which a part may be here. h11 cannot be told to forget
        the empty line before it, so that one that has got it is replaced."""
        data, ended = self.http.trailing_data
        if not data.startswith(LINE_ENDS):
            self.http.start_next_cycle()
            return
        self.http = self.parser()
        if data := data.lstrip(EMPTY_LINES):
            self.http.receive_data(data)
        if ended:
            self.http.receive_data(b"")

    def next_request(self) -> Request | None:
        """The next request, its body read and dropped; None when the client has no more."""
        self.asked = None
        event = self.parse()
        if event is h11.NEED_DATA:
            if self.server.stopping:
                return None
            event = self.wait_for_request()
        if isinstance(event, h11.ConnectionClosed):
            return None
        assert isinstance(event, h11.Request), event
        self.asked = Request(
            event.method, event.target, tuple(event.headers), bytes(event.http_version)
        )
        self.phase = Phase.RECEIVING
        if not self.asked.version.startswith(b"1."):
            raise Refusal(505)
        if (why := self.asked.malformed()) is not None:
            raise Refusal(400, why)
        self.drop_body()
        return self.asked

    def wait_for_request(self) -> object:
        """Until the client has sent a whole head. Until then it can be asked to make room, and a
        byte now and then does not move it from its place in that line."""
        self.phase = Phase.IDLE
        self.server.waits(self)
        try:
            with ringmill.timeout(self.limits.idle_s):  # silence is no offence
                self.receive()
            event = self.parse()
            return self.receive_slowly() if event is h11.NEED_DATA else event
        finally:
            self.server.woke(self)

    def receive_slowly(self) -> object:
        """The rest of a head that did not come in one piece. One deadline for all of it."""
        self.phase = Phase.RECEIVING
        try:
            with ringmill.timeout(self.limits.header_s):
                while (event := self.parse()) is h11.NEED_DATA:
                    self.receive()
        except TimeoutError:
            raise Refusal(408, "the request took too long to arrive") from None
        return event

    def drop_body(self) -> None:
        """Read a body nobody wants, within bounds, to find the next request behind it."""
        event = self.parse()
        if isinstance(event, h11.EndOfMessage):
            return
        seen = 0
        try:
            with ringmill.timeout(self.limits.header_s):
                while not isinstance(event, h11.EndOfMessage):
                    if isinstance(event, h11.Data):
                        seen += len(event.data)
                    elif self.http.they_are_waiting_for_100_continue:
                        self.unread = True
                        return
                    else:
                        self.receive()
                    if seen > self.limits.body_bytes:
                        raise Refusal(413)
                    event = self.parse()
        except TimeoutError:
            raise Refusal(408, "the request's body took too long to arrive") from None

    def receive(self) -> None:
        data = ringmill.recv(self.sock, RECV_BYTES)
        if data and self.http.their_state is h11.IDLE and not self.http.trailing_data[0]:
            data = data.lstrip(EMPTY_LINES)
            if not data:
                return  # to h11 it would mean that the client has hung up
        self.http.receive_data(data)

    def parse(self) -> object:
        try:
            return self.http.next_event()
        except h11.RemoteProtocolError as error:
            data, ended = self.http.trailing_data
            if ended:
                raise ConnectionResetError("the client hung up in the middle") from None
            status = error.error_status_hint
            if status == 431 and b"\n" not in data:
                status = 414  # not even the request line came to an end
            raise Refusal(status) from None

    # Replies

    def answer(self, request: Request) -> None:
        found = self.server.site.find(request)
        try:
            self.send(found)
        finally:
            if found.fd is not None:
                os.close(found.fd)

    def refuse(self, refusal: Refusal) -> None:
        if self.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.send(Found(plan_error(refusal.status, refusal.why, close=True)))
        self.hanging_up = True

    def send(self, found: Found) -> None:
        """Head and body. A small reply leaves in one piece, so that nothing has been said of a
        file that turns out to be shorter."""
        reply, sender = found.reply, self.server.sender
        head = self.head(reply)
        gone = Gone()
        try:
            if not self.has_body(reply):
                sender.send_bytes(self.sock, head, gone)
            elif reply.size <= TOGETHER_BYTES:
                parts = [self.load(piece, found) for piece in reply.body]
                sender.send_bytes(self.sock, b"".join((head, *parts)), gone)
            else:
                sender.send_bytes(self.sock, head, gone, more=True)
                for piece in reply.body:
                    self.send_piece(piece, found, gone)
        finally:
            self.server.count(self, reply.status, max(0, gone.size - len(head)))

    def has_body(self, reply: Reply) -> bool:
        return bool(reply.body) and not (self.asked is not None and self.asked.method == b"HEAD")

    def head(self, reply: Reply) -> bytes:
        """The reply's head as bytes. h11 hears of the whole reply here: what fails after this
        ends the connection."""
        fields = [(b"Date", self.server.clock.date()), (b"Server", b"ringmill"), *reply.fields]
        if reply.close or self.unread or self.server.stopping:
            self.hanging_up = True
            fields.append((b"Connection", b"close"))
        phrase = HTTPStatus(reply.status).phrase.encode()
        response = h11.Response(status_code=reply.status, headers=fields, reason=phrase)
        data = self.http.send(response)
        assert data is not None
        if self.has_body(reply):
            # h11 only counts a body; it is happy with anything that has a length.
            placeholder = cast(bytes, Placeholder(reply.size))
            self.http.send_with_data_passthrough(h11.Data(data=placeholder))
        self.http.send(h11.EndOfMessage())
        return data

    def load(self, piece: bytes | Extent, found: Found) -> bytes:
        return piece if isinstance(piece, bytes) else read_extent(found.file, piece)

    def send_piece(self, piece: bytes | Extent, found: Found, gone: Gone) -> None:
        if isinstance(piece, bytes):
            self.server.sender.send_bytes(self.sock, piece, gone, more=True)
        else:
            self.server.sender.send_extent(self.sock, found.file, piece, gone)

    def linger(self) -> None:
        """Let the client read our last words: closing while it still sends would make its kernel
        throw them away. Meanwhile it can be asked to make room, like everybody who only waits."""
        self.sock.shutdown(socket.SHUT_WR)
        self.server.waits(self)
        try:
            with ringmill.timeout(self.limits.linger_s):
                while ringmill.recv(self.sock, RECV_BYTES):
                    pass
        finally:
            self.server.woke(self)
