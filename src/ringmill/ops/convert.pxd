"""Arguments of ops, checked; declarations only."""
from libc.stdint cimport uint64_t

from ringmill.core.op cimport Op
from ringmill.core.ring cimport io_uring_sqe

cdef int fd_of(object fd) except -1
cdef int fd_to_close(object fd) except -1
cdef int let_go(object fd) noexcept
cdef int dir_fd_of(object dir_fd) except? -1
cdef bytes path_of(object path)
cdef bytes link_source(object src, object dir_fd)
cdef int name_also(Op op, object path) except -1
cdef uint64_t position_of(object position) except? 0
cdef void open_how(Op op, io_uring_sqe *sqe, unsigned resolve) noexcept
cdef uint64_t offset_of(object offset) except? 0
cdef unsigned unsigned_of(object n) except? 0
cdef int int_of(object n) except? -1
cdef unsigned io_size(Py_ssize_t size) noexcept
cdef Py_ssize_t size_of(object n) except -1
cdef unsigned fresh_bytes(Op op, object n) except? 0
cdef unsigned event_room(Op op, object n) except 0
cdef int option_room(Op op, object size) except -1
cdef int option_value(Op op, object value, object size) except -1
cdef int hold_word(Op op, object word) except -1
