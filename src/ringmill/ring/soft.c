/* The soft kernel: a pretend io_uring that eats SQEs and makes CQEs, with epoll and threads.
 *
 * Knows: the seam (struct rm_kernel) and the order of one pass. Must not know: ops; see soft.h
 * for who does what.
 *
 * RM_TASKRUN_FLAG is not claimed, though workers do set IORING_SQ_TASKRUN: what is ready in the
 * epoll set shows in no flag, so a look at the flags would not tell when to enter.
 */
#include "sim.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BEHAVIOURS                                                                                 \
    (RM_ACCEPT_MULTISHOT | RM_RECV_MULTISHOT | RM_READ_MULTISHOT | RM_POLL_MULTISHOT               \
     | RM_BUFFER_RINGS | RM_CQE_SKIP | RM_CANCEL_FD | RM_SEND_TO | RM_SEND_WHOLE                   \
     | RM_DIRECT_FILES)
#define ENTRIES_MAX 32768 /* as in Linux; the CQ may have twice as many */

/* ── setup ── */

/* The next power of two; a wish beyond the limit is cut, as CLAMP does it in Linux. */
static unsigned size_of(unsigned wish, unsigned most) {
    unsigned size = 1;
    while (size < wish && size < most) size *= 2;
    return size;
}

static int setup_queues(struct soft *s, struct rm_ring *ring, const struct rm_config *config) {
    unsigned entries = size_of(config->entries, ENTRIES_MAX);
    unsigned wish = config->cq_entries < entries ? entries * 2 : config->cq_entries;
    unsigned cq_entries = size_of(wish, ENTRIES_MAX * 2);
    ring->sqes = calloc(entries, sizeof *ring->sqes);
    ring->cqes = calloc(cq_entries, sizeof *ring->cqes);
    if (!ring->sqes || !ring->cqes) return -ENOMEM;
    ring->sq_khead = &s->sq_head;
    ring->sq_ktail = &s->sq_tail;
    ring->sq_kflags = &s->sq_flags;
    ring->cq_khead = &s->cq_head;
    ring->cq_ktail = &s->cq_tail;
    ring->sq_tail = 0;
    ring->sq_entries = entries;
    ring->sq_mask = entries - 1;
    ring->cq_entries = cq_entries;
    ring->cq_mask = cq_entries - 1;
    return 0;
}

static int setup_fds(struct soft *s) {
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0) return -errno;
    s->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return s->kick_fd < 0 ? -errno : soft_watch_kick(s, s->kick_fd);
}

static void soft_close_fds(struct soft *s) {
    if (s->timer_fd >= 0) close(s->timer_fd);
    if (s->kick_fd >= 0) close(s->kick_fd);
    if (s->epoll_fd >= 0) close(s->epoll_fd);
}

static void soft_free_all(struct soft *s, struct rm_ring *ring) {
    soft_close_fds(s);
    soft_buffers_free(s);
    soft_fixed_free(s);
    soft_memory_free(s);
    free(s->sim);
    free(ring->sqes);
    free(ring->cqes);
    free(s);
    ring->sqes = NULL;
    ring->cqes = NULL;
    ring->state = NULL;
    ring->fd = ring->enter_fd = -1;
}

static int soft_setup(struct rm_ring *ring, const struct rm_config *config) {
    if (config->entries == 0) return -EINVAL;
    struct soft *s = calloc(1, sizeof *s);
    if (!s) return -ENOMEM;
    s->ring = ring;
    s->epoll_fd = s->kick_fd = s->timer_fd = -1;
    s->timer_armed_ns = RM_FOREVER;
    ring->sqes = NULL;
    ring->cqes = NULL;
    int err = setup_queues(s, ring, config);
    if (err == 0) err = soft_memory_init(s);
    if (err == 0) err = setup_fds(s);
    if (err < 0) {
        soft_free_all(s, ring);
        return err;
    }
    soft_work_init(s, config->workers_max);
    ring->opcodes = soft_opcodes(); /* less what is masked: rm_open sees to that */
    ring->behaviours = BEHAVIOURS;
    ring->state = s;
    ring->fd = ring->enter_fd = s->epoll_fd;
    ring->enter_flags = ring->setup_flags = 0;
    ring->features = IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS | IORING_FEAT_EXT_ARG
                     | IORING_FEAT_FAST_POLL | IORING_FEAT_CQE_SKIP;
    return 0;
}

/* ── enter ── */

/* The next deadline, ours or the caller's. */
static int64_t next_ns(const struct soft *s, int64_t until_ns) {
    int64_t next = soft_timer_next_ns(s);
    return next == RM_FOREVER || (until_ns != RM_FOREVER && until_ns < next) ? until_ns : next;
}

