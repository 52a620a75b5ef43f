"""When to look at I/O again; declarations only."""
from libc.stdint cimport int64_t, uint64_t

from ringmill.core.balance cimport Adaptive, Balance

cdef class Pace:
    cdef Balance balance
    cdef Adaptive adaptive         # the balance, when it learns
    cdef unsigned switches         # since the last look
    cdef unsigned check_at         # … after which pace_reached() is to be asked
    cdef unsigned bound            # … after which one is due
    cdef unsigned switches_max     # seen between two looks
    cdef uint64_t switched         # before the last look
    cdef int64_t looked_ns, sampled_ns
    cdef unsigned sampled_at

cdef Pace pace_new(Balance balance)
cdef bint pace_reached(Pace self) noexcept
cdef void pace_slept(Pace self) noexcept
cdef void pace_looked(Pace self, size_t runnable, int64_t now) noexcept
