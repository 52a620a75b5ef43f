/* The two ends of a request: start and finish, and what hangs between them in a chain.
 *
 * Knows: links, and who executes which opcode. Must not know: SQE fields beyond flags.
 *
 * A chain is a list through ->chain; only its first request runs. soft_finish() does not start
 * the next one but queues it: a chain of ten thousand NOPs must not be ten thousand frames deep,
 * and whoever walks a list of waiters must not find new ones in it.
 */
#include "sim.h"

#include <sys/epoll.h>
#include <sys/socket.h>

static void start_nop(struct soft *s, struct soft_req *r) { soft_finish(s, r, 0, 0); }

static void start_read_multishot(struct soft *s, struct soft_req *r) {
    /* Watched before the first read: a file that epoll refuses must not be read at all. */
    r->want = EPOLLIN;
    int err = soft_on_disk(r) ? -EPERM : soft_watch(s, r);
    if (err < 0)
        soft_finish(s, r, err == -EPERM ? -EBADFD : err, 0);
    else
        soft_shoot(s, r);
}

/* Done by the engine itself; everything else is a row of soft_rows.c. */
static void (*const engine[RM_OPCODES])(struct soft *, struct soft_req *) = {
    [IORING_OP_NOP] = start_nop,
    [IORING_OP_READ_MULTISHOT] = start_read_multishot,
    [IORING_OP_POLL_ADD] = soft_poll_add,
    [IORING_OP_POLL_REMOVE] = soft_poll_remove,
    [IORING_OP_TIMEOUT] = soft_timeout,
    [IORING_OP_TIMEOUT_REMOVE] = soft_timeout_remove,
    [IORING_OP_ASYNC_CANCEL] = soft_cancel_op,
};

uint64_t soft_opcodes(void) {
    uint64_t known = UINT64_C(1) << IORING_OP_LINK_TIMEOUT;
    for (unsigned op = 0; op < RM_OPCODES; op++)
        if (engine[op] || rm_soft_rows[op].how != RM_HOW_NONE) known |= UINT64_C(1) << op;
    return known;
}

static bool wants_urgent(const struct io_uring_sqe *sqe) {
    return (sqe->opcode == IORING_OP_RECV || sqe->opcode == IORING_OP_RECVMSG)
           && (sqe->msg_flags & MSG_OOB);
}

static void start_row(struct soft *s, struct soft_req *r) {
    const struct rm_soft_row *row = &rm_soft_rows[r->sqe.opcode];
    int res;
    switch (row->how) {
    case RM_AT_ONCE:
        do res = s->sim ? sim_at_once(s, &r->sqe) : row->run(&r->sqe, true);
        while (res == -EINTR);
        soft_finish(s, r, res, 0);
        return;
    case RM_WHEN_READABLE:
        r->want = wants_urgent(&r->sqe) ? EPOLLIN | EPOLLPRI : EPOLLIN;
        soft_try(s, r);
        return;
    case RM_WHEN_WRITABLE:
        r->want = EPOLLOUT;
        soft_try(s, r);
        return;
    case RM_IN_WORKER: soft_hand_over(s, r, SOFT_POOL); return;
    case RM_IN_OWN_WORKER: soft_hand_over(s, r, SOFT_OWN); return;
    case RM_HOW_NONE: break;
    }
    soft_finish(s, r, -EINVAL, 0);
}

void soft_start(struct soft *s, struct soft_req *r) {
    struct soft_req *after = r->chain;
    if (s->sim && sim_starts(s, r)) return;
    /* Armed before the call is tried: one that succeeds at once ends its timeout as any other. */
    if (after && after->sqe.opcode == IORING_OP_LINK_TIMEOUT) {
        r->chain = after->chain;
        after->chain = NULL;
        if (soft_link_timeout_arm(s, after, r) < 0) {
            soft_finish(s, r, -ENOMEM, 0); /* without its deadline it might run for ever */
            return;
        }
    }
    int err = soft_fixed_resolve(s, r);
    if (err < 0) {
        soft_finish(s, r, err, 0);
        return;
    }
    r->asked = soft_asked(&r->sqe);
    if (r->sqe.opcode == IORING_OP_CLOSE) soft_forsake(s, r->sqe.fd);
    if (engine[r->sqe.opcode])
        engine[r->sqe.opcode](s, r);
    else
        start_row(s, r);
}

void soft_start_all(struct soft *s) {
    while (!soft_list_empty(&s->starts)) {
        struct soft_req *r = SOFT_OF(struct soft_req, line, s->starts.next);
        soft_list_del(&r->line);
        soft_start(s, r);
    }
}

/* Does this result break a link and show itself in spite of CQE_SKIP_SUCCESS? Beside errors that
 * is a short read or write; a short receive or send only when all was asked for. */
static bool broke(const struct soft_req *r) {
    if (r->res < 0)
        return !(r->sqe.opcode == IORING_OP_TIMEOUT && r->res == -ETIME
                 && (r->sqe.timeout_flags & IORING_TIMEOUT_ETIME_SUCCESS));
    switch (r->sqe.opcode) {
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
    case IORING_OP_SPLICE:
    case IORING_OP_TEE: return (uint32_t)r->res != r->asked;
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG: return (r->sqe.msg_flags & MSG_WAITALL) && (uint32_t)r->res < r->asked;
    default: return false;
    }
}

/* What waits in a chain is not known to anybody else: it only has to be told. */
void soft_fail_chain(struct soft *s, struct soft_req *first, bool silent) {
    for (struct soft_req *r = first, *next; r; r = next) {
        next = r->chain;
        r->chain = NULL;
        if (r->res == 0) r->res = -ECANCELED;
        if (silent)
            soft_free(s, r);
        else
            soft_deliver(s, r);
    }
}

/* The timeout beside a request that ended first. To Linux that is no failure of the timeout, so
 * CQE_SKIP_SUCCESS hides it. */
static void end_timeout(struct soft *s, struct soft_req *timeout) {
    soft_timer_del(s, timeout);
    timeout->target = NULL;
    timeout->res = -ECANCELED;
    if (timeout->sqe.flags & IOSQE_CQE_SKIP_SUCCESS)
        soft_free(s, timeout);
    else
        soft_deliver(s, timeout);
}

void soft_finish(struct soft *s, struct soft_req *r, int res, uint32_t cflags) {
    soft_unpark(s, r);
    if (r->done) /* an error after half of the bytes is a short transfer */
        res = res < 0 ? (int)r->done : (int)r->done + res;
    res = soft_fixed_install(s, r, res);
    r->res = res;
    r->cflags = cflags;

    struct soft_req *timeout = r->timeout, *next = r->chain;
    uint8_t flags = r->sqe.flags;
    bool skip = flags & IOSQE_CQE_SKIP_SUCCESS, failed = broke(r);
    r->chain = NULL;
    if (skip && !failed)
        soft_free(s, r);
    else
        soft_deliver(s, r);
    if (timeout) end_timeout(s, timeout);
    if (!next) return;
    if (failed && !(flags & IOSQE_IO_HARDLINK))
        soft_fail_chain(s, next, skip);
    else
        soft_list_add(&s->starts, &next->line);
}
