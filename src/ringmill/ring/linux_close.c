/* The end of a real ring: after it, no memory of the program is written any more.
 *
 * Where most runtimes lie. close(2) on a ring returns at once; the kernel ends what is in flight
 * afterwards, from a worker, and until then goes on writing into the program's buffers. What one
 * would see: malloc's "corrupted size vs. prev_size", far away from here. So we count what is in
 * flight, cancel it and see its end (some microseconds); or, where the count is not certain, we
 * wait for the ring's death, which takes the kernel some 30 ms.
 *
 * Not done: to ask the ring itself, by a NOP that drains. It runs in a thread of the kernel that
 * then stays for seconds, and not at all beside CQE_SKIP.
 *
 * Knows: the ring and its kernel. Must not know: which ops were in flight, or who still wants
 * their results; whoever does reaps them first.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "linux.h"

/* How long to wait for the CQEs of what was cancelled. After that the ring's death is as near. */
#define QUIET_WAIT_NS 20000000

/* How long close waits for ops that the kernel can neither cancel nor finish (a disk that does
 * not answer), or for a child that still holds the ring's fd and never forgot it. */
#define CLOSE_WAIT_MS 10000

void rm_linux_unmap(struct rm_ring *ring) {
    struct rm_linux_state *state = ring->state;
    if (ring->sqes) munmap(ring->sqes, state->sqes_size);
    if (state->queues) munmap(state->queues, state->queues_size);
}

/* Cancel what can be cancelled, now and not when the ring dies: it does not die as long as a child
 * holds its fd. 6.0; before, and for what begins to wait a moment later, dying has to do. */
static void cancel_all(struct rm_ring *ring) {
    struct io_uring_sync_cancel_reg all = {
        .fd = -1,
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
    };
    rm_register(ring->fd, IORING_REGISTER_SYNC_CANCEL, &all, 1);
}

static bool quiet(const struct rm_ring *ring) {
    const struct rm_linux_state *state = ring->state;
    return state->taken == state->ended;
}

/* End what is in flight and see it end. False: something may still be. */
static bool make_quiet(struct rm_ring *ring, bool ours) {
    if (ring->setup_flags & IORING_SETUP_SQPOLL) return false; /* another thread takes SQEs */
    rm_linux_count(ring);
    if (quiet(ring)) return true;
    cancel_all(ring);
    if (!ours) return false;
    ring->sq_tail = rm_load(ring->sq_khead); /* what was pushed and not taken shall not begin */
    int64_t deadline_ns = rm_now_ns() + QUIET_WAIT_NS, left_ns;
    while (!quiet(ring) && (left_ns = deadline_ns - rm_now_ns()) > 0) {
        rm_store(ring->cq_khead, rm_load(ring->cq_ktail)); /* nobody wants these any more */
        int error = rm_enter(ring, 1, left_ns);
        if (error && error != -EINTR && error != -ETIME && error != -EBUSY) return false;
    }
    return quiet(ring);
}

/* The pipe that tells when a ring is dead. A ring lets go of its registered files after its last
 * request has ended; so we give it the only writing end, and the reading end hangs up then.
 * Returns the reading end, or -1. */
static int arm_witness(struct rm_ring *ring) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    int error = rm_register(ring->fd, IORING_REGISTER_FILES, &ends[1], 1);
    if (error == -EBUSY) { /* the program has a table of its own */
        rm_register(ring->fd, IORING_UNREGISTER_FILES, NULL, 0);
        error = rm_register(ring->fd, IORING_REGISTER_FILES, &ends[1], 1);
    }
    close(ends[1]);
    if (error >= 0) return ends[0];
    close(ends[0]);
    return -1;
}

static void await_witness(int fd) {
    int64_t deadline_ns = rm_now_ns() + (int64_t)CLOSE_WAIT_MS * 1000000, left_ns;
    struct pollfd witness = {.fd = fd, .events = 0};
    while ((left_ns = deadline_ns - rm_now_ns()) > 0)
        if (poll(&witness, 1, (int)(left_ns / 1000000) + 1) > 0) break;
    close(fd);
}

void rm_linux_close(struct rm_ring *ring) {
    struct rm_linux_state *state = ring->state;
    bool ours = (pid_t)syscall(SYS_gettid) == state->owner;
    int witness = make_quiet(ring, ours) ? -1 : arm_witness(ring);
    /* The index holds the ring open. It is valid in the owner only; elsewhere the same number may
     * be another ring, and the place is given back when the owner ends. */
    if (ring->enter_flags && ours) {
        struct io_uring_rsrc_update update = {.offset = (unsigned)ring->enter_fd};
        rm_register(ring->fd, IORING_UNREGISTER_RING_FDS, &update, 1);
    }
    rm_linux_unmap(ring);
    close(ring->fd);
    if (witness >= 0) await_witness(witness);
    free(state);
}

/* In a forked child the mappings are not there any more (and something else may be in their
 * place), the index belongs to the parent's thread, and the fd is one reference of several. */
void rm_linux_forget(struct rm_ring *ring) {
    struct rm_linux_state *state = ring->state;
    if (!state->forkless) rm_linux_unmap(ring);
    close(ring->fd);
    free(state);
}
