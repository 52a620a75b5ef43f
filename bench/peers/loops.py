"""The event loops by name, for peers that are the same program on each of them."""

import asyncio
import sys
from collections.abc import Callable, Coroutine

from lap import CANNOT


def run(loop: str, main: Coroutine[object, object, None]) -> None:
    """Run `main` on asyncio's own loop, uvloop or rloop."""
    with asyncio.Runner(loop_factory=factory(loop)) as runner:
        try:
            runner.run(main)
        except NotImplementedError:
            print(f"{loop} does not offer this", file=sys.stderr)
            sys.exit(CANNOT)


def factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if loop == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    if loop == "rloop":
        import rloop

        return rloop.new_event_loop
    return asyncio.SelectorEventLoop
