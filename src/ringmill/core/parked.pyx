"""The line of ops that a machine has no slot for: first come, first served.

An op in line is filled like any other, but in memory of its own: it is copied to the ring when an
op that has a slot ends. Knows SQEs; does not know what an op is.
"""
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc

from ringmill.core.driver cimport Driver, rm_parked


cdef rm_parked *parked_new(Driver driver, object op, unsigned opcode, int fd) except NULL:
    """A place at the end of the line for `op`, which it keeps alive; freed by whoever pushes it."""
    cdef rm_parked *parked = <rm_parked *>calloc(1, sizeof(rm_parked))
    if parked == NULL:
        raise MemoryError
    Py_INCREF(op)
    parked.op = <PyObject *>op
    parked.sqe.opcode = <uint8_t>opcode
    parked.sqe.fd = fd
    parked.prev = driver.line_end
    if driver.line_end != NULL:
        driver.line_end.next = parked
    else:
        driver.line = parked
    driver.line_end = parked
    driver.in_line += 1
    return parked


cdef void parked_remove(Driver driver, rm_parked *parked) noexcept:
    if parked.prev != NULL:
        parked.prev.next = parked.next
    else:
        driver.line = parked.next
    if parked.next != NULL:
        parked.next.prev = parked.prev
    else:
        driver.line_end = parked.prev
    driver.in_line -= 1
