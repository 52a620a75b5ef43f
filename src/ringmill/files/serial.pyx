"""Whose turn it is: the calls on one file, one after the other, in the order they were made.

A fiber or task that finds the file in use waits in line for an op of its own; whoever ends hands
the turn on. Cancelled in line, it leaves it; handed the turn but gone, it passes it on.

Knows local ops; does not know files.
"""
from ringmill.core.driver cimport Driver, Handler
from ringmill.core.machine cimport machine_here
from ringmill.core.op cimport K_DONE, Op, op_complete_value, op_local

import collections


cdef class InLine(Handler):
    """The op's side of a place in line."""
    cdef Turn turn

    cdef void cancelled(self, object op) noexcept:
        if op in self.turn.line:
            self.turn.line.remove(op)

    cdef void undo(self, object op) noexcept:
        if (<Op>op).res >= 0:  # it was handed the turn, and nobody took it
            self.turn.give()


cdef class Turn:
    """`if not turn.take(): await turn.wait()`; then, in any case, `turn.give()`."""
    cdef readonly bint busy  # somebody is in the middle of a call
    cdef Driver driver       # … on this machine
    cdef object line         # the ops of those who wait

    def __cinit__(self):
        self.line = collections.deque()

    def take(self):
        """True: it is yours."""
        if self.busy:
            return False
        self.busy = True
        self.driver = machine_here()
        return True

    def wait(self):
        """An op that ends when it is your turn."""
        cdef Driver driver = machine_here()
        if self.driver is not driver:
            raise RuntimeError("this file is in use by another thread at this moment")
        cdef Op op = op_local(driver)
        cdef InLine place = InLine.__new__(InLine)
        place.turn = self
        op.handler = place
        self.line.append(op)
        return op

    cpdef give(self):
        """The next one's turn."""
        cdef Op op
        while self.line:
            op = self.line.popleft()
            if op.kernel != K_DONE:
                op_complete_value(op, None, None)
                return
        self.busy = False
        self.driver = None
