/* The real kernel: io_uring by its three system calls, without a library in between.
 *
 * Knows: how a ring is asked for, mapped, entered and ended, and what Linux answers meanwhile.
 * Must not know: ops, who is waiting, Python. Which opcodes and behaviours there are is found out
 * in probe.c.
 *
 * The order of the file is the order of a ring's life: setup, enter, enroll. Its end is a subject
 * of its own: linux_close.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux.h"

/* With fewer SQEs than this a turn is split into many enters, and soft serves as well. */
#define ENTRIES_MIN 32

/* A closed ring counts against the user's memlock limit until the kernel has buried it, some 30 ms
 * later. So when memory is refused, wait for earlier rings before asking for less. */
#define BURIALS_MAX 3
#define BURIAL_MS 25

/* Where waiting did not help, it is not tried again for so long: a program that is refused for good
 * shall not nap each time it makes a machine. */
#define HOPELESS_NS 1000000000

static int64_t hopeless_until_ns; /* of all threads, and the one C global: a miss costs one nap */

/* How long the kernel's submitting thread spins before it sleeps. The kernel's own default is a
 * second; a machine that pauses for a tenth of one is idle, and should not burn a core. */
#define SQPOLL_IDLE_MS 100

/* How long the CQEs of a chain are waited for together: some steps go through a worker of the
 * kernel, which takes 20 to 50 µs. */
#define TOGETHER_US 200

/* Without these there is no machine; all came with Linux 5.11 at the latest. */
#define FEATURES_NEEDED                                                                            \
    (IORING_FEAT_SINGLE_MMAP       /* one mapping holds both queues' indices and the CQEs */       \
     | IORING_FEAT_NODROP          /* a full CQ keeps CQEs back instead of dropping them */        \
     | IORING_FEAT_SUBMIT_STABLE   /* what an SQE points to is read by enter, not later */         \
     | IORING_FEAT_RW_CUR_POS      /* offset -1 is the file's own position */                      \
     | IORING_FEAT_FAST_POLL       /* a socket that would block takes no kernel thread */          \
     | IORING_FEAT_EXT_ARG)        /* enter with a timeout: timers take no SQE */

static int setup_call(unsigned entries, struct io_uring_params *params) {
    int fd = (int)syscall(__NR_io_uring_setup, entries, params);
    return fd < 0 ? -errno : fd;
}

static int enter_call(const struct rm_ring *ring, unsigned submit, unsigned wait, unsigned flags,
                      const struct io_uring_getevents_arg *arg) {
    int taken = (int)syscall(__NR_io_uring_enter, ring->enter_fd, submit, wait,
                             flags | ring->enter_flags, arg, arg ? sizeof *arg : 0);
    return taken < 0 ? -errno : taken;
}

/* ── setup ── */

/* What to ask for, best first; a kernel that does not know a flag answers EINVAL, and the next
 * rung is tried. On every rung: CQSIZE (5.5), since a machine wants many more CQEs than SQEs;
 * CLAMP (5.6), since too large a wish should be cut, not refused. */
static const unsigned ladder[] = {
    /* 6.6. SINGLE_ISSUER: one thread submits, so the kernel needs no lock. DEFER_TASKRUN:
     * completions are made in our own enter, in one batch, and never interrupt us (5 to 25 % of an
     * echo). TASKRUN_FLAG: the SQ's flags tell when there are some. SUBMIT_ALL: one bad SQE does
     * not keep those behind it out of this enter. NO_SQARRAY: no table of indices between us and
     * the SQEs, which would only ever hold the identity. */
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG
        | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_NO_SQARRAY,
    /* 6.1: the array is there, and is filled once. */
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG
        | IORING_SETUP_SUBMIT_ALL,
    /* 6.0. COOP_TASKRUN: completions wait until the thread is in the kernel for any reason; at
     * least they send no interrupt. */
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG
        | IORING_SETUP_SUBMIT_ALL,
    /* 5.19 */
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    /* 5.18 */
    IORING_SETUP_SUBMIT_ALL,
    /* 5.11, below which FEATURES_NEEDED refuses */
    0,
};
#define RUNGS (sizeof ladder / sizeof *ladder)

/* A rung as this configuration may have it: without what is masked, and then without what makes
 * no sense alone (the kernel would answer EINVAL for the whole rung). */
