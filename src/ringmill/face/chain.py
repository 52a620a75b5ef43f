"""Chains: steps that depend on each other, given to the kernel as one (T15).

Where the kernel can, all steps are linked and submitted together: one system call for open, stat,
read and close of a small file. Where it cannot, they are awaited one after the other, with the same
results. Knows links and ops; does not know any verb but those that open and close.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from ringmill.core.links import Links, Place, give_place, take_place
from ringmill.errors import Cancelled
from ringmill.face.spawn import drive
from ringmill.face.step import Step
from ringmill.face.steps import Steps
from ringmill.ops import aio

OPENERS = ("open", "socket")


class Chain(Steps):
    """A plan of steps, each a verb of ringmill; `await chain` or `chain.run()` does them in order.

    >>> chain = Chain()
    >>> file = chain.open(folder / "hello", os.O_RDONLY)
    >>> about = chain.stat(folder / "hello")
    >>> data = chain.read(file, 100)
    >>> chain.close(file)
    >>> chain.run()[2]
    b'Hello, ring!\\r\\n'

    The result is a list with that of each step. A step that fails ends the chain: those behind it
    are not done, its error is raised with a note that names it, and `failed` is that step.
    A transfer that is shorter than asked is no failure, and its count is the step's result.

    What `open` or `socket` returns may stand where a later step wants a descriptor. Such a file
    lives in the chain only: it is closed at its end, by a step or without one, and its result is
    None.

    A chain can be run again, and in several fibers at once. A cancel ends the step that is in
    flight; those behind it are not done.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.failed: Step | None = None

    def add(self, verb: str, *arguments: Any, **keywords: Any) -> Step:
        """One more step; the typed methods are made of this."""
        for argument in (*arguments, *keywords.values()):
            if isinstance(argument, Step):
                self._use(argument)
        step = Step(verb, len(self.steps), arguments, keywords)
        if verb == "close":
            self._close(step)
        self.steps.append(step)
        return step

    def _use(self, step: Step) -> None:
        if step.index >= len(self.steps) or self.steps[step.index] is not step:
            raise ValueError(f"{step!r} is of another chain")
        if step.verb not in OPENERS:
            raise TypeError(f"{step!r} opens nothing: no other step can use it as a file")
        if any(step is earlier.closes for earlier in self.steps):
            raise ValueError(f"{step!r} has been closed by an earlier step")
        step.used = True

    def _close(self, step: Step) -> None:
        file = step.arguments[0]
        if isinstance(file, Step):
            step.closes = file
        elif not isinstance(file, int):
            raise TypeError("a step closes a descriptor or a file of its chain; an object would "
                            "be closed even where the step is never done")

    def run(self) -> list[Any]:
        """Do all steps; their results. For fibers and plain scripts."""
        results: list[Any] = drive(self._run())
        return results

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._run().__await__()

    async def _run(self) -> list[Any]:
        self.failed = None
        run = _Run(self.steps)
        try:
            while len(run.results) < len(self.steps):
                await run.on()
        except GeneratorExit:
            raise  # dropped half-way: nobody may wait any more
        except BaseException as error:
            if isinstance(error, OSError):
                self._tell(error, self.steps[len(run.results)])
            await run.end()
            raise
        await run.end()
        return run.results

    def _tell(self, error: OSError, step: Step) -> None:
        self.failed = step
        error.add_note(f"in step {step.index + 1} of {len(self.steps)} of a chain: {step.verb}")


class _Run:
    """One run of a chain: where it stands, and the files that it has open."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.results: list[Any] = []  # of the steps that are done
        self.files: dict[Step, Any] = {}  # Places, or descriptors where it goes step by step
        self.linked = self._reserve()

    def _reserve(self) -> bool:
        """A place for each file of the chain; without them it goes step by step."""
        for step in self.steps:
            if step.used:
                place = take_place()
                if place is None:
                    self._release()
                    return False
                self.files[step] = place
        return True

    def _release(self) -> None:
        for place in self.files.values():
            give_place(place)
        self.files.clear()

    async def on(self) -> None:
        """Do what can be done in one submission, or one step."""
        links = await self._begin() if self.linked else None
        if links is not None:
            await self._settle(links)
        else:
            if self.linked:  # refused, and nothing has been done yet
                self.linked = False
                self._release()
            await self._single()

    async def _begin(self) -> Links | None:
        """Submit the steps that are left, linked; None where that cannot be."""
        links = Links()
        left = self.steps[len(self.results):]
        for step in left:
            place = self.files[step] if step.used else None
            links.step(place, getattr(aio, step.verb), *self._passed(step))
        try:
            return links if links.submit(_closing(left)) else None
        except BaseException:
            await links.quiet(0)  # no slots for all of them: those that were pushed are taken back
            raise

    def _passed(self, step: Step) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The step's arguments, with files in place of the steps that open them."""
        files = self.files
        return (tuple(files[a] if isinstance(a, Step) else a for a in step.arguments),
                {name: files[a] if isinstance(a, Step) else a
                 for name, a in step.keywords.items()})

    async def _settle(self, links: Links) -> None:
        """Take the results. Returns early when a short transfer broke the link: what is left of
        the chain is submitted anew."""
        ops = links.ops
        for position, op in enumerate(ops):
            try:
                result = await op
            except BaseException as error:
                behind = isinstance(error, Cancelled) and op.done and not links.asked(op)
                await links.quiet(position)
                if behind and position > 0:
                    return
                raise
            self._done(result)

    async def _single(self) -> None:
        """One step by itself, with ordinary descriptors."""
        step = self.steps[len(self.results)]
        arguments, keywords = self._passed(step)
        result = await getattr(aio, step.verb)(*arguments, **keywords)
        if step.used:
            self.files[step] = result
            result = None
        self._done(result)

    def _done(self, result: Any) -> None:
        """The next step has ended well. A close leaves nothing to be closed."""
        step = self.steps[len(self.results)]
        self.results.append(result)
        if step.closes is not None:
            file = self.files.pop(step.closes)
            if isinstance(file, Place):
                give_place(file)

    async def end(self) -> None:
        """Close what the chain has opened and not closed."""
        while self.files:
            _, file = self.files.popitem()
            if isinstance(file, Place):
                await _clear(file)
            else:
                await aio.close(file)


async def _clear(place: Place) -> None:
    """Close what may be open there; only then may another chain have the place."""
    links = Links()
    links.step(None, aio.close, (place,), {})
    if links.submit(0):
        with contextlib.suppress(OSError):  # EBADF: its open has not happened
            await links.ops[0]
    give_place(place)


def _closing(steps: list[Step]) -> int:
    """From which step on there is nothing but closes of the chain's own files.

    They are done whatever became of the one before: a read that is shorter than asked would break
    the link, and the file must be closed in any case.
    """
    at = len(steps)
    while at > 1 and steps[at - 1].closes is not None:
        at -= 1
    return at
