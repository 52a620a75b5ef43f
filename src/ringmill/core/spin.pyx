"""Waiting awake for a moment: where completions come quickly, a sleep costs more than it saves.

Adaptive: spins go on while they find something, and rest when they do not, or when others want
the processor. Knows a ring's queues; does not know machines.
"""
from libc.stdint cimport int64_t

from ringmill.core.ring cimport (
    RM_TASKRUN_FLAG, rm_cq_ready, rm_enter, rm_needs_enter, rm_now_ns, rm_ring, rm_sq_pending,
)

cdef extern from "sys/resource.h" nogil:
    struct rusage:
        long ru_nivcsw
    int getrusage(int who, rusage *out)
    int RUSAGE_THREAD

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(__i386__)
    #define rm_pause() __builtin_ia32_pause()
    #else
    #define rm_pause() ((void)0)
    #endif
    """
    void rm_pause() noexcept nogil

cdef enum:
    SPIN_NS = 50_000   # longer waits are slept: a sleep and a wake-up cost about this much
    LOOKS = 20         # at the queues, between two looks at the clock
    SCORE_MAX = 8      # misses in a row that a habit survives
    MISS_REST = 64     # waits slept after that, before one more try
    BUSY_CHECK = 64    # spins between two looks at whether others want the processor
    BUSY_SHARE = 8     # preempted in more than one of so many: they do
    BUSY_REST = 4096   # waits slept then


cdef int spin_or_sleep(rm_spin *spin, rm_ring *ring, int64_t timeout_ns) noexcept nogil:
    """Submit and wait for a CQE or the timeout; the answer of the (last) enter."""
    cdef int res
    if spin.wanted and ring.behaviours & RM_TASKRUN_FLAG and not ring.expected:
        if spin.score < 0:
            spin.score += 1
        else:
            if rm_sq_pending(ring):
                res = rm_enter(ring, 0, 0)
                if res < 0:
                    return res
            if spin_awhile(spin, ring, timeout_ns):
                return rm_enter(ring, 0, 0) if rm_needs_enter(ring) else 0
    return rm_enter(ring, 1, timeout_ns)


cdef bint spin_awhile(rm_spin *spin, rm_ring *ring, int64_t timeout_ns) noexcept nogil:
    """Look at the queues for up to SPIN_NS. Without a system call: the kernel sets a flag."""
    cdef int64_t end
    cdef int _look
    if rm_cq_ready(ring):
        return True  # complete with its submission: that was no wait
    end = rm_now_ns() + (SPIN_NS if timeout_ns < 0 or timeout_ns > SPIN_NS else timeout_ns)
    spin.spins += 1
    if spin.spins % BUSY_CHECK == 0 and others_want_the_processor(spin):
        spin.score = -BUSY_REST
        return False
    while True:
        for _look in range(LOOKS):
            if rm_cq_ready(ring) or rm_needs_enter(ring):
                spin.won += 1
                if spin.score < SCORE_MAX:
                    spin.score += 1
                return True
            rm_pause()
        if rm_now_ns() >= end:
            break
    spin.score = spin.score - 2 if spin.score > 1 else -MISS_REST
    return False


cdef bint others_want_the_processor(rm_spin *spin) noexcept nogil:
    """Were we made to give up the processor, much more often than now and then?"""
    cdef rusage usage
    cdef long before = spin.preempted
    if getrusage(RUSAGE_THREAD, &usage) != 0:
        return False
    spin.preempted = usage.ru_nivcsw
    return usage.ru_nivcsw - before > BUSY_CHECK // BUSY_SHARE
