"""What the mode of open_file() says: flags for open(2), and what may be done with the file.

Knows the letters of open(); does no I/O.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

FLAGS = {
    "r": 0,
    "w": os.O_CREAT | os.O_TRUNC,
    "a": os.O_CREAT | os.O_APPEND,
    "x": os.O_CREAT | os.O_EXCL,
}


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode that was understood. `letters` is how it was written."""

    letters: str
    flags: int
    readable: bool
    writable: bool
    appending: bool
    binary: bool


def parse(letters: str) -> Mode:
    """One of r, w, a, x; then `+`, and b or t, each at most once, in any order."""
    if not isinstance(letters, str):
        raise TypeError(f"a mode is a str, not {type(letters).__name__}")
    given = set(letters)
    verbs = given & set(FLAGS)
    if given - set(FLAGS) - set("+bt") or len(given) != len(letters):
        raise ValueError(f"invalid mode: {letters!r}")
    if len(verbs) != 1:
        raise ValueError(f"a mode has exactly one of r, w, a and x, unlike {letters!r}")
    if {"b", "t"} <= given:
        raise ValueError(f"a file is binary or text, not both: {letters!r}")
    verb, = verbs
    updating = "+" in given
    access = os.O_RDWR if updating else os.O_RDONLY if verb == "r" else os.O_WRONLY
    return Mode(
        letters, FLAGS[verb] | access,
        readable=updating or verb == "r",
        writable=updating or verb != "r",
        appending=verb == "a",
        binary="b" in given,
    )
