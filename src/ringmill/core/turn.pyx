"""The turn: submit, reap, wake, expire; and who is next.

Nothing here runs user code while CQEs are walked: they are copied out, their ops completed, and
whoever waits is put on the runqueue. Whoever wants to run next asks machine_next(), which turns
when nobody can run, or when the policy says that I/O has waited long enough.

Knows rings, ops and timers; does not know strands, how a ring is made, nor how it ends (machine).
"""
cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint64_t

from ringmill.core.admit cimport line_feed
from ringmill.core.cancel cimport cancel_answered
from ringmill.core.complete cimport op_cqe
from ringmill.core.driver cimport Driver, Waiter, queue_pop
from ringmill.core.errno cimport EAGAIN, EBUSY, EINTR, ETIME
from ringmill.core.op cimport TO_BESIDE, TO_CANCEL, TO_NOBODY, TO_WAKE, forget_value
from ringmill.core.pace cimport pace_looked, pace_reached, pace_slept
from ringmill.core.ring cimport *
from ringmill.core.spin cimport spin_or_sleep

import os

from ringmill.errors import ClosedError

cdef extern from "sched.h" nogil:
    int sched_yield()

cdef enum:
    ENTER_BRINGS = 20    # completions per enter, where the kernel limits them (6.13)
    IDLE_NS = 1_000_000_000  # that memory lies idle before it is given back
    ROOM_TRIES = 10_000  # enters before a kernel that takes nothing is called broken


cdef class Turner(Driver):
    """The part of a machine that turns."""

    cdef int make_room(self, rm_ring *ring) except -1:
        """Submit so that the SQ has room; reap where the kernel wants that first."""
        cdef int tries = 0
        cdef int res
        while True:
            res = rm_enter(ring, 0, 0)
            if res < 0 and res != -EBUSY and res != -EAGAIN and res != -EINTR:
                raise OSError(-res, os.strerror(-res), "io_uring_enter")
            if rm_sq_room(ring) > ring.sq_entries // 2:
                return 0
            machine_reap(self, ring, REAP_MAX)
            tries += 1
            if tries > ROOM_TRIES:
                raise OSError(EBUSY, "the kernel takes no more submissions")
            if tries > 16:
                sched_yield()


# ── hot path: who is next ───────────────────────────────────────────────────────────────────

cdef Waiter machine_next(Turner self):
    """The next Waiter to run; turns as often as it takes until there is one.

    Whom I/O or a timer woke does not stand behind a long runqueue: the two queues take turns. The
    policy's bound counts all of them.
    """
    cdef bint woken, others
    while True:
        woken = self.urgent.head != self.urgent.tail
        others = self.ready.head != self.ready.tail
        if not (woken or others):
            machine_turn(self, True)
        elif self.pace.switches == 0 or (self.pace.switches < self.pace.check_at
                                         and rm_sq_pending(&self.ring) < self.pending_max):
            self.pace.switches += 1  # at least one between two looks, whatever is pending
            self.others_turn = others and not (woken and self.others_turn)
            return queue_pop(&self.ready if self.others_turn else &self.urgent)
        elif rm_sq_pending(&self.ring) >= self.pending_max or pace_reached(self.pace):
            machine_turn(self, False)


cdef int machine_turn(Turner self, bint sleep) except -1:
    """One turn. Signal handlers and finalisers may run in it; they must not wait."""
    self.turning += 1
    try:
        return machine_wait(self) if sleep else machine_look(self)
    finally:
        self.turning -= 1


cdef int machine_look(Turner self) except -1:
    """Submit and reap without waiting, then let due timers go."""
    if self.line != NULL:
        line_feed(self)
    if self.beside != NULL:
        machine_turn_beside(self)
    if rm_sq_pending(&self.ring) or (not rm_cq_ready(&self.ring) and rm_needs_enter(&self.ring)):
        machine_entered(self, rm_enter(&self.ring, 0, 0))
    machine_reap_all(self)
    machine_looked(self)
    return 0


cdef int machine_wait(Turner self) except -1:
    """Nobody can run: submit, and sleep until something completes or a timer is due."""
    cdef int64_t timeout_ns
    cdef int res
    forget_value()
    if self.dead:
        raise ClosedError("the machine is closed")
    if self.wake.posts:
        return self.wake.run_posts(self)
    if self.beside != NULL:
        machine_turn_beside(self)
        if rm_sq_pending(self.beside) or rm_cq_ready(self.beside):
            return machine_look(self)  # there is more; it must not wait for the real ring's sleep
    if self.line != NULL:
        line_feed(self)
    timeout_ns = machine_timeout(self)
    if self.has_spare():
        timeout_ns = trim_in_time(self, timeout_ns)
    if rm_cq_ready(&self.ring) or runnable(self) or timeout_ns == 0:
        return machine_look(self)
    self.waits += 1
    pace_slept(self.pace)
    with nogil, cython.nonecheck(False):
        res = spin_or_sleep(&self.spin, &self.ring, timeout_ns)
    machine_entered(self, res)
    machine_reap_all(self)
    machine_looked(self)
    return 0


