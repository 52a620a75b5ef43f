"""Trying an op on a scene, in either face, and what came of it as plain values.

Knows ringmill's public names and specimens; does not know pytest.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import ringmill
from ops.specimens import Scene
from ringmill.ops.entry import ENTRIES
from support import faces, leaks

# How often a turn is given to something that must happen: a worker thread on a busy machine may
# be late, but never by this many sleeps. Reaching it fails the test, whatever the clock says.
TURNS_MAX = 5000
NAP = 0.001


def told(error: BaseException) -> tuple[Any, ...]:
    """An error as a value that two kernels or faces can agree on."""
    if isinstance(error, OSError):
        return (type(error).__name__, error.errno, error.filename, str(error),
                error.filename2)
    return type(error).__name__, str(error)


def tried(face: str, name: str, scene: Scene) -> tuple[Any, ...]:
    """("value", …) or ("error", …): what the verb brought in this face, in a program of its own."""
    entry = ENTRIES[name]
    positional, keywords = scene.passed(entry)
    try:
        if entry.many:
            (result,) = faces.collect(face, name, 1, *positional, **keywords)
        else:
            result = faces.call(face, name, *positional, **keywords)
    except Exception as error:
        return ("error", *told(error))
    return "value", scene.seen(result)


def started(name: str, scene: Scene) -> Any:
    """The op, begun."""
    positional, keywords = scene.passed(ENTRIES[name])
    return getattr(ringmill.aio, name)(*positional, **keywords)


def awaited(face: str, op: Any) -> Any:
    """The result of an op: waited for in a fiber, or awaited in a task."""
    if face == "fiber":
        return ringmill.run(ringmill.wait, op)

    async def main() -> Any:
        return await op

    return ringmill.run(main())


def until(done: Callable[[], Any], what: str) -> None:
    """Let the machine turn until `done()`."""
    for _ in range(TURNS_MAX):
        if done():
            return
        ringmill.sleep(NAP)
    raise AssertionError(f"{what} did not happen")


def submitted(op: Any) -> None:
    """Let the machine turn until the kernel has the op."""
    until(lambda: op.state[0] != "queued", f"submission of {op!r}")


class Attempt:
    """One op (or the next result of an iterator) waited for by a fiber or task of its own."""

    def __init__(self, face: str, name: str, scene: Scene) -> None:
        self.scene = scene
        self.many = ENTRIES[name].many
        self.outcomes: list[tuple[Any, ...]] = []
        positional, keywords = scene.passed(ENTRIES[name])
        if face == "fiber":
            verb = getattr(ringmill, name)
            self.strand = ringmill.spawn(self._fiber, lambda: verb(*positional, **keywords))
        else:
            verb = getattr(ringmill.aio, name)
            self.strand = ringmill.spawn(self._task(lambda: verb(*positional, **keywords)))

    def _fiber(self, begin: Callable[[], Any]) -> None:
        try:
            if self.many:
                with begin() as each:
                    result = next(each)
            else:
                result = begin()
        except BaseException as error:
            self.outcomes.append(("error", *told(error)))
            raise
        self.outcomes.append(("value", self.scene.seen(result)))

    async def _task(self, begin: Callable[[], Any]) -> None:
        try:
            if self.many:
                with begin() as each:
                    result = await anext(each)
            else:
                result = await begin()
        except BaseException as error:
            self.outcomes.append(("error", *told(error)))
            raise
        self.outcomes.append(("value", self.scene.seen(result)))

    def waiting(self) -> None:
        """Let the machine turn until the op is in flight, and a little longer."""
        for _ in range(3):
            ringmill.sleep(NAP)
        assert not self.outcomes, "it was to wait, and did not"

    def ended(self) -> tuple[Any, ...]:
        """Wait for the strand's end; the one outcome."""
        until(lambda: self.strand.done, "the end of the strand")
        assert self.strand.error is None or self.outcomes[0][0] == "error"
        (outcome,) = self.outcomes
        return outcome


def left_open(before: dict[int, str]) -> list[str]:
    """What is open now and was not before; not the soft kernel's own, opened at first need."""
    return [what for what in leaks.new_fds(before) if "anon_inode:" not in what]


def open_sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            pass
    return count


def silently(drop: Callable[[], Any]) -> list[str]:
    """Do it, and collect; the ResourceWarnings that came, as text, do not fail the test."""
    import gc

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drop()
        gc.collect()
    return [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)]


class Iteration:
    """An iterator of either face, with the same verbs for both; used from the test itself."""

    def __init__(self, face: str, name: str, *args: Any) -> None:
        self.face = face
        self.each = getattr(ringmill if face == "fiber" else ringmill.aio, name)(*args)

    def next(self) -> Any:
        if self.face == "fiber":
            return next(self.each)
        try:
            return ringmill.spawn(step(self.each)).join()
        except StopAsyncIteration:
            raise StopIteration from None

    def rest(self) -> list[Any]:
        items = []
        while True:
            try:
                items.append(self.next())
            except StopIteration:
                return items

    def close(self) -> None:
        self.each.close()


async def step(each: Any) -> Any:
    return await anext(each)
