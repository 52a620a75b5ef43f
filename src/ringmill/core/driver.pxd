"""The part of a machine that ops see; declarations only."""
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from ringmill.core.aux cimport rm_aux
from ringmill.core.ring cimport io_uring_sqe, rm_ring

cdef enum:
    SLOT_NONE = 0xFFFFFFFF

cdef struct rm_slot:
    PyObject *op         # borrowed from the kernel's reference
    uint32_t generation  # never 0, so that user_data < 2**32 is ours to give meaning
    uint32_t next_free

cdef struct rm_parked:
    rm_parked *next
    rm_parked *prev
    PyObject *op         # owned: what will be the kernel's share
    io_uring_sqe sqe

cdef struct rm_queue:
    PyObject **items     # a ring of owned Waiters
    size_t head, tail, mask

cdef class Waiter:
    """Whoever can stand on the runqueue."""
    cdef bint queued               # it stands there now, once
    cdef bint must_raise           # a cancel was asked and has not been raised yet
    cdef void wake(self, object op) noexcept
    cdef int run(self) except -1
    cdef int raise_pending(self) except -1

cdef class Handler:
    """Takes the CQEs of an op that has more than one."""
    cdef bint on_cqe(self, object op, int res, uint32_t flags)
    cdef void undo(self, object op) noexcept
    cdef void cancelled(self, object op) noexcept

cdef class Collector:
    """Takes the SQEs of ops that are begun, to push them together."""
    cdef bint beside               # one of them wants the soft ring
    cdef io_uring_sqe *add(self, object op, unsigned opcode, int fd) except NULL

cdef class Driver:
    """The part of a machine that ops see."""
    cdef rm_ring ring              # the kernel that was chosen
    cdef rm_ring *beside           # soft, for opcodes which that kernel lacks; or NULL
    cdef rm_slot *slots
    cdef uint32_t slots_size, slots_free
    cdef uint32_t generation       # of new slots: those of a table that was cut do not come again
    cdef readonly uint32_t ops_live, ops_max
    cdef rm_parked *line           # ops that wait for a slot: the first,
    cdef rm_parked *line_end       # … and the last
    cdef uint32_t in_line
    cdef bint patient              # who finds no slot stands in line; else WouldExceedBudget
    cdef rm_queue ready            # the runqueue: who was made runnable by others
    cdef rm_queue urgent           # … and by I/O or a timer: takes turns with it, filled by a look
    cdef int turning               # the machine turns: whoever runs now must not wait
    cdef bint looking              # CQEs are being taken in, or timers: wakes go to `urgent`
    cdef Waiter current            # who is running
    cdef object given              # the op that is begun next: a Slot's; else None
    cdef object behind             # writes that nobody waits for yet; None: there were none
    cdef public uint64_t write_behind_max  # bytes of them that may be under way
    cdef public object on_write_error      # who is told of a failure that nobody else was told of
    cdef Collector collector       # a step of a chain is being begun; else None
    cdef object places             # the table of direct files (links), once it is needed
    cdef bint dead                 # closed, or left behind by a fork
    cdef rm_aux *aux_free
    cdef uint32_t aux_out, holds   # blocks and buffers that ops hold
    cdef uint32_t aux_spare        # blocks on the freelist
    cdef uint32_t cancels_again    # timers that will repeat a cancel, if need be
    cdef object arena              # memory that is lent: an Arena; where it lies, once it does
    cdef size_t arena_at, arena_size
    cdef uint32_t arena_idle       # segments of it that nobody leases from, but may have pages
    cdef uint64_t zero_asked, zero_copied  # sends without a copy, and those copied after all
    cdef uint64_t stale            # CQEs of ops that were gone: shown in stats()
    cdef bint has_spare(self) noexcept
    cdef int trim(self) except -1
    cdef int make_room(self, rm_ring *ring) except -1
    cdef rm_ring *open_beside(self) except NULL
    cdef int strike(self, object error) except -1

cdef Driver here()
cdef Driver here_or_none()
cdef int set_here(Driver driver) except -1
cdef int check_thread(Driver driver) except -1

cdef int ready_push(Driver driver, Waiter waiter) except -1
cdef Waiter queue_pop(rm_queue *queue)
cdef void ready_clear(Driver driver) noexcept
cdef void ready_remove(Driver driver, Waiter waiter) noexcept
cdef int driver_init(Driver driver, uint32_t ops_max) except -1
cdef void driver_free(Driver driver) noexcept
cdef int slots_grow(Driver driver) except -1
cdef rm_aux *aux_take(Driver driver) except NULL
cdef void aux_give(Driver driver, rm_aux *aux) noexcept
cdef bint driver_has_spare(Driver driver) noexcept
cdef int driver_trim(Driver driver) except -1
