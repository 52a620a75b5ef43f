"""Conditional requests, RFC 9110 section 13. Knows fields and file facts; decides, does nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from .dates import format_date, parse_date
from .request import Request

# One member of an entity-tag list. Tags may hold commas, so splitting at commas is wrong.
TAG = re.compile(rb'(?P<weak>W/)?"(?P<opaque>[\x21\x23-\x7e\x80-\xff]*)"')
GAP = re.compile(rb"[ \t]*(?:,[ \t]*)*")
COMMA = re.compile(rb"[ \t]*,[ \t]*(?:,[ \t]*)*")

# A file changed so recently could change again without its time moving (the kernel stamps with
# the clock of its last tick, other file systems with whole seconds, FAT with two): until then its
# tag is weak, and neither tag nor time is good enough to glue ranges together.
SETTLED_S = 2.0


@dataclass(frozen=True, slots=True)
class Tag:
    """An entity tag."""

    opaque: bytes
    weak: bool = False

    def __bytes__(self) -> bytes:
        return (b"W/" if self.weak else b"") + b'"' + self.opaque + b'"'


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one version of a file from the next."""

    tag: Tag
    modified: int  # whole seconds, as Last-Modified says it

    @property
    def last_modified(self) -> bytes:
        return format_date(self.modified).encode()


class Verdict(Enum):
    PROCEED = 200
    NOT_MODIFIED = 304
    FAILED = 412


def validators_of(mtime_ns: int, size: int, inode: int, now: float) -> Validators:
    """From what stat says. A file from the future counts as one of now, as RFC 9110 8.8.2.1 asks:
    Last-Modified is never later than Date."""
    settled = now - mtime_ns / 1e9 >= SETTLED_S
    opaque = f"{mtime_ns:x}-{size:x}-{inode:x}".encode()
    return Validators(Tag(opaque, weak=not settled), min(mtime_ns // 10**9, int(now)))


def evaluate(request: Request, validators: Validators, now: float) -> Verdict:
    """What the preconditions say, in the order of RFC 9110 section 13.2.2.

    If-Range comes last there and is asked for apart, by `range_applies`.
    """
    if (field := request.joined(b"if-match")) is not None:
        if not tag_listed(field, validators.tag, strong=True):
            return Verdict.FAILED
    elif (date := date_of(request, b"if-unmodified-since", now)) is not None:
        if validators.modified > date:
            return Verdict.FAILED
    if (field := request.joined(b"if-none-match")) is not None:
        if tag_listed(field, validators.tag, strong=False):
            return Verdict.NOT_MODIFIED
    elif (date := date_of(request, b"if-modified-since", now)) is not None:
        if validators.modified <= date:
            return Verdict.NOT_MODIFIED
    return Verdict.PROCEED


def range_applies(request: Request, validators: Validators) -> bool:
    """May a Range be honoured, as far as If-Range is concerned? It needs a strong validator."""
    if not request.values(b"if-range"):
        return True
    field = request.one(b"if-range")
    if field is None or validators.tag.weak:
        return False
    if match := TAG.fullmatch(field):
        return not match["weak"] and match["opaque"] == validators.tag.opaque
    return field == validators.last_modified


def tag_listed(field: bytes, tag: Tag, *, strong: bool) -> bool:
    """Is `tag` in an If-Match or If-None-Match field? `*` is every tag. What is not a list of
    tags lists nothing."""
    if field.strip() == b"*":
        return True
    return any(
        known.opaque == tag.opaque and not (strong and (known.weak or tag.weak))
        for known in parse_tags(field)
    )


def parse_tags(field: bytes) -> list[Tag]:
    """The tags of a list; empty when any part of it is malformed."""
    tags: list[Tag] = []
    at = GAP.match(field).end()  # type: ignore[union-attr]  # GAP matches the empty string
    while at < len(field):
        match = TAG.match(field, at)
        if match is None:
            return []
        tags.append(Tag(match["opaque"], weak=match["weak"] is not None))
        at = match.end()
        if at < len(field):
            comma = COMMA.match(field, at)
            if comma is None:
                return tags if not field[at:].strip(b" \t") else []
            at = comma.end()
    return tags


def date_of(request: Request, name: bytes, now: float) -> int | None:
    field = request.one(name)
    return None if field is None else parse_date(field, now)
