/* Making the call: once, or until the fd has nothing more; with a provided buffer where asked.
 *
 * Knows: the answers of a call. Must not know: epoll, threads (it says "wait" or "hand over").
 */
#include "soft_progress.h"

#include "sim.h"
#include "soft_calls.h"

/* A connect that was begun. The second connect() is for the kernel: until somebody calls it again
 * the socket counts as still connecting, and a third would succeed instead of telling EISCONN. */
static int connect_end(const struct io_uring_sqe *sqe) {
    int res = rm_soft_rows[sqe->opcode].run(sqe, true);
    if (res == -EINPROGRESS || res == -EALREADY) return -EAGAIN;
    /* Some families refuse the question. */
    return res == -EISCONN || res == -EBADFD ? rm_do_connect_outcome(sqe->fd) : res;
}

static int call(const struct soft_req *r, const struct io_uring_sqe *sqe) {
    int res;
    do {
        if (sqe->opcode == IORING_OP_READ_MULTISHOT)
            res = rm_do_read(sqe->fd, (void *)(uintptr_t)sqe->addr, sqe->len, UINT64_MAX, true);
        else if (r->bits & SOFT_CONNECTING)
            res = connect_end(sqe);
        else
            res = rm_soft_rows[sqe->opcode].run(sqe, true);
    } while (res == -EINTR);
    return res;
}

static int run(struct soft *s, struct soft_req *r, const struct io_uring_sqe *sqe) {
    int res = s->sim ? sim_run(s, r, sqe, call) : call(r, sqe);
    if (res == -EINPROGRESS && sqe->opcode == IORING_OP_CONNECT) {
        r->bits |= SOFT_CONNECTING;
        res = -EAGAIN;
    }
    return res;
}

/* recv of nothing is an end and costs no buffer; a read of nothing costs one. So it is in Linux. */
static bool takes_buffer(uint8_t opcode, int res) {
    return res > 0 || (res == 0 && opcode == IORING_OP_READ);
}

static int shoot_once(struct soft *s, struct soft_req *r, uint32_t *cflags) {
    *cflags = 0;
    if (!(r->sqe.flags & IOSQE_BUFFER_SELECT)) return run(s, r, &r->sqe);
    struct io_uring_sqe sqe = r->sqe;
    uint32_t selected = 0;
    bool message = sqe.opcode == IORING_OP_RECVMSG;
    if (message) sqe.len = 0; /* it counts headers: take all of the buffer */
    int err = soft_buffer_peek(s, &sqe, &selected);
    if (err < 0) return err;
    r->asked = sqe.len;
    int res = message ? soft_message(r, &sqe) : run(s, r, &sqe);
    if (takes_buffer(sqe.opcode, res)) {
        soft_buffer_commit(s, sqe.buf_group);
        *cflags = selected;
    }
    return res;
}

static bool multi_ends(const struct soft_req *r, int res) {
    if (res > 0) return r->sqe.opcode == IORING_OP_RECVMSG && soft_message_is_empty(r, res);
    return res < 0 || r->sqe.opcode != IORING_OP_ACCEPT;
}

/* Its share of this pass is used up; others first. It has to be findable in the meantime. */
static void come_again(struct soft *s, struct soft_req *r) {
    int err = r->state == SOFT_WAITING ? 0 : soft_watch(s, r);
    if (err < 0) {
        soft_finish(s, r, err, 0);
        return;
    }
    if (r->bits & SOFT_AGAIN) return;
    r->bits |= SOFT_AGAIN;
    soft_list_add(&s->again, &r->line);
}

static bool shoot_multi(struct soft *s, struct soft_req *r) {
    for (int shots = 0; shots < SOFT_SHOTS_MAX; shots++) {
        uint32_t cflags;
        int res = shoot_once(s, r, &cflags);
        if (res == -EAGAIN && !(r->bits & SOFT_DONTWAIT)) return false;
        /* No room for a CQE: it becomes the last one, which may wait in the backlog. */
        if (multi_ends(r, res) || (s->sim && sim_ends(s, r))
            || !soft_post(s, &r->sqe, res, cflags | IORING_CQE_F_MORE)) {
            soft_finish(s, r, res, cflags);
            return true;
        }
    }
    come_again(s, r);
    return true;
}

