"""Fibers: calls that look synchronous, on greenlets that switch directly to each other.

There is no hub: whoever has to wait asks the machine who is next and switches there, or turns
the machine itself. A call outside any fiber (a plain script) is the base: the same, on the
thread's own stack.

Three rules of greenlets shape this file. A fresh greenlet inherits the C stack position and
recursion depth of whoever begins it, so fresh ones are begun by the base only, and ended ones are
pooled. An exception must not leave a greenlet. Nothing is ever thrown into one: a cancel is a
flag, and the waiting call raises.

Knows strands and greenlets; does not know what an op does.
"""
cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

from ringmill.core.each cimport Each
from ringmill.core.machine cimport Machine, machine_ended, machine_here
from ringmill.core.driver cimport Waiter, check_thread, ready_push, ready_remove
from ringmill.core.op cimport K_DONE, P_DETACHED, Op, op_attach, op_request_cancel, op_take
from ringmill.core.strand cimport Strand
from ringmill.core.turn cimport machine_next
from ringmill.face.capi cimport (
    PYGEN_ERROR, PYGEN_RETURN, PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit, PyIter_Send,
    PySendResult, reraise,
)
from ringmill.face.greenlets cimport (
    PyGreenlet, PyGreenlet_GetCurrent, PyGreenlet_Import, PyGreenlet_SetParent, _PyGreenlet_API,
    greenlet_here, greenlet_new, greenlet_root, greenlet_switch,
)

import types

from greenlet import GreenletExit

from ringmill.errors import Cancelled, ClosedError, WouldBlock

cdef extern from *:
    """
    static inline PyObject *rm_put_handled_away(void) {
        PyObject *handled = PyErr_GetHandledException();
        if (handled) PyErr_SetHandledException(NULL);
        return handled;
    }
    static inline void rm_take_handled_back(PyObject *handled) {
        if (!handled) return;
        PyErr_SetHandledException(handled);
        Py_DECREF(handled);
    }
    """
    PyObject *put_handled_away "rm_put_handled_away"()
    void take_handled_back "rm_take_handled_back"(PyObject *handled)

cdef extern from "slots.h":
    int rm_no_new(object type)

cdef enum:
    POOL_MAX = 256  # ended greenlets kept: about 6 KiB each

PyGreenlet_Import()
if _PyGreenlet_API == NULL:
    raise ImportError("greenlet's C API is not there; greenlet >= 3.0 is needed")


# ── hot path: waiting ───────────────────────────────────────────────────────────────────────

cdef object wait(Op op):
    """Let others run until `op` is done; its result."""
    if op.kernel != K_DONE:
        fiber_block(op)
    return op_take(op)


cdef int fiber_block(Op op) except -1:
    cdef Machine machine = <Machine>op.driver
    check_thread(machine)  # before anything of another thread's machine is written
    if nobody_may_wait(machine):
        return refuse(op)
    cdef Fiber me = fiber_here(machine)
    if me.waiting is not None or me.queued:
        return refuse(op)  # a finaliser, run by the collector while this fiber waits
    op_attach(op, me)
    me.waiting = op
    if me.must_raise:
        op_request_cancel(op)
    try:
        fiber_suspend(machine, me)
    except BaseException:
        op.waiter = None
        me.waiting = None
        raise
    return me.woken()


cdef int refuse(Op op) except -1:
    """Nobody may wait here. The op is still in the SQ: it certainly does not happen (but for a
    close, which is not cancellable: a finaliser that closes a file does close it)."""
    op_request_cancel(op)
    op.program = P_DETACHED
    return raise_would_block()


cdef int raise_would_block() except -1:
    raise WouldBlock(
        "this call would block the task, callback or finaliser that runs; in a coroutine, await "
        "the op of the same name in ringmill.aio")


