/* The lying kernel's seam: soft's, with refusals, a virtual clock, and nobody else at work.
 *
 * Knows: the order of a pass (soft.c). Must not know: what a lie does to an op (sim_lies.c).
 *
 * The clock stands still while anybody has something to do, and jumps to the next deadline when
 * nobody has. What comes from outside (other threads, other processes) is waited for in real time
 * when there is no deadline, and for `patience_ns` before a jump.
 */
#include "sim.h"

#include <stdlib.h>
#include <unistd.h>

/* ── setup, close ── */

static int sim_setup(struct rm_ring *ring, const struct rm_config *config) {
    if (!config->lies) return -EINVAL;
    int err = rm_soft.setup(ring, config);
    if (err < 0) return err;
    struct soft *s = ring->state;
    struct sim *sim = calloc(1, sizeof *sim);
    if (!sim) {
        rm_soft.close(ring);
        return -ENOMEM;
    }
    soft_list_init(&sim->polled);
    sim->lies = config->lies;
    sim->dice = config->lies->seed;
    sim->lies->clock_ns = RM_CLOCK_BEGIN_NS;
    s->sim = sim;
    ring->clock_ns = &sim->lies->clock_ns;
    for (unsigned op = 0; op < RM_OPCODES; op++)
        if (rm_soft_rows[op].how == RM_IN_OWN_WORKER && !sim_knows((uint8_t)op))
            ring->opcodes &= ~(UINT64_C(1) << op);
    return 0;
}

static int sim_enroll(struct rm_ring *ring, unsigned opcode, void *arg, unsigned n) {
    return rm_soft.enroll(ring, opcode, arg, n);
}

/* What brought an fd, and was to be told later, never will be. */
static void sim_close(struct rm_ring *ring) {
    struct soft *s = ring->state;
    if (!s) return;
    for (unsigned i = 0; i < s->heap_count; i++)
        if (s->heap[i]->state == SOFT_HELD) soft_undo(s->heap[i]);
    SOFT_EACH(item, next, &s->backlog)
    soft_undo(SOFT_OF(struct soft_req, line, item));
    rm_soft.close(ring);
}

static void sim_forget(struct rm_ring *ring) { rm_soft.forget(ring); }

/* ── enter ── */

static int sim_enter(struct rm_ring *ring, unsigned submit, unsigned wait, int64_t timeout_ns) {
    struct soft *s = ring->state;
    struct sim *sim = s->sim;
    sim->lies->clock_ns += SIM_TICK_NS;
    if ((submit == 0 && wait == 0) || !sim_lies(sim, RM_REFUSE))
        return rm_soft.enter(ring, submit, wait, timeout_ns);
    int error = submit == 0 || (wait && sim_roll(sim, 2)) ? EINTR
                : sim_roll(sim, 2)                        ? EBUSY
                                                          : EAGAIN;
    sim_tell(sim, RM_REFUSE, NULL, -error);
    if (error == EINTR) { /* a signal ends the wait, not the submission */
        int taken = rm_soft.enter(ring, submit, 0, 0);
        if (taken < 0) return taken;
        ring->submitted += (unsigned)taken;
    }
    return -error;
}

int64_t sim_patience(const struct soft *s, int64_t next_ns) {
    const struct sim *sim = s->sim;
    bool polls = !soft_list_empty(&sim->polled);
    if (!soft_list_empty(&s->backlog)) return 0; /* no room was a lie: look again */
    if (next_ns == RM_FOREVER) return polls ? SIM_POLL_NS : RM_FOREVER;
    /* A lie comes true at its own time: nobody outside has a part in it. */
    bool own = s->heap_count && s->heap[0]->state >= SOFT_DELAYED;
    if (next_ns <= sim->lies->clock_ns || own) return 0;
    int64_t patience = sim->lies->patience_ns;
    return polls && patience > SIM_POLL_NS ? SIM_POLL_NS : patience;
}

void sim_jump(struct soft *s, int64_t next_ns) {
    struct sim *sim = s->sim;
    bool moved = sim->moved;
    sim->moved = false;
    if (moved || next_ns == RM_FOREVER || next_ns <= sim->lies->clock_ns) return;
    if (!soft_list_empty(&s->again) || !soft_list_empty(&s->starts)
        || !soft_list_empty(&s->backlog))
        return;
    sim->lies->clock_ns = next_ns;
    sim_tell(sim, RM_JUMP, NULL, 0);
}

/* ── instead of threads ── */

static int call_blocking(const struct soft_req *r, const struct io_uring_sqe *sqe) {
    (void)r;
    int res;
    do res = rm_soft_rows[sqe->opcode].run(sqe, false);
    while (res == -EINTR);
    return res;
}

static uint32_t cflags_of(const struct soft_req *r) { return r->bits & SOFT_TOOK ? r->cflags : 0; }

/* Tried anew in each pass. In a list, and to be found by those who cancel. */
static void wait_polled(struct soft *s, struct soft_req *r) {
    soft_park(s, r, SOFT_WAITING);
    r->bits |= SOFT_AGAIN;
    soft_list_add(&s->sim->polled, &r->line);
}

/* A disk takes its time in our own thread. What might wait for ever is tried again and again. */
void sim_hand_over(struct soft *s, struct soft_req *r, enum soft_crew_id crew) {
    int res = crew == SOFT_POOL ? sim_run(s, r, &r->sqe, call_blocking) : sim_try(r, false);
    if (res == SIM_NOT_YET)
        wait_polled(s, r);
    else
        soft_finish(s, r, res, cflags_of(r));
}

void sim_poll(struct soft *s) {
    struct soft_list round;
    if (soft_list_empty(&s->sim->polled)) return;
    soft_list_take(&s->sim->polled, &round);
    while (!soft_list_empty(&round)) {
        struct soft_req *r = SOFT_OF(struct soft_req, line, round.next);
        soft_list_del(&r->line);
        int res = sim_try(r, true);
        if (res == SIM_NOT_YET) {
            soft_list_add(&s->sim->polled, &r->line);
            continue;
        }
        s->sim->moved = true;
        soft_finish(s, r, res, cflags_of(r));
    }
}

const struct rm_kernel rm_sim = {
    .name = "sim",
    .setup = sim_setup,
    .enter = sim_enter,
    .enroll = sim_enroll,
    .close = sim_close,
    .forget = sim_forget,
};
