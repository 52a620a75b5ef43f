"""Ops from the line to the ring; declarations only."""
from ringmill.core.driver cimport Driver

cdef int line_feed(Driver driver) except -1
