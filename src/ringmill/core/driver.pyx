"""The part of a machine that ops see: slots, the runqueue, and who is running.

Below the op, so that an op can know its machine: where an Op is meant, it is an `object` here.
Knows who can wait and be woken; does not know what an op is.
"""
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

from ringmill.core.aux cimport rm_aux
from ringmill.core.ring cimport io_uring_sqe, rm_ring

from ringmill.errors import Cancelled, ClosedError, WrongThread

cdef extern from *:
    """
    static __thread PyObject *rm_here; /* borrowed: the machine of this thread owns itself */
    """
    PyObject *rm_here

cdef enum:
    SLOTS_FIRST = 256   # op slots to begin with; doubled up to the machine's ops_max
    SLOTS_BEYOND = 64   # … and then by so many: what ends an op must never wait for one
    AUX_KEPT = 64       # spare blocks that a machine keeps when it shrinks: 24 KiB
    WRITE_BEHIND_MAX = 64 << 20  # what a disk of 200 MB/s takes in a third of a second
    READY_FIRST = 1024  # places on the runqueue to begin with; doubled


# ── the machine of this thread ──────────────────────────────────────────────────────────────

cdef object make_machine = None


def _set_factory(factory):
    """Tell which class to make when a call finds no machine in its thread (see face/)."""
    global make_machine
    make_machine = factory


cdef Driver here():
    """The machine of this thread, made at first use."""
    if rm_here == NULL:
        make_machine()
    return <Driver>rm_here


cdef Driver here_or_none():
    return <Driver>rm_here if rm_here != NULL else None


def _here():
    """The machine of this thread, or None."""
    return here_or_none()


cdef int set_here(Driver driver) except -1:
    """Make `driver` this thread's machine; None takes the present one away."""
    global rm_here
    rm_here = <PyObject *>driver if driver is not None else NULL
    return 0


cdef int check_thread(Driver driver) except -1:
    if <PyObject *>driver != rm_here:
        if driver.dead:
            raise ClosedError("the machine of this op is closed, or was left behind by a fork")
        raise WrongThread(
            "this belongs to the machine of another thread; Machine.call_threadsafe is the way in")
    return 0


# ── waiters, handlers ───────────────────────────────────────────────────────────────────────

cdef class Waiter:
    cdef void wake(self, object op) noexcept:
        """`op`, an Op, is done. Called while CQEs are taken in: runs no user code."""

    cdef int run(self) except -1:
        """Its turn has come."""
        raise NotImplementedError

    cdef int raise_pending(self) except -1:
        """Raise the cancel that was asked for; called where `must_raise` is set."""
        self.must_raise = False
        raise Cancelled


cdef class Handler:
    cdef bint on_cqe(self, object op, int res, uint32_t flags):
        """Take one CQE; answer whether the caller is to complete the op. Runs no user code."""
        return True

    cdef void undo(self, object op) noexcept:
        """`op` was done and nobody will take its value: give it back."""

    cdef void cancelled(self, object op) noexcept:
        """A local op was cancelled: forget it."""


cdef class Collector:
    cdef io_uring_sqe *add(self, object op, unsigned opcode, int fd) except NULL:
        """A zeroed SQE for `op`, an Op that is not pushed yet."""
        raise NotImplementedError


# ── driver: slots and runqueue ──────────────────────────────────────────────────────────────

cdef class Driver:
    cdef int make_room(self, rm_ring *ring) except -1:
        """Submit what is queued so that the SQ has room."""
        raise NotImplementedError

    cdef rm_ring *open_beside(self) except NULL:
        """The soft ring for what the real kernel lacks."""
        raise NotImplementedError

    cdef bint has_spare(self) noexcept:
        """Is there memory that nobody needs now?"""
        return False

    cdef int trim(self) except -1:
        """Let go of it."""
        return 0

    cdef int strike(self, object error) except -1:
        """Ctrl-C or sys.exit: have the program raise it."""
        raise NotImplementedError


cdef int driver_init(Driver driver, uint32_t ops_max) except -1:
    driver.ops_max = ops_max
    driver.write_behind_max = WRITE_BEHIND_MAX
    driver.slots_free = SLOT_NONE
    driver.generation = 1
    queue_init(&driver.ready)
    queue_init(&driver.urgent)
    slots_grow(driver)
    return 0


cdef void driver_free(Driver driver) noexcept:
    cdef rm_aux *aux
    queue_free(&driver.ready)
    queue_free(&driver.urgent)
    free(driver.slots)
    driver.slots = NULL
    while driver.aux_free != NULL:
        aux = driver.aux_free
        driver.aux_free = aux.next
        free(aux)


cdef int slots_grow(Driver driver) except -1:
    cdef uint32_t old = driver.slots_size
    cdef uint32_t size = old * 2 if old else SLOTS_FIRST
    cdef uint32_t i
    if size > driver.ops_max:
        size = max(driver.ops_max, old + SLOTS_BEYOND)
    if old == 0:
        size = min(size, driver.ops_max)
    cdef rm_slot *slots = <rm_slot *>realloc(driver.slots, size * sizeof(rm_slot))
    if slots == NULL:
        raise MemoryError
    driver.slots = slots
    for i in range(size, old, -1):
        slots[i - 1].op = NULL
        slots[i - 1].generation = driver.generation
        slots[i - 1].next_free = driver.slots_free
        driver.slots_free = i - 1
    driver.slots_size = size
    return 0


cdef rm_aux *aux_take(Driver driver) except NULL:
    """A zeroed block, from the freelist when there is one."""
    cdef rm_aux *aux = driver.aux_free
    if aux != NULL:
        driver.aux_free = aux.next
        driver.aux_spare -= 1
        memset(aux, 0, sizeof(rm_aux))
    else:
        aux = <rm_aux *>calloc(1, sizeof(rm_aux))
        if aux == NULL:
            raise MemoryError
    driver.aux_out += 1
    return aux