/* How long epoll may sleep: not when somebody has work left, not past a deadline. */
static int64_t patience_ns(const struct soft *s, int64_t until_ns) {
    if (!soft_list_empty(&s->again) || !soft_list_empty(&s->starts)) return 0;
    int64_t next = next_ns(s, until_ns);
    if (s->sim) return sim_patience(s, next);
    if (next == RM_FOREVER) return s->nudging ? SOFT_NUDGE_NS : RM_FOREVER;
    int64_t left = next - rm_clock(s->ring);
    if (left < 0) left = 0;
    return s->nudging && left > SOFT_NUDGE_NS ? SOFT_NUDGE_NS : left;
}

/* Everything that can be done now; sleeps for it as long as `patience`. */
static int pass(struct soft *s, int64_t patience) {
    int err = soft_poll_events(s, patience);
    soft_work_collect(s);
    soft_work_nudge(s);
    if (s->sim) sim_poll(s);
    soft_timers_run(s);
    soft_again(s);
    soft_start_all(s);
    soft_counted_run(s);
    soft_start_all(s); /* what stood behind a counted timeout */
    if (s->sim && s->sim->overflowing)
        s->sim->overflowing = false;
    else
        soft_flush(s);
    return err;
}

/* Passes until `wait` CQEs are there. 0, -ETIME or -EINTR. */
static int turn(struct soft *s, unsigned wait, int64_t timeout_ns) {
    int64_t until_ns = RM_FOREVER;
    if (wait > s->ring->cq_entries) wait = s->ring->cq_entries;
    if (wait > 0 && timeout_ns > 0) until_ns = rm_clock(s->ring) + timeout_ns;
    for (;;) {
        bool satisfied = wait == 0 || timeout_ns == 0 || soft_ready_count(s) >= wait;
        int err = pass(s, satisfied ? 0 : patience_ns(s, until_ns));
        if (satisfied || soft_ready_count(s) >= wait) return 0;
        if (err < 0) return err;
        if (s->sim) sim_jump(s, next_ns(s, until_ns));
        if (until_ns != RM_FOREVER && rm_clock(s->ring) >= until_ns) return -ETIME;
    }
}

/* Whoever polls ring->fd, instead of sleeping here, must hear of timers and of work left over. */
static void show_outside(struct soft *s) {
    if (s->sim) return; /* whose clock nobody outside knows */
    if (!soft_list_empty(&s->again)) {
        uint64_t one = 1;
        ssize_t written = write(s->kick_fd, &one, sizeof one);
        (void)written;
    }
    int64_t next = s->nudging ? rm_now_ns() + SOFT_NUDGE_NS : soft_timer_next_ns(s);
    if (next == s->timer_armed_ns || next == RM_FOREVER)
        return; /* one that is armed for nothing only wakes somebody once */
    if (s->timer_fd < 0) {
        s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (s->timer_fd < 0 || soft_watch_kick(s, s->timer_fd) < 0) return;
    }
    struct itimerspec at = {.it_value = {next / 1000000000, next % 1000000000}};
    if (timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0) s->timer_armed_ns = next;
}

static int soft_enter(struct rm_ring *ring, unsigned submit, unsigned wait, int64_t timeout_ns) {
    struct soft *s = ring->state;
    soft_flush(s);
    int taken = submit ? soft_submit(s, submit) : 0;
    soft_counted_run(s);
    soft_start_all(s);
    if (taken < 0 || (unsigned)taken < submit) /* no memory and no room: reap first */
        wait = 0;
    int err = turn(s, wait, wait ? timeout_ns : 0);
    show_outside(s);
    if (err < 0 && taken > 0)
        ring->submitted += (unsigned)taken; /* rm_enter counts only what is returned */
    return err < 0 ? err : taken;
}

/* ── the rest of the seam ── */

static int soft_enroll(struct rm_ring *ring, unsigned opcode, void *arg, unsigned n) {
    struct soft *s = ring->state;
    if (ring->behaviours & RM_DIRECT_FILES) {
        if (opcode == IORING_REGISTER_FILES) return soft_fixed_register(s, arg, n);
        if (opcode == IORING_UNREGISTER_FILES) return soft_fixed_unregister(s);
    }
    if (!(ring->behaviours & RM_BUFFER_RINGS) || n != 1 || !arg) return -EINVAL;
    switch (opcode) {
    case IORING_REGISTER_PBUF_RING: return soft_buffers_register(s, arg);
    case IORING_UNREGISTER_PBUF_RING: return soft_buffers_unregister(s, arg);
    default: return -EINVAL;
    }
}

/* Threads first: until they are joined they may write into what the requests point to. What waits
 * in epoll runs no code by itself and simply ceases to be. */
static void soft_close(struct rm_ring *ring) {
    struct soft *s = ring->state;
    if (!s) return;
    soft_work_close(s);
    soft_free_all(s, ring);
}

/* Threads do not exist in the child, and their locks may be held for ever: none is touched. */
static void soft_forget(struct rm_ring *ring) {
    if (ring->state) soft_free_all(ring->state, ring);
}

const struct rm_kernel rm_soft = {
    .name = "soft",
    .setup = soft_setup,
    .enter = soft_enter,
    .enroll = soft_enroll,
    .close = soft_close,
    .forget = soft_forget,
};
