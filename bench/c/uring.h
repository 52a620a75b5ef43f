/* The smallest ring that is still a fast one: setup, mapping, push, enter, by raw system calls.
 *
 * Knows: <linux/io_uring.h> of Debian 12, and by number what that lacks. Must not know: ringmill.
 * A floor that shared ringmill's ring would sink together with it and nobody would notice.
 */
#ifndef BENCH_URING_H
#define BENCH_URING_H

#include <errno.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16) /* 6.6 */
#endif

struct ring {
    int fd;               /* to enter with: an index when enter_flags say so */
    int real_fd;          /* to register with */
    unsigned enter_flags; /* IORING_ENTER_REGISTERED_RING, if the kernel let us */
    unsigned setup_flags; /* what the kernel agreed to */
    unsigned sq_size, sq_mask, sq_tail, sq_submitted;
    unsigned cq_mask;
    unsigned *sq_khead, *sq_ktail, *cq_khead, *cq_ktail;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
};

/* From what is fastest to what every kernel with io_uring knows. */
static const unsigned setup_ladder[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY, /* 6.6 */
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,                           /* 6.1 */
    IORING_SETUP_COOP_TASKRUN,                                                         /* 5.19 */
    0,
};

static inline void ring_die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline int ring_setup(struct ring *ring, struct io_uring_params *params, unsigned entries,
                             unsigned cq_entries) {
    int fd = -1;
    for (size_t i = 0; i < sizeof setup_ladder / sizeof *setup_ladder && fd < 0; i++) {
        memset(params, 0, sizeof *params);
        params->flags = setup_ladder[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        params->cq_entries = cq_entries;
        fd = (int)syscall(__NR_io_uring_setup, entries, params);
        if (fd < 0 && errno != EINVAL) break; /* EPERM, ENOSYS, ENOMEM: no other flags would help */
    }
    if (fd < 0) ring_die("io_uring_setup");
    ring->setup_flags = params->flags;
    return fd;
}

/* Entering by index spares the kernel one look-up of the fd per enter (5.18). */
static inline void ring_register_itself(struct ring *ring) {
    struct io_uring_rsrc_update self = {.offset = -1U, .data = (uint64_t)ring->real_fd};
    if (syscall(__NR_io_uring_register, ring->real_fd, IORING_REGISTER_RING_FDS, &self, 1) == 1) {
        ring->fd = (int)self.offset;
        ring->enter_flags = IORING_ENTER_REGISTERED_RING;
    }
}

static inline void ring_open(struct ring *ring, unsigned entries, unsigned cq_entries) {
    struct io_uring_params p;
    memset(ring, 0, sizeof *ring);
    ring->fd = ring->real_fd = ring_setup(ring, &p, entries, cq_entries);
    if (!(p.features & IORING_FEAT_SINGLE_MMAP)) {
        errno = ENOSYS; /* before 5.4: nothing here would be worth measuring */
        ring_die("io_uring");
    }
    size_t sq_end = p.sq_off.array + p.sq_entries * sizeof(unsigned);
    size_t cq_end = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    size_t size = sq_end > cq_end ? sq_end : cq_end;
    char *rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->real_fd,
                       IORING_OFF_SQ_RING);
    ring->sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_POPULATE, ring->real_fd, IORING_OFF_SQES);
    if (rings == MAP_FAILED || ring->sqes == MAP_FAILED) ring_die("mmap of the ring");
    ring->sq_khead = (unsigned *)(rings + p.sq_off.head);
    ring->sq_ktail = (unsigned *)(rings + p.sq_off.tail);
    ring->cq_khead = (unsigned *)(rings + p.cq_off.head);
    ring->cq_ktail = (unsigned *)(rings + p.cq_off.tail);
    ring->cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
    ring->sq_size = p.sq_entries;
    ring->sq_mask = p.sq_entries - 1;
    ring->cq_mask = p.cq_entries - 1;
    if (!(p.flags & IORING_SETUP_NO_SQARRAY)) {
        unsigned *array = (unsigned *)(rings + p.sq_off.array);
        for (unsigned i = 0; i < p.sq_entries; i++) array[i] = i; /* slot i is SQE i, for ever */
    }
    ring_register_itself(ring);
}

/* Submit all that was pushed; wait for `wait` completions (0: do not wait). */
static inline void ring_enter(struct ring *ring, unsigned wait) {
    __atomic_store_n(ring->sq_ktail, ring->sq_tail, __ATOMIC_RELEASE);
    unsigned flags = ring->enter_flags | (wait ? IORING_ENTER_GETEVENTS : 0);
    int n = (int)syscall(__NR_io_uring_enter, ring->fd, ring->sq_tail - ring->sq_submitted, wait,
                         flags, NULL, 0);
    if (n >= 0)
        ring->sq_submitted += (unsigned)n;
    else if (errno != EINTR && errno != EAGAIN && errno != EBUSY)
        ring_die("io_uring_enter"); /* the others mean: reap, and come again */
}

/* The next free SQE, zeroed. A full queue is no error: it is submitted on the spot. */
static inline struct io_uring_sqe *ring_push(struct ring *ring) {
    while (ring->sq_tail - __atomic_load_n(ring->sq_khead, __ATOMIC_ACQUIRE) >= ring->sq_size)
        ring_enter(ring, 0);
    struct io_uring_sqe *sqe = &ring->sqes[ring->sq_tail++ & ring->sq_mask];
    memset(sqe, 0, sizeof *sqe);
    return sqe;
}

/* Completions [*head, tail) are ours to read until ring_reaped(). */
static inline unsigned ring_ready(struct ring *ring, unsigned *head) {
    *head = *ring->cq_khead;
    return __atomic_load_n(ring->cq_ktail, __ATOMIC_ACQUIRE);
}

static inline struct io_uring_cqe *ring_at(struct ring *ring, unsigned index) {
    return &ring->cqes[index & ring->cq_mask];
}

static inline void ring_reaped(struct ring *ring, unsigned head) {
    __atomic_store_n(ring->cq_khead, head, __ATOMIC_RELEASE);
}

/* For the record that the harness keeps beside the figures. */
static inline void ring_print_about(const struct ring *ring) {
    printf("{\"ring_flags\": \"0x%x\", \"registered_ring\": %s}\n", ring->setup_flags,
           ring->enter_flags ? "true" : "false");
    fflush(stdout);
}

#endif
