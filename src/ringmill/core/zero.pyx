"""Sends without a copy: two CQEs, the result, and later the notice that the memory is free again.

The op is done at the second: until then its buffers stay exported, and a cancel waits, too. Where
the kernel or the socket refuses, the same op goes on as one that copies, with the same result.

Knows an op's CQEs and its SQE; does not know sockets.
"""
cimport cython
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from ringmill.core.complete cimport op_complete
from ringmill.core.driver cimport Driver, Handler
from ringmill.core.errno cimport EINVAL, ENOBUFS, ENOMEM, EOPNOTSUPP
from ringmill.core.op cimport (
    COPIED, NOT_COPIED, UNKNOWN_COPIED, Op, op_push_again,
)
from ringmill.core.rest cimport rest_new
from ringmill.core.ring cimport (
    IORING_CQE_F_MORE, IORING_CQE_F_NOTIF, IORING_NOTIF_USAGE_ZC_COPIED,
    IORING_SEND_ZC_REPORT_USAGE, RM_SEND_ZC, io_uring_sqe, rm_has_op,
)


@cython.final
cdef class ZeroCopy(Handler):
    """Watches one send; completes it when the kernel has let go of its memory."""

    cdef bint on_cqe(self, object op, int res, uint32_t flags):
        cdef Op mine = <Op>op
        if flags & IORING_CQE_F_MORE:
            if not self.told:
                self.res = res
                self.told = True
            return False
        if flags & IORING_CQE_F_NOTIF:
            note(self, mine, <uint32_t>res)
        if self.told:  # at the machine's end the notification may never have come
            res = self.res
            self.told = False
        if is_refusal(res) and self.rest.rest.opcode != self.plain and not mine.cancel_asked:
            step_down(self, mine, res)
            return False
        if not self.whole or self.rest.on_cqe(op, res, flags):
            op_complete(mine, res, flags)
        return False


cdef bint is_refusal(int res) noexcept:
    """Not this socket (EOPNOTSUPP), not this kernel (EINVAL), not so much locked memory."""
    return res == -EOPNOTSUPP or res == -EINVAL or res == -ENOMEM or res == -ENOBUFS


cdef void note(ZeroCopy self, Op op, uint32_t usage) noexcept:
    """What the notification says; one part of several that was copied counts for all."""
    if not self.rest.rest.ioprio & IORING_SEND_ZC_REPORT_USAGE:
        op.copies = UNKNOWN_COPIED
    elif usage & IORING_NOTIF_USAGE_ZC_COPIED:
        set_copied(op)
    elif op.copies != COPIED:
        op.copies = NOT_COPIED


cdef void set_copied(Op op) noexcept:
    if op.copies != COPIED:
        op.copies = COPIED
        op.driver.zero_copied += 1


cdef int step_down(ZeroCopy self, Op op, int res) except -1:
    """Ask again for less: without a report (which 6.1 does not know), then with a copy."""
    cdef io_uring_sqe *sqe
    cdef io_uring_sqe *again = &self.rest.rest
    if res == -EINVAL and again.ioprio:
        again.ioprio = 0
    else:
        again.ioprio = 0
        again.opcode = self.plain
        set_copied(op)
    sqe = op_push_again(op, again.opcode, again.fd)
    again.user_data = sqe.user_data
    memcpy(sqe, again, sizeof(io_uring_sqe))
    op.opcode = again.opcode
    return 0


cdef ZeroCopy zero_new(Op op, unsigned opcode, unsigned plain):
    """What makes `op` a send without a copy; None where this kernel cannot: then it copies."""
    cdef ZeroCopy zero
    cdef Driver driver = op.driver
    driver.zero_asked += 1
    if not driver.ring.behaviours & RM_SEND_ZC or not rm_has_op(&driver.ring, opcode):
        set_copied(op)
        return None
    zero = ZeroCopy.__new__(ZeroCopy)
    zero.rest = rest_new()
    zero.plain = plain
    return zero


cdef void zero_begin(Op op, ZeroCopy zero, io_uring_sqe *sqe) noexcept:
    """The SQE is filled in: have the kernel report, and watch the op. `op.handler` may be a Rest,
    which asks until all is sent."""
    if zero is None:
        return
    sqe.ioprio = IORING_SEND_ZC_REPORT_USAGE
    zero.whole = op.handler is not None
    memcpy(&zero.rest.rest, sqe, sizeof(io_uring_sqe))
    op.handler = zero
