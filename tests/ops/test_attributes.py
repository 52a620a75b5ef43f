"""Extended attributes: of paths, open files and links; any size; what os raises."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ops.lab import Lab
from support import faces

pytestmark = pytest.mark.usefixtures("machine")

LONGEST = 1 << 16  # XATTR_SIZE_MAX


@contextlib.contextmanager
def roomy_file() -> Iterator[tuple[Path, str]]:
    """A file that takes attributes of 64 KiB, and in which namespace."""
    for folder in ("/dev/shm", None, "/var/tmp"):
        if folder is not None and not os.access(folder, os.W_OK):
            continue
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            for space in ("user", "trusted", "security"):
                with contextlib.suppress(OSError):
                    os.setxattr(file.name, f"{space}.probe", bytes(LONGEST))
                    os.removexattr(file.name, f"{space}.probe")
                    yield Path(file.name), f"{space}.big"
                    return
    pytest.skip("no file system here takes attributes of 64 KiB")


@pytest.fixture
def roomy() -> Iterator[tuple[Path, str]]:
    with roomy_file() as found:
        yield found


def failing(face: str, name: str, *args: Any, **kw: Any) -> OSError:
    with pytest.raises(OSError) as caught:
        faces.call(face, name, *args, **kw)
    return caught.value


def forms(lab: Lab) -> dict[str, Any]:
    path = lab.folder / "hello"
    return {"a Path": path, "text": str(path), "bytes": os.fsencode(path), "a file": lab.hello}


@pytest.mark.req("U39", "U40")
@pytest.mark.parametrize("how", ["a Path", "text", "bytes", "a file"])
def test_roundtrip(lab: Lab, face: str, how: str) -> None:
    given = forms(lab)[how]
    for value in (b"", b"blue", bytearray(b"a\0b"), memoryview(b"x" * 3000)):
        assert faces.call(face, "setxattr", given, lab.attribute, value) is None
        assert os.getxattr(given, lab.attribute) == value
        assert faces.call(face, "getxattr", given, lab.attribute) == value
    assert faces.call(face, "getxattr", given, lab.attribute.encode()) == b"x" * 3000


@pytest.mark.req("U39", "U40")
@pytest.mark.parametrize("size", [0, 1, 255, 4095, 4096, 4097, LONGEST - 1, LONGEST])
def test_values_of_any_size(roomy: tuple[Path, str], face: str, size: int) -> None:
    path, name = roomy
    value = os.urandom(size)
    faces.call(face, "setxattr", path, name, value)
    assert os.getxattr(path, name) == value
    assert faces.call(face, "getxattr", path, name) == value
    with open(path, "rb") as file:
        assert faces.call(face, "getxattr", file.fileno(), name) == value


@pytest.mark.req("U40")
def test_a_value_that_is_too_long(roomy: tuple[Path, str], face: str) -> None:
    path, name = roomy
    faces.call(face, "setxattr", path, name, b"before")
    for value in (bytes(LONGEST + 1), bytes(1 << 20)):
        error = failing(face, "setxattr", path, name, value)
        assert (error.errno, error.filename) == (errno.E2BIG, path)
    assert os.getxattr(path, name) == b"before"


@pytest.mark.req("U40")
@pytest.mark.parametrize("how", ["a Path", "a file"])
def test_create_and_replace(lab: Lab, face: str, how: str) -> None:
    given = forms(lab)[how]
    error = failing(face, "setxattr", given, lab.attribute, b"1", os.XATTR_REPLACE)
    assert (error.errno, error.filename) == (errno.ENODATA, given)
    faces.call(face, "setxattr", given, lab.attribute, b"1", os.XATTR_CREATE)
    error = failing(face, "setxattr", given, lab.attribute, b"2", os.XATTR_CREATE)
    assert (type(error), error.filename) == (FileExistsError, given)
    faces.call(face, "setxattr", given, lab.attribute, b"2", flags=os.XATTR_REPLACE)
    assert os.getxattr(given, lab.attribute) == b"2"
    assert failing(face, "setxattr", given, lab.attribute, b"3", 0x40).errno == errno.EINVAL


@pytest.mark.req("U39")
def test_what_is_not_there(lab: Lab, face: str) -> None:
    """ENODATA, ENOENT, EOPNOTSUPP, ERANGE: as os has them, with the filename."""
    path = lab.folder / "hello"
    known = lab.attribute
    for given, name in ((path, known), (lab.hello, known), (path, "user." + "x" * 300),
                        (path, ""), (path, "colour"), (path, "nobody.colour"), ("", known),
                        (lab.folder / "missing", known), ("x" * 300, known),
                        ("/proc/self/stat", known)):
        with pytest.raises(OSError) as theirs:
            os.getxattr(given, name)
        ours = failing(face, "getxattr", given, name)
        assert ours.errno == theirs.value.errno, (given, name)
        assert ours.filename == given
    assert failing(face, "getxattr", path, lab.attribute).errno == errno.ENODATA


@pytest.mark.req("U39", "U40")
@pytest.mark.parametrize("name", ["getxattr", "setxattr"])
def test_descriptors_that_are_none(lab: Lab, face: str, name: str) -> None:
    for bad in (lab.closed(), -1, 0x7FFFFFFF):
        more = (lab.attribute,) if name == "getxattr" else (lab.attribute, b"value")
        assert failing(face, name, bad, *more).errno == errno.EBADF


@pytest.mark.req("U39", "U40")
def test_of_a_link_or_where_it_leads(lab: Lab, face: str) -> None:
    """Attributes of a link itself are root's (trusted.*), and on Linux the soft kernel's task."""
    link, file = lab.folder / "link", lab.folder / "hello"
    link.symlink_to("hello")
    faces.call(face, "setxattr", link, lab.attribute, b"blue")
    assert os.getxattr(file, lab.attribute) == b"blue"
    assert faces.call(face, "getxattr", link, lab.attribute) == b"blue"
    assert faces.call(face, "getxattr", file, lab.attribute, follow_symlinks=False) == b"blue"
    with pytest.raises(OSError) as theirs:
        os.setxattr(link, "user.colour", b"x", follow_symlinks=False)
    ours = failing(face, "setxattr", link, "user.colour", b"x", follow_symlinks=False)
    assert (ours.errno, ours.filename) == (theirs.value.errno, link)
    if os.geteuid() == 0:
        faces.call(face, "setxattr", link, "trusted.other", b"red", follow_symlinks=False)
        assert os.getxattr(link, "trusted.other", follow_symlinks=False) == b"red"
        got = faces.call(face, "getxattr", link, "trusted.other", follow_symlinks=False)
        assert got == b"red"
        assert failing(face, "getxattr", file, "trusted.other").errno == errno.ENODATA
        error = failing(face, "setxattr", link, "trusted.other", b"", os.XATTR_CREATE,
                        follow_symlinks=False)
        assert error.errno == errno.EEXIST
    # An open file is no link, so the question does not arise.
    assert faces.call(face, "getxattr", lab.hello, lab.attribute, follow_symlinks=False) == b"blue"


@pytest.mark.req("U39")
def test_names_that_are_no_utf_8(lab: Lab, face: str) -> None:
    raw = os.fsencode(lab.folder) + b"/caf\xe9"
    Path(os.fsdecode(raw)).touch()
    for path in (raw, os.fsdecode(raw)):
        odd = os.fsencode(lab.attribute) + b".caf\xe9"
        faces.call(face, "setxattr", path, odd, b"1")
        assert faces.call(face, "getxattr", path, os.fsdecode(odd)) == b"1"
        assert failing(face, "getxattr", path, lab.attribute).filename == path


@pytest.mark.req("U39")
def test_what_changes_is_whole(roomy: tuple[Path, str]) -> None:
    """Read while it is replaced by a longer one, and a shorter: always one of them."""
    path, name = roomy
    values = {b"a" * 10, b"b" * 5000, b"c" * LONGEST}
    os.setxattr(path, name, b"a" * 10)

    async def set_them() -> None:
        for _ in range(30):
            for value in values:
                await ringmill.aio.setxattr(path, name, value)

    async def main() -> None:
        async with ringmill.scope() as scope:
            task = scope.spawn(set_them())
            while not task.done:
                assert await ringmill.aio.getxattr(path, name) in values

    ringmill.run(main())
