"""Names: folders, links, renames, removals, as `os` does them; and what goes wrong with names."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ops.lab import HELLO, Lab, unblocked
from ops.specimens import Scene
from ops.trying import tried
from support import faces
from support.limits import limited

pytestmark = pytest.mark.usefixtures("machine")


@pytest.fixture
def inside(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lab's folder, which relative paths begin at."""
    monkeypatch.chdir(lab.folder)
    return lab.folder


@contextlib.contextmanager
def umask(bits: int) -> Iterator[None]:
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


def failing(face: str, name: str, *args: Any, **kw: Any) -> OSError:
    with pytest.raises(OSError) as caught:
        faces.call(face, name, *args, **kw)
    return caught.value


# ── folders ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.req("U28")
@pytest.mark.parametrize("mode", [None, 0o700, 0o777, 0o751])
def test_mkdir(lab: Lab, face: str, mode: int | None) -> None:
    path = lab.folder / "made"
    with umask(0o027):
        faces.call(face, "mkdir", path, *(() if mode is None else (mode,)))
    assert os.path.isdir(path)
    assert stat.S_IMODE(path.stat().st_mode) == (0o777 if mode is None else mode) & ~0o027
    error = failing(face, "mkdir", path)
    assert (type(error), error.filename) == (FileExistsError, path)


@pytest.mark.req("U29")
def test_mkdir_relative_to_a_folder(lab: Lab, inside: Path, face: str) -> None:
    (inside / "there").mkdir()
    there = lab.opened(inside / "there")
    faces.call(face, "mkdir", "made", dir_fd=there)
    assert (inside / "there" / "made").is_dir()
    assert not (inside / "made").exists()
    faces.call(face, "mkdir", "made")
    assert (inside / "made").is_dir()
    faces.call(face, "mkdir", inside / "absolute", dir_fd=there)
    assert (inside / "absolute").is_dir()
    faces.call(face, "rmdir", "made", dir_fd=there)
    assert (inside / "made").is_dir()
    assert not (inside / "there" / "made").exists()
    assert failing(face, "mkdir", "made", dir_fd=lab.hello).errno == errno.ENOTDIR


@pytest.mark.req("U33")
def test_rmdir_and_unlink_are_two(lab: Lab, face: str) -> None:
    """A folder is removed by one, a file by the other."""
    folder = lab.folder / "folder"
    folder.mkdir()
    assert failing(face, "unlink", "folder", dir_fd=lab.directory).errno == errno.EISDIR
    assert failing(face, "rmdir", "hello", dir_fd=lab.directory).errno == errno.ENOTDIR
    faces.call(face, "unlink", "hello", dir_fd=lab.directory)
    faces.call(face, "rmdir", "folder", dir_fd=lab.directory)
    assert os.listdir(lab.folder) == []


# ── links ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.req("U30")
def test_link(lab: Lab, face: str) -> None:
    source, target = lab.folder / "hello", lab.folder / "again"
    faces.call(face, "link", source, target)
    assert target.stat().st_nlink == 2
    assert target.stat().st_ino == source.stat().st_ino
    error = failing(face, "link", source, target)
    assert (type(error), error.filename, error.filename2) == (FileExistsError, source, target)


@pytest.mark.req("U30")
@pytest.mark.parametrize("follow", [True, False])
def test_link_of_a_symlink(lab: Lab, face: str, follow: bool) -> None:
    (lab.folder / "soft").symlink_to("hello")
    target = lab.folder / "new"
    faces.call(face, "link", lab.folder / "soft", target, follow_symlinks=follow)
    assert target.is_symlink() is not follow
    assert target.read_bytes() == HELLO


