/* Calls that may block for ever, in a form that does not: the lying kernel has no threads to block.
 *
 * Knows: what each of these ops waits for. An op that runs in a worker of its own on the soft
 * kernel, and is not here, is one that this kernel does not have.
 */
#include "sim.h"

#include "soft_calls.h"

bool sim_knows(uint8_t opcode) {
    switch (opcode) {
    case IORING_OP_SPLICE:
    case IORING_OP_TEE:
    case IORING_OP_WAITID:
    case IORING_OP_FUTEX_WAIT: return true;
    default: return false;
    }
}

static int try_waitid(const struct soft_req *r) {
    struct io_uring_sqe sqe = r->sqe;
    siginfo_t unasked, *info = (siginfo_t *)(uintptr_t)sqe.addr2;
    if (!info) info = &unasked;
    info->si_pid = 0;
    sqe.addr2 = (uintptr_t)info;
    sqe.file_index |= WNOHANG;
    int res = rm_soft_rows[sqe.opcode].run(&sqe, true);
    return res == 0 && info->si_pid == 0 && !(r->sqe.file_index & WNOHANG) ? SIM_NOT_YET : res;
}

/* With a deadline that is long past the kernel checks everything and does not wait. A wake-up that
 * leaves the word as it is reaches us only from ops of this ring: see sim_at_once(). */
static int try_futex(const struct soft_req *r, bool again) {
    const uint32_t *word = (const uint32_t *)(uintptr_t)r->sqe.addr;
    struct timespec past = {0, 0};
    int res = rm_result(syscall(SYS_futex, word, FUTEX_WAIT_BITSET, (uint32_t)r->sqe.addr2, &past,
                                NULL, (uint32_t)r->sqe.addr3));
    if (res == -ETIMEDOUT) return SIM_NOT_YET;
    return again && res == -EAGAIN ? 0 : res; /* it has changed since: somebody wakes us */
}

/* A pipe or terminal that writes as much as it likes: only O_NONBLOCK keeps that from blocking. */
static int try_unblocked(const struct soft_req *r) {
    int flags = fcntl(r->sqe.fd, F_GETFL);
    if (flags < 0) return -errno;
    if (!(flags & O_NONBLOCK)) fcntl(r->sqe.fd, F_SETFL, flags | O_NONBLOCK);
    int res = rm_soft_rows[r->sqe.opcode].run(&r->sqe, true);
    if (!(flags & O_NONBLOCK)) fcntl(r->sqe.fd, F_SETFL, flags);
    return res == -EAGAIN ? SIM_NOT_YET : res;
}

/* What is wrong however long one waits must not be waited for. */
static bool misplaced(int fd, uint64_t offset) {
    return offset != UINT64_MAX && lseek(fd, 0, SEEK_CUR) < 0 && errno == ESPIPE;
}

int sim_try(struct soft_req *r, bool again) {
    int res;
    switch (r->sqe.opcode) {
    case IORING_OP_WAITID: return try_waitid(r);
    case IORING_OP_FUTEX_WAIT: return try_futex(r, again);
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV: return try_unblocked(r);
    case IORING_OP_SPLICE:
        if (misplaced(r->sqe.splice_fd_in, r->sqe.splice_off_in)
            || misplaced(r->sqe.fd, r->sqe.off))
            return -ESPIPE;
        if (r->sqe.len == 0) return 0; /* there is nothing to be ready for */
        break;
    case IORING_OP_TEE:
        if (r->sqe.len == 0) return 0;
        break;
    default: break;
    }
    res = rm_soft_rows[r->sqe.opcode].run(&r->sqe, true);
    return res == -EAGAIN || res == -EINTR ? SIM_NOT_YET : res;
}

/* Our own waiters are not in the kernel's queue. They come first, in the order of their waits. */
static int wake(struct soft *s, const struct io_uring_sqe *sqe) {
    int woken = 0;
    SOFT_EACH(item, next, &s->sim->polled) {
        struct soft_req *r = SOFT_OF(struct soft_req, line, item);
        if (woken == (int)sqe->addr2) break;
        if (r->sqe.opcode != IORING_OP_FUTEX_WAIT || r->sqe.addr != sqe->addr
            || !(r->sqe.addr3 & sqe->addr3))
            continue;
        s->sim->moved = true;
        soft_finish(s, r, 0, 0);
        woken++;
    }
    struct io_uring_sqe others = *sqe;
    others.addr2 -= (uint64_t)woken;
    int res = rm_soft_rows[sqe->opcode].run(&others, true);
    return res < 0 ? (woken ? woken : res) : woken + res;
}

int sim_at_once(struct soft *s, const struct io_uring_sqe *sqe) {
    return sqe->opcode == IORING_OP_FUTEX_WAKE ? wake(s, sqe)
                                               : rm_soft_rows[sqe->opcode].run(sqe, true);
}
