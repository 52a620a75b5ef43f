"""A request as the pure modules see it: method, target, fields. Knows no parser and no socket."""

from __future__ import annotations

from dataclasses import dataclass

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

    def joined(self, name: bytes) -> bytes | None:
        """The value of a list field, however many lines it came in."""
        found = self.values(name)
        return b", ".join(found) if found else None