@pytest.mark.req("U31")
def test_link_between_folders(lab: Lab, inside: Path, face: str) -> None:
    for name in ("from", "to"):
        (inside / name).mkdir()
    (inside / "from" / "a").write_bytes(b"a")
    source, target = lab.opened(inside / "from"), lab.opened(inside / "to")
    faces.call(face, "link", "a", "b", src_dir_fd=source, dst_dir_fd=target)
    assert os.path.samefile(inside / "from" / "a", inside / "to" / "b")
    faces.call(face, "link", "a", "c", src_dir_fd=source)
    assert (inside / "c").read_bytes() == b"a"
    faces.call(face, "link", "c", "d", dst_dir_fd=target)
    assert (inside / "to" / "d").stat().st_nlink == 4


@pytest.mark.req("U31")
def test_a_file_appears_whole(lab: Lab, face: str) -> None:
    """Written without a name, then linked: nobody ever sees a part of it."""
    target = lab.folder / "published"
    fd = lab.kept(faces.call(face, "open", lab.folder, os.O_TMPFILE | os.O_RDWR, 0o644))
    assert os.fstat(fd).st_nlink == 0
    for _ in range(3):
        assert faces.call(face, "write", fd, b"x" * 1000) == 1000
        assert not target.exists()
    faces.call(face, "link", fd, target)
    assert target.read_bytes() == b"x" * 3000
    assert os.fstat(fd).st_nlink == 1
    faces.call(face, "link", fd, "twice", dst_dir_fd=lab.directory)
    assert os.path.samefile(target, lab.folder / "twice")
    error = failing(face, "link", fd, target)
    assert (type(error), error.filename, error.filename2) == (FileExistsError, fd, target)


def test_links_of_descriptors_that_are_none(lab: Lab, face: str) -> None:
    for bad in (lab.closed(), -1, 0x7FFFFFFF):
        assert failing(face, "link", bad, lab.folder / "new").errno == errno.EBADF
    with pytest.raises(ValueError, match="src_dir_fd"):
        faces.call(face, "link", lab.hello, "new", src_dir_fd=lab.directory)
    unnamed = lab.kept(os.open(lab.folder, os.O_TMPFILE | os.O_RDWR | os.O_EXCL))
    error = failing(face, "link", unnamed, lab.folder / "new")  # so asked for by O_EXCL
    assert error.errno == errno.ENOENT


@pytest.mark.req("U34")
def test_symlink(lab: Lab, inside: Path, face: str) -> None:
    faces.call(face, "symlink", "hello", lab.folder / "soft")
    assert os.readlink(lab.folder / "soft") == "hello"
    (inside / "there").mkdir()
    there = lab.opened(inside / "there")
    faces.call(face, "symlink", "../hello", "soft", dir_fd=there)
    assert os.readlink(inside / "there" / "soft") == "../hello"
    assert (inside / "there" / "soft").read_bytes() == HELLO
    error = failing(face, "symlink", "a", "soft", dir_fd=there)
    assert (type(error), error.filename, error.filename2) == (FileExistsError, "a", "soft")


# ── removals ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.req("U32")
def test_unlink(lab: Lab, face: str) -> None:
    path = lab.folder / "hello"
    faces.call(face, "unlink", path)
    assert not path.exists()
    error = failing(face, "unlink", path)
    assert (type(error), error.filename) == (FileNotFoundError, path)
    faces.call(face, "unlink", path, missing_ok=True)
    path.symlink_to("nowhere")
    faces.call(face, "unlink", path, missing_ok=True)
    assert not path.is_symlink()
    assert failing(face, "unlink", lab.folder, missing_ok=True).errno == errno.EISDIR
    (lab.folder / "file").touch()
    inside_a_file = lab.folder / "file" / "below"
    assert failing(face, "unlink", inside_a_file, missing_ok=True).errno == errno.ENOTDIR


def test_an_open_file_outlives_its_name(lab: Lab, face: str) -> None:
    fd = lab.hello
    faces.call(face, "unlink", lab.folder / "hello")
    assert faces.call(face, "read", fd, 100) == HELLO


