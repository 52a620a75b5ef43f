"""The op and what it sees of its machine; declarations only."""
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from ringmill.core.aux cimport rm_aux
from ringmill.core.ring cimport io_uring_sqe, rm_ring
from ringmill.core.views cimport Views

# Who still may write to the op's memory. Local ops (timers, joins) skip QUEUED.
cdef enum KernelState:
    K_NEW        # not given to any kernel
    K_QUEUED     # in the SQ; an enter will take it
    K_IN_FLIGHT  # the kernel has it; CQEs will come
    K_DONE       # the last CQE came; nothing of ours is used any more

# What the program has done with it.
cdef enum ProgramState:
    P_NEW        # nobody has waited for it yet
    P_WAITED     # somebody waits, or has waited
    P_DETACHED   # the program said that it does not care
    P_TAKEN      # result or error was handed out, once
    P_ABANDONED  # dropped with a result; the result was undone

# How `res` becomes a Python value: the cases of the single switch in op_result().
cdef enum Result:
    R_NOTHING
    R_COUNT
    R_DATA
    R_FD
    R_ACCEPT
    R_SOCKET
    R_STAT
    R_MESSAGE
    R_WAITID
    R_VALUE

cdef struct rm_slot:
    PyObject *op         # borrowed from the kernel's reference
    uint32_t generation  # never 0, so that user_data < 2**32 is ours to give meaning
    uint32_t next_free

cdef class Waiter:
    """Whoever can stand on the runqueue."""
    cdef PyObject *next_ready      # unused by the ring queue; kept NULL
    cdef bint queued               # it stands there now, once
    cdef bint must_raise           # a cancel was asked and has not been raised yet
    cdef void wake(self, Op op) noexcept
    cdef int run(self) except -1
    cdef int raise_pending(self) except -1

cdef class Handler:
    """Takes the CQEs of an op that has more than one."""
    cdef bint on_cqe(self, Op op, int res, uint32_t flags)
    cdef void undo(self, Op op) noexcept
    cdef void cancelled(self, Op op) noexcept

cdef class Driver:
    """The part of a machine that ops see."""
    cdef rm_ring ring              # the kernel that was chosen
    cdef rm_ring *beside           # soft, for opcodes which that kernel lacks; or NULL
    cdef rm_slot *slots
    cdef uint32_t slots_size, slots_free
    cdef readonly uint32_t ops_live, ops_max
    cdef PyObject **ready_items    # the runqueue: a ring of owned Waiters
    cdef size_t ready_head, ready_tail, ready_mask
    cdef Waiter current            # who is running
    cdef bint dead                 # closed, or left behind by a fork
    cdef rm_aux *aux_free
    cdef uint32_t aux_out, holds   # blocks and buffers that ops hold
    cdef uint64_t stale            # CQEs of ops that were gone: shown in stats()
    cdef int make_room(self, rm_ring *ring) except -1
    cdef rm_ring *open_beside(self) except NULL

cdef class Op:
    cdef Driver driver
    cdef Waiter waiter
    cdef Handler handler
    cdef object value              # the bytes being filled; or a local op's result
    cdef object keep               # what else must live: a path, an address, vectors
    cdef object error              # a local op's error
    cdef Py_buffer view
    cdef rm_aux *aux
    cdef rm_ring *ring
    cdef uint32_t slot, generation, sq_place
    cdef int res
    cdef uint32_t flags
    cdef uint8_t kernel, program, kind, opcode
    cdef Views views               # several buffers, held until the last CQE
    cdef bint holds_view, cancel_asked, neutral, shielded

cdef Driver here()
cdef Driver here_or_none()
cdef int set_here(Driver driver) except -1
cdef int check_thread(Driver driver) except -1

cdef Op op_new(int kind)
cdef Op op_new_shielded(int kind)
cdef Op op_local(Driver driver)
cdef io_uring_sqe *op_push(Op op, unsigned opcode, int fd) except NULL
cdef io_uring_sqe *op_push_on(Op op, rm_ring *ring, unsigned opcode, int fd) except NULL
cdef int op_attach(Op op, Waiter waiter) except -1
cdef bint op_request_cancel(Op op) except -1
cdef void op_complete(Op op, int res, uint32_t flags) noexcept
cdef void op_complete_value(Op op, object value, object error) noexcept
cdef object op_take(Op op)
cdef void op_cqe(Driver driver, uint64_t user_data, int res, uint32_t flags) noexcept
cdef int op_release_all(Driver driver) except -1

cdef int hold_view(Op op, object buffer, bint writable) except -1
cdef Views hold_views(Op op, object buffers, bint writable)
cdef rm_aux *hold_aux(Op op) except NULL
cdef void drop_aux(Op op) noexcept

cdef int ready_push(Driver driver, Waiter waiter) except -1
cdef object ready_pop(Driver driver)
cdef int driver_init(Driver driver, uint32_t ops_max) except -1
cdef void driver_free(Driver driver) noexcept
cdef void forget_value() noexcept
