"""The public Machine: the core's, and how it runs programs to their end."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypedDict, Unpack

from ringmill.core.balance import Balance
from ringmill.core.driver import _set_factory
from ringmill.core.lies import Lies
from ringmill.core.machine import Machine as CoreMachine
from ringmill.face.run import (
    check_outermost,
    end_strands,
    equip,
    has_machine,
    machine_of_thread,
    run_to_end,
    settle_writes,
)

__all__ = ["Machine", "machine", "run"]


class MachineOptions(TypedDict, total=False):
    """What a Machine may be asked for besides its kernel; see there."""

    balance: Balance | None
    spin: bool
    sqpoll: bool
    entries: int
    ops_max: int
    arena: int
    on_full: Literal["wait", "raise"]
    workers_max: int


class Options(MachineOptions, total=False):
    """What `run` and `Cluster` hand on to the machines that they make."""

    kernel: str | None


class Machine(CoreMachine):
    __doc__ = CoreMachine.__doc__

    def __init__(self, kernel: str | Lies | None = None, **options: Unpack[MachineOptions]) -> None:
        super().__init__(kernel, **options)
        equip(self)

    def run(self, main: Callable[..., Any] | Coroutine[Any, Any, Any], *arguments: Any) -> Any:
        """Run a function as the first fiber, an `async def` one or a coroutine as the first task;
        what it returns or raises.

        When it has ended, the fibers and tasks that it left behind are cancelled and awaited.
        """
        return run_to_end(self, main, arguments)

    def close(self) -> None:
        """Cancel every fiber and task, wait for their end, close the ring. Again: does nothing.

        Ops in flight are cancelled; after this no memory of the program is written any more.
        What start_write has begun is written before (it has ten seconds).
        A fiber that swallows its cancel is waited for, as asyncio.run does. For the outermost
        level: inside a fiber or task WouldBlock is raised, and nothing is closed.
        """
        if not self.closed:
            check_outermost(self)
            try:
                end_strands(self)
                settle_writes(self)
            finally:
                self.end()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def machine() -> Machine:
    """The machine of this thread, made at first use."""
    found: Machine = machine_of_thread()
    return found


def run(main: Callable[..., Any] | Coroutine[Any, Any, Any], *arguments: Any,
        **options: Unpack[Options]) -> Any:
    """Run `main` (a function, an `async def` one, or a coroutine); what it returns or raises.

    Uses the thread's machine, or makes one (with `options`, see Machine) and closes it.
    """
    if has_machine():
        if options:
            raise ValueError("this thread has a machine already; its options are decided")
        return machine().run(main, *arguments)
    with Machine(**options) as fresh:
        return fresh.run(main, *arguments)


def _close_at_exit() -> None:
    """Let `finally` blocks of suspended fibers run before the interpreter goes."""
    if has_machine() and threading.current_thread() is threading.main_thread():
        machine().close()


_set_factory(Machine)
atexit.register(_close_at_exit)
