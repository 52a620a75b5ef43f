"""Groups of buffers that the kernel fills; declarations only."""
from cpython.object cimport PyObject
from libc.stdint cimport uint16_t

from ringmill.core.driver cimport Handler
from ringmill.core.ring cimport io_uring_buf_ring, rm_ring

cdef class Starver(Handler):
    cdef void fed(self) noexcept

cdef class Group:
    cdef io_uring_buf_ring *entries
    cdef char *memory
    cdef size_t mapped
    cdef readonly unsigned count, size
    cdef readonly unsigned lent       # filled and not yet given back
    cdef readonly unsigned starved    # times that the kernel found none
    cdef uint16_t tail, number
    cdef list starving
    cdef char *at(self, unsigned bid) noexcept
    cdef bytes take(self, unsigned bid, int size)
    cdef void give(self, unsigned bid) noexcept
    cdef bint starve(self, Starver starver) except -1
    cdef void forget(self, Starver starver) noexcept
    cdef void close(self) noexcept

cdef bint group_is_spare(PyObject *group) noexcept
cdef Group close_group(Group group, rm_ring *ring)
cdef Group open_group(rm_ring *ring, uint16_t number, unsigned count, unsigned size)
