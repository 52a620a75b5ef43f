"""A CQE has come: whose it is, and what the last one ends.

From here on the kernel uses nothing of the program's memory: buffers are released, the slot is
given back, whoever waits is put on the runqueue. Nobody runs yet.

Knows ops and their handlers; does not know what a result means (op) or who waits.
"""
from cpython.ref cimport Py_DECREF
from libc.stdint cimport uint32_t, uint64_t

from ringmill.core.driver cimport Driver, Handler, Waiter, rm_slot
from ringmill.core.errno cimport ECANCELED, EINTR, EIO
from ringmill.core.op cimport K_DONE, K_IN_FLIGHT, K_QUEUED, R_FD, Op, drop_aux, drop_buffers
from ringmill.core.ring cimport IORING_CQE_F_MORE

cdef extern from *:
    """
    #include <assert.h>
    """
    void rm_assert "assert"(bint) noexcept


cdef void op_cqe(Driver driver, uint64_t user_data, int res, uint32_t flags) noexcept:
    """A CQE has come: find its op, by slot and generation."""
    cdef uint32_t slot = <uint32_t>user_data
    if (slot >= driver.slots_size or driver.slots[slot].generation != user_data >> 32
            or driver.slots[slot].op == NULL):
        driver.stale += 1
        return
    cdef Op op = <Op>driver.slots[slot].op
    cdef Handler handler = op.handler  # held: it may let go of the op, which is what holds it
    if op.neutral:
        res = -ECANCELED  # the NOP in its place has succeeded, the op has not
    if handler is not None:
        op_handled(op, handler, res, flags)
    elif not flags & IORING_CQE_F_MORE:
        op_complete(op, res, flags)


cdef void op_handled(Op op, Handler handler, int res, uint32_t flags) noexcept:
    """Whatever goes wrong in a handler (out of memory …), nobody is left waiting."""
    cdef bint done = False, told = False
    try:
        done = handler.on_cqe(op, res, flags)
        told = True
    finally:
        if done:
            op_complete(op, res, flags)
        elif not told and op.kernel != K_DONE and not flags & IORING_CQE_F_MORE:
            op_complete(op, -EIO, flags)


cdef inline bint is_interrupt(int res) noexcept:
    """A kernel worker interrupted by our cancel: EINTR, or what the kernel calls it inside."""
    return res == -EINTR or -516 <= res <= -512  # ERESTARTSYS … ERESTART_RESTARTBLOCK


cdef void op_complete(Op op, int res, uint32_t flags) noexcept:
    """The last CQE: nothing of the program's memory is used any more; the waiter may go on."""
    cdef Waiter waiter
    rm_assert(op.kernel == K_QUEUED or op.kernel == K_IN_FLIGHT)
    op.kernel = K_DONE
    op.res = -ECANCELED if op.cancel_asked and is_interrupt(res) else res
    op.flags = flags
    slot_give(op)
    drop_buffers(op)
    if op.kind <= R_FD:
        drop_aux(op)  # the later results are made from it
    waiter = op.waiter
    if waiter is not None:
        op.waiter = None
        waiter.wake(op)
    Py_DECREF(op)  # the kernel's reference


cdef inline void slot_give(Op op) noexcept:
    cdef rm_slot *slot = &op.driver.slots[op.slot]
    slot.op = NULL
    slot.generation += 1
    if slot.generation == 0:
        slot.generation = 1
    slot.next_free = op.driver.slots_free
    op.driver.slots_free = op.slot
    op.driver.ops_live -= 1
