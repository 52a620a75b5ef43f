/* The lies, one function each, and the story that is told of them.
 *
 * Knows: what io_uring leaves open. Each function throws the dice only when its lie would be
 * allowed; a rate of nothing throws none.
 */
#include "sim.h"

#include <unistd.h>

/* ── dice ── */

/* splitmix64: every seed is a good one, and the state is one number. */
static uint64_t dice(struct sim *sim) {
    uint64_t z = (sim->dice += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t sim_roll(struct sim *sim, uint64_t sides) { return dice(sim) % sides; }

static bool chance(struct sim *sim, double rate) {
    return rate > 0 && (double)(dice(sim) >> 11) * 0x1p-53 < rate;
}

/* Without an end to it, these would not slow a program down but stop it. */
static bool may_stop(enum rm_what lie) {
    return lie == RM_LATE_CANCEL || lie == RM_STARVE || lie == RM_REFUSE;
}

bool sim_lies(struct sim *sim, enum rm_what lie) {
    if (!chance(sim, sim->lies->rates[lie])
        || (may_stop(lie) && sim->in_a_row[lie] >= SIM_STUBBORN_MAX)) {
        sim->in_a_row[lie] = 0;
        return false;
    }
    sim->in_a_row[lie]++;
    return true;
}

/* ── the story ── */

/* Numbers of descriptors and children are the process's, not the story's. */
static int told(uint8_t opcode, int result) {
    switch (opcode) {
    case IORING_OP_ACCEPT:
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2:
    case IORING_OP_SOCKET: return result < 0 ? result : 0;
    default: return result;
    }
}

static uint64_t mixed(uint64_t print, uint64_t value) {
    print = (print ^ value) * UINT64_C(0x9FB21C651E98DF25);
    return print ^ (print >> 32);
}

void sim_tell(struct sim *sim, enum rm_what what, const struct io_uring_sqe *sqe, int result) {
    struct rm_lies *lies = sim->lies;
    struct rm_event *event = &lies->story[lies->events++ % RM_STORY_MAX];
    event->at_ns = lies->clock_ns - RM_CLOCK_BEGIN_NS;
    event->what = (uint8_t)what;
    event->opcode = sqe ? sqe->opcode : 0;
    event->user_data = sqe ? sqe->user_data : 0;
    event->result = sqe ? told(sqe->opcode, result) : result;
    lies->counts[what]++;
    uint64_t print = mixed(lies->fingerprint, (uint64_t)event->at_ns);
    print = mixed(print, event->user_data);
    print =
        mixed(print, (uint64_t)(uint32_t)event->result << 16 | event->what << 8 | event->opcode);
    lies->fingerprint = print;
}

/* ── beginnings and ends ── */

/* Timers know when themselves; a poll that is changed must be found as a poll. */
static bool may_wait(uint8_t opcode) {
    return opcode != IORING_OP_TIMEOUT && opcode != IORING_OP_TIMEOUT_REMOVE
           && opcode != IORING_OP_POLL_REMOVE;
}

static bool later(struct soft *s, struct soft_req *r, int64_t most_ns) {
    int64_t deadline_ns = r->deadline_ns;
    r->deadline_ns = s->sim->lies->clock_ns + 1 + (int64_t)sim_roll(s->sim, (uint64_t)most_ns);
    if (soft_timer_add(s, r) == 0) return true;
    r->deadline_ns = deadline_ns;
    return false; /* no memory for a lie */
}

/* Nobody but the program is lied to: ops of the machine's own have small numbers. */
static int fault_of(struct sim *sim, const struct soft_req *r) {
    const struct rm_lies *lies = sim->lies;
    if (r->sqe.user_data >> 32 == 0) return 0;
    for (unsigned i = 0; i < lies->faults_count; i++)
        if (lies->faults[i].opcode == r->sqe.opcode && chance(sim, lies->faults[i].rate))
            return lies->faults[i].error;
    return 0;
}

bool sim_starts(struct soft *s, struct soft_req *r) {
    struct sim *sim = s->sim;
    if (!(r->lied & SIM_BEGUN)) {
        r->lied |= SIM_BEGUN;
        if (may_wait(r->sqe.opcode) && sim_lies(sim, RM_DELAY)
            && later(s, r, sim->lies->delay_ns)) {
            sim_tell(sim, RM_DELAY, &r->sqe, 0);
            soft_park(s, r, SOFT_DELAYED);
            return true;
        }
    }
    int error = fault_of(sim, r);
    if (!error) return false;
    sim_tell(sim, RM_FAULT, &r->sqe, -error);
    if (r->sqe.opcode == IORING_OP_CLOSE) /* whatever it says, the number is free afterwards */
        rm_soft_rows[IORING_OP_CLOSE].run(&r->sqe, true);
    soft_finish(s, r, -error, 0);
    return true;
}

/* Before another of its chain begins a result is told: only the last may stand back. */
bool sim_holds(struct soft *s, struct soft_req *r) {
    struct sim *sim = s->sim;
    if ((r->lied & SIM_HELD) || (r->sqe.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK))) return false;
    r->lied |= SIM_HELD;
    enum rm_what lie = sim_lies(sim, RM_DELAY) ? RM_DELAY : RM_REORDER;
    if (lie == RM_REORDER && !sim_lies(sim, RM_REORDER)) return false;
    if (!later(s, r, lie == RM_DELAY ? sim->lies->delay_ns : SIM_MOMENT_NS)) return false;
    sim_tell(sim, lie, &r->sqe, r->res);
    r->state = SOFT_HELD;
    return true;
}

void sim_due(struct soft *s, struct soft_req *r) {
    s->sim->moved = true;
    if (r->state == SOFT_HELD) {
        soft_deliver(s, r);
        return;
    }
    soft_unpark(s, r);
    soft_start(s, r);
}

/* ── on the way ── */

bool sim_ends(struct soft *s, const struct soft_req *r) {
    if (!sim_lies(s->sim, RM_END_MULTI)) return false;
    sim_tell(s->sim, RM_END_MULTI, &r->sqe, 0);
    return true;
}

bool sim_overflows(struct soft *s) {
    if (!sim_lies(s->sim, RM_OVERFLOW)) return false;
    sim_tell(s->sim, RM_OVERFLOW, NULL, 0);
    s->sim->overflowing = true;
    return true;
}

bool sim_starves(struct soft *s, const struct io_uring_sqe *sqe) {
    if (!sim_lies(s->sim, RM_STARVE)) return false;
    sim_tell(s->sim, RM_STARVE, sqe, -ENOBUFS);
    return true;
}

/* On its way from one list to another, or on a processor just now: who knows? */
int sim_misses(struct soft *s, const struct io_uring_sqe *sqe) {
    const uint32_t many = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY;
    if ((sqe->cancel_flags & many) || !sim_lies(s->sim, RM_LATE_CANCEL)) return 0;
    int res = sim_roll(s->sim, 2) ? -EALREADY : -ENOENT;
    sim_tell(s->sim, RM_LATE_CANCEL, sqe, res);
    return res;
}

/* In the order in which they were first waited for, whatever the kernel says: then thrown up. */
void sim_shuffle(struct soft *s, struct epoll_event *events, int n) {
    struct sim *sim = s->sim;
    s->sim->moved = true;
    for (int i = 1; i < n; i++) { /* few, and nearly sorted */
        struct epoll_event event = events[i];
        int at = i;
        for (; at > 0 && events[at - 1].data.u64 > event.data.u64; at--)
            events[at] = events[at - 1];
        events[at] = event;
    }
    if (sim->lies->rates[RM_REORDER] <= 0) return;
    for (int i = n - 1; i > 0; i--) {
        int other = (int)sim_roll(sim, (uint64_t)i + 1);
        struct epoll_event event = events[i];
        events[i] = events[other];
        events[other] = event;
    }
}
