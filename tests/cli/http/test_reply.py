"""Replies as values: what is said about a file, a directory, a refusal."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmill.cli.http.conditions import validators_of
from ringmill.cli.http.ranges import Extent
from ringmill.cli.http.reply import (
    FileFacts,
    Reply,
    plan_error,
    plan_file,
    plan_method,
    plan_redirect,
)
from ringmill.cli.http.request import Fields, Request
from ringmill.cli.http.target import Location

NOW = 1_700_000_000.0
MTIME_NS = 1_600_000_000 * 10**9
CONTENT = bytes(range(100))
FACTS = FileFacts(len(CONTENT), MTIME_NS, 7, b"text/plain")
TAG = bytes(validators_of(MTIME_NS, len(CONTENT), 7, NOW).tag)


def asked(*fields: tuple[bytes, bytes], method: bytes = b"GET") -> Reply:
    return plan_file(Request(method, b"/f", fields), FACTS, NOW)


def field(fields: Fields, name: bytes) -> bytes | None:
    found = [value for key, value in fields if key.lower() == name.lower()]
    assert len(found) <= 1, f"{name!r} stands there twice"
    return found[0] if found else None


def body(reply: Reply) -> bytes:
    """What a client would get of CONTENT."""
    return b"".join(
        CONTENT[piece.offset : piece.end] if isinstance(piece, Extent) else piece
        for piece in reply.body
    )


def test_the_whole_file() -> None:
    reply = asked()
    assert (reply.status, body(reply)) == (200, CONTENT)
    assert field(reply.fields, b"content-length") == b"100"
    assert field(reply.fields, b"etag") == TAG
    assert field(reply.fields, b"last-modified") == b"Sun, 13 Sep 2020 12:26:40 GMT"
    assert field(reply.fields, b"accept-ranges") == b"bytes"


def test_an_empty_file_has_no_body() -> None:
    reply = plan_file(Request(b"GET", b"/f"), FileFacts(0, MTIME_NS, 7, b"text/plain"), NOW)
    assert (reply.status, reply.body, reply.size) == (200, (), 0)
    assert field(reply.fields, b"content-length") == b"0"


def test_one_range() -> None:
    reply = asked((b"range", b"bytes=10-19"))
    assert (reply.status, body(reply)) == (206, CONTENT[10:20])
    assert field(reply.fields, b"content-length") == b"10"
    assert field(reply.fields, b"content-range") == b"bytes 10-19/100"
    assert field(reply.fields, b"content-type") == b"text/plain"


def test_a_range_of_everything_is_still_partial_content() -> None:
    assert asked((b"range", b"bytes=0-")).status == 206


@given(st.sets(st.integers(0, 33), min_size=2, max_size=20))
def test_several_ranges_are_a_multipart_message(starts: set[int]) -> None:
    specs = [(3 * start, 3 * start + 1) for start in sorted(starts)]  # gaps between them
    reply = asked((b"range", b"bytes=" + b",".join(b"%d-%d" % spec for spec in specs)))
    assert reply.status == 206
    assert field(reply.fields, b"content-range") is None
    data = body(reply)
    assert field(reply.fields, b"content-length") == b"%d" % len(data) == b"%d" % reply.size
    kind = field(reply.fields, b"content-type")
    assert kind is not None
    message = email.message_from_bytes(
        b"Content-Type: " + kind + b"\r\n\r\n" + data, policy=email.policy.HTTP
    )
    parts = list(message.iter_parts())  # type: ignore[attr-defined]
    assert [part["Content-Range"] for part in parts] == [
        f"bytes {first}-{min(last, 99)}/100" for first, last in specs
    ]
    assert all(part.get_content_type() == "text/plain" for part in parts)
    for first, last in specs:
        assert b"\r\n\r\n" + CONTENT[first : last + 1] + b"\r\n--" in data


def test_a_range_beyond_the_end() -> None:
    reply = asked((b"range", b"bytes=100-"))
    assert reply.status == 416
    assert field(reply.fields, b"content-range") == b"bytes */100"


@pytest.mark.parametrize(
    "fields",
    [
        ((b"range", b"lines=1-2"),),
        ((b"range", b"bytes=1-2"), (b"range", b"bytes=3-4")),
        ((b"range", b"bytes=1-2"), (b"if-range", b'"another"')),
    ],
)
def test_a_range_that_does_not_apply_is_ignored(fields: Fields) -> None:
    assert asked(*fields).status == 200


def test_if_range_that_matches() -> None:
    assert asked((b"range", b"bytes=1-2"), (b"if-range", TAG)).status == 206


def test_head_knows_no_range_and_says_what_get_would() -> None:
    head, get = asked((b"range", b"bytes=1-2"), method=b"HEAD"), asked()
    assert (head.status, head.fields) == (200, get.fields)


def test_not_modified_carries_its_validators_and_no_body() -> None:
    reply = asked((b"if-none-match", TAG))
    assert (reply.status, reply.body) == (304, ())
    assert field(reply.fields, b"etag") == TAG
    assert field(reply.fields, b"content-length") is None


def test_a_failed_precondition_outranks_the_range() -> None:
    assert asked((b"if-match", b'"other"'), (b"range", b"bytes=500-")).status == 412


def test_methods() -> None:
    assert plan_method(b"GET") is None and plan_method(b"HEAD") is None
    answers = {
        method: reply.status
        for method in (b"OPTIONS", b"POST", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"BREW")
        if (reply := plan_method(method)) is not None
    }
    assert answers == {
        b"OPTIONS": 204, b"POST": 405, b"PUT": 405, b"DELETE": 405, b"TRACE": 405,
        b"CONNECT": 405, b"BREW": 501,
    }  # fmt: skip
    post = plan_method(b"POST")
    assert post is not None and field(post.fields, b"allow") == b"GET, HEAD, OPTIONS"
    assert plan_method(b"get") is not None  # methods are case-sensitive


def test_a_redirect_keeps_the_query() -> None:
    reply = plan_redirect(Location((b"a b",), directory=False, query=b"x=1&y"))
    assert reply.status == 301
    assert field(reply.fields, b"location") == b"/a%20b/?x=1&y"


@pytest.mark.parametrize(
    "status", [400, 403, 404, 405, 408, 412, 413, 414, 416, 431, 500, 501, 503]
)
def test_every_refusal_says_how_long_it_is(status: int) -> None:
    reply = plan_error(status)
    assert field(reply.fields, b"content-length") == b"%d" % len(body(reply)) != b"0"
