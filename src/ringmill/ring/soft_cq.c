/* CQEs out. None is ever dropped, and none needs memory when the ring is full.
 *
 * A CQE that is the last of its request waits, when there is no room, in that request's own
 * memory. One that is not the last (multishot) is refused, and the caller makes it the last one,
 * as Linux does: so the backlog is never longer than the number of requests.
 */
#include "sim.h"

static void cq_put(struct soft *s, const struct io_uring_sqe *sqe, int res, uint32_t cflags) {
    struct io_uring_cqe *cqe = &s->ring->cqes[s->cq_tail & s->ring->cq_mask];
    cqe->user_data = sqe->user_data;
    cqe->res = res;
    cqe->flags = cflags;
    if (s->sim) sim_tell(s->sim, RM_TOLD, sqe, res);
    rm_store(&s->cq_tail, s->cq_tail + 1);
}

/* While there is a backlog nobody overtakes it. */
static bool cq_has_room(struct soft *s) {
    return soft_list_empty(&s->backlog) && soft_ready_count(s) < s->ring->cq_entries
           && !(s->sim && sim_overflows(s));
}

bool soft_post(struct soft *s, const struct io_uring_sqe *sqe, int res, uint32_t cflags) {
    if (!cq_has_room(s)) return false;
    s->posted++;
    cq_put(s, sqe, res, cflags);
    return true;
}

void soft_deliver(struct soft *s, struct soft_req *r) {
    if (s->sim && sim_holds(s, r)) return;
    /* Timeouts do not count for counted timeouts: two of them would end each other. */
    if (r->sqe.opcode != IORING_OP_TIMEOUT) s->posted++;
    if (cq_has_room(s)) {
        cq_put(s, &r->sqe, r->res, r->cflags);
        soft_free(s, r);
        return;
    }
    r->state = SOFT_OVER;
    soft_list_add(&s->backlog, &r->line);
    __atomic_fetch_or(&s->sq_flags, IORING_SQ_CQ_OVERFLOW, __ATOMIC_RELAXED);
}

void soft_flush(struct soft *s) {
    if (soft_list_empty(&s->backlog)) return;
    SOFT_EACH(item, next, &s->backlog) {
        if (soft_ready_count(s) == s->ring->cq_entries) return;
        struct soft_req *r = SOFT_OF(struct soft_req, line, item);
        soft_list_del(item);
        cq_put(s, &r->sqe, r->res, r->cflags);
        soft_free(s, r);
    }
    __atomic_fetch_and(&s->sq_flags, ~IORING_SQ_CQ_OVERFLOW, __ATOMIC_RELAXED);
}
