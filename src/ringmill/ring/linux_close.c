/* The end of a real ring: after it, no memory of the program is written any more.
 *
 * Where most runtimes lie. close(2) on a ring returns at once; the kernel ends what is in flight
 * afterwards, from a worker, and until then goes on writing into the program's buffers. What one
 * would see: malloc's "corrupted size vs. prev_size", far away from here. So a ring is closed in
 * two steps: make it quiet while it is ours (some microseconds); or, where that cannot be known,
 * close it and wait for its death (some 30 ms).
 *
 * Knows: the ring and its kernel. Must not know: which ops were in flight, or who still wants
 * their results; whoever does reaps them first.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "linux.h"

/* How long a ring may take to become quiet by itself after the cancel; then the kernel's own way
 * of ending it, which cancels again and again, takes over. */
#define DRAIN_WAIT_MS 100

/* How long close waits for ops that the kernel can neither cancel nor finish (a disk that does
 * not answer), or for a child that still holds the ring's fd and never forgot it. */
#define CLOSE_WAIT_MS 10000

void rm_linux_unmap(struct rm_ring *ring) {
    struct rm_linux_state *state = ring->state;
    if (ring->sqes) munmap(ring->sqes, state->sqes_size);
    if (state->cq_ring) munmap(state->cq_ring, state->cq_ring_size);
    if (state->sq_ring) munmap(state->sq_ring, state->sq_ring_size);
    ring->sqes = NULL;
    state->cq_ring = state->sq_ring = NULL;
}

/* Ask the ring itself whether it is quiet: cancel all that can be cancelled, then a NOP with
 * IO_DRAIN, which completes after everything before it. True: nothing is in flight. False: not
 * known. */
static bool drain(struct rm_ring *ring) {
    if (ring->setup_flags & IORING_SETUP_SQPOLL) return false;
    if (!rm_has_op(ring, IORING_OP_NOP)) return false;
    const uint64_t mark = UINT64_MAX;
    struct io_uring_cqe cqes[64];
    /* What was pushed and never given to the kernel shall not begin now. */
    ring->sq_tail = rm_load(ring->sq_khead);
    bool cancel = rm_has_op(ring, IORING_OP_ASYNC_CANCEL) && ring->behaviours & RM_CANCEL_FD;
    if (cancel) {
        struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_ASYNC_CANCEL, -1, 0);
        sqe->cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    }
    rm_push(ring, IORING_OP_NOP, -1, mark)->flags = IOSQE_IO_DRAIN;
    /* Where nothing can be cancelled, waiting is for nothing: quiet now, or not known. */
    int64_t deadline_ns = rm_now_ns() + (cancel ? (int64_t)DRAIN_WAIT_MS * 1000000 : 0);
    for (;;) {
        int64_t left_ns = deadline_ns - rm_now_ns();
        int error = rm_enter(ring, 1, left_ns > 0 ? left_ns : 0);
        unsigned n;
        while ((n = rm_reap(ring, cqes, 64)) > 0)
            for (unsigned i = 0; i < n; i++)
                if (cqes[i].user_data == mark) return cqes[i].res == 0;
        /* Past the first enter only these pass; and a machine that used CQE_SKIP cannot drain:
         * its NOP is answered with EOPNOTSUPP above. */
        if (error && error != -EINTR && error != -EBUSY && error != -EAGAIN && error != -ETIME)
            return false;
        if (left_ns <= 0) return false;
    }
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
    int witness = ours && drain(ring) ? -1 : arm_witness(ring);
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
