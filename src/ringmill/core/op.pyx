"""The op: a filled SQE, what it points to, and who waits for it.

Two lives, each an explicit state: the kernel's (may it still write to the op's memory?) and the
program's (has somebody taken the result?). The kernel holds a reference from push to the last
CQE. `user_data` carries slot and generation, so that a stale CQE can reach no other op.

Knows the Driver's rings and slots; not fibers or tasks, which are Waiters to it, nor the turn.
"""
cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from ringmill.core.driver cimport (
    SLOT_NONE, Driver, Handler, Waiter, aux_give, check_thread, here, slots_grow,
)
from ringmill.core.errno cimport EAGAIN, ECANCELED, ENOENT
from ringmill.core.parked cimport parked_new, parked_remove
from ringmill.core.results cimport data_taken
from ringmill.core.ring cimport (
    IORING_OP_ASYNC_CANCEL, IORING_OP_NOP, IORING_OP_READ, IOSQE_IO_HARDLINK, IOSQE_IO_LINK,
    io_uring_sqe, rm_has_op, rm_push, rm_ring, rm_sq_room,
)

import os
import sys
import types
import warnings

from ringmill.errors import Cancelled, ClosedError, RingmillError, WouldExceedBudget

cdef extern from *:
    """
    #include <assert.h>
    /* Cython's own count of the Ops that @cython.freelist keeps. */
    #define rm_ops_spare() __pyx_mstate_global->__pyx_freecount_8ringmill_4core_2op_Op
    #define rm_op_bytes() sizeof(struct __pyx_obj_8ringmill_4core_2op_Op)
    """
    void rm_assert "assert"(bint) noexcept
    int rm_ops_spare() noexcept
    size_t rm_op_bytes() noexcept

cdef extern from "await.h":
    int rm_return(PyObject *value) except -1
    void rm_forget_value()

cdef extern from "slots.h":
    void rm_set_await(PyObject *type, void *next, void *send)
    int rm_no_new(object type)

cdef object is_finalizing = sys.is_finalizing  # modules are empty when the interpreter ends
cdef object DROPPED = "an op was dropped, not awaited, waited for or detached"

cdef enum:
    SHIELDED_MAX = 64  # ops beyond ops_max, when no cancel could take them out of the line: closes


# ── hot path ────────────────────────────────────────────────────────────────────────────────

cdef inline int slot_take(Op op) except -1:
    cdef Driver driver = op.driver
    if driver.slots_free == SLOT_NONE:
        slots_grow(driver)
    cdef uint32_t slot = driver.slots_free
    driver.slots_free = driver.slots[slot].next_free
    driver.slots[slot].op = <PyObject *>op
    op.slot = slot
    op.generation = driver.slots[slot].generation
    driver.ops_live += 1
    return 0


cdef Op op_new(int kind):
    """A new op of this thread's machine. Raises the cancel that the caller has pending."""
    cdef Driver driver = here()
    cdef Waiter current = driver.current
    if current is not None and current.must_raise:
        current.raise_pending()
    cdef Op op = op_given(driver) if driver.given is not None else Op.__new__(Op)
    op.driver = driver
    op.kind = kind
    return op


cdef Op op_new_shielded(int kind):
    """An op that no cancel stops: neither one that is pending, nor one that is asked later."""
    cdef Op op = Op.__new__(Op)
    op.driver = here()
    op.kind = kind
    op.shielded = True
    return op


cdef Op op_detached(Driver driver, int kind):
    """An op that its handler answers for; nobody waits for it."""
    cdef Op op = Op.__new__(Op)
    op.driver = driver
    op.kind = kind
    op.program = P_DETACHED
    return op


cdef Op op_local(Driver driver):
    """An op that no kernel knows: it is completed by op_complete_value()."""
    cdef Op op = Op.__new__(Op)
    op.driver = driver
    op.kind = R_VALUE
    op.kernel = K_IN_FLIGHT
    return op


cdef io_uring_sqe *op_push(Op op, unsigned opcode, int fd) except NULL:
    cdef Driver driver = op.driver
    if driver.collector is not None:
        return driver.collector.add(op, opcode, fd)
    if rm_has_op(&driver.ring, opcode):
        return op_push_on(op, &driver.ring, opcode, fd)
    return op_push_on(op, driver.open_beside(), opcode, fd)


