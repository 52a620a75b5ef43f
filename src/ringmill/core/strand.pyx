"""A strand: a line of execution that waits for one op at a time. Fiber and task are strands.

The rule that makes stale wake-ups impossible: a strand waits for exactly one op, and nothing but
that op's completion wakes it. A cancel is a request to the op; the strand learns of it from the
op's own last CQE.

Knows cancel, join and what became of it; does not know how it is resumed (face/).
"""
from libc.stdint cimport uint64_t

from ringmill.core.driver cimport Handler, Waiter, check_thread, ready_push
from ringmill.core.errno cimport ECANCELED
from ringmill.core.op cimport K_DONE, Op, op_complete_value, op_local, op_request_cancel

from ringmill.errors import Cancelled


cdef class Joiner(Handler):
    """Forgets a join op whose waiter gave up."""
    cdef Strand strand

    cdef void cancelled(self, object op) noexcept:
        if self.strand.joiners is not None and op in self.strand.joiners:
            self.strand.joiners.remove(op)

    cdef void undo(self, object op) noexcept:
        # Joined, but whoever joined never looked: an error is reported after all.
        if (<Op>op).error is not None:
            self.strand.taken = False


cdef class Strand(Waiter):
    """Something that runs, waits, and ends with a value or an error.

    `name`: for people; may be set. `cancels`: requests that no block has taken back.
    """

    def __repr__(self):
        state = "done" if self.ended else "waiting" if self.waiting is not None else "runnable"
        return f"<{type(self).__name__} {self.name} {state}>"

    cdef void wake(self, object op) noexcept:
        if self.waiting is op:
            ready_push(self.driver, self)

    cdef int raise_pending(self) except -1:
        cdef object error = self.pending
        self.must_raise = False
        self.pending = None
        self.unraised = 0
        self.raised = self.asked
        if error is not None:
            raise error
        raise Cancelled

    cdef int woken(self) except -1:
        """After a wait: raise the cancel that ended it. A result that won is kept."""
        cdef Op op = self.waiting
        self.waiting = None
        if self.must_raise and op.res == -ECANCELED:
            self.raise_pending()
        return 0

    cdef uint64_t request_cancel(self) except? 0:
        """Ask once; raised where the strand waits, or at its next wait. A ticket, to take it back.

        0 when it has ended.
        """
        if self.ended:
            return 0
        self.cancels += 1
        self.asked += 1
        self.unraised += 1
        self.must_raise = True
        if self.waiting is not None:
            op_request_cancel(self.waiting)
        return self.asked

    cdef void uncancel(self, uint64_t ticket) noexcept:
        """Take a request back; what has not been raised yet never is, if it was the only one."""
        if ticket == 0:
            return
        self.cancels -= 1
        if ticket > self.raised:
            self.unraised -= 1
            if self.unraised == 0 and self.pending is None:
                self.must_raise = False

    cdef int interrupt(self, object error) except -1:
        """Have `error` (KeyboardInterrupt …) raised where the strand waits."""
        self.pending = error
        self.must_raise = True
        if self.waiting is not None:
            op_request_cancel(self.waiting)
        return 0

    cdef int finish(self, object value, object error) except -1:
        cdef list joiners = self.joiners
        cdef Op op
        self.ended = True
        self.must_raise = False
        self.value = value
        self.failure = error
        self.joiners = None
        if joiners is not None:
            for op in joiners:
                if op.kernel != K_DONE:  # waking one may have cancelled the next
                    self.taken = True
                    op_complete_value(op, value, error)
        return 0

    cdef Op join_op(self):
        """Completes when the strand has ended, as it ended."""
        cdef Op op = op_local(self.driver)
        if self.driver.current is self and not self.ended:
            raise RuntimeError("a fiber or task cannot wait for its own end")
        cdef Joiner joiner = Joiner.__new__(Joiner)
        joiner.strand = self
        op.handler = joiner
        if self.ended:
            self.taken = True
            op_complete_value(op, self.value, self.failure)
        else:
            if self.joiners is None:
                self.joiners = []
            self.joiners.append(op)
        return op

    cdef Op park_op(self):
        """Completes at the next unpark(), or at once when one has come already."""
        cdef Op op = op_local(self.driver)
        if self.permit:
            self.permit = False
            op_complete_value(op, None, None)
        else:
            self.parked = op
        return op

    cdef int unpark(self) except -1:
        cdef Op op = self.parked
        self.parked = None
        if op is None or op.kernel == K_DONE:  # done: a cancel came first
            self.permit = True
        else:
            op_complete_value(op, None, None)
        return 0

    @property
    def done(self):
        """Whether it has ended."""
        return self.ended

    @property
    def error(self):
        """What it raised, or None; looking counts as having been told."""
        self.taken = True
        return self.failure

    def cancel(self):
        """Ask it to stop: `Cancelled` is raised where it waits. False when it has ended."""
        check_thread(self.driver)
        if self.ended:
            return False
        self.request_cancel()
        return True

    def __await__(self):
        check_thread(self.driver)
        return self.join_op()

    def __del__(self):
        if self.ended and not self.taken and self.failure is not None:
            report(self.name, self.failure)


cdef extern from *:
    """
    /* PyErr_Restore is the one way that 3.11 to 3.13 share. Steals nothing. */
    static void rm_unraisable(PyObject *error, PyObject *where) {
        PyErr_Restore(Py_NewRef(Py_TYPE(error)), Py_NewRef(error),
                      PyException_GetTraceback(error));
        PyErr_WriteUnraisable(where);
    }
    """
    void rm_unraisable(object error, object where)


cpdef void report(object name, object error) noexcept:
    """An error that nobody was told of must not vanish: it goes to sys.unraisablehook."""
    if not isinstance(error, Cancelled):
        rm_unraisable(error, f"{name}, which ended with this error and was not joined")


cdef void report_error(object where, object error) noexcept:
    """The same for an error that came from no strand."""
    rm_unraisable(error, where)
