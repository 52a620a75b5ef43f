"""Conditional requests against RFC 9110 section 13: validators, precedence, malformed fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmill.cli.http.conditions import (
    SETTLED_S,
    Tag,
    Validators,
    Verdict,
    evaluate,
    parse_tags,
    range_applies,
    validators_of,
)
from ringmill.cli.http.dates import format_date
from ringmill.cli.http.request import Request

NOW = 1_700_000_000.0
MODIFIED = 1_600_000_000
STRONG = Validators(Tag(b"abc"), MODIFIED)
WEAK = Validators(Tag(b"abc", weak=True), MODIFIED)
BEFORE, AT, AFTER = (format_date(MODIFIED + d).encode() for d in (-1, 0, 1))
PROCEED, NOT_MODIFIED, FAILED = Verdict.PROCEED, Verdict.NOT_MODIFIED, Verdict.FAILED


def asking(**fields: bytes) -> Request:
    pairs = tuple((name.replace("_", "-").encode(), value) for name, value in fields.items())
    return Request(b"GET", b"/", pairs)


@pytest.mark.parametrize(
    ("fields", "strong", "weak"),
    [
        ({}, PROCEED, PROCEED),
        ({"if_match": b'"abc"'}, PROCEED, FAILED),
        ({"if_match": b'W/"abc"'}, FAILED, FAILED),
        ({"if_match": b'"x", "abc"'}, PROCEED, FAILED),
        ({"if_match": b'"x"'}, FAILED, FAILED),
        ({"if_match": b"*"}, PROCEED, PROCEED),
        ({"if_match": b"abc"}, FAILED, FAILED),
        ({"if_none_match": b'"abc"'}, NOT_MODIFIED, NOT_MODIFIED),
        ({"if_none_match": b'W/"abc"'}, NOT_MODIFIED, NOT_MODIFIED),
        ({"if_none_match": b'"x",W/"abc" , "y"'}, NOT_MODIFIED, NOT_MODIFIED),
        ({"if_none_match": b"*"}, NOT_MODIFIED, NOT_MODIFIED),
        ({"if_none_match": b'"x"'}, PROCEED, PROCEED),
        ({"if_none_match": b"abc"}, PROCEED, PROCEED),
        ({"if_modified_since": AT}, NOT_MODIFIED, NOT_MODIFIED),
        ({"if_modified_since": AFTER}, NOT_MODIFIED, NOT_MODIFIED),
        ({"if_modified_since": BEFORE}, PROCEED, PROCEED),
        ({"if_modified_since": b"whenever"}, PROCEED, PROCEED),
        ({"if_unmodified_since": AT}, PROCEED, PROCEED),
        ({"if_unmodified_since": BEFORE}, FAILED, FAILED),
        ({"if_unmodified_since": b"whenever"}, PROCEED, PROCEED),
        # If-Match outranks If-Unmodified-Since, If-None-Match outranks If-Modified-Since.
        ({"if_match": b'"abc"', "if_unmodified_since": BEFORE}, PROCEED, FAILED),
        ({"if_none_match": b'"x"', "if_modified_since": AFTER}, PROCEED, PROCEED),
        # The first kind is asked before the second.
        ({"if_match": b'"x"', "if_none_match": b'"abc"'}, FAILED, FAILED),
        ({"if_match": b"*", "if_none_match": b'"abc"'}, NOT_MODIFIED, NOT_MODIFIED),
    ],
)
def test_verdicts(fields: dict[str, bytes], strong: Verdict, weak: Verdict) -> None:
    assert evaluate(asking(**fields), STRONG, NOW) is strong
    assert evaluate(asking(**fields), WEAK, NOW) is weak


def test_a_list_field_may_come_in_several_lines() -> None:
    request = Request(b"GET", b"/", ((b"if-none-match", b'"x"'), (b"if-none-match", b'"abc"')))
    assert evaluate(request, STRONG, NOW) is NOT_MODIFIED


def test_a_date_given_twice_is_no_date() -> None:
    request = Request(b"GET", b"/", ((b"if-modified-since", AT), (b"if-modified-since", AFTER)))
    assert evaluate(request, STRONG, NOW) is PROCEED


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'"abc"', True), (b'W/"abc"', False), (b'"x"', False), (AT, True), (AFTER, False),
        (BEFORE, False), (b"*", False), (b"", False),
    ],
)  # fmt: skip
def test_if_range_needs_an_exact_strong_match(value: bytes, expected: bool) -> None:
    assert range_applies(asking(if_range=value), STRONG) is expected
    assert range_applies(asking(if_range=value), WEAK) is False
    assert range_applies(asking(), WEAK) is True


def test_a_tag_is_weak_until_the_file_has_settled() -> None:
    mtime_ns = int(NOW * 10**9)
    assert validators_of(mtime_ns, 1, 2, NOW + SETTLED_S / 2).tag.weak
    assert not validators_of(mtime_ns, 1, 2, NOW + SETTLED_S).tag.weak


def test_last_modified_is_never_in_the_future() -> None:
    assert validators_of(int((NOW + 500) * 10**9), 1, 2, NOW).modified == int(NOW)


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 2))
def test_tags_of_different_files_differ(mtime: int, size: int, inode: int, which: int) -> None:
    facts = [mtime, size, inode]
    tag = validators_of(*facts, now=NOW).tag.opaque
    facts[which] += 1
    assert validators_of(*facts, now=NOW).tag.opaque != tag


TAGS = st.builds(
    Tag,
    st.lists(st.sampled_from([0x21, *range(0x23, 0x7F), *range(0x80, 0x100)])).map(bytes),
    st.booleans(),
)


@given(st.lists(TAGS, max_size=5), st.sampled_from([b",", b", ", b" ,\t,"]))
def test_tags_come_back_from_a_list(tags: list[Tag], separator: bytes) -> None:
    assert parse_tags(separator.join(map(bytes, tags))) == tags


@given(st.binary(max_size=40) | st.text('W/",ab \t*', max_size=20).map(str.encode))
def test_rubbish_lists_no_exception(field: bytes) -> None:
    parse_tags(field)


@pytest.mark.parametrize("field", [b'"a" "b"', b'"a', b'"a",b', b"'a'", b'w/"a"', b'"a"x'])
def test_what_is_not_a_list_of_tags_lists_nothing(field: bytes) -> None:
    assert parse_tags(field) == []
