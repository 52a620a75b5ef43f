"""What an iterator owes to everybody, whatever happens: order, budgets, signals, objects."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ops.lab import Lab, stream
from ops.specimens import entries
from ops.trying import Iteration, left_open, until
from ringmill import WouldExceedBudget, aio
from ringmill.ops import fields
from ringmill.ops.entry import ENTRIES
from support import leaks, programs

EACH = entries(which=lambda e: e.many)
BYTES = [name for name in EACH if ENTRIES[name].outcome is fields.Pieces]


# ── what was not taken ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize("name", BYTES)
@pytest.mark.usefixtures("machine")
def test_dropped_results_keep_their_order(lab: Lab, name: str, order: tuple[int, ...]) -> None:
    source, feed, _ = stream(lab, name)
    each = getattr(aio, name)(source)
    ops: list[Any] = []
    for piece in (b"1", b"2", b"3"):
        ops.append(anext(each))
        feed(piece)
        until(lambda: ops[-1].done, "its result")
    for op in ops:
        op.detach()
    op = None
    for index in order:
        ops[index] = None
    feed(b"4")
    received = b""
    while len(received) < 4:
        received += ringmill.wait(anext(each))
    assert received == b"1234"
    each.close()


@pytest.mark.usefixtures("machine")
def test_dropped_connections_are_the_next(lab: Lab) -> None:
    each = aio.accept_each(lab.listening)
    first, second = lab.dial(lab.listening), lab.dial(lab.listening)
    ops = [anext(each)]
    until(lambda: ops[0].done, "a connection")
    ops.append(anext(each))
    until(lambda: ops[1].done, "another")
    for op in ops:
        op.detach()
    op = None
    ops.clear()
    for client in (first, second):
        with ringmill.wait(anext(each)) as server:
            assert server.getpeername() == client.getsockname()
    each.close()


@pytest.mark.parametrize("how", ["end", "close", "exit"])
@pytest.mark.parametrize("asking", [True, False])
def test_dropped_in_a_foreign_thread(lab: Lab, kernel: str, how: str, asking: bool) -> None:
    """Its own thread is asked to close it, and ends before it can: the connections are closed."""
    arrived, dropped = threading.Event(), threading.Event()
    box: list[Any] = []

    def work() -> None:
        machine = ringmill.Machine(kernel=kernel)
        each = aio.accept_each(lab.listening)
        op = anext(each)
        until(lambda: op.state[0] == "in flight", "the submission")
        for _ in range(5):
            socket.create_connection(lab.listening.getsockname()).close()
        until(lambda: op.done, "the first connection")
        ringmill.sleep(0.01)  # the others
        if not asking:
            op.detach()
            del op
        box.append(each)
        del each
        arrived.set()
        dropped.wait()
        if asking:
            op.detach()
            del op
        if how != "exit":
            getattr(machine, how)()

    ringmill.Machine(kernel=kernel).close()  # so that what a first machine opens is not counted
    assert lab.listening
    before = leaks.open_fds()
    thread = threading.Thread(target=work)
    thread.start()
    arrived.wait()
    assert len(left_open(before)) >= 5
    box.clear()
    gc.collect()
    dropped.set()
    thread.join()
    gc.collect()
    assert left_open(before) == []


# ── budgets and full queues ─────────────────────────────────────────────────────────────────


def test_one_op_at_a_time_needs_one_slot(kernel: str, face: str, tmp_path: Path) -> None:
    """Armed again and again: the next op takes the slot that the last one has given back."""
    data = os.urandom(100_000)
    (tmp_path / "file").write_bytes(data)
    with ringmill.Machine(kernel=kernel, ops_max=2 if face == "aio" else 1) as machine:
        with open(tmp_path / "file", "rb", buffering=0) as file:
            assert b"".join(Iteration(face, "read_each", file).rest()) == data
        assert machine.stats()["ops_live"] == 0


def test_without_a_slot_the_iteration_says_so_and_goes_on(kernel: str, lab: Lab) -> None:
    with ringmill.Machine(kernel=kernel, ops_max=1, on_full="raise"):
        source, feed, _ = stream(lab, "recv_each")
        each = ringmill.recv_each(source)
        other = aio.recv(lab.pair()[0], 1)
        with pytest.raises(WouldExceedBudget):
            next(each)
        other.cancel()
        with pytest.raises(ringmill.Cancelled):
            ringmill.wait(other)
        feed(b"after all")
        assert next(each) == b"after all"
        each.close()
        ringmill.sleep(0)


def test_more_connections_than_the_completion_queue_holds(kernel: str) -> None:
    """The kernel ends an accept when the CQ is full, with a connection: it is a good one."""
    count = 300
    with (
        ringmill.Machine(kernel=kernel, entries=8),
        socket.create_server(("127.0.0.1", 0), backlog=count) as listener,
    ):
        clients = [socket.create_connection(listener.getsockname()) for _ in range(count)]
        each = ringmill.accept_each(listener)
        servers = [next(each) for _ in range(count)]
        by_port = {client.getsockname()[1]: client for client in clients}
        for server in servers:
            server.sendall(b"hello")
            assert by_port.pop(server.getpeername()[1]).recv(5) == b"hello"
        assert not by_port
        for sock in (*clients, *servers):
            sock.close()
        each.close()


# ── no memory ───────────────────────────────────────────────────────────────────────────────

NO_MEMORY = """
import socket, sys
import _testcapi
import ringmill
from ringmill import aio

