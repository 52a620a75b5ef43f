/* The lying kernel without Python: pipes, timers and cancels by many seeds; closed half-way. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lies.h"
#include "linux_check.h"

#define SEEDS 200
#define STEPS 300
#define OPS 32
#define DEVICES 4

struct world {
    struct rm_ring ring;
    struct rm_lies *lies;
    unsigned alive[OPS]; /* ops with this user_data that have not ended */
    int pipes[DEVICES][2];
    char buffers[OPS][64];
    struct __kernel_timespec spans[OPS];
    uint64_t dice;
};

static unsigned roll(struct world *w, unsigned sides) {
    w->dice = w->dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(w->dice >> 33) % sides;
}

static void begin(struct world *w, uint64_t seed) {
    memset(w, 0, sizeof *w);
    w->dice = seed;
    w->lies = calloc(1, sizeof *w->lies);
    w->lies->seed = seed;
    w->lies->delay_ns = 50000000;
    for (int i = 0; i < RM_RATES; i++) w->lies->rates[i] = seed % 3 ? 0.2 : 0.9;
    struct rm_config config = {.entries = 16, .cq_entries = 32, .lies = w->lies};
    CHECK_EQUAL(rm_open(&w->ring, &rm_sim, &config), 0);
    for (int i = 0; i < DEVICES; i++) CHECK_EQUAL(pipe2(w->pipes[i], O_CLOEXEC), 0);
}

static void reap(struct world *w) {
    struct io_uring_cqe cqes[8];
    unsigned n = rm_reap(&w->ring, cqes, 8);
    for (unsigned i = 0; i < n; i++) {
        if (cqes[i].user_data >= OPS) continue; /* the answer to a cancel */
        CHECK(w->alive[cqes[i].user_data] == 1);
        w->alive[cqes[i].user_data] = 0;
    }
}

static void push(struct world *w, unsigned id) {
    struct io_uring_sqe *sqe;
    int *ends = w->pipes[roll(w, DEVICES)];
    if (rm_sq_room(&w->ring) == 0) rm_enter(&w->ring, 0, 0), reap(w);
    if (rm_sq_room(&w->ring) == 0) return;
    if (w->alive[id]) {
        sqe = rm_push(&w->ring, IORING_OP_ASYNC_CANCEL, -1, OPS + id);
        sqe->addr = id;
        return;
    }
    w->alive[id] = 1;
    switch (roll(w, 4)) {
    case 0:
        sqe = rm_push(&w->ring, IORING_OP_TIMEOUT, -1, id);
        w->spans[id] = (struct __kernel_timespec){roll(w, 3000), 0};
        sqe->addr = (uintptr_t)&w->spans[id];
        sqe->len = 1;
        return;
    case 1: rm_push(&w->ring, IORING_OP_NOP, -1, id); return;
    default: break;
    }
    bool reads = roll(w, 2);
    sqe = rm_push(&w->ring, reads ? IORING_OP_READ : IORING_OP_WRITE, ends[!reads], id);
    sqe->addr = (uintptr_t)w->buffers[id];
    sqe->len = 1 + roll(w, 64);
    sqe->off = UINT64_MAX;
}

static uint64_t story(uint64_t seed) {
    struct world *w = malloc(sizeof *w);
    begin(w, seed);
    for (int step = 0; step < STEPS; step++) {
        push(w, roll(w, OPS));
        if (roll(w, 4) == 0) {
            /* With a time limit: virtual seconds, or somebody else's deadline, pass at once. */
            rm_enter(&w->ring, roll(w, 2), (int64_t)roll(w, 2000) * 1000000 + 1);
            reap(w);
        }
    }
    rm_close(&w->ring);
    for (int i = 0; i < DEVICES; i++) close(w->pipes[i][0]), close(w->pipes[i][1]);
    uint64_t print = w->lies->fingerprint;
    CHECK(w->lies->events > 100);
    for (int i = 0; i < RM_RATES; i++)
        if (i != RM_STARVE && i != RM_END_MULTI && i != RM_SHORTEN) CHECK(w->lies->counts[i] > 0);
    free(w->lies);
    free(w);
    return print;
}

int main(void) {
    struct rm_ring ring;
    struct rm_config honest = {.entries = 8, .cq_entries = 16};
    CHECK_EQUAL(rm_open(&ring, &rm_sim, &honest), -EINVAL); /* nothing to lie about */
    for (uint64_t seed = 1; seed <= SEEDS; seed++) CHECK_EQUAL(story(seed), story(seed));
    CHECK(story(1) != story(2));
    return 0;
}
