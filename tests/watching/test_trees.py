"""Whole trees: who applies the events has, at the end, the names that are there. Always.

Scenarios once in a burst, before anybody looks, and once step by step; then trees that another
thread changes at random while they are watched.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ringmill
from ringmill import Change
from support import faces, programs
from support.tree_model import Model, exchange, look

C = Change


async def until(on: faces.Play, events: Any, model: Model, name: str) -> None:
    """Apply what is told, until all that has happened so far is: a file made last says so.

    Two of them: when all is looked at anew, the first is found among the others.
    """
    for number in (1, 2):
        mark = model.root / f"until {name} {number}"
        mark.touch()
        async for event in on.each(events):
            model.apply(event)
            if event.path == str(mark) and event.change is C.CREATED:
                break
        mark.unlink()


def agree(model: Model) -> None:
    """What was told is what there is. The mark of until() is gone, or its end not told yet."""
    there = look(model.root)
    told = {name: is_dir for name, is_dir in model.names.items() if not name.startswith("until")}
    assert told == there, sorted(told.items() ^ there.items())


def all_watched(events: Any, model: Model) -> None:
    """Each folder by a watch of its own, and nothing else."""
    watched = sorted(folder.path() for folder in events._keeper.folders.values())
    assert watched == sorted(["", *(name for name, is_dir in model.names.items() if is_dir)])


def prepare(tmp_path: Path) -> tuple[Path, Path]:
    """A tree to be watched, and one beside it."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    for top in (root, outside):
        for folder in ("a/b/c", "d", "e/f"):
            (top / folder).mkdir(parents=True)
        for file in ("one", "a/two", "a/b/three", "a/b/c/four", "d/five"):
            (top / file).write_bytes(b"x")
    return root, outside


Steps = Iterator[None]


def made_deep(root: Path, _outside: Path) -> Steps:
    (root / "n" / "n" / "n").mkdir(parents=True)
    (root / "n" / "n" / "n" / "file").touch()
    yield
    shutil.rmtree(root / "n")
    yield


def made_and_gone(root: Path, _outside: Path) -> Steps:
    for _ in range(3):
        (root / "n").mkdir()
        (root / "n" / "file").touch()
        shutil.rmtree(root / "n")
        yield


def folder_moved(root: Path, _outside: Path) -> Steps:
    (root / "a").rename(root / "e" / "a")
    (root / "e" / "a" / "b" / "new").touch()
    yield
    (root / "e").rename(root / "z")
    (root / "z" / "a" / "b" / "newer").touch()
    yield


def folder_moved_into_a_new_one(root: Path, _outside: Path) -> Steps:
    (root / "p").mkdir()
    (root / "a").rename(root / "p" / "a")
    yield
    (root / "p" / "a" / "b" / "later").touch()
    yield
    (root / "p" / "a").rename(root / "p" / "q")
    (root / "p" / "q" / "b" / "later").unlink()
    yield


def folder_moved_out_and_back(root: Path, outside: Path) -> Steps:
    (root / "a").rename(outside / "x")
    yield
    (outside / "x" / "unseen").touch()
    (outside / "x" / "b" / "three").unlink()
    yield
    (outside / "x").rename(root / "a")
    yield
    (root / "a" / "b" / "seen").touch()
    yield


def folder_moved_in(root: Path, outside: Path) -> Steps:
    (outside / "a").rename(root / "in")
    (root / "in" / "b" / "new").touch()
    yield
    (root / "in" / "b").rename(root / "d" / "b")
    yield


def replaced_by_another(root: Path, outside: Path) -> Steps:
    (root / "a").rename(outside / "x")
    (outside / "a").rename(root / "a")
    (root / "a" / "new").touch()
    yield


def empty_folder_overwritten(root: Path, _outside: Path) -> Steps:
    (root / "a").rename(root / "e" / "f")
    (root / "e" / "f" / "new").touch()
    yield


def file_and_folder_change_kinds(root: Path, _outside: Path) -> Steps:
    (root / "one").unlink()
    (root / "one").mkdir()
    (root / "one" / "file").touch()
    yield
    shutil.rmtree(root / "d")
    (root / "d").touch()
    yield


def files_overwritten(root: Path, outside: Path) -> Steps:
    for number in range(3):
        (root / "tmp").write_bytes(b"%d" % number)
        (root / "tmp").rename(root / "one")
        yield
    (outside / "one").rename(root / "one")
    yield


def exchanged(root: Path, _outside: Path) -> Steps:
    exchange(root / "a", root / "d")
    yield
    (root / "d" / "b" / "new").touch()
    (root / "a" / "newer").touch()
    yield
    exchange(root / "a", root / "one")
    yield


def there_and_back(root: Path, _outside: Path) -> Steps:
    (root / "one").rename(root / "a" / "two")
    (root / "a" / "two").rename(root / "one")
    yield


