"""From a request target to names below the served directory. Knows bytes; touches no file.

What leaves here can be joined with slashes and opened: it holds no NUL, no slash inside a name,
no "." and no "..". Symlinks are not its business; `site` looks where an opened file really is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

# What RFC 3986 lets a path hold beside letters, digits and percent signs: anything else has to be
# encoded by the client, and h11 has already refused what is not printable ASCII.
PATH = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2}|[\"<>\[\\\]^`{|}])*")
ABSOLUTE = re.compile(rb"https?://[^/?#]+", re.IGNORECASE)
ENCODED = re.compile(rb"%([0-9A-Fa-f]{2})")


class BadTarget(Exception):
    """The target names nothing here and never will; the reason is for the client to read."""


@dataclass(frozen=True, slots=True)
class Location:
    """Names below the served directory; `directory` when the target ended in a slash."""

    names: tuple[bytes, ...]
    directory: bool
    query: bytes = b""

    @property
    def path(self) -> bytes:
        """Relative, for an open beneath the served directory."""
        return b"/".join(self.names) or b"."

    def url(self, *, directory: bool) -> str:
        """The one spelling of this place as a URL path.

        It is made anew from the names and begins with exactly one slash: a redirect that echoed
        `//elsewhere.example` would lead away from this server.
        """
        path = "/" + "/".join(quote_from_bytes(name) for name in self.names)
        return path + "/" if directory and self.names else path


def parse_target(target: bytes) -> Location:
    """The place an origin-form (`/path?query`) or absolute-form target names."""
    absolute = ABSOLUTE.match(target)
    path, _, query = target[absolute.end() if absolute else 0 :].partition(b"?")
    if absolute and not path:
        path = b"/"
    if not path.startswith(b"/"):
        raise BadTarget("the target is neither a path nor an http URL")
    if not PATH.fullmatch(path):
        raise BadTarget("the path is not one that RFC 3986 allows")
    names: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        name = decode_once(segment)
        if b"\0" in name or b"/" in name:
            raise BadTarget("no file name holds a NUL or a slash")
        if name == b"..":
            if not names:
                raise BadTarget("the path leads above the root")
            names.pop()
        elif name not in (b"", b"."):
            names.append(name)
    directory = not names or decode_once(segments[-1]) in (b"", b".", b"..")
    return Location(tuple(names), directory, query)


def decode_once(segment: bytes) -> bytes:
    """Percent-decoding, once: `%252e` is the name `%2e`, and nobody decodes it again."""
    return ENCODED.sub(lambda match: bytes.fromhex(match[1].decode()), segment)
