/* Who waits for which fd, in one epoll set.
 *
 * Knows: fds and their waiters. Must not know: what the waiters do.
 *
 * One registration per fd, edge-triggered, with the union of what was ever waited for through it.
 * Every op tries its call before it waits, so whatever becomes ready after that try is an edge
 * that epoll still has for us; nothing needs to be armed again, and a busy fd that nobody reads
 * is told once, not for ever.
 *
 * What an epoll set really contains is not fds but pairs (open file, fd number), and the pair
 * lives as long as the *file*: the program may close the number while a dup, or a forked child,
 * keeps the file, and may get the same number for another file. Then an event under this number
 * is about a file that our waiters may or may not mean, and a call by number would read somebody
 * else's data. Hence two checks:
 *   - each registration carries a generation; an event with an older one is not ours;
 *   - before anybody is run or begins to wait, EPOLL_CTL_ADD is tried once more: EEXIST, without
 *     any effect, is the proof that the number still names the file we registered. (MOD would
 *     prove it too, but makes epoll tell again what it has told, and a multishot poll would hear
 *     every event twice.) If ADD succeeds the number names a new file, and those who waited for
 *     the old one are told -EBADF. io_uring holds the file itself; a number is all we have.
 */
#include "sim.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KICK UINT64_MAX /* the eventfd and the timerfd: nothing to look up */
#define ALWAYS (EPOLLERR | EPOLLHUP)

static int control(struct soft *s, int what, int fd, uint32_t mask, uint64_t data) {
    struct epoll_event event = {.events = mask | EPOLLET, .data.u64 = data};
    return epoll_ctl(s->epoll_fd, what, fd, &event) < 0 ? -errno : 0;
}

static uint64_t label(uint32_t generation, int fd) {
    return (uint64_t)generation << 32 | (uint32_t)fd;
}

int soft_watch_kick(struct soft *s, int fd) { return control(s, EPOLL_CTL_ADD, fd, EPOLLIN, KICK); }

/* The number does not name our file any more. */
static void file_gone(struct soft *s, struct soft_file *file) {
    file->watched = false;
    struct soft_list gone;
    soft_list_take(&file->waiters, &gone);
    while (!soft_list_empty(&gone))
        soft_finish(s, SOFT_OF(struct soft_req, by_file, gone.next), -EBADF, 0);
}

/* Put the number's file into the set. -EEXIST: it was there; nothing has changed. */
static int file_add(struct soft *s, struct soft_file *file, uint32_t mask) {
    uint32_t generation = s->generation + 1;
    int err = control(s, EPOLL_CTL_ADD, file->fd, mask, label(generation, file->fd));
    if (err == 0) s->generation = generation;
    return err;
}

/* Is our registration about the file which has this number now? Else its waiters are ended. */
static bool file_alive(struct soft *s, struct soft_file *file) {
    int err = file_add(s, file, file->mask);
    if (err == -EEXIST) return true;
    file_gone(s, file);
    if (err == 0) control(s, EPOLL_CTL_DEL, file->fd, 0, 0);
    return false;
}

/* 1: epoll will tell what is ready now; 0: it was watched already, and tells only what is new. */
static int file_watch(struct soft *s, struct soft_file *file, uint32_t want) {
    if (file->watched && (want & ~file->mask)) {
        uint32_t mask = file->mask | want;
        if (control(s, EPOLL_CTL_MOD, file->fd, mask, label(file->generation, file->fd)) == 0) {
            file->mask = mask;
            return 1;
        }
        file_gone(s, file);
    } else if (file->watched && file_alive(s, file)) {
        return 0;
    }
    int err = file_add(s, file, want);
    if (err == -EEXIST) { /* an old registration of a file that has come back to its number */
        uint32_t generation = ++s->generation;
        err = control(s, EPOLL_CTL_MOD, file->fd, want, label(generation, file->fd));
    }
    if (err < 0) return err;
    file->generation = s->generation;
    file->mask = want;
    file->watched = true;
    return 1;
}