cdef io_uring_sqe *op_push_on(Op op, rm_ring *ring, unsigned opcode, int fd) except NULL:
    """The op's SQE, zeroed but for opcode, fd and user_data. From here the kernel has a share."""
    cdef Driver driver = op.driver
    rm_assert(op.kernel == K_NEW)
    if driver.dead:
        raise ClosedError("the machine is closed")
    if rm_sq_room(ring) <= CANCEL_ROOM:
        driver.make_room(ring)
    if driver.ops_live >= driver.ops_max + (SHIELDED_MAX if op.shielded else 0):
        return op_stand(op, ring, opcode, fd)
    slot_take(op)
    Py_INCREF(op)
    op.ring = ring
    op.sq_place = ring.sq_tail
    op.opcode = opcode
    op.kernel = K_QUEUED
    return rm_push(ring, opcode, fd, <uint64_t>op.generation << 32 | op.slot)


cdef io_uring_sqe *op_push_again(Op op, unsigned opcode, int fd) except NULL:
    """One more SQE for an op whose CQE was not the end of it: the kernel keeps its share."""
    if rm_sq_room(op.ring) <= CANCEL_ROOM:
        op.driver.make_room(op.ring)
    op.sq_place = op.ring.sq_tail
    op.kernel = K_QUEUED
    return rm_push(op.ring, opcode, fd, <uint64_t>op.generation << 32 | op.slot)


cdef io_uring_sqe *op_stand(Op op, rm_ring *ring, unsigned opcode, int fd) except NULL:
    """No slot is free: the op stands in line, filled and not yet pushed; or its caller is told."""
    if not op.driver.patient:
        raise WouldExceedBudget(f"ops_max: {op.driver.ops_max} ops are alive on this machine")
    op.parked = parked_new(op.driver, op, opcode, fd)
    op.ring = ring
    op.opcode = opcode
    op.kernel = K_QUEUED
    return &op.parked.sqe


cdef int op_seat(Op op) except -1:
    """A slot for an op that stood in line; what it asks for is lost."""
    slot_take(op)
    parked_remove(op.driver, op.parked)
    free(op.parked)
    op.parked = NULL
    return 0


cdef int op_unpark(Op op) except -1:
    """Push an op that stood in line; there is room."""
    cdef io_uring_sqe *sqe = &op.ring.sqes[op.ring.sq_tail & op.ring.sq_mask]
    memcpy(sqe, &op.parked.sqe, sizeof(io_uring_sqe))
    op_seat(op)
    op.sq_place = op.ring.sq_tail
    op.ring.sq_tail += 1
    sqe.user_data = <uint64_t>op.generation << 32 | op.slot
    return 0


cdef int op_attach(Op op, Waiter waiter) except -1:
    """Let `waiter` be woken when `op` is done. One waiter at a time."""
    if op.waiter is not None:
        raise RuntimeError("somebody else is already waiting for this op")
    rm_assert(op.kernel != K_DONE)
    op.waiter = waiter
    op.program = P_WAITED
    return 0


cdef void op_complete_value(Op op, object value, object error) noexcept:
    """A local op is done."""
    cdef Waiter waiter = op.waiter
    rm_assert(op.kernel == K_IN_FLIGHT)
    op.kernel = K_DONE
    op.value = value
    op.error = error
    if waiter is not None:
        op.waiter = None
        waiter.wake(op)


cdef object op_take(Op op):
    """The result, once; or the error."""
    rm_assert(op.kernel == K_DONE)
    if op.program == P_TAKEN:
        raise RingmillError("the result of this op has been taken already")
    op.program = P_TAKEN
    cdef int res = op.res, kind = op.kind
    if res < 0:
        return op_take_error(op)
    if kind == R_COUNT or kind == R_FD:
        return res
    if kind == R_DATA:
        return op_take_data(op, res)
    if kind == R_VALUE:
        return op_take_value(op)
    if kind == R_NOTHING or kind == R_GONE:
        return None
    return op_take_rare(op, kind, res)


cdef void forget_value() noexcept:
    rm_forget_value()  # the reused StopIteration would keep the last value alive


# ── the rest ────────────────────────────────────────────────────────────────────────────────

