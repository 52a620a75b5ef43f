"""Linked ops: steps that the kernel does one after the other, submitted as one.

An op is begun as always, by its start function; while a step is collected, op_push() hands out a
place in here instead of one in the SQ. Only when all steps are there are they pushed, in one go:
a chain that is cut by an enter would be two. A file that a step opens is a *direct* one, known to
the ring by its place in a table and to nobody else.

Knows SQEs and their flags; does not know verbs, nor what a step means (face/chain).
"""
from libc.stdint cimport uint64_t
from libc.string cimport memset

from ringmill.core.driver cimport Collector, Driver, Waiter, here
from ringmill.core.op cimport (
    K_DONE, K_NEW, P_DETACHED, P_NEW, R_NOTHING, Op, op_attach, op_complete_value, op_local,
    op_push_on, op_request_cancel,
)
from ringmill.core.rest cimport Rest, rest_begin
from ringmill.core.ring cimport (
    IOSQE_FIXED_FILE, IOSQE_IO_HARDLINK, IOSQE_IO_LINK, RM_DIRECT_FILES, io_uring_sqe, rm_has_op,
    rm_ring, rm_sq_room,
)

from ringmill.errors import RingmillError

cdef extern from "ring.h":
    enum:
        IORING_OP_CLOSE, IORING_OP_OPENAT, IORING_OP_OPENAT2, IORING_OP_SOCKET, IORING_OP_SPLICE
        IORING_OP_TEE
        IORING_REGISTER_FILES

cdef extern from "fcntl.h":
    enum:
        O_CLOEXEC, SPLICE_F_FD_IN_FIXED "(1u << 31)"

cdef extern from "sys/socket.h":
    enum:
        SOCK_CLOEXEC

cdef enum:
    ROOM_LEFT = 8            # SQEs beyond a chain's own that must fit: cancels, the wake-up pipe
    PLACE_FIRST = 0x7F000000  # how a place looks among descriptors, which are never that large


cdef class Places:
    """The table of direct files, of each ring of a machine: which places are free."""
    cdef list free
    cdef rm_ring *rings[2]   # those that have the table
    cdef bint refused

    def __cinit__(self):
        self.free = list(range(PLACES_MAX - 1, -1, -1))

    cdef bint ready(self, rm_ring *ring) except -1:
        """Whether `ring` has the table; made at first need."""
        cdef int empty[PLACES_MAX]
        if ring == self.rings[0] or ring == self.rings[1]:
            return True
        if self.refused or not ring.behaviours & RM_DIRECT_FILES:
            return False
        memset(empty, 0xFF, sizeof(empty))
        if ring.kernel.enroll(ring, IORING_REGISTER_FILES, empty, PLACES_MAX) < 0:
            self.refused = True  # RLIMIT_NOFILE, memory: chains go step by step
            return False
        self.rings[0 if self.rings[0] == NULL else 1] = ring
        return True


cdef Places places_of(Driver driver):
    if driver.places is None:
        driver.places = Places()
    return <Places>driver.places


class Place:
    """A direct file, as an argument of the steps behind the one that opens it."""

    __slots__ = ("index",)

    def __init__(self, index):
        self.index = index

    def fileno(self):
        return PLACE_FIRST + self.index


def take_place():
    """A free place in this machine's table, or None."""
    cdef Places places = places_of(here())
    return Place(places.free.pop()) if places.free else None


def give_place(place):
    """Nothing is open there any more."""
    places_of(here()).free.append(place.index)


