"""What a CQE ends; declarations only."""
from libc.stdint cimport uint32_t, uint64_t

from ringmill.core.driver cimport Driver
from ringmill.core.op cimport Op

cdef void op_cqe(Driver driver, uint64_t user_data, int res, uint32_t flags) noexcept
cdef void op_complete(Op op, int res, uint32_t flags) noexcept
