"""Iterators over ops with many results: accept, receive, read and poll.

Knows how an iteration is begun, and who may end it; what happens in between is in shots.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from ringmill.core.buffers cimport Group, open_group
from ringmill.core.driver cimport check_thread, here, here_or_none
from ringmill.core.letters cimport LETTER_MAX
from ringmill.core.machine cimport Machine
from ringmill.core.op cimport K_DONE, R_LETTER, Op, op_new
from ringmill.core.ring cimport IOSQE_BUFFER_SELECT, io_uring_sqe, rm_has_op, rm_ring
from ringmill.core.shots cimport Shots

import collections
import types

cdef extern from "slots.h":
    int rm_no_new(object type)

cdef enum:
    GROUP_COUNT = 128  # buffers of a machine's group: 2 MiB of address space, used as data comes
    GROUP_SIZE = 16384
    LETTER_COUNT = 64  # 4.3 MiB of address space; a small datagram uses the first page of one


cdef Group group_of(Machine machine, rm_ring *ring):
    """The group that receives on `ring` draw from."""
    if ring == &machine.ring:
        if machine.group is None:
            machine.group = open_group(ring, 0, GROUP_COUNT, GROUP_SIZE)
        return machine.group
    if machine.group_beside is None:
        machine.group_beside = open_group(ring, 0, GROUP_COUNT, GROUP_SIZE)
    return machine.group_beside


cdef Group letters_of(Machine machine, rm_ring *ring):
    """The group for messages on `ring`. Apart: its buffers are larger, and few are in use."""
    if ring == &machine.ring:
        if machine.letters is None:
            machine.letters = open_group(ring, 1, LETTER_COUNT, LETTER_MAX)
        return machine.letters
    if machine.letters_beside is None:
        machine.letters_beside = open_group(ring, 1, LETTER_COUNT, LETTER_MAX)
    return machine.letters_beside


cdef Shots shots_new(int kind, unsigned opcode, uint32_t behaviour, bint uses_group):
    """What an iteration begins with; the caller fills in the rest of `template`."""
    cdef Machine machine = <Machine>here()
    cdef Shots shots = Shots.__new__(Shots)
    op_new(kind)  # raises the cancel that the caller has pending
    shots.driver = machine
    shots.kind = kind
    shots.ring = &machine.ring
    if (machine.ring.behaviours & behaviour) != behaviour or not rm_has_op(&machine.ring, opcode):
        shots.ring = machine.open_beside()
    shots.line = collections.deque()
    shots.returned = []
    memset(&shots.template, 0, sizeof(io_uring_sqe))
    shots.template.opcode = <uint8_t>opcode
    if uses_group:
        if kind == R_LETTER:
            shots.group = letters_of(machine, shots.ring)
        else:
            shots.group = group_of(machine, shots.ring)
        shots.template.flags = IOSQE_BUFFER_SELECT
        shots.template.buf_group = shots.group.number
    return shots


cdef Each each_new(Shots shots):
    cdef Each each = Each.__new__(Each)
    each.shots = shots
    return each


cdef class Each:
    """An asynchronous iterator over the results of one op; `close()` ends it early."""

    __class_getitem__ = classmethod(types.GenericAlias)  # Each[bytes], in annotations

    def __del__(self):
        # Collected in whatever thread; the op must be ended in its own.
        if here_or_none() is self.shots.driver or self.shots.driver.dead:
            self.shots.close()
        else:
            (<Machine>self.shots.driver).call_threadsafe(self.close)

    def __aiter__(self):
        return self

    def __anext__(self):
        cdef Op op
        check_thread(self.shots.driver)
        op = self.shots.next_op()
        if op.kernel != K_DONE:
            op.keep = self  # anext(aiter(accept_each(…))): nobody else may hold the iterator
        return op

    def close(self):
        """End the iteration; what came and was not taken is undone."""
        if not self.shots.driver.dead:
            check_thread(self.shots.driver)
        self.shots.close()

    async def aclose(self):
        """The same, for contextlib.aclosing."""
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


rm_no_new(Each)