static unsigned rung_flags(unsigned rung, const struct rm_config *config) {
    unsigned masked = config->masked_setup;
    if (config->masked & RM_DEFER_TASKRUN) masked |= IORING_SETUP_DEFER_TASKRUN;
    if (config->masked & RM_TASKRUN_FLAG) masked |= IORING_SETUP_TASKRUN_FLAG;
    unsigned flags = ladder[rung] & ~masked;
    if (!(flags & IORING_SETUP_SINGLE_ISSUER)) flags &= ~IORING_SETUP_DEFER_TASKRUN;
    if ((ladder[rung] & ~flags) & IORING_SETUP_DEFER_TASKRUN)
        flags |= IORING_SETUP_COOP_TASKRUN & ~masked;
    if (config->sqpoll) {
        /* The kernel's thread makes the completions: who is interrupted is no question. */
        flags &= ~(IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN);
        flags |= IORING_SETUP_SQPOLL;
    }
    if (!(flags & (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN)))
        flags &= ~IORING_SETUP_TASKRUN_FLAG;
    return flags | ((IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP) & ~masked);
}

static void nap(int ms) {
    struct timespec span = {.tv_nsec = ms * 1000000L};
    nanosleep(&span, NULL);
}

/* Climb down until the kernel agrees. The ring's fd (always close-on-exec), or -errno. */
static int climb(const struct rm_config *config, struct io_uring_params *params) {
    struct rm_config wish = *config;
    if (wish.cq_entries < wish.entries) wish.cq_entries = wish.entries; /* fewer is EINVAL */
    if (wish.masked_setup & IORING_SETUP_SQPOLL) wish.sqpoll = false;
    bool hopeless = rm_now_ns() < __atomic_load_n(&hopeless_until_ns, __ATOMIC_RELAXED);
    for (unsigned rung = 0, burials = hopeless ? BURIALS_MAX : 0;;) {
        memset(params, 0, sizeof *params);
        params->flags = rung_flags(rung, &wish);
        if (params->flags & IORING_SETUP_CQSIZE) params->cq_entries = wish.cq_entries;
        if (wish.sqpoll) params->sq_thread_idle = SQPOLL_IDLE_MS;
        int fd = setup_call(wish.entries, params);
        if (fd == -EINVAL && rung + 1 < RUNGS) {
            rung++;
        } else if (fd == -EPERM && wish.sqpoll) {
            wish.sqpoll = false; /* before 5.13 it needs a privilege; a ring does not */
        } else if (fd == -ENOMEM && burials < BURIALS_MAX) {
            burials++;
            nap(BURIAL_MS);
        } else if (fd == -ENOMEM && wish.entries / 2 >= ENTRIES_MIN) {
            /* A ring counts against RLIMIT_MEMLOCK before 5.12 and on newer kernels again (seen
             * on 6.18), of the user and not of the process: a smaller one may fit. */
            wish.entries /= 2;
            wish.cq_entries /= 2;
        } else {
            if (fd == -ENOMEM)
                __atomic_store_n(&hopeless_until_ns, rm_now_ns() + HOPELESS_NS, __ATOMIC_RELAXED);
            return fd;
        }
    }
}

/* The refusals that people meet, and what to do about each. `why` ends in a sentence. */
static void explain(struct rm_ring *ring, int error) {
    const char *text = "the call failed", *hint = "";
    char limit[96] = "";
    if (error == -EPERM) {
        text = "Operation not permitted";
        hint = " (seccomp profile, or kernel.io_uring_disabled)";
    } else if (error == -ENOSYS) {
        text = "Function not implemented";
        hint = " (Linux before 5.1 or built without io_uring, gVisor, or a seccomp profile)";
    } else if (error == -ENOMEM) {
        struct rlimit lock = {0, 0};
        getrlimit(RLIMIT_MEMLOCK, &lock);
        snprintf(limit, sizeof limit, " (no memory, or the memlock limit of %llu KiB is used up)",
                 (unsigned long long)lock.rlim_cur / 1024);
        text = "Cannot allocate memory";
        hint = limit;
    } else if (error == -EMFILE || error == -ENFILE) {
        text = "Too many open files";
    } else if (error == -EINVAL) {
        text = "Invalid argument";
        hint = " (this kernel knows none of the ways in which a ring was asked for)";
    } else {
        snprintf(limit, sizeof limit, " (errno %d)", -error);
        hint = limit;
    }
    snprintf(ring->why, sizeof ring->why, "io_uring_setup: %s%s", text, hint);
}

static void *map(int fd, size_t size, uint64_t offset) {
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);
}

