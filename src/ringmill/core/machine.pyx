"""The machine: a ring, a runqueue and timers; one per thread.

A turn is: submit, reap, wake, expire. Nothing here runs user code while CQEs are walked: they are
copied out, their ops completed, and whoever waits is put on the runqueue. Whoever wants to run
next asks machine_next(), which turns when nobody can run, or when the policy says that I/O has
waited long enough.

Knows kernels, ops and strands; does not know how a strand is resumed (face/), nor any op's name.
"""
cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint64_t

from ringmill.core.balance cimport Adaptive
from ringmill.core.buffers cimport Group
from ringmill.core.cancel cimport cancel_answered, op_cancel_all, op_release_all
from ringmill.core.complete cimport op_cqe
from ringmill.core.driver cimport (
    Driver, driver_free, driver_init, here, here_or_none, queue_pop, ready_clear, set_here,
)
from ringmill.core.errno cimport EAGAIN, EBUSY, EINTR, ETIME
from ringmill.core.kernel cimport close_ring, forget_ring, open_ring, open_soft, ring_is_soft
from ringmill.core.op cimport TO_BESIDE, TO_CANCEL, TO_NOBODY, TO_WAKE, forget_value
from ringmill.core.pace cimport pace_looked, pace_new, pace_reached, pace_slept
from ringmill.core.ring cimport *
from ringmill.core.spin cimport spin_or_sleep
from ringmill.core.strand cimport Strand
from ringmill.core.timers cimport Timers
from ringmill.core.wake cimport Wake

import contextvars
import os
import weakref

from ringmill.core import guard
from ringmill.errors import ClosedError, RingmillError, WrongThread

cdef extern from "heap.h":
    void rm_heap_keep()

cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident()

cdef extern from "unistd.h" nogil:
    int getpid()

cdef extern from "sched.h" nogil:
    int sched_yield()

cdef enum:
    ENTRIES = 1024          # SQEs: 64 KiB; a full queue costs one enter more, nothing else
    CQ_PER_SQ = 8           # multishot makes many CQEs of one SQE; overflow is safe but slow
    OPS_MAX = 1 << 20       # op slots: 16 bytes each, grown by doubling up to this
    REAP_MAX = 256          # CQEs per look (4 KiB of stack); then fibers run, then the next
    ENTER_BRINGS = 20       # completions per enter, where the kernel limits them (6.13)
    ROOM_TRIES = 10_000     # enters before a kernel that takes nothing is called broken
    DRAIN_NS = 1_000_000_000  # for ops to end at close; the kernel is not asked politely then

cdef object machines = weakref.WeakSet()
cdef object guard_let_go = guard.let_go  # held here: modules are empty when the interpreter ends

cdef Machine machine_here():
    return <Machine>here()


# ── hot path: who is next ───────────────────────────────────────────────────────────────────

cdef Waiter machine_next(Machine self):
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


cdef inline size_t runnable(Machine self) noexcept:
    return (self.ready.tail - self.ready.head) + (self.urgent.tail - self.urgent.head)


cdef int machine_turn(Machine self, bint sleep) except -1:
    """One turn. Signal handlers and finalisers may run in it; they must not wait."""
    self.turning += 1
    try:
        return machine_wait(self) if sleep else machine_look(self)
    finally:
        self.turning -= 1


cdef int machine_look(Machine self) except -1:
    """Submit and reap without waiting, then let due timers go."""
    if self.beside != NULL:
        machine_turn_beside(self)
    if rm_sq_pending(&self.ring) or (not rm_cq_ready(&self.ring) and rm_needs_enter(&self.ring)):
        machine_entered(self, rm_enter(&self.ring, 0, 0))
    machine_reap_all(self)
    machine_looked(self)
    return 0


cdef int machine_wait(Machine self) except -1:
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
    timeout_ns = machine_timeout(self)
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


cdef int machine_reap_all(Machine self) except -1:
    """Take in what is there, at most REAP_MAX. One enter runs only some deferred completions (20
    since 6.13): while it brings that many there may be more, and they must not pile up."""
    cdef unsigned n = machine_reap(self, &self.ring, REAP_MAX)
    cdef unsigned taken = n
    while n >= ENTER_BRINGS and taken < REAP_MAX:
        machine_entered(self, rm_enter(&self.ring, 0, 0))
        n = machine_reap(self, &self.ring, REAP_MAX - taken)
        taken += n
    return 0


cdef int machine_reap(Machine self, rm_ring *ring, unsigned most) except -1:
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
    return n


cdef int machine_looked(Machine self) except -1:
    """After a look at I/O: due timers, and the policy's next bound."""
    cdef int64_t now = 0
    cdef int64_t due = self.timers.next_ns()
    if due >= 0 or self.pace.adaptive is not None:
        now = rm_now_ns()
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


cdef int64_t machine_timeout(Machine self) noexcept:
    cdef int64_t due = self.timers.next_ns()
    return RM_FOREVER if due < 0 else max(0, due - rm_now_ns())


# ── cold: entering, events, the ring beside ─────────────────────────────────────────────────

