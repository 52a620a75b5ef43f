"""watch(): what is told of a file, of a folder, and how a watch ends."""

from __future__ import annotations

import errno
import gc
import os
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ringmill import Change, ClosedError, WatchEvent
from support import faces
from support.threads import elsewhere

pytestmark = pytest.mark.usefixtures("machine")

C = Change


async def take(on: faces.Play, events: Any, count: int) -> list[WatchEvent]:
    found: list[WatchEvent] = []
    while len(found) < count:
        async for event in on.each(events):
            found.append(event)
            break
        else:
            break  # it is over
    return found


async def brief(on: faces.Play, events: Any, count: int) -> list[tuple[str, str]]:
    return [(event.change.value, os.path.basename(os.fsdecode(event.path)))
            for event in await take(on, events, count)]


def test_what_happens_to_entries(face: str, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()

    async def program(on: faces.Play) -> None:
        async with on.within(on.watch(root)) as events:
            file = root / "file"
            file.write_bytes(b"x")
            assert await brief(on, events, 3) == [
                ("created", "file"), ("modified", "file"), ("written", "file")]
            file.chmod(0o600)
            file.rename(root / "other")
            assert await take(on, events, 2) == [
                WatchEvent(C.ATTRIBUTES, str(file)),
                WatchEvent(C.MOVED, str(root / "other"), source=str(file))]
            (root / "other").rename(outside / "other")
            (outside / "other").rename(root / "back")
            (root / "folder").mkdir()
            (root / "folder" / "deep").write_bytes(b"not told: it is not recursive")
            (root / "folder" / "deep").unlink()
            (root / "folder").rmdir()
            (root / "back").unlink()
            assert await take(on, events, 5) == [
                WatchEvent(C.DELETED, str(root / "other")),
                WatchEvent(C.CREATED, str(root / "back")),
                WatchEvent(C.CREATED, str(root / "folder"), True),
                WatchEvent(C.DELETED, str(root / "folder"), True),
                WatchEvent(C.DELETED, str(root / "back"))]

    faces.play(face, program)


def test_what_comes_while_nobody_asks(face: str, tmp_path: Path) -> None:
    """Thousands, in a few reads; each once, and in order."""
    async def program(on: faces.Play) -> None:
        async with on.within(on.watch(tmp_path, only=[C.CREATED])) as events:
            for number in range(4000):
                (tmp_path / f"{number}").touch()
            found = await take(on, events, 4000)
            assert [event.path for event in found] == [
                str(tmp_path / f"{number}") for number in range(4000)]

    faces.play(face, program)


def test_only_some_changes(face: str, tmp_path: Path) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.watch(tmp_path, only={C.WRITTEN, "deleted"})) as events:
            (tmp_path / "file").write_bytes(b"x")
            (tmp_path / "file").unlink()
            assert await brief(on, events, 2) == [("written", "file"), ("deleted", "file")]
        with pytest.raises(ValueError, match="painted"):
            on.watch(tmp_path, only=["painted"])

    faces.play(face, program)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_names_that_are_not_text(face: str, tmp_path: Path, as_bytes: bool) -> None:
    root: Any = os.fsencode(tmp_path) if as_bytes else str(tmp_path)
    name: Any = b"gr\xfc\xdf" if as_bytes else os.fsdecode(b"gr\xfc\xdf")

    async def program(on: faces.Play) -> None:
        async with on.within(on.watch(root, recursive=True, only=[C.CREATED, C.MOVED])) as events:
            os.mkdir(os.path.join(root, name))
            assert await take(on, events, 1) == [
                WatchEvent(C.CREATED, os.path.join(root, name), True)]
            inner = os.path.join(root, name, name)
            os.mkdir(inner)
            os.rename(inner, inner + name)
            assert await take(on, events, 2) == [
                WatchEvent(C.CREATED, inner, True),
                WatchEvent(C.MOVED, inner + name, True, inner)]

    faces.play(face, program)


