"""Groups: memory that the kernel fills and says which piece (provided buffer rings).

A receive names no buffer; the kernel takes one of the group when data is there, so a thousand
idle connections pin none. A group that is out of buffers ends the receive with ENOBUFS: whoever
starved is fed when a buffer comes back, never by blind re-arming.

Knows memory and the group's ring; does not know who receives.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memset

from ringmill.core.driver cimport Handler
from ringmill.core.ring cimport (
    IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING, io_uring_buf, io_uring_buf_reg,
    io_uring_buf_ring, rm_ring,
)

import os

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)

cdef extern from "buf_ring.h" nogil:
    void rm_buf_put(io_uring_buf_ring *ring, unsigned mask, uint16_t *tail, void *memory,
                    unsigned size, uint16_t bid)

cdef extern from "sys/mman.h" nogil:
    void *mmap(void *at, size_t size, int protection, int flags, int fd, long offset)
    int munmap(void *at, size_t size)
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS
    void *MAP_FAILED

cdef enum:
    PAGE = 4096


cdef class Starver(Handler):
    cdef void fed(self) noexcept:
        """A buffer has come back: try again."""


cdef class Group:
    """`count` buffers (a power of two) of `size` bytes each, in one mapping."""

    def __dealloc__(self):
        self.close()

    cdef void close(self) noexcept:
        """Free the memory. Only after the ring is closed, or nothing receives into it."""
        if self.entries != NULL:
            munmap(<void *>self.entries, self.mapped)
            self.entries = NULL
            self.memory = NULL

    cdef char *at(self, unsigned bid) noexcept:
        return self.memory + <size_t>bid * self.size

    cdef bytes take(self, unsigned bid, int size):
        """Copy the data out and give the buffer back."""
        cdef bytes data
        try:
            data = PyBytes_FromStringAndSize(self.at(bid), size)
        finally:
            self.give(bid)
        return data

    cdef void give(self, unsigned bid) noexcept:
        self.lent -= 1
        if self.entries == NULL:
            return
        rm_buf_put(self.entries, self.count - 1, &self.tail,
                   self.at(bid), self.size, <uint16_t>bid)
        if self.starving:
            (<Starver>self.starving.pop(0)).fed()

    cdef bint starve(self, Starver starver) except -1:
        """The kernel found no buffer for `starver`. True: try again now; False: it will be fed."""
        self.starved += 1
        if self.lent < self.count:
            return True  # one came back in the meantime
        self.starving.append(starver)
        return False

    cdef void forget(self, Starver starver) noexcept:
        if starver in self.starving:
            self.starving.remove(starver)


cdef Group open_group(rm_ring *ring, uint16_t number, unsigned count, unsigned size):
    """Map and register a group. OSError when the kernel refuses."""
    cdef Group group = Group.__new__(Group)
    cdef size_t head = (count * sizeof(io_uring_buf) + PAGE - 1) & ~<size_t>(PAGE - 1)
    cdef io_uring_buf_reg reg
    cdef unsigned bid
    cdef int res
    cdef void *memory
    group.mapped = head + <size_t>count * size
    memory = mmap(NULL, group.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if memory == MAP_FAILED:
        raise MemoryError
    group.entries = <io_uring_buf_ring *>memory
    group.memory = <char *>memory + head
    group.number = number
    group.count = count
    group.size = size
    group.starving = []
    memset(&reg, 0, sizeof(reg))
    reg.ring_addr = <uint64_t><size_t>memory
    reg.ring_entries = count
    reg.bgid = number
    res = ring.kernel.enroll(ring, IORING_REGISTER_PBUF_RING, &reg, 1)
    if res < 0:
        raise OSError(-res, os.strerror(-res))
    for bid in range(count):
        rm_buf_put(group.entries, count - 1, &group.tail, group.memory + <size_t>bid * size,
                   size, <uint16_t>bid)
    return group


cdef bint group_is_spare(PyObject *group) noexcept:
    """Does nobody but its machine refer to it? A pointer: to look must not count as one more."""
    return group != <PyObject *>None and Py_REFCNT(group) == 1


cdef Group close_group(Group group, rm_ring *ring):
    """Unregister a group that nobody receives into, and free it: None. Or the group, refused."""
    cdef io_uring_buf_reg reg
    memset(&reg, 0, sizeof(reg))
    reg.bgid = group.number
    if ring.kernel.enroll(ring, IORING_UNREGISTER_PBUF_RING, &reg, 1) < 0:
        return group
    group.close()
    return None
