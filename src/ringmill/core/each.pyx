"""Ops with many results: accept, receive, read and poll that go on until told otherwise.

One SQE, many CQEs. The kernel ends such an op when it likes (overflow, no buffers, a signal):
it is armed again; the iteration ends only at the end of the data, an error, or close(). Results
that nobody takes are undone: file descriptors closed, buffers given back. Whoever takes too
slowly does not fill the memory: beyond a bound the op is paused until results are taken.

Knows CQEs and how one becomes a value; does not know who iterates.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from posix.unistd cimport close as posix_close

from ringmill.core.buffers cimport Starver
from ringmill.core.machine cimport Machine, machine_group
from ringmill.core.driver cimport check_thread, here, here_or_none
from ringmill.core.op cimport (
    K_DONE, R_ACCEPT, R_DATA, Op, op_complete_value, op_detached, op_local, op_new, op_push_on,
    op_request_cancel, op_take_data,
)
from ringmill.core.results cimport socket_from
from ringmill.core.ring cimport (
    IORING_CQE_BUFFER_SHIFT, IORING_CQE_F_BUFFER, IORING_CQE_F_MORE, IOSQE_BUFFER_SELECT,
    io_uring_sqe, rm_has_op,
)

import collections
import os
import types

cdef extern from "errno.h":
    enum:
        EAGAIN, EBADFD, ECANCELED, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, EPERM

cdef extern from "ring.h":
    enum:
        IORING_OP_READ, IORING_OP_READ_MULTISHOT

cdef extern from "slots.h":
    int rm_no_new(object type)

cdef enum:
    SHOTS_ROOM = 128   # results that may stand in line: the queue's fixed size
    SHOTS_PAUSE = 64   # … beyond which the op is paused; the rest is room for what is on its way
    BULK_SIZE = 65536  # bytes of a receive in bulk; larger ones leave the processor's cache
    BULK_WEIGHT = 8    # a full piece gives 2, a small one takes 1: bulk begins here, ends at 0
    BULK_AHEAD = 4     # pieces in bulk that may stand in line


cdef class Shots(Starver):
    """The state behind an iteration; the kernel's op refers to it, the user's Each does too."""

    def __dealloc__(self):
        while self.head != self.tail:
            shot_undo(self, self.shots[self.head & self.mask])
            self.head += 1
        free(self.shots)

    cdef int arm(self) except -1:
        """Give the op to the kernel (again)."""
        cdef Op op
        cdef io_uring_sqe *sqe
        if self.driver.dead:
            self.ended = True
            return 0
        op = op_detached(self.driver, self.kind)
        op.handler = self
        if self.bulk:
            op.value = PyBytes_FromStringAndSize(NULL, BULK_SIZE)
        self.pausing = False
        self.starved = False
        sqe = op_push_on(op, self.ring, self.template.opcode, self.template.fd)
        self.template.user_data = sqe.user_data
        memcpy(sqe, &self.template, sizeof(io_uring_sqe))
        if self.bulk:
            bulk_fill(op, sqe)
        self.op = op
        return 0

    cdef bint on_cqe(self, object op, int res, uint32_t flags):
        cdef bint last = not flags & IORING_CQE_F_MORE
        cdef bint go_on = last
        cdef rm_shot shot
        shot.res = res
        shot.flags = flags
        if last:
            self.op = None
            (<Op>op).handler = None
        if flags & IORING_CQE_F_BUFFER and self.group is not None:
            self.group.lent += 1
        if self.closed:
            shot_undo(self, shot)
        elif res > 0 or (res == 0 and self.kind != R_DATA):
            if self.group is not None:
                if last and not flags & IORING_CQE_F_BUFFER:
                    self.filled = op
                bulk_weigh(self, res)
            shots_add(self, shot)
        elif res == 0:
            shot_undo(self, shot)
            shots_end(self, 0)
        else:
            shot_undo(self, shot)  # an error may come with a buffer
            if last:
                go_on = shots_failed(self, -res)
        if go_on and not self.closed and not self.ended:
            shots_go_on(self)
        return last

    cdef void fed(self) noexcept:
        """A buffer has come back to the group."""
        self.starved = False
        if not self.closed and not self.ended and self.op is None:
            self.arm()

    cdef Op next_op(self):
        """A local op that completes with the next result."""
        cdef Op op
        if self.asking != NULL:
            raise RuntimeError("somebody else is already waiting for the next result")
        op = op_local(self.driver)
        op.handler = self
        if self.back:
            op_complete_value(op, self.back.popleft(), None)
            shots_resume(self)
        elif self.head != self.tail:
            self.head += 1
            shot_answer(self, op, self.shots[(self.head - 1) & self.mask])
            shots_resume(self)
        elif self.error or self.ended:
            shots_answer_end(self, op)
        else:
            self.asking = <PyObject *>op
            if self.op is None and not self.starved:
                self.arm()
        return op

    cdef void undo(self, object op) noexcept:
        """The next result was handed to an op that nobody took it from: keep it for the next."""
        if (<Op>op).res >= 0 and (<Op>op).error is None and not self.closed:
            self.back.appendleft((<Op>op).value)

    cdef void cancelled(self, object op) noexcept:
        if self.asking == <PyObject *>op:
            self.asking = NULL

    cdef int close(self) except -1:
        """End it: what is queued is undone, and what the kernel still sends."""
        cdef Op op = shots_asking(self)
        if self.closed:
            return 0
        self.closed = True
        self.ended = True
        self.back.clear()
        while self.head != self.tail:
            shot_undo(self, self.shots[self.head & self.mask])
            self.head += 1
        if self.starved:
            self.group.forget(self)
        if op is not None:
            shots_answer_end(self, op)
        if self.op is not None and not self.driver.dead:
            op_request_cancel(self.op)
        return 0


cdef Op shots_asking(Shots self):
    """Whoever waits for the next result, or None; it is answered now, and asks no longer."""
    cdef Op op = None
    if self.asking != NULL:
        op = <Op>self.asking
        self.asking = NULL
    return op


cdef int shots_add(Shots self, rm_shot shot) except -1:
    cdef Op op = shots_asking(self)
    if op is not None:
        return shot_answer(self, op, shot)
    if self.group is not None:
        # Copied out now, not when it is taken: what nobody takes must not pin buffers that
        # others wait for.
        self.back.append(shot_value(self, shot))
    else:
        self.shots[self.tail & self.mask] = shot
        self.tail += 1
    # Room is left for what the kernel has already made; see SHOTS_PAUSE.
    if standing(self) >= SHOTS_PAUSE and self.op is not None and not self.pausing:
        self.pausing = True
        op_request_cancel(self.op)
    elif self.tail - self.head > self.mask:
        shots_grow(self)
    return 0


cdef inline Py_ssize_t standing(Shots self):
    """Results that stand in line."""
    return self.tail - self.head + len(self.back)


cdef int shots_grow(Shots self) except -1:
    """A late cancel let more through than there was room for: nothing may be lost."""
    cdef unsigned i
    cdef unsigned size = self.mask + 1
    cdef rm_shot *shots = <rm_shot *>malloc(2 * size * sizeof(rm_shot))
    if shots == NULL:
        raise MemoryError
    for i in range(size):
        shots[i] = self.shots[(self.head + i) & self.mask]
    free(self.shots)
    self.shots = shots
    self.head = 0
    self.tail = size
    self.mask = 2 * size - 1
    return 0


cdef int shots_resume(Shots self) except -1:
    """A result was taken: there may be room for more."""
    if self.op is None and not (self.ended or self.error):
        shots_go_on(self)
    return 0


cdef int shots_go_on(Shots self) except -1:
    """The kernel has ended the op, we have not: arm it again, unless results stand in line."""
    if self.starved or standing(self) >= (BULK_AHEAD if self.bulk else SHOTS_PAUSE // 2):
        return 0
    if self.single and self.asking == NULL:
        return 0  # one read per result asked for: a regular file must not be read ahead for ever
    return self.arm()


cdef bint shots_failed(Shots self, int error) except -1:
    """The op ended with an error: does the iteration go on?"""
    if error == ECANCELED and self.pausing:
        return True
    if error == EINTR or error == EAGAIN or error == ECONNABORTED:
        return True
    if error == ENOBUFS and self.group is not None:
        self.starved = not self.group.starve(self)
        return not self.starved
    if (error == EBADFD or error == EPERM) and self.kind == R_DATA and not self.single:
        # Multishot read wants a file that can be polled: read a regular one piece by piece.
        self.single = True
        self.template.opcode = IORING_OP_READ
        self.template.off = <unsigned long long>-1
        self.template.len = self.group.size
        return True
    shots_end(self, error)
    return False


cdef int shots_end(Shots self, int error) except -1:
    cdef Op op = shots_asking(self)
    self.error = error
    # Out of descriptors is a state of the process, not the end of a listener.
    self.ended = error != EMFILE and error != ENFILE
    if op is not None:
        shots_answer_end(self, op)
    return 0


cdef int shots_answer_end(Shots self, Op op) except -1:
    cdef int error = self.error
    self.error = 0
    op.handler = None
    if error:
        op_complete_value(op, None, OSError(error, os.strerror(error)))
    else:
        op_complete_value(op, None, StopAsyncIteration())
    op.keep = None  # done: it needs the iterator no longer
    return 0


cdef int shot_answer(Shots self, Op op, rm_shot shot) except -1:
    """Turn one CQE into the value of `op`."""
    try:
        value = shot_value(self, shot)
    except Exception as error:  # out of memory: the waiter is told, the loop of CQEs goes on
        op_complete_value(op, None, error)
    else:
        op_complete_value(op, value, None)
    op.keep = None  # done: it needs the iterator no longer
    return 0


cdef object shot_value(Shots self, rm_shot shot):
    if self.kind == R_DATA:
        if not shot.flags & IORING_CQE_F_BUFFER:
            return bulk_value(self, shot.res)
        return self.group.take(shot.flags >> IORING_CQE_BUFFER_SHIFT, shot.res)
    if self.kind != R_ACCEPT:
        return shot.res
    try:
        return socket_from(shot.res, self.like)
    except BaseException:
        posix_close(shot.res)
        raise


cdef void shot_undo(Shots self, rm_shot shot) noexcept:
    if self.kind == R_ACCEPT:
        if shot.res >= 0:
            posix_close(shot.res)
    elif shot.flags & IORING_CQE_F_BUFFER and self.group is not None:
        self.group.give(shot.flags >> IORING_CQE_BUFFER_SHIFT)


# ── bulk: where piece after piece fills its buffer ──────────────────────────────────────────

cdef int bulk_weigh(Shots self, int res) except -1:
    """A piece of `res` bytes has come: begin or end bulk when enough of them ask for it.

    The group's buffers are small and go round in more memory than the processor's cache holds;
    that is right for a thousand connections that say little. One that says much is served better
    by receives of its own, one at a time, straight into the bytes that the program gets.
    """
    cdef int size = <int>self.group.size
    if res >= size:
        self.weight = min(self.weight + 2, BULK_WEIGHT)
    elif res < size // 2 and self.weight:
        self.weight -= 1
    if self.weight != (0 if self.bulk else BULK_WEIGHT):
        return 0
    self.bulk = not self.bulk
    if self.op is not None and not self.pausing:
        self.pausing = True  # its end arms the other kind
        op_request_cancel(self.op)
    return 0


cdef void bulk_fill(Op op, io_uring_sqe *sqe) noexcept:
    """Make the SQE one receive (or read) into the op's own bytes."""
    if sqe.opcode == IORING_OP_READ_MULTISHOT:
        sqe.opcode = op.opcode = IORING_OP_READ
    sqe.flags = 0
    sqe.ioprio = 0  # no multishot
    sqe.buf_group = 0
    sqe.addr = <uint64_t><size_t>PyBytes_AS_STRING(op.value)
    sqe.len = BULK_SIZE