/* Of a full AF_UNIX queue that is not our own peer's (a listener's backlog, the queue of whom a
 * datagram is addressed to) no event will tell when there is room. */
static bool waits_unseen(const struct soft_req *r) {
    const struct io_uring_sqe *sqe = &r->sqe;
    const struct msghdr *msg = (const struct msghdr *)(uintptr_t)sqe->addr;
    int domain = 0;
    socklen_t size = sizeof domain;
    switch (sqe->opcode) {
    case IORING_OP_CONNECT: return !(r->bits & SOFT_CONNECTING);
    case IORING_OP_SEND:
        if (!sqe->addr2)
            return false;
        else
            break;
    case IORING_OP_SENDMSG:
        if (!msg->msg_name)
            return false;
        else
            break;
    default: return false;
    }
    return getsockopt(sqe->fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

bool soft_shoot(struct soft *s, struct soft_req *r) {
    if (r->bits & SOFT_MULTI) return shoot_multi(s, r);
    for (;;) {
        uint32_t cflags;
        int res = shoot_once(s, r, &cflags);
        if (res == RM_MAY_BLOCK) {
            soft_unpark(s, r);
            soft_hand_over(s, r, SOFT_OWN);
            return true;
        }
        if (res == -EAGAIN && !(r->bits & SOFT_DONTWAIT)) {
            if (!waits_unseen(r)) return false;
            soft_hand_over(s, r, SOFT_OWN);
            return true;
        }
        if (!soft_goes_on(r, res)) {
            soft_finish(s, r, res, cflags);
            return true;
        }
        int err = soft_advance(r, res);
        if (err < 0) { /* no memory for the rest: a short transfer, told as such */
            soft_finish(s, r, res, cflags);
            return true;
        }
    }
}

void soft_try(struct soft *s, struct soft_req *r) {
    if (soft_shoot(s, r)) return;
    if (soft_on_disk(r)) { /* epoll takes some of them (/proc, /sys), and then says nothing */
        soft_hand_over(s, r, SOFT_POOL);
        return;
    }
    int err = soft_watch(s, r);
    if (err >= 0) return;
    if (err == -EPERM && !(r->bits & SOFT_MULTI))
        soft_hand_over(s, r, SOFT_POOL);
    else
        soft_finish(s, r, err, 0);
}

void soft_hand_over(struct soft *s, struct soft_req *r, enum soft_crew_id crew) {
    /* The worker cannot look at the group later, so the buffer is taken now, as by Linux for
     * files that cannot be polled. An error then still says which buffer it was. */
    if (r->sqe.flags & IOSQE_BUFFER_SELECT) {
        int err = soft_buffer_peek(s, &r->sqe, &r->cflags);
        if (err < 0) {
            soft_finish(s, r, err, 0);
            return;
        }
        soft_buffer_commit(s, r->sqe.buf_group);
        r->asked = r->sqe.len;
        r->bits |= SOFT_TOOK;
    }
    if (s->sim) {
        sim_hand_over(s, r, crew);
        return;
    }
    int err = soft_work_add(s, r, crew);
    if (err < 0) soft_finish(s, r, err, r->bits & SOFT_TOOK ? r->cflags : 0);
}

/* One round for those whose share was used up. What is still busy comes again after the others. */
void soft_again(struct soft *s) {
    struct soft_list round;
    soft_list_take(&s->again, &round);
    while (!soft_list_empty(&round)) {
        struct soft_req *r = SOFT_OF(struct soft_req, line, round.next);
        soft_list_del(&r->line);
        r->bits &= ~SOFT_AGAIN;
        soft_shoot(s, r);
    }
}