cdef int fiber_suspend(Machine machine, Fiber me) except -1:
    """Let others run until somebody has put `me` on the runqueue and it is its turn."""
    cdef Waiter waiter
    cdef Fiber next
    try:
        while not machine.dead:
            waiter = machine_next(machine)
            if not isinstance(waiter, Fiber):
                waiter = run_inline(machine, waiter, me)
            if waiter is me:
                machine.current = me
                return 0
            if waiter is not None:
                next = <Fiber>waiter
                waiter = None
                fiber_prepare(machine, me, next)
                next = None  # while we are away, nobody is kept alive by our stack
                fiber_switch(machine, me)
                return 0  # whoever switched here has taken us from the runqueue
    except BaseException:
        ready_remove(machine, me)  # or it would be woken in its next wait
        raise
    return raise_dead(machine)


cdef int fiber_yield(Machine machine, Fiber me) except -1:
    """Let everybody else who can run go first; then raise what was asked for meanwhile."""
    ready_push(machine, me)
    fiber_suspend(machine, me)
    return me.raise_pending() if me.must_raise else 0


cdef int raise_dead(Machine machine) except -1:
    if machine.struck is not None:
        raise machine.struck  # a forked child that ends, in a task or fiber
    raise ClosedError("the machine was closed while this call waited")


cdef Waiter run_inline(Machine machine, Waiter waiter, Waiter me):
    """Run task steps and callbacks on whatever stack is at hand, until a fiber is next: that
    fiber, or None when the machine has ended.

    Not within the `except` block of who waits there: the error handled is each one's own.
    """
    cdef PyObject *handled = put_handled_away()
    try:
        while waiter is not None and not isinstance(waiter, Fiber):
            machine.current = waiter
            waiter.run()
            machine.current = me
            waiter = None if machine.dead else machine_next(machine)
    finally:
        machine.current = me
        take_handled_back(handled)
    return waiter


cdef inline bint nobody_may_wait(Machine machine) noexcept:
    """In a task's step, in a callback, and in a finaliser while completions are taken in."""
    return machine.looking or machine.turning or (
        machine.current is not None and not isinstance(machine.current, Fiber))


cdef Fiber fiber_here(Machine machine):
    """The fiber that runs; for a greenlet that is not ours, one that stands for it."""
    cdef Waiter current = machine.current
    cdef object greenlet
    if nobody_may_wait(machine):
        raise_would_block()
    greenlet = greenlet_here()
    if current is not None and (<Fiber>current).greenlet is greenlet:
        return <Fiber>current
    return fiber_adopt(machine, greenlet)


cdef int fiber_prepare(Machine machine, Fiber me, Fiber next) except -1:
    """Make `next` the one that fiber_switch() continues with; one that has not begun gets a
    pooled greenlet, or a fresh one, which only the parked one begins.

    Whatever is made here may collect garbage: until all is ready it is `me` who runs.
    """
    cdef Fibers fibers = <Fibers>machine.face
    if next.greenlet is None:
        if fibers.pool:
            next.greenlet = fibers.pool.pop()
        elif fibers.parked is None or fibers.parked is me:
            next.greenlet = greenlet_new(_fiber_main, me.greenlet)
        else:
            fibers.to_begin = next
            machine.current = fibers.parked
            return 0
    machine.current = next
    return 0


cdef int fiber_switch(Machine machine, Fiber me) except -1:
    """Continue with machine.current; returns when somebody continues with `me`."""
    cdef Fibers fibers = <Fibers>machine.face
    cdef Fiber next
    cdef bint opens = fibers.parked is None
    if opens:
        fibers.parked = me
    try:
        greenlet_switch((<Fiber>machine.current).greenlet)
        while opens and fibers.to_begin is not None:
            next, fibers.to_begin = fibers.to_begin, None
            machine.current = me
            fiber_prepare(machine, me, next)
            next = None
            greenlet_switch((<Fiber>machine.current).greenlet)
    finally:
        machine.current = me
        if opens:
            fibers.parked = None
    if opens and fibers.fatal is not None:
        error = fibers.fatal
        fibers.fatal = None
        raise error
    if machine.dead:
        raise_dead(machine)
    return 0


# ── a fiber's greenlet ──────────────────────────────────────────────────────────────────────

