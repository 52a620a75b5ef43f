"""Runs of free pages: which of them to hand out, and how they grow together again.

Each run is told at its first and its last page (Knuth's boundary tags), so that a run that comes
back finds its free neighbours at once; free runs hang in lists by the power of two below their
length. Knows numbers; does not know the memory.
"""
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free


cdef class Pages:
    def __dealloc__(self):
        free(self.pages)

    cdef uint32_t take(self, uint32_t n) noexcept:
        """The first of `n` pages that follow each other; PAGE_NONE when there are none."""
        cdef uint32_t found = PAGE_NONE, found_at = PAGE_NONE
        cdef uint32_t at, start
        cdef int i
        for i in range(bin_of(n), BINS):
            at = self.bins[i]
            while at != PAGE_NONE:
                start = placed(self, at, n)
                if start != PAGE_NONE:
                    cut(self, at, start, n)
                    return start
                if found == PAGE_NONE and self.pages[at].run >= n:
                    found = found_at = at  # it crosses a block: only when nothing else is there
                at = self.pages[at].next
        if found != PAGE_NONE:
            cut(self, found_at, found, n)
        return found

    cdef void give(self, uint32_t start, uint32_t n) noexcept:
        """A run comes back, and joins the free ones beside it."""
        cdef uint32_t end = start + n
        cdef uint32_t before
        if start and self.pages[start - 1].free:
            before = self.pages[start - 1].run
            start -= before
            unlink(self, start)
        if end < self.count and self.pages[end].free:
            unlink(self, end)
            end += self.pages[end].run
        link(self, start, end - start)


cdef Pages pages_new(uint32_t count, uint32_t block):
    cdef Pages self = Pages.__new__(Pages)
    cdef int i
    self.pages = <rm_page *>calloc(count, sizeof(rm_page))
    if self.pages == NULL:
        raise MemoryError
    self.count = count
    self.block = block
    for i in range(BINS):
        self.bins[i] = PAGE_NONE
    link(self, 0, count)
    return self


cdef inline int bin_of(uint32_t n) noexcept:
    cdef int i = 0
    while n > 1:
        n >>= 1
        i += 1
    return i


cdef inline uint32_t placed(Pages self, uint32_t at, uint32_t n) noexcept:
    """Where in the free run `at` there are `n` pages of one block (a long run: of any)."""
    cdef uint32_t run = self.pages[at].run
    cdef uint32_t start = at
    if run < n:
        return PAGE_NONE
    if n <= self.block and start // self.block != (start + n - 1) // self.block:
        start = (start // self.block + 1) * self.block
        if start + n > at + run:
            return PAGE_NONE
    return start


cdef void cut(Pages self, uint32_t at, uint32_t start, uint32_t n) noexcept:
    """Take `n` pages from `start` on out of the free run `at`; what is left of it stays free."""
    cdef uint32_t end = at + self.pages[at].run
    unlink(self, at)
    if start > at:
        link(self, at, start - at)
    if start + n < end:
        link(self, start + n, end - start - n)
    tag(self, start, n, False)


cdef inline void tag(Pages self, uint32_t start, uint32_t n, bint is_free) noexcept:
    self.pages[start].run = self.pages[start + n - 1].run = n
    self.pages[start].free = self.pages[start + n - 1].free = is_free


cdef void link(Pages self, uint32_t start, uint32_t n) noexcept:
    cdef int i = bin_of(n)
    cdef uint32_t next = self.bins[i]
    tag(self, start, n, True)
    self.pages[start].next = next
    self.pages[start].prev = PAGE_NONE
    if next != PAGE_NONE:
        self.pages[next].prev = start
    self.bins[i] = start


cdef void unlink(Pages self, uint32_t start) noexcept:
    cdef uint32_t next = self.pages[start].next, prev = self.pages[start].prev
    if prev == PAGE_NONE:
        self.bins[bin_of(self.pages[start].run)] = next
    else:
        self.pages[prev].next = next
    if next != PAGE_NONE:
        self.pages[next].prev = prev
