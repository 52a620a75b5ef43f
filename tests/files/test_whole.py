"""read_file, write_file and copy_file: whole files, in both faces, with bad luck."""

from __future__ import annotations

import errno
import os
import resource
import stat
import threading

import pytest

import ringmill
from support.faces import call
from support.limits import limited

pytestmark = pytest.mark.usefixtures("machine")
SIZES = [0, 1, 16_383, 16_384, 16_385, 70_000, 3_000_000]


@pytest.mark.parametrize("size", SIZES)
def test_there_and_back(face, tmp_path, size):
    data = os.urandom(size)
    path = tmp_path / "file"
    for options in ({}, {"atomic": True}, {"fsync": True}, {"atomic": True, "fsync": True}):
        assert call(face, "write_file", path, data, **options) == size
        assert path.read_bytes() == data
        assert call(face, "read_file", path) == data
    assert os.listdir(tmp_path) == ["file"]


def test_text(face, tmp_path):
    path = tmp_path / "file"
    assert call(face, "write_file", path, "né\r\n") == 5
    assert call(face, "read_file", path, encoding="utf-8") == "né\r\n"
    with pytest.raises(UnicodeDecodeError):
        call(face, "read_file", path, encoding="ascii")
    assert call(face, "read_file", path, encoding="ascii", errors="replace") == "n��\r\n"


def test_files_whose_size_is_a_lie(face):
    with open("/proc/cpuinfo", "rb") as file:
        size = len(file.read())
    assert len(call(face, "read_file", "/proc/cpuinfo")) >= size // 2
    assert call(face, "read_file", "/proc/self/cmdline").count(b"\0") > 1
    assert call(face, "read_file", "/sys/kernel/mm/transparent_hugepage/enabled")[-1:] == b"\n"


