"""One test, two faces: the same verb as a plain call in a fiber and as an awaited op.

Knows ringmill's public names only. `face` is "fiber" or "aio"; the fixtures in conftest.py pass it.
"""

from __future__ import annotations

from collections.abc import Callable
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
