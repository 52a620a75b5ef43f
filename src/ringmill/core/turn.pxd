"""The turn; declarations only."""
from libc.stdint cimport int64_t, uint64_t

from ringmill.core.driver cimport Driver, Waiter
from ringmill.core.pace cimport Pace
from ringmill.core.ring cimport rm_ring
from ringmill.core.spin cimport rm_spin
from ringmill.core.timers cimport Timers
from ringmill.core.wake cimport Wake

cdef enum:
    REAP_MAX = 256  # CQEs per look (4 KiB of stack); then fibers run, then the next

cdef class Turner(Driver):
    """The part of a machine that turns."""
    cdef Timers timers
    cdef Wake wake
    cdef Pace pace
    cdef bint beside_armed
    cdef bint others_turn             # the last to run was not woken by I/O or a timer
    cdef unsigned pending_max         # SQEs that may wait for the next look
    cdef rm_spin spin
    cdef uint64_t waits
    cdef int64_t spare_ns             # when there began to be memory to spare

cdef inline size_t runnable(Turner machine) noexcept:
    return ((machine.ready.tail - machine.ready.head)
            + (machine.urgent.tail - machine.urgent.head))

cdef Waiter machine_next(Turner machine)
cdef int machine_look(Turner machine) except -1
cdef int machine_looked(Turner machine) except -1
cdef int machine_reap(Turner machine, rm_ring *ring, unsigned most) except -1
cdef int machine_arm_wake(Turner machine) except -1