int soft_watch(struct soft *s, struct soft_req *r) {
    struct soft_file *file;
    int err = soft_file_of(s, r->sqe.fd, &file);
    if (err < 0) return err;
    err = file_watch(s, file, r->want);
    if (err < 0) return err;
    r->file = file;
    soft_park(s, r, SOFT_WAITING);
    soft_list_add(&file->waiters, &r->by_file);
    return err;
}

void soft_forsake(struct soft *s, int fd) {
    struct soft_file *file = soft_file_find(s, fd);
    if (!file || !file->watched) return;
    if (file_alive(s, file)) {
        /* A dup may live on, and would go on waking us under a number that is free. */
        control(s, EPOLL_CTL_DEL, fd, 0, 0);
        file_gone(s, file);
    }
}

/* ── hot path ── */

/* Would `r` hear only what `before`, with the very same call, has just heard: nothing there? Not
 * asked of writers: there may be room for a smaller one. */
static bool same_call(const struct soft_req *r, const struct soft_req *before) {
    return before && r->want == EPOLLIN && before->want == EPOLLIN
           && r->sqe.opcode == before->sqe.opcode && r->sqe.rw_flags == before->sqe.rw_flags;
}

static void file_ready(struct soft *s, struct soft_file *file, uint32_t events) {
    const struct soft_req *blocked = NULL; /* still in the list, so still there */
    SOFT_EACH(item, next, &file->waiters) {
        struct soft_req *r = SOFT_OF(struct soft_req, by_file, item);
        if (!(events & (r->want | ALWAYS)) || same_call(r, blocked)) continue;
        if (r->sqe.opcode == IORING_OP_POLL_ADD)
            soft_poll_event(s, r, events);
        else if (!soft_shoot(s, r))
            blocked = r;
    }
}

static void event(struct soft *s, uint64_t data, uint32_t events) {
    if (data == KICK) return;
    struct soft_file *file = soft_file_find(s, (int)(uint32_t)data);
    if (!file || !file->watched) return;
    if ((uint32_t)(data >> 32) != file->generation) {
        /* Of a file that had this number before. If it has it again, under a registration that
         * we had given up, then it is taken over, and told again what is ready. */
        if (!soft_list_empty(&file->waiters))
            control(s, EPOLL_CTL_MOD, file->fd, file->mask, label(file->generation, file->fd));
        return;
    }
    if (soft_list_empty(&file->waiters)) {
        /* Nobody cares for now: once, not at every byte that arrives. */
        control(s, EPOLL_CTL_DEL, file->fd, 0, 0);
        file->watched = false;
        return;
    }
    if (file_alive(s, file)) file_ready(s, file, events);
}

static int wait_events(struct soft *s, struct epoll_event *events, int64_t timeout_ns) {
#ifdef SYS_epoll_pwait2
    if (!s->no_pwait2) {
        struct timespec span = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        int n = (int)syscall(SYS_epoll_pwait2, s->epoll_fd, events, SOFT_EVENTS_MAX,
                             timeout_ns < 0 ? NULL : &span, NULL, 0);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n < 0 ? -errno : n;
        s->no_pwait2 = true;
    }
#endif
    int64_t timeout_ms = timeout_ns < 0 ? -1 : timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    if (timeout_ms > INT32_MAX) timeout_ms = INT32_MAX;
    int n = epoll_wait(s->epoll_fd, events, SOFT_EVENTS_MAX, (int)timeout_ms);
    return n < 0 ? -errno : n;
}

int soft_poll_events(struct soft *s, int64_t timeout_ns) {
    struct epoll_event events[SOFT_EVENTS_MAX];
    int n = wait_events(s, events, timeout_ns);
    if (s->sim && n > 0) sim_shuffle(s, events, n);
    for (int i = 0; i < n; i++) event(s, events[i].data.u64, events[i].events);
    return n < 0 ? n : 0;
}
