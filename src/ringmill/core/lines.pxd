"""Lines of writes; declarations only."""
from libc.stdint cimport uint64_t

from ringmill.core.driver cimport Driver
from ringmill.core.op cimport Op

cdef class Lines:                  # of one machine
    cdef Driver driver
    cdef dict by_fd
    cdef set astray                # lines whose number has become another file's
    cdef uint64_t bytes            # given to us and not yet written
    cdef uint64_t writes
    cdef bint ending               # a cancel is now a write that did not happen
    cdef bint muted                # a forked child: these are the parent's writes
    cdef list untold               # errors on their way to the machine's hook

cdef class Line:                   # the writes of one open file
    cdef Lines lines
    cdef int fd                    # the number they were given with
    cdef int own                   # our duplicate while there are writes, or -1
    cdef uint64_t device, inode
    cdef unsigned flying           # writes that the kernel has
    cdef object queue              # ordered ones that stand behind it; None: nobody does
    cdef bint in_order             # an ordered one is flying
    cdef list failed               # Failures
    cdef list waiting              # ops of those who wait for the end

cdef class Failure:
    cdef Op op
    cdef Line line
    cdef uint64_t offset
    cdef Py_ssize_t size, done

cdef Lines lines_of(Driver driver)
cdef Line line_open(Lines lines, int fd)
cdef void line_count(Line line, int writes, Py_ssize_t size) noexcept
cdef int line_settle(Line line) except -1
cdef int line_remember(Line line, Op op, uint64_t offset, Py_ssize_t size,
                       Py_ssize_t done) except -1
cdef int tell_machine(Line line) except -1
cdef Op behind_drain(Driver driver, int fd)
cdef Op behind_settled(Driver driver)
cdef Op behind_close(Driver driver, int fd)
cdef int behind_tell(Driver driver) except -1
cdef bint behind_busy(Driver driver) noexcept
