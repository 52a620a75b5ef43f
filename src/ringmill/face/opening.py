"""What an opener of the awaitable face gives: `await` it for the thing, or `async with` it.

Knows neither what is opened nor how.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar


class Block(Protocol):
    """Something to use in `async with`."""

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> bool | None: ...


T = TypeVar("T", bound=Block)


class Opening(Generic[T]):
    """`thing = await open_it()`, or `async with open_it() as thing:`. Once, one of the two."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._thing: T | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    async def __aenter__(self) -> T:
        thing = self._thing = await self._coroutine
        entered: T = await thing.__aenter__()
        return entered

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> bool | None:
        assert self._thing is not None, "entered before it is left"
        return await self._thing.__aexit__(kind, error, traceback)
