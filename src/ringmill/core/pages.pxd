"""Runs of free pages; declarations only."""
from libc.stdint cimport uint32_t

cdef enum:
    PAGE_NONE = 0xFFFFFFFF
    BINS = 32

cdef struct rm_page:
    uint32_t run           # pages of the run that begins, or ends, here
    uint32_t next, prev    # free runs of about this length
    bint free

cdef class Pages:
    """Which of `count` pages are free."""
    cdef rm_page *pages
    cdef uint32_t count, block    # a small run does not cross a multiple of `block`
    cdef uint32_t[BINS] bins      # free runs of 2**i pages and more, less than 2**(i + 1)
    cdef uint32_t take(self, uint32_t n) noexcept
    cdef void give(self, uint32_t start, uint32_t n) noexcept

cdef Pages pages_new(uint32_t count, uint32_t block)
