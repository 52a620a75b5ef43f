"""Budgets and the line before them; declarations only."""
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t

from ringmill.core.driver cimport Handler

cdef class Claim(Handler):
    """Somebody who wants `size` bytes, and stands in line for them."""
    cdef PyObject *op             # borrowed: who waits
    cdef size_t size
    cdef Budget first, stage      # where it began; where it stands
    cdef bint patient             # it waits in line
    cdef uint32_t page            # where the arena has put it
    cdef int granted(self) except -1

cdef class Budget:
    """At most `limit` bytes at a time, each of them charged to `parent`, too."""
    cdef readonly size_t limit, used, high_water
    cdef readonly str name
    cdef Budget parent
    cdef object line              # a deque of Claims
    cdef bint closed              # its block is over: new claims go to its parent
    cdef bint waits               # what a claim does that was not told
    cdef bint charge(self, Claim claim) noexcept
    cdef void uncharge(self, Claim claim) noexcept

cdef bint claim_bytes(Claim claim, Budget budget, size_t size, bint patient) except -1
cdef void give_back(Claim claim) noexcept
cdef int budget_init(Budget budget, str name, size_t limit, bint waits) except -1
cdef Budget budget_new(str name, size_t limit, Budget parent, bint waits)
cdef bint waits_of(object on_full, bint otherwise) except -1
