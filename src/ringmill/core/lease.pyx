"""Leases: memory of the machine's arena, lent until nobody looks at it any more.

A lease gives its memory back when it is released, or dropped, and no view of it is left: an op
that still reads into it keeps it, like anybody else. It may be dropped in any thread.

Knows the arena and budgets; does not know what the memory is for.
"""
cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.object cimport PyObject

from ringmill.core.arena cimport PAGE_SHIFT, Arena
from ringmill.core.budget cimport Budget, Claim, claim_bytes, give_back, waits_of
from ringmill.core.driver cimport Driver, Waiter, here_or_none
from ringmill.core.op cimport Op, op_complete_value, op_local

import contextvars

from ringmill.errors import WouldExceedBudget

cdef extern from "slots.h":
    int rm_no_new(object type)

cdef extern from "Python.h":
    object PyNumber_Index(object)
    bytearray PyByteArray_FromStringAndSize(const char *data, Py_ssize_t size)

cdef object current = contextvars.ContextVar("ringmill.budget", default=None)


cdef object lease_now(Driver driver, Budget budget, object n, object on_full):
    """The Lease, when there is room; else an op to wait for."""
    cdef Lease lease = lease_new(driver, n)
    cdef Op op
    if claim_bytes(lease, budget, lease.size, waits_of(on_full, budget.waits)):
        return lease
    try:
        op = op_local(driver)
    except BaseException:
        lease.cancelled(None)
        raise
    lease.op = <PyObject *>op
    op.handler = lease
    return op


cdef Op lease_op(Driver driver, Budget budget, object n, object on_full):
    """An op whose result is the Lease; done at once when there is room."""
    cdef object granted = lease_now(driver, budget, n, on_full)
    cdef Op op
    if isinstance(granted, Op):
        return <Op>granted
    op = op_local(driver)
    op_complete_value(op, granted, None)
    return op


cdef Lease lease_new(Driver driver, object n):
    """Nothing is charged yet. Raises the cancel that the caller has pending."""
    cdef Waiter running = driver.current
    cdef Lease lease
    cdef Py_ssize_t length = PyNumber_Index(n)
    cdef Arena arena = <Arena>driver.arena
    if length < 1:
        raise ValueError(f"a lease has 1 byte or more, not {n}")
    if running is not None and running.must_raise:
        running.raise_pending()
    if <size_t>length > arena.size:
        raise WouldExceedBudget(
            f"arena: {length} bytes were asked for, of {arena.size} that there are at all")
    if arena.memory == NULL:
        arena.open()
    lease = Lease.__new__(Lease)
    lease.arena = arena
    lease.length = length
    lease.size = <size_t>(((length - 1) >> PAGE_SHIFT) + 1) << PAGE_SHIFT
    return lease


cdef Budget budget_here(Driver driver):
    """Whose bytes the caller takes: those of the scope it runs in, or the machine's."""
    cdef object found = current.get()
    cdef Budget budget = <Budget>found if found is not None else None
    cdef Budget root = budget
    while root is not None and root.parent is not None:
        root = root.parent
    if root is not driver.arena:
        return <Budget>driver.arena
    while budget.closed:
        budget = budget.parent
    return budget


cdef object set_budget(Budget budget):
    """Charge what this context leases from now on to `budget`; whose it was before."""
    cdef object before = current.get()
    current.set(budget)
    return before


@cython.final
@cython.no_gc_clear  # __dealloc__ needs its arena
cdef class Lease(Claim):
    """`n` bytes of the machine's arena: a writable buffer, given back when nobody needs it.

    In a `with` block it is a memoryview. The bytes are whatever was there before.
    """

    def __dealloc__(self):
        if self.first is not None:
            lease_return(self)

    cdef int granted(self) except -1:
        cdef Op op = <Op>self.op
        self.op = NULL
        op.handler = None
        op_complete_value(op, self, None)
        return 0

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        if self.over or self.first is None:
            raise ValueError("this lease has been released")
        PyBuffer_FillInfo(buffer, self, lease_at(self), self.length, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *buffer):
        self.exports -= 1
        if self.over and not self.exports:
            lease_return(self)

    def __len__(self):
        return self.length

    def __getitem__(self, key):
        return memoryview(self)[key]

    def __setitem__(self, key, value):
        memoryview(self)[key] = value

    def __enter__(self):
        if self.view is None:
            self.view = memoryview(self)
        return self.view

    def __exit__(self, *_):
        self.release()

    def release(self):
        """Give the memory back: now, or when the last view of it is gone. Again: does nothing."""
        cdef object view = self.view
        self.view = None
        self.over = True
        if view is not None:
            try:
                view.release()
            except BufferError:
                pass  # an op works with it: its end gives it back
        if not self.exports and self.first is not None:
            lease_return(self)

    @property
    def released(self):
        """Whether the memory has gone back, and is perhaps somebody else's by now."""
        return self.first is None

    def detach(self):
        """A copy of the bytes, for another thread or a longer life; the lease is released.

        BufferError while somebody else, such as an op, still has a view of it.
        """
        cdef bytearray copy
        if self.over or self.first is None:
            raise ValueError("this lease has been released")
        if self.view is not None:
            self.view.release()  # refuses when an op works with it
            self.view = None
        if self.exports:
            raise BufferError("somebody still has a view of this lease")
        copy = PyByteArray_FromStringAndSize(lease_at(self), self.length)
        self.release()
        return copy

    def __repr__(self):
        cdef str state = "released" if self.first is None else "leased"
        return f"<Lease of {self.length} bytes, {state}>"


rm_no_new(Lease)


cdef inline char *lease_at(Lease self) noexcept:
    return self.arena.memory + (<size_t>self.page << PAGE_SHIFT)


@cython.final
@cython.no_gc_clear
cdef class Returned(Claim):
    """What a lease that ended in another thread had."""

    def __call__(self):
        give_back(self)


cdef void lease_return(Lease self) noexcept:
    """The memory goes back: here, when this is the machine's thread; else there."""
    cdef Returned returned
    cdef Arena arena = self.arena
    cdef Driver mine = here_or_none()
    if arena.driver == NULL or arena.driver == <void *>mine:
        give_back(self)
        return
    returned = Returned.__new__(Returned)
    returned.first, self.first = self.first, None
    returned.size = self.size
    returned.page = self.page
    try:
        (<object><PyObject *>arena.driver).call_threadsafe(returned)
    except Exception:
        give_back(returned)  # the machine has ended meanwhile: nobody is in line
