"""What programs say about strands: spawn, current, wait, drive, yield_now, sleep, park and
unpark, join; in both faces.

Functions whose name ends in `_op` are the awaitable face; ringmill/aio.py gives them their
public names. Knows fibers and tasks; does not know ops by name.
"""
from ringmill.core.machine cimport Machine, machine_here
from ringmill.core.driver cimport Waiter, check_thread, here
from ringmill.core.op cimport Op
from ringmill.core.strand cimport Strand
from ringmill.core.timers cimport sleep_op as core_sleep_op
from ringmill.face.fiber cimport (
    Fiber, check_may_wait, drive as fiber_drive, fiber_new, fiber_yield, raise_would_block,
    strand_here, wait as fiber_wait,
)
from ringmill.face.task cimport pause_new, task_new

import collections.abc
import functools


cdef enum:
    CO_COROUTINE = 0x80  # inspect's: an `async def`


cdef bint is_async(object function) except -1:
    """Does calling it make a coroutine? Methods and partials are asked for their function."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    return code is not None and code.co_flags & CO_COROUTINE


cdef Strand spawn_strand(Machine machine, object function, tuple arguments, dict keywords):
    if is_async(function):
        return task_new(machine, function(*arguments, **keywords))
    if isinstance(function, collections.abc.Coroutine):
        if arguments or keywords:
            raise TypeError("a coroutine object takes no arguments; it has them already")
        return task_new(machine, function)
    return fiber_new(machine, function, arguments, keywords)


def spawn(function, *arguments, **keywords):
    """Begin a fiber that runs `function(*arguments, **keywords)`; for an `async def` function, or a
    coroutine, a task.

    It runs once the caller waits. `join()` it, or its error goes to sys.unraisablehook.
    """
    return spawn_strand(machine_here(), function, arguments, keywords)


def current():
    """The fiber or task that runs."""
    return strand_here(machine_here())


def wait(op):
    """Wait, in a fiber or a plain script, for an op, a fiber or a task; its result."""
    if isinstance(op, Op):
        if not (<Op>op).driver.dead:
            check_thread((<Op>op).driver)
            check_may_wait(<Machine>(<Op>op).driver)  # a refusal leaves the op alone
        return fiber_wait(<Op>op)
    if isinstance(op, Strand):
        check_thread((<Strand>op).driver)
        return fiber_wait((<Strand>op).join_op())
    raise TypeError(f"an op, a fiber or a task can be waited for, not {op!r}")


def drive(coroutine):
    """Run a coroutine that awaits ops, here and now, as part of this fiber; its result."""
    return fiber_drive(coroutine)


def yield_now():
    """Let everybody else who can run go first."""
    cdef Machine machine = machine_here()
    cdef Strand me = strand_here(machine)
    if not isinstance(me, Fiber) or me.queued or me.waiting is not None:
        raise_would_block()  # a task, or a finaliser while this fiber waits
    if me.must_raise:
        me.raise_pending()
    fiber_yield(machine, <Fiber>me)


def yield_now_op():
    """Let everybody else who can run go first."""
    cdef Waiter current = here().current  # None: whoever awaits it is driven by nobody yet
    if current is not None and current.must_raise:
        current.raise_pending()
    return pause_new()


cdef Op start_sleep(object seconds):
    cdef Machine machine = machine_here()
    cdef Strand me = strand_here(machine)
    if me.must_raise:
        me.raise_pending()
    return core_sleep_op(machine, machine.timers, machine.timers.deadline_in(seconds))


def sleep(seconds):
    """Wait `seconds`; 0 or less is one turn."""
    return fiber_wait(start_sleep(seconds))


def sleep_op(seconds):
    """Wait `seconds`; 0 or less is one turn."""
    return start_sleep(seconds)


cdef Op start_park():
    cdef Strand me = strand_here(machine_here())
    if me.must_raise:
        me.raise_pending()
    return me.park_op()


def park():
    """Wait until somebody calls `unpark` with this fiber; at once when somebody has already."""
    return fiber_wait(start_park())


def park_op():
    """Wait until somebody calls `unpark` with this task; at once when somebody has already."""
    return start_park()


def unpark(strand):
    """Let a fiber or task go on that waits in park(), or will; many count as one."""
    strand_of(strand).unpark()


def join_op(strand):
    """Wait for the end of a fiber or task; what it returned or raised."""
    return strand_of(strand).join_op()


cdef Strand strand_of(object strand):
    """`strand`, when it is one, and one of this thread."""
    if not isinstance(strand, Strand):
        raise TypeError(f"a fiber or a task is needed, not {strand!r}")
    check_thread((<Strand>strand).driver)
    return <Strand>strand
