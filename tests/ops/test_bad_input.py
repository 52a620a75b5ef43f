"""Bad input gives the same typed error everywhere, before anything is queued, and leaks nothing.

What each kind of argument must refuse stands in REFUSED; which ops take that kind is read from
the table.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ops.lab import HELLO, Lab
from ops.specimens import specimen
from ringmill.ops import fields
from ringmill.ops.entry import ENTRIES, Argument
from support import faces

SIZE = {
    "negative": (-1, ValueError),
    "very negative": (-(1 << 40), ValueError),
    "beyond everything": (1 << 70, OverflowError),
    "a float": (1.5, TypeError),
    "a string": ("1", TypeError),
    "None": (None, TypeError),
}

NUMBER = {
    "beyond everything": (1 << 70, OverflowError),
    "a float": (1.5, TypeError),
    "a string": ("1", TypeError),
    "None": (None, TypeError),
}

OFFSET = {
    "negative": (-1, ValueError),
    "very negative": (-(1 << 63), ValueError),
    "beyond 63 bits": (1 << 63, OverflowError),
    "a float": (1.5, TypeError),
    "a string": ("1", TypeError),
}

PATH = {
    "NUL in a string": ("a\0b", ValueError),
    "NUL in bytes": (b"a\0b", ValueError),
    "a float": (1.5, TypeError),
    "None": (None, TypeError),
    "a list": ([], TypeError),
}

ADDRESS = {
    "no tuple": (80, TypeError),
    "None": (None, TypeError),
    "one item": (("127.0.0.1",), TypeError),
    "five items": (("::1", 1, 2, 3, 4), TypeError),
    "a name": (("localhost", 80), ValueError),
    "a flow label of text": (("::1", 80, "0"), TypeError),
    "a big flow label": (("::1", 80, 1 << 20), OverflowError),
    "a scope beyond 32 bits": (("::1", 80, 0, 1 << 32), OverflowError),
    "a host of bytes": ((b"127.0.0.1", 80), TypeError),
    "a port of text": (("127.0.0.1", "80"), TypeError),
    "a negative port": (("127.0.0.1", -1), OverflowError),
    "a big port": (("127.0.0.1", 65536), OverflowError),
    "NUL in the host": (("127.0.0.1\0", 80), ValueError),
    "NUL in a path": ("/tmp/a\0b", ValueError),
    "a long path": ("/" + "x" * 200, OSError),
    "a list": (["127.0.0.1", 80], TypeError),
}

PIECES = {
    "no sequence": (6, TypeError),
    "None": (None, TypeError),
    "a number among them": ([6, b"a"], TypeError),
    "too many": ([b"x"] * 1025, (ValueError, OSError)),
}

ANCDATA = {
    "no sequence": (6, TypeError),
    "no tuples": ([1], TypeError),
    "pairs": ([(1, 2)], ValueError),
    "text": ([(socket.SOL_SOCKET, socket.SCM_RIGHTS, "text")], TypeError),
    "a float for a level": ([(1.5, socket.SCM_RIGHTS, b"")], TypeError),
    "a level beyond an int": ([(1 << 40, socket.SCM_RIGHTS, b"")], OverflowError),
    "megabytes": ([(1, 1, bytes(2 << 20))], OSError),
}


RIGHTS = {
    "no sequence": (6, TypeError),
    "None": (None, TypeError),
    "text": (["1"], TypeError),
    "a float": ([1.5], TypeError),
    "negative": ([0, -1], OSError),
    "beyond an int": ([1 << 40], (OSError, OverflowError)),
    "megabytes": ([0] * (1 << 19), OSError),
}

WORD = {
    "too small": (bytearray(3), ValueError),
    "not aligned": (memoryview(bytearray(8))[1:5], ValueError),
    "read-only": (bytes(4), BufferError),
    "no buffer": ("word", TypeError),
    "strided": (memoryview(bytearray(8))[::2], BufferError),
}


def refused_by(argument: Argument) -> dict[str, Any]:
    """What an argument of this kind must refuse."""
    kind = argument.kind
    if kind in (fields.Fresh, fields.MessageSize, fields.AncillaryRoom, fields.RightsRoom):
        return SIZE
    if kind in (fields.IntoMany, fields.FromMany, fields.Parts, fields.PartsInto):
        return PIECES
    if kind in (fields.Path, fields.PathOrFd, fields.SourcePath, fields.TargetPath,
                fields.LinkSource, fields.Attribute, fields.PathOrFile):
        return PATH
    if kind in (fields.Address, fields.Peer, fields.Destination):
        refused = dict(ADDRESS)
        if not argument.required:
            del refused["None"]
        return refused
    if kind is fields.ControlRoom:
        return SIZE
    if kind is fields.Word:
        return WORD
    if kind is fields.Ancillary:
        return ANCDATA
    if kind is fields.Rights:
        return RIGHTS
    if kind is fields.EventRoom:
        return {**SIZE, "none at all": (0, ValueError), "too many": (1 << 40, ValueError)}
    if kind is fields.OptionRoom:
        return {how: case for how, case in SIZE.items() if how != "None"}
    if kind is fields.OptionLength:
        return {"beside a value": (4, TypeError)}
    if kind.stub == "int | None":
        return OFFSET
    if kind.stub == "int" and kind.param == "object":
        return {**OFFSET, "None": (None, TypeError)}
    if kind.stub == "int":
        return NUMBER
    return {}


CASES = [(name, argument.name, how) for name, entry in ENTRIES.items()
         for argument in entry.arguments for how in refused_by(argument)]


@pytest.mark.parametrize(("name", "argument"), sorted({case[:2] for case in CASES}))
def test_refused_before_anything_is_queued(lab: Lab, machine: Any, face: str, name: str,
                                           argument: str) -> None:
    entry = ENTRIES[name]
    (described,) = (a for a in entry.arguments if a.name == argument)
    scene = specimen(name).works(lab)
    verb = getattr(ringmill if face == "fiber" else ringmill.aio, name)
    wrong = []
    for how, (bad, error) in refused_by(described).items():
        scene.arguments[argument] = bad
        positional, keywords = scene.passed(entry)
        try:
            # The timeout is for a mistake of ours: what is accepted after all may wait for ever.
            with ringmill.timeout(1):
                result = verb(*positional, **keywords)
        except BaseException as caught:
            # The very kind that is promised: OverflowError and UnicodeError have other bases.
            kinds = error if isinstance(error, tuple) else (error,)
            if type(caught) not in kinds:
                wrong.append(f"{how}: {caught!r}")
        else:
            wrong.append(f"{how}: accepted")
            if hasattr(result, "detach"):
                result.detach()
    assert wrong == []
    assert machine.stats()["submitted"] == 0
    assert machine.stats()["ops_live"] == 0


def test_every_argument_is_tried_with_something_bad() -> None:
    """A new kind of argument must be known here, or to test_bad_fd.py and test_held.py."""
    elsewhere = (fields.Fd, fields.ClosingFd, fields.SpliceFd, fields.DirFd, fields.TargetDirFd,
                 fields.Into, fields.From, fields.AttributeValue, fields.Memory,
                 fields.MessageInto, fields.OptionValue)
    for name, entry in ENTRIES.items():
        for argument in entry.arguments:
            known = refused_by(argument) or argument.kind in elsewhere
            assert known or argument.kind.param == "bint", (
                f"{name}({argument.name}=…): tell in tests/ops/test_bad_input.py what an argument "
                "of this kind must refuse")


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.usefixtures("machine")
def test_wrong_names_and_counts(lab: Lab, face: str, name: str) -> None:
    entry = ENTRIES[name]
    scene = specimen(name).works(lab)
    positional, keywords = scene.passed(entry)
    verb = getattr(ringmill if face == "fiber" else ringmill.aio, name)
    with pytest.raises(TypeError):
        verb(*positional, **keywords, no_such_argument=1)
    with pytest.raises(TypeError):
        verb(*positional, *range(len(entry.arguments) + 1))
    if any(a.required for a in entry.arguments):
        with pytest.raises(TypeError):
            verb()


# ── sizes that are huge but not wrong ───────────────────────────────────────────────────────


@pytest.mark.usefixtures("machine")
def test_a_huge_length_is_refused_or_cut(lab: Lab, face: str) -> None:
    """More than there is memory for is MemoryError, at once; never a wild write."""
    for name, descriptor in (("read", lab.hello), ("recv", lab.pair(holding=b"a letter")[0]),
                             ("recvmsg", lab.pair(holding=b"a letter")[0])):
        try:
            assert len(faces.call(face, name, descriptor, (1 << 63) - 1)) < 1 << 20
        except MemoryError:
            pass
    # A number that only fits in 32 bits when cut must not become 0 or 1.
    for name in ("splice", "tee"):
        with pytest.raises(OverflowError):
            faces.call(face, name, lab.pipe_out, lab.pipe2_in, 1 << 32)


@pytest.mark.parametrize("n", [0, 1, len(HELLO), len(HELLO) + 1, 1 << 16, (1 << 20) + 1])
@pytest.mark.usefixtures("machine")
def test_sizes_around_what_is_there(lab: Lab, face: str, n: int) -> None:
    assert faces.call(face, "read", lab.hello, n, offset=0) == HELLO[:n]
    assert faces.call(face, "readinto", lab.hello, bytearray(n), offset=0) == min(n, len(HELLO))


@pytest.mark.usefixtures("machine")
def test_integers_by_index(lab: Lab, face: str) -> None:
    """Anything with __index__ is an integer, as for os and socket; True is 1."""

    class Three:
        def __index__(self) -> int:
            return 3

    assert faces.call(face, "read", lab.hello, Three(), offset=0) == HELLO[:3]
    assert faces.call(face, "read", lab.hello, 3, offset=Three()) == HELLO[3:6]
    assert faces.call(face, "read", lab.hello, True, offset=0) == HELLO[:1]


@pytest.mark.usefixtures("machine")
def test_the_last_offset(lab: Lab, face: str) -> None:
    """2**63 - 1 is an offset: reading there is the end, writing there is too big a file."""
    last = (1 << 63) - 1
    with pytest.raises(OSError) as theirs:
        os.pwrite(lab.scratch, b"xx", last)
    with pytest.raises(OSError) as ours:
        faces.call(face, "write", lab.scratch, b"xx", offset=last)
    assert ours.value.errno == theirs.value.errno
    try:
        expected: Any = os.pread(lab.hello, 1, last)
    except OSError as error:
        expected = error.errno
    try:
        found: Any = faces.call(face, "read", lab.hello, 1, offset=last)
    except OSError as error:
        found = error.errno
    assert found == expected


@pytest.mark.usefixtures("machine")
def test_offsets_where_there_are_none(lab: Lab, face: str) -> None:
    """io_uring ignores the offset of what has no position, and so does soft."""
    source, target = lab.pipe()
    for name, given in (("write", (target, b"x")), ("read", (source, 1)),
                        ("writev", (target, [b"x"])), ("readinto", (source, bytearray(1))),
                        ("write", (target, b"x")), ("readv", (source, [bytearray(1)]))):
        assert faces.call(face, name, *given, offset=1) in (1, b"x"), name


@pytest.mark.usefixtures("machine")
def test_a_socket_has_no_offset_but_the_first(lab: Lab, face: str) -> None:
    """It is refused, and takes and sends nothing."""
    ours, theirs = lab.pair(holding=b"hello")
    for name, given in (("read", 1), ("readinto", bytearray(1)), ("readv", [bytearray(1)]),
                        ("write", b"x"), ("writev", [b"x"])):
        with pytest.raises(OSError) as caught:
            faces.call(face, name, ours, given, offset=1)
        assert caught.value.errno == errno.ESPIPE, name
    assert faces.call(face, "read", ours, 10, offset=0) == b"hello"
    assert faces.call(face, "write", ours, b"y", offset=0) == 1
    assert theirs.recv(10) == b"y"


# ── paths ───────────────────────────────────────────────────────────────────────────────────


class Pathy:
    def __init__(self, path: Any) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        return self.path


def paths(folder: Path) -> dict[str, Any]:
    plain = str(folder / "hello")
    return {
        "text": plain,
        "bytes": plain.encode(),
        "a Path": folder / "hello",
        "a PathLike of text": Pathy(plain),
        "a PathLike of bytes": Pathy(plain.encode()),
    }


@pytest.mark.parametrize("how", paths(Path("/")))
@pytest.mark.usefixtures("machine")
def test_paths_of_every_kind(lab: Lab, face: str, how: str) -> None:
    path = paths(lab.folder)[how]
    fd = lab.kept(faces.call(face, "open", path, os.O_RDONLY))
    assert os.pread(fd, 100, 0) == HELLO
    assert faces.call(face, "stat", path).st_size == len(HELLO)


@pytest.mark.usefixtures("machine")
def test_names_that_are_no_utf_8(lab: Lab, face: str) -> None:
    """A name with bytes that are no text comes as surrogates, and goes back as those bytes."""
    raw = os.fsencode(lab.folder) + b"/caf\xe9 \xff\xfe"
    name = os.fsdecode(raw)
    assert any(0xDC80 <= ord(c) <= 0xDCFF for c in name)
    os.close(faces.call(face, "open", name, os.O_CREAT | os.O_WRONLY))
    assert os.path.exists(raw)
    assert faces.call(face, "stat", raw).st_size == 0
    os.unlink(raw)
    for path in (name, raw):
        with pytest.raises(FileNotFoundError) as caught:
            faces.call(face, "stat", path)
        assert caught.value.filename == path


@pytest.mark.usefixtures("machine")
def test_surrogates_that_stand_for_nothing(lab: Lab, face: str) -> None:
    for name in ("open", "stat"):
        given = ("\ud800", os.O_RDONLY) if name == "open" else ("\ud800",)
        with pytest.raises(UnicodeEncodeError):
            faces.call(face, name, *given)


@pytest.mark.parametrize("path", ["", "x" * 300, "a/" * 3000])
@pytest.mark.usefixtures("machine")
def test_paths_the_kernel_refuses(lab: Lab, face: str, path: str) -> None:
    for ours, theirs in ((("open", path, os.O_RDONLY), lambda: os.open(path, os.O_RDONLY)),
                         (("stat", path), lambda: os.stat(path))):
        with pytest.raises(OSError) as expected:
            theirs()
        with pytest.raises(OSError) as caught:
            faces.call(face, *ours)
        assert caught.value.errno == expected.value.errno
        assert caught.value.filename == path


@pytest.mark.usefixtures("machine")
def test_a_fspath_that_raises(face: str) -> None:
    class Broken:
        def __fspath__(self) -> str:
            raise LookupError("nowhere")

    for name, more in (("open", (os.O_RDONLY,)), ("stat", ())):
        with pytest.raises(LookupError, match="nowhere"):
            faces.call(face, name, Broken(), *more)


@pytest.mark.usefixtures("machine")
def test_the_path_is_copied(lab: Lab) -> None:
    """What is looked up is the name at the time of the call, whatever becomes of the object."""
    name = bytearray(os.fsencode(lab.folder / "hello"))
    op = ringmill.aio.stat(bytes(name))
    name[-5:] = b"other"
    assert ringmill.wait(op).st_size == len(HELLO)


# ── addresses ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("machine")
def test_the_wrong_family(lab: Lab, face: str) -> None:
    """The kernel's own refusal, with the address that was given."""
    for address, number in ((("::1", 1), errno.EAFNOSUPPORT),
                            (str(lab.folder / "no"), errno.EAFNOSUPPORT)):
        for name in ("bind", "connect"):
            with pytest.raises(OSError) as caught:
                faces.call(face, name, lab.tcp, address)
            assert caught.value.errno in (number, errno.EINVAL)
            assert caught.value.filename == address


@pytest.mark.usefixtures("machine")
def test_addresses_at_the_edge(lab: Lab, face: str) -> None:
    longest = str(lab.folder)[:60] + "/" + "y" * 500
    folder = lab.enter_context(short_folder())
    path = f"{folder}/" + "x" * (107 - len(folder) - 1)
    sock = lab.unix_socket()
    assert faces.call(face, "bind", sock, path) is None
    assert sock.getsockname() == path
    with pytest.raises(OSError) as caught:
        faces.call(face, "bind", lab.unix_socket(), longest)
    assert "too long" in str(caught.value)
    # An empty name lets the system choose one.
    nameless = lab.unix_socket()
    assert faces.call(face, "bind", nameless, b"") is None
    assert nameless.getsockname().startswith(b"\0")
    any_host = lab.tcp_socket()
    assert faces.call(face, "bind", any_host, ("", 0)) is None
    assert any_host.getsockname()[0] == "0.0.0.0"


class short_folder:
    """A folder whose name leaves room for a name of a socket."""

    def __enter__(self) -> str:
        import tempfile

        self.folder = tempfile.TemporaryDirectory(dir="/tmp")
        return self.folder.name

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()
