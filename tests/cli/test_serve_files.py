"""What clients get of a served tree: every byte of what is theirs, none of what is not."""

from __future__ import annotations

import email
import email.policy
import hashlib
import os
import socket
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import pytest

from cli.talk import (
    BIG,
    PATIENCE_S,
    ask,
    dial,
    get,
    parse,
    read_all,
    reader_of_little,
    reset,
    say,
)
from ringmill.cli.http.body import SLOW_S
from ringmill.cli.served import ServedDirectory

FILES = ["hello.txt", "empty", "big", "middle", "a b & <c>.html", "ü.txt", "sub/deep.txt",
         "home/index.html", "inside", "inside_dir/deep.txt"]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_file_arrives(server: ServedDirectory, tree: Path, name: str) -> None:
    answer = get(server, "/" + quote(name))
    content = (tree / name).read_bytes()
    assert answer.status == 200
    assert answer.fields["content-length"] == str(len(content))
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(content).digest()
    head = get(server, "/" + quote(name), "HEAD")
    assert (head.status, head.body) == (200, b"")
    drop = ("date",)
    assert {k: v for k, v in head.fields.items() if k not in drop} == {
        k: v for k, v in answer.fields.items() if k not in drop
    }


def test_a_name_that_is_not_utf8(server: ServedDirectory) -> None:
    assert get(server, "/%FF").body == b"not UTF-8"


@pytest.mark.parametrize("path", ["/outside", "/outside_dir/key", "/outside_dir/", "/etc/passwd",
                                  "/fifo"])  # fmt: skip
def test_what_is_refused(server: ServedDirectory, path: str) -> None:
    answer = get(server, path)
    assert answer.status == 403
    assert b"not to be seen" not in answer.body and b"root:" not in answer.body


def test_a_fifo_is_not_opened(server: ServedDirectory, tree: Path) -> None:
    """Who waits at it for a reader goes on waiting: an open that is closed again, and what he then
    writes is lost."""
    came: list[str] = []

    def write() -> None:
        try:
            with open(tree / "fifo", "wb", buffering=0) as fifo:
                came.append("a reader")
                fifo.write(b"precious")
        except BrokenPipeError:
            came.append("and gone")

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.1)  # into its open; there is nothing to see it by
    answer = get(server, "/fifo")
    time.sleep(0.2)  # long enough for a writer who was let go
    before = list(came)
    fd = os.open(tree / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    writer.join()
    read = os.read(fd, 100)
    os.close(fd)
    assert (answer.status, answer.body) == (403, b"403 Forbidden: not a file\n")
    assert (before, read) == ([], b"precious")


def test_what_may_not_be_read(server: ServedDirectory, tree: Path) -> None:
    file = tree / "unreadable"
    file.write_text("not to be seen")
    file.chmod(0)
    try:
        if os.access(file, os.R_OK):
            pytest.skip("root may read everything")
        for method in ("GET", "HEAD"):
            assert get(server, "/unreadable", method).status == 403
    finally:
        file.unlink()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404), ("/hello.txt/", 404), ("/hello.txt/x", 404), ("/dangling", 404),
        ("/loop", 404), ("/" + "x" * 300, 404), ("/%00", 400), ("/..%2f..%2fsecret", 400),
        ("/../secret", 400), ("/%2e%2e/secret", 400), ("/sub/../../secret", 400),
        ("/%252e%252e/secret", 404), ("/a%zz", 400), ("/" + "x" * 9000, 414),
    ],
)  # fmt: skip
def test_paths_that_lead_nowhere(server: ServedDirectory, path: str, status: int) -> None:
    answer = get(server, path)
    assert answer.status == status
    assert b"not to be seen" not in answer.body


def test_directories(server: ServedDirectory) -> None:
    assert get(server, "/home/").body == b"<h1>home</h1>"
    redirect = get(server, "/sub?x=1")
    assert (redirect.status, redirect.fields["location"]) == (301, "/sub/?x=1")
    listing = get(server, "/")
    assert listing.status == 200
    assert b'href="./a%20b%20%26%20%3Cc%3E.html"' in listing.body
    assert b'href="./%FF"' in listing.body and b'href="./sub/"' in listing.body
    assert b"<c>" not in listing.body
    head = get(server, "/", "HEAD")
    assert (head.status, head.body) == (200, b"")


def test_ranges(server: ServedDirectory, tree: Path) -> None:
    big = (tree / "big").read_bytes()
    for spec, wanted in [("0-0", big[:1]), ("1000-2000000", big[1000:2000001]),
                         ("-5", big[-5:]), (f"{BIG - 1}-", big[-1:])]:  # fmt: skip
        answer = get(server, "/big", range=f"bytes={spec}")
        assert answer.status == 206
        assert answer.body == wanted, f"bytes={spec} differs"
    answer = get(server, "/big", range=f"bytes={BIG}-")
    assert (answer.status, answer.fields["content-range"]) == (416, f"bytes */{BIG}")


