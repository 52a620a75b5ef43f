"""makedirs and readlink: what takes several looks at names, or a thread."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ops.lab import Fileno, Lab
from support import faces

pytestmark = pytest.mark.usefixtures("machine")


def outcome(make: Any, *args: Any, **kw: Any) -> Any:
    try:
        return make(*args, **kw)
    except OSError as error:
        return type(error), error.errno


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.req("U28")
@pytest.mark.parametrize("path", [
    "a", "a/b/c/d", "a/b/", "a//b", "a/./b", "a/b/.", "there/a", "there", "there/", "hello",
    "hello/a", "loop/a", "dangling", "", ".", "/", "x" * 300 + "/a", "a/" + "x" * 300,
    "there/../other/a", "link/a/b",
])
@pytest.mark.parametrize("exist_ok", [False, True])
def test_as_os_does(lab: Lab, face: str, monkeypatch: pytest.MonkeyPatch, path: str,
                    exist_ok: bool) -> None:
    found = []
    for name in ("theirs", "ours"):
        folder = lab.folder / name
        (folder / "there").mkdir(parents=True)
        (folder / "hello").touch()
        (folder / "loop").symlink_to("loop")
        (folder / "dangling").symlink_to("nowhere")
        (folder / "link").symlink_to("there")
        monkeypatch.chdir(folder)
        make = os.makedirs if name == "theirs" else lambda *a, **kw: faces.call(
            face, "makedirs", *a, **kw)
        found.append((outcome(make, path, exist_ok=exist_ok), tree(folder)))
    assert found[0] == found[1]


@pytest.mark.req("U28")
def test_modes(lab: Lab, face: str) -> None:
    before = os.umask(0o022)
    try:
        faces.call(face, "makedirs", lab.folder / "a" / "b" / "c", 0o700)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((lab.folder / path).stat().st_mode) for path in ("a", "a/b", "a/b/c")]
    assert modes == [0o755, 0o755, 0o700]


@pytest.mark.req("U28", "U29")
def test_below_a_folder(lab: Lab, face: str) -> None:
    for at in (lab.directory, Fileno(lab.directory)):
        faces.call(face, "makedirs", "a/b/c", exist_ok=True, dir_fd=at)
    assert (lab.folder / "a/b/c").is_dir()
    raw = b"caf\xe9/b\xff"
    faces.call(face, "makedirs", raw, dir_fd=lab.directory)
    assert os.path.isdir(os.fsencode(lab.folder) + b"/" + raw)


@pytest.mark.req("U28")
def test_errors_have_the_name(lab: Lab, face: str) -> None:
    path = lab.folder / "hello"
    with pytest.raises(FileExistsError) as caught:
        faces.call(face, "makedirs", path, exist_ok=True)
    assert caught.value.filename == path
    with pytest.raises(NotADirectoryError):
        faces.call(face, "makedirs", path / "a" / "b")


@pytest.mark.req("U28")
def test_a_thousand_deep(lab: Lab, face: str) -> None:
    """Deeper than Python recurses."""
    deep = "/".join(["d"] * 1100)
    faces.call(face, "makedirs", deep, dir_fd=lab.directory)
    assert os.stat(deep, dir_fd=lab.directory).st_nlink >= 1
    # rmtree of old Pythons recurses; the fixture of pytest might use it
    for n in range(1100, 0, -1):
        os.rmdir("/".join(["d"] * n), dir_fd=lab.directory)


@pytest.mark.req("U28")
def test_many_make_the_same(lab: Lab) -> None:
    async def main() -> None:
        async with ringmill.scope() as scope:
            for i in range(50):
                scope.spawn(ringmill.aio.makedirs(lab.folder / "a/b/c/d" / f"{i % 5}",
                                                  exist_ok=True))

    ringmill.run(main())
    assert sorted(os.listdir(lab.folder / "a/b/c/d")) == ["0", "1", "2", "3", "4"]


@pytest.mark.req("U34")
def test_readlink(lab: Lab, face: str) -> None:
    (lab.folder / "soft").symlink_to("somewhere/else")
    raw = os.fsencode(lab.folder / "soft")
    assert faces.call(face, "readlink", lab.folder / "soft") == "somewhere/else"
    assert faces.call(face, "readlink", raw) == b"somewhere/else"
    for at in (lab.directory, Fileno(lab.directory)):
        assert faces.call(face, "readlink", "soft", dir_fd=at) == "somewhere/else"
    os.symlink(b"caf\xe9", os.fsencode(lab.folder) + b"/odd")
    assert faces.call(face, "readlink", lab.folder / "odd") == os.fsdecode(b"caf\xe9")
    with pytest.raises(FileNotFoundError) as caught:
        faces.call(face, "readlink", lab.folder / "missing")
    assert caught.value.filename == str(lab.folder / "missing")  # os itself tells it so
    with pytest.raises(OSError, match="Invalid argument"):
        faces.call(face, "readlink", lab.folder / "hello")
