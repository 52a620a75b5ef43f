"""Ops that the real kernel may not know in this form; declarations only."""
from ringmill.core.driver cimport Handler
from ringmill.core.op cimport Op
from ringmill.core.ring cimport io_uring_sqe

cdef class Elsewhere(Handler):
    cdef io_uring_sqe asked        # the op as it was asked

cdef Elsewhere elsewhere_new()
cdef void elsewhere_begin(Op op, io_uring_sqe *sqe) noexcept
