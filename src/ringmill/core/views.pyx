"""Several buffers at once: exported, and listed in an iovec array that lives as long.

Knows the buffer protocol; does not know what they are for.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdlib cimport calloc, free

from ringmill.core.aux cimport iovec

cdef enum:
    IOV_MAX = 1024  # the kernel's own limit (UIO_MAXIOV)


cdef class Views:
    """Released once, at the op's last CQE; by the collector when the op was never queued."""

    def __dealloc__(self):
        self.release()
        free(self.views)
        free(self.iov)

    cdef void release(self) noexcept:
        while self.count:
            self.count -= 1
            PyBuffer_Release(&self.views[self.count])


cdef Views views_of(object buffers, bint writable):
    cdef list wanted = list(buffers)
    cdef Views views = Views.__new__(Views)
    cdef Py_ssize_t n = len(wanted)
    cdef int flags = PyBUF_WRITABLE if writable else PyBUF_SIMPLE
    if n > IOV_MAX:
        raise ValueError(f"at most {IOV_MAX} buffers at once, not {n}")
    views.views = <Py_buffer *>calloc(n if n else 1, sizeof(Py_buffer))
    views.iov = <iovec *>calloc(n if n else 1, sizeof(iovec))
    if views.views == NULL or views.iov == NULL:
        raise MemoryError
    for buffer in wanted:
        PyObject_GetBuffer(buffer, &views.views[views.count], flags)
        views.iov[views.count].iov_base = views.views[views.count].buf
        views.iov[views.count].iov_len = views.views[views.count].len
        views.count += 1
    return views
