"""The benchmarks' C: the load catches every wrong server, the floors are right ones.

Needs a C compiler; the floor on io_uring also needs io_uring. No time is asserted.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import place, process

SOURCES = place.BENCH / "c"

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc)")


@needs_cc
@pytest.mark.parametrize("source", sorted(p.name for p in SOURCES.glob("*.c")))
def test_c_compiles_without_a_warning(source: str, tmp_path: Path):
    command = ["cc", *place.C_FLAGS, "-Werror", "-fPIC", "-c", "-o", str(tmp_path / "x.o")]
    done = subprocess.run(
        [*command, str(SOURCES / source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def echo(data: bytes) -> bytes:
    return data


class Flipping:
    """Echoes rightly at first, then with one bit turned."""

    def __init__(self) -> None:
        self.messages = 0

    def __call__(self, data: bytes) -> bytes:
        self.messages += 1
        if self.messages < 5:
            return data
        return data[:-1] + bytes([data[-1] ^ 1])


class Stale:
    """Answers each message with the one before: right bytes, wrong request."""

    def __init__(self) -> None:
        self.last = b""

    def __call__(self, data: bytes) -> bytes:
        answer, self.last = self.last or data, data
        return answer


class Listener:
    """A server in a thread, answering `answer(data)` to whatever comes, until closed."""

    def __init__(self, path: Path, answer: Callable[[], Callable[[bytes], bytes | None]]) -> None:
        self.answer = answer
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(path))
        self.socket.listen(64)
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self.serve, args=(connection,)))
            self.threads[-1].start()

    def serve(self, connection: socket.socket) -> None:
        answer = self.answer()
        with connection:
            try:
                while data := connection.recv(65536):
                    if (reply := answer(data)) is None:
                        return
                    connection.sendall(reply)
            except OSError:
                return  # the load gave up on us, as it should

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """load(answer, connections, size): run the load generator against such a server."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc)")
    program = str(place.compiled("load.c"))
    listeners: list[Listener] = []

    def run(answer: Callable, connections: int = 3, size: int = 64, *options: str):
        path = tmp_path / f"s{len(listeners)}"
        listeners.append(Listener(path, answer))
        command = [program, "-w", "0.05", *options, str(path), str(connections), str(size), "0.1"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    yield run
    for listener in listeners:
        listener.close()


def test_the_load_believes_an_honest_server(load):
    done = load(lambda: echo)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["connections"], figures["size"]) == (3, 64)
    assert figures["requests"] > 0
    assert 0 < figures["p50_us"] <= figures["p99_us"] <= figures["p999_us"]


def test_the_load_reassembles_messages_larger_than_a_read(load):
    done = load(lambda: echo, 2, 1_000_003)
    assert done.returncode == 0, done.stderr


def test_the_load_makes_exactly_the_requests_asked_for(load):
    served: list[int] = []

    def counting() -> Callable[[bytes], bytes]:
        def answer(data: bytes) -> bytes:
            served.append(len(data))
            return data

        return answer

    done = load(counting, 3, 64, "-r", "100")
    assert json.loads(done.stdout)["requests"] == 100
    assert sum(served) == 100 * 64


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Flipping, "other bytes came back than were sent"),
        (Stale, "other bytes came back than were sent"),
        (lambda: lambda data: data + b"x", "more bytes came back than were sent"),
        (lambda: lambda _data: None, "closed by the server"),
    ],
    ids=["a bit turned", "the answer before", "a byte too many", "closed"],
)
def test_the_load_catches_a_wrong_server(load, answer, sentence: str):
    done = load(answer)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stdout == ""


def test_the_load_catches_a_server_that_mixes_up_connections(load):
    lock, last = threading.Lock(), [b""]

    def crossing() -> Callable[[bytes], bytes]:
        def answer(data: bytes) -> bytes:
            with lock:
                reply, last[0] = last[0] or data, data
            return reply

        return answer

    done = load(crossing, 8)
    assert done.returncode == 1
    assert "other bytes came back than were sent" in done.stderr


def test_the_load_tells_that_the_server_died(tmp_path: Path):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc)")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    done = subprocess.run(
        [str(place.compiled("load.c")), "-p", str(dead.pid), str(tmp_path / "s"), "1", "64", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "the server died before it listened" in done.stderr


@needs_cc
@pytest.mark.parametrize("connections_size", [(1, 1), (50, 64), (20, 100_000)])
@pytest.mark.parametrize(
    "floor",
    [("echo_epoll.c", ()), ("echo_uring.c", ("recv",)), ("echo_uring.c", ("poll",))],
    ids=["epoll", "uring recv", "uring poll"],
)
def test_the_floors_echo_every_byte(floor, connections_size, tmp_path: Path):
    source, arguments = floor
    connections, size = connections_size
    path = str(tmp_path / "s")
    command = [str(place.compiled(source)), path, *arguments]
    with process.running(command, place.cores()[0]) as server:
        done = subprocess.run(
            [str(place.compiled("load.c")), "-p", str(server.pid), "-w", "0.05"]
            + [path, str(connections), str(size), "0.1"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said = server.complaint()
    if done.returncode and "io_uring_setup" in said:
        pytest.skip(f"no io_uring here: {said}")
    assert done.returncode == 0, f"{done.stderr} {said}"
    assert json.loads(done.stdout)["requests"] > 0
