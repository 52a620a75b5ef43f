"""Byte ranges against RFC 9110 section 14, and against a model that looks at every byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmill.cli.http.ranges import RANGES_MAX, Extent, Unsatisfiable, parse_ranges


def spans(field: bytes, size: int) -> list[tuple[int, int]] | None:
    found = parse_ranges(field, size)
    return None if found is None else [(extent.offset, extent.end) for extent in found]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"bytes=0-0", [(0, 1)]),
        (b"bytes=0-99", [(0, 100)]),
        (b"bytes=0-1000", [(0, 100)]),
        (b"bytes=40-", [(40, 100)]),
        (b"bytes=-1", [(99, 100)]),
        (b"bytes=-1000", [(0, 100)]),
        (b"Bytes=1-2", [(1, 3)]),
        (b"bytes= 1-2 ,\t5-6", [(1, 3), (5, 7)]),
        (b"bytes=5-6,1-2", [(5, 7), (1, 3)]),  # the asker's order
        (b"bytes=5-6,0-5", [(0, 7)]),  # overlap: one
        (b"bytes=0-4,5-6", [(0, 7)]),  # touch: one
        (b"bytes=0-1,200-300", [(0, 2)]),  # what lies outside is left out
        (b"bytes=,0-1,", [(0, 2)]),
    ],
)
def test_what_is_sent(field: bytes, expected: list[tuple[int, int]]) -> None:
    assert spans(field, 100) == expected


@pytest.mark.parametrize(
    "field",
    [
        b"", b"bytes", b"bytes=", b"bytes=-", b"bytes=a-b", b"bytes=2-1", b"lines=0-1",
        b"bytes=0-1,x", b"bytes=--1", b"bytes=+1-2", b"bytes=0 -1", b"bytes=0-" + b"9" * 5000,
        b"bytes=" + b",".join(b"%d-%d" % (3 * i, 3 * i) for i in range(RANGES_MAX + 1)),
    ],
)  # fmt: skip
def test_what_is_ignored(field: bytes) -> None:
    assert parse_ranges(field, 1000) is None


@pytest.mark.parametrize("field", [b"bytes=100-", b"bytes=100-200,300-", b"bytes=-0"])
def test_what_cannot_be_satisfied(field: bytes) -> None:
    with pytest.raises(Unsatisfiable):
        parse_ranges(field, 100)


def test_an_empty_file_has_no_range() -> None:
    with pytest.raises(Unsatisfiable):
        parse_ranges(b"bytes=0-", 0)
    assert parse_ranges(b"bytes=-5", 0) is None


SPEC = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(
    lambda pair: (min(pair), max(pair))
)


@given(st.lists(SPEC, min_size=1, max_size=8), st.integers(0, 50))
def test_exactly_the_bytes_that_were_asked_for(
    specs: list[tuple[int, int]], size: int
) -> None:
    field = b"bytes=" + b",".join(b"%d-%d" % spec for spec in specs)
    wanted = {i for first, last in specs for i in range(first, last + 1) if i < size}
    try:
        extents = parse_ranges(field, size)
    except Unsatisfiable:
        assert not wanted
        return
    assert extents is not None
    sent = [i for extent in extents for i in range(extent.offset, extent.end)]
    assert len(sent) == len(set(sent)), "a byte is sent twice"
    assert set(sent) == wanted
    assert all(extent.size > 0 for extent in extents)


@given(st.binary(max_size=30).map(lambda tail: b"bytes=" + tail), st.integers(0, 10**6))
def test_rubbish_never_leaves_the_file(field: bytes, size: int) -> None:
    try:
        extents = parse_ranges(field, size) or ()
    except Unsatisfiable:
        return
    for extent in extents:
        assert 0 <= extent.offset < extent.end <= size


def test_content_range() -> None:
    assert Extent(2, 3).content_range(10) == b"bytes 2-4/10"