def links(root: Path, outside: Path) -> Steps:
    (root / "link").symlink_to(outside)
    (outside / "not ours").touch()
    os.link(root / "one", root / "d" / "hard")
    yield
    (root / "link").rename(root / "a" / "link")
    yield
    (root / "a" / "link").unlink()
    yield


def a_place_taken_by_another(root: Path, _outside: Path) -> Steps:
    """Paths that mean something else by the time they are looked at."""
    (root / "n").mkdir()
    (root / "n" / "old").mkdir()
    (root / "n").rename(root / "m")
    (root / "n").mkdir()
    (root / "n" / "young").mkdir()
    yield
    (root / "m" / "old" / "file").touch()
    (root / "n" / "young" / "file").touch()
    yield


SCENARIOS: list[Callable[[Path, Path], Steps]] = [
    made_deep, made_and_gone, folder_moved, folder_moved_into_a_new_one,
    folder_moved_out_and_back, folder_moved_in, replaced_by_another, empty_folder_overwritten,
    file_and_folder_change_kinds, files_overwritten, exchanged, there_and_back, links,
    a_place_taken_by_another,
]


@pytest.mark.parametrize("burst", [True, False], ids=["burst", "steps"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.usefixtures("machine")
def test_scenarios(face: str, tmp_path: Path, scenario: Any, burst: bool) -> None:
    root, outside = prepare(tmp_path)

    async def program(on: faces.Play) -> None:
        model = Model(root)
        async with on.within(on.watch(root, recursive=True)) as events:
            for number, _ in enumerate(scenario(root, outside)):
                if not burst:
                    await until(on, events, model, f"step {number}")
                    agree(model)
            await until(on, events, model, "the end")
            agree(model)
            all_watched(events, model)
            # Everything is watched, and under its name.
            for name, is_dir in model.names.copy().items():
                if is_dir:
                    (root / name / "last").touch()
            await until(on, events, model, "the very end")
            agree(model)
            if scenario not in (exchanged, there_and_back):
                assert C.RESCANNED not in {event.change for event in model.told}

    faces.play(face, program)


class Vandal(threading.Thread):
    """Changes two trees at random, and moves things between them."""

    def __init__(self, seed: int, root: Path, outside: Path, steps: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        self.root, self.outside, self.steps = root, outside, steps

    def run(self) -> None:
        for _ in range(self.steps):
            try:
                self.step()
            except OSError:
                pass  # it wanted something impossible
            if self.chance.random() < 0.05:
                threading.Event().wait(self.chance.random() * 0.003)

    def somewhere(self, top: Path) -> Path:
        """A folder that exists."""
        folders = [top, *(top / name for name, is_dir in look(top).items() if is_dir)]
        return self.chance.choice(folders)

    def something(self, top: Path) -> Path:
        names = [name for name in look(top) if not name.startswith("until")]
        return top / self.chance.choice([*names, "nothing"])

    def fresh(self, top: Path) -> Path:
        return self.somewhere(top) / self.chance.choice("abcdefgh")

    def step(self) -> None:
        root, outside = self.root, self.outside
        what = self.chance.randrange(12)
        if what < 2:
            self.fresh(root).mkdir()
        elif what == 2:
            (self.fresh(root) / "x" / "y").mkdir(parents=True)
        elif what < 5:
            self.fresh(root).write_bytes(b"data")
        elif what == 5:
            self.something(root).unlink()
        elif what == 6:
            shutil.rmtree(self.something(root))
        elif what < 9:
            self.something(root).rename(self.fresh(root))
        elif what == 9:
            self.something(root).rename(self.fresh(outside))
        elif what == 10:
            self.something(outside).rename(self.fresh(root))
        elif self.chance.random() < 0.2:
            exchange(self.something(root), self.something(root))


async def vandalized(on: faces.Play, tmp_path: Path, seed: int, steps: int) -> None:
    root, outside = prepare(tmp_path)
    model = Model(root)
    async with on.within(on.watch(root, recursive=True)) as events:
        vandal = Vandal(seed, root, outside, steps)
        vandal.start()
        rounds = 0
        while vandal.is_alive():
            rounds += 1
            await until(on, events, model, f"round {rounds}")
            await ringmill.aio.sleep(0.001)
        vandal.join()
        await until(on, events, model, "the end")
        await until(on, events, model, "the very end")
        agree(model)
        all_watched(events, model)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.usefixtures("machine")
def test_any_tree(face: str, tmp_path: Path, seed: int) -> None:
    faces.play(face, lambda on: vandalized(on, tmp_path, seed, 200))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 200))
@pytest.mark.usefixtures("machine")
def test_any_tree_for_long(face: str, tmp_path: Path, seed: int) -> None:
    faces.play(face, lambda on: vandalized(on, tmp_path, seed, 2000))


@pytest.mark.usefixtures("machine")
def test_the_queue_overflows(face: str, tmp_path: Path) -> None:
    """The kernel drops what does not fit: that is told, everything is looked at, and it goes on."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))
    if limit > 50_000:
        pytest.skip(f"{limit} events would have to be made")
    root, outside = prepare(tmp_path)

    async def program(on: faces.Play) -> None:
        model = Model(root)
        async with on.within(on.watch(root, recursive=True)) as events:
            for _ in range(limit // 2 + 1):
                (root / "flicker").mkdir()
                (root / "flicker").rmdir()
            (root / "a").rename(outside / "x")
            (root / "d" / "lost").mkdir()
            (root / "d" / "lost" / "file").touch()
            (root / "one").unlink()
            (root / "one").mkdir()
            await until(on, events, model, "the end")
            assert sum(event.change is C.RESCANNED for event in model.told) == 1
            agree(model)
            assert ("created", "d/lost/file") in model.changes()
            (root / "d" / "lost" / "later").touch()
            await until(on, events, model, "the very end")
            agree(model)

    faces.play(face, program)


@pytest.mark.usefixtures("machine")
def test_cancelled_while_it_looks_anew(face: str, tmp_path: Path) -> None:
    """At any point: the next one who asks has it done."""
    root, _outside = prepare(tmp_path)
    for number in range(100):
        (root / f"folder {number}").mkdir()

    async def program(on: faces.Play) -> None:
        model = Model(root)
        async with on.within(on.watch(root, recursive=True)) as events:
            events._keeper.lost = True
            (root / "missed").touch()
            interrupted = 0
            for turns in range(8):
                asking = ringmill.spawn(*([next, events] if face == "fiber" else
                                          [events.__anext__()]))
                for _ in range(turns):
                    await ringmill.aio.yield_now()
                asking.cancel()
                interrupted += events._keeper.before is not None
                try:
                    model.apply(await asking)
                except ringmill.Cancelled:
                    pass
            assert interrupted
            await until(on, events, model, "the end")
            assert model.changes()[0] == ("rescanned", ".")
            agree(model)

    faces.play(face, program)


PROGRAM = """
import os, sys, pathlib, ringmill
root = pathlib.Path(sys.argv[1])
kernel = os.environ["RINGMILL_KERNEL"]
def told(events, count):
    return [(event.change.value, os.path.relpath(event.path, root))
            for _, event in zip(range(count), events)]
"""


def test_no_watches_left(kernel: str, tmp_path: Path) -> None:
    """In a user namespace, whose limit is ours to set."""
    before = ("unshare", "--user", "--map-root-user")
    if subprocess.run([*before, "sh", "-c", "echo 3 > /proc/sys/user/max_inotify_watches"],
                      capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert programs.clean(PROGRAM + """
limit = pathlib.Path("/proc/sys/user/max_inotify_watches")
limit.write_text("3")
with ringmill.watch(root, recursive=True) as events:
    (root / "new").mkdir()
    for _ in range(3):
        try:
            print(told(events, 1))
        except OSError as error:
            print(error.errno, "max_user_watches" in str(error), error.filename is not None)
    limit.write_text("4")
    (root / "new" / "file").touch()
    print(told(events, 2))
limit.write_text("2")
try:
    ringmill.watch(root, recursive=True)
except OSError as error:
    print(error.errno)
""", tmp_path, before=before, kernel=kernel).splitlines() == [
        "28 True True", "[('created', 'new')]", "28 True True",
        "[('rescanned', '.'), ('created', 'new/file')]", "28"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_a_folder_that_may_not_be_read(kernel: str, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/tmp") and path != Path("/"):
            path.chmod(0o755)
    os.chown(tmp_path / "closed", 65534, 65534)
    (tmp_path / "closed").chmod(0o000)
    assert programs.clean(PROGRAM + """
os.setuid(65534)
with ringmill.watch(root, recursive=True) as events:
    print(told(events, 1))
    (root / "closed").chmod(0o700)
    print(told(events, 1))
    (root / "closed" / "file").touch()
    print(told(events, 1))
""", tmp_path, kernel=kernel).splitlines() == [
        "[('unwatched', 'closed')]", "[('attributes', 'closed')]", "[('created', 'closed/file')]"]


def test_mounted_at_a_second_place(kernel: str, tmp_path: Path) -> None:
    """One watch serves both, so one of them is not told of: which is said, once."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "m").mkdir()
    mount = f'mount --bind {tmp_path}/a {tmp_path}/m && exec "$@"'
    before = ("unshare", "--mount", "sh", "-c", mount, "sh")
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    out = programs.clean(PROGRAM + """
with ringmill.watch(root, recursive=True) as events:
    (root / "a" / "new").touch()
    print(sorted(told(events, 2)))
""", tmp_path, before=before, kernel=kernel)
    assert out in ("[('created', 'a/new'), ('unwatched', 'm')]\n",
                   "[('created', 'm/new'), ('unwatched', 'a')]\n")
