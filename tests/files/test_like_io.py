"""open_file() is a file of Python's: random programs do on it what they do on one of open().

The judge is io itself: every step gives the same value or the same kind of error, and the files
are the same at the end. Positions in texts are numbers that only their file understands, so a
program goes back to what each has told it itself.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from files.both import opened

SETTINGS = settings(max_examples=40, deadline=None,
                    suppress_health_check=[HealthCheck.function_scoped_fixture])

MODES = st.sampled_from(["r", "w", "a", "r+", "w+", "a+"])
SIZES = st.one_of(st.none(), st.integers(-1, 20), st.sampled_from([100, 5000, 70000]))
PIECES = st.lists(st.sampled_from(
    [b"line\n", b"\r\n", b"\r", b"\n", b"ab", "é".encode(), "日本".encode(), "𝄞".encode()]),
    max_size=30)
TEXTS = st.lists(st.sampled_from(["line\n", "\r\n", "\r", "\n", "ab", "é", "日本", "𝄞", "x" * 50]),
                 max_size=6).map("".join)
BYTES = st.one_of(st.binary(max_size=30), st.integers(1, 3).map(lambda n: b"wide\n" * n * 7000))


def told(file: Any, step: tuple[Any, ...], places: list[int]) -> tuple[str, Any]:
    """What a step of a program says: its value, or the kind of its error."""
    name, *arguments = step
    try:
        if name == "back":
            if not places:
                return "nothing", None
            file.seek(places[arguments[0] % len(places)])
            return "back", None
        if name == "tell":
            places.append(file.tell())
            return "told", None
        if name == "readinto":
            room = bytearray(arguments[0])
            return "value", (file.readinto(room), bytes(room))
        if name == "readline" and not arguments[0]:  # io reads no bytes even of what is unreadable
            arguments = [-1]  # io's text files refuse None there, its binary files do not
        if name == "readlines" and "b" not in file.mode:
            # One that ends early leaves io's text file without tell().
            name, arguments = ("readlines" if file.readable() else "readline"), [-1]
        if name == "seek" and arguments == [0, 1] and "b" not in file.mode:
            file.seek(0, 1)
            return "here", None  # a number of its own
        if name == "next":
            return "value", next(file, None)
        return "value", getattr(file, name)(*arguments)
    except Exception as error:
        return "error", (UnicodeError if isinstance(error, UnicodeError)
                         else OSError if isinstance(error, OSError) else type(error))


def apart(program: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """With a seek to the end around each write: io takes what it appends after it has read ahead
    for where it stands, and reads that again."""
    return [part for step in program for part in (
        [("seek", 0, 2), step, ("seek", 0, 2)] if step[0].startswith("write") else [step])]


def flushed(program: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """With a flush after each write: before 3.12 and some of its bugfixes, io's text files read
    on without having written."""
    return [part for step in program for part in (
        [step, ("flush",)] if step[0].startswith("write") else [step])]


def compare(folder: Path, face: str, program: list[tuple[Any, ...]], content: bytes,
            mode: str, **keywords: Any) -> None:
    if mode.startswith("a+"):
        program = apart(program)
    elif "b" not in mode:
        program = flushed(program)
    theirs, ours = folder / "theirs", folder / "ours"
    theirs.write_bytes(content)
    ours.write_bytes(content)
    their_places: list[int] = []
    our_places: list[int] = []
    with contextlib.ExitStack() as stack:
        judge = stack.enter_context(open(theirs, mode, **keywords))
        file = opened(face, ours, mode, **keywords)
        stack.callback(file.close)
        for number, step in enumerate(program):
            right = told(judge, step, their_places)
            assert told(file, step, our_places) == right, (number, step)
            if right == ("error", UnicodeError) and step[0] != "write":
                break  # io goes on behind the wrong bytes; we stay before them
    assert ours.read_bytes() == theirs.read_bytes()


BINARY = st.lists(st.one_of(
    st.tuples(st.sampled_from(["read", "readline", "readlines"]), SIZES),
    st.tuples(st.just("readinto"), st.integers(0, 20)),
    st.tuples(st.just("write"), BYTES),
    st.tuples(st.just("writelines"), st.lists(st.binary(max_size=9), max_size=4)),
    st.tuples(st.just("seek"), st.integers(-3, 200)),
    st.tuples(st.just("seek"), st.integers(-20, 5), st.sampled_from([1, 2])),
    st.tuples(st.just("truncate"), st.one_of(st.none(), st.integers(-1, 150))),
    st.sampled_from([("tell",), ("flush",), ("next",), ("readable",), ("writable",)]),
), max_size=12)


@given(program=BINARY, content=PIECES.map(b"".join), mode=MODES,
       buffering=st.sampled_from([-1, 16, 3]))
@SETTINGS
def test_binary(machine, face, tmp_path, program, content, mode, buffering):
    compare(tmp_path, face, program, content, mode + "b", buffering=buffering)


@given(program=BINARY, content=PIECES.map(b"".join), mode=MODES)
@SETTINGS
def test_raw(machine, face, tmp_path, program, content, mode):
    compare(tmp_path, face, program, content, mode + "b", buffering=0)


TEXT = st.lists(st.one_of(
    st.tuples(st.sampled_from(["read", "readline", "readlines"]), SIZES),
    st.tuples(st.just("write"), TEXTS),
    st.tuples(st.just("back"), st.integers(0, 9)),
    st.tuples(st.just("seek"), st.just(0), st.sampled_from([0, 1, 2])),
    st.tuples(st.just("seek"), st.integers(-2, 2), st.sampled_from([1, 2])),
    st.tuples(st.just("truncate"), st.one_of(st.none(), st.integers(0, 50))),
    st.sampled_from([("tell",), ("tell",), ("flush",)]),
), max_size=12)
ENCODINGS = st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "latin-1", "utf-32-le", "cp1252",
                             "shift_jis", "iso2022_jp", "utf-7", "ascii"])
NEWLINES = st.sampled_from([None, "", "\n", "\r", "\r\n"])
ERRORS = st.sampled_from(["strict", "replace", "ignore", "surrogateescape", "backslashreplace"])


@given(program=TEXT, text=TEXTS, mode=MODES, encoding=ENCODINGS, newline=NEWLINES,
       errors=ERRORS)
@SETTINGS
def test_text(machine, face, tmp_path, program, text, mode, encoding, newline, errors):
    content = text.encode(encoding, "replace")
    compare(tmp_path, face, program, content, mode, encoding=encoding, newline=newline,
            errors=errors)
