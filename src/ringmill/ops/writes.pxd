"""Writes behind; declarations only."""
from ringmill.core.op cimport Op

cdef Op close_late(object fd)
