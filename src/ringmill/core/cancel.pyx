"""Cancels that missed are asked again; and the end of all ops of a machine.

ASYNC_CANCEL answers ENOENT for a request that is on its way from one list of the kernel to
another (its poll has fired, or it goes to a worker), and the request may then block for ever. So
a cancel is repeated, after 1 ms and then ever later, for as long as its op lives.

Knows slots and timers; does not know who asked.
"""
from libc.stdint cimport int64_t, uint32_t

from ringmill.core.complete cimport op_complete
from ringmill.core.driver cimport Driver, Handler
from ringmill.core.errno cimport ECANCELED
from ringmill.core.op cimport (
    P_NEW, Op, op_push_cancel, op_request_cancel, op_seat, op_unpark, warn_unawaited,
)
from ringmill.core.ring cimport rm_sq_room
from ringmill.core.timers cimport Timer, Timers

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(object)

cdef enum:
    DROPPED = 2  # references to an op that the program has let go of: the kernel's, and ours here
    AGAIN_NS = 1_000_000  # the first repetition; doubled each time,
    DOUBLED_MAX = 7       # up to 128 ms: a disk that hangs is not asked all the time


cdef class Again(Timer):
    """Asks once more, if the op is still the one that was meant."""
    cdef Driver driver
    cdef uint32_t slot, generation

    cdef void expire(self) noexcept:
        self.driver.cancels_again -= 1
        if not self.driver.dead and self.driver.slots[self.slot].generation == self.generation:
            if self.driver.slots[self.slot].op != NULL:
                op_push_cancel(<Op>self.driver.slots[self.slot].op)


cdef int cancel_answered(Driver driver, Timers timers, uint32_t slot, int res) except -1:
    """What became of a cancel for the op in `slot`: found (0), or perhaps not."""
    cdef Op op
    cdef Again again
    if res >= 0 or slot >= driver.slots_size or driver.slots[slot].op == NULL:
        return 0
    op = <Op>driver.slots[slot].op
    if not op.cancel_asked:
        return 0  # the slot belongs to a later op
    again = Again.__new__(Again)
    again.driver = driver
    again.slot = slot
    again.generation = op.generation
    driver.cancels_again += 1
    timers.add(again, timers.now() + (<int64_t>AGAIN_NS << op.cancels_missed))
    if op.cancels_missed < DOUBLED_MAX:
        op.cancels_missed += 1
    return 0


cdef int op_cancel_all(Driver driver) except -1:
    cdef uint32_t i
    cdef Op op
    while driver.line != NULL:
        op = <Op>driver.line.op
        if rm_sq_room(op.ring) == 0:
            driver.make_room(op.ring)
        if op.parked != NULL:
            op_unpark(op)
    for i in range(driver.slots_size):
        if driver.slots[i].op != NULL:
            op = <Op>driver.slots[i].op
            if op.program == P_NEW and not op.cancel_asked and Py_REFCNT(op) == DROPPED:
                warn_unawaited()
            op_request_cancel(op)
    return 0


cdef int op_release_all(Driver driver) except -1:
    """The ring is closed: no CQE will come any more. End every op that is still alive."""
    cdef uint32_t i
    cdef Op op
    cdef Handler handler
    while driver.line != NULL:
        op_seat(<Op>driver.line.op)
    for i in range(driver.slots_size):
        if driver.slots[i].op != NULL:
            op = <Op>driver.slots[i].op
            handler = op.handler
            if handler is None or handler.on_cqe(op, -ECANCELED, 0):
                op_complete(op, -ECANCELED, 0)
    return 0
