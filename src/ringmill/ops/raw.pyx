"""Any opcode: an SQE filled by name, for what the table has no entry for (yet).

Knows ops and buffers; what may be asked for is sqe.py's.
"""
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from ringmill.core.complete cimport op_complete
from ringmill.core.driver cimport Handler
from ringmill.core.errno cimport EOPNOTSUPP
from ringmill.core.hold cimport hold_views
from ringmill.core.op cimport R_COUNT, R_FD, Op, op_new, op_push
from ringmill.core.ring cimport IORING_CQE_F_MORE, io_uring_sqe, rm_has_op
from ringmill.core.views cimport Views
from ringmill.ops.convert cimport fd_of

from ringmill.ops.sqe import wanted

__all__ = ["raw"]


@cython.final
cdef class First(Handler):
    """Of an op that tells its result first, and later that it needs its memory no more."""
    cdef bint told
    cdef int res

    cdef bint on_cqe(self, object op, int res, uint32_t flags):
        if flags & IORING_CQE_F_MORE:
            self.told = True
            self.res = res
            return False
        op_complete(<Op>op, self.res if self.told else res, flags)
        return False


def raw(opcode, /, *, object fd=-1, **fields):
    """Do any io_uring op: `opcode` by name or number, the fields of its SQE by name.

    The result is the completion's `res`; OSError when that is negative. A field that is an address
    takes any buffer, which is held until the kernel's last completion (and must be writable where
    the kernel writes), or a path. What the machine needs for itself is refused, with what to use
    instead. See io_uring_enter(2).

    >>> raw("MKDIRAT", fd=-100, addr=folder / "new", len=0o700)
    0
    """
    want = wanted(opcode, fields)
    cdef unsigned number = want.opcode
    cdef Op op = op_new(R_FD if want.brings_fd else R_COUNT)
    cdef int fd_number = fd if isinstance(fd, int) else fd_of(fd)
    cdef io_uring_sqe filled
    cdef io_uring_sqe *sqe
    cdef uint64_t user_data
    op.target = fd
    fill(op, &filled, want.sqe, want.pointers)
    if not rm_has_op(&op.driver.ring, number) and not rm_has_op(op.driver.open_beside(), number):
        raise OSError(EOPNOTSUPP, f"neither io_uring here nor the soft kernel knows {want.name}")
    if want.notifies:
        op.handler = First.__new__(First)
    sqe = op_push(op, number, fd_number)
    user_data = sqe.user_data
    filled.fd = fd_number
    memcpy(sqe, &filled, sizeof(filled))
    sqe.user_data = user_data
    return op


cdef int fill(Op op, io_uring_sqe *sqe, const unsigned char[::1] members, list pointers) except -1:
    """The SQE as it was asked for; what it points to is held by the op."""
    cdef Views views = hold_views(op, [memory for _, memory in pointers], False)
    cdef uint64_t address
    cdef size_t at
    cdef unsigned i
    memcpy(sqe, &members[0], sizeof(io_uring_sqe))
    for i in range(views.count):
        at = pointers[i][0]
        address = <uint64_t><size_t>views.iov[i].iov_base
        memcpy(<char *>sqe + at, &address, sizeof(address))
    return 0
