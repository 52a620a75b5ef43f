"""Messages as arguments; declarations only."""
from ringmill.core.op cimport Op
from ringmill.core.views cimport Views

cdef int parts_out(Op op, Views views) except -1
cdef int peer_out(Op op, object address) except -1
cdef bint destination_out(Op op, object address) except? True
cdef int ancillary_out(Op op, object ancdata) except -1
cdef int descriptors_out(Op op, object fds, int sock) except -1
cdef int fresh_message(Op op, object n) except -1
cdef int message_into(Op op, object buffer) except -1
cdef int parts_in(Op op, Views views) except -1
cdef int ancillary_in(Op op, object size) except -1
cdef int descriptors_in(Op op, object most) except -1