def test_a_relative_path_stays_one(
        face: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on to mean the same folder when the program goes elsewhere."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)

    async def program(on: faces.Play) -> None:
        async with on.within(on.watch("here", recursive=True)) as events:
            os.chdir("/")
            (tmp_path / "here" / "new").mkdir()
            assert await take(on, events, 1) == [WatchEvent(C.CREATED, "here/new", True)]
            (tmp_path / "here" / "new" / "er").mkdir()
            assert await take(on, events, 1) == [WatchEvent(C.CREATED, "here/new/er", True)]

    faces.play(face, program)


def test_a_file(face: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")

    async def program(on: faces.Play) -> None:
        async with on.within(on.watch(file)) as events:
            with open(file, "ab") as opened:
                opened.write(b"more")
            file.chmod(0o600)
            assert await take(on, events, 3) == [
                WatchEvent(change, str(file)) for change in (C.MODIFIED, C.WRITTEN, C.ATTRIBUTES)]

    faces.play(face, program)


def remove(path: Path) -> None:
    path.rmdir() if path.is_dir() else path.unlink()


ENDS: dict[str, Any] = {
    "removed": remove,
    "moved": lambda path: path.rename(path.with_name("elsewhere")),
    "replaced": lambda path: (path.rename(path.with_name("elsewhere")), path.touch()),
}


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_what_is_watched(face: str, tmp_path: Path, kind: str, end: str) -> None:
    path = tmp_path / "path"
    path.touch() if kind == "file" else path.mkdir()

    async def program(on: faces.Play) -> None:
        async with on.within(on.watch(path, recursive=True)) as events:
            ENDS[end](path)
            told = [event async for event in on.each(events)]
            assert told[-1] == WatchEvent(C.GONE, str(path), kind == "folder")
            assert {event.change for event in told[:-1]} <= {C.ATTRIBUTES}
            assert events.closed
            assert [event async for event in on.each(events)] == []

    faces.play(face, program)


def test_a_removed_file_that_somebody_has_open(face: str, tmp_path: Path) -> None:
    """It lives on, under no name: gone all the same."""
    file = tmp_path / "file"

    async def program(on: faces.Play) -> None:
        with open(file, "wb"):
            async with on.within(on.watch(file, only=[])) as events:
                file.unlink()
                assert await take(on, events, 1) == [WatchEvent(C.GONE, str(file))]

    faces.play(face, program)


def test_paths_that_cannot_be_watched(face: str, tmp_path: Path) -> None:
    async def program(on: faces.Play) -> None:
        for path, kind in ((tmp_path / "none", FileNotFoundError), ("", FileNotFoundError),
                           (tmp_path / ("x" * 300), OSError), (7, TypeError)):
            with pytest.raises(kind) as caught:
                on.watch(path)
            if isinstance(caught.value, OSError):
                assert caught.value.filename == os.fspath(path)

    faces.play(face, program)


def test_no_descriptors_left(face: str, tmp_path: Path) -> None:
    """At the beginning, and at a new folder later: a clear error; then it goes on where it can."""
    async def program(on: faces.Play) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        async with on.within(on.watch(tmp_path, recursive=True)) as events:
            (tmp_path / "new").mkdir()
            (tmp_path / "new" / "file").touch()
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
                with pytest.raises(OSError, match="RLIMIT_NOFILE") as caught:
                    on.watch(tmp_path)
                assert caught.value.errno == errno.EMFILE
                with pytest.raises(OSError) as caught:
                    await take(on, events, 1)
                assert (caught.value.errno, caught.value.filename) == (
                    errno.EMFILE, str(tmp_path / "new"))
                assert await brief(on, events, 1) == [("created", "new")]
                with pytest.raises(OSError, match="RLIMIT_NOFILE"):
                    await take(on, events, 1)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert await brief(on, events, 2) == [
                ("rescanned", tmp_path.name), ("created", "file")]

    faces.play(face, program)


def test_a_cancel_loses_nothing(face: str, tmp_path: Path) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.watch(tmp_path, recursive=True, only=[C.CREATED])) as events:
            found: list[WatchEvent] = []
            for number in range(30):
                (tmp_path / f"{number}").mkdir()
                (tmp_path / f"{number}" / "file").touch()
                for _ in range(3):
                    try:
                        with ringmill.timeout(0):
                            found += await take(on, events, 1)
                    except TimeoutError:
                        pass
            found += await take(on, events, 60 - len(found))
            assert sorted(str(event.path) for event in found) == sorted(
                str(tmp_path / f"{number}{name}") for number in range(30) for name in ("", "/file"))

    faces.play(face, program)


def test_close_ends_who_waits(face: str, tmp_path: Path) -> None:
    async def program(on: faces.Play) -> None:
        events = on.watch(tmp_path)
        waiting = ringmill.spawn(take(on, events, 1))
        await ringmill.aio.sleep(0.002)
        with pytest.raises(RuntimeError, match="iterating over this watch"):
            await take(on, events, 1)
        events.close()
        events.close()
        assert await waiting == []
        assert await take(on, events, 1) == []

    if face == "fiber":  # two fibers, so not one task that drives
        def main() -> None:
            events = ringmill.watch(tmp_path)
            waiting = ringmill.spawn(list, events)
            ringmill.sleep(0.002)
            with pytest.raises(RuntimeError, match="iterating over this watch"):
                next(events)
            events.close()
            assert waiting.join() == []

        ringmill.run(main)
    else:
        faces.play(face, program)


def test_dropped(face: str, tmp_path: Path) -> None:
    async def program(on: faces.Play) -> None:
        (tmp_path / "old").touch()
        events = on.watch(tmp_path)
        assert "watch" in repr(events)
        del events
        gc.collect()

    faces.play(face, program)


def test_a_fork_and_another_thread(face: str, tmp_path: Path) -> None:
    async def program(on: faces.Play) -> None:
        async with on.within(on.watch(tmp_path)) as events:
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    faces.play(face, lambda child: take(child, events, 1))
                except ClosedError:
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            (tmp_path / "new").touch()
            assert await brief(on, events, 1) == [("created", "new")]

    faces.play(face, program)

    def main() -> Any:
        async def program(on: faces.Play) -> Any:
            async with on.within(on.watch(tmp_path)) as events:
                (tmp_path / "new").unlink()
                return await brief(on, events, 1)

        return faces.play(face, program)

    assert elsewhere(main) == [("deleted", "new")]


def test_unmounted(face: str, tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    mounted = True

    async def program(on: faces.Play) -> None:
        nonlocal mounted
        async with on.within(on.watch(tmp_path)) as events:
            subprocess.run(["umount", tmp_path], check=True)
            mounted = False
            assert [event async for event in on.each(events)] == [
                WatchEvent(C.GONE, str(tmp_path), True)]

    try:
        faces.play(face, program)
    finally:
        if mounted:
            subprocess.run(["umount", tmp_path], check=True)


def test_a_loop_leaves_nothing(face: str, tmp_path: Path) -> None:
    async def program(on: faces.Play) -> None:
        for number in range(100):
            async with on.within(on.watch(tmp_path, recursive=True)) as events:
                (tmp_path / f"{number}").mkdir()
                assert await brief(on, events, 1) == [("created", f"{number}")]

    faces.play(face, program)
