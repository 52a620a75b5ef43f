"""C results as Python values; declarations only."""
from cpython.object cimport PyObject

from ringmill.core.aux cimport msghdr, rm_aux

cdef object stat_of(const rm_aux *aux)
cdef object waitid_of(const rm_aux *aux)
cdef object accepted(int fd, object listener, const rm_aux *aux)
cdef object message_of(object data, rm_aux *aux)
cdef object sender_of(const rm_aux *aux)
cdef object descriptors_of(object data, rm_aux *aux)
cdef list ancillary_of(msghdr *message)
cdef list epoll_events(bytes data, int count)
cdef int events_asked(int res, unsigned mask) noexcept
cdef void control_undo(msghdr *message, bint rights) noexcept
cdef object socket_from(int fd, object like)
cdef object data_taken(PyObject *data, Py_ssize_t size)
