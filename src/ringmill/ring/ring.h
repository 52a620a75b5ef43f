/* The ring: SQEs in, CQEs out. What a machine holds of a kernel, and the only seam to one.
 *
 * Knows: the two queues in memory and the five calls of `struct rm_kernel` behind which a kernel
 * stands (linux: the real io_uring; soft: epoll and worker threads; sim: soft, but it lies). Must
 * not know: Python, ops, who is waiting. Push and reap are inline; only `enter` goes through the
 * seam, once per turn, or a few times when much completes.
 *
 * All state hangs from `struct rm_ring`. There are no C globals here: this header is compiled into
 * several extension modules and a global would silently exist once in each.
 */
#ifndef RM_RING_H
#define RM_RING_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "uapi.h"

_Static_assert(sizeof(struct io_uring_sqe) == 64, "an SQE is one cache line");
_Static_assert(sizeof(struct io_uring_cqe) == 16, "a CQE is a quarter of one");

#define RM_OPCODES 64    /* opcodes 0..63: IORING_OP_PIPE (6.16) is 62 */
#define RM_WHY_SIZE 160  /* room for the sentence that tells why a kernel was (not) chosen */
#define RM_FOREVER (-1)  /* a timeout that never expires */

/* POLLIN in an SQE's poll32_events: big-endian machines have the two halves of it swapped. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define RM_READABLE ((uint32_t)POLLIN << 16)
#else
#define RM_READABLE POLLIN
#endif

/* Behaviours that an opcode bitmap cannot tell; found by trying them (probe.c). */
enum rm_behaviour {
    RM_ACCEPT_MULTISHOT = 1 << 0, /* 5.19 */
    RM_RECV_MULTISHOT = 1 << 1,   /* 6.0, needs RM_BUFFER_RINGS */
    RM_READ_MULTISHOT = 1 << 2,   /* 6.7, needs RM_BUFFER_RINGS */
    RM_POLL_MULTISHOT = 1 << 3,   /* 5.13 */
    RM_BUFFER_RINGS = 1 << 4,     /* 5.19: IORING_REGISTER_PBUF_RING */
    RM_CQE_SKIP = 1 << 5,         /* 5.17: IOSQE_CQE_SKIP_SUCCESS */
    RM_CANCEL_FD = 1 << 6,        /* 5.19: ASYNC_CANCEL by fd, ALL, ANY */
    RM_TASKRUN_FLAG = 1 << 7,     /* 5.19: pending task work is visible in the SQ flags */
    RM_DEFER_TASKRUN = 1 << 8,    /* 6.1: completions are made in our enter, never in between */
    RM_REGISTERED_RING = 1 << 9,  /* 5.18: enter by registered ring index */
    RM_SEND_ZC = 1 << 10,         /* 6.0 */
    RM_BUNDLE = 1 << 11,          /* 6.10 */
    RM_FIXED_BUFFERS = 1 << 12,   /* memlock permitting */
    RM_SEND_TO = 1 << 13,         /* 6.1: SEND takes an address */
    RM_SEND_WHOLE = 1 << 14,      /* not 6.18: a Unix datagram that had to wait is sent whole */
    RM_DIRECT_FILES = 1 << 15,    /* 5.17: a chain may use a file that its first op opens */
};
#define RM_BEHAVIOURS 16

/* What the program asks of a kernel at setup. */
struct rm_config {
    unsigned entries;      /* SQEs; a power of two */
    unsigned cq_entries;   /* CQEs; >= entries */
    unsigned workers_max;  /* soft: threads for calls that may block */
    bool sqpoll;           /* linux: a kernel thread submits; costs a core, so only on request */
    uint64_t masked_ops;   /* bit per opcode: pretend that the kernel lacks it */
    uint32_t masked;       /* enum rm_behaviour: the same for behaviours */
    uint32_t masked_setup; /* IORING_SETUP_*: flags the ladder must not try */
    struct rm_lies *lies;  /* sim: what to lie about; lives as long as the ring */
};

struct rm_ring;
struct rm_lies;

/* The seam. Every call returns 0 or more, or -errno; none touches Python or needs the GIL. */
struct rm_kernel {
    const char *name;
    /* Fill in `ring`. On failure nothing is left open. */
    int (*setup)(struct rm_ring *ring, const struct rm_config *config);
    /* Take `submit` SQEs (those up to ring->sq_tail), then wait until `wait` CQEs are there or
     * `timeout_ns` is over (0: do not wait, but make what is complete visible; RM_FOREVER).
     * Returns the number of SQEs taken; -ETIME when the time was up (everything was submitted);
     * -EINTR (a signal; everything was submitted); -EBUSY / -EAGAIN: reap first, then again. */
    int (*enter)(struct rm_ring *ring, unsigned submit, unsigned wait, int64_t timeout_ns);
    /* io_uring_register(2). The soft kernel knows (UN)REGISTER_PBUF_RING and
     * (UN)REGISTER_FILES, the latter of empty places. */
    int (*enroll)(struct rm_ring *ring, unsigned opcode, void *arg, unsigned n);
    /* End every op that is in flight and join every thread, *then* free. After this returns no
     * memory of the program is written any more. */
    void (*close)(struct rm_ring *ring);
    /* In a forked child: let go of what was inherited, without touching the parent's. */
    void (*forget)(struct rm_ring *ring);
};

