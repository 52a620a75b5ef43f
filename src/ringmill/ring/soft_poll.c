/* POLL_ADD and POLL_REMOVE.
 *
 * Knows: poll masks. A multishot poll tells each edge once, as Linux does: its first is
 * what poll(2) says at the beginning, unless the registration is new and brings it anyway.
 */
#include "sim.h"

#include <poll.h>
#include <sys/epoll.h>

#define TOLD_ALWAYS (EPOLLERR | EPOLLHUP | EPOLLRDHUP) /* unasked: what io_uring tells */
#define MASK 0xffffu /* EPOLLET and its neighbours are registrations' flags, not events */

static void poll_begin(struct soft *s, struct soft_req *r) {
    bool multi = r->bits & SOFT_MULTI;
    struct pollfd p = {.fd = r->sqe.fd, .events = (short)r->want};
    if (r->sqe.fd < 0 || poll(&p, 1, 0) < 0 || (p.revents & POLLNVAL)) {
        soft_finish(s, r, -EBADF, 0);
        return;
    }
    if (p.revents && !multi) {
        soft_finish(s, r, p.revents, 0);
        return;
    }
    int err = soft_watch(s, r);
    if (err == -EPERM && p.revents)
        soft_finish(s, r, p.revents, 0); /* always ready, so there is no edge to wait for */
    else if (err < 0)
        soft_finish(s, r, err == -EPERM ? -EINVAL : err, 0);
    else if (p.revents && err == 0)
        soft_poll_event(s, r, (uint32_t)p.revents);
}

void soft_poll_add(struct soft *s, struct soft_req *r) {
    r->want = (r->sqe.poll32_events & MASK) | TOLD_ALWAYS;
    poll_begin(s, r);
}

void soft_poll_event(struct soft *s, struct soft_req *r, uint32_t events) {
    int res = (int)(events & r->want);
    bool more = (r->bits & SOFT_MULTI) && !(s->sim && sim_ends(s, r));
    if (more && soft_post(s, &r->sqe, res, IORING_CQE_F_MORE)) return;
    soft_finish(s, r, res, 0);
}

static struct soft_req *poll_find(struct soft *s, uint64_t user_data) {
    SOFT_EACH(item, next, soft_bucket(s, user_data)) {
        struct soft_req *r = SOFT_OF(struct soft_req, by_id, item);
        if (r->sqe.user_data == user_data && r->sqe.opcode == IORING_OP_POLL_ADD) return r;
    }
    return NULL;
}

/* Change what a poll waits for, or what it is called, and let it begin anew. */
static void poll_update(struct soft *s, const struct io_uring_sqe *sqe, struct soft_req *r) {
    soft_unpark(s, r);
    if (sqe->len & IORING_POLL_UPDATE_USER_DATA) r->sqe.user_data = sqe->off;
    if (sqe->len & IORING_POLL_UPDATE_EVENTS) r->want = (sqe->poll32_events & MASK) | TOLD_ALWAYS;
    poll_begin(s, r);
}

void soft_poll_remove(struct soft *s, struct soft_req *r) {
    const uint32_t known =
        IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA | IORING_POLL_ADD_MULTI;
    int res = 0;
    struct soft_req *target = poll_find(s, r->sqe.addr);
    if (r->sqe.len & ~known)
        res = -EINVAL;
    else if (!target)
        res = -ENOENT;
    else if (r->sqe.len & (IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA))
        poll_update(s, &r->sqe, target);
    else
        soft_cancel(s, target);
    soft_finish(s, r, res, 0);
    soft_execute(s);
}
