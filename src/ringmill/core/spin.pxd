"""Waiting awake for a moment; declarations only."""
from libc.stdint cimport int64_t, uint64_t

from ringmill.core.ring cimport rm_ring

cdef struct rm_spin:
    bint wanted
    int score           # negative: that many waits are slept before the next try
    uint64_t spins, won
    long preempted      # involuntary switches of this thread, when last looked at

cdef int spin_or_sleep(rm_spin *spin, rm_ring *ring, int64_t timeout_ns) noexcept nogil
