"""What an op points to: buffers stay exported until its last CQE, blocks ours until the result.

Knows ops and memory; does not know what the memory is for.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyObject_GetBuffer

from ringmill.core.aux cimport rm_aux
from ringmill.core.driver cimport aux_take
from ringmill.core.op cimport Op
from ringmill.core.views cimport Views, views_of


cdef int hold_view(Op op, object buffer, bint writable) except -1:
    """Export `buffer` until the last CQE, so that it can neither move nor go."""
    PyObject_GetBuffer(buffer, &op.view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)
    op.holds_view = True
    op.driver.holds += 1
    return 0


cdef Views hold_views(Op op, object buffers, bint writable):
    """The same for several buffers, with an iovec for each."""
    op.views = views_of(buffers, writable)
    op.driver.holds += op.views.count
    return op.views


cdef int hold_also(Op op, object more) except -1:
    """One thing more that lives as long as the op."""
    if op.keep is None:
        op.keep = more
    elif more is not None:
        op.keep = (op.keep, more)
    return 0


cdef rm_aux *hold_aux(Op op) except NULL:
    """A zeroed block for what the op points to, until its result is taken."""
    op.aux = aux_take(op.driver)
    return op.aux