cdef int machine_reap_all(Turner self) except -1:
    """Take in what is there, at most REAP_MAX. One enter runs only some deferred completions (20
    since 6.13): while it brings that many there may be more, and they must not pile up."""
    cdef unsigned n = machine_reap(self, &self.ring, REAP_MAX)
    cdef unsigned taken = n
    while n >= ENTER_BRINGS and taken < REAP_MAX:
        machine_entered(self, rm_enter(&self.ring, 0, 0))
        n = machine_reap(self, &self.ring, REAP_MAX - taken)
        taken += n
    return 0


cdef int machine_reap(Turner self, rm_ring *ring, unsigned most) except -1:
    """Complete the ops whose CQEs are there, at most `most` of them; how many."""
    cdef io_uring_cqe cqes[REAP_MAX]
    cdef unsigned n = rm_reap(ring, cqes, most)
    cdef unsigned i
    cdef bint nested = self.looking  # a buffer's release may have run code that pushed
    self.looking = True
    try:
        for i in range(n):
            if cqes[i].user_data >> 32:
                op_cqe(self, cqes[i].user_data, cqes[i].res, cqes[i].flags)
            elif cqes[i].user_data >= TO_CANCEL:
                cancel_answered(self, self.timers, cqes[i].user_data - TO_CANCEL, cqes[i].res)
            elif cqes[i].user_data != TO_NOBODY:
                machine_event(self, cqes[i].user_data)
    finally:
        self.looking = nested
    if self.line != NULL:
        line_feed(self)
    return n


cdef int machine_looked(Turner self) except -1:
    """After a look at I/O: due timers, and the policy's next bound."""
    cdef int64_t now = 0
    cdef int64_t due = self.timers.next_ns()
    if due >= 0 or self.pace.adaptive is not None:
        now = rm_clock(&self.ring)
    if due >= 0 and due <= now:
        self.looking = True
        try:
            self.timers.expire(now)
        finally:
            self.looking = False
    if self.wake.posts:
        self.wake.run_posts(self)
    pace_looked(self.pace, runnable(self), now)
    return 0


cdef int64_t machine_timeout(Turner self) noexcept:
    cdef int64_t due = self.timers.next_ns()
    return RM_FOREVER if due < 0 else max(0, due - rm_clock(&self.ring))


cdef int64_t trim_in_time(Turner self, int64_t timeout_ns) except? -2:
    """There is memory to spare: let go of it when it has been so for a while. Once: a machine that
    has nothing to spare sleeps for as long as it likes."""
    cdef int64_t now = rm_clock(&self.ring)
    if now - self.spare_ns > 2 * IDLE_NS:
        self.spare_ns = now  # it is new, or the clock was not looked at since
    elif now - self.spare_ns >= IDLE_NS:
        self.spare_ns = 0
        self.trim()
        return timeout_ns
    now = self.spare_ns + IDLE_NS - now
    return now if timeout_ns < 0 or timeout_ns > now else timeout_ns


# ── cold: entering, events, the ring beside ─────────────────────────────────────────────────

cdef int machine_entered(Turner self, int res) except -1:
    """What to do about an answer of enter."""
    if res >= 0 or res == -ETIME:
        return 0
    if res == -EINTR:
        return machine_signals(self)
    if res == -EBUSY or res == -EAGAIN:
        return 0  # CQEs must be reaped first; we are about to, and the SQEs stay queued
    raise OSError(-res, os.strerror(-res), "io_uring_enter")


cdef int machine_signals(Turner self) except -1:
    """Run Python's signal handlers; what they raise goes to the main strand."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        self.strike(error)
    return 0


cdef int machine_event(Turner self, uint64_t event) except -1:
    if event == TO_BESIDE:
        self.beside_armed = False
        return 0  # every turn looks there; this one only ended the sleep
    self.wake.drain()
    machine_arm_wake(self)
    return machine_signals(self)  # posts are taken when the look is over: in their order


cdef int machine_arm_wake(Turner self) except -1:
    cdef io_uring_sqe *sqe
    if rm_sq_room(&self.ring) == 0:
        self.make_room(&self.ring)
    sqe = rm_push(&self.ring, IORING_OP_POLL_ADD, self.wake.read_fd, TO_WAKE)
    sqe.poll32_events = RM_READABLE
    return 0


cdef int machine_turn_beside(Turner self) except -1:
    """The soft ring beside: never waited on by itself; its epoll fd ends the real ring's sleep."""
    cdef io_uring_sqe *sqe
    machine_entered(self, rm_enter(self.beside, 0, 0))
    machine_reap(self, self.beside, REAP_MAX)
    if not self.beside_armed:
        if rm_sq_room(&self.ring) == 0:
            self.make_room(&self.ring)
        sqe = rm_push(&self.ring, IORING_OP_POLL_ADD, self.beside.fd, TO_BESIDE)
        sqe.poll32_events = RM_READABLE
        self.beside_armed = True
    return 0
