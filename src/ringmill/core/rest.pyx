"""Ops that go on until all is done: what was short is asked again, for the rest.

One Op, as many SQEs as it takes; its buffer stays held throughout. Knows where an SQE says from
where, how much and to which offset; does not know which op it is.
"""
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy
from posix.unistd cimport SEEK_CUR, SEEK_SET, lseek

from ringmill.core.complete cimport op_complete
from ringmill.core.driver cimport Handler
from ringmill.core.errno cimport EAGAIN, ECANCELED, EINTR, EIO
from ringmill.core.op cimport Op, op_push_again
from ringmill.core.ring cimport io_uring_sqe

cdef uint64_t NO_OFFSET = <uint64_t>-1


@cython.final
cdef class Rest(Handler):
    """Watches one op; asks again for what its buffer still lacks."""

    cdef bint on_cqe(self, object op, int res, uint32_t flags):
        cdef Op mine = <Op>op
        cdef uint64_t end = <uint64_t><size_t>mine.view.buf + mine.view.len
        if res < 0 and res != -EINTR and res != -EAGAIN:
            return True
        if res > 0:
            self.rest.addr += res
            if self.rest.off != NO_OFFSET:
                self.rest.off += res
            elif self.at >= 0:
                self.move(res)
        if self.rest.addr == end:
            return True
        if mine.cancel_asked:
            op_complete(mine, -ECANCELED, flags)
        elif res == 0:
            op_complete(mine, -EIO, flags)  # no progress and no error: never try for ever
        else:
            again(self, mine, end)
        return False

    cdef void move(self, int done) noexcept:
        """The file's own position is behind what was written: Linux leaves it where it was when a
        worker goes on with a short write and fails (disk full, RLIMIT_FSIZE)."""
        if self.at == lseek(self.rest.fd, 0, SEEK_CUR):
            lseek(self.rest.fd, self.at + done, SEEK_SET)
        self.at += done


cdef int again(Rest self, Op op, uint64_t end) except -1:
    cdef io_uring_sqe *sqe = op_push_again(op, self.rest.opcode, self.rest.fd)
    self.rest.user_data = sqe.user_data
    self.rest.len = <uint32_t>min(end - self.rest.addr, <uint64_t>IO_MAX)
    memcpy(sqe, &self.rest, sizeof(io_uring_sqe))
    return 0


cdef Rest rest_new():
    return Rest.__new__(Rest)


cdef void rest_begin(Op op, io_uring_sqe *sqe) noexcept:
    """Remember the op as it was asked; `op.handler` is its Rest."""
    cdef Rest rest = <Rest>op.handler
    memcpy(&rest.rest, sqe, sizeof(io_uring_sqe))
    rest.at = lseek(sqe.fd, 0, SEEK_CUR) if sqe.off == NO_OFFSET else -1  # -1: a pipe, a socket
