"""Opening kernels; declarations only."""
from ringmill.core.ring cimport rm_ring

cdef object open_ring(rm_ring *ring, object wish, bint sqpoll, unsigned entries,
                      unsigned cq_entries, unsigned workers_max)
cdef int open_soft(rm_ring *ring, unsigned entries, unsigned cq_entries) except -1
cdef bint ring_is_soft(rm_ring *ring) noexcept
cdef void close_ring(rm_ring *ring) noexcept
cdef void forget_ring(rm_ring *ring) noexcept
