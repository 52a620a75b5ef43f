"""C results as Python values; declarations only."""
from cpython.object cimport PyObject

from ringmill.core.aux cimport rm_aux

cdef object stat_of(const rm_aux *aux)
cdef object waitid_of(const rm_aux *aux)
cdef object accepted(int fd, object listener, const rm_aux *aux)
cdef object message_of(bytes data, int res, rm_aux *aux)
cdef int events_asked(int res, unsigned mask) noexcept
cdef void message_undo(rm_aux *aux) noexcept
cdef object socket_from(int fd, object like)
cdef object data_taken(PyObject *data, Py_ssize_t size)
