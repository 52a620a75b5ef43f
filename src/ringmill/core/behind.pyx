"""Writes behind the program's back: begun at once, awaited by whoever wants to, never forgotten.

A write stands in the line of its open file. An ordered one that has to wait is a local op, which
a cancel ends at once; when its turn comes it becomes one that the kernel has.

Knows writes and their line; does not know who waits, nor files by name.
"""
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from ringmill.core.arena cimport fix
from ringmill.core.complete cimport op_complete
from ringmill.core.driver cimport Driver, Handler
from ringmill.core.errno cimport EAGAIN, ECANCELED, EINTR, EIO
from ringmill.core.hold cimport hold_view
from ringmill.core.lines cimport (
    Line, Lines, line_count, line_open, line_remember, line_settle, lines_of, tell_machine,
)
from ringmill.core.op cimport (
    K_IN_FLIGHT, K_NEW, P_DETACHED, R_VALUE, Op, drop_buffers, op_complete_value, op_new, op_push,
    op_push_again,
)
from ringmill.core.rest cimport IO_MAX
from ringmill.core.ring cimport io_uring_sqe

import collections

from ringmill.errors import WouldExceedBudget

cdef extern from "ring.h":
    enum:
        IORING_OP_WRITE

cdef uint64_t NO_OFFSET = <uint64_t>-1


# ── one write ───────────────────────────────────────────────────────────────────────────────

@cython.final
cdef class Write(Handler):
    """Watches one write until all of it is written."""
    cdef Line line
    cdef uint64_t offset
    cdef Py_ssize_t size, done
    cdef bint ordered

    cdef bint on_cqe(self, object op, int res, uint32_t flags):
        cdef Op mine = <Op>op
        if res > 0:
            self.done += res
        if self.done < self.size:
            if not mine.cancel_asked and (res > 0 or res == -EINTR or res == -EAGAIN):
                write_fill(self, mine, op_push_again(mine, IORING_OP_WRITE, self.line.own))
                return False
            if res >= 0:
                res = -ECANCELED if mine.cancel_asked else -EIO
        if res >= 0:
            mine.value = self.size
        write_ended(self, mine, res if res < 0 else 0, flags)
        return False

    cdef void cancelled(self, object op) noexcept:
        """It stood in line, and never will be written."""
        cdef Op mine = <Op>op
        drop_buffers(mine)
        line_count(self.line, -1, self.size)
        if self.line.queue is not None and mine in self.line.queue:
            self.line.queue.remove(mine)


cdef void write_fill(Write self, Op op, io_uring_sqe *sqe) noexcept:
    cdef uint64_t left = self.size - self.done
    sqe.addr = <uint64_t><size_t>op.view.buf + self.done
    sqe.len = <uint32_t>(left if left < IO_MAX else IO_MAX)
    sqe.off = self.offset if self.offset == NO_OFFSET else self.offset + self.done


cdef int write_begin(Write self, Op op) except -1:
    """Give it to the kernel."""
    cdef io_uring_sqe *sqe
    cdef bint before = self.line.in_order
    op.kernel = K_NEW
    self.line.flying += 1  # before the push: it may take in CQEs, and begin who is next
    self.line.in_order |= self.ordered
    try:
        sqe = op_push(op, IORING_OP_WRITE, self.line.own)
    except BaseException:
        self.line.flying -= 1
        self.line.in_order = before
        raise
    write_fill(self, op, sqe)
    fix(op, sqe)
    return 0


cdef int write_ended(Write self, Op op, int res, uint32_t flags) except -1:
    """Its last CQE: tell whoever waits, or remember; then the next in line."""
    cdef Line line = self.line
    cdef bint untold = op.waiter is None
    cdef bint wanted = op.cancel_asked and not line.lines.ending
    op_complete(op, res, flags)
    line_count(line, -1, self.size)
    line.flying -= 1
    if op.res < 0 and untold and not (op.res == -ECANCELED and wanted):
        line_remember(line, op, self.offset, self.size, self.done)
    if self.ordered:
        line.in_order = False
        if op.res < 0 and not (op.res == -ECANCELED and wanted):
            line_break(line, op.res)
        line_next(line)
    return line_settle(line)


# ── those that stand in line ────────────────────────────────────────────────────────────────

cdef int line_next(Line line) except -1:
    """Begin the next of those that are ordered; one that cannot be begun has failed."""
    cdef Op op
    while line.queue and not line.in_order:
        op = line.queue.popleft()
        try:
            write_begin(<Write>op.handler, op)
        except Exception:
            op.kernel = K_IN_FLIGHT
            line_fail(line, op, -ECANCELED if line.lines.driver.dead else -EIO)
    return 0


cdef int line_break(Line line, int res) except -1:
    """An ordered write has failed: nothing is written behind the gap."""
    while line.queue:
        line_fail(line, line.queue.popleft(), res)
    return 0


cdef int line_fail(Line line, Op op, int res) except -1:
    """End a write that stood in line."""
    cdef Write write = <Write>op.handler
    cdef bint untold = op.waiter is None
    line_count(line, -1, write.size)
    drop_buffers(op)
    op.res = res
    op_complete_value(op, None, None)
    if untold:
        line_remember(line, op, write.offset, write.size, 0)
    return 0


cdef Op behind_write(Driver driver, int fd, object data, uint64_t offset, bint ordered):
    """Begin to write all of `data`, now, or after the ordered ones before it."""
    cdef Lines lines = lines_of(driver)
    cdef Op op = op_new(R_VALUE)
    cdef Line line = line_open(lines, fd)
    cdef Write write = Write.__new__(Write)
    try:
        hold_view(op, data, False)
        if lines.bytes and lines.bytes + op.view.len > driver.write_behind_max:
            raise WouldExceedBudget(
                f"write_behind_max: {lines.bytes} of {driver.write_behind_max} bytes are not "
                "written yet; drain() waits for them")
        write.line = line
        write.size = op.view.len
        write.offset = offset
        write.ordered = ordered
        op.program = P_DETACHED
        op.handler = write
        if ordered and (line.in_order or line.queue):
            if line.queue is None:
                line.queue = collections.deque()
            op.kernel = K_IN_FLIGHT  # known to nobody but its line: a local op, as yet
            line.queue.append(op)
        else:
            write_begin(write, op)
        line_count(line, 1, write.size)
    finally:
        line_settle(line)  # when it was refused
    return op


# ── the machine's end ───────────────────────────────────────────────────────────────────────

cdef int behind_ending(Driver driver) except -1:
    """The machine ends: what it cancels from here on is lost, and told."""
    if driver.behind is not None:
        (<Lines>driver.behind).ending = True
    return 0


cdef int behind_mute(Driver driver) except -1:
    """A forked child has none of these writes, and nothing to tell of them."""
    if driver.behind is not None:
        (<Lines>driver.behind).muted = True
    return 0


cdef int behind_let_go(Driver driver) except -1:
    """The ring is closed, and no op is left: what was not written is told by behind_tell()."""
    cdef Lines lines = <Lines>driver.behind
    cdef Line line
    if lines is None:
        return 0
    for line in [*lines.by_fd.values(), *lines.astray]:
        line_break(line, -ECANCELED)
        line_settle(line)
        tell_machine(line)
    return 0
