"""Iterators over ops with many results; declarations only."""
from libc.stdint cimport uint32_t

from ringmill.core.shots cimport Shots

cdef class Each:
    cdef Shots shots

cdef Shots shots_new(int kind, unsigned opcode, uint32_t behaviour, bint uses_group)
cdef Each each_new(Shots shots)
