"""The state behind an iteration; declarations only."""
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t

from ringmill.core.aux cimport msghdr
from ringmill.core.buffers cimport Group, Starver
from ringmill.core.driver cimport Driver
from ringmill.core.op cimport Op
from ringmill.core.ring cimport io_uring_sqe, rm_ring

cdef class Shots(Starver):
    cdef Driver driver
    cdef rm_ring *ring
    cdef io_uring_sqe template
    cdef Op op                     # in the kernel now, or None
    cdef PyObject *asking          # borrowed: the local op of whoever waits for the next result
    cdef Group group
    cdef object source             # what is iterated over, kept; accept: the listener
    cdef int kind
    cdef object line               # results that wait to be taken: a deque
    cdef list returned             # … and before them, those that were not: (number, result)
    cdef uint32_t given            # results handed to ops so far: their numbers
    cdef int error                 # errno to be told once
    cdef object failure            # … or an exception of ours
    cdef msghdr form               # of messages: how much room for names and control data
    cdef bint ended, closed, pausing, starved, single
    cdef bint bulk                 # much comes: one receive at a time, into bytes of its own
    cdef bint messages             # … always, since each is to stay whole
    cdef bint overruns             # it is the socket that says ENOBUFS: something was lost
    cdef bint datagrams            # one may be empty, and none is the last
    cdef int weight                # of the pieces that came lately; see bulk_weigh()
    cdef int arm(self) except -1
    cdef Op next_op(self)
    cdef int close(self) except -1

cdef int shots_of_messages(Shots self, object ancbufsize) except -1
cdef int shots_of_file(Shots self) except -1
cdef int shots_of_socket(Shots self) except -1