# ── renames ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.req("U35")
@pytest.mark.parametrize("name", ["rename", "replace"])
def test_a_reader_sees_the_old_or_the_new(lab: Lab, name: str) -> None:
    """Never none, never a part: replaced again and again while others read."""
    target = lab.folder / "target"
    target.write_bytes(b"0" * 5000)
    seen = set()
    done = False

    async def read() -> None:
        while not done:
            fd = await ringmill.aio.open(target, os.O_RDONLY)
            try:
                data = await ringmill.aio.read(fd, 10_000)
            finally:
                await ringmill.aio.close(fd)
            assert len(data) == 5000
            assert len(set(data)) == 1
            seen.add(data[0])

    async def write() -> None:
        nonlocal done
        for turn in range(100):
            fresh = lab.folder / f"fresh{turn}"
            fresh.write_bytes(b"%d" % (turn % 10) * 5000)
            await getattr(ringmill.aio, name)(fresh, target)
        done = True

    async def main() -> None:
        async with ringmill.scope() as scope:
            for _ in range(4):
                scope.spawn(read())
            scope.spawn(write())

    ringmill.run(main())
    assert len(seen) > 1


@pytest.mark.req("U36")
def test_exchange(lab: Lab, face: str) -> None:
    one, other = lab.folder / "one", lab.folder / "other"
    one.write_bytes(b"one")
    other.mkdir()
    inodes = one.stat().st_ino, other.stat().st_ino
    faces.call(face, "rename", "one", "other", src_dir_fd=lab.directory,
               dst_dir_fd=lab.directory, exchange=True)
    assert (other.stat().st_ino, one.stat().st_ino) == inodes
    assert (one.is_dir(), other.read_bytes()) == (True, b"one")
    error = failing(face, "rename", one, lab.folder / "no", exchange=True)
    assert (type(error), error.filename2) == (FileNotFoundError, lab.folder / "no")


@pytest.mark.req("U36")
def test_noreplace(lab: Lab, face: str) -> None:
    one, other = lab.folder / "one", lab.folder / "other"
    one.write_bytes(b"one")
    other.write_bytes(b"other")
    error = failing(face, "rename", one, other, noreplace=True)
    assert (type(error), error.filename, error.filename2) == (FileExistsError, one, other)
    assert (one.read_bytes(), other.read_bytes()) == (b"one", b"other")
    other.unlink()
    faces.call(face, "rename", one, other, noreplace=True)
    assert (one.exists(), other.read_bytes()) == (False, b"one")
    error = failing(face, "rename", one, other, noreplace=True, exchange=True)
    assert error.errno == errno.EINVAL


@pytest.mark.req("U36")
def test_rename_between_folders(lab: Lab, inside: Path, face: str) -> None:
    for name in ("from", "to"):
        (inside / name).mkdir()
    (inside / "from" / "a").write_bytes(b"a")
    source, target = lab.opened(inside / "from"), lab.opened(inside / "to")
    faces.call(face, "rename", "a", "b", src_dir_fd=source, dst_dir_fd=target)
    faces.call(face, "replace", "b", "c", src_dir_fd=target)
    assert (inside / "c").read_bytes() == b"a"
    faces.call(face, "replace", "c", "d", dst_dir_fd=source)
    assert (inside / "from" / "d").read_bytes() == b"a"
    assert failing(face, "rename", inside, inside / "to" / "deep").errno == errno.EINVAL


# ── lengths of files ────────────────────────────────────────────────────────────────────────


def test_ftruncate(lab: Lab, face: str) -> None:
    os.write(lab.scratch, b"0123456789")
    faces.call(face, "ftruncate", lab.scratch, 4)
    assert os.pread(lab.scratch, 100, 0) == b"0123"
    faces.call(face, "ftruncate", lab.scratch, 6)
    assert os.pread(lab.scratch, 100, 0) == b"0123\0\0"
    far = (1 << 33) + 5
    faces.call(face, "ftruncate", lab.scratch, far)
    assert os.fstat(lab.scratch).st_size == far
    huge = (1 << 63) - 1  # too big for most file systems, not for all
    outcomes = []
    for truncate in (os.ftruncate, lambda *a: faces.call(face, "ftruncate", *a)):
        try:
            truncate(lab.scratch, huge)
            outcomes.append(None)
        except OSError as error:
            outcomes.append(error.errno)
    assert outcomes[0] == outcomes[1]


