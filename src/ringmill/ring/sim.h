/* The lying kernel: the soft kernel with dice, a clock of its own and no threads.
 *
 * Where soft*.c could do one thing or another and both were right, it asks here. Every answer comes
 * from one seed, in the order of the questions, so the same program hears the same story again:
 *
 *   sim.c        the seam: refuses enters, keeps the clock, replaces the worker threads
 *   sim_lies.c   the lies, one function each, and the story
 *   sim_cut.c    shorter transfers
 *   sim_calls.c  calls that may block for ever, in a form that does not block
 *
 * No lie breaks a promise of io_uring or of the system call itself: what must be whole stays whole,
 * results of one op keep their order, a chain's too, and no byte that was moved is hidden.
 */
#ifndef RM_SIM_H
#define RM_SIM_H

#include <sys/epoll.h>

#include "lies.h"
#include "soft.h"

#define SIM_TICK_NS 1000 /* the clock moves with each enter: who only yields must not stop it */
#define SIM_MOMENT_NS 10000 /* how long a reordered result stands back */
#define SIM_POLL_NS 1000000 /* between two looks at a child or a futex, in real time */
#define SIM_STUBBORN_MAX 8 /* the same refusal in a row: then even this kernel gives in */

#define SIM_NOT_YET (-4001) /* not an errno: EAGAIN is an answer of a futex */

/* What has been done to a request; soft_req.lied. */
enum sim_bits {
    SIM_BEGUN = 1 << 0, /* its beginning has been thought about */
    SIM_HELD = 1 << 1, /* its end, too */
    SIM_SHORT = 1 << 2, /* its transfer was cut: what is missing is not made up for */
};

struct sim {
    struct rm_lies *lies;
    uint64_t dice;
    struct soft_list polled; /* requests whose call is tried again in each pass, by `line` */
    unsigned in_a_row[RM_RATES];
    bool moved; /* this pass has brought something: the clock stands still */
    bool overflowing; /* the backlog stays for this pass */
};

/* sim_lies.c */
uint64_t sim_roll(struct sim *sim, uint64_t sides); /* 0 … sides - 1 */
bool sim_lies(struct sim *sim, enum rm_what lie); /* does it, this time? */
void sim_tell(struct sim *sim, enum rm_what what, const struct io_uring_sqe *sqe, int result);
bool sim_starts(struct soft *s, struct soft_req *r); /* true: not now, or it has failed */
bool sim_holds(struct soft *s, struct soft_req *r); /* true: its CQE comes later */
void sim_due(struct soft *s, struct soft_req *r); /* later has come */
bool sim_ends(struct soft *s, const struct soft_req *r);
bool sim_overflows(struct soft *s);
bool sim_starves(struct soft *s, const struct io_uring_sqe *sqe);
int sim_misses(struct soft *s, const struct io_uring_sqe *sqe); /* a cancel's answer, or 0 */
void sim_shuffle(struct soft *s, struct epoll_event *events, int n);

/* sim_cut.c */
typedef int sim_call(const struct soft_req *r, const struct io_uring_sqe *sqe);
int sim_run(struct soft *s, struct soft_req *r, const struct io_uring_sqe *sqe, sim_call *call);

/* sim_calls.c */
bool sim_knows(uint8_t opcode); /* is there a form of it that does not block? */
int sim_try(struct soft_req *r, bool again); /* SIM_NOT_YET, or its result */
int sim_at_once(struct soft *s, const struct io_uring_sqe *sqe);

/* sim.c */
void sim_hand_over(struct soft *s, struct soft_req *r, enum soft_crew_id crew);
void sim_poll(struct soft *s);
int64_t sim_patience(const struct soft *s, int64_t next_ns);
void sim_jump(struct soft *s, int64_t next_ns);

#endif
