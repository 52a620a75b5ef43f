"""Ops with many results; declarations only."""
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from ringmill.core.buffers cimport Group, Starver
from ringmill.core.driver cimport Driver
from ringmill.core.op cimport Op
from ringmill.core.ring cimport io_uring_sqe, rm_ring

cdef struct rm_shot:
    int res
    uint32_t flags

cdef class Shots(Starver):
    cdef Driver driver
    cdef rm_ring *ring
    cdef io_uring_sqe template
    cdef Op op                     # in the kernel now, or None
    cdef PyObject *asking          # borrowed: the local op of whoever waits for the next result
    cdef Group group
    cdef object like               # accept: the listener
    cdef int kind
    cdef rm_shot *shots
    cdef unsigned head, tail, mask
    cdef object back               # values that wait to be taken: a deque
    cdef int error
    cdef bint ended, closed, pausing, starved, single
    cdef bint bulk                 # much comes: one receive at a time, into bytes of its own
    cdef int weight                # of the pieces that came lately; see bulk_weigh()
    cdef Op filled                 # the receive in bulk whose bytes are being taken
    cdef int arm(self) except -1
    cdef Op next_op(self)
    cdef int close(self) except -1

cdef class Each:
    cdef Shots shots

cdef Shots shots_new(int kind, unsigned opcode, uint32_t behaviour, bint uses_group)
cdef Each each_new(Shots shots)