failing = int(sys.argv[1])
machine = ringmill.Machine()
ours, theirs = socket.socketpair()
each = aio.recv_each(ours)
heard = []

async def reader():
    for _ in range(2):
        try:
            heard.append(len(await anext(each)))
        except (MemoryError, StopAsyncIteration) as error:
            heard.append(type(error).__name__)

theirs.send(b"x" * 5000)
assert len(ringmill.wait(anext(each))) == 5000
strand = ringmill.spawn(reader())
ringmill.sleep(0.01)  # it waits
theirs.send(b"y" * 5000)
theirs.shutdown(socket.SHUT_WR)
pause = aio.sleep(0)
_testcapi.set_nomemory(failing, failing + 1)
try:
    pause.done or ringmill.wait(pause)
except MemoryError:
    pass
_testcapi.remove_mem_hooks()
pause.detach()
strand.join()
each.close()
ringmill.sleep(0.01)
ours.close()
theirs.close()
print(*heard, machine.stats()["ops_live"])
"""


def test_without_memory_for_a_result_the_iteration_says_so(kernel: str) -> None:
    """Whoever waits is told, and the stream ends: a piece is missing."""
    pytest.importorskip("_testcapi")
    heard = {programs.clean(NO_MEMORY, failing, kernel=kernel) for failing in range(1, 4)}
    assert "MemoryError StopAsyncIteration 0\n" in heard
    assert heard <= {"MemoryError StopAsyncIteration 0\n", "5000 StopAsyncIteration 0\n"}


# ── signals ─────────────────────────────────────────────────────────────────────────────────


def interrupt_in_init(times: list[int]) -> Any:
    """A profiler that sends SIGINT just when a socket object is being made."""

    def profile(frame: Any, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code is socket.socket.__init__.__code__ and times:
            times.pop()
            signal.raise_signal(signal.SIGINT)

    return profile


@pytest.mark.usefixtures("machine")
def test_ctrl_c_while_a_connection_is_made_an_object(lab: Lab, face: str) -> None:
    """It reaches the program; the accept loop neither hangs nor swallows it."""
    each = Iteration(face, "accept_each", lab.listening)
    lab.dial(lab.listening)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.setprofile(interrupt_in_init([1]))
        with pytest.raises(KeyboardInterrupt):
            each.next()
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGINT, previous)
    client = lab.dial(lab.listening)
    with each.next() as server:
        assert server.getpeername() == client.getsockname()
    each.close()


# ── objects ─────────────────────────────────────────────────────────────────────────────────


def held_by_nobody(lab: Lab, tmp_path: Path, name: str) -> Any:
    """A source that is closed when its object is collected."""
    if name == "read_each":
        (tmp_path / "file").write_bytes(b"hello")
        return open(tmp_path / "file", "rb", buffering=0)
    if name == "accept_each":
        listener = socket.create_server(("127.0.0.1", 0))
        lab.dial(listener)
        return listener
    left, right = socket.socketpair()
    right.sendall(b"hello")
    right.close()
    return left


dropped = pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets, as it is meant here


@dropped
@pytest.mark.parametrize("name", EACH)
@pytest.mark.usefixtures("machine")
def test_the_source_is_kept(lab: Lab, face: str, name: str, tmp_path: Path) -> None:
    """`for data in recv_each(connect())`: nobody else holds the socket."""
    more = [8193] if name == "poll_each" else []
    each = Iteration(face, name, held_by_nobody(lab, tmp_path, name), *more)
    gc.collect()
    other = os.open("/dev/zero", os.O_RDONLY)  # would get the number
    result = each.next()
    if name == "accept_each":
        result.close()
    else:
        hello = (b"hello", [], 0, None) if name == "recvmsg_each" else b"hello"
        assert result == (hello if ENTRIES[name].group else 8193 | 16)
    each.close()
    os.close(other)
    del each
    gc.collect()


@dropped
@pytest.mark.usefixtures("machine")
def test_an_op_keeps_its_socket(lab: Lab, tmp_path: Path) -> None:
    op = aio.recv(held_by_nobody(lab, tmp_path, "recv_each"), 10)
    gc.collect()
    assert ringmill.wait(op) == b"hello"


# ── datagrams ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("machine")
def test_datagrams_stay_whole_and_an_empty_one_is_no_end(lab: Lab, face: str) -> None:
    receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with receiver, sender:
        each = Iteration(face, "recv_each", receiver)
        for size in (20_000, 0, 1, 60_000, 0, 3, *[5] * 20, 30_000):
            sender.send(b"x" * size)
            assert each.next() == b"x" * size
        each.close()


@pytest.mark.usefixtures("machine")
def test_sequenced_packets_stay_whole(lab: Lab, face: str) -> None:
    receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with receiver:
        each = Iteration(face, "recv_each", receiver)
        for size in (20_000, 1, 60_000, *[5] * 20, 30_000):
            sender.send(b"x" * size)
            assert each.next() == b"x" * size
        sender.close()
        assert each.rest() == []
