"""`with scope() as s:`: fibers and tasks that end before the block does.

The first error among the children cancels the others and the block; all errors travel together,
as an ExceptionGroup. Written once, as coroutines; in a fiber they are driven.

Knows strands; does not know what they do.
"""
cimport cython
from libc.stdint cimport uint64_t

from ringmill.core.budget cimport Budget, budget_new, waits_of
from ringmill.core.lease cimport budget_here, set_budget
from ringmill.core.machine cimport Machine, machine_here
from ringmill.core.driver cimport Waiter, check_thread
from ringmill.core.op cimport K_DONE, P_TAKEN, Op, op_attach, op_complete_value, op_local
from ringmill.core.strand cimport Strand
from ringmill.face.fiber cimport drive, strand_here
from ringmill.face.spawn cimport spawn_strand

from ringmill.errors import Cancelled


@cython.final
cdef class Child(Waiter):
    """Stands in a child's list of joiners for the scope."""
    cdef scope owner
    cdef Strand strand

    cdef void wake(self, object op) noexcept:
        cdef scope owner = self.owner
        cdef object error = (<Op>op).error
        (<Op>op).program = P_TAKEN
        owner.children.pop(self, None)
        if error is not None and not isinstance(error, Cancelled):
            owner.errors.append(error)
            scope_cancel(owner)
        if not owner.children and owner.idle is not None:
            idle, owner.idle = owner.idle, None
            if (<Op>idle).kernel != K_DONE:
                op_complete_value(idle, None, None)


@cython.final
cdef class scope:
    """A context manager that owns the fibers and tasks spawned in it; see the module.

    memory: bytes that may be leased in it at once; whoever wants more waits in line or, with
    on_full="raise", gets WouldExceedBudget (None: as the machine was told).
    """
    cdef Machine machine
    cdef Strand host           # who runs the block
    cdef dict children         # in their order; values: None
    cdef list errors
    cdef object idle           # the op that waits for the last child
    cdef int before
    cdef uint64_t ticket       # of the cancel that the host was asked for
    cdef bint entered, closing, asked
    cdef object memory, on_full
    cdef Budget budget         # of its memory, if that is bounded
    cdef object outside        # what this context's was before

    def __init__(self, *, memory=None, on_full=None):
        if memory is not None and memory < 1:
            raise ValueError(f"memory is 1 byte or more, or None; not {memory}")
        waits_of(on_full, True)
        self.memory = memory
        self.on_full = on_full

    def __enter__(self):
        if self.entered:
            raise RuntimeError("a scope is entered once; make a new one")
        cdef Budget around
        self.entered = True
        self.machine = machine_here()
        self.host = strand_here(self.machine)
        self.before = self.host.cancels - self.host.unraised
        self.children = {}
        self.errors = []
        if self.memory is not None:
            around = budget_here(self.machine)
            self.budget = budget_new("scope", self.memory, around,
                                     waits_of(self.on_full, around.waits))
            self.outside = set_budget(self.budget)
        return self

    def __exit__(self, kind, error, traceback):
        return drive(scope_end(self, error))

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, kind, error, traceback):
        return await scope_end(self, error)

    def spawn(self, function, *arguments, **keywords):
        """Begin a fiber (or, with a coroutine object, a task) that ends before the block does."""
        cdef Child child
        cdef Strand strand
        if not self.entered or (self.closing and not self.children):
            raise RuntimeError("this scope is not open")
        check_thread(self.machine)
        strand = spawn_strand(self.machine, function, arguments, keywords)
        child = Child.__new__(Child)
        child.owner = self
        child.strand = strand
        self.children[child] = None
        op_attach(strand.join_op(), child)
        if self.asked:
            strand.request_cancel()
        return strand

    def cancel(self):
        """Ask everybody in the scope to stop, the block included; the block then ends quietly."""
        if self.machine is not None and not self.machine.dead:
            check_thread(self.machine)
        scope_cancel(self)

    @property
    def memory_used(self):
        """Bytes that are leased in it now (0 when its memory is not bounded)."""
        return self.budget.used if self.budget is not None else 0

    @property
    def cancelled(self):
        """Whether cancel() was called, or a child's error had the same effect."""
        return self.asked


cdef int scope_cancel(scope self) except -1:
    cdef Child child
    if self.asked:
        return 0
    self.asked = True
    for child in list(self.children):
        child.strand.request_cancel()
    if not self.closing:
        self.ticket = self.host.request_cancel()
    return 0


async def scope_end(scope self, error):
    """Wait for the children, then raise what there is to raise. True: the error was our own."""
    ours = self.ticket != 0
    self.closing = True
    self.host.uncancel(self.ticket)
    # A Cancelled that this scope asked for ends here; one from further out goes on.
    quiet = ours and isinstance(error, Cancelled) and self.host.cancels <= self.before
    if quiet:
        error = None
    if error is not None:
        scope_cancel(self)
    stopped = await scope_wait(self)
    if self.budget is not None:
        self.budget.closed = True
        set_budget(self.outside)
    if self.errors:
        if error is not None and not isinstance(error, Cancelled):
            self.errors.append(error)
        errors, self.errors = self.errors, []
        for each in errors:
            if isinstance(each, (KeyboardInterrupt, SystemExit)):
                raise each  # not wrapped away: the program ends with it
        raise BaseExceptionGroup("errors in a scope", errors)
    if stopped is not None and error is None:
        raise stopped
    return quiet


async def scope_wait(scope self):
    """Wait for the last child; being asked to stop is passed on to them, and returned."""
    stopped = None
    while self.children and not self.machine.dead:  # dead: they will never end
        self.idle = op_local(self.machine)
        try:
            await self.idle
        except BaseException as caught:
            if stopped is None or isinstance(stopped, Cancelled):
                stopped = caught
            scope_cancel(self)
    return stopped
