/* The soft kernel with many of everything, and with a random program of everything at once. */
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include "blocked.h"
#include "twin_check.h"

static unsigned fds_allowed(unsigned wish) {
    struct rlimit limit;
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur < wish + 64 ? (unsigned)limit.rlim_cur - 64 : wish;
}

static void push_when_room(struct rm_ring *ring) {
    if (rm_sq_room(ring) == 0) submit(ring);
}

static void ten_thousand_fds_wait(struct rm_ring *ring) {
    unsigned n = fds_allowed(10000) / 2;
    int (*pairs)[2] = calloc(n, sizeof *pairs);
    char *buffers = calloc(n, 1);
    for (unsigned i = 0; i < n; i++) {
        check_pair(pairs[i]);
        push_when_room(ring);
        check_push_recv(ring, pairs[i][0], &buffers[i], 1, i);
    }
    submit(ring);
    for (unsigned i = 0; i < n; i++) {
        char byte = (char)(i * 7);
        CHECK_EQUAL(write(pairs[i][1], &byte, 1), 1);
    }
    for (unsigned i = 0; i < n; i++) {
        struct check_cqe cqe = check_next(ring);
        CHECK_EQUAL(cqe.res, 1);
        CHECK_EQUAL(buffers[cqe.user_data], (char)(cqe.user_data * 7));
        buffers[cqe.user_data]++; /* a second one for the same would be found */
    }
    for (unsigned i = 0; i < n; i++) close(pairs[i][0]), close(pairs[i][1]);
    free(pairs), free(buffers);
}

/* Found by user_data and taken out of one fd's list: neither may look at all the others. */
static void a_hundred_thousand_in_flight_are_cancelled(struct rm_ring *ring) {
    const unsigned n = 100000;
    static char buffer[8];
    int pair[2];
    unsigned cancelled = 0;
    check_pair(pair);
    for (unsigned i = 0; i < n; i++) {
        push_when_room(ring);
        check_push_recv(ring, pair[0], buffer, 8, i);
    }
    submit(ring);
    for (unsigned i = 0; i < n; i++) {
        push_when_room(ring);
        push_cancel(ring, i * 7919 % n, n + i);
        if (rm_cq_ready(ring) < ring->cq_entries / 2) continue;
        while (rm_cq_ready(ring)) cancelled += check_next(ring).res == -ECANCELED;
    }
    submit(ring);
    while (rm_cq_ready(ring)) {
        cancelled += check_next(ring).res == -ECANCELED;
        if (rm_cq_ready(ring) == 0) submit(ring);
    }
    CHECK_EQUAL(cancelled, n);
    close(pair[0]), close(pair[1]);
}

/* ── a random program ── */

#define SLOTS 64
#define PAIRS 8
#define STEPS 20000

static struct {
    struct rm_ring *ring;
    int pairs[PAIRS][2], file;
    bool busy[SLOTS + 1]; /* an op per slot, its user_data; the last is for cancel_all */
    unsigned in_flight; /* ops, each of which owes exactly one last CQE */
    char buffers[SLOTS][16];
    uint32_t seed;
} world;

static unsigned roll(unsigned n) {
    world.seed = world.seed * 1664525 + 1013904223;
    return (world.seed >> 8) % n;
}

static void reap(void) {
    while (rm_cq_ready(world.ring)) {
        struct check_cqe cqe = check_next(world.ring);
        if (cqe.flags & IORING_CQE_F_MORE) continue;
        CHECK(world.busy[cqe.user_data]);
        CHECK(cqe.res != -EAGAIN && cqe.res != -EINTR && cqe.res != -EINVAL);
        world.busy[cqe.user_data] = false;
        world.in_flight--;
    }
}

static void random_op(unsigned slot, uint8_t flags) {
    static const struct __kernel_timespec span = {0, 500000};
    struct rm_ring *ring = world.ring;
    int fd = world.pairs[roll(PAIRS)][roll(2)];
    char *buffer = world.buffers[slot];
    struct io_uring_sqe *sqe;
    switch (roll(8)) {
    case 0: sqe = check_push_recv(ring, fd, buffer, 16, slot); break;
    case 1: sqe = push_buffer(ring, IORING_OP_SEND, fd, buffer, 16, slot); break;
    case 2: sqe = push_time(ring, IORING_OP_TIMEOUT, &span, slot); break;
    case 3:
        sqe = rm_push(ring, IORING_OP_POLL_ADD, fd, slot);
        sqe->poll32_events = POLLIN;
        sqe->len = roll(2);
        break;
    case 4: sqe = push_cancel(ring, roll(SLOTS), slot); break;
    case 5: sqe = rm_push(ring, IORING_OP_FSYNC, world.file, slot); break;
    case 6:
        push_blocked(ring, slot);
        sqe = &ring->sqes[(ring->sq_tail - 1) & ring->sq_mask];
        break;
    default: sqe = rm_push(ring, IORING_OP_NOP, -1, slot);
    }
    sqe->flags |= flags;
    world.busy[slot] = true;
    world.in_flight++;
}

static void cancel_all(void) {
    while (world.in_flight) {
        struct io_uring_sqe *sqe = rm_push(world.ring, IORING_OP_ASYNC_CANCEL, -1, SLOTS);
        sqe->cancel_flags = IORING_ASYNC_CANCEL_ANY;
        world.busy[SLOTS] = true;
        world.in_flight++;
        CHECK_EQUAL(rm_enter(world.ring, 1, ENOUGH_NS), 0); /* successors of hardlinks come later */
        reap();
    }
}

/* Every op ends exactly once, whatever else goes on. The close finds nothing left. */
static void a_random_program_owes_nothing(struct rm_ring *ring) {
    world.ring = ring;
    world.seed = 12345;
    world.file = open("random", O_CREAT | O_RDWR, 0600);
    for (int i = 0; i < PAIRS; i++) check_pair(world.pairs[i]);
    for (int step = 0; step < STEPS; step++) {
        unsigned slot = roll(SLOTS), tries = 0;
        while (world.busy[slot] && tries++ < SLOTS) slot = (slot + 1) % SLOTS;
        static const uint8_t flags[] = {0, 0, 0, IOSQE_IO_LINK, IOSQE_IO_HARDLINK};
        if (!world.busy[slot] && rm_sq_room(ring)) random_op(slot, flags[roll(5)]);
        if (roll(4) == 0) submit(ring);
        if (roll(4) == 0) reap();
        if (roll(200) == 0) {
            submit(ring);
            cancel_all();
        }
    }
    submit(ring);
    reap();
    cancel_all();
    expect_nothing(ring);
    for (int i = 0; i < PAIRS; i++) close(world.pairs[i][0]), close(world.pairs[i][1]);
    close(world.file);
}

static const struct twin_case cases[] = {
    SOFT(ten_thousand_fds_wait),
    SOFT(a_hundred_thousand_in_flight_are_cancelled),
    SOFT(a_random_program_owes_nothing),
};

TWIN_MAIN(cases)
