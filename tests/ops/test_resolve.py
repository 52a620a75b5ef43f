"""open(…, resolve=): how far a path may lead. See openat2(2)."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ops.lab import HELLO, Lab
from ops.specimens.scene import content
from ringmill import Resolve
from support import faces

pytestmark = pytest.mark.usefixtures("machine")


@pytest.fixture
def root(lab: Lab) -> Path:
    """A folder with a file, and links that lead out of it and about it."""
    root = lab.folder / "root"
    (root / "deep").mkdir(parents=True)
    (root / "file").write_bytes(b"inside")
    (root / "out").symlink_to("../hello")
    (root / "absolute").symlink_to("/file")
    (root / "within").symlink_to("file")
    (root / "deep" / "up").symlink_to("../file")
    return root


def failing(face: str, *args: Any, **kw: Any) -> OSError:
    with pytest.raises(OSError) as caught:
        os.close(faces.call(face, "open", *args, **kw))
    return caught.value


def read_by(face: str, *args: Any, **kw: Any) -> bytes:
    return content(faces.call(face, "open", *args, **kw))


def test_beneath(lab: Lab, face: str, root: Path) -> None:
    at = lab.opened(root)
    how = {"dir_fd": at, "resolve": Resolve.BENEATH}
    for path in ("file", "within", "deep/up", "deep/../file"):
        assert read_by(face, path, os.O_RDONLY, **how) == b"inside"
    for path in ("../hello", "out", "absolute", "/etc/passwd", "deep/../../hello"):
        error = failing(face, path, os.O_RDONLY, **how)
        assert (error.errno, error.filename) == (errno.EXDEV, path)
    assert read_by(face, "out", os.O_RDONLY, dir_fd=at) == HELLO
    assert read_by(face, "out", os.O_RDONLY, dir_fd=at, resolve=0) == HELLO


def test_other_ways(lab: Lab, face: str, root: Path) -> None:
    at = lab.opened(root)
    for path in ("within", "deep/up"):
        error = failing(face, path, os.O_RDONLY, dir_fd=at, resolve=Resolve.NO_SYMLINKS)
        assert error.errno == errno.ELOOP
    assert read_by(face, "file", os.O_RDONLY, dir_fd=at, resolve=Resolve.NO_SYMLINKS) == b"inside"
    for path in ("/file", "absolute", "../../file"):
        assert read_by(face, path, os.O_RDONLY, dir_fd=at, resolve=Resolve.IN_ROOT) == b"inside"
    error = failing(face, f"/proc/self/fd/{lab.hello}", os.O_RDONLY,
                    resolve=Resolve.NO_MAGICLINKS)
    assert error.errno == errno.ELOOP
    error = failing(face, "/proc/self/stat", os.O_RDONLY, resolve=Resolve.NO_XDEV)
    assert error.errno == errno.EXDEV
    assert failing(face, "file", os.O_RDONLY, dir_fd=at, resolve=0x8000).errno == errno.EINVAL


def test_made_with_a_mode(lab: Lab, face: str, root: Path) -> None:
    at = lab.opened(root)
    how = {"dir_fd": at, "resolve": Resolve.BENEATH | Resolve.NO_SYMLINKS}
    fd = lab.kept(faces.call(face, "open", "new", os.O_CREAT | os.O_RDWR, 0o640, **how))
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o640
    assert not os.get_inheritable(fd)
    assert os.get_blocking(fd)
    unnamed = lab.kept(faces.call(face, "open", ".", os.O_TMPFILE | os.O_RDWR, 0o600, **how))
    assert stat.S_IMODE(os.fstat(unnamed).st_mode) == 0o600
    lab.kept(faces.call(face, "open", "deep", os.O_PATH, **how))
    error = failing(face, "new", os.O_CREAT | os.O_EXCL | os.O_RDWR, **how)
    assert (type(error), error.filename) == (FileExistsError, "new")


def test_a_fifo_is_not_waited_for(lab: Lab, face: str) -> None:
    fd = lab.kept(faces.call(face, "open", lab.fifo.name, os.O_RDONLY, dir_fd=lab.directory,
                             resolve=Resolve.BENEATH))
    assert os.get_blocking(fd)
    lab.kept(lab.opened(lab.fifo, os.O_WRONLY | os.O_NONBLOCK))
    lab.fifo.rename(lab.folder / "other")
    os.mkfifo(lab.fifo)
    error = failing(face, lab.fifo.name, os.O_WRONLY, dir_fd=lab.directory,
                    resolve=Resolve.BENEATH)
    assert error.errno == errno.ENXIO


def test_only_what_is_cached(lab: Lab, face: str) -> None:
    """A name that was just used is; whatever is said, it comes without a wait for the disk."""
    (lab.folder / "hello").stat()
    try:
        got = read_by(face, lab.folder / "hello", os.O_RDONLY, resolve=Resolve.CACHED)
    except OSError as error:
        assert error.errno in (errno.EAGAIN, errno.EINVAL)  # 5.12 brought it
    else:
        assert got == HELLO


def test_a_bad_resolve(lab: Lab, face: str) -> None:
    for bad, error in ((1.5, TypeError), ("beneath", TypeError), (None, TypeError),
                       (-1, OverflowError), (1 << 70, OverflowError)):
        with pytest.raises(error):
            faces.call(face, "open", lab.folder / "hello", os.O_RDONLY, resolve=bad)


def test_nobody_takes_it(lab: Lab, machine: Any) -> None:
    """What was opened for nobody is closed; what was cancelled in the queue is never opened."""
    for _ in range(20):
        op = ringmill.aio.open(lab.folder / "hello", os.O_RDONLY, resolve=Resolve.NO_MAGICLINKS)
        op.detach()
        ringmill.sleep(0)
        op.cancel()
        del op
    ringmill.sleep(0.01)
    assert machine.stats()["ops_live"] == 0
