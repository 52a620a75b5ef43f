"""Ops in line for a slot; declarations only."""
from ringmill.core.driver cimport Driver, rm_parked

cdef rm_parked *parked_new(Driver driver, object op, unsigned opcode, int fd) except NULL
cdef void parked_remove(Driver driver, rm_parked *parked) noexcept
