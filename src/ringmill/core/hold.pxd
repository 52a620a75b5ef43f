"""What an op points to, held until its last CQE; declarations only."""
from ringmill.core.aux cimport rm_aux
from ringmill.core.op cimport Op
from ringmill.core.views cimport Views

cdef int hold_view(Op op, object buffer, bint writable) except -1
cdef Views hold_views(Op op, object buffers, bint writable)
cdef int hold_also(Op op, object more) except -1
cdef rm_aux *hold_aux(Op op) except NULL