def test_fallocate(lab: Lab, face: str) -> None:
    fd = lab.scratch
    faces.call(face, "fallocate", fd, 0, 4096)
    assert os.fstat(fd).st_size == 4096
    faces.call(face, "fallocate", fd, 4096, 1 << 16, keep_size=True)
    assert os.fstat(fd).st_size == 4096
    assert os.fstat(fd).st_blocks * 512 >= (1 << 16)
    os.pwrite(fd, b"x" * 12288, 0)
    faces.call(face, "fallocate", fd, 4096, 4096, punch_hole=True)
    assert os.pread(fd, 12288, 0) == b"x" * 4096 + bytes(4096) + b"x" * 4096
    far = 1 << 33
    faces.call(face, "fallocate", fd, far, 4096)
    assert os.fstat(fd).st_size == far + 4096


def collapsed(data: bytes) -> bytes:
    return data[:4096] + data[8192:]


def holed(data: bytes) -> bytes:
    return data[:4096] + bytes(4096) + data[4096:]


def zeroed(data: bytes) -> bytes:
    return data[:4096] + bytes(4096) + data[8192:]


@pytest.mark.parametrize(("how", "changed"), [
    ("zero_range", zeroed), ("collapse_range", collapsed), ("insert_range", holed)])
def test_fallocate_in_the_middle(lab: Lab, face: str, how: str,
                                 changed: Callable[[bytes], bytes]) -> None:
    data = b"a" * 4096 + b"b" * 4096 + b"c" * 4096
    os.write(lab.scratch, data)
    kind, *rest = tried(face, "fallocate", Scene(
        {"fd": lab.scratch, "offset": 4096, "length": 4096, how: True}))
    if kind == "error" and rest[1] == errno.EOPNOTSUPP:
        pytest.skip(f"this file system knows no {how}")
    assert (kind, *rest) == ("value", None)
    assert os.pread(lab.scratch, 20_000, 0) == changed(data)


@pytest.mark.parametrize("name", ["ftruncate", "fallocate"])
def test_beyond_the_limit_of_file_sizes(lab: Lab, face: str, name: str) -> None:
    """RLIMIT_FSIZE: an error, no signal, and the file is what it was."""
    os.write(lab.scratch, b"data")
    with limited(resource.RLIMIT_FSIZE, 1 << 20):
        error = failing(face, name, lab.scratch, *((0,) if name == "fallocate" else ()), 2 << 20)
    assert error.errno == errno.EFBIG
    assert os.fstat(lab.scratch).st_size == 4


@pytest.mark.parametrize("name", ["ftruncate", "fallocate"])
def test_of_what_has_no_length(lab: Lab, face: str, name: str) -> None:
    more = (0,) if name == "fallocate" else ()
    assert failing(face, name, lab.pipe_in, *more, 5).errno in (errno.EINVAL, errno.ESPIPE)
    assert failing(face, name, lab.left, *more, 5).errno in (errno.EINVAL, errno.ESPIPE,
                                                             errno.ENODEV)


# ── names ───────────────────────────────────────────────────────────────────────────────────


def verbs(path: Any, other: Any) -> dict[str, tuple[Any, ...]]:
    """Ops that make or find `path`, and their arguments."""
    return {"mkdir": (path,), "unlink": (path,), "rmdir": (path,), "symlink": (other, path),
            "link": (other, path), "rename": (path, other), "replace": (other, path)}


VERBS = list(verbs("", ""))


