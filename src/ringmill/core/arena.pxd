"""The arena; declarations only."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from ringmill.core.budget cimport Budget, Claim
from ringmill.core.driver cimport Driver
from ringmill.core.op cimport Op
from ringmill.core.pages cimport Pages
from ringmill.core.ring cimport io_uring_sqe

cdef enum:
    PAGE_SHIFT = 12     # a lease takes whole pages: direct I/O wants them, and so do its offsets
    LARGE_MAX = 32      # leases longer than a segment that are registered, each by itself

cdef struct rm_large:
    uint32_t page, pages
    uint32_t uses       # ops on it so far; 0: the entry is free

cdef class Arena(Budget):
    cdef char *memory
    cdef size_t size               # bytes of it: the limit, in whole pages
    cdef Pages pages
    cdef void *driver              # borrowed: the machine, until it ends
    cdef uint8_t *segments         # what is known of each; see arena.pyx
    cdef uint32_t *users           # leases in each
    cdef unsigned count            # of segments,
    cdef int shift                 # … of 2**shift bytes
    cdef rm_large[LARGE_MAX] large
    cdef bint fixed                # the ring takes registered buffers, as far as we know
    cdef bint enrolled             # … and has a table for ours
    cdef readonly unsigned registered  # segments that are, and large leases
    cdef readonly unsigned leases      # that are out
    cdef int open(self) except -1
    cdef void forget(self) noexcept
    cdef void trim(self) noexcept
    cdef size_t registered_bytes(self) noexcept

cdef Arena arena_new(Driver driver, size_t limit, bint waits)
cdef void fix_in_place(Op op, io_uring_sqe *sqe) noexcept

cdef inline void fix(Op op, io_uring_sqe *sqe) noexcept:
    """Where the op's memory is leased from the arena, let the kernel use it as registered."""
    if <size_t>sqe.addr - op.driver.arena_at < op.driver.arena_size:
        fix_in_place(op, sqe)

cdef void fix_many(Op op, io_uring_sqe *sqe) noexcept
