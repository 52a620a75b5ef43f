"""Timers; declarations only."""
from libc.stdint cimport int64_t

from ringmill.core.driver cimport Driver, Handler
from ringmill.core.op cimport Op
from ringmill.core.ring cimport rm_ring

cdef struct rm_entry:
    int64_t deadline_ns
    void *timer  # an owned Timer

cdef class Timer(Handler):
    cdef Py_ssize_t place          # in the heap; -1: not there
    cdef void expire(self) noexcept

cdef class Timers:
    cdef rm_entry *heap
    cdef readonly Py_ssize_t count
    cdef Py_ssize_t room
    cdef const rm_ring *ring       # whose clock it goes by
    cdef int64_t now(self) noexcept
    cdef int64_t deadline_in(self, object seconds) except -1
    cdef int add(self, Timer timer, int64_t deadline_ns) except -1
    cdef void remove(self, Timer timer) noexcept
    cdef int64_t next_ns(self) noexcept
    cdef bint has_spare(self) noexcept
    cdef void trim(self) noexcept
    cdef int expire(self, int64_t now) except -1

cdef class Sleep(Timer):
    cdef Timers timers
    cdef Op op

cdef Timers timers_new(rm_ring *ring)
cdef double span_of(object seconds) except? -1
cdef Op sleep_op(Driver driver, Timers timers, int64_t deadline_ns)
