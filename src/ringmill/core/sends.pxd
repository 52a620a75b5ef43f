"""Which ring a send goes to; declarations only."""
from ringmill.core.op cimport Op
from ringmill.core.ring cimport io_uring_sqe

cdef io_uring_sqe *op_push_send(Op op, unsigned opcode, int fd) except NULL
