"""The arena: memory of a machine that it lends out in pages, at most so much.

One mapping, made at the first lease; pages come as they are touched. Where the kernel takes
registered buffers (and the limit of locked memory admits them), the segment that an op works in is
registered when the op begins: the kernel then needs not look up and pin its pages each time.
Callers do not notice: an op on memory of the arena is given the registered form, and where there
is none it is what it was.

Knows pages, budgets and the ring's table of buffers; does not know who leases.
"""
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from ringmill.core.aux cimport iovec
from ringmill.core.budget cimport Budget, Claim, budget_init
from ringmill.core.driver cimport Driver
from ringmill.core.op cimport Op
from ringmill.core.pages cimport PAGE_NONE, pages_new
from ringmill.core.ring cimport RM_FIXED_BUFFERS, io_uring_sqe, rm_has_op, rm_ring

cdef extern from "sys/mman.h" nogil:
    void *mmap(void *at, size_t size, int protection, int flags, int fd, long offset)
    int munmap(void *at, size_t size)
    int madvise(void *at, size_t size, int advice)
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MADV_DONTNEED
    void *MAP_FAILED

cdef extern from "ring.h" nogil:
    struct io_uring_rsrc_update2:
        uint32_t offset
        uint64_t data
        uint64_t tags
        uint32_t nr
    enum:
        IORING_OP_READ, IORING_OP_READ_FIXED, IORING_OP_READV, IORING_OP_READV_FIXED
        IORING_OP_WRITE, IORING_OP_WRITE_FIXED, IORING_OP_WRITEV, IORING_OP_WRITEV_FIXED
        IORING_REGISTER_BUFFERS, IORING_REGISTER_BUFFERS_UPDATE

cdef enum:
    SEGMENT_SHIFT = 20    # 1 MiB is registered at a time: a default limit (8 MiB) admits several
    SEGMENTS_MAX = 1024   # a large arena has larger ones
    LARGE_USES = 2        # ops before a large lease is registered: one alone is not worth it

cdef enum Segment:
    S_UNTOUCHED
    S_TOUCHED             # it has been leased from: its pages may be there
    S_REFUSED             # … and the kernel would not register it
    S_REGISTERED