def test_several_ranges(server: ServedDirectory, tree: Path) -> None:
    big = (tree / "big").read_bytes()
    spans = [(5, 9), (1_000_000, 2_500_000), (100, 100_000)]
    answer = get(server, "/big", range="bytes=" + ",".join(f"{a}-{b}" for a, b in spans))
    assert answer.status == 206
    assert len(answer.body) == int(answer.fields["content-length"])
    kind = answer.fields["content-type"].encode()
    message = email.message_from_bytes(
        b"Content-Type: " + kind + b"\n\n" + answer.body, policy=email.policy.HTTP
    )
    parts = list(message.iter_parts())
    assert [part["Content-Range"] for part in parts] == [f"bytes {a}-{b}/{BIG}" for a, b in spans]
    rest = answer.body
    for a, b in spans:
        _, _, rest = rest.partition(b"\r\n\r\n")
        assert rest[: b - a + 1] == big[a : b + 1]
        rest = rest[b - a + 1 :]


def test_conditions(server: ServedDirectory) -> None:
    first = get(server, "/hello.txt")
    tag, date = first.fields["etag"], first.fields["last-modified"]
    assert not tag.startswith("W/")
    again = get(server, "/hello.txt", if_none_match=tag)
    assert (again.status, again.body) == (304, b"")
    assert again.fields["etag"] == tag
    assert get(server, "/hello.txt", if_modified_since=date).status == 304
    assert get(server, "/hello.txt", if_match='"x"').status == 412
    assert get(server, "/hello.txt", if_match=tag).status == 200
    assert get(server, "/hello.txt", range="bytes=0-1", if_range=tag).status == 206
    assert get(server, "/hello.txt", range="bytes=0-1", if_range='"x"').status == 200


def test_a_change_changes_the_tag(server: ServedDirectory, tree: Path) -> None:
    file = tree / "changing"
    file.write_text("one")
    before = get(server, "/changing")
    assert before.fields["etag"].startswith("W/"), "it may change again within the clock's tick"
    file.write_text("three")
    after = get(server, "/changing", if_none_match=before.fields["etag"])
    file.unlink()
    assert (after.status, after.body) == (200, b"three")


def test_keep_alive(server: ServedDirectory) -> None:
    client = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        ask(client, "/hello.txt")
        sock = client.sock
        for _ in range(20):
            for path, status in (("/hello.txt", 200), ("/nothing", 404), ("/big", 200)):
                assert ask(client, path).status == status
            assert ask(client, "/hello.txt", "POST").status == 405
        assert client.sock is sock, "the server hung up in between"
    finally:
        client.close()


def test_pipelining(server: ServedDirectory, tree: Path) -> None:
    paths = ["/hello.txt", "/middle", "/nothing", "/big", "/empty", "/inside"] * 5
    data = say(server, b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % p.encode() for p in paths))
    for path in paths:
        answer, data = parse(data)
        if path == "/nothing":
            assert answer.status == 404
        else:
            assert answer.body == (tree / path[1:]).read_bytes()
    assert data == b""


def test_requests_cut_anywhere(server: ServedDirectory) -> None:
    """Where the network cuts the bytes makes no difference."""
    request = b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n" * 2
    for cut in range(1, len(request), 7):
        with dial(server) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(request[:cut])
            sock.sendall(request[cut:])
            sock.shutdown(socket.SHUT_WR)
            data = read_all(sock)
        for _ in range(2):
            answer, data = parse(data)
            assert answer.body == b"hello\n"
        assert data == b""


@pytest.mark.parametrize(
    "empty", [b"\r\n", b"\n", b"\r\n\r\n"], ids=["CRLF", "LF", "two"]
)
def test_empty_lines_before_a_request(server: ServedDirectory, empty: bytes) -> None:
    """Before the first, between two, and after a body whose length does not count its line end;
    also where it comes alone, or one byte of it does."""
    request = b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n"
    whole = [empty, request, b"\r\n", empty, request, b"Content-Length: 3\r\n\r\nabc", empty,
             request, b"\r\n", empty]  # fmt: skip
    for parts in ([b"".join(whole)], whole, [bytes([byte]) for byte in b"".join(whole)]):
        with dial(server) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                sock.sendall(part)
                time.sleep(0.001)  # for it to arrive by itself, mostly
            sock.shutdown(socket.SHUT_WR)
            data = read_all(sock)
        for _ in range(3):
            answer, data = parse(data)
            assert (answer.status, answer.body) == (200, b"hello\n")
        assert data == b""


def test_http_1_0(server: ServedDirectory) -> None:
    data = say(server, b"GET /hello.txt HTTP/1.0\r\n\r\n", hang_up=False)
    answer, rest = parse(data)
    assert (answer.status, answer.body, rest) == (200, b"hello\n", b"")
    assert answer.fields["connection"] == "close"


def test_connection_close(server: ServedDirectory) -> None:
    request = b"GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer, rest = parse(say(server, request + request, hang_up=False))
    assert (answer.body, rest) == (b"hello\n", b"")


