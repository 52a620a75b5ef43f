"""One program for both faces: an awaitable file behind the methods of a plain one."""

from __future__ import annotations

import functools
from typing import Any

import ringmill


class Awaited:
    """An awaitable file whose methods are called: each in a task of its own machine's."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.file, name)
        if not callable(found):
            return found
        return functools.partial(_done, found)

    def __iter__(self) -> Awaited:
        return self

    def __next__(self) -> Any:
        try:
            return _done(self.file.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Awaited:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _done(method: Any, *arguments: Any, **keywords: Any) -> Any:
    answer = method(*arguments, **keywords)
    return ringmill.drive(answer) if hasattr(answer, "__await__") else answer


def opened(face: str, path: Any, *arguments: Any, **keywords: Any) -> Any:
    """An open file with plain methods, of either face."""
    if face == "fiber":
        return ringmill.open_file(path, *arguments, **keywords)

    async def main() -> Any:
        return await ringmill.aio.open_file(path, *arguments, **keywords)

    return Awaited(ringmill.run(main()))
