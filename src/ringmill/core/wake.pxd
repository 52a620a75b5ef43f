"""Ending a machine's sleep from outside; declarations only."""
from ringmill.core.driver cimport Driver, Waiter

cdef class Wake:
    cdef int read_fd, write_fd
    cdef bint sent                 # a byte is in the pipe; more would say nothing new
    cdef bint owns_signals
    cdef object posts              # calls that other threads asked for
    cdef int open(self) except -1
    cdef void close(self) noexcept
    cdef void release_signals(self) noexcept
    cdef void send(self) noexcept
    cdef void drain(self) noexcept
    cdef int run_posts(self, Driver driver) except -1
