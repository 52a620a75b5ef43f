"""Cancels that missed; declarations only."""
from libc.stdint cimport uint32_t

from ringmill.core.driver cimport Driver
from ringmill.core.timers cimport Timers

cdef int cancel_answered(Driver driver, Timers timers, uint32_t slot, int res) except -1
cdef int op_cancel_all(Driver driver) except -1
cdef int op_release_all(Driver driver) except -1