cdef class Links(Collector):
    """The steps of one submission. step() each, then submit(); `ops` are the ops, in order."""

    def __cinit__(self):
        self.driver = here()
        self.ops = []

    @property
    def ops(self):
        return self.ops

    def step(self, place, start, arguments, keywords):
        """Begin one: `start(*arguments, **keywords)`; the op opens `place`, if that is given."""
        if self.count == STEPS_MAX:
            raise ValueError(f"a chain has at most {STEPS_MAX} steps")
        cdef unsigned before = self.count
        self.opens = -1 if place is None else place.index
        self.driver.collector = self
        try:
            start(*arguments, **keywords)
        finally:
            self.driver.collector = None
        if self.count != before + 1:
            raise RingmillError(f"{start.__name__} takes more than one submission: no step")

    cdef io_uring_sqe *add(self, object op, unsigned opcode, int fd) except NULL:
        """For op_push(): where this step is filled in."""
        cdef rm_step *step = &self.steps[self.count]
        memset(step, 0, sizeof(rm_step))
        step.sqe.opcode = <unsigned char>opcode
        step.sqe.fd = fd
        step.opens = self.opens
        self.ops.append(op)
        self.count += 1
        return &step.sqe

    def submit(self, unsigned hard_from):
        """Push all. False, and nothing is done: they do not fit, or the kernel lacks something.

        hard_from: the steps from there on happen whatever became of the one before.
        """
        cdef Driver driver = self.driver
        cdef rm_ring *ring = driver.open_beside() if self.beside else &driver.ring
        cdef unsigned i
        cdef bint direct = False
        for i in range(self.count):
            direct = step_direct(<Op>self.ops[i], &self.steps[i]) or direct
            if not rm_has_op(ring, self.steps[i].sqe.opcode):
                ring = driver.open_beside()
        if direct and not places_of(driver).ready(ring):
            return False
        if self.count + ROOM_LEFT > ring.sq_entries // 2:
            return False
        if driver.patient and driver.ops_live + self.count > driver.ops_max:
            return False  # one step at a time can stand in line
        if rm_sq_room(ring) < self.count + ROOM_LEFT:
            driver.make_room(ring)
        try:
            for i in range(self.count):
                links_push(self, ring, i, hard_from)
        except BaseException:
            links_undo(self)
            raise
        if ring == &driver.ring:
            ring.expected = self.count
        return True

    def quiet(self, unsigned position):
        """Cancel the ops from `position` on; an op that is done when they all are. Their results
        are undone when they are dropped. No cancel ends the wait: places are given away after it.
        """
        cdef Quiet quiet = Quiet.__new__(Quiet)
        cdef Op op
        quiet.ops = self.ops[position:]
        for op in quiet.ops:
            op_request_cancel(op)
            if op.program == P_NEW:
                op.program = P_DETACHED
        quiet.whole = op_local(self.driver)
        quiet.whole.shielded = True
        quiet.wake(None)
        return quiet.whole

    def asked(self, Op op):
        """Whether a cancel was asked of it: ECANCELED also tells that the link has broken."""
        return op.cancel_asked


cdef class Quiet(Waiter):
    """Waits for one op after the other, without taking their results."""
    cdef list ops
    cdef Op whole

    cdef void wake(self, object _) noexcept:
        cdef Op op
        while self.ops:
            op = self.ops.pop(0)
            if op.kernel != K_DONE and op.kernel != K_NEW:
                op_attach(op, self)
                return
        op_complete_value(self.whole, None, None)


cdef int links_push(Links self, rm_ring *ring, unsigned i, unsigned hard_from) except -1:
    cdef Op op = <Op>self.ops[i]
    cdef rm_step *step = &self.steps[i]
    cdef io_uring_sqe *sqe = op_push_on(op, ring, step.sqe.opcode, step.sqe.fd)
    step.sqe.user_data = sqe.user_data
    sqe[0] = step.sqe
    if isinstance(op.handler, Rest):
        rest_begin(op, &step.sqe)  # where it asks again, it knows the place by its flag, too
    if i + 1 < self.count:
        sqe.flags |= IOSQE_IO_HARDLINK if i + 1 >= hard_from else IOSQE_IO_LINK
    return 0


cdef void links_undo(Links self) noexcept:
    """The chain could not be pushed whole: what stands in the queue must not happen."""
    cdef Op op
    for op in self.ops:
        if op.kernel != K_NEW:
            op.ring.sqes[op.sq_place & op.ring.sq_mask].flags = 0  # the last link leads nowhere
            op_request_cancel(op)


cdef bint step_direct(Op op, rm_step *step) noexcept:
    """Say by flags and fields what so far only the number says. Whether places are involved."""
    cdef io_uring_sqe *sqe = &step.sqe
    cdef bint direct = step.opens >= 0
    if direct:
        op.kind = R_NOTHING  # its result is no descriptor
        if sqe.opcode == IORING_OP_OPENAT:
            sqe.open_flags &= ~<unsigned>O_CLOEXEC  # the table is inherited by nobody
        elif sqe.opcode == IORING_OP_OPENAT2:
            (<uint64_t *><size_t>sqe.off)[0] &= ~<uint64_t>O_CLOEXEC  # open_how.flags
        else:
            sqe.off &= ~<unsigned>SOCK_CLOEXEC
        sqe.file_index = step.opens + 1
    if (sqe.opcode == IORING_OP_SPLICE or sqe.opcode == IORING_OP_TEE) and (
            sqe.splice_fd_in >= PLACE_FIRST):
        sqe.splice_fd_in -= PLACE_FIRST
        sqe.splice_flags |= SPLICE_F_FD_IN_FIXED
        direct = True
    if sqe.fd < PLACE_FIRST:
        return direct
    sqe.fd -= PLACE_FIRST
    if sqe.opcode == IORING_OP_CLOSE:
        sqe.file_index = sqe.fd + 1
        sqe.fd = 0
    else:
        sqe.flags |= IOSQE_FIXED_FILE
    return True
