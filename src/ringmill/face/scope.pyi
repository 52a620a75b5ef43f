"""Scopes, as type checkers see them."""
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, final, overload

from ringmill.face.fiber import Fiber
from ringmill.face.task import Task

@final
class scope:
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool: ...
    @overload
    def spawn(self, function: Coroutine[Any, Any, Any]) -> Task: ...
    @overload
    def spawn(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Fiber: ...
    def cancel(self) -> None: ...
    @property
    def cancelled(self) -> bool: ...