@cython.no_gc_clear  # leases that end with it give back, still
cdef class Arena(Budget):
    def __dealloc__(self):
        if self.memory != NULL:
            munmap(self.memory, self.size)
        free(self.segments)
        free(self.users)

    cdef int open(self) except -1:
        """Map it: address space only, until it is touched."""
        cdef Driver driver = <Driver>self.driver
        cdef void *memory
        free(self.segments)  # of a try that failed
        free(self.users)
        self.pages = pages_new(<uint32_t>(self.size >> PAGE_SHIFT),
                               1 << (self.shift - PAGE_SHIFT))
        self.segments = <uint8_t *>calloc(self.count, 1)
        self.users = <uint32_t *>calloc(self.count, sizeof(uint32_t))
        if self.segments == NULL or self.users == NULL:
            raise MemoryError
        memory = mmap(NULL, self.size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if memory == MAP_FAILED:
            raise MemoryError(f"the arena of {self.size} bytes cannot be mapped")
        self.memory = <char *>memory
        driver.arena_at = <size_t>memory
        driver.arena_size = self.size
        return 0

    cdef bint charge(self, Claim claim) noexcept:
        """Find the claim's pages."""
        cdef uint32_t n = <uint32_t>(claim.size >> PAGE_SHIFT)
        if self.driver == NULL:
            return False  # the machine has ended: nobody waits any more
        claim.page = self.pages.take(n)
        if claim.page == PAGE_NONE:
            return False
        Budget.charge(self, claim)
        self.leases += 1
        touch(self, claim.page, n)
        return True

    cdef void uncharge(self, Claim claim) noexcept:
        cdef uint32_t n = <uint32_t>(claim.size >> PAGE_SHIFT)
        if n > self.pages.block:
            large_forget(self, claim.page)
        Budget.uncharge(self, claim)
        self.leases -= 1
        leave(self, claim.page, n)
        self.pages.give(claim.page, n)

    cdef void forget(self) noexcept:
        """The machine has ended; leases that are still out keep the memory."""
        self.driver = NULL
        self.enrolled = self.fixed = False
        self.registered = 0

    cdef void trim(self) noexcept:
        """Give the pages of segments that nobody leases from back to the system."""
        cdef Driver driver = <Driver>self.driver
        cdef unsigned i
        for i in range(self.count if self.memory != NULL else 0):
            if self.segments[i] == S_UNTOUCHED or self.users[i]:
                continue
            if self.segments[i] == S_REGISTERED:  # first: what is pinned is not what is mapped
                if not enroll(self, i, NULL, 0):
                    continue
                self.registered -= 1
            madvise(self.memory + (<size_t>i << self.shift), segment_size(self, i), MADV_DONTNEED)
            self.segments[i] = S_UNTOUCHED
        driver.arena_idle = 0

    cdef size_t registered_bytes(self) noexcept:
        cdef size_t size = 0
        cdef unsigned i
        for i in range(self.count if self.memory != NULL else 0):
            if self.segments[i] == S_REGISTERED:
                size += segment_size(self, i)
        for i in range(LARGE_MAX):
            if self.large[i].uses > LARGE_USES:
                size += <size_t>self.large[i].pages << PAGE_SHIFT
        return size


cdef Arena arena_new(Driver driver, size_t limit, bint waits):
    cdef Arena arena = Arena.__new__(Arena)
    arena.size = limit >> PAGE_SHIFT << PAGE_SHIFT
    budget_init(arena, "arena", arena.size, waits)
    arena.driver = <void *>driver
    arena.shift = SEGMENT_SHIFT
    while arena.size >> arena.shift >= SEGMENTS_MAX:
        arena.shift += 1
    arena.count = <unsigned>((arena.size + (<size_t>1 << arena.shift) - 1) >> arena.shift)
    arena.fixed = (driver.ring.behaviours & RM_FIXED_BUFFERS) != 0
    return arena


cdef inline size_t segment_size(Arena self, unsigned i) noexcept:
    return min(<size_t>1 << self.shift, self.size - (<size_t>i << self.shift))


cdef void touch(Arena self, uint32_t page, uint32_t n) noexcept:
    """Pages are lent: their segments have somebody."""
    cdef int shift = self.shift - PAGE_SHIFT
    cdef Driver driver = <Driver>self.driver
    cdef unsigned i
    for i in range(page >> shift, ((page + n - 1) >> shift) + 1):
        if self.segments[i] == S_UNTOUCHED:
            self.segments[i] = S_TOUCHED
        elif self.users[i] == 0 and driver.arena_idle:
            driver.arena_idle -= 1
        self.users[i] += 1
    if n > self.pages.block:
        large_note(self, page, n)


cdef void leave(Arena self, uint32_t page, uint32_t n) noexcept:
    cdef int shift = self.shift - PAGE_SHIFT
    cdef unsigned i
    for i in range(page >> shift, ((page + n - 1) >> shift) + 1):
        self.users[i] -= 1
        if self.users[i] == 0 and self.driver != NULL:
            (<Driver>self.driver).arena_idle += 1


# ── registered buffers ──────────────────────────────────────────────────────────────────────

cdef void fix_in_place(Op op, io_uring_sqe *sqe) noexcept:
    """The op reads into, or writes from, the arena."""
    cdef unsigned opcode = fixed_form(sqe.opcode)
    cdef Arena self = <Arena>op.driver.arena
    if fixable(self, op, opcode):
        fix_range(self, op, sqe, opcode, <size_t>sqe.addr, sqe.len)


cdef void fix_many(Op op, io_uring_sqe *sqe) noexcept:
    """The same for several buffers, when one registered buffer holds them all."""
    cdef unsigned opcode = fixed_form(sqe.opcode)
    cdef const iovec *iov = <const iovec *><size_t>sqe.addr
    cdef Arena self = <Arena>op.driver.arena
    cdef size_t at, first = <size_t>-1, end = 0
    cdef unsigned i
    if op.driver.arena_size == 0 or not fixable(self, op, opcode):
        return
    for i in range(sqe.len):
        if iov[i].iov_len == 0:
            return  # EFAULT, in registered memory
        at = <size_t>iov[i].iov_base
        first = min(first, at)
        end = max(end, at + iov[i].iov_len)
    if first < end and first - op.driver.arena_at < op.driver.arena_size:
        if end - op.driver.arena_at <= op.driver.arena_size:
            fix_range(self, op, sqe, opcode, first, end - first)


cdef unsigned fixed_form(unsigned opcode) noexcept:
    if opcode == IORING_OP_READ:
        return IORING_OP_READ_FIXED
    if opcode == IORING_OP_WRITE:
        return IORING_OP_WRITE_FIXED
    return IORING_OP_READV_FIXED if opcode == IORING_OP_READV else IORING_OP_WRITEV_FIXED


cdef inline bint fixable(Arena self, Op op, unsigned opcode) noexcept:
    return self.fixed and op.ring == &op.driver.ring and rm_has_op(op.ring, opcode)


cdef void fix_range(Arena self, Op op, io_uring_sqe *sqe, unsigned opcode, size_t at,
                    size_t n) noexcept:
    cdef size_t first = (at - <size_t>self.memory) >> self.shift
    cdef size_t last = (at - <size_t>self.memory + (n - 1 if n else 0)) >> self.shift
    cdef int index
    if first == last:
        index = segment_index(self, <unsigned>first)
    else:
        index = large_index(self, at, n)
    if index >= 0:
        sqe.opcode = op.opcode = <uint8_t>opcode
        sqe.buf_group = <unsigned short>index  # the same two bytes: buf_index


cdef int segment_index(Arena self, unsigned i) noexcept:
    """The registered buffer that segment `i` is; -1: it is none."""
    if self.segments[i] == S_REGISTERED:
        return i
    if self.segments[i] == S_REFUSED:
        return -1
    if not enroll(self, i, self.memory + (<size_t>i << self.shift), segment_size(self, i)):
        self.segments[i] = S_REFUSED
        return -1
    self.registered += 1
    self.segments[i] = S_REGISTERED
    return i


cdef bint enroll(Arena self, unsigned index, void *memory, size_t size) noexcept:
    """Put memory into the ring's table of buffers, or (NULL) take it out. False: refused."""
    cdef Driver driver = <Driver>self.driver
    cdef io_uring_rsrc_update2 update
    cdef iovec one
    one.iov_base = memory
    one.iov_len = size
    if not self.enrolled and not enroll_table(self, &driver.ring):
        self.fixed = False
        return False
    memset(&update, 0, sizeof(update))
    update.offset = index
    update.data = <uint64_t><size_t>&one
    update.nr = 1
    return driver.ring.kernel.enroll(&driver.ring, IORING_REGISTER_BUFFERS_UPDATE, &update,
                                     sizeof(update)) == 1


cdef bint enroll_table(Arena self, rm_ring *ring) noexcept:
    """A table of empty places, filled as memory is used (Linux 5.13)."""
    cdef unsigned n = self.count + LARGE_MAX
    cdef iovec *places = <iovec *>calloc(n, sizeof(iovec))
    if places == NULL:
        return False
    self.enrolled = ring.kernel.enroll(ring, IORING_REGISTER_BUFFERS, places, n) >= 0
    free(places)
    return self.enrolled


# ── leases longer than a segment: a registered buffer each ──────────────────────────────────

cdef void large_note(Arena self, uint32_t page, uint32_t n) noexcept:
    cdef int i
    for i in range(LARGE_MAX):
        if self.large[i].uses == 0:
            self.large[i].page = page
            self.large[i].pages = n
            self.large[i].uses = 1
            return


cdef void large_forget(Arena self, uint32_t page) noexcept:
    cdef int i
    for i in range(LARGE_MAX):
        if self.large[i].uses and self.large[i].page == page:
            if self.large[i].uses > LARGE_USES and self.enrolled:
                enroll(self, self.count + i, NULL, 0)
                self.registered -= 1
            self.large[i].uses = 0
            return


cdef int large_index(Arena self, size_t at, size_t n) noexcept:
    """The registered buffer that holds these bytes, which cross segments; -1: none does."""
    cdef size_t page = (at - <size_t>self.memory) >> PAGE_SHIFT
    cdef size_t last = (at - <size_t>self.memory + n - 1) >> PAGE_SHIFT
    cdef rm_large *one
    cdef int i
    for i in range(LARGE_MAX):
        one = &self.large[i]
        if one.uses and one.page <= page and last < one.page + one.pages:
            if one.uses > LARGE_USES:
                return self.count + i
            if one.uses < LARGE_USES:
                one.uses += 1
                return -1
            if enroll(self, self.count + i, self.memory + (<size_t>one.page << PAGE_SHIFT),
                      <size_t>one.pages << PAGE_SHIFT):
                one.uses = LARGE_USES + 1
                self.registered += 1
                return self.count + i
            one.uses = 1  # refused: asked again after some more
            return -1
    return -1
