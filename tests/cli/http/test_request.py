"""Requests as values: what of their fields is refused."""

from __future__ import annotations

import pytest

from ringmill.cli.http.request import Request


def request(*fields: tuple[bytes, bytes]) -> Request:
    return Request(b"GET", b"/", fields)


@pytest.mark.parametrize(
    "host",
    [
        b"", b"x", b"x:80", b"x:", b"a.b-c_d~e", b"%41", b"x,y", b"127.0.0.1:8000", b"[::1]",
        b"[::1]:80", b"[fe80::1%eth0]:80", b"[fe80::1%25eth0]", b"[v1.a:b]",
    ],
)  # fmt: skip
def test_hosts(host: bytes) -> None:
    assert request((b"host", host)).malformed() is None


@pytest.mark.parametrize(
    "host",
    [
        b"a b", b"a/b", b"user@x", b"x:80:90", b"x:abc", b"\xff", b"%4", b"%zz", b"[::1", b"::1",
        b"[x]", b"[::1]x", b"[]", b"x?", b"x#", b"<x>", b'"x"', b"x\n",
    ],
)  # fmt: skip
def test_what_is_no_host(host: bytes) -> None:
    assert "Host" in (request((b"host", host)).malformed() or "")


def test_two_lengths() -> None:
    length, coding = (b"content-length", b"6"), (b"transfer-encoding", b"chunked")
    assert request(length).malformed() is None
    assert request(coding).malformed() is None
    for fields in ((length, coding), (coding, length)):
        assert "Content-Length" in (request(*fields).malformed() or "")