def _fiber_main(*_):
    """The body of every fiber's greenlet: run a fiber, then whoever is next, for ever."""
    cdef Machine machine = machine_here()
    cdef Fibers fibers = <Fibers>machine.face
    # Borrowed: a greenlet whose own stack refers to it would never be freed.
    cdef PyObject *mine = <PyObject *>PyGreenlet_GetCurrent()
    Py_DECREF(<object>mine)
    cdef Fiber fiber = <Fiber>machine.current
    try:
        while fiber is not None:
            fiber_run(machine, fiber)
            fiber.greenlet = None
            machine.current = fiber = None  # a pooled greenlet must not keep the ended one
            fiber = fiber_next(machine, fibers, mine)
    except GreenletExit:
        pass  # the pool is let go of
    except BaseException as error:
        # Nothing may leave a greenlet: the base, which we return to, raises it instead.
        fibers.fatal = error
        if fibers.parked is not None:
            PyGreenlet_SetParent(<PyGreenlet *>mine, <PyGreenlet *>fibers.parked.greenlet)


cdef Fiber fiber_next(Machine machine, Fibers fibers, PyObject *mine):
    """After a fiber has ended: the next one to run on its greenlet; None: let the greenlet end."""
    cdef Waiter waiter
    cdef object other
    while not machine.dead:
        waiter = machine_next(machine)
        if not isinstance(waiter, Fiber):
            waiter = run_inline(machine, waiter, None)
        if waiter is None:
            continue
        machine.current = waiter
        other = (<Fiber>waiter).greenlet
        if other is None:  # not begun: no switch at all, on with it here
            (<Fiber>waiter).greenlet = <object>mine
            return <Fiber>waiter
        waiter = None  # the pool must keep nobody alive
        if len(fibers.pool) == POOL_MAX:
            PyGreenlet_SetParent(<PyGreenlet *>mine, <PyGreenlet *>other)
            return None
        fibers.pool.append(<object>mine)
        try:
            greenlet_switch(other)
        except BaseException:  # GreenletExit: the thread ends
            if <object>mine in fibers.pool:
                fibers.pool.remove(<object>mine)
            raise
        return <Fiber>machine.current  # taken from the pool
    return None


cdef void fiber_run(Machine machine, Fiber fiber) noexcept:
    """Run the fiber's function; whatever comes of it goes into the fiber."""
    value = error = None
    if fiber.must_raise:  # cancelled before it began: it never does
        error = fiber.pending if fiber.pending is not None else Cancelled()
        fiber.pending = None
    else:
        PyContext_Enter(fiber.context)
        try:
            value = fiber.function(*fiber.arguments, **fiber.keywords)
        except GreenletExit:
            error = Cancelled()  # its machine has ended
        except BaseException as caught:
            error = caught
        PyContext_Exit(fiber.context)
    fiber.function = fiber.arguments = fiber.keywords = None
    fiber.context = None
    machine_ended(machine, fiber, value, error)


# ── making and ending fibers ────────────────────────────────────────────────────────────────

cdef class Fibers:
    """What this floor keeps on a machine."""

    def __cinit__(self):
        self.pool = []
        self.kept = {}

    def let_go(self, strands):
        """The machine has ended: drop every greenlet now, not when the collector comes.

        At a thread's end greenlet counts the references to its own, and gets lost when a
        collection takes the last one meanwhile. What is suspended unwinds (GreenletExit).
        """
        for strand in list(strands):
            if isinstance(strand, Fiber):
                (<Fiber>strand).greenlet = None
        self.pool.clear()
        if self.base is not None:
            self.base.greenlet = None
            self.base = None
        self.parked = self.to_begin = None
        self.asyncgens.end()
        for each in self.kept.values():
            each.let_go()
        self.kept.clear()


cdef Fiber fiber_adopt(Machine machine, object greenlet):
    """Let a Fiber stand for a greenlet that we did not begin: the plain script's, or another's."""
    cdef Fibers fibers = <Fibers>machine.face
    cdef Fiber fiber = fibers.base
    if fiber is None:
        fiber = fibers.base = fiber_standing(machine, greenlet_root(greenlet))
        if machine.main is None:
            machine.main = fiber
    if fiber.greenlet is not greenlet:
        fiber = None
        for strand in machine.strands:  # one of ours that switched to somebody else's and back
            if isinstance(strand, Fiber) and (<Fiber>strand).greenlet is greenlet:
                fiber = <Fiber>strand
                break
        if fiber is None:
            fiber = fiber_standing(machine, greenlet)
    machine.current = fiber
    return fiber


