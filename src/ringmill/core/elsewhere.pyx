"""Ops that the real kernel knows, but perhaps not in this form: the soft one is asked then.

A bitmap tells which opcodes a kernel has, not which arguments it takes (a length of more than 32
bits, an attribute of the link itself, an option of a certain level). Such an op is tried; when
the answer is that it cannot be done so, nothing has been done, and the same SQE goes to the soft
ring beside. What that answers stands, and so whoever was truly wrong hears it from there.

Knows the two rings; does not know which op it is.
"""
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from ringmill.core.complete cimport op_complete
from ringmill.core.driver cimport Handler
from ringmill.core.errno cimport ECANCELED, EINVAL, EOPNOTSUPP
from ringmill.core.op cimport Op, op_push_again
from ringmill.core.ring cimport io_uring_sqe, rm_ring


@cython.final
cdef class Elsewhere(Handler):
    """Watches one op; asks the soft kernel when the real one cannot."""

    cdef bint on_cqe(self, object op, int res, uint32_t flags):
        cdef Op mine = <Op>op
        cdef rm_ring *soft
        if res != -EINVAL and res != -EOPNOTSUPP:
            return True
        if mine.cancel_asked:
            op_complete(mine, -ECANCELED, flags)
            return False
        try:
            soft = mine.driver.open_beside()
        except OSError:
            return True  # no descriptors left: the first answer stands
        if soft == mine.ring:
            return True
        mine.ring = soft
        again(self, mine)
        return False


cdef int again(Elsewhere self, Op op) except -1:
    cdef io_uring_sqe *sqe = op_push_again(op, self.asked.opcode, self.asked.fd)
    cdef uint64_t user_data = sqe.user_data
    memcpy(sqe, &self.asked, sizeof(io_uring_sqe))
    sqe.user_data = user_data
    return 0


cdef Elsewhere elsewhere_new():
    return Elsewhere.__new__(Elsewhere)


cdef void elsewhere_begin(Op op, io_uring_sqe *sqe) noexcept:
    """Remember the op as it was asked; `op.handler` is its Elsewhere."""
    memcpy(&(<Elsewhere>op.handler).asked, sqe, sizeof(io_uring_sqe))
