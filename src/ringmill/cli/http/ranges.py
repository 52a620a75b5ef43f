"""Byte ranges, RFC 9110 section 14. Knows numbers; knows neither files nor sockets."""

from __future__ import annotations

import re
from dataclasses import dataclass

SPEC = re.compile(rb"(\d*)-(\d*)")

# More parts than this in one request is an attack or a mistake; RFC 9110 14.2 lets us ignore it.
RANGES_MAX = 32

# Digits in a position. 2**63 has 19, and Python's own limit on int() must never be met.
DIGITS_MAX = 20


@dataclass(frozen=True, slots=True)
class Extent:
    """`size` bytes of a file, from `offset`."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size

    def content_range(self, total: int) -> bytes:
        return b"bytes %d-%d/%d" % (self.offset, self.end - 1, total)


class Unsatisfiable(Exception):
    """A well-formed Range of which nothing lies within the file."""


def parse_ranges(field: bytes, size: int) -> tuple[Extent, ...] | None:
    """The extents a Range field asks of a file of `size` bytes; None when it is to be ignored.

    Extents that overlap or touch become one, and then stand in the order of the file; extents
    that do not stay in the order they were asked for.
    """
    unit, equals, specs = field.partition(b"=")
    if not equals or unit.strip().lower() != b"bytes":
        return None
    parts = [part.strip(b" \t") for part in specs.split(b",")]
    parts = [part for part in parts if part]
    if not parts or len(parts) > RANGES_MAX:
        return None
    extents: list[Extent] = []
    for part in parts:
        match = SPEC.fullmatch(part)
        if match is None or part == b"-" or max(map(len, match.groups())) > DIGITS_MAX:
            return None
        first, last = match.groups()
        if first and last and int(last) < int(first):
            return None
        if (extent := clip(first, last, size)) is not None:
            extents.append(extent)
    if not extents:
        if size == 0 and any(part.startswith(b"-") and int(part[1:]) for part in parts):
            return None  # "the last 5 bytes" of nothing is all of it, which no 206 can express
        raise Unsatisfiable(f"no byte of these ranges lies within {size} bytes")
    return merge(extents)


def clip(first: bytes, last: bytes, size: int) -> Extent | None:
    """One range as an extent of a file of `size` bytes, or None when it lies outside."""
    if not first:
        length = min(int(last), size)
        return Extent(size - length, length) if length else None
    offset = int(first)
    if offset >= size:
        return None
    end = min(int(last) + 1, size) if last else size
    return Extent(offset, end - offset)


def merge(extents: list[Extent]) -> tuple[Extent, ...]:
    """Extents none of which overlaps or touches another."""
    ordered = sorted(extents, key=lambda extent: extent.offset)
    merged: list[Extent] = []
    for extent in ordered:
        if merged and extent.offset <= merged[-1].end:
            offset = merged[-1].offset
            merged[-1] = Extent(offset, max(merged[-1].end, extent.end) - offset)
        else:
            merged.append(extent)
    return tuple(extents) if len(merged) == len(extents) else tuple(merged)
