/* TIMEOUT, TIMEOUT_REMOVE and LINK_TIMEOUT on one binary heap.
 *
 * Knows: deadlines, all on CLOCK_MONOTONIC. A deadline on another clock is translated when it is
 * set: if that clock is stepped afterwards the timeout does not follow (Linux's does).
 */
#include "sim.h"

#include <stdlib.h>
#include <time.h>

#define FLAGS_KNOWN                                                                                \
    (IORING_TIMEOUT_ABS | IORING_TIMEOUT_CLOCK_MASK | IORING_TIMEOUT_ETIME_SUCCESS                 \
     | TIMEOUT_MULTISHOT)
#define TIMEOUT_MULTISHOT (1U << 6) /* 6.4 */
#define NS_PER_S INT64_C(1000000000)

/* ── the heap ── */

static void heap_put(struct soft *s, struct soft_req *r, unsigned i) {
    s->heap[i] = r;
    r->heap_index = i;
}

static void heap_up(struct soft *s, struct soft_req *r, unsigned i) {
    while (i > 0 && s->heap[(i - 1) / 2]->deadline_ns > r->deadline_ns) {
        heap_put(s, s->heap[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    heap_put(s, r, i);
}

static void heap_down(struct soft *s, struct soft_req *r, unsigned i) {
    for (unsigned child; (child = 2 * i + 1) < s->heap_count; i = child) {
        if (child + 1 < s->heap_count
            && s->heap[child + 1]->deadline_ns < s->heap[child]->deadline_ns)
            child++;
        if (s->heap[child]->deadline_ns >= r->deadline_ns) break;
        heap_put(s, s->heap[child], i);
    }
    heap_put(s, r, i);
}

int soft_timer_add(struct soft *s, struct soft_req *r) {
    if (s->heap_count == s->heap_size) {
        unsigned size = s->heap_size ? s->heap_size * 2 : 64;
        struct soft_req **heap = realloc(s->heap, size * sizeof *heap);
        if (!heap) return -ENOMEM;
        s->heap = heap;
        s->heap_size = size;
    }
    heap_up(s, r, s->heap_count++);
    return 0;
}

void soft_timer_del(struct soft *s, struct soft_req *r) {
    unsigned i = r->heap_index;
    if (i == SOFT_NO_INDEX) return;
    r->heap_index = SOFT_NO_INDEX;
    struct soft_req *last = s->heap[--s->heap_count];
    if (last == r) return;
    heap_up(s, last, i);
    heap_down(s, last, last->heap_index);
}

int64_t soft_timer_next_ns(const struct soft *s) {
    return s->heap_count ? s->heap[0]->deadline_ns : RM_FOREVER;
}

/* ── what the program says ── */

static int timespec_read(uint64_t addr, int64_t *ns) {
    const struct __kernel_timespec *ts = (const struct __kernel_timespec *)(uintptr_t)addr;
    if (!ts) return -EFAULT;
    if (ts->tv_sec < 0 || ts->tv_nsec < 0) return -EINVAL;
    /* Past this many seconds nobody is there to notice, and nanoseconds would overflow. */
    int64_t s_max = INT64_MAX / 4 / NS_PER_S;
    *ns = ts->tv_sec >= s_max ? s_max * NS_PER_S : ts->tv_sec * NS_PER_S + ts->tv_nsec;
    return 0;
}

static int64_t deadline_of(const struct soft *s, int64_t span_ns, uint32_t flags) {
    int64_t now = rm_clock(s->ring);
    if (!(flags & IORING_TIMEOUT_ABS)) return now + span_ns;
    clockid_t clock = flags & IORING_TIMEOUT_REALTIME   ? CLOCK_REALTIME
                      : flags & IORING_TIMEOUT_BOOTTIME ? CLOCK_BOOTTIME
                                                        : CLOCK_MONOTONIC;
    if (clock == CLOCK_MONOTONIC) return span_ns;
    struct timespec there;
    clock_gettime(clock, &there);
    return now + span_ns - (there.tv_sec * NS_PER_S + there.tv_nsec);
}

int soft_timer_prep(struct soft_req *r) {
    const struct io_uring_sqe *sqe = &r->sqe;
    uint32_t flags = sqe->timeout_flags;
    bool link = sqe->opcode == IORING_OP_LINK_TIMEOUT;
    if (sqe->len != 1 || sqe->buf_index || sqe->splice_fd_in || (flags & ~FLAGS_KNOWN))
        return -EINVAL;
    if ((flags & IORING_TIMEOUT_CLOCK_MASK) == IORING_TIMEOUT_CLOCK_MASK) return -EINVAL;
    if (link && (sqe->off || (flags & TIMEOUT_MULTISHOT))) return -EINVAL;
    if (flags & TIMEOUT_MULTISHOT) {
        if (flags & IORING_TIMEOUT_ABS) return -EINVAL;
        r->bits |= SOFT_MULTI;
    }
    return timespec_read(sqe->addr, &r->interval_ns);
}

/* ── TIMEOUT ── */

/* Sorted by sequence; mostly at the end already. The difference survives wrapping. */
static void count_add(struct soft *s, struct soft_req *r) {
    struct soft_list *at = &s->counted;
    r->sequence = s->posted + (uint32_t)r->sqe.off;
    while (at->prev != &s->counted) {
        struct soft_req *before = SOFT_OF(struct soft_req, line, at->prev);
        if ((int32_t)(before->sequence - r->sequence) <= 0) break;
        at = at->prev;
    }
    r->bits |= SOFT_COUNTED;
    soft_list_add(at, &r->line);
}

void soft_timeout(struct soft *s, struct soft_req *r) {
    r->deadline_ns = deadline_of(s, r->interval_ns, r->sqe.timeout_flags);
    int err = soft_timer_add(s, r);
    if (err < 0) {
        soft_finish(s, r, err, 0);
        return;
    }
    soft_park(s, r, SOFT_TIMED);
    if (r->sqe.off && !(r->bits & SOFT_MULTI)) count_add(s, r);
}

void soft_counted_run(struct soft *s) {
    while (!soft_list_empty(&s->counted)) {
        struct soft_req *r = SOFT_OF(struct soft_req, line, s->counted.next);
        if ((int32_t)(s->posted - r->sequence) < 0) return;
        soft_finish(s, r, 0, 0);
    }
}

/* A multishot timeout goes on from its deadline, not from now: it must not drift. `off` is how
 * often it fires, 0 for ever. */
static bool timeout_repeats(struct soft *s, struct soft_req *r) {
    if (!(r->bits & SOFT_MULTI) || r->sqe.off == 1) return false;
    if (!soft_post(s, &r->sqe, -ETIME, IORING_CQE_F_MORE)) return false;
    if (r->sqe.off > 1) r->sqe.off--;
    r->deadline_ns += r->interval_ns > 0 ? r->interval_ns : 1;
    heap_down(s, r, r->heap_index);
    return true;
}

static struct soft_req *timeout_find(struct soft *s, uint64_t user_data) {
    SOFT_EACH(item, next, soft_bucket(s, user_data)) {
        struct soft_req *r = SOFT_OF(struct soft_req, by_id, item);
        if (r->state == SOFT_TIMED && r->sqe.user_data == user_data) return r;
    }
    return NULL;
}

static struct soft_req *link_timeout_find(struct soft *s, uint64_t user_data) {
    for (unsigned i = 0; i < s->heap_count; i++) /* rare enough not to have a table of its own */
        if (s->heap[i]->state == SOFT_LINKED && s->heap[i]->sqe.user_data == user_data)
            return s->heap[i];
    return NULL;
}

static int timeout_update(struct soft *s, const struct io_uring_sqe *sqe) {
    uint32_t flags = sqe->timeout_flags;
    int64_t span_ns;
    int err = timespec_read(sqe->addr2, &span_ns);
    if (err < 0) return err;
    struct soft_req *target = flags & IORING_LINK_TIMEOUT_UPDATE ? link_timeout_find(s, sqe->addr)
                                                                 : timeout_find(s, sqe->addr);
    if (!target) return -ENOENT;
    if (target->bits & SOFT_COUNTED) { /* as in Linux: the count is forgotten */
        soft_list_del(&target->line);
        target->bits &= ~SOFT_COUNTED;
    }
    soft_timer_del(s, target);
    target->interval_ns = span_ns;
    target->deadline_ns = deadline_of(s, span_ns, flags);
    return soft_timer_add(s, target); /* cannot fail: its place has just become free */
}

void soft_timeout_remove(struct soft *s, struct soft_req *r) {
    const uint32_t known =
        IORING_TIMEOUT_ABS | IORING_TIMEOUT_CLOCK_MASK | IORING_TIMEOUT_UPDATE_MASK;
    uint32_t flags = r->sqe.timeout_flags;
    int res = 0;
    struct soft_req *target;
    if ((flags & ~known) || r->sqe.len || r->sqe.buf_index || r->sqe.splice_fd_in)
        res = -EINVAL;
    else if (flags & IORING_TIMEOUT_UPDATE_MASK)
        res = timeout_update(s, &r->sqe);
    else if ((target = timeout_find(s, r->sqe.addr)))
        soft_cancel(s, target);
    else
        res = -ENOENT;
    soft_finish(s, r, res, 0);
    soft_execute(s);
}

/* ── LINK_TIMEOUT ── */

int soft_link_timeout_arm(struct soft *s, struct soft_req *r, struct soft_req *target) {
    r->deadline_ns = deadline_of(s, r->interval_ns, r->sqe.timeout_flags);
    r->state = SOFT_LINKED;
    r->target = target;
    target->timeout = r;
    return soft_timer_add(s, r);
}

static void link_timeout_fires(struct soft *s, struct soft_req *r) {
    struct soft_req *target = r->target;
    target->timeout = NULL;
    r->target = NULL;
    int err = soft_cancel(s, target);
    r->res = err < 0 ? err : -ETIME;
    if (r->sqe.flags & IOSQE_CQE_SKIP_SUCCESS)
        soft_free(s, r);
    else
        soft_deliver(s, r);
    soft_execute(s);
}

/* Everything whose time has come; what is set in the meantime waits for the next pass, so that a
 * timeout of zero cannot keep us here. */
void soft_timers_run(struct soft *s) {
    int64_t now = s->heap_count ? rm_clock(s->ring) : 0;
    while (s->heap_count && s->heap[0]->deadline_ns <= now) {
        struct soft_req *r = s->heap[0];
        if (r->state == SOFT_TIMED && timeout_repeats(s, r)) continue;
        soft_timer_del(s, r);
        if (r->state == SOFT_LINKED)
            link_timeout_fires(s, r);
        else if (r->state != SOFT_TIMED)
            sim_due(s, r);
        else
            soft_finish(s, r, -ETIME, 0);
    }
}
