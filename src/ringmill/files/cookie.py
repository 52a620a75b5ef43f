"""Where one stands in a text: a byte position, a decoder's state there, and characters to skip.

A position in a text file is a number that only its seek() understands: mostly that of a byte.
Where a character begins inside of what a decoder makes of its next byte, or the decoder is in the
middle of something, it says more.

Knows incremental decoders (their getstate and setstate); does no I/O.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

PART = 64  # bits of the position, and of the characters to skip


class Decoder(Protocol):
    def decode(self, data: bytes, final: bool = ...) -> str: ...
    def getstate(self) -> tuple[bytes, int]: ...
    def setstate(self, state: tuple[bytes, int]) -> None: ...
    def reset(self) -> None: ...


class Place(NamedTuple):
    """Begin at byte `position` with a decoder whose flags are `flags`; skip `skip` characters."""

    position: int
    flags: int = 0
    skip: int = 0


def pack(place: Place) -> int:
    return place.position | place.skip << PART | place.flags << 2 * PART


def unpack(cookie: int) -> Place:
    mask = (1 << PART) - 1
    return Place(cookie & mask, cookie >> 2 * PART, cookie >> PART & mask)


def locate(decoder: Decoder, flags: int, data: bytes, used: int) -> Place:
    """After which bytes of `data`, decoded from `flags` on, are `used` characters there?

    The last such place, relative to the beginning of `data`. The decoder is left as it was found.
    """
    kept = decoder.getstate()
    try:
        begin = (b"", flags)  # the decoder's state after `low` bytes, which make `made` characters
        low, high = 0, len(data)
        made = 0
        # Halving: what has been decoded once is not decoded again.
        step = min(high, used) if high else 0
        while low < high:
            middle = low + step if 0 < step <= high - low else (low + high + 1) // 2
            step = 0
            decoder.setstate(begin)
            more = len(decoder.decode(data[low:middle]))
            if made + more <= used:
                begin = decoder.getstate()
                low = middle
                made += more
            else:
                high = middle - 1
        waiting, flags = begin
        return Place(low - len(waiting), flags, used - made)
    finally:
        decoder.setstate(kept)
