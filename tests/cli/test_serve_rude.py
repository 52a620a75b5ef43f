"""Clients that send rubbish, too much, too little or too slowly; the others are served."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.talk import dial, get, parse, read_all, reader_of_little, reset, say
from ringmill.cli.served import ServedDirectory

RUBBISH = [
    b"\r\n", b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,  # TLS on the wrong port
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",  # HTTP/2, unasked
    b"get / http/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\nHost: a b\x00c\n\n",
]  # fmt: skip


@pytest.mark.parametrize("data", RUBBISH, ids=range(len(RUBBISH)))
def test_rubbish(server: ServedDirectory, data: bytes) -> None:
    answer = say(server, data)
    if answer:
        assert parse(answer)[0].status in (400, 501, 505)
        assert parse(answer)[0].fields["connection"] == "close"
    assert get(server, "/hello.txt").body == b"hello\n"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(
    st.sampled_from([
        b"GET ", b"HEAD ", b"/", b"/hello.txt", b"/..", b"%2e", b"%", b"?", b" HTTP/1.1", b"\r\n",
        b"Host: x\r\n", b"Range: bytes=", b"0-", b"-", b",", b"Content-Length: ", b"5",
        b"Transfer-Encoding: chunked\r\n", b"If-None-Match: ", b'"', b"W/", b"\0", b"\xff",
    ]) | st.binary(max_size=8),
    max_size=14,
))  # fmt: skip
def test_no_bytes_break_it(server: ServedDirectory, parts: list[bytes]) -> None:
    data = say(server, b"".join(parts))
    while data:
        # HEAD's answers carry a length and no body: look only at how each answer begins.
        assert data.startswith(b"HTTP/1.1 ")
        answer, rest = parse(data)
        data = rest if rest.startswith(b"HTTP/1.1 ") or not rest else b""
        assert answer.status < 500 or answer.status in (501, 505)


def test_a_refusal_speaks_of_nothing_the_client_sent(server: ServedDirectory) -> None:
    data = say(server, b"GET /<script> HTTP/1.1\r\nHost: x\r\n\r\nGET <script>\r\n\r\n")
    assert b"script" not in data


def test_two_lengths(server: ServedDirectory) -> None:
    """Whoever stands between us and the client may believe the other one: nothing of what follows
    is taken for a request."""
    smuggled = b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n"
    data = say(server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled)  # fmt: skip
    answer, rest = parse(data)
    assert (answer.status, answer.fields["connection"], rest) == (400, "close", b"")


def test_a_host_that_is_none(server: ServedDirectory) -> None:
    answer, rest = parse(say(server, b"GET /hello.txt HTTP/1.1\r\nHost: a b\r\n\r\n" * 2))
    assert (answer.status, answer.fields["connection"], rest) == (400, "close", b"")


def test_too_long(server: ServedDirectory) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n"
    many = b"".join(b"X-%d: %s\r\n" % (i, b"y" * 80) for i in range(1000))
    for data, status in (
        (b"GET /" + b"x" * 20_000, 414),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (head + b"X: " + b"y" * 30_000 + b"\r\n\r\n", 431),
        (head + many + b"\r\n", 431),
    ):
        answer, _ = parse(say(server, data, hang_up=False) if status == 431 else say(server, data))
        assert answer.status == status


def test_half_a_request(server: ServedDirectory) -> None:
    """The client has hung up in the middle: there is nobody to wait for."""
    for data in (b"G", b"GET / HTTP/1.1\r\nHost: x", b"GET / HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 10\r\n\r\nabc"):  # fmt: skip
        answer = say(server, data)
        assert not answer or parse(answer)[0].status == 400


def test_clients_that_vanish(server: ServedDirectory) -> None:
    """With a reset, in every phase: before, in and after a request, and in the reply."""
    for data in (b"", b"GET /", b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"):
        for _ in range(10):
            sock = dial(server)
            sock.sendall(data)
            reset(sock)
    assert get(server, "/hello.txt").body == b"hello\n"


@pytest.fixture(scope="module")
def impatient(kernel_name: str, tree: object) -> Iterator[ServedDirectory]:
    with ServedDirectory(
        str(tree), "--kernel", kernel_name, "--port", "0", "--no-access-log",
        "--header-timeout", "0.4", "--idle-timeout", "0.6", "--stall-timeout", "0.8",
    ) as server:  # fmt: skip
        yield server
    assert server.stats["open"] == 0


def test_one_byte_at_a_time(impatient: ServedDirectory) -> None:
    """The deadline is for the whole head: bytes that keep coming do not move it."""
    with dial(impatient) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for byte in b"GET /hello.txt HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 10_000:
                sock.sendall(bytes([byte]))
                time.sleep(0.02)
        data = read_all(sock)
    answer, rest = parse(data)
    assert (answer.status, answer.fields["connection"], rest) == (408, "close", b"")
    assert get(impatient, "/hello.txt").body == b"hello\n"


def test_one_byte_at_a_time_in_a_body(impatient: ServedDirectory) -> None:
    with dial(impatient) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(5000):
                sock.sendall(b"x")
                time.sleep(0.02)
        assert parse(read_all(sock))[0].status == 408


@pytest.mark.parametrize("data", [b"", b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_silence(impatient: ServedDirectory, data: bytes) -> None:
    """An idle connection is closed without a word; what was asked before has been answered."""
    answer = say(impatient, data, hang_up=False)
    assert (parse(answer)[1] if data else answer) == b""


def test_a_client_that_does_not_read(impatient: ServedDirectory) -> None:
    """It stalls, and is given up; the file is larger than what sockets hold, or this would hang."""
    with reader_of_little(impatient) as sock:
        sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        while True:  # until the server has hung up, as only a write can tell without reading
            try:
                sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            except OSError:
                break
            time.sleep(0.05)
    assert get(impatient, "/hello.txt").body == b"hello\n"


def few_files(limit: int) -> tuple[str, ...]:
    """Run what follows with `limit` descriptors."""
    return ("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh")


@pytest.mark.parametrize(
    "words", [b"", b"GET", b"\0\r\n\r\n"], ids=["silent", "half a word", "rubbish"]
)
def test_more_clients_than_descriptors(kernel_name: str, tree: object, words: bytes) -> None:
    """A crowd that connects and does not ask does not keep out who does."""
    server = ServedDirectory(
        str(tree), "--kernel", kernel_name, "--port", "0", "--no-access-log",
        wrapper=few_files(128),
    )  # fmt: skip
    with server:
        crowd = [dial(server) for _ in range(400)]
        try:
            for sock in crowd:
                with contextlib.suppress(ConnectionError):
                    sock.sendall(words)
            for path, size in (("/hello.txt", 6), ("/middle", 100_000), ("/sub/", None)):
                answer = get(server, path)
                assert answer.status == 200 and len(answer.body) == (size or len(answer.body))
        finally:
            for sock in crowd:
                sock.close()
    assert server.stats["evicted"] > 0
    assert server.stats["open"] == 0


def test_accept_without_descriptors(kernel_name: str, tree: object) -> None:
    """--max-connections beyond the limit of descriptors: accept fails, rests, and goes on."""
    server = ServedDirectory(
        str(tree), "--kernel", kernel_name, "--port", "0", "--no-access-log",
        "--max-connections", "1000", wrapper=few_files(64),
    )  # fmt: skip
    with server:
        crowd = [dial(server) for _ in range(150)]
        try:
            # Somebody has to go before a file can be opened: 503 says so, and is not the end.
            statuses = [get(server, "/hello.txt").status for _ in range(20)]
            assert set(statuses) <= {200, 503}
        finally:
            for sock in crowd:
                sock.close()
        while get(server, "/hello.txt").status != 200:
            time.sleep(0.05)
    assert server.stats["open"] == 0
