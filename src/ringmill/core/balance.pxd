"""The turn policy; declarations only."""
from libc.stdint cimport int64_t

cdef class Balance:
    cdef unsigned bound(self, size_t runnable) noexcept
    cdef unsigned pending_max(self, unsigned entries) noexcept

cdef class Adaptive(Balance):
    cdef readonly double target_s
    cdef int64_t target_ns
    cdef double cost_ns            # of one switch, smoothed
    cdef void learn(self, unsigned switches, int64_t spent_ns) noexcept
