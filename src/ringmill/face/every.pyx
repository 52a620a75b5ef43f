"""Ticks at multiples of an interval, in a fiber or a task.

Each tick's deadline is counted from the beginning, so a late one makes no later one late. A tick
that nobody was there to take is not made up for: the next one tells how many were missed.

Knows timers and local ops; does not know who iterates. No SQE, and no timer but while somebody
waits.
"""
cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from ringmill.core.driver cimport check_thread
from ringmill.core.machine cimport Machine, machine_here
from ringmill.core.op cimport K_DONE, Op, op_complete_value, op_local
from ringmill.core.timers cimport Timer
from ringmill.face.fiber cimport wait

cdef extern from "slots.h":
    int rm_no_new(object type)

# About 73 years. Longer intervals never tick; sums with the clock do not overflow.
cdef int64_t INTERVAL_MAX_NS = 1 << 61


@cython.final
cdef class Tick:
    """One tick of `every`: the how manieth since the beginning, how many before it were missed."""
    cdef readonly int64_t number, missed

    def __eq__(self, other):
        if not isinstance(other, Tick):
            return NotImplemented
        return self.number == other.number and self.missed == other.missed

    def __hash__(self):
        return hash((self.number, self.missed))

    def __repr__(self):
        return f"Tick(number={self.number}, missed={self.missed})"


@cython.final
cdef class Metronome(Timer):
    """The state behind an iteration: it stands among the timers while somebody waits."""
    cdef Machine machine
    cdef int64_t began_ns, interval_ns
    cdef int64_t taken             # number of the last tick that was handed out
    cdef PyObject *asking          # borrowed: the op of who waits; it unregisters when it goes
    cdef bint closed

    cdef Op next_op(self):
        """A local op that completes with the next tick; at the machine's next look when it is due
        already, so that others run even when every tick comes too late."""
        cdef Op op
        check_thread(self.machine)
        if self.asking != NULL:
            raise RuntimeError("somebody else is already waiting for the next tick")
        op = op_local(self.machine)
        if self.closed:
            op_complete_value(op, None, StopAsyncIteration())
            return op
        self.machine.timers.add(self, self.began_ns + (self.taken + 1) * self.interval_ns)
        op.handler = self
        self.asking = <PyObject *>op
        return op

    cdef void expire(self) noexcept:
        cdef int64_t passed_ns = self.machine.timers.now() - self.began_ns
        cdef Op op = metronome_asking(self)
        cdef Tick tick
        if op is None:
            return
        try:
            tick = Tick.__new__(Tick)
        except MemoryError as error:
            op_complete_value(op, None, error)
            return
        tick.number = max(passed_ns // self.interval_ns, self.taken + 1)
        tick.missed = tick.number - self.taken - 1
        self.taken = tick.number
        op_complete_value(op, tick, None)

    cdef void undo(self, object op) noexcept:
        """Handed to an op that nobody took it from: then it counts as not handed out."""
        value = (<Op>op).value
        if isinstance(value, Tick) and (<Tick>value).number == self.taken:
            self.taken -= (<Tick>value).missed + 1

    cdef void cancelled(self, object op) noexcept:
        if self.asking == <PyObject *>op:
            self.asking = NULL
            self.machine.timers.remove(self)

    cdef int close(self) except -1:
        cdef Op op
        if self.closed:
            return 0
        self.closed = True
        self.machine.timers.remove(self)
        op = metronome_asking(self)
        if op is not None and op.kernel != K_DONE:
            op.handler = None
            op_complete_value(op, None, StopAsyncIteration())
        return 0


cdef Op metronome_asking(Metronome self):
    """Whoever waits for the next tick, or None; it is answered now, and asks no longer."""
    cdef Op op = None
    if self.asking != NULL:
        op = <Op>self.asking
        self.asking = NULL
    return op


cdef int64_t interval_of(object seconds) except -1:
    cdef double s = seconds
    if not s > 0 or s == float("inf"):
        raise ValueError(f"an interval is a number of seconds, more than 0; not {seconds!r}")
    if s * 1e9 < 1:
        raise ValueError(f"an interval is a nanosecond or more, not {seconds!r} s")
    return INTERVAL_MAX_NS if s * 1e9 >= <double>INTERVAL_MAX_NS else <int64_t>(s * 1e9 + 0.5)


@cython.final
cdef class every:
    """Ticks at multiples of `interval` seconds from now: `for` in a fiber, `async for` in a task.

    >>> for tick in ringmill.every(0.2):
    ...     if tick.number == 5:
    ...         break

    tick.number counts the multiples that have passed (the first tick is 1), tick.missed those of
    them since the last tick that nobody took: 0, unless the loop's body took longer than the
    interval. Ticks do not drift, and what was missed is not made up for. ValueError for an interval
    that is not more than 0. `close()` ends it early.
    """
    cdef Metronome metronome

    def __init__(self, interval):
        cdef Metronome metronome = Metronome.__new__(Metronome)
        metronome.interval_ns = interval_of(interval)
        metronome.machine = machine_here()
        metronome.began_ns = metronome.machine.timers.now()
        if self.metronome is not None:
            raise RuntimeError("an iteration is begun once; make a new one")
        self.metronome = metronome

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return wait(self.metronome.next_op())
        except StopAsyncIteration:
            raise StopIteration from None

    def __aiter__(self):
        return self

    def __anext__(self):
        return self.metronome.next_op()

    def close(self):
        """End the iteration; whoever waits for a tick is told so."""
        if not self.metronome.machine.dead:
            check_thread(self.metronome.machine)
        self.metronome.close()

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


rm_no_new(Tick)