cdef object bulk_value(Shots self, int res):
    cdef Op op = self.filled
    self.filled = None
    return op_take_data(op, res)


# ── making ──────────────────────────────────────────────────────────────────────────────────

cdef Shots shots_new(int kind, unsigned opcode, uint32_t behaviour, bint uses_group):
    """What an iteration begins with; the caller fills in the rest of `template`."""
    cdef Machine machine = <Machine>here()
    cdef Shots shots = Shots.__new__(Shots)
    op_new(kind)  # raises the cancel that the caller has pending
    shots.driver = machine
    shots.kind = kind
    shots.ring = &machine.ring
    if (machine.ring.behaviours & behaviour) != behaviour or not rm_has_op(&machine.ring, opcode):
        shots.ring = machine.open_beside()
    shots.shots = <rm_shot *>malloc(SHOTS_ROOM * sizeof(rm_shot))
    if shots.shots == NULL:
        raise MemoryError
    shots.mask = SHOTS_ROOM - 1
    shots.back = collections.deque()
    memset(&shots.template, 0, sizeof(io_uring_sqe))
    shots.template.opcode = <uint8_t>opcode
    if uses_group:
        shots.group = machine_group(machine, shots.ring)
        shots.template.flags = IOSQE_BUFFER_SELECT
        shots.template.buf_group = shots.group.number
    return shots


cdef Each each_new(Shots shots):
    cdef Each each = Each.__new__(Each)
    each.shots = shots
    return each


cdef class Each:
    """An asynchronous iterator over the results of one op; `close()` ends it early."""

    __class_getitem__ = classmethod(types.GenericAlias)  # Each[bytes], in annotations

    def __del__(self):
        # Collected in whatever thread; the op must be ended in its own.
        if here_or_none() is self.shots.driver or self.shots.driver.dead:
            self.shots.close()
        else:
            (<Machine>self.shots.driver).call_threadsafe(self.close)

    def __aiter__(self):
        return self

    def __anext__(self):
        cdef Op op
        check_thread(self.shots.driver)
        op = self.shots.next_op()
        if op.kernel != K_DONE:
            op.keep = self  # anext(aiter(accept_each(…))): nobody else may hold the iterator
        return op

    def close(self):
        """End the iteration; what came and was not taken is undone."""
        if not self.shots.driver.dead:
            check_thread(self.shots.driver)
        self.shots.close()

    async def aclose(self):
        """The same, for contextlib.aclosing."""
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


rm_no_new(Each)