cdef int machine_entered(Machine self, int res) except -1:
    """What to do about an answer of enter."""
    if res >= 0 or res == -ETIME:
        return 0
    if res == -EINTR:
        return machine_signals(self)
    if res == -EBUSY or res == -EAGAIN:
        return 0  # CQEs must be reaped first; we are about to, and the SQEs stay queued
    raise OSError(-res, os.strerror(-res), "io_uring_enter")


cdef int machine_signals(Machine self) except -1:
    """Run Python's signal handlers; what they raise goes to the main strand."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        self.strike(error)
    return 0


cdef int machine_event(Machine self, uint64_t event) except -1:
    if event == TO_BESIDE:
        self.beside_armed = False
        return 0  # every turn looks there; this one only ended the sleep
    self.wake.drain()
    machine_arm_wake(self)
    return machine_signals(self)  # posts are taken when the look is over: in their order


cdef int machine_arm_wake(Machine self) except -1:
    cdef io_uring_sqe *sqe
    if rm_sq_room(&self.ring) == 0:
        self.make_room(&self.ring)
    sqe = rm_push(&self.ring, IORING_OP_POLL_ADD, self.wake.read_fd, TO_WAKE)
    sqe.poll32_events = RM_READABLE
    return 0


cdef int machine_turn_beside(Machine self) except -1:
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


cdef int machine_ended(Machine self, Strand strand, object value, object error) except -1:
    """A strand of ours is over. Ctrl-C and sys.exit end the program, whichever they struck."""
    cdef Strand main = self.main
    self.strands.discard(strand)
    if isinstance(error, (KeyboardInterrupt, SystemExit)) and strand is not main:
        main = machine_main(self)
        strand.taken = True
        if main is not None and strand.joiners is not None and main.waiting in strand.joiners:
            self.struck = error  # main is told by its join
        else:
            self.strike(error)
        if self.dead:
            error = None  # a forked child: it has been told by strike()
    strand.finish(value, error)
    return 0


cdef Strand machine_main(Machine self):
    """Who gets Ctrl-C: the program's first strand, or whoever runs it, once that has ended."""
    return self.outer if self.main is not None and self.main.ended else self.main


cdef class Machine(Driver):
    """A ring, a runqueue and timers, for this thread.

    kernel: "linux", "soft", or None for the first that works (RINGMILL_KERNEL decides, else).
    balance: Fixed(n), Relative(…) or Adaptive(target_s=…): how long runnable fibers may keep
    the machine from looking at I/O. spin: wait awake for up to 50 µs where completions come that
    fast. sqpoll: let a kernel thread submit (costs a core). entries: SQEs, a power of two.
    ops_max: ops that may be alive at once; more raise WouldExceedBudget. workers_max: threads of
    the soft kernel (0: four per processor, at most 32).

    Afterwards `kernel` is the one that answers, and why (`.name`, `.why`); `balance` the policy.

    Raises OSError when the kernel that was asked for does not work, RingmillError when the
    thread has a machine already.
    """

    def __init__(self, kernel=None, *, balance=None, spin=True, sqpoll=False, entries=ENTRIES,
                 ops_max=OPS_MAX, workers_max=0):
        if here_or_none() is not None:
            raise RingmillError("this thread has a machine already; close it first")
        if not 8 <= entries <= 32768 or entries & (entries - 1):
            raise ValueError(f"entries is a power of two, 8 to 32768, not {entries}")
        if ops_max < 1:
            raise ValueError(f"ops_max is 1 or more, not {ops_max}")
        self.balance = Adaptive() if balance is None else balance
        self.pace = pace_new(self.balance)
        self.spin.wanted = spin
        self.timers = Timers()
        self.strands = set()
        driver_init(self, ops_max)
        self.kernel = open_ring(&self.ring, kernel, sqpoll, entries, entries * CQ_PER_SQ,
                                workers_max)
        self.dead = False
        self.pid = getpid()
        self.thread = PyThread_get_thread_ident()
        self.pending_max = max(1, self.balance.pending_max(self.ring.sq_entries))
        rm_heap_keep()
        self.wake.open()
        machine_arm_wake(self)
        machine_looked(self)
        set_here(self)
        guard.keep(self, _end_left)
        machines.add(self)

    def __cinit__(self):
        self.dead = True
        self.wake = Wake()

    def __dealloc__(self):
        if machine_left(self):
            driver_free(self)

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

    cdef rm_ring *open_beside(self) except NULL:
        """The soft ring for what the real kernel lacks; made at first need."""
        if ring_is_soft(&self.ring):
            return &self.ring  # it answers EINVAL for what it does not know
        if self.beside == NULL:
            open_soft(&self.soft, self.ring.sq_entries, self.ring.cq_entries)
            self.beside = &self.soft
        return self.beside

    cdef int strike(self, object error) except -1:
        """Ctrl-C and sys.exit end the program, whichever strand they struck: once."""
        cdef Strand main = machine_main(self)
        if error is self.struck:
            return 0
        self.struck = error
        if self.dead or main is None or main.ended:
            return 0  # a forked child: whoever waits there raises it
        if main.waiting is None and not main.queued and isinstance(self.current, Strand):
            main = <Strand>self.current  # main is behind a greenlet of somebody else's
        return main.interrupt(error)

    def call_threadsafe(self, function, *arguments):
        """Have `function(*arguments)` called in this machine's thread, soon. From any thread."""
        if self.dead:
            raise ClosedError("the machine is closed")
        self.wake.posts.append((function, arguments, contextvars.copy_context()))
        self.wake.send()

    def wakeup(self):
        """End the machine's sleep. From any thread or signal handler; many count as one."""
        self.wake.send()

    def stats(self):
        """Exact counts: what is alive now, and what has happened since the machine was made."""
        cdef list groups = [each for each in (self.group, self.group_beside) if each is not None]
        return {
            "ops_live": self.ops_live, "ops_max": self.ops_max, "slots": self.slots_size,
            "views_held": self.holds, "blocks_held": self.aux_out,
            "buffers_lent": sum((<Group>each).lent for each in groups),
            "buffers_starved": sum((<Group>each).starved for each in groups),
            "strands": len(self.strands), "ready": runnable(self),
            "timers": self.timers.count - self.cancels_again, "enters": self.ring.enters,
            "submitted": self.ring.submitted, "reaped": self.ring.reaped,
            "beside_enters": self.beside.enters if self.beside != NULL else 0,
            "beside_submitted": self.beside.submitted if self.beside != NULL else 0,
            "stale": self.stale, "switches": self.pace.switched + self.pace.switches,
            "max_switches_between_io": self.pace.switches_max,
            "waits": self.waits, "spins": self.spin.spins, "spins_won": self.spin.won,
        }

    @property
    def closed(self):
        """Whether close() has ended it."""
        return self.dead

    def facts(self):
        """What the ring was found to have: setup flags, features, opcodes, behaviours."""
        return {"setup_flags": self.ring.setup_flags, "features": self.ring.features,
                "opcodes": self.ring.opcodes, "behaviours": self.ring.behaviours}

    def end(self):
        """Close the ring and let go of everything, without running anybody.

        `close()` is what programs call: it lets fibers and tasks end first.
        """
        if not self.dead:
            if here_or_none() is not self:
                raise WrongThread("a machine is closed by the thread that owns it")
            machine_end(self)


