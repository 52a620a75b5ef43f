"""Writes behind the program's back; declarations only."""
from libc.stdint cimport uint64_t

from ringmill.core.driver cimport Driver
from ringmill.core.op cimport Op

cdef Op behind_write(Driver driver, int fd, object data, uint64_t offset, bint ordered)
cdef int behind_ending(Driver driver) except -1
cdef int behind_mute(Driver driver) except -1
cdef int behind_let_go(Driver driver) except -1