@pytest.mark.parametrize("name", ["mkdir", "symlink", "link", "rename", "replace"])
def test_names_that_are_no_utf_8(lab: Lab, face: str, name: str) -> None:
    """Surrogates stand for the bytes of a name that is no text; bytes are taken as they are."""
    for form in (lambda raw: raw, os.fsdecode):
        raw = os.fsencode(lab.folder) + b"/caf\xe9 \xff\xfe"
        source = os.fsencode(lab.folder) + b"/hello \x80"
        with open(source, "wb"):
            pass
        path, other = form(raw), form(source)
        given = (other, path) if name == "rename" else verbs(path, other)[name]
        faces.call(face, name, *given)
        assert os.path.lexists(raw)
        if name not in ("rename", "replace"):
            error = failing(face, name, *given)
            assert path in (error.filename, error.filename2)
        faces.call(face, "rmdir" if name == "mkdir" else "unlink", path)
        assert not os.path.lexists(raw)


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize("path", ["", "x" * 300, "a/" * 3000])
def test_names_the_kernel_refuses(lab: Lab, inside: Path, face: str, name: str,
                                  path: str) -> None:
    given = verbs(path, "hello")[name]
    with pytest.raises(OSError) as theirs:
        getattr(os, name)(*given)
    error = failing(face, name, *given)
    assert error.errno == theirs.value.errno
    assert (error.filename, error.filename2) == (theirs.value.filename, theirs.value.filename2)
    assert str(error) == str(theirs.value)


@pytest.mark.parametrize("name", VERBS)
def test_surrogates_that_stand_for_nothing(face: str, name: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        faces.call(face, name, *verbs("\ud800", "hello")[name])


def test_no_permission(lab: Lab, face: str) -> None:
    """EACCES, or whatever os gets (root may do anything)."""
    closed = lab.folder / "closed"
    closed.mkdir(mode=0o500)
    for name, given in verbs(closed / "new", lab.folder / "hello").items():
        try:
            getattr(os, name)(*given)
        except OSError as theirs:
            assert failing(face, name, *given).errno == theirs.errno


# ── many and slow ───────────────────────────────────────────────────────────────────────────


def test_a_thousand_at_once(lab: Lab) -> None:
    """All in flight together; each makes its own, in whatever order."""
    async def main() -> None:
        made = [ringmill.aio.mkdir(f"folder {i}", dir_fd=lab.directory) for i in range(1000)]
        for op in made:
            await op
        moved = [ringmill.aio.rename(f"folder {i}", f"moved {i}", src_dir_fd=lab.directory,
                                     dst_dir_fd=lab.directory) for i in range(1000)]
        for op in moved:
            await op

    ringmill.run(main())
    assert sorted(os.listdir(lab.folder)) == sorted(
        ["hello", *(f"moved {i}" for i in range(1000))])


def test_a_cancelled_one_has_happened_or_not(lab: Lab) -> None:
    """Cancelled at once, after the submission, a turn later: what is told is what is there."""
    for i in range(300):
        path = lab.folder / f"made {i}"
        op = ringmill.aio.mkdir(path)
        if i % 3 == 1:
            ringmill.nop()
        elif i % 3 == 2:
            ringmill.sleep(0)
        op.cancel()
        try:
            ringmill.wait(op)
        except ringmill.Cancelled:
            assert not path.exists()
        else:
            assert path.is_dir()


def test_a_fifo_is_not_waited_for(lab: Lab, face: str) -> None:
    """What is done to a name does not open what it names."""
    faces.call(face, "rename", lab.fifo, lab.folder / "moved")
    faces.call(face, "link", lab.folder / "moved", lab.folder / "again")
    reader = lab.opened(lab.folder / "again", os.O_RDONLY | os.O_NONBLOCK)
    with unblocked(reader):
        faces.call(face, "unlink", lab.folder / "moved")
    assert stat.S_ISFIFO((lab.folder / "again").stat().st_mode)
