"""One test, two faces: the same verb as a plain call in a fiber and as an awaited op.

Knows ringmill's public names only. `face` is "fiber" or "aio"; the fixtures in conftest.py pass it.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

FACES = ("fiber", "aio")


def call(face: str, verb: str, *args: Any, **kw: Any) -> Any:
    """Run `ringmill.<verb>` in a fiber, or await `ringmill.aio.<verb>` in a native task."""
    return drive(face, lambda: start(face, verb, *args, **kw))


def collect(face: str, verb: str, count: int, *args: Any, **kw: Any) -> list[Any]:
    """The first `count` items of a multishot iterator, which is closed afterwards."""
    import ringmill

    if face == "fiber":

        def main() -> list[Any]:
            each = getattr(ringmill, verb)(*args, **kw)
            items = []
            try:
                for item in each:
                    items.append(item)
                    if len(items) == count:
                        break
            finally:
                each.close()
            return items

        return ringmill.run(main)

    async def amain() -> list[Any]:
        each = getattr(ringmill.aio, verb)(*args, **kw)
        items = []
        try:
            async for item in each:
                items.append(item)
                if len(items) == count:
                    break
        finally:
            each.close()
        return items

    return ringmill.run(amain())


def start(face: str, verb: str, *args: Any, **kw: Any) -> Any:
    """The value in the fiber face, the awaitable op in the aio face."""
    import ringmill

    return getattr(ringmill if face == "fiber" else ringmill.aio, verb)(*args, **kw)


def drive(face: str, begin: Callable[[], Any]) -> Any:
    """Run `begin` as the first fiber, or await what it returns in the first native task."""
    import ringmill

    if face == "fiber":
        return ringmill.run(begin)

    async def main() -> Any:
        return await begin()

    return ringmill.run(main())


class Play:
    """A program written once, as `async def`, over the objects of one face.

    `await face(value)` is the value itself in the fiber face; `face.verb` the module's.
    """

    def __init__(self, name: str) -> None:
        import ringmill

        self.name = name
        self.module = ringmill if name == "fiber" else ringmill.aio

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.module, verb)

    async def __call__(self, value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value

    @asynccontextmanager
    async def within(self, block: Any) -> AsyncIterator[Any]:
        """`with` in the fiber face, `async with` in the other."""
        if self.name == "fiber":
            with block as entered:
                yield entered
        else:
            async with block as entered:
                yield entered

    def each(self, iterable: Any) -> Any:
        """`for` in the fiber face, `async for` in the other. No generator: it may be left."""
        return Each(iterable) if self.name == "fiber" else iterable


class Each:
    """A plain iterator for `async for`."""

    def __init__(self, iterable: Any) -> None:
        self.iterator = iter(iterable)

    def __aiter__(self) -> Each:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self.iterator)
        except StopIteration:
            raise StopAsyncIteration from None


def play(face: str, program: Callable[[Play], Coroutine[Any, Any, Any]]) -> Any:
    """Run `program`: in the fiber face it is driven by a fiber, whose calls wait by themselves."""
    import ringmill

    if face == "fiber":
        return ringmill.run(lambda: ringmill.drive(program(Play(face))))
    return ringmill.run(program(Play(face)))
