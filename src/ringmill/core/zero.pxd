"""Sends without a copy; declarations only."""
from libc.stdint cimport uint32_t

from ringmill.core.driver cimport Handler
from ringmill.core.op cimport Op
from ringmill.core.rest cimport Rest
from ringmill.core.ring cimport io_uring_sqe

cdef class ZeroCopy(Handler):
    cdef Rest rest                 # the op as it is to be asked again
    cdef bint whole                # … until all is sent
    cdef bint told                 # the result has come, the notification has not
    cdef int res
    cdef unsigned plain            # the opcode that does the same with a copy

cdef ZeroCopy zero_new(Op op, unsigned opcode, unsigned plain)
cdef void zero_begin(Op op, ZeroCopy zero, io_uring_sqe *sqe) noexcept
