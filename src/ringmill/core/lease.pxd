"""Leases; declarations only."""
from ringmill.core.arena cimport Arena
from ringmill.core.budget cimport Budget, Claim
from ringmill.core.driver cimport Driver
from ringmill.core.op cimport Op

cdef class Lease(Claim):
    cdef Arena arena
    cdef Py_ssize_t length        # bytes that were asked for
    cdef int exports              # views of it that somebody has
    cdef bint over                # release() was called
    cdef object view              # of the `with` block

cdef Op lease_op(Driver driver, Budget budget, object n, object on_full)
cdef object lease_now(Driver driver, Budget budget, object n, object on_full)
cdef object set_budget(Budget budget)
cdef Budget budget_here(Driver driver)
