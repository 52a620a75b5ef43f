"""Lines of writes: one per open file, as long as some are under way or have failed untold.

A line keeps a duplicate of its descriptor: a number that is closed meanwhile and given to another
file must not get these bytes. A failure is told to whoever awaited that write; else once, to the
next who asks the line for anything; else to the machine's on_write_error.

Knows who waits for a line to settle; does not know how anything is written (behind).
"""
cimport cython
from libc.errno cimport errno
from libc.stdint cimport uint32_t, uint64_t
from posix.stat cimport fstat, struct_stat
from posix.unistd cimport close as posix_close

from ringmill.core.driver cimport Driver, Handler
from ringmill.core.op cimport K_IN_FLIGHT, K_NEW, P_TAKEN, Op, op_complete_value, op_local, op_push
from ringmill.core.strand cimport report_error

import os

cdef extern from "ring.h":
    enum:
        IORING_OP_CLOSE

cdef extern from *:
    """
    #include <fcntl.h>
    #include <linux/kcmp.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    static inline int rm_dup(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 3); }
    /* Do two numbers stand for one open file? Where kcmp(2) is not allowed, what can be seen of
     * them decides. */
    static inline int rm_same_file(int a, int b) {
        long pid = (long)getpid();
        long res = syscall(SYS_kcmp, pid, pid, KCMP_FILE, (long)a, (long)b);
        if (res >= 0) return res == 0;
        if (errno == EBADF) return 0;
        return fcntl(a, F_GETFL) == fcntl(b, F_GETFL);
    }
    """
    int rm_dup(int fd)
    bint rm_same_file(int a, int b)

cdef uint64_t NO_OFFSET = <uint64_t>-1


@cython.final
cdef class Line:
    def __cinit__(self):
        self.own = -1
        self.failed = []
        self.waiting = []


cdef Lines lines_of(Driver driver):
    cdef Lines lines
    if driver.behind is None:
        lines = Lines.__new__(Lines)
        lines.driver = driver
        lines.by_fd = {}
        lines.astray = set()
        lines.untold = []
        driver.behind = lines
    return <Lines>driver.behind


cdef void line_count(Line line, int writes, Py_ssize_t size) noexcept:
    line.lines.writes += writes
    line.lines.bytes += size if writes > 0 else -size


cdef int line_settle(Line line) except -1:
    """When nothing is under way any more: let go of the file, and tell those who wait."""
    cdef Op op
    cdef list waiting
    if line.flying or line.queue:
        return 0
    if line.own >= 0:
        posix_close(line.own)
        line.own = -1
    if line in line.lines.astray:
        line.lines.astray.discard(line)
        tell_machine(line)
    waiting = line.waiting
    line.waiting = []
    for op in waiting:
        (<Waiting>op.handler).settled(op, line)
    line_forget(line)
    return 0


cdef int line_forget(Line line) except -1:
    """A line without business is none."""
    if line.own < 0 and not line.failed and line.lines.by_fd.get(line.fd) is line:
        del line.lines.by_fd[line.fd]
    return 0


cdef Line line_of(Lines lines, int fd):
    """The line of an open file; None when it has none."""
    cdef struct_stat about
    cdef Line line = lines.by_fd.get(fd)
    if line is None:
        return None
    if fstat(fd, &about) == 0 and about.st_dev == line.device and about.st_ino == line.inode:
        if line.own < 0 or rm_same_file(fd, line.own):
            return line
    del lines.by_fd[fd]  # the number was closed, behind our back
    if line.own >= 0:
        lines.astray.add(line)
    else:
        tell_machine(line)
    return None


cdef Line line_open(Lines lines, int fd):
    """The same, made when there is none; its untold failures are raised."""
    cdef struct_stat about
    cdef Line line = line_of(lines, fd)
    if line is not None and line.failed:
        raise_untold([line])
    if line is None or line.own < 0:
        line = Line.__new__(Line)
        line.lines = lines
        line.fd = fd
        line.own = rm_dup(fd)
        if line.own < 0 or fstat(line.own, &about) < 0:
            raise OSError(errno, os.strerror(errno))
        line.device, line.inode = about.st_dev, about.st_ino
        lines.by_fd[fd] = line
    return line


# ── what failed ─────────────────────────────────────────────────────────────────────────────

@cython.final
cdef class Failure:
    """A write that failed, and that nobody waited for."""


cdef int line_remember(Line line, Op op, uint64_t offset, Py_ssize_t size,
                       Py_ssize_t done) except -1:
    cdef Failure failure = Failure.__new__(Failure)
    failure.op = op
    failure.line = line
    failure.offset = offset
    failure.size = size
    failure.done = done
    line.failed.append(failure)
    return 0


cdef list take_untold(object lines):
    """The writes that failed and whose error nobody has been given, in their order."""
    cdef Line line
    cdef Failure failure
    cdef list found = []
    for line in lines:
        found += [failure for failure in line.failed if failure.op.program != P_TAKEN]
        line.failed = []
        line_forget(line)
    return found


cdef object error_of(Failure failure):
    """What became of one write, as an OSError of its own."""
    cdef int number = -failure.op.res
    error = OSError(number, os.strerror(number))
    where = "" if failure.offset == NO_OFFSET else f" at offset {failure.offset}"
    error.add_note(f"{failure.done} of {failure.size} bytes were written{where} by start_write to "
                   f"descriptor {failure.line.fd}")
    return error


