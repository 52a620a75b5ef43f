"""The awaitable face: the same verbs as `ringmill`, each giving an Op (or coroutine) to await.

An op begins at once, when it is called; awaiting it waits for its end. Ops can be awaited in a
task of ringmill (`ringmill.run(main())`), waited for in a fiber (`ringmill.wait(op)`), cancelled
(`op.cancel()`) and let go of (`op.detach()`).
"""

from __future__ import annotations

from ringmill.face.composite import read_exactly, tcp_connect, tcp_listen
from ringmill.face.spawn import (
    join_op as join, park_op as park, sleep_op as sleep, yield_now_op as yield_now,
)
from ringmill.face.threads import in_thread_op as in_thread
from ringmill.ops.aio import (
    accept, accept_each, bind, close, connect, fsync, futex_wait, futex_wake, listen, nop, open,
    poll, poll_each, read, read_each, readinto, readv, recv, recv_each, recv_into, recvmsg, send,
    sendall, sendmsg, shutdown, socket, splice, stat, tee, waitid, write, write_all, writev,
)

__all__ = [
    "accept", "accept_each", "bind", "close", "connect", "fsync", "futex_wait", "futex_wake",
    "in_thread", "join", "listen", "nop", "open", "park", "poll", "poll_each", "read", "read_each",
    "read_exactly", "readinto", "readv", "recv", "recv_each", "recv_into", "recvmsg", "send",
    "sendall", "sendmsg", "shutdown", "sleep", "socket", "splice", "stat", "tcp_connect",
    "tcp_listen", "tee", "waitid", "write", "write_all", "writev", "yield_now",
]
