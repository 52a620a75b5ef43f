"""The op; declarations only."""
from cpython.buffer cimport PyBuffer_Release
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from ringmill.core.aux cimport rm_aux
from ringmill.core.driver cimport Driver, Handler, Waiter, rm_parked
from ringmill.core.rare cimport *
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

# Of a send that was to go without a copy: what the kernel said about it.
cdef enum Copied:
    NOT_ASKED
    NOT_COPIED
    COPIED
    UNKNOWN_COPIED  # it did not say

# user_data below 2**32 belongs to no op (generations begin at 1).
cdef enum:
    TO_NOBODY = 0
    TO_WAKE = 1        # the wake-up pipe is readable
    TO_BESIDE = 2      # the soft ring beside has something
    TO_CANCEL = 16     # … plus a slot: the answer to a cancel of its op

cdef enum:
    CANCEL_ROOM = 4  # SQEs for cancels alone: a cancel must never wait for what it is to end

cdef class Op:
    cdef Driver driver
    cdef Waiter waiter
    cdef Handler handler
    cdef object value              # the bytes being filled; or a local op's result
    cdef object target             # the object whose descriptor it uses; accept: the listener
    cdef object keep               # what else must live: a path, an address, vectors
    cdef object error              # a local op's error
    cdef Py_buffer view
    cdef rm_aux *aux
    cdef rm_ring *ring
    cdef rm_parked *parked         # its SQE, while it stands in line for a slot
    cdef uint32_t slot, generation, sq_place
    cdef int res
    cdef uint32_t flags
    cdef uint8_t kernel, program, kind, opcode, cancels_missed, copies
    cdef Views views               # several buffers, held until the last CQE
    cdef bint holds_view, cancel_asked, neutral, shielded

cdef class Names:                  # op.error of an op on two paths: both, as they were given
    cdef object first, second

cdef inline Op op_given(Driver driver):
    """The op to be used again; once: what is begun while its arguments are looked at is another."""
    cdef Op op = <Op>driver.given
    driver.given = None
    return op

cdef Op op_new(int kind)
cdef Op op_new_shielded(int kind)
cdef Op op_detached(Driver driver, int kind)
cdef Op op_local(Driver driver)
cdef io_uring_sqe *op_push(Op op, unsigned opcode, int fd) except NULL
cdef io_uring_sqe *op_push_on(Op op, rm_ring *ring, unsigned opcode, int fd) except NULL
cdef int op_seat(Op op) except -1
cdef int op_unpark(Op op) except -1
cdef int op_attach(Op op, Waiter waiter) except -1
cdef bint op_request_cancel(Op op) except -1
cdef int op_push_cancel(Op op) except -1
cdef void op_complete_value(Op op, object value, object error) noexcept
cdef void warn_unawaited() noexcept
cdef object op_take(Op op)
cdef object op_take_data(Op op, int res)
cdef io_uring_sqe *op_push_again(Op op, unsigned opcode, int fd) except NULL

cdef void drop_aux(Op op) noexcept

cdef inline void drop_buffers(Op op) noexcept:
    """The program's buffers are its own again."""
    if op.holds_view:
        op.holds_view = False
        op.driver.holds -= 1
        PyBuffer_Release(&op.view)
    if op.views is not None:
        op.driver.holds -= op.views.count
        op.views.release()
        op.views = None

cdef void forget_value() noexcept
cdef size_t ops_spare_bytes() noexcept
cdef size_t op_bytes() noexcept