cdef object error_of_all(list failed):
    """The first, with the others in its notes; None when there are none."""
    if not failed:
        return None
    error = error_of(failed[0])
    if len(failed) > 1:
        others = [error_of(each) for each in failed[1:]]
        error.add_note(f"and {len(others)} more: " + "; ".join(
            sorted({str(other) for other in others})))
    return error


cdef int raise_untold(object lines) except -1:
    error = error_of_all(take_untold(lines))
    if error is not None:
        raise error
    return 0


cdef int tell_machine(Line line) except -1:
    """Nobody can ask this line any more: its failures go to the machine's hook, one by one."""
    for each in take_untold([line]):
        tell_hook(line.lines, error_of(each))
    return 0


cdef void tell_hook(Lines lines, object error) noexcept:
    """Soon: whoever comes here may be taking in CQEs, which runs no user code."""
    if lines.muted:
        return
    lines.untold.append(error)
    if not lines.driver.dead:
        lines.driver.call_threadsafe(_tell, lines.driver)


def _tell(driver):
    behind_tell(driver)


cdef int behind_tell(Driver driver) except -1:
    """Give the machine's hook what nobody else was told."""
    cdef Lines lines = <Lines>driver.behind
    while lines is not None and lines.untold:
        error = lines.untold.pop(0)
        hook = driver.on_write_error
        if hook is None:
            report_error("a write that nobody awaited", error)
            continue
        try:
            hook(error)
        except Exception as caught:
            report_error(hook, caught)
    return 0


# ── those who wait ──────────────────────────────────────────────────────────────────────────

cdef class Waiting(Handler):
    """An op that is done when some lines have settled."""
    cdef Lines lines
    cdef list mine                 # all of them
    cdef int left                  # those that have not settled

    cdef void settled(self, Op op, Line line) noexcept:
        self.left -= 1
        if self.left == 0:
            self.finish(op)

    cdef void finish(self, Op op) noexcept:
        op_complete_value(op, None, None)

    cdef void cancelled(self, object op) noexcept:
        cdef Line line
        for line in self.mine:
            if op in line.waiting:
                line.waiting.remove(op)


@cython.final
cdef class Drain(Waiting):
    """… and what failed is this op's error."""
    cdef list failed

    def __cinit__(self):
        self.failed = []

    cdef void finish(self, Op op) noexcept:
        self.failed = take_untold(self.mine)
        op_complete_value(op, None, error_of_all(self.failed))

    cdef void undo(self, object op) noexcept:
        """Whoever asked never looked: the next who asks is told."""
        cdef Failure each
        cdef Line line
        for each in self.failed:
            line = each.line
            if self.lines.driver.dead or self.lines.by_fd.setdefault(line.fd, line) is not line:
                tell_hook(self.lines, error_of(each))
            else:
                line.failed.append(each)
        if self.lines.driver.dead:
            behind_tell(self.lines.driver)


cdef Op wait_for(Waiting waiting, Op op, Lines lines, list mine):
    cdef Line line
    waiting.lines = lines
    waiting.mine = mine
    op.handler = waiting
    for line in mine:
        if line.own >= 0:
            waiting.left += 1
            line.waiting.append(op)
    if waiting.left == 0:
        waiting.finish(op)
    return op


cdef Op behind_drain(Driver driver, int fd):
    """Done when the writes of `fd` are (-1: all of them); the first untold failure is its error."""
    cdef Lines lines = lines_of(driver)
    cdef Line line
    cdef list mine
    if fd < 0:
        mine = [*lines.by_fd.values(), *lines.astray]
    else:
        line = line_of(lines, fd)
        mine = [] if line is None else [line]
    return wait_for(Drain.__new__(Drain), op_local(driver), lines, mine)


cdef Op behind_settled(Driver driver):
    """Done when nothing is under way; failures stay where they are."""
    cdef Lines lines = lines_of(driver)
    return wait_for(Waiting.__new__(Waiting), op_local(driver), lines,
                    [*lines.by_fd.values(), *lines.astray])


@cython.final
cdef class Closing(Waiting):
    """A close that stands behind the writes of its descriptor, and has their failure."""
    cdef int fd
    cdef list failed

    def __cinit__(self):
        self.failed = []

    cdef void finish(self, Op op) noexcept:
        self.failed = take_untold(self.mine)
        op.kernel = K_NEW
        try:
            op_push(op, IORING_OP_CLOSE, self.fd)
        except BaseException:
            if not self.lines.muted:
                posix_close(self.fd)  # never to leak it
            op.kernel = K_IN_FLIGHT
            op_complete_value(op, None, error_of_all(self.failed))

    cdef bint on_cqe(self, object op, int res, uint32_t flags):
        if res >= 0:
            (<Op>op).error = error_of_all(self.failed)
        else:
            self.undo(op)  # the close has an error of its own
        return True

    cdef void undo(self, object op) noexcept:
        cdef Failure each
        for each in self.failed:
            tell_hook(self.lines, error_of(each))
        self.failed = []
        if self.lines.driver.dead:
            behind_tell(self.lines.driver)


cdef Op behind_close(Driver driver, int fd):
    """A close of `fd` after its writes; None when there is nothing to wait for or to tell."""
    cdef Closing closing
    cdef Op op
    cdef Line line
    if driver.behind is None:
        return None
    line = line_of(<Lines>driver.behind, fd)
    if line is None:
        return None
    closing = Closing.__new__(Closing)
    closing.fd = fd
    op = op_local(driver)
    op.shielded = True
    return wait_for(closing, op, line.lines, [line])


cdef bint behind_busy(Driver driver) noexcept:
    """Are writes under way?"""
    return driver.behind is not None and (<Lines>driver.behind).writes != 0
