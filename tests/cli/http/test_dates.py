"""HTTP dates: one way out, three ways in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmill.cli.http.dates import Clock, format_date, parse_date

NOW = 1_700_000_000.0  # November 2023
EXAMPLE = 784111777  # of RFC 9110


@pytest.mark.parametrize(
    "text",
    [
        b"Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sunday, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov  6 08:49:37 1994",
    ],
)
def test_the_three_forms(text: bytes) -> None:
    assert parse_date(text, NOW) == EXAMPLE


@given(st.integers(0, 253402300799))
def test_what_is_written_can_be_read(seconds: int) -> None:
    assert parse_date(format_date(seconds).encode(), NOW) == seconds


def test_two_digits_are_never_more_than_fifty_years_ahead() -> None:
    assert parse_date(b"Sunday, 06-Nov-73 00:00:00 GMT", NOW) == parse_date(
        b"Mon, 06 Nov 2073 00:00:00 GMT", NOW
    )
    assert parse_date(b"Sunday, 06-Nov-74 00:00:00 GMT", NOW) == parse_date(
        b"Wed, 06 Nov 1974 00:00:00 GMT", NOW
    )


@pytest.mark.parametrize(
    "text",
    [
        b"", b"0", b"yesterday", b"Sun, 06 Nov 1994 08:49:37", b"Sun, 06 Nov 1994 08:49:37 CET",
        b"Sun, 31 Feb 1994 08:49:37 GMT", b"Sun, 00 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT", b"Sun, 06 Nov 1994 08:60:37 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT", "Sun, 0٦ Nov 1994 08:49:37 GMT".encode(),
    ],
)  # fmt: skip
def test_what_is_no_date(text: bytes) -> None:
    assert parse_date(text, NOW) is None


@given(st.binary(max_size=40))
def test_rubbish_is_no_date_and_no_exception(text: bytes) -> None:
    parse_date(text, NOW)


def test_the_clock_formats_once_a_second() -> None:
    now = 100.0
    clock = Clock(lambda: now)
    first = clock.date()
    now = 100.9
    assert clock.date() is first
    now = 101.0
    assert clock.date() == b"Thu, 01 Jan 1970 00:01:41 GMT"