cdef object op_take_data(Op op, int res):
    cdef PyObject *data = <PyObject *>op.value
    Py_INCREF(op.value)
    op.value = None
    return data_taken(data, res)


cdef object op_take_value(Op op):
    cdef object value = op.value
    cdef object error = op.error
    op.value = None
    op.error = None
    if error is not None:
        raise error
    return value


cdef object op_take_rare(Op op, int kind, int res):
    """The results that are made from what the kernel wrote into the aux block."""
    cdef bint data = kind == R_MESSAGE or kind == R_FROM or kind == R_FDS
    try:
        value = op_take_data(op, res) if data else op.value
        return rare_value(kind, res, value, op.target, op.keep, op.aux)
    except BaseException:
        op_close_brought(op)
        raise
    finally:
        drop_aux(op)


cdef object op_take_error(Op op):
    """What went wrong, raised; but some errors are an answer to what was asked."""
    drop_aux(op)
    cdef object name = op.error  # the path or address, as it was given; or two Names
    op.error = None
    if op.res == -ECANCELED:
        raise Cancelled
    if op.kind == R_WOKEN and op.res == -EAGAIN:
        return False
    if op.kind == R_GONE and op.res == -ENOENT:
        return None
    if type(name) is Names:
        raise OSError(-op.res, os.strerror(-op.res), (<Names>name).first, None,
                      (<Names>name).second)
    if name is not None:
        raise OSError(-op.res, os.strerror(-op.res), name)
    raise OSError(-op.res, os.strerror(-op.res))


cdef void op_undo(Op op) noexcept:
    """Nobody takes this result: leave the world as if it had not come."""
    cdef Handler handler = op.handler
    op.program = P_ABANDONED
    if handler is not None:
        handler.undo(op)
    else:
        op_close_brought(op)


cdef void op_close_brought(Op op) noexcept:
    """Close the descriptors that a result brought, which nobody will have."""
    if op.res >= 0:
        rare_close(op.kind, op.res, op.value, op.aux)


cdef bint op_request_cancel(Op op) except -1:
    """Ask for an end; the op's own last CQE tells what came of it. False: it is done already."""
    if op.kernel == K_DONE or op.kernel == K_NEW:
        return False
    if op.cancel_asked or op.shielded:
        return True
    op.cancel_asked = True
    if op.parked != NULL and rm_sq_room(op.ring) == 0:
        op.driver.make_room(op.ring)
    if op.parked != NULL:
        op_unpark(op)  # it takes a slot just to end, beyond ops_max
    if op.ring == NULL:
        cancel_local(op)
    elif op_is_queued(op):
        neutralize(op)
    else:
        op_push_cancel(op)
    return True


cdef void cancel_local(Op op) noexcept:
    cdef Handler handler = op.handler
    op.res = -ECANCELED
    if handler is not None:
        handler.cancelled(op)
    op_complete_value(op, None, None)


cdef bint op_is_queued(Op op) noexcept:
    """Still in the SQ, not yet shown to the kernel? Notes the transition."""
    if op.kernel != K_QUEUED:
        return False
    if op.parked != NULL:
        return True
    if <int>(op.sq_place - op.ring.sq_ktail[0]) >= 0:
        return True
    op.kernel = K_IN_FLIGHT
    return False


cdef void neutralize(Op op) noexcept:
    """Not yet submitted: turn the SQE into a NOP (or what fails, for those that are linked to it),
    so that it certainly does not happen."""
    cdef io_uring_sqe *sqe = &op.ring.sqes[op.sq_place & op.ring.sq_mask]
    cdef uint64_t user_data = sqe.user_data
    cdef uint8_t links = sqe.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)
    rm_assert(user_data == (<uint64_t>op.generation << 32 | op.slot))
    memset(sqe, 0, sizeof(io_uring_sqe))
    sqe.opcode = IORING_OP_READ if links else IORING_OP_NOP
    sqe.flags = links
    sqe.fd = -1
    sqe.user_data = user_data
    op.neutral = True


cdef int op_push_cancel(Op op) except -1:
    cdef io_uring_sqe *sqe
    if rm_sq_room(op.ring) == 0:
        op.driver.make_room(op.ring)
        if op.kernel == K_DONE:
            return 0
    sqe = rm_push(op.ring, IORING_OP_ASYNC_CANCEL, -1, TO_CANCEL + op.slot)
    sqe.addr = <uint64_t>op.generation << 32 | op.slot
    return 0


