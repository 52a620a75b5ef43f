"""The machine; declarations only."""
from ringmill.core.balance cimport Balance
from ringmill.core.buffers cimport Group
from ringmill.core.ring cimport rm_ring
from ringmill.core.strand cimport Strand
from ringmill.core.turn cimport Turner

cdef class Machine(Turner):
    cdef object __weakref__
    cdef readonly Balance balance
    cdef readonly object kernel
    cdef Group group, group_beside, letters, letters_beside
    cdef dict strands                 # those that have not ended, in their order; values: None
    cdef Strand main                  # who gets KeyboardInterrupt
    cdef Strand outer                 # … when main has ended
    cdef object struck                # what it was told already
    cdef object face                  # floor 3's own state
    cdef int pid                      # who may touch the ring: this process,
    cdef unsigned long thread         # … this thread
    cdef rm_ring soft                 # the memory of `beside`

cdef Machine machine_here()
cdef int machine_ended(Machine machine, Strand strand, object value, object error) except -1
