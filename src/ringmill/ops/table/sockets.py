"""Ops on sockets: make, connect, accept, send, receive."""

from __future__ import annotations

import socket as _socket

from ringmill.ops.entry import at_once, op, when_readable, when_writable
from ringmill.ops.fields import (
    Accepted,
    Address,
    Count,
    Data,
    Fd,
    Fresh,
    From,
    Into,
    NewSocket,
    Nothing,
    Number,
    NumberAsFd,
    Option,
    OptionLength,
    OptionRoom,
    OptionValue,
    Plain,
    Whole,
    ZeroCopy,
)

# Linux gets only the options of SOL_SOCKET so, and nothing before 6.7.
OPTION = (
    "sqe.addr = rm_option(<unsigned>level, <unsigned>optname)",
    "sqe.addr3 = <uint64_t><size_t>op.view.buf",
    "sqe.file_index = io_size(op.view.len)",
)


@op("SOCKET", soft=at_once("rm_result(socket(family, (int)type, proto))"))
def socket(family: NumberAsFd() = _socket.AF_INET,
           type: Number("off", also="SOCK_CLOEXEC") = _socket.SOCK_STREAM,
           proto: Number("len", "int") = 0) -> NewSocket:
    """A new socket object; never inherited by children. See socket(2).

    >>> socket().close()
    """


@op("BIND", soft=at_once("rm_result(bind(sock, address, address_len))"))
def bind(sock: Fd, address: Address) -> Nothing:
    """Bind a socket to an address as in `socket` (numeric hosts; a path). See bind(2).

    >>> bind(tcp, ("127.0.0.1", 0))
    """


@op("LISTEN", soft=at_once("rm_result(listen(sock, backlog))"))
def listen(sock: Fd, backlog: Number("len", "int") = 128) -> Nothing:
    """Let a bound socket take connections; `backlog` of them wait. See listen(2).

    >>> listen(bound)
    """


@op("ACCEPT", soft=when_readable(
    "rm_do_accept(sock, address, address_len, (int)flags, nowait)"))
def accept(sock: Fd, *, flags: Number("accept_flags", also="SOCK_CLOEXEC") = 0) -> Accepted:
    """The next connection, as (socket, address). See accept4(2).

    >>> peer, address = accept(knocked)
    >>> peer.close()
    """


@op("CONNECT", soft=when_writable("rm_do_connect(sock, address, address_len, nowait)"))
def connect(sock: Fd, address: Address) -> Nothing:
    """Connect a socket to an address (numeric hosts; a path). OSError with the address.

    See connect(2).

    >>> connect(tcp, listening.getsockname())
    """


@op("RECV", soft=when_readable("rm_do_recv(sock, data, n, (int)flags, nowait)"))
def recv(sock: Fd, n: Fresh, *, flags: Number("msg_flags") = 0) -> Data:
    """Receive up to `n` bytes; b"" when the peer has ended its side. See recv(2).

    >>> recv(letter, 100)
    b'a letter'
    """


@op("RECV", soft=None)
def recv_into(sock: Fd, buffer: Into, *, flags: Number("msg_flags") = 0) -> Count:
    """Receive into `buffer`; the number of bytes, 0 when the peer has ended its side.

    >>> recv_into(letter, bytearray(100))
    8
    """


@op("SEND", push="op_push_send", soft=None)
def send(sock: Fd, data: From, *, flags: Number("msg_flags", also="MSG_NOSIGNAL") = 0,
         zero_copy: ZeroCopy("SEND_ZC", "SEND") = False) -> Count:
    """Send `data`; the number of bytes sent, which may be less. See send(2).

    zero_copy: the kernel sends from `data` itself, which stays exported, and the op is done, and
    a cancel answered, only when it needs that memory no more: over a network, when the peer has
    confirmed it. What refuses is sent with a copy, with the same result. `copied` of the op tells
    whether the kernel copied after all, as it does on the loopback; `stats()` counts both.

    >>> send(left, b"hello")
    5
    """


@op("SEND", push="op_push_send", soft=None)
def sendall(sock: Fd, data: From, *,
            flags: Number("msg_flags", also="MSG_NOSIGNAL | MSG_WAITALL") = 0,
            zero_copy: ZeroCopy("SEND_ZC", "SEND") = False) -> Whole:
    """Send all of `data`, however many sends that takes.

    When it raises, a part of it may have been sent. zero_copy: as in `send`.

    >>> sendall(left, b"hello")
    """


@op("SHUTDOWN", soft=at_once("rm_result(shutdown(sock, how))"))
def shutdown(sock: Fd, how: Number("len", "int")) -> Nothing:
    """End one or both directions: socket.SHUT_RD, SHUT_WR, SHUT_RDWR. See shutdown(2).

    >>> shutdown(left, _socket.SHUT_WR)
    """


@op("URING_CMD", soft=at_once("rm_do_socket_command(sqe)"), elsewhere="True",
    without=("buflen", "int"), finish=(*OPTION, "sqe.cmd_op = SOCKET_URING_OP_GETSOCKOPT"))
def getsockopt(sock: Fd, level: Plain, optname: Plain, buflen: OptionRoom = None) -> Option:
    """A socket option, as an int, or with `buflen` as at most so many bytes. See getsockopt(2).

    >>> getsockopt(tcp, _socket.SOL_SOCKET, _socket.SO_TYPE) == _socket.SOCK_STREAM
    True
    """


@op("URING_CMD", soft=None, elsewhere="True",
    finish=(*OPTION, "sqe.cmd_op = SOCKET_URING_OP_SETSOCKOPT"))
def setsockopt(sock: Fd, level: Plain, optname: Plain, value: OptionValue,
               optlen: OptionLength = None) -> Nothing:
    """Set a socket option, as socket.setsockopt does: an int or a buffer. See setsockopt(2).

    optlen: where the option has no value (None) but a length; see there.

    >>> setsockopt(tcp, _socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    """