struct rm_ring {
    /* submission queue: we write the tail, the kernel writes the head */
    struct io_uring_sqe *sqes;
    unsigned *sq_khead, *sq_ktail, *sq_kflags;
    unsigned sq_tail;   /* next free SQE; published to the kernel by rm_enter */
    unsigned sq_entries, sq_mask;
    /* completion queue: the kernel writes the tail, we write the head */
    struct io_uring_cqe *cqes;
    unsigned *cq_khead, *cq_ktail;
    unsigned cq_entries, cq_mask;
    /* who answers */
    const struct rm_kernel *kernel;
    void *state;           /* the kernel's own */
    int fd;                /* readable when a CQE is there; soft: its epoll fd */
    int enter_fd;          /* linux: fd or registered index for enter */
    unsigned enter_flags;  /* linux: IORING_ENTER_REGISTERED_RING when it is an index */
    unsigned setup_flags, features;
    unsigned expected;     /* CQEs of one chain, which the next wait may await together */
    const int64_t *clock_ns; /* of a kernel that has a clock of its own, or NULL: rm_clock() */
    uint64_t opcodes;      /* bit per opcode that this kernel executes */
    uint32_t behaviours;   /* enum rm_behaviour */
    char why[RM_WHY_SIZE]; /* why this kernel, or why not */
    uint64_t enters, submitted, reaped; /* exact counts, for stats() */
};

extern const struct rm_kernel rm_linux, rm_soft, rm_sim;

static inline unsigned rm_load(const unsigned *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void rm_store(unsigned *p, unsigned v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

static inline int64_t rm_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The `addr` of a socket command: two fields that Debian 12's header does not name. */
static inline uint64_t rm_option(uint32_t level, uint32_t name) {
    uint32_t both[2] = {level, name};
    uint64_t addr;
    memcpy(&addr, both, sizeof addr);
    return addr;
}

/* What time it is for everybody who waits for this ring. */
static inline int64_t rm_clock(const struct rm_ring *ring) {
    return ring->clock_ns ? *ring->clock_ns : rm_now_ns();
}

static inline bool rm_has_op(const struct rm_ring *ring, unsigned opcode) {
    return ring->opcodes >> opcode & 1;
}

/* ── hot path ── */

/* SQEs that are pushed and that the kernel has not taken yet. */
static inline unsigned rm_sq_pending(const struct rm_ring *ring) {
    return ring->sq_tail - rm_load(ring->sq_khead);
}

/* SQEs that fit before the next enter. */
static inline unsigned rm_sq_room(const struct rm_ring *ring) {
    return ring->sq_entries - rm_sq_pending(ring);
}

/* The next SQE, zeroed. The caller has made sure that there is room. */
static inline struct io_uring_sqe *rm_push(struct rm_ring *ring, uint8_t opcode, int fd,
                                           uint64_t user_data) {
    struct io_uring_sqe *sqe = &ring->sqes[ring->sq_tail++ & ring->sq_mask];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = opcode;
    sqe->fd = fd;
    sqe->user_data = user_data;
    return sqe;
}

/* CQEs that can be reaped without entering. */
static inline unsigned rm_cq_ready(const struct rm_ring *ring) {
    return rm_load(ring->cq_ktail) - *ring->cq_khead;
}

/* Copy up to `max` CQEs out and give their places back. The copy is what makes it safe to run
 * anything afterwards: a callback may push, enter and reap again without meeting a CQE twice. */
static inline unsigned rm_reap(struct rm_ring *ring, struct io_uring_cqe *out, unsigned max) {
    unsigned head = *ring->cq_khead;
    unsigned n = rm_load(ring->cq_ktail) - head;
    if (n > max) n = max;
    for (unsigned i = 0; i < n; i++) out[i] = ring->cqes[(head + i) & ring->cq_mask];
    rm_store(ring->cq_khead, head + n);
    ring->reaped += n;
    return n;
}

/* Something waits in the kernel that only an enter makes visible: deferred task work, or CQEs
 * that did not fit. Without RM_TASKRUN_FLAG the kernel cannot tell, and the answer is yes. */
static inline bool rm_needs_enter(const struct rm_ring *ring) {
    if (!(ring->behaviours & RM_TASKRUN_FLAG)) return true;
    return (__atomic_load_n(ring->sq_kflags, __ATOMIC_RELAXED)
            & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
           != 0;
}

/* Publish what was pushed and enter once. 0 or -errno as `struct rm_kernel.enter`. */
static inline int rm_enter(struct rm_ring *ring, unsigned wait, int64_t timeout_ns) {
    unsigned submit = rm_sq_pending(ring);
    rm_store(ring->sq_ktail, ring->sq_tail);
    ring->enters++;
    int taken = ring->kernel->enter(ring, submit, wait, timeout_ns);
    if (taken > 0) ring->submitted += taken;
    return taken < 0 ? taken : 0;
}

/* ── cold ── */

/* Try `kernel` and fill in what it can do; on failure ring->why says in a sentence why not. */
int rm_open(struct rm_ring *ring, const struct rm_kernel *kernel, const struct rm_config *config);
void rm_close(struct rm_ring *ring);
/* In a forked child, instead of closing. */
void rm_forget(struct rm_ring *ring);

#endif