/* Map the queues: one mapping for both heads and tails and the CQEs, one for the SQEs. */
static int map_rings(struct rm_ring *ring, const struct io_uring_params *params) {
    struct rm_linux_state *state = ring->state;
    bool array = !(params->flags & IORING_SETUP_NO_SQARRAY);
    size_t size = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    size_t array_end = params->sq_off.array + params->sq_entries * sizeof(unsigned);
    if (array && array_end > size) size = array_end;
    state->queues_size = size;
    state->sqes_size = params->sq_entries * sizeof(struct io_uring_sqe);

    char *queues = map(ring->fd, size, IORING_OFF_SQ_RING);
    if (queues == MAP_FAILED) return -errno;
    state->queues = queues;
    void *sqes = map(ring->fd, state->sqes_size, IORING_OFF_SQES);
    if (sqes == MAP_FAILED) return -errno;
    ring->sqes = sqes;

    ring->sq_khead = (unsigned *)(queues + params->sq_off.head);
    ring->sq_ktail = (unsigned *)(queues + params->sq_off.tail);
    ring->sq_kflags = (unsigned *)(queues + params->sq_off.flags);
    ring->cq_khead = (unsigned *)(queues + params->cq_off.head);
    ring->cq_ktail = (unsigned *)(queues + params->cq_off.tail);
    ring->cqes = (struct io_uring_cqe *)(queues + params->cq_off.cqes);
    state->cq_koverflow = (unsigned *)(queues + params->cq_off.overflow);
    unsigned *indices = (unsigned *)(queues + params->sq_off.array);
    for (unsigned i = 0; array && i < params->sq_entries; i++) indices[i] = i;
    /* A forked child that touches the parent's ring shall crash, not complete the parent's ops. */
    state->forkless = madvise(queues, size, MADV_DONTFORK) == 0
                      && madvise(sqes, state->sqes_size, MADV_DONTFORK) == 0;
    return 0;
}

/* Enter by an index of this thread instead of by fd: saves the kernel a look-up per enter (5.18).
 * There are 16 such places per thread; without one the fd serves. */
static void register_ring_fd(struct rm_ring *ring) {
    struct io_uring_rsrc_update update = {.offset = -1U, .data = (unsigned)ring->fd};
    if (rm_register(ring->fd, IORING_REGISTER_RING_FDS, &update, 1) != 1) return;
    ring->enter_fd = (int)update.offset;
    ring->enter_flags = IORING_ENTER_REGISTERED_RING;
    ring->behaviours |= RM_REGISTERED_RING;
}

/* `why` of a ring that was granted: what it is. */
static void praise(struct rm_ring *ring) {
    unsigned flags = ring->setup_flags;
    snprintf(ring->why, sizeof ring->why, "io_uring, %u SQEs, %u CQEs%s%s%s%s%s%s%s",
             ring->sq_entries, ring->cq_entries, flags & IORING_SETUP_SQPOLL ? ", SQPOLL" : "",
             flags & IORING_SETUP_SINGLE_ISSUER ? ", SINGLE_ISSUER" : "",
             flags & IORING_SETUP_DEFER_TASKRUN ? ", DEFER_TASKRUN" : "",
             flags & IORING_SETUP_COOP_TASKRUN ? ", COOP_TASKRUN" : "",
             flags & IORING_SETUP_TASKRUN_FLAG ? ", TASKRUN_FLAG" : "",
             flags & IORING_SETUP_NO_SQARRAY ? ", NO_SQARRAY" : "",
             ring->enter_flags ? ", registered" : "");
}

static int linux_setup(struct rm_ring *ring, const struct rm_config *config) {
    struct io_uring_params params;
    int fd = climb(config, &params);
    if (fd < 0) {
        explain(ring, fd);
        return fd;
    }
    struct rm_linux_state *state = calloc(1, sizeof *state);
    int error = 0;
    if (!state) {
        error = -ENOMEM;
        snprintf(ring->why, sizeof ring->why, "no memory for a ring");
    } else if ((params.features & FEATURES_NEEDED) != FEATURES_NEEDED) {
        error = -EOPNOTSUPP;
        snprintf(ring->why, sizeof ring->why,
                 "this kernel's io_uring is too old: it lacks the features %#x (Linux 5.11)",
                 FEATURES_NEEDED & ~params.features);
    }
    ring->fd = ring->enter_fd = fd;
    ring->state = state;
    if (!error && (error = map_rings(ring, &params)) < 0) {
        rm_linux_unmap(ring);
        snprintf(ring->why, sizeof ring->why, "mmap of the rings: errno %d", -error);
    }
    if (error) {
        free(state);
        ring->state = NULL;
        ring->fd = ring->enter_fd = -1;
        close(fd);
        return error;
    }
    state->owner = (pid_t)syscall(SYS_gettid);
    ring->sq_entries = params.sq_entries;
    ring->sq_mask = params.sq_entries - 1;
    ring->cq_entries = params.cq_entries;
    ring->cq_mask = params.cq_entries - 1;
    ring->setup_flags = params.flags;
    ring->features = params.features;
    if (params.flags & IORING_SETUP_DEFER_TASKRUN) ring->behaviours |= RM_DEFER_TASKRUN;
    /* With SQPOLL no completion ever waits for us: the flags tell all there is to tell. */
    if (params.flags & (IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SQPOLL))
        ring->behaviours |= RM_TASKRUN_FLAG;
    if (!(config->masked & RM_REGISTERED_RING)) register_ring_fd(ring);
    praise(ring);
    return 0;
}

