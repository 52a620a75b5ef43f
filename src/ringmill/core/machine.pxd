"""The machine; declarations only."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from ringmill.core.balance cimport Balance
from ringmill.core.buffers cimport Group
from ringmill.core.driver cimport Driver, Waiter
from ringmill.core.op cimport Op
from ringmill.core.pace cimport Pace
from ringmill.core.ring cimport rm_ring
from ringmill.core.spin cimport rm_spin
from ringmill.core.strand cimport Strand
from ringmill.core.timers cimport Timers
from ringmill.core.wake cimport Wake

cdef class Machine(Driver):
    cdef object __weakref__
    cdef readonly Balance balance
    cdef readonly object kernel
    cdef Timers timers
    cdef Group group, group_beside
    cdef set strands                  # those that have not ended: the machine owns them
    cdef Strand main                  # who gets KeyboardInterrupt
    cdef Strand outer                 # … when main has ended
    cdef object struck                # what it was told already
    cdef object face                  # floor 3's own state
    cdef Wake wake
    cdef int pid                      # who may touch the ring: this process,
    cdef unsigned long thread         # … this thread
    cdef rm_ring soft                 # the memory of `beside`
    cdef bint beside_armed
    cdef Pace pace
    cdef bint others_turn             # the last to run was not woken by I/O or a timer
    cdef unsigned pending_max         # SQEs that may wait for the next look
    cdef rm_spin spin
    cdef uint64_t waits

cdef Waiter machine_next(Machine machine)
cdef int machine_look(Machine machine) except -1
cdef Machine machine_here()
cdef int machine_ended(Machine machine, Strand strand, object value, object error) except -1
