"""Signals as something to iterate over, in a fiber or a task.

Python runs signal handlers in the main thread, between two bytecodes or when a signal ends the
machine's sleep (core/wake): ours notes the number and lets whoever waits go on. No polling, no
thread, no descriptor. Like the kernel's, signals of one number that nobody has taken yet count as
one; different ones come in the order of their arrival.

The handlers refer to a Watch, users hold a `signals`: so one that is dropped can be collected and
lets go of its signals. Knows local ops and Python's signal module; does not know machines.
"""
cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from libc.signal cimport raise_ as c_raise

from ringmill.core.driver cimport Handler, here
from ringmill.core.op cimport K_DONE, Op, op_complete_value, op_local
from ringmill.face.fiber cimport wait

import signal
import threading

from ringmill.errors import WrongThread


@cython.final
cdef class Watch(Handler):
    """The state behind an iteration."""
    cdef dict previous             # number: the handler before ours
    cdef list pending              # what came and was not taken, each number once
    cdef PyObject *asking          # borrowed: the op of who waits; it unregisters when it goes
    cdef bint closed

    def came(self, number, frame):
        """The handler; runs in the main thread, wherever Python lets it."""
        cdef Op op = None
        if self.closed:  # in another thread, which may not touch handlers: done here instead
            self.restore(number)
            c_raise(number)
            return
        named = name_of(number)
        if self.asking != NULL:
            op = <Op>self.asking
            self.asking = NULL
        if op is not None and not op.driver.dead:
            op_complete_value(op, named, None)
        elif named not in self.pending:
            self.pending.append(named)

    cdef Op next_op(self):
        """A local op that completes with the next signal."""
        cdef Op op
        check_main_thread()
        if self.asking != NULL and not (<Op>self.asking).driver.dead:
            raise RuntimeError("somebody else is already waiting for the next signal")
        # Making an op may collect garbage and so run handlers; from there on nothing does.
        op = op_local(here())
        op.handler = self
        if self.pending:
            op_complete_value(op, self.pending.pop(0), None)
        elif self.closed:
            op.handler = None
            op_complete_value(op, None, StopAsyncIteration())
        else:
            self.asking = <PyObject *>op
        return op

    cdef void undo(self, object op) noexcept:
        """Handed to an op that nobody took it from: the next one gets it."""
        number = (<Op>op).value
        if (<Op>op).res < 0 or number is None:
            return  # it was cancelled, or told the end
        if self.closed:
            c_raise(number)
        elif number not in self.pending:
            self.pending.insert(0, number)

    cdef void cancelled(self, object op) noexcept:
        if self.asking == <PyObject *>op:
            self.asking = NULL

    def take(self, numbers):
        """Put our handler in the place of what is there."""
        for number in numbers:
            owner = getattr(signal.getsignal(number), "__self__", None)
            if isinstance(owner, Watch):
                if not (<Watch>owner).closed:
                    raise ValueError(f"{name_of(number)!r} is being iterated over already")
                owner.restore(number)
            if signal.getsignal(number) is None:
                raise ValueError(
                    f"the handler of {name_of(number)!r} is not Python's: it could not be put back")
        for number in numbers:
            if number not in self.previous:
                self.previous[number] = signal.signal(number, self.came)

    def restore(self, number):
        """Put back what was there, unless somebody else has put his own in its place."""
        handler = self.previous.pop(number, None)
        if handler is None:
            return  # a signal came meanwhile, and its handler has done it
        if getattr(signal.getsignal(number), "__self__", None) is self:
            signal.signal(number, handler)

    def close(self):
        cdef Op op
        if self.closed:
            return
        self.closed = True
        if not in_main_thread():
            return  # collected there; the next signal finds us closed
        for number in list(self.previous):
            self.restore(number)
        if self.asking != NULL:
            op = <Op>self.asking
            self.asking = NULL
            if not op.driver.dead and op.kernel != K_DONE:
                op.handler = None
                op_complete_value(op, None, StopAsyncIteration())
        pending, self.pending = self.pending, []
        for number in pending:
            # Nobody has taken these: they go where they would have gone. Not Python's
            # raise_signal: what one handler raises must not stop the others.
            c_raise(number)


cdef bint in_main_thread():
    return threading.current_thread() is threading.main_thread()


cdef int check_main_thread() except -1:
    if not in_main_thread():
        raise WrongThread("signals belong to the main thread: only there Python handles them")
    return 0


cdef object name_of(number):
    """signal.SIGINT …; the real-time ones between SIGRTMIN and SIGRTMAX are plain numbers."""
    try:
        return signal.Signals(number)
    except ValueError:
        return number


@cython.final
cdef class signals:
    """The signals that come, for `for` in a fiber and `async for` in a task.

    >>> with ringmill.signals(signal.SIGINT, signal.SIGTERM) as told:
    ...     for number in told:
    ...         break

    From here to close() (or the end of the block, or of the last reference) these signals do
    nothing else: SIGINT raises no KeyboardInterrupt. None is lost between two iterations; several
    of one number that nobody has taken yet count as one. What was not taken when it is closed goes
    to the handlers that were there before, which are put back.

    For the main thread, else WrongThread. ValueError for a signal that is iterated over already.
    """
    cdef Watch watch

    def __init__(self, *numbers):
        check_main_thread()
        if self.watch is not None:
            raise RuntimeError("these signals are being iterated over already")
        if not numbers:
            raise ValueError("name the signals to iterate over")
        cdef Watch watch = Watch.__new__(Watch)
        watch.previous = {}
        watch.pending = []
        self.watch = watch
        try:
            watch.take(numbers)
        except BaseException:
            watch.close()
            raise

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return wait(self.watch.next_op())
        except StopAsyncIteration:
            raise StopIteration from None

    def __aiter__(self):
        return self

    def __anext__(self):
        cdef Op op = self.watch.next_op()
        op.keep = self  # anext(aiter(signals(…))): nobody else may hold us
        return op

    def close(self):
        """End the iteration and put the handlers back."""
        check_main_thread()
        self.watch.close()
        PyErr_CheckSignals()

    async def aclose(self):
        """The same, for contextlib.aclosing."""
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()

    def __del__(self):
        if self.watch is not None:
            self.watch.close()
