"""The policy at work: counts switches, looks at the clock now and then, says when I/O is due.

Knows a policy's numbers and the clock; does not know machines.
"""
cimport cython
from libc.stdint cimport int64_t

from ringmill.core.balance cimport Adaptive, Balance
from ringmill.core.ring cimport rm_now_ns

cdef enum:
    SAMPLE = 64  # switches between two looks at the clock


@cython.final
cdef class Pace:
    pass


cdef Pace pace_new(Balance balance):
    cdef Pace pace = Pace.__new__(Pace)
    pace.balance = balance
    pace.adaptive = <Adaptive>balance if isinstance(balance, Adaptive) else None
    return pace


cdef bint pace_reached(Pace self) noexcept:
    """`check_at` switches are done: is a look at I/O due?"""
    cdef int64_t now
    if self.adaptive is None or self.switches >= self.bound:
        return True
    now = rm_now_ns()
    self.adaptive.learn(self.switches - self.sampled_at, now - self.sampled_ns)
    self.sampled_ns = now
    self.sampled_at = self.switches
    self.bound = self.adaptive.bound(0)
    if self.switches >= self.bound or now - self.looked_ns >= self.adaptive.target_ns:
        return True
    self.check_at = min(self.bound, self.switches + SAMPLE)
    return False


cdef void pace_slept(Pace self) noexcept:
    """The machine waits: that time is no switch's cost."""
    self.sampled_at = self.switches


cdef void pace_looked(Pace self, size_t runnable, int64_t now) noexcept:
    """I/O was looked at, at `now` (0 when the policy needs no clock)."""
    if self.switches > self.switches_max:
        self.switches_max = self.switches
    self.switched += self.switches
    if self.adaptive is not None and self.switches > self.sampled_at:
        self.adaptive.learn(self.switches - self.sampled_at, now - self.sampled_ns)
    self.looked_ns = self.sampled_ns = now
    self.switches = self.sampled_at = 0
    self.bound = self.balance.bound(runnable)
    self.check_at = self.bound
    if self.adaptive is not None and self.check_at > SAMPLE:
        self.check_at = SAMPLE