def test_a_fifo_to_its_end(face, tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    data = os.urandom(200_000)

    def write():
        with open(path, "wb") as fifo:
            fifo.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    with open(path, "rb", buffering=0):  # so that the writer comes
        got = call(face, "read_file", path)
    thread.join()
    assert got == data


def test_a_file_that_grows_and_one_that_shrinks(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a" * 100_000)
    other = ringmill.spawn(lambda: path.write_bytes(b"b" * 300_000))
    got = ringmill.read_file(path)
    other.join()
    assert len(got) in (100_000, 300_000) or set(got) == {ord("a"), ord("b")}
    os.truncate(path, 10)
    assert len(ringmill.read_file(path)) == 10


def test_ops_are_few(machine, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 4096)
    ringmill.read_file(path)
    before = machine.stats()["submitted"]
    ringmill.read_file(path)
    assert machine.stats()["submitted"] - before == 3  # open, read, close


@pytest.mark.parametrize("atomic", [False, True])
def test_permissions_stay(face, tmp_path, atomic):
    path = tmp_path / "file"
    kept = os.umask(0o027)
    try:
        call(face, "write_file", path, b"1", atomic=atomic, mode=0o666)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        call(face, "write_file", path, b"2", atomic=atomic)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(kept)


def test_atomic_follows_a_link(face, tmp_path):
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    link = tmp_path / "link"
    link.symlink_to("folder/target")
    for data in (b"first", b"second"):  # it leads nowhere at first
        call(face, "write_file", link, data, atomic=True)
        assert link.is_symlink() and target.read_bytes() == data
    assert os.listdir(tmp_path / "folder") == ["target"]


def test_atomic_only_for_files(face, tmp_path):
    with pytest.raises(IsADirectoryError):
        call(face, "write_file", tmp_path, b"", atomic=True)
    with pytest.raises(OSError, match="/dev/null"):
        call(face, "write_file", "/dev/null", b"", atomic=True)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    long = tmp_path / ("n" * 255)
    call(face, "write_file", long, b"data", atomic=True)
    assert long.read_bytes() == b"data"


@pytest.mark.parametrize("atomic", [False, True])
def test_what_cannot_be_written_leaves_nothing(face, tmp_path, atomic):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with limited(resource.RLIMIT_FSIZE, 100_000), pytest.raises(OSError, match="file") as caught:
        call(face, "write_file", path, bytes(300_000), atomic=atomic)
    assert (caught.value.errno, os.fspath(caught.value.filename)) == (errno.EFBIG, str(path))
    assert os.listdir(tmp_path) == ["file"]
    if atomic:
        assert path.read_bytes() == b"old"


def test_errors_name_the_file(face, tmp_path):
    for verb, arguments in (("read_file", ()), ("write_file", (b"data",))):
        with pytest.raises(IsADirectoryError) as caught:
            call(face, verb, tmp_path, *arguments)
        assert os.fspath(caught.value.filename) == str(tmp_path)
        missing = tmp_path / "no" / "file"
        with pytest.raises(FileNotFoundError) as caught:
            call(face, verb, missing, *arguments)
        assert os.fspath(caught.value.filename) == str(missing)
    with pytest.raises(OSError, match="/dev/full") as caught:
        call(face, "write_file", "/dev/full", b"data")
    assert caught.value.errno == errno.ENOSPC
    odd = os.fsencode(tmp_path) + b"/\xff"
    call(face, "write_file", odd, b"data", atomic=True)
    assert call(face, "read_file", odd) == b"data"
    os.unlink(odd)
    with limited(resource.RLIMIT_NOFILE, 4), pytest.raises(OSError, match="some") as caught:
        call(face, "write_file", tmp_path / "some", b"", atomic=True)
    assert caught.value.errno == errno.EMFILE
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("verb", ["write", "copy"])
def test_cancelled_anywhere_leaves_nothing(face, tmp_path, verb):
    """A cancel after each number of turns: the old file, or the new one."""
    path, source = tmp_path / "file", tmp_path / "source"
    source.write_bytes(bytes(1_000_000))
    verbs = ringmill if face == "fiber" else ringmill.aio

    def begin():
        if verb == "copy":
            return ringmill.spawn(verbs.copy_file, source, path)
        return ringmill.spawn(lambda: ringmill.write_file(path, b"new" * 100_000, atomic=True)) \
            if face == "fiber" else ringmill.spawn(
                verbs.write_file(path, b"new" * 100_000, atomic=True))

    for turns in range(40):
        path.unlink(missing_ok=True)
        if verb == "write":
            path.write_bytes(b"old")
        strand = begin()
        for _ in range(turns):
            ringmill.sleep(0)
        strand.cancel()
        try:
            strand.join()
        except ringmill.Cancelled:
            assert not path.exists() if verb == "copy" else path.read_bytes() == b"old"
        else:
            assert path.stat().st_size in (1_000_000, 300_000)
        assert sorted(os.listdir(tmp_path)) in (["file", "source"], ["source"])


# ── copies ──


@pytest.mark.parametrize("size", [*SIZES, 20_000_000])
@pytest.mark.req("T1")
def test_copy(face, tmp_path, size):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    source.chmod(0o640)
    assert call(face, "copy_file", source, target) == size
    assert target.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    target.write_bytes(b"longer than the source" * (1 + size))
    target.chmod(0o600)
    assert call(face, "copy_file", source, target, fsync=True) == size
    assert target.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_holes_stay_holes(face, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    with open(source, "wb") as file:
        file.write(b"begin" * 1000)
        file.seek(30_000_000)
        file.write(b"middle" * 1000)
        file.truncate(90_000_000)
    moved = call(face, "copy_file", source, target)
    assert target.stat().st_size == 90_000_000
    assert moved < 1_000_000
    assert target.stat().st_blocks * 512 < 1_000_000
    with open(source, "rb") as one, open(target, "rb") as other:
        while data := one.read(1 << 20):
            assert other.read(1 << 20) == data


def test_the_same_file_is_refused(face, tmp_path):
    source, link = tmp_path / "source", tmp_path / "link"
    source.write_bytes(b"data")
    os.link(source, link)
    for target in (source, link):
        with pytest.raises(OSError, match="same file"):
            call(face, "copy_file", source, target)
    assert source.read_bytes() == b"data"


def test_copies_of_what_is_no_file(face, tmp_path):
    target = tmp_path / "target"
    with pytest.raises(IsADirectoryError):
        call(face, "copy_file", tmp_path, target)
    with pytest.raises(FileNotFoundError) as caught:
        call(face, "copy_file", tmp_path / "missing", target)
    assert os.fspath(caught.value.filename) == str(tmp_path / "missing")
    assert not target.exists()
    assert call(face, "copy_file", "/proc/self/status", target) > 100
    assert call(face, "copy_file", target, "/dev/null") == target.stat().st_size
    with pytest.raises(OSError, match="/dev/full") as caught:
        call(face, "copy_file", target, "/dev/full")
    assert caught.value.errno == errno.ENOSPC
    with limited(resource.RLIMIT_FSIZE, 10), pytest.raises(OSError, match="large"):
        call(face, "copy_file", target, tmp_path / "other")
    assert os.listdir(tmp_path) == ["target"]
