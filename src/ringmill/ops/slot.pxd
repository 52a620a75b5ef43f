"""Reusable ops; declarations only."""
from ringmill.core.op cimport Op

cdef class Slot:
    cdef Op op
    cdef Op readinto_op(self, object fd, object buffer, object offset)
    cdef Op write_op(self, object fd, object data, object offset)
    cdef Op recv_into_op(self, object sock, object buffer)
    cdef Op send_op(self, object sock, object data)
