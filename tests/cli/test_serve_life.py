"""A server's own life: how it starts, what it tells, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.talk import BIG, PATIENCE_S, dial, get, parse, read_all, reader_of_little
from ringmill.cli.serve import serve as serve_command
from ringmill.cli.served import ServedDirectory, ServerFailed

NOWHERE = "/no/such/folder/sock"
REQUEST = b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"


def serve(kernel: str, root: Path, *options: str) -> ServedDirectory:
    return ServedDirectory(
        str(root), "--kernel", kernel, "--port", "0", "--no-access-log", *options
    )


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def slow_reader(server: ServedDirectory) -> socket.socket:
    """A client in the middle of a reply that does not fit into the sockets between."""
    sock = reader_of_little(server)
    sock.sendall(REQUEST)
    assert sock.recv(4).startswith(b"HTTP")
    return sock


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_idle_clients(kernel_name: str, tree: Path, number: signal.Signals) -> None:
    with serve(kernel_name, tree, "--grace", "1000") as server:
        silent, half = dial(server), dial(server)
        half.sendall(b"GET / HTT")
        kept = dial(server)
        kept.sendall(b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(1000).startswith(b"HTTP/1.1 200")
        server.process.send_signal(number)
        assert server.process.wait(PATIENCE_S) == 0
        for sock in (silent, half, kept):
            sock.close()
    assert server.stats["cut"] == 0


def test_a_reply_in_progress_is_finished(kernel_name: str, tree: Path) -> None:
    with serve(kernel_name, tree, "--grace", "1000") as server, slow_reader(server) as sock:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)  # long enough for a server that would drop us to have done so
        assert server.process.poll() is None
        answer, rest = parse(b"HTTP" + read_all(sock))
        assert answer.body == (tree / "big").read_bytes() and rest == b""
        assert server.process.wait(PATIENCE_S) == 0
    assert server.stats["cut"] == 0


@pytest.mark.parametrize("splice_from", ["1", str(1 << 40)], ids=["spliced", "copied"])
def test_grace_has_an_end(kernel_name: str, tree: Path, splice_from: str) -> None:
    options = ("--grace", "0.2", "--splice-from", splice_from)
    with serve(kernel_name, tree, *options) as server, slow_reader(server) as sock:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_S) == 0
        answer, rest = parse(b"HTTP" + read_all(sock))
    assert 0 < len(answer.body) < BIG and rest == b""
    assert server.stats["cut"] == 1
    assert server.stats["body_bytes"] == len(answer.body), "what went is counted, not what should"


def test_a_second_signal_cuts(kernel_name: str, tree: Path) -> None:
    with serve(kernel_name, tree, "--grace", "1000") as server, slow_reader(server) as sock:
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: b"stopping" in " ".join(server.words).encode())
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE_S) == 0
        assert len(read_all(sock)) < BIG
    assert server.stats["cut"] == 1


def test_statistics_on_request(kernel_name: str, tree: Path) -> None:
    with serve(kernel_name, tree) as server:
        for _ in range(3):
            get(server, "/hello.txt")
        server.process.send_signal(signal.SIGUSR1)
        path = Path(server.stats_path)
        wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
        said = json.loads(path.read_text())
        assert (said["requests"], said["kernel"]) == (3, kernel_name)
        assert get(server, "/hello.txt").status == 200
    assert server.stats["requests"] == 4
    assert server.stats["body_bytes"] == 4 * 6
    assert server.stats["machine"]["enters"] > 0


def test_a_unix_socket(kernel_name: str, tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    dead = socket.socket(socket.AF_UNIX)  # left behind by a server that was killed
    dead.bind(str(path))
    dead.close()
    with serve(kernel_name, tree, "--unix", str(path)) as server:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(REQUEST)
            sock.shutdown(socket.SHUT_WR)
            assert parse(read_all(sock))[0].body == (tree / "big").read_bytes()
        with (
            pytest.raises(ServerFailed, match="in use"),
            serve(kernel_name, tree, "--unix", str(path)),
        ):
            pass
        assert server.process.poll() is None
    assert not path.exists()


def ask_unix(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return parse(read_all(sock))[0].body


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


def test_a_unix_socket_that_is_removed(kernel_name: str, tree: Path, tmp_path: Path) -> None:
    """By somebody else, while it is served: no reason for a bad end."""
    path = tmp_path / "sock"
    with serve(kernel_name, tree, "--unix", str(path)) as server:
        assert ask_unix(path) == b"hello\n"
        path.unlink()
    assert server.stats["requests"] == 1


def test_a_unix_socket_that_is_taken_over(kernel_name: str, tree: Path, tmp_path: Path) -> None:
    """The first server's end leaves the second one's socket where it is."""
    path = tmp_path / "sock"
    with serve(kernel_name, tree, "--unix", str(path)) as first:
        path.unlink()
        with serve(kernel_name, tree, "--unix", str(path)):
            first.process.send_signal(signal.SIGINT)
            assert first.process.wait(PATIENCE_S) == 0
            assert ask_unix(path) == b"hello\n"
    assert not path.exists()


@pytest.mark.parametrize("path", ["", NOWHERE])
def test_no_place_for_a_unix_socket(kernel_name: str, tree: Path, path: str) -> None:
    with (
        pytest.raises(ServerFailed, match=path or "wants a path"),
        serve(kernel_name, tree, "--unix", path),
    ):
        pass


def test_a_taken_port(kernel_name: str, tree: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(ServerFailed, match="in use"), serve(
            kernel_name, tree, "--port", port
        ):
            pass


def test_a_host_that_does_not_exist(kernel_name: str, tree: Path) -> None:
    with (
        pytest.raises(ServerFailed, match="cannot listen on no.such.host.invalid"),
        serve(kernel_name, tree, "--host", "no.such.host.invalid"),
    ):
        pass


def test_the_access_log(kernel_name: str, tree: Path) -> None:
    command = serve(kernel_name, tree).command
    command[command.index("--no-access-log")] = "--access-log"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        port = int(re.findall(r":(\d+)/", process.stderr.readline())[0])
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"GET /hello.txt HTTP/1.1\r\nHost: x\r\nUser-Agent: a\"b\r\n\r\n"
                         b"HEAD /nothing HTTP/1.1\r\nHost: x\r\n\r\nrubbish\r\n\r\n")  # fmt: skip
            read_all(sock)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    told = [re.sub(r"\[.*\]", "[]", line) for line in out.splitlines()]
    assert told == [
        '127.0.0.1 - - [] "GET /hello.txt HTTP/1.1" 200 6 "-" "a\\x22b"',
        '127.0.0.1 - - [] "HEAD /nothing HTTP/1.1" 404 - "-" "-"',
        '127.0.0.1 - - [] "-" 400 16 "-" "-"',
    ]


def test_nobody_reads_the_log(kernel_name: str, tree: Path) -> None:
    """A log that cannot be written is no reason to stop serving."""
    command = serve(kernel_name, tree).command
    command[command.index("--no-access-log")] = "--access-log"
    source, target = os.pipe()
    with subprocess.Popen(command, stdout=target, stderr=subprocess.PIPE, text=True) as process:
        os.close(target)
        os.close(source)
        assert process.stderr is not None
        port = int(re.findall(r":(\d+)/", process.stderr.readline())[0])
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(b"GET /hello.txt HTTP/1.0\r\n\r\n")
                assert parse(read_all(sock))[0].body == b"hello\n"
            time.sleep(0.15)  # the log is written now and then
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


@pytest.mark.parametrize("closed", [(1,), (1, 2)], ids=["stdout", "both"])
def test_closed_streams(kernel_name: str, tree: Path, tmp_path: Path, closed: tuple[int]) -> None:
    """As some supervisors start a daemon: no log, no words, and files none the less."""
    path, stats = tmp_path / "sock", tmp_path / "stats"
    command = [sys.executable, "-m", "ringmill", "serve", str(tree), "--kernel", kernel_name,
               "--unix", str(path), "--stats-file", str(stats)]  # fmt: skip
    shut = " ".join(f"{fd}>&-" for fd in closed)
    with subprocess.Popen(["sh", "-c", f'exec "$@" {shut}', "sh", *command]) as process:
        wait_until(lambda: process.poll() is not None or listens(path))
        assert process.poll() is None
        assert ask_unix(path) == b"hello\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert json.loads(stats.read_text())["requests"] == 1


def test_statistics_that_nobody_could_write(tree: Path) -> None:
    """Found out before anybody is served, not at the end."""
    result = CliRunner().invoke(
        serve_command, [str(tree), "--port", "0", "--stats-file", "/no/such/folder/stats"]
    )
    assert result.exit_code == 1
    assert "/no/such/folder/stats" in result.output and "serving" not in result.output


@pytest.mark.parametrize(
    "option", ["--header-timeout", "--idle-timeout", "--stall-timeout", "--grace"]
)
def test_no_number_of_seconds(tree: Path, option: str) -> None:
    result = CliRunner().invoke(serve_command, [str(tree), "--unix", NOWHERE, option, "nan"])
    assert result.exit_code == 2 and "not a number of seconds" in result.output


@pytest.mark.parametrize("name", ["RINGMILL_KERNEL", "RINGMILL_DISABLE"])
def test_a_wrong_environment_is_a_sentence(
    tree: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "bogus")
    result = CliRunner().invoke(serve_command, [str(tree), "--unix", NOWHERE])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert result.output.startswith("Error: ") and "bogus" in result.output


def test_many_directories_listed_at_once(kernel_name: str, tree: Path) -> None:
    """Listings are made in threads; the fibers that wait for them all come back."""
    with serve(kernel_name, tree) as server:
        socks = [dial(server) for _ in range(30)]
        for sock in socks:
            sock.sendall(b"GET /sub/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        pages = {parse(read_all(sock))[0].body for sock in socks}
        for sock in socks:
            sock.close()
        assert len(pages) == 1 and b"deep.txt" in pages.pop()


def test_python_dash_m(tree: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ringmill", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in ("doctor", "serve", "demo"))
