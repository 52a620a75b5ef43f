"""Linked ops; declarations only."""
from libc.stdint cimport uint8_t

from ringmill.core.driver cimport Collector, Driver
from ringmill.core.ring cimport io_uring_sqe, rm_ring

cdef enum:
    STEPS_MAX = 64   # steps of a chain: more than fit into half of a small SQ go one by one anyway
    PLACES_MAX = 64  # direct files of a machine that are open at once; RLIMIT_NOFILE counts them

cdef struct rm_step:
    io_uring_sqe sqe
    int opens              # the place it opens, or -1

cdef class Links(Collector):
    cdef Driver driver
    cdef list ops
    cdef rm_step steps[STEPS_MAX]
    cdef unsigned count
    cdef int opens