/* ── hot path ── */

/* What io_uring_enter answers, and what to do about it. Nothing is hidden: each goes to the caller
 * as it is, and is documented here because here is where it comes from.
 *
 *   n >= 0       so many SQEs were taken. Fewer than asked: a request could not be made, or (before
 *                5.18) an SQE was bad. The rest stay in the SQ and go with the next enter.
 *   EINTR        a signal ended the wait; nothing was left to submit. Run Python's handlers, go on.
 *   ETIME        the wait's time was up; likewise.
 *   EBUSY        CQEs are kept back because the CQ is full (before 5.19). Nothing was taken: reap,
 *                enter again.
 *   EAGAIN, ENOMEM  no memory for a request. Nothing was taken: reap, let things finish, again.
 *   EBADR        the kernel had no memory to keep a CQE back and dropped it: an op's end is lost
 *                and somebody would wait for ever. Fatal for this ring: close it.
 *   EEXIST       entered by a thread that did not make this ring (SINGLE_ISSUER). A mistake.
 *   EBADF, ENXIO, EOPNOTSUPP  the fd (or index) is no ring: closed behind our back, or forked.
 *   EBADFD       the ring was made disabled; ours never is.
 *   EOWNERDEAD   SQPOLL: the kernel's thread has died. Fatal for this ring.
 *   EFAULT, EINVAL  a mistake in this file.
 */

/* The CQEs of a chain come one shortly after the other: one system call for all, unless some take
 * so long that others should not wait for them, too. */
static int enter_together(const struct rm_ring *ring, unsigned submit, unsigned flags,
                          int64_t timeout_ns) {
    struct __kernel_timespec span = {
        .tv_sec = timeout_ns / 1000000000,
        .tv_nsec = timeout_ns % 1000000000,
    };
    struct io_uring_getevents_arg arg = {
        .pad = TOGETHER_US, /* min_wait_usec, since 6.12 */
        .ts = timeout_ns < 0 ? 0 : (uint64_t)(uintptr_t)&span,
    };
    unsigned wait = ring->expected < ring->cq_entries ? ring->expected : ring->cq_entries;
    return enter_call(ring, submit, wait, flags | IORING_ENTER_EXT_ARG, &arg);
}

/* Wait (and submit before): one system call, with the time limit where there is one. */
static int enter_wait(const struct rm_ring *ring, unsigned submit, unsigned wait, unsigned flags,
                      int64_t timeout_ns) {
    flags |= IORING_ENTER_GETEVENTS;
    if (ring->expected > wait && ring->features & IORING_FEAT_MIN_TIMEOUT)
        return enter_together(ring, submit, flags, timeout_ns);
    if (timeout_ns < 0) return enter_call(ring, submit, wait, flags, NULL);
    struct __kernel_timespec span = {
        .tv_sec = timeout_ns / 1000000000,
        .tv_nsec = timeout_ns % 1000000000,
    };
    struct io_uring_getevents_arg arg = {.ts = (uint64_t)(uintptr_t)&span};
    return enter_call(ring, submit, wait, flags | IORING_ENTER_EXT_ARG, &arg);
}

/* A CQE that the kernel dropped can be seen only here: when something was submitted, enter answers
 * with that number instead of EBADR. */
static bool lost_cqes(struct rm_linux_state *state) {
    unsigned lost = rm_load(state->cq_koverflow);
    if (lost == state->lost) return false;
    state->lost = lost;
    return true;
}

/* Count the ends of ops among the CQEs that came since the last count. They are about to be reaped,
 * so it only touches what is touched anyway; those that were reaped already are still in place, as
 * long as the kernel has not gone once around the queue (before 6.1 it may do so while we read).
 * If it has, nothing is counted: more seems to be in flight than is; only close takes longer. */
