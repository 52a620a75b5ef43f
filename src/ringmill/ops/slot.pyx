"""Slots: one op that is used again and again, for loops that must allocate nothing.

An op comes from a freelist, which is quick; but the list has an end, and who else is at work
decides who gets there. A Slot has an op of its own: each begin uses it anew, when the one before
is done. Knows ops and how they are begun; does not know who waits.
"""
from ringmill.core.driver cimport Driver, here
from ringmill.core.op cimport (
    K_DONE, K_NEW, P_NEW, R_NOTHING, Op, drop_aux, drop_buffers, op_detached,
)
from ringmill.ops.aio cimport start_readinto, start_recv_into, start_send, start_write


cdef class Slot:
    """One op at a time, without any allocation: each method begins the op anew and gives it.

    It is always the same op: take its result before the next. RuntimeError while it is not done.
    """

    cdef Op readinto_op(self, object fd, object buffer, object offset):
        cdef Driver driver = given(self)
        try:
            return start_readinto(fd, buffer, offset)
        finally:
            driver.given = None

    cdef Op write_op(self, object fd, object data, object offset):
        cdef Driver driver = given(self)
        try:
            return start_write(fd, data, offset)
        finally:
            driver.given = None

    cdef Op recv_into_op(self, object sock, object buffer):
        cdef Driver driver = given(self)
        try:
            return start_recv_into(sock, buffer, 0)
        finally:
            driver.given = None

    cdef Op send_op(self, object sock, object data):
        cdef Driver driver = given(self)
        try:
            return start_send(sock, data, 0, False)
        finally:
            driver.given = None

    def readinto(self, fd, buffer, offset=None):
        """As aio.readinto."""
        return self.readinto_op(fd, buffer, offset)

    def write(self, fd, data, offset=None):
        """As aio.write."""
        return self.write_op(fd, data, offset)

    def recv_into(self, sock, buffer):
        """As aio.recv_into."""
        return self.recv_into_op(sock, buffer)

    def send(self, sock, data):
        """As aio.send."""
        return self.send_op(sock, data)


cdef Driver given(Slot self):
    """Have the op that is begun next be this slot's."""
    cdef Driver driver = here()
    cdef Op op = self.op
    if op is None:
        op = self.op = op_detached(driver, R_NOTHING)
    elif op.kernel != K_NEW and op.kernel != K_DONE:
        raise RuntimeError("the op of this slot is not done")
    again(op)
    driver.given = op
    return driver


cdef void again(Op op) noexcept:
    """As if it were new. What it brought is a count: there is nothing to undo."""
    if op.driver is not None:  # else an error came before it was begun
        drop_buffers(op)
        drop_aux(op)
    op.waiter = None
    op.handler = None
    op.value = op.target = op.keep = op.error = None
    op.ring = NULL
    op.res = 0
    op.flags = 0
    op.kernel = K_NEW
    op.program = P_NEW
    op.cancels_missed = 0
    op.cancel_asked = op.neutral = op.shielded = False
