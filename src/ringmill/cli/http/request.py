"""A request as the pure modules see it: method, target, fields. Knows no parser and no socket."""

from __future__ import annotations

import re
from dataclasses import dataclass

# RFC 9110 section 7.2: uri-host [":" port] as in RFC 3986, which may be empty. Some clients leave
# the zone of a link-local address in it, which means nothing here.
HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+(?:%[\w.~%-]+)?\]"
    rb"|\[[vV][0-9A-Fa-f]+\.[\w.~!$&'()*+,;=:-]+\]"
    rb"|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)"
    rb"(?::[0-9]*)?"
)

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One parsed request head. Field names are lower case, values are stripped."""

    method: bytes
    target: bytes
    fields: Fields = ()
    version: bytes = b"1.1"

    def values(self, name: bytes) -> list[bytes]:
        """Every value of the field `name`, in order."""
        return [value for key, value in self.fields if key == name]

    def one(self, name: bytes) -> bytes | None:
        """The value of a field that may stand there once.

        Twice is as good as not at all: which of the two was meant is anybody's guess, and the
        fields this is asked for (Range, If-Range, dates) may all be ignored.
        """
        found = self.values(name)
        return found[0] if len(found) == 1 else None

    def malformed(self) -> str | None:
        """What RFC 9112 has a server refuse and h11 lets through; None when there is nothing."""
        if any(HOST.fullmatch(value) is None for value in self.values(b"host")):
            return "the Host field names no host"
        if self.values(b"transfer-encoding") and self.values(b"content-length"):
            # Section 6.1: two parties that each believe one of them see different requests.
            return "both Transfer-Encoding and Content-Length"
        return None

    def joined(self, name: bytes) -> bytes | None:
        """The value of a list field, however many lines it came in."""
        found = self.values(name)
        return b", ".join(found) if found else None
