"""Calls in threads, as type checkers see them."""
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ringmill.core.op import Op

_P = ParamSpec("_P")
_R = TypeVar("_R")

def in_thread(function: Callable[_P, _R], *arguments: _P.args, **keywords: _P.kwargs) -> _R: ...
def in_thread_op(
    function: Callable[_P, _R], *arguments: _P.args, **keywords: _P.kwargs,
) -> Op[_R]: ...
