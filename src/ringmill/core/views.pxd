"""Several buffers, held; declarations only."""
from ringmill.core.aux cimport iovec

cdef class Views:
    cdef Py_buffer *views
    cdef iovec *iov
    cdef readonly unsigned count
    cdef void release(self) noexcept

cdef Views views_of(object buffers, bint writable)
