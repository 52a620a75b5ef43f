"""Writes that nobody has to wait for: begun now, checked on later.

Not entries of the table: a write here goes on until all is written, and may stand in line.
Knows arguments; what becomes of a write is in core/behind.
"""
from ringmill.core.behind cimport behind_write
from ringmill.core.driver cimport Driver, here, here_or_none
from ringmill.core.lease cimport Lease
from ringmill.core.lines cimport behind_close, behind_drain
from ringmill.core.op cimport Op
from ringmill.ops.convert cimport fd_of, fd_to_close, let_go, offset_of


def start_write(fd, data, *, offset=None, bint ordered=False):
    """Begin to write all of `data`, and return at once: an op, which may be awaited, or waited for
    (the number of bytes), or cancelled, or forgotten.

    `data` stays exported until then, so a bytearray cannot be resized; assigning to its items
    changes what is written. offset: as in `write`; without one, and with more than one write under
    way, use `ordered`. ordered: after the ordered writes to `fd` before this one; when one of them
    fails, those behind it are not written, and fail with the same error.

    A failure that nobody waited for is raised once: by the next start_write, drain or close of
    ringmill on that file; or it goes to `on_write_error` of the machine (sys.unraisablehook, when
    that is None). Raises WouldExceedBudget while `write_behind_max` bytes of the machine are under
    way. `fd` may be closed meanwhile, even the number used again: these bytes go to the file that
    it was.
    """
    return behind_write(here(), fd_of(fd), data, offset_of(offset), ordered)


def commit(leased, fd, offset=None, *, bint ordered=False):
    """Hand leased memory over, to be written: a Lease, or a view of one, or of a part of one.

    As `start_write`; the caller's hold on it ends here, and the memory goes back to the arena when
    it is written. When it raises, nothing was handed over.

    >>> buffer = alloc_write(4096)
    >>> buffer[:5] = b"bytes"
    >>> wait(commit(buffer[:5], scratch, 0))
    5
    """
    cdef object view = memoryview(leased)
    cdef object lease = view.obj
    if not isinstance(lease, Lease):
        raise TypeError(f"what alloc_write or lease gave can be committed, not {leased!r}")
    op = start_write(fd, view, offset=offset, ordered=ordered)
    if leased is not lease:
        leased.release()
    lease.release()
    return op


def drain(fd=None):
    """Wait until what start_write began on `fd` (None: on any file) is written.

    Raises the first failure that nobody was told of; its notes tell of the others.
    """
    return behind_drain(here(), -1 if fd is None else fd_of(fd))


cdef Op close_late(object fd):
    """A close that stands behind writes of `fd`; None when there are none."""
    cdef Driver driver = here_or_none()
    cdef Op op
    if driver is None or driver.behind is None or driver.dead:
        return None
    op = behind_close(driver, fd_to_close(fd))
    if op is not None:
        let_go(fd)
    return op