void rm_linux_count(struct rm_ring *ring) {
    struct rm_linux_state *state = ring->state;
    unsigned first = state->counted, tail = rm_load(ring->cq_ktail), ended = 0;
    state->counted = tail;
    if (tail - first > ring->cq_entries) return;
    for (unsigned i = first; i != tail; i++)
        ended += !(ring->cqes[i & ring->cq_mask].flags & IORING_CQE_F_MORE);
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the reads above, then the look at the tail */
    if (rm_load(ring->cq_ktail) - first <= ring->cq_entries) state->ended += ended;
}

/* The kernel's own thread submits. It must be called only when it sleeps, when the SQ is full, or
 * when we want to sleep ourselves: otherwise SQPOLL would cost a core and save nothing. */
static int enter_sqpoll(struct rm_ring *ring, unsigned wait, int64_t timeout_ns) {
    struct rm_linux_state *state = ring->state;
    unsigned taken = ring->sq_tail - state->told;
    state->told = ring->sq_tail;
    /* The tail must be visible before we look whether the thread sleeps; it does the reverse. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    unsigned kflags = rm_load(ring->sq_kflags), flags = 0;
    if (kflags & IORING_SQ_NEED_WAKEUP && rm_load(ring->sq_khead) != ring->sq_tail)
        flags |= IORING_ENTER_SQ_WAKEUP;
    if (rm_cq_ready(ring) >= wait) wait = 0;
    int result = 0;
    /* A full SQ: after an enter there is room. The kernel's wait for that ends early, and without
     * a word, when some task work is to be done. */
    while (result >= 0 && rm_sq_room(ring) == 0)
        result = enter_call(ring, 0, 0, flags | IORING_ENTER_SQ_WAIT, NULL);
    if (result >= 0 && (wait || kflags & IORING_SQ_CQ_OVERFLOW))
        /* It is told of no SQEs: the number would hide how the wait ended. */
        result = enter_wait(ring, 0, wait, flags, timeout_ns);
    else if (result >= 0 && flags)
        result = enter_call(ring, 0, 0, flags, NULL);
    if (lost_cqes(state)) result = -EBADR;
    if (result < 0) ring->submitted += taken; /* announced all the same; rm_enter will not count */
    return result < 0 ? result : (int)taken;
}

static int linux_enter(struct rm_ring *ring, unsigned submit, unsigned wait, int64_t timeout_ns) {
    struct rm_linux_state *state = ring->state;
    if (timeout_ns == 0) wait = 0;
    if (wait > ring->cq_entries) wait = ring->cq_entries; /* the kernel waits for no more either */
    if (ring->setup_flags & IORING_SETUP_SQPOLL) return enter_sqpoll(ring, wait, timeout_ns);

    /* Nothing to give, enough to reap, and the kernel would say so if it held more: no call. */
    bool satisfied = rm_cq_ready(ring) >= wait;
    if (!submit && satisfied && !rm_needs_enter(ring)) return 0;

    int64_t began_ns = submit && timeout_ns > 0 ? rm_now_ns() : 0;
    /* GETEVENTS even when nothing is waited for: with DEFER_TASKRUN a submit alone would leave the
     * completions unmade, and CQEs that did not fit are put into the CQ only by it. */
    int taken = satisfied ? enter_call(ring, submit, 0, IORING_ENTER_GETEVENTS, NULL)
                          : enter_wait(ring, submit, wait, 0, timeout_ns);
    ring->expected = 0;
    if (taken > 0) state->taken += (unsigned)taken;
    rm_linux_count(ring);
    bool lost = lost_cqes(state);
    bool whole = taken > 0 && (unsigned)taken == submit;
    if (!lost && (satisfied || !whole || rm_cq_ready(ring) >= wait)) return taken;

    /* From here on a number of SQEs is not the answer, so rm_enter will not count them. */
    if (taken > 0) ring->submitted += (unsigned)taken;
    if (lost) return -EBADR;
    /* All was submitted and yet the wait is short: a signal or the time ended it, which the kernel
     * does not tell beside the number. Waiting again would keep Python's signal handlers from
     * running until something completes. */
    return timeout_ns > 0 && rm_now_ns() - began_ns >= timeout_ns ? -ETIME : -EINTR;
}

/* ── cold ── */

static int linux_enroll(struct rm_ring *ring, unsigned opcode, void *arg, unsigned n) {
    return rm_register(ring->fd, opcode, arg, n);
}

const struct rm_kernel rm_linux = {
    .name = "linux",
    .setup = linux_setup,
    .enter = linux_enter,
    .enroll = linux_enroll,
    .close = rm_linux_close,
    .forget = rm_linux_forget,
};