def test_the_whole_url_as_target(server: ServedDirectory) -> None:
    data = say(server, b"GET http://elsewhere/hello.txt HTTP/1.1\r\nHost: x\r\n\r\n")
    assert parse(data)[0].body == b"hello\n"


def test_methods(server: ServedDirectory) -> None:
    for method, status in (("POST", 405), ("PUT", 405), ("DELETE", 405), ("TRACE", 405),
                           ("OPTIONS", 204), ("BREW", 501)):  # fmt: skip
        answer = get(server, "/hello.txt", method)
        assert answer.status == status
        if status != 501:
            assert answer.fields["allow"] == "GET, HEAD, OPTIONS"


def test_a_body_is_read_and_the_next_request_found(server: ServedDirectory) -> None:
    for fields, body in (
        (b"Content-Length: 40000", b"x" * 40000),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    ):
        request = b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n" + body
        first, data = parse(say(server, request * 2))
        second, data = parse(data)
        assert (first.body, second.body, data) == (b"hello\n", b"hello\n", b"")


def test_a_body_beyond_the_bound(server: ServedDirectory) -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    answer, rest = parse(say(server, request + b"x" * 200_000, hang_up=False))
    assert (answer.status, answer.fields["connection"], rest) == (413, "close", b"")


def test_a_body_that_waits_to_be_asked_for(server: ServedDirectory) -> None:
    """Nobody wants it: the answer comes at once, no `100 Continue` before it."""
    request = b"PUT /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    answer, rest = parse(say(server, request, hang_up=False))
    assert (answer.status, answer.fields["connection"], rest) == (405, "close", b"")


def test_many_clients_at_once(server: ServedDirectory, tree: Path) -> None:
    wanted = {name: (tree / name).read_bytes() for name in FILES}
    wrong: list[str] = []

    def work() -> None:
        client = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        for name in FILES * 3:
            if ask(client, "/" + quote(name)).body != wanted[name]:
                wrong.append(name)
        client.close()

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("splice_from", [1, 1 << 40], ids=["all spliced", "none spliced"])
def test_both_ways_to_send_a_body_are_the_same(
    kernel_name: str, tree: Path, splice_from: int
) -> None:
    with ServedDirectory(
        str(tree), "--kernel", kernel_name, "--port", "0", "--no-access-log",
        "--splice-from", str(splice_from),
    ) as server:  # fmt: skip
        for name in ("big", "middle"):
            content = (tree / name).read_bytes()
            assert get(server, f"/{name}").body == content
            assert get(server, f"/{name}", range="bytes=5-90000").body == content[5:90001]
    sent = (tree / "big").stat().st_size + (tree / "middle").stat().st_size + 2 * 89_996
    if splice_from == 1:
        assert (server.stats["spliced"], server.stats["copied"]) == (sent, 0)
    else:
        assert (server.stats["spliced"], server.stats["copied"]) == (0, sent)


def test_a_client_that_pauses(server: ServedDirectory, tree: Path) -> None:
    """Longer than a splice may take: what is in the pipe then is read from the file again, so that
    nothing is missing and nothing comes twice."""
    with reader_of_little(server) as sock:
        sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        begun = sock.recv(4)
        time.sleep(1.5 * SLOW_S)
        answer, rest = parse(begun + read_all(sock))
    assert rest == b"" and answer.body == (tree / "big").read_bytes()


def test_a_pipe_is_never_lent_with_leftovers(server: ServedDirectory, tree: Path) -> None:
    """What one client did not take must not reach the next."""
    big = (tree / "big").read_bytes()
    for _ in range(5):
        with reader_of_little(server) as sock:
            sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(4) == b"HTTP"
            reset(sock)
        assert get(server, "/big").body == big


@pytest.mark.parametrize("splice_from", [1, 1 << 40], ids=["spliced", "copied"])
def test_a_file_that_shrinks_while_it_is_sent(
    kernel_name: str, tmp_path: Path, splice_from: int
) -> None:
    """The promised length cannot be kept: the connection ends early, with no invented bytes."""
    size = 64 * 1024 * 1024  # far more than sockets hold, so that the server is still sending
    file = tmp_path / "file"
    with open(file, "wb") as f:
        f.truncate(size)
    with ServedDirectory(
        str(tmp_path), "--kernel", kernel_name, "--port", "0", "--no-access-log",
        "--splice-from", str(splice_from),
    ) as server:  # fmt: skip
        with dial(server) as sock:
            sock.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
            head = sock.recv(1000)
            assert b"Content-Length: %d\r\n" % size in head
            os.truncate(file, 1000)
            data = read_all(sock)
        assert len(data) < size
        assert set(data[:1_000_000]) <= set(b"\0" + head)
        assert get(server, "/file").body == bytes(1000)


def test_no_index(kernel_name: str, tree: Path) -> None:
    with ServedDirectory(
        str(tree), "--kernel", kernel_name, "--port", "0", "--no-access-log", "--no-index"
    ) as server:
        assert get(server, "/sub/").status == 403
        assert get(server, "/home/").body == b"<h1>home</h1>"
