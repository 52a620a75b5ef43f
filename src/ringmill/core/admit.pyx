"""Who stands in line is given to the kernel when others have ended.

Not at their very end, but when a look at completions is over: what an op with many results, or one
that goes on, asks next is still its own turn. Knows the line and slots; does not know who waits.
"""
from ringmill.core.driver cimport Driver
from ringmill.core.op cimport CANCEL_ROOM, Op, op_unpark
from ringmill.core.ring cimport rm_sq_room


cdef int line_feed(Driver driver) except -1:
    """Push those in line for whom there are slots."""
    cdef Op op
    while driver.line != NULL and driver.ops_live < driver.ops_max:
        op = <Op>driver.line.op
        if rm_sq_room(op.ring) > CANCEL_ROOM:
            op_unpark(op)
        else:
            driver.make_room(op.ring)  # which may come here, too
    return 0
