"""What the lying kernel is asked to do, and what it has done.

Holds the memory that ring/sim.c reads and writes. Knows numbers; what they are called for people,
and which of them make sense, is in testing/.
"""
cimport cython
from libc.stdlib cimport calloc, free

# As `enum rm_what`.
WHATS = (
    "reorder", "delay", "shorten", "late_cancel", "end_multishot", "overflow", "starve", "refuse",
    "fault", "jump", "told",
)
assert len(WHATS) == RM_WHATS
RATES = WHATS[:RM_RATES]
FAULTS_MAX = RM_FAULTS_MAX


@cython.final
cdef class Lies:
    """For one machine: `Machine(kernel=Lies(…))`.

    rates: one for each of RATES, 0 to 1. delay_ns: how late what is delayed may be. patience_ns:
    of real time, before the clock jumps. faults: (opcode, errno, rate), at most FAULTS_MAX.
    """

    def __cinit__(self, seed, rates, *, delay_ns, patience_ns, faults=()):
        self.lies = <rm_lies *>calloc(1, sizeof(rm_lies))
        if self.lies == NULL:
            raise MemoryError
        self.lies.seed = seed
        self.lies.delay_ns = delay_ns
        self.lies.patience_ns = patience_ns
        self.lies.clock_ns = RM_CLOCK_BEGIN_NS
        for i, rate in zip(range(RM_RATES), rates, strict=True):
            self.lies.rates[i] = rate
        if len(faults) > RM_FAULTS_MAX:
            raise ValueError(f"at most {RM_FAULTS_MAX} faults, not {len(faults)}")
        for opcode, error, rate in faults:
            self.lies.faults[self.lies.faults_count].opcode = opcode
            self.lies.faults[self.lies.faults_count].error = error
            self.lies.faults[self.lies.faults_count].rate = rate
            self.lies.faults_count += 1

    def __dealloc__(self):
        free(self.lies)

    @property
    def counts(self):
        """How often each of WHATS has happened."""
        return {what: self.lies.counts[i] for i, what in enumerate(WHATS)}

    @property
    def fingerprint(self):
        """One number for everything that has happened, in its order."""
        return self.lies.fingerprint

    @property
    def clock_ns(self):
        """The virtual time that has passed."""
        return self.lies.clock_ns - RM_CLOCK_BEGIN_NS

    def story(self):
        """The last RM_STORY_MAX events: (time in ns, what, opcode, slot, result)."""
        cdef uint64_t i
        cdef rm_event *event
        first = max(0, <int64_t>self.lies.events - RM_STORY_MAX)
        events = []
        for i in range(first, self.lies.events):
            event = &self.lies.story[i % RM_STORY_MAX]
            events.append((event.at_ns, WHATS[event.what], event.opcode, event.user_data,
                           event.result))
        return events