cdef bint machine_left(Machine self) except -1:
    """Nobody refers to the machine any more: end it. False: that is not for us to do.

    A forked child clears the other threads' machines before any hook runs, and a program that
    ends clears those of daemon threads, which may be asleep in the kernel.
    """
    if self.dead:
        return True
    if self.pid != getpid():
        machine_forget(self)
        return True
    if self.thread != PyThread_get_thread_ident():
        return False
    machine_end(self)
    return True


cdef int machine_end(Machine self) except -1:
    """The rings first, then what they point to: a CQE that comes late would write freed memory."""
    self.struck = None
    machine_drain(self)
    cdef uint64_t enters = self.ring.enters, submitted = self.ring.submitted
    cdef uint64_t reaped = self.ring.reaped
    self.dead = True
    if self.beside != NULL:
        close_ring(self.beside)
        self.beside = NULL
    close_ring(&self.ring)
    self.ring.enters, self.ring.submitted, self.ring.reaped = enters, submitted, reaped
    return machine_let_go(self, self.strands)


cdef int machine_drain(Machine self) except -1:
    """Cancel what is in flight and take in what comes of it: an fd that arrives now is closed."""
    cdef int64_t end = rm_now_ns() + DRAIN_NS
    op_cancel_all(self)
    while self.ops_live and rm_now_ns() < end:
        if self.beside != NULL:
            rm_enter(self.beside, 0, 0)
            machine_reap(self, self.beside, REAP_MAX)
        rm_enter(&self.ring, 1, DRAIN_NS // 100)
        machine_reap(self, &self.ring, REAP_MAX)
        if self.timers.next_ns() >= 0:
            self.timers.expire(rm_now_ns())  # cancels that missed are asked again
    return 0


cdef int machine_let_go(Machine self, object strands) except -1:
    """Everything but the rings. `strands`: those that are to unwind now, if they can."""
    op_release_all(self)
    for group in (self.group, self.group_beside):
        if group is not None:
            (<Group>group).close()
    self.wake.close()
    if self.face is not None:
        self.face.let_go(strands)
        self.face = None
    ready_clear(self)
    self.current = self.main = None
    if here_or_none() is self:
        set_here(None)
        guard_let_go()
    return 0


def _end_left(machine):
    """For the guard of a thread that ends."""
    return machine_left(machine)


cdef int machine_forget(Machine self) except -1:
    """In a forked child: let go of what belongs to the parent, without touching its rings."""
    self.dead = True
    self.struck = None
    if self.beside != NULL:
        forget_ring(self.beside)
        self.beside = NULL
    forget_ring(&self.ring)
    return machine_let_go(self, ())  # the parent's fibers are not to unwind here, too


def _after_fork_in_child():
    """The parent's rings are not ours: let go of them without touching them."""
    cdef Machine machine
    for machine in list(machines):
        if not machine.dead:
            machine_forget(machine)
    machines.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
