"""A line of execution; declarations only."""
from libc.stdint cimport uint64_t

from ringmill.core.driver cimport Driver, Waiter
from ringmill.core.op cimport Op

cdef class Strand(Waiter):
    cdef Driver driver
    cdef Op waiting                # the one op it waits for
    cdef object __weakref__
    cdef readonly int cancels      # requests that no block has taken back
    cdef uint64_t asked, raised    # requests so far; up to which they have been raised
    cdef int unraised              # requests not taken back and not raised yet
    cdef bint ended, taken
    cdef object pending            # what to raise instead of Cancelled, or None
    cdef object value, failure
    cdef list joiners
    cdef Op parked                 # what park() waits for
    cdef bint permit               # unpark() came first
    cdef object context
    cdef public object name
    cdef int finish(self, object value, object error) except -1
    cdef uint64_t request_cancel(self) except? 0
    cdef void uncancel(self, uint64_t ticket) noexcept
    cdef int interrupt(self, object error) except -1
    cdef Op join_op(self)
    cdef int woken(self) except -1
    cdef Op park_op(self)
    cdef int unpark(self) except -1

cdef void report_error(object where, object error) noexcept
cpdef void report(object name, object error) noexcept