cdef Fiber fiber_standing(Machine machine, object greenlet):
    cdef Fiber fiber = Fiber.__new__(Fiber)
    fiber.driver = machine
    fiber.name = "main"
    fiber.greenlet = greenlet
    return fiber


cdef Fiber fiber_new(Machine machine, object function, tuple arguments, dict keywords):
    cdef Fiber fiber = Fiber.__new__(Fiber)
    if not callable(function):
        raise TypeError(f"a fiber runs a function (or a coroutine object), not {function!r}")
    fiber.driver = machine
    fiber.function = function
    fiber.arguments = arguments
    fiber.keywords = keywords
    fiber.context = PyContext_CopyCurrent()
    fiber.name = getattr(function, "__qualname__", "fiber")
    machine.strands[fiber] = None
    ready_push(machine, fiber)
    return fiber


cdef Strand strand_here(Machine machine):
    """The fiber or task that runs."""
    cdef Waiter current = machine.current
    if isinstance(current, Strand) and not isinstance(current, Fiber):
        return <Strand>current
    return fiber_here(machine)


@cython.final
cdef class Fiber(Strand):
    """A function that runs beside others and may wait in calls that look synchronous."""

    def join(self):
        """Wait for its end; return what it returned, raise what it raised."""
        check_thread(self.driver)
        return wait(self.join_op())


# ── a coroutine on a fiber, iterators, waiting by name ──────────────────────────────────────

cdef Fiber check_may_wait(Machine machine):
    """The fiber that runs; WouldBlock where nobody may wait."""
    cdef Fiber me = fiber_here(machine)
    if me.waiting is not None or me.queued:
        raise WouldBlock("this call is made by a finaliser while its fiber waits")
    return me


cdef int track_asyncgens(Machine machine) except -1:
    """Coroutines run here: see that their asynchronous generators are closed."""
    cdef Fibers fibers = <Fibers>machine.face
    if not fibers.tracks:
        fibers.tracks = True
        fibers.asyncgens.track()
    return 0


cdef object drive(object coroutine):
    """Run a coroutine here and now, as part of this fiber: the call face of what is `async def`."""
    cdef Machine machine = machine_here()
    cdef PyObject *result = NULL
    cdef PySendResult sent
    error = None
    track_asyncgens(machine)
    try:
        fiber_here(machine)
    except BaseException:
        coroutine.close()
        raise
    while True:
        if error is None:
            sent = PyIter_Send(<PyObject *>coroutine, <PyObject *>None, &result)
            if sent == PYGEN_ERROR:
                reraise()
            value = <object>result
            Py_DECREF(value)
            if sent == PYGEN_RETURN:
                return value
        else:
            try:
                value = coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
        error = None
        try:
            drive_wait(machine, value)
        except BaseException as caught:
            error = caught


cdef int drive_wait(Machine machine, object awaited) except -1:
    """Wait for what the coroutine yielded: an op, or None for `let others run`."""
    if isinstance(awaited, Op):
        return 0 if (<Op>awaited).kernel == K_DONE else fiber_block(<Op>awaited)
    if awaited is None:
        return fiber_yield(machine, check_may_wait(machine))
    raise RuntimeError(f"{awaited!r} was awaited; outside asyncio only ops can be")


cdef class EachCall:
    """An iterator over the results of one op; `close()` ends it early."""

    def __iter__(self):
        return self

    def __next__(self):
        check_thread(self.each.shots.driver)
        try:
            return wait(self.each.shots.next_op())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self):
        """End the iteration; what came and was not taken is undone."""
        self.each.close()  # refuses a foreign thread

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.each.close()

    __class_getitem__ = classmethod(types.GenericAlias)  # EachCall[bytes], in annotations


rm_no_new(Fiber)
rm_no_new(EachCall)


cdef EachCall each_call(Each each):
    cdef EachCall call = EachCall.__new__(EachCall)
    call.each = each
    return call
