"""Replies as values: status, fields and what the body is made of.

`plan_*` decide everything about a reply before a byte of it is sent; who sends it (`body`) only
follows. Knows requests and file facts; knows neither files nor sockets.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http import HTTPStatus

from .conditions import Validators, Verdict, evaluate, range_applies, validators_of
from .ranges import Extent, Unsatisfiable, parse_ranges
from .request import Fields, Request
from .target import Location

ALLOWED = b"GET, HEAD, OPTIONS"
# Methods that exist but not here (405); any other word is not implemented (501).
KNOWN_METHODS = frozenset((b"CONNECT", b"DELETE", b"PATCH", b"POST", b"PUT", b"TRACE"))
PLAIN = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"

# What a browser may do with a listing: show it.
LISTING_POLICY = b"default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to be sent. `size` bytes of body: pieces in memory and extents of the one file."""

    status: int
    fields: Fields
    body: tuple[bytes | Extent, ...] = ()
    close: bool = False  # the connection cannot be used after it

    @property
    def size(self) -> int:
        return sum(piece.size if isinstance(piece, Extent) else len(piece) for piece in self.body)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a reply needs to know of the file it is about."""

    size: int
    mtime_ns: int
    inode: int
    media_type: bytes


def plan_method(method: bytes) -> Reply | None:
    """The reply to a method that is not GET or HEAD."""
    if method in (b"GET", b"HEAD"):
        return None
    if method == b"OPTIONS":
        return Reply(204, ((b"Allow", ALLOWED),))
    if method in KNOWN_METHODS:
        return plan_error(405, "only GET and HEAD", extra=((b"Allow", ALLOWED),))
    return plan_error(501, "this method means nothing here")


def plan_error(status: int, why: str = "", *, extra: Fields = (), close: bool = False) -> Reply:
    """A refusal in one line of text. `why` is ours: nothing the client sent is echoed."""
    line = f"{status} {HTTPStatus(status).phrase}{': ' + why if why else ''}\n".encode()
    fields = ((b"Content-Type", PLAIN), (b"Content-Length", b"%d" % len(line)), *extra)
    return Reply(status, fields, (line,), close)


def plan_redirect(location: Location) -> Reply:
    """To the same place with a slash at its end, so that relative links in it work."""
    url = location.url(directory=True).encode()
    where = url + b"?" + location.query if location.query else url
    return plan_error(301, extra=((b"Location", where),))


def plan_listing(page: bytes) -> Reply:
    fields = (
        (b"Content-Type", HTML),
        (b"Content-Length", b"%d" % len(page)),
        (b"Content-Security-Policy", LISTING_POLICY),
        (b"X-Content-Type-Options", b"nosniff"),
    )
    return Reply(200, fields, (page,))


def plan_file(request: Request, facts: FileFacts, now: float) -> Reply:
    """The reply to a GET or HEAD of a file: all of it, a part, parts, or word that it is known."""
    validators = validators_of(facts.mtime_ns, facts.size, facts.inode, now)
    shared = (
        (b"ETag", bytes(validators.tag)),
        (b"Last-Modified", validators.last_modified),
        (b"Accept-Ranges", b"bytes"),
    )
    verdict = evaluate(request, validators, now)
    if verdict is Verdict.NOT_MODIFIED:
        return Reply(304, shared)
    if verdict is Verdict.FAILED:
        return plan_error(412)
    try:
        extents = wanted_extents(request, validators, facts.size)
    except Unsatisfiable as error:
        return plan_error(416, str(error), extra=((b"Content-Range", b"bytes */%d" % facts.size),))
    if extents is None:
        whole = (Extent(0, facts.size),) if facts.size else ()
        return Reply(200, (*typed(facts.media_type, facts.size), *shared), whole)
    if len(extents) == 1:
        return plan_part(extents[0], facts, shared)
    return plan_parts(extents, facts, shared, boundary=secrets.token_hex(12).encode())


def wanted_extents(
    request: Request, validators: Validators, size: int
) -> tuple[Extent, ...] | None:
    """The parts to send, or None for the whole. Only GET has ranges (RFC 9110 section 14.2)."""
    field = request.one(b"range")
    if field is None or request.method != b"GET" or not range_applies(request, validators):
        return None
    return parse_ranges(field, size)


def plan_part(extent: Extent, facts: FileFacts, shared: Fields) -> Reply:
    fields = (
        *typed(facts.media_type, extent.size),
        (b"Content-Range", extent.content_range(facts.size)),
        *shared,
    )
    return Reply(206, fields, (extent,))


def plan_parts(
    extents: tuple[Extent, ...], facts: FileFacts, shared: Fields, boundary: bytes
) -> Reply:
    """multipart/byteranges, RFC 9110 section 14.6."""
    body: list[bytes | Extent] = []
    for extent in extents:
        head = b"--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n"
        line_end = b"\r\n" if body else b""
        where = extent.content_range(facts.size)
        body.append(line_end + head % (boundary, facts.media_type, where))
        body.append(extent)
    body.append(b"\r\n--%b--\r\n" % boundary)
    reply = Reply(206, (), tuple(body))
    kind = b"multipart/byteranges; boundary=" + boundary
    return Reply(206, (*typed(kind, reply.size), *shared), reply.body)


def typed(media_type: bytes, size: int) -> Fields:
    return (
        (b"Content-Type", media_type),
        (b"Content-Length", b"%d" % size),
        (b"X-Content-Type-Options", b"nosniff"),
    )
