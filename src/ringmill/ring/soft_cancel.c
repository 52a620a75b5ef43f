/* ASYNC_CANCEL: who is meant, and what becomes of it.
 *
 * Knows: where each state can be taken out. A request that stands behind another in a chain is
 * not found, as in Linux: it ends with the one before it.
 */
#include "sim.h"

#include <fcntl.h>
#include <unistd.h>

#define KEYS                                                                                       \
    (IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_OP                     \
     | IORING_ASYNC_CANCEL_USERDATA)
#define FLAGS_KNOWN (KEYS | IORING_ASYNC_CANCEL_ALL)

int soft_cancel(struct soft *s, struct soft_req *r) {
    if (r->state == SOFT_WORKING) {
        int err = soft_work_cancel(s, r);
        if (err < 0) return err;
    }
    soft_unpark(s, r); /* nobody finds it any more */
    soft_list_add(&s->condemned, &r->line);
    return 0;
}

void soft_execute(struct soft *s) {
    while (!soft_list_empty(&s->condemned)) {
        struct soft_req *r = SOFT_OF(struct soft_req, line, s->condemned.next);
        soft_list_del(&r->line);
        soft_finish(s, r, -ECANCELED, r->bits & SOFT_TOOK ? r->cflags : 0);
    }
}

static bool matches(const struct soft_req *r, const struct io_uring_sqe *sqe) {
    uint32_t flags = sqe->cancel_flags;
    if (flags & IORING_ASYNC_CANCEL_ANY) return true;
    if ((flags & IORING_ASYNC_CANCEL_FD) && (!r->file || r->file->fd != sqe->fd)) return false;
    if ((flags & IORING_ASYNC_CANCEL_OP) && r->sqe.opcode != (uint8_t)sqe->len) return false;
    bool by_id = (flags & IORING_ASYNC_CANCEL_USERDATA)
                 || !(flags & (IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP));
    return !by_id || r->sqe.user_data == sqe->addr;
}

/* `field` says through which of its links a request is in `list`. Returns whether to go on. */
#define CANCEL_IN(list, field)                                                                     \
    SOFT_EACH(item, next, (list)) {                                                                \
        struct soft_req *r = SOFT_OF(struct soft_req, field, item);                                \
        if (!matches(r, sqe)) continue;                                                            \
        int err = soft_cancel(s, r);                                                               \
        if (!all) return err;                                                                      \
        count++;                                                                                   \
    }

/* The narrowest list that holds everybody who can be meant. */
static int cancel(struct soft *s, const struct io_uring_sqe *sqe, bool all) {
    uint32_t flags = sqe->cancel_flags;
    int count = 0;
    if (flags & (IORING_ASYNC_CANCEL_ANY)) {
        CANCEL_IN(&s->parked, all)
    } else if (flags & IORING_ASYNC_CANCEL_FD) {
        struct soft_file *file = soft_file_find(s, sqe->fd);
        if (file) {
            CANCEL_IN(&file->jobs, by_file)
            CANCEL_IN(&file->waiters, by_file)
        }
    } else if (flags & IORING_ASYNC_CANCEL_OP) {
        CANCEL_IN(&s->parked, all)
    } else {
        CANCEL_IN(soft_bucket(s, sqe->addr), by_id)
    }
    return all ? count : -ENOENT;
}

void soft_cancel_op(struct soft *s, struct soft_req *r) {
    uint32_t flags = r->sqe.cancel_flags;
    /* ANY means everybody: it counts, with or without ALL. */
    bool all = flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
    int res;
    if ((flags & ~FLAGS_KNOWN) || r->sqe.off || r->sqe.splice_fd_in)
        res = -EINVAL;
    else if (flags && !(s->ring->behaviours & RM_CANCEL_FD))
        res = -EINVAL;
    else if ((flags & IORING_ASYNC_CANCEL_FD) && fcntl(r->sqe.fd, F_GETFD) < 0)
        res = -EBADF;
    else if (!s->sim || (res = sim_misses(s, &r->sqe)) == 0)
        res = cancel(s, &r->sqe, all);
    soft_finish(s, r, res, 0);
    soft_execute(s);
}