cdef void drop_aux(Op op) noexcept:
    if op.aux != NULL:
        aux_give(op.driver, op.aux)
        op.aux = NULL


@cython.final
cdef class Names:
    """Two paths of one op."""


@cython.final
@cython.freelist(1024)
@cython.no_gc_clear  # __dealloc__ needs its driver
cdef class Op:
    """Something that will complete: await it, `wait` for it, `cancel` it, or `detach` it.

    One waiter, one result. An op that is dropped without any of these gives a ResourceWarning;
    whatever it brings then is undone (a file descriptor nobody took is closed).
    """

    def __dealloc__(self):
        if self.kernel == K_DONE and self.program != P_TAKEN and self.program != P_ABANDONED:
            if self.program == P_NEW and not self.cancel_asked:
                warn_unawaited()
            op_undo(self)
        elif self.ring == NULL and self.kernel == K_IN_FLIGHT and self.handler is not None:
            if self.program == P_NEW and not self.cancel_asked and not self.driver.dead:
                warn_unawaited()
            self.handler.cancelled(self)  # a local op that nobody waits for any more
        drop_buffers(self)  # an argument was refused after they were taken
        drop_aux(self)

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.kernel != K_DONE:
            return self
        raise StopIteration(op_take(self))

    @property
    def done(self):
        """Whether the last completion has come."""
        return self.kernel == K_DONE

    @property
    def state(self):
        """Both lives, in words: ("in flight", "waited")."""
        op_is_queued(self)
        return (("new", "queued", "in flight", "done")[self.kernel],
                ("new", "waited", "detached", "taken", "abandoned")[self.program])

    @property
    def copied(self):
        """Of a send with zero_copy=True that is done: did the kernel copy after all?

        None when it does not say, and for every other op.
        """
        return (None, False, True, None)[self.copies] if self.kernel == K_DONE else None

    def result(self):
        """The result of an op that is done, once; raises what went wrong."""
        op_owned(self)
        if self.kernel != K_DONE:
            raise RingmillError("this op is not done; wait for it first")
        return op_take(self)

    def cancel(self):
        """Ask for an end. True when asked; False when it is done already.

        Whoever waits gets `Cancelled`, or the result when that came first.
        """
        op_owned(self)
        return op_request_cancel(self)

    def detach(self):
        """Let it complete without anybody waiting; its result is undone, its error ignored."""
        op_owned(self)
        if self.program == P_NEW:
            self.program = P_DETACHED

    __class_getitem__ = classmethod(types.GenericAlias)  # Op[bytes], in annotations

    def __repr__(self):
        return "<Op %s, %s>" % self.state


cdef size_t op_bytes() noexcept:
    return rm_op_bytes()


cdef size_t ops_spare_bytes() noexcept:
    return rm_ops_spare() * rm_op_bytes()


cdef int op_owned(Op op) except -1:
    """Refuse a foreign thread; a closed machine's ops are done, and may be looked at."""
    if op.driver is None:
        raise TypeError("ops are made by the functions of ringmill.aio")
    return 0 if op.driver.dead else check_thread(op.driver)


cdef void warn_unawaited() noexcept:
    # noexcept: a filter that makes errors of warnings ends in sys.unraisablehook
    if not is_finalizing():
        warnings.warn(DROPPED, ResourceWarning, stacklevel=1)


# ── await: raw slots, see await.h ──

cdef PyObject *op_iternext(PyObject *self) except? NULL:
    cdef Op op = <Op>self
    if op.kernel != K_DONE:
        Py_INCREF(op)
        return self
    value = op_take(op)
    rm_return(<PyObject *>value)
    return NULL


cdef int op_send(PyObject *self, PyObject *sent, PyObject **out) except? -1:
    """PYGEN_RETURN is 0, PYGEN_ERROR -1, PYGEN_NEXT 1."""
    cdef Op op = <Op>self
    if op.kernel != K_DONE:
        Py_INCREF(op)
        out[0] = self
        return 1
    out[0] = NULL
    value = op_take(op)
    Py_INCREF(value)
    out[0] = <PyObject *>value
    return 0


rm_set_await(<PyObject *>Op, <void *>op_iternext, <void *>op_send)
rm_no_new(Op)
