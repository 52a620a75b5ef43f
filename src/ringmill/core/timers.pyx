"""Timers: a heap of deadlines in the machine. A timer takes no SQE; the next one bounds the wait.

Knows the ring's clock and who is to be told; does not know when the machine looks.
"""
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc

from ringmill.core.driver cimport Driver, Handler
from ringmill.core.op cimport Op, op_complete_value, op_local
from ringmill.core.ring cimport rm_clock

cdef enum:
    HEAP_FIRST = 64  # entries to begin with; doubled
    ARITY = 4        # children per node: one cache line of deadlines and pointers

# About 146 years: longer sleeps are for ever, and sums with the clock do not overflow.
cdef int64_t FAR_NS = 1 << 62


cdef double span_of(object seconds) except? -1:
    """A span of time, which may be negative; refuses what is none."""
    cdef double s = seconds
    if s != s:
        raise ValueError("a span of time is a number of seconds, not NaN")
    return s


cdef class Timer(Handler):
    """Told once when its deadline has passed."""

    def __cinit__(self):
        self.place = -1

    cdef void expire(self) noexcept:
        pass


cdef Timers timers_new(rm_ring *ring):
    cdef Timers timers = Timers.__new__(Timers)
    timers.ring = ring
    return timers


cdef class Timers:
    """A four-ary heap; cancel is O(log n), from the middle."""

    cdef int64_t now(self) noexcept:
        """By the clock of the kernel that waits for these timers."""
        return rm_clock(self.ring)

    cdef int64_t deadline_in(self, object seconds) except -1:
        """The point in time that lies `seconds` ahead; one in the past when it is negative."""
        cdef double s = span_of(seconds)
        if s <= 0:
            return 0
        cdef int64_t now = rm_clock(self.ring)
        if s * 1e9 >= <double>(FAR_NS - now):
            return FAR_NS
        return now + <int64_t>(s * 1e9)

    def __dealloc__(self):
        while self.count:
            self.count -= 1
            Py_DECREF(<Timer>self.heap[self.count].timer)
        free(self.heap)

    cdef int add(self, Timer timer, int64_t deadline_ns) except -1:
        cdef rm_entry *heap
        cdef Py_ssize_t room
        if self.count == self.room:
            room = self.room * 2 if self.room else HEAP_FIRST
            heap = <rm_entry *>realloc(self.heap, room * sizeof(rm_entry))
            if heap == NULL:
                raise MemoryError
            self.heap = heap
            self.room = room
        Py_INCREF(timer)
        self.heap[self.count].deadline_ns = deadline_ns
        self.heap[self.count].timer = <void *>timer
        self.count += 1
        sift_up(self.heap, self.count - 1)
        return 0

    cdef void remove(self, Timer timer) noexcept:
        cdef Py_ssize_t place = timer.place
        if place < 0:
            return
        timer.place = -1
        self.count -= 1
        if place != self.count:
            put(self.heap, place, self.heap[self.count])
            sift_up(self.heap, place)
            sift_down(self.heap, self.count, (<Timer>self.heap[place].timer).place)
        Py_DECREF(timer)

    cdef bint has_spare(self) noexcept:
        return self.room > HEAP_FIRST and self.count < self.room // 4

    cdef void trim(self) noexcept:
        """Give places back that nobody needs."""
        cdef Py_ssize_t room = max(<Py_ssize_t>HEAP_FIRST, 2 * self.count)
        cdef rm_entry *heap
        if self.has_spare():
            heap = <rm_entry *>realloc(self.heap, room * sizeof(rm_entry))
            if heap != NULL:
                self.heap = heap
                self.room = room

    cdef int64_t next_ns(self) noexcept:
        """The earliest deadline, or -1."""
        return self.heap[0].deadline_ns if self.count else -1

    cdef int expire(self, int64_t now) except -1:
        cdef Timer timer
        while self.count and self.heap[0].deadline_ns <= now:
            timer = <Timer>self.heap[0].timer
            self.remove(timer)
            timer.expire()
        return 0


cdef inline void put(rm_entry *heap, Py_ssize_t place, rm_entry entry) noexcept:
    heap[place] = entry
    (<Timer>entry.timer).place = place


cdef void sift_up(rm_entry *heap, Py_ssize_t place) noexcept:
    cdef rm_entry entry = heap[place]
    cdef Py_ssize_t parent
    while place > 0:
        parent = (place - 1) // ARITY
        if heap[parent].deadline_ns <= entry.deadline_ns:
            break
        put(heap, place, heap[parent])
        place = parent
    put(heap, place, entry)


cdef void sift_down(rm_entry *heap, Py_ssize_t count, Py_ssize_t place) noexcept:
    cdef rm_entry entry = heap[place]
    cdef Py_ssize_t child, least, i
    while True:
        child = place * ARITY + 1
        if child >= count:
            break
        least = child
        for i in range(child + 1, min(child + ARITY, count)):
            if heap[i].deadline_ns < heap[least].deadline_ns:
                least = i
        if heap[least].deadline_ns >= entry.deadline_ns:
            break
        put(heap, place, heap[least])
        place = least
    put(heap, place, entry)


cdef class Sleep(Timer):
    """Completes a local op when its time has come."""

    cdef void expire(self) noexcept:
        cdef Op op = self.op
        self.op = None
        if op is not None:
            op.handler = None
            op_complete_value(op, None, None)

    cdef void cancelled(self, object op) noexcept:
        self.op = None
        self.timers.remove(self)


cdef Op sleep_op(Driver driver, Timers timers, int64_t deadline_ns):
    """An op that completes at `deadline_ns`."""
    cdef Op op = op_local(driver)
    cdef Sleep sleep = Sleep.__new__(Sleep)
    sleep.timers = timers
    sleep.op = op
    op.handler = sleep
    timers.add(sleep, deadline_ns)
    return op
