"""scandir and walk: the same as os.scandir and os.stat say, in both faces, and with bad luck."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import stat

import pytest

import ringmill
from support import leaks

pytestmark = pytest.mark.usefixtures("machine")


def entries(face, verb, *arguments, **keywords):
    if face == "fiber":
        return list(getattr(ringmill, verb)(*arguments, **keywords))

    async def main():
        return [entry async for entry in getattr(ringmill.aio, verb)(*arguments, **keywords)]

    return ringmill.run(main())


def lasting(about):
    """All of a stat result but when it was read last, which looking into a folder changes."""
    return (about.st_mode, about.st_ino, about.st_dev, about.st_nlink, about.st_uid, about.st_gid,
            about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_blksize,
            about.st_blocks, about.st_rdev)


def plain(root, follow=False):
    """What os says: path, stat and kind of everything below `root`."""
    found = []
    with os.scandir(root) as scanned:
        for entry in scanned:
            found.append((entry.path, lasting(entry.stat(follow_symlinks=False)),
                          entry.is_dir(), entry.is_file(), entry.is_symlink(), entry.inode()))
            if entry.is_dir(follow_symlinks=follow):
                found += plain(entry.path, follow)
    return sorted(found)


def ours(found):
    return sorted((entry.path, lasting(entry.stat(follow_symlinks=False)), entry.is_dir(),
                   entry.is_file(), entry.is_symlink(), entry.inode()) for entry in found)


@pytest.fixture
def tree(tmp_path):
    """A small one of everything."""
    root = tmp_path / "tree"
    (root / "a" / "b" / "c").mkdir(parents=True)
    (root / "empty").mkdir()
    for number in range(70):
        (root / "a" / f"file{number}").write_bytes(bytes(number))
    (root / "a" / "b" / "deep").touch()
    (root / "link").symlink_to("a/file3")
    (root / "folder link").symlink_to("a/b")
    (root / "broken").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
    with open(os.fsencode(root) + b"/\xff\xfe", "w"):
        pass
    return root


def test_like_os(face, tree):
    assert ours(entries(face, "walk", tree)) == plain(tree)
    assert ours(entries(face, "walk", os.fsencode(tree))) == plain(os.fsencode(tree))
    with os.scandir(tree) as scanned:
        names = [entry.name for entry in scanned]
    found = entries(face, "scandir", tree)
    assert [entry.name for entry in found] == names
    assert [os.fspath(entry) for entry in found] == [os.path.join(tree, name) for name in names]


def test_links_are_told_apart(face, tree):
    found = {entry.name: entry for entry in entries(face, "scandir", tree)}
    assert found["link"].is_symlink() and found["link"].is_file()
    assert not found["link"].is_file(follow_symlinks=False)
    assert found["link"].stat().st_size == 3
    assert stat.S_ISLNK(found["link"].stat(follow_symlinks=False).st_mode)
    assert found["folder link"].is_dir()
    assert not found["folder link"].is_dir(follow_symlinks=False)
    with pytest.raises(FileNotFoundError):
        found["broken"].stat()
    assert not found["broken"].is_file() and not found["broken"].is_dir()


def test_the_order_is_that_of_os_walk(face, tree):
    folders = [folder for folder, _, _ in os.walk(tree)]
    seen = []
    for entry in entries(face, "walk", tree):
        folder = os.path.dirname(entry.path)
        if not seen or seen[-1] != folder:
            seen.append(folder)
    assert seen == [folder for folder in folders if os.listdir(folder)]


def test_loops_of_links_end(face, tmp_path):
    folder = tmp_path / "root" / "folder"
    folder.mkdir(parents=True)
    (folder / "up").symlink_to("..")
    (folder / "here").symlink_to(".")
    (tmp_path / "root" / "beside").symlink_to("folder")
    names = [os.path.relpath(entry.path, tmp_path)
             for entry in entries(face, "walk", tmp_path / "root", follow_symlinks=True)]
    assert sorted(names) == [
        "root/beside", "root/beside/here", "root/beside/up",
        "root/folder", "root/folder/here", "root/folder/up"]


def test_depth_and_descending(face, tree):
    assert {entry.name for entry in entries(face, "walk", tree, max_depth=1)} == set(
        os.listdir(os.fspath(tree)))
    two = {entry.name for entry in entries(face, "walk", tree, max_depth=2)}
    assert "b" in two and "deep" not in two
    asked = []

    def descend(entry):
        asked.append(entry.name)
        return entry.name != "b"

    names = {entry.name for entry in entries(face, "walk", tree, descend=descend)}
    assert "b" in names and "deep" not in names and "c" not in names
    assert set(asked) == {"a", "b", "empty"}
    with pytest.raises(ValueError, match="max_depth"):
        entries(face, "walk", tree, max_depth=0)


def test_what_cannot_be_read(face, tree):
    with pytest.raises(FileNotFoundError) as caught:
        entries(face, "walk", tree / "missing")
    assert caught.value.filename == str(tree / "missing")
    with pytest.raises(NotADirectoryError):
        entries(face, "scandir", tree / "fifo")
    (tree / "a" / "b").chmod(0)
    (tree / "a").chmod(0o755)
    told = []
    root = os.geteuid() == 0
    for folder in (tree, *tree.parents[:3]):
        with contextlib.suppress(PermissionError):
            folder.chmod(0o755)
    if root:
        os.seteuid(65534)
    try:
        found = {entry.name for entry in entries(face, "walk", tree, on_error=told.append)}
        quiet = {entry.name for entry in entries(face, "walk", tree)}
    finally:
        if root:
            os.seteuid(0)
        (tree / "a" / "b").chmod(0o755)
    assert [error.filename for error in told] == [str(tree / "a" / "b")]
    assert found == quiet
    assert "b" in found and "deep" not in found


def test_an_entry_that_may_not_be_asked_about(face, tree):
    (tree / "a").chmod(0o644)  # its names may be read, what they stand for not
    for folder in (tree, *tree.parents[:3]):
        with contextlib.suppress(PermissionError):
            folder.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        found = entries(face, "scandir", tree / "a")
    finally:
        if root:
            os.seteuid(0)
        (tree / "a").chmod(0o755)
    assert len(found) == 71
    for entry in found:
        assert entry.is_dir() == (entry.name == "b")
        with pytest.raises(PermissionError):
            entry.stat()


def test_what_vanishes_is_left_out(tmp_path):
    for number in range(3000):
        (tmp_path / f"{number:04}").touch()
    names = []
    with ringmill.scandir(tmp_path) as scanned:
        for entry in scanned:
            names.append(entry.name)
            if len(names) == 1:
                for name in os.listdir(tmp_path):
                    os.unlink(tmp_path / name)
    assert 0 < len(names) < 3000


def test_folders_that_vanish(face, tmp_path):
    for number in range(10):
        (tmp_path / f"{number}" / "x").mkdir(parents=True)
    told = []

    def descend(entry):
        if entry.name == "5":
            os.rmdir(os.path.join(entry.path, "x"))
            os.rmdir(entry.path)
        return True

    found = entries(face, "walk", tmp_path, descend=descend, on_error=told.append)
    assert len(found) == 19
    assert all(isinstance(error, FileNotFoundError) for error in told)


@pytest.mark.parametrize("taken", [0, 1, 70, 2000])
def test_left_half_way(face, tmp_path, taken):
    for folder in range(5):
        (tmp_path / f"{folder}").mkdir()
        for number in range(1500):
            (tmp_path / f"{folder}" / f"{number}").touch()
    before = leaks.open_fds()
    if face == "fiber":
        walked = ringmill.walk(tmp_path)
        for _ in range(taken):
            next(walked)
        walked.close()
        assert list(walked) == []
        dropped = ringmill.walk(tmp_path)
        for _ in range(taken):
            next(dropped)
        del dropped
    else:
        async def main():
            async with contextlib.aclosing(ringmill.aio.walk(tmp_path)) as walked:
                for _ in range(taken):
                    await anext(walked)

        ringmill.run(main())
    gc.collect()
    for _ in range(5000):  # threads close their folders, stats under way end
        if not (leaks.new_fds(before) or ringmill.machine().stats()["ops_live"]):
            break
        ringmill.sleep(0.001)
    assert leaks.new_fds(before) == []


def test_cancelled_anywhere(face, tree):
    verbs = ringmill if face == "fiber" else ringmill.aio

    async def amain():
        return [entry async for entry in verbs.walk(tree)]

    for turns in range(25):
        strand = ringmill.spawn(lambda: list(verbs.walk(tree))) if face == "fiber" else (
            ringmill.spawn(amain))
        for _ in range(turns):
            ringmill.sleep(0)
        strand.cancel()
        with contextlib.suppress(ringmill.Cancelled):
            assert len(strand.join()) == len(plain(tree))
    ringmill.sleep(0.02)


def test_memory_is_bounded(machine, tmp_path):
    """Of a large folder, only some entries are asked about at a time."""
    for number in range(5000):
        (tmp_path / f"{number}").touch()
    most = 0
    for _ in ringmill.scandir(tmp_path):
        most = max(most, machine.stats()["ops_live"])
    assert 0 < most <= 2 * 64 + 2


def test_no_descriptors_left(face, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ringmill.in_thread(len, "")  # its threads are there
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files") as caught:
            entries(face, "walk", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.filename == str(tmp_path)


@pytest.mark.req("T16")
def test_a_hundred_thousand(face, tmp_path_factory):
    """The same set as os.scandir and stat, of a large tree."""
    root = tmp_path_factory.getbasetemp() / "hundred thousand"
    if not root.exists():
        for folder in range(100):
            path = root / f"{folder // 10}" / f"{folder}"
            path.mkdir(parents=True)
            fd = os.open(path, os.O_RDONLY)
            for number in range(1000):
                os.mknod(f"{number}", dir_fd=fd)
            os.close(fd)
    assert ours(entries(face, "walk", root)) == plain(root)
