"""The machine: a ring, a runqueue and timers; one per thread. Making it, asking it, ending it.

How it turns is told in turn. Knows kernels and strands; does not know how a strand is resumed
(face/), nor any op's name.
"""
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from ringmill.core.arena cimport Arena, arena_new
from ringmill.core.aux cimport rm_aux
from ringmill.core.balance cimport Adaptive
from ringmill.core.behind cimport behind_ending, behind_let_go, behind_mute
from ringmill.core.budget cimport waits_of
from ringmill.core.buffers cimport Group, close_group, group_is_spare
from ringmill.core.cancel cimport op_cancel_all, op_release_all
from ringmill.core.driver cimport (
    driver_free, driver_has_spare, driver_init, driver_trim, here, here_or_none, ready_clear,
    rm_slot, set_here,
)
from ringmill.core.kernel cimport close_ring, forget_ring, open_ring, open_soft, ring_is_soft
from ringmill.core.lines cimport Lines, behind_busy, behind_tell
from ringmill.core.op cimport op_bytes, ops_spare_bytes
from ringmill.core.pace cimport pace_new
from ringmill.core.ring cimport io_uring_cqe, io_uring_sqe, rm_clock, rm_enter, rm_ring
from ringmill.core.strand cimport Strand
from ringmill.core.timers cimport rm_entry, timers_new
from ringmill.core.turn cimport (
    REAP_MAX, Turner, machine_arm_wake, machine_looked, machine_reap, runnable,
)
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

cdef enum:
    ENTRIES = 1024          # SQEs: 64 KiB; a full queue costs one enter more, nothing else
    CQ_PER_SQ = 8           # multishot makes many CQEs of one SQE; overflow is safe but slow
    ARENA = 32 << 20        # bytes; address space until they are leased
    OPS_MAX = 1 << 20       # op slots: 16 bytes each, grown by doubling up to this
    DRAIN_NS = 1_000_000_000  # for ops to end at close; the kernel is not asked politely then

cdef object ARENA_MAX = 1 << 40  # bytes: more than a page's number can tell of

cdef object machines = weakref.WeakSet()
cdef object guard_let_go = guard.let_go  # held here: modules are empty when the interpreter ends

cdef Machine machine_here():
    return <Machine>here()


cdef int machine_ended(Machine self, Strand strand, object value, object error) except -1:
    """A strand of ours is over. Ctrl-C and sys.exit end the program, whichever they struck."""
    cdef Strand main = self.main
    self.strands.pop(strand, None)
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


