"""`with timeout(seconds):` in fibers and tasks.

A timer asks the strand to stop; the block that owns the timer turns the Cancelled that arrives
into a TimeoutError. Requests are counted, so that of nested blocks the right one answers, and one
that came too late to be raised is taken back at the block's end: it never reaches unrelated code.

Knows strands and timers; does not know what is waited for.
"""
cimport cython
from libc.stdint cimport uint64_t

from ringmill.core.machine cimport Machine, machine_here
from ringmill.core.driver cimport check_thread
from ringmill.core.strand cimport Strand
from ringmill.core.timers cimport Timer, span_of
from ringmill.face.fiber cimport strand_here

from ringmill.errors import Cancelled


@cython.final
cdef class timeout(Timer):
    """A context manager: raise TimeoutError at its end when the block took longer.

    seconds: a span, from now; 0 or less has passed already; None never passes. What a call had
    brought when the time was up is still returned by it; the next one raises. `expired` tells
    afterwards; `reschedule(seconds)` sets a new span, from now.
    """
    cdef Machine machine
    cdef Strand strand
    cdef object seconds
    cdef int before            # requests that the strand had when the block began
    cdef uint64_t ticket       # of the cancel that the timer asked for
    cdef bint fired, over
    cdef readonly bint expired

    def __init__(self, seconds):
        if seconds is not None:
            span_of(seconds)  # refuses what is no span
        self.seconds = seconds

    def __enter__(self):
        if self.strand is not None:
            raise RuntimeError("a timeout is entered once; make a new one")
        self.machine = machine_here()
        self.strand = strand_here(self.machine)
        self.before = self.strand.cancels - self.strand.unraised
        timeout_arm(self)
        return self

    def __exit__(self, kind, error, traceback):
        self.machine.timers.remove(self)
        self.over = True
        if not self.fired:
            return False
        self.strand.uncancel(self.ticket)
        self.expired = True
        if isinstance(error, Cancelled) and self.strand.cancels <= self.before:
            raise TimeoutError(f"the block took longer than {self.seconds} s") from error
        return False

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, kind, error, traceback):
        return self.__exit__(kind, error, traceback)

    def reschedule(self, seconds):
        """Give the block `seconds` from now (None: no limit). RuntimeError when time is up."""
        if seconds is not None:
            span_of(seconds)  # refuses what is no span, before anything is changed
        if self.machine is not None:
            check_thread(self.machine)
        if self.fired or self.over:
            raise RuntimeError("this timeout has passed already, or its block is over")
        self.seconds = seconds
        if self.machine is not None:
            self.machine.timers.remove(self)
            timeout_arm(self)

    cdef void expire(self) noexcept:
        self.fired = True
        self.ticket = self.strand.request_cancel()


cdef int timeout_arm(timeout self) except -1:
    if self.seconds is not None:
        self.machine.timers.add(self, self.machine.timers.deadline_in(self.seconds))
    return 0
