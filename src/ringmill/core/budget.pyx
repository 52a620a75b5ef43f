"""Budgets: how many bytes a machine, a scope or a handle may have, and the line of who must wait.

A claim is charged to each budget from the innermost to the machine's; where one is spent, it
stands there in line, first come first served, and keeps what it was charged on its way. All go in
the same direction, so two claims never wait for each other. Whoever asks to be told instead gets
WouldExceedBudget.

Knows bytes and ops that wait; does not know the memory.
"""
cimport cython

from ringmill.core.driver cimport Handler
from ringmill.core.op cimport Op, op_complete_value

import collections

from ringmill.errors import WouldExceedBudget


@cython.no_gc_clear  # what ends late gives back, still
cdef class Claim(Handler):
    cdef int granted(self) except -1:
        """All that was asked for is charged."""
        return 0

    cdef void cancelled(self, object op) noexcept:
        """Whoever waited does not any more."""
        self.op = NULL
        cdef Budget stage = self.stage
        if stage is not None and self in stage.line:
            stage.line.remove(self)
            self.stage = None
            uncharge_to(self, stage)
            feed(stage)  # it may have stood before others that fit


@cython.no_gc_clear
cdef class Budget:
    cdef bint charge(self, Claim claim) noexcept:
        """Take the claim's bytes, if they are there."""
        if claim.size > self.limit - self.used:
            return False
        self.used += claim.size
        if self.used > self.high_water:
            self.high_water = self.used
        return True

    cdef void uncharge(self, Claim claim) noexcept:
        self.used -= claim.size


cdef Budget budget_new(str name, size_t limit, Budget parent, bint waits):
    cdef Budget budget = Budget.__new__(Budget)
    budget_init(budget, name, limit, waits)
    budget.parent = parent
    return budget


cdef int budget_init(Budget budget, str name, size_t limit, bint waits) except -1:
    budget.name = name
    budget.limit = limit
    budget.waits = waits
    budget.line = collections.deque()
    return 0


cdef bint claim_bytes(Claim claim, Budget budget, size_t size, bint patient) except -1:
    """Charge `size` bytes to `budget` and those around it. True: granted; False: in line."""
    cdef Budget each
    claim.size = size
    claim.patient = patient
    claim.first = claim.stage = each = budget
    while each is not None:
        if size > each.limit:
            claim.first = None
            raise WouldExceedBudget(
                f"{each.name}: {size} bytes were asked for, of {each.limit} that there are at all")
        each = each.parent
    return go_on(claim)


cdef bint go_on(Claim claim) except -1:
    """From where it stands to the machine's budget. False: it stands in line now."""
    cdef Budget stage = claim.stage
    while stage is not None:
        if stage.line or not stage.charge(claim):
            claim.stage = stage
            try:
                if not claim.patient:
                    raise WouldExceedBudget(
                        f"{stage.name}: {claim.size} bytes were asked for; {stage.used} of "
                        f"{stage.limit} are out")
                stage.line.append(claim)
            except BaseException:
                claim.stage = None
                uncharge_to(claim, stage)
                raise
            return False
        stage = stage.parent
    claim.stage = None
    return True


cdef void give_back(Claim claim) noexcept:
    """The bytes of a claim that was granted are free again; whoever stands in line goes on."""
    if claim.first is not None:
        uncharge_to(claim, None)


cdef void uncharge_to(Claim claim, Budget end) noexcept:
    """Give back what was charged from its first budget up to `end`, and let others go on."""
    cdef Budget first = claim.first
    cdef Budget each = first
    claim.first = None
    while each is not end:
        each.uncharge(claim)
        each = each.parent
    each = first
    while each is not end:
        feed(each)
        each = each.parent


cdef void feed(Budget self) noexcept:
    """Let those in line go on, in their order, as far as there is room."""
    cdef Claim claim
    cdef Op op
    while self.line:
        claim = <Claim>self.line[0]
        if not self.charge(claim):
            return
        self.line.popleft()
        claim.stage = self.parent
        try:
            if go_on(claim):
                claim.granted()
        except BaseException as error:  # out of memory: whoever waits is told
            give_back(claim)
            if claim.op != NULL:
                op = <Op>claim.op
                claim.op = NULL
                op.handler = None
                op_complete_value(op, None, error)


cdef bint waits_of(object on_full, bint otherwise) except -1:
    """on_full, in words, as a bool; None is what the machine was told."""
    if on_full is None:
        return otherwise
    if on_full == "wait":
        return True
    if on_full == "raise":
        return False
    raise ValueError(f'on_full is "wait" or "raise", not {on_full!r}')