cdef class Machine(Turner):
    """A ring, a runqueue and timers, for this thread.

    kernel: "linux", "soft", or None for the first that works (RINGMILL_KERNEL decides, else).
    balance: Fixed(n), Relative(…) or Adaptive(target_s=…): how long runnable fibers may keep
    the machine from looking at I/O. spin: wait awake for up to 50 µs where completions come that
    fast. sqpoll: let a kernel thread submit (costs a core). entries: SQEs, a power of two.
    ops_max: ops that the kernel may have at once. arena: bytes that may be leased at once.
    on_full: what becomes of more: "wait" has them stand in line, first come, first served; "raise"
    raises WouldExceedBudget.
    workers_max: threads of the soft kernel (0: four per processor, at most 32).

    Afterwards `kernel` is the one that answers, and why (`.name`, `.why`); `balance` the policy.

    Raises OSError when the kernel that was asked for does not work, RingmillError when the
    thread has a machine already.
    """

    def __init__(self, kernel=None, *, balance=None, spin=True, sqpoll=False, entries=ENTRIES,
                 ops_max=OPS_MAX, arena=ARENA, on_full="wait", workers_max=0):
        if here_or_none() is not None:
            raise RingmillError("this thread has a machine already; close it first")
        if not 8 <= entries <= 32768 or entries & (entries - 1):
            raise ValueError(f"entries is a power of two, 8 to 32768, not {entries}")
        if ops_max < 1:
            raise ValueError(f"ops_max is 1 or more, not {ops_max}")
        if not 0 <= arena <= ARENA_MAX:
            raise ValueError(f"arena is 0 to {ARENA_MAX} bytes, not {arena}")
        waits = waits_of(on_full, True)
        self.balance = Adaptive() if balance is None else balance
        self.pace = pace_new(self.balance)
        self.spin.wanted = spin
        self.timers = timers_new(&self.ring)
        self.strands = {}
        driver_init(self, ops_max)
        self.patient = waits
        self.kernel = open_ring(&self.ring, kernel, sqpoll, entries, entries * CQ_PER_SQ,
                                workers_max)
        self.arena = arena_new(self, arena, waits)
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
        if self.arena is not None:
            (<Arena>self.arena).driver = NULL  # leases may live on
        if machine_left(self):
            driver_free(self)

    cdef rm_ring *open_beside(self) except NULL:
        """The soft ring for what the real kernel lacks; made at first need."""
        if ring_is_soft(&self.ring):
            return &self.ring  # it answers EINVAL for what it does not know
        if self.beside == NULL:
            open_soft(&self.soft, self.ring.sq_entries, self.ring.cq_entries)
            self.beside = &self.soft
        return self.beside

    cdef bint has_spare(self) noexcept:
        return (driver_has_spare(self) or self.arena_idle != 0 or self.timers.has_spare()
                or group_is_spare(<PyObject *>self.group)
                or group_is_spare(<PyObject *>self.group_beside)
                or group_is_spare(<PyObject *>self.letters)
                or group_is_spare(<PyObject *>self.letters_beside))

    cdef int trim(self) except -1:
        driver_trim(self)
        self.timers.trim()
        (<Arena>self.arena).trim()
        if group_is_spare(<PyObject *>self.group):
            self.group = close_group(self.group, &self.ring)
        if group_is_spare(<PyObject *>self.group_beside):
            self.group_beside = close_group(self.group_beside, self.beside)
        if group_is_spare(<PyObject *>self.letters):
            self.letters = close_group(self.letters, &self.ring)
        if group_is_spare(<PyObject *>self.letters_beside):
            self.letters_beside = close_group(self.letters_beside, self.beside)
        return 0

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
        cdef list groups = machine_groups(self)
        return {
            "ops_live": self.ops_live, "ops_in_line": self.in_line,
            "ops_max": self.ops_max, "slots": self.slots_size,
            "views_held": self.holds, "blocks_held": self.aux_out,
            "leases": (<Arena>self.arena).leases,
            "buffers_lent": sum((<Group>each).lent for each in groups),
            "buffers_starved": sum((<Group>each).starved for each in groups),
            "strands": len(self.strands), "ready": runnable(self),
            "timers": self.timers.count - self.cancels_again, "enters": self.ring.enters,
            "submitted": self.ring.submitted, "reaped": self.ring.reaped,
            "beside_enters": self.beside.enters if self.beside != NULL else 0,
            "beside_submitted": self.beside.submitted if self.beside != NULL else 0,
            "writes_behind": (<Lines>self.behind).writes if self.behind is not None else 0,
            "write_behind_bytes": (<Lines>self.behind).bytes if self.behind is not None else 0,
            "zero_copy_sends": self.zero_asked, "zero_copy_copied": self.zero_copied,
            "stale": self.stale, "switches": self.pace.switched + self.pace.switches,
            "max_switches_between_io": self.pace.switches_max,
            "waits": self.waits, "spins": self.spin.spins, "spins_won": self.spin.won,
        }

    def memory(self):
        """Bytes by what they are for; see `ringmill.Memory`."""
        cdef Arena arena = <Arena>self.arena
        cdef list rings = [(self.ring.sq_entries, self.ring.cq_entries)]
        cdef list groups = machine_groups(self)
        if self.beside != NULL:
            rings.append((self.beside.sq_entries, self.beside.cq_entries))
        return {
            "rings": sum([sq * sizeof(io_uring_sqe) + cq * sizeof(io_uring_cqe)
                          for sq, cq in rings]),
            "op_slots": self.slots_size * sizeof(rm_slot),
            "ops": self.ops_live * op_bytes(), "ops_spare": ops_spare_bytes(),
            "blocks": self.aux_out * sizeof(rm_aux),
            "blocks_spare": self.aux_spare * sizeof(rm_aux),
            "buffer_groups": sum([(<Group>each).mapped for each in groups]),
            "arena": arena.size, "arena_leased": arena.used,
            "arena_high_water": arena.high_water, "arena_registered": arena.registered_bytes(),
            "runqueues": (self.ready.mask + self.urgent.mask + 2) * sizeof(void *),
            "timers": self.timers.room * sizeof(rm_entry),
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
    behind_ending(self)
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
    cdef int64_t end = rm_clock(&self.ring) + DRAIN_NS
    while behind_busy(self) and rm_clock(&self.ring) < end:
        machine_take_in(self)  # writes that nobody waits for are not to be lost
    end = rm_clock(&self.ring) + DRAIN_NS
    op_cancel_all(self)
    while self.ops_live and rm_clock(&self.ring) < end:
        machine_take_in(self)
        if self.timers.next_ns() >= 0:
            self.timers.expire(rm_clock(&self.ring))  # cancels that missed are asked again
    return 0


cdef int machine_take_in(Machine self) except -1:
    """Submit, and take in what comes within a hundredth of the time that there is."""
    if self.beside != NULL:
        rm_enter(self.beside, 0, 0)
        machine_reap(self, self.beside, REAP_MAX)
    rm_enter(&self.ring, 1, DRAIN_NS // 100)
    return machine_reap(self, &self.ring, REAP_MAX)


cdef list machine_groups(Machine self):
    return [group for group in (self.group, self.group_beside, self.letters, self.letters_beside)
            if group is not None]


cdef int machine_let_go(Machine self, object strands) except -1:
    """Everything but the rings. `strands`: those that are to unwind now, if they can."""
    op_release_all(self)
    behind_let_go(self)
    (<Arena>self.arena).forget()
    for group in machine_groups(self):
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
    behind_tell(self)
    self.behind = None
    return 0


def _end_left(machine):
    """For the guard of a thread that ends."""
    return machine_left(machine)


cdef int machine_forget(Machine self) except -1:
    """In a forked child: let go of what belongs to the parent, without touching its rings."""
    self.dead = True
    self.struck = None
    behind_mute(self)
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
