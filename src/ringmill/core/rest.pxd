"""Ops that go on until all is done; declarations only."""
from libc.stdint cimport int64_t

from ringmill.core.driver cimport Handler
from ringmill.core.op cimport Op
from ringmill.core.ring cimport io_uring_sqe

cdef enum:
    IO_MAX = 0x7FFFF000  # what one read or write moves at most (MAX_RW_COUNT)

cdef class Rest(Handler):
    cdef io_uring_sqe rest         # the op as it is to be asked again
    cdef int64_t at                # where the file itself stands, when the op writes there; or -1
    cdef void move(self, int done) noexcept

cdef Rest rest_new()
cdef void rest_begin(Op op, io_uring_sqe *sqe) noexcept