cdef void aux_give(Driver driver, rm_aux *aux) noexcept:
    driver.aux_out -= 1
    if driver.dead:
        free(aux)
    else:
        aux.next = driver.aux_free
        driver.aux_free = aux
        driver.aux_spare += 1


# ── shrinking ───────────────────────────────────────────────────────────────────────────────

cdef bint driver_has_spare(Driver driver) noexcept:
    return (driver.aux_spare > AUX_KEPT
            or (driver.slots_size > SLOTS_FIRST and driver.ops_live < driver.slots_size // 4
                and driver.slots[driver.slots_size - 1].op == NULL)
            or driver.ready.mask >= READY_FIRST or driver.urgent.mask >= READY_FIRST)


cdef int driver_trim(Driver driver) except -1:
    """Give back what is more than a machine begins with, as far as nobody uses it."""
    cdef rm_aux *aux
    while driver.aux_spare > AUX_KEPT:
        aux = driver.aux_free
        driver.aux_free = aux.next
        driver.aux_spare -= 1
        free(aux)
    slots_cut(driver)
    queue_cut(&driver.ready)
    queue_cut(&driver.urgent)
    return 0


cdef void slots_cut(Driver driver) noexcept:
    """Cut the table behind the last op. Slots made later begin where the cut ones ended: a stale
    CQE must not find an op of its generation."""
    cdef uint32_t size = driver.slots_size
    cdef uint32_t i, last = driver.generation
    cdef rm_slot *slots = driver.slots
    while size > SLOTS_FIRST and slots[size - 1].op == NULL:
        size -= 1
        last = max(last, slots[size].generation)
    if size == driver.slots_size:
        return
    slots = <rm_slot *>realloc(slots, size * sizeof(rm_slot))
    if slots == NULL:
        return
    driver.generation = last
    driver.slots = slots
    driver.slots_size = size
    driver.slots_free = SLOT_NONE
    for i in range(size, 0, -1):
        if slots[i - 1].op == NULL:
            slots[i - 1].next_free = driver.slots_free
            driver.slots_free = i - 1


cdef void queue_cut(rm_queue *queue) noexcept:
    cdef PyObject **items
    if queue.mask < READY_FIRST or queue.head != queue.tail:
        return
    items = <PyObject **>malloc(READY_FIRST * sizeof(PyObject *))
    if items != NULL:
        free(queue.items)
        queue.items = items
        queue.mask = READY_FIRST - 1


# ── queues of waiters ───────────────────────────────────────────────────────────────────────

cdef int queue_init(rm_queue *queue) except -1:
    queue.items = <PyObject **>malloc(READY_FIRST * sizeof(PyObject *))
    if queue.items == NULL:
        raise MemoryError
    queue.head = queue.tail = 0
    queue.mask = READY_FIRST - 1
    return 0


cdef void queue_free(rm_queue *queue) noexcept:
    if queue.items == NULL:
        return
    while queue.head != queue.tail:
        Py_DECREF(<object>queue.items[queue.head & queue.mask])
        queue.head += 1
    free(queue.items)
    queue.items = NULL


cdef int queue_grow(rm_queue *queue) except -1:
    cdef size_t size = queue.mask + 1
    cdef size_t i
    cdef PyObject **items = <PyObject **>malloc(2 * size * sizeof(PyObject *))
    if items == NULL:
        raise MemoryError
    for i in range(size):
        items[i] = queue.items[(queue.head + i) & queue.mask]
    free(queue.items)
    queue.items = items
    queue.head = 0
    queue.tail = size
    queue.mask = 2 * size - 1
    return 0


# ── hot path ────────────────────────────────────────────────────────────────────────────────

cdef int ready_push(Driver driver, Waiter waiter) except -1:
    """Put `waiter` on the runqueue; it stands there at most once."""
    cdef rm_queue *queue = &driver.urgent if driver.looking else &driver.ready
    if waiter.queued:
        return 0
    if queue.tail - queue.head > queue.mask:
        queue_grow(queue)
    waiter.queued = True
    Py_INCREF(waiter)
    queue.items[queue.tail & queue.mask] = <PyObject *>waiter
    queue.tail += 1
    return 0


cdef Waiter queue_pop(rm_queue *queue):
    """The next Waiter; the caller has made sure that there is one."""
    cdef PyObject *item = queue.items[queue.head & queue.mask]
    cdef Waiter waiter = <Waiter>item
    queue.head += 1
    Py_DECREF(waiter)  # the queue's reference; `waiter` holds its own
    waiter.queued = False
    return waiter


cdef void ready_clear(Driver driver) noexcept:
    """Let go of whoever still stands there: the queue's references are seen by no collector."""
    while driver.urgent.head != driver.urgent.tail:
        queue_pop(&driver.urgent)
    while driver.ready.head != driver.ready.tail:
        queue_pop(&driver.ready)


cdef void ready_remove(Driver driver, Waiter waiter) noexcept:
    """Take `waiter` off the runqueue; cold: its wait has failed."""
    if waiter.queued:
        queue_remove(&driver.urgent, waiter)
        queue_remove(&driver.ready, waiter)


cdef void queue_remove(rm_queue *queue, Waiter waiter) noexcept:
    cdef size_t kept = queue.head
    cdef size_t at = queue.head
    cdef bint found = False
    while at != queue.tail:
        if queue.items[at & queue.mask] == <PyObject *>waiter:
            found = True
        else:
            queue.items[kept & queue.mask] = queue.items[at & queue.mask]
            kept += 1
        at += 1
    queue.tail = kept
    if found:
        waiter.queued = False
        Py_DECREF(waiter)
