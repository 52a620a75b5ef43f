"""The turn policy: how many may run before the machine looks at I/O again.

Too often costs a system call each time, too seldom lets ready I/O wait behind runnable fibers.
Knows numbers; does not know machines.
"""
from libc.stdint cimport int64_t

cdef enum:
    BOUND_MAX = 4096  # whatever a policy computes: a look at I/O costs 1 µs, nothing against these
    LEARN = 4         # weight of a new sample: one quarter


cdef class Balance:
    """Base of the policies `Fixed`, `Relative` and `Adaptive`."""

    cdef unsigned bound(self, size_t runnable) noexcept:
        """Switches until the next look, with `runnable` on the runqueue now."""
        return 1

    cdef unsigned pending_max(self, unsigned entries) noexcept:
        """SQEs that may wait for the next look; a full SQ is submitted anyway."""
        return entries


cdef class Fixed(Balance):
    """Look at I/O after every `n` switches (1 to 4096)."""
    cdef readonly unsigned n

    def __init__(self, n):
        if not 1 <= n <= BOUND_MAX:
            raise ValueError(f"a fixed bound is 1 to {BOUND_MAX} switches, not {n}")
        self.n = n

    cdef unsigned bound(self, size_t runnable) noexcept:
        return self.n

    def __repr__(self):
        return f"Fixed({self.n})"


cdef class Relative(Balance):
    """Look after max(least, alpha × runnable) switches, or when beta × SQ is pending.

    alpha: 0 to 1, a share of the runqueue; beta: 0 to 1, a share of the submission queue.
    """
    cdef readonly double alpha, beta
    cdef readonly unsigned least

    def __init__(self, alpha=0.5, beta=0.5, *, least=16):
        if not 0 <= alpha <= 1 or not 0 < beta <= 1:
            raise ValueError("alpha and beta are shares, 0 to 1")
        if not 1 <= least <= BOUND_MAX:
            raise ValueError(f"least is 1 to {BOUND_MAX} switches, not {least}")
        self.alpha = alpha
        self.beta = beta
        self.least = least

    cdef unsigned bound(self, size_t runnable) noexcept:
        cdef size_t bound = <size_t>(self.alpha * runnable)
        if bound > BOUND_MAX:
            bound = BOUND_MAX
        return self.least if bound < self.least else <unsigned>bound

    cdef unsigned pending_max(self, unsigned entries) noexcept:
        return <unsigned>(self.beta * entries)

    def __repr__(self):
        return f"Relative({self.alpha}, {self.beta}, least={self.least})"


cdef class Adaptive(Balance):
    """Look about every `target_s` seconds, whatever a switch costs (1 µs to 1 s).

    The cost of a switch is measured every 64 switches, or more often when they are slow.
    """

    def __init__(self, target_s=0.0005):
        if not 1e-6 <= target_s <= 1:
            raise ValueError(f"target_s is 1e-6 to 1 second, not {target_s}")
        self.target_s = target_s
        self.target_ns = <int64_t>(target_s * 1e9)
        self.cost_ns = 1000  # a guess for the first turn

    cdef unsigned bound(self, size_t runnable) noexcept:
        cdef double bound = self.target_ns / self.cost_ns
        if bound >= BOUND_MAX:
            return BOUND_MAX
        return 1 if bound < 1 else <unsigned>bound

    cdef void learn(self, unsigned switches, int64_t spent_ns) noexcept:
        cdef double cost = <double>spent_ns / switches
        # Slower at once, faster bit by bit: a bound that is too long hurts, a short one costs.
        if cost > self.cost_ns:
            self.cost_ns = cost
        else:
            self.cost_ns += (cost - self.cost_ns) / LEARN
        if self.cost_ns < 1:
            self.cost_ns = 1

    def __repr__(self):
        return f"Adaptive(target_s={self.target_s})"
