/* The soft kernel from inside: what a request is, and who does what with it.
 *
 * Knows: struct rm_ring, epoll and threads. Must not know: Python, what an op means beyond its
 * SQE (that is soft_rows.c). Only soft*.c include this; the machine includes ring.h.
 *
 * A request is a private copy of its SQE and lives from soft_submit.c until soft_finish() has put
 * its last CQE. In between it is in exactly one state (enum soft_state), held by one owner:
 *
 *   soft_submit.c   takes SQEs, refuses what Linux refuses, binds chains
 *   soft_chain.c    starts, finishes: links, hardlinks, link timeouts
 *   soft_try.c      makes the call; multishot
 *   soft_message.c  RECVMSG that goes on, into provided buffers
 *   soft_rows.c     which call, and when: generated; soft_calls.c has those that need care
 *   soft_progress.c how much was asked for; what goes on after a short transfer
 *   soft_wait.c     epoll: who waits for which fd
 *   soft_poll.c     POLL_ADD, POLL_REMOVE
 *   soft_work.c     threads for calls that may block
 *   soft_timer.c    TIMEOUT, TIMEOUT_REMOVE, LINK_TIMEOUT
 *   soft_cancel.c   who is meant, and what becomes of it
 *   soft_buffers.c  provided buffer rings
 *   soft_fixed.c    registered files
 *   soft_cq.c       CQEs out; a backlog when there is no room
 *   soft_memory.c   requests, the table of user_data, lists of everybody in flight
 *
 * One thread enters; the threads of soft_work.c touch nothing but `struct soft_work` and the
 * request that they run. All functions with an int answer 0 or more, or -errno.
 */
#ifndef RM_SOFT_H
#define RM_SOFT_H

#include <pthread.h>
#include <stddef.h>

#include "ring.h"
#include "soft_row.h"

#define SOFT_EVENTS_MAX 256          /* epoll events per pass: 3 KiB of stack, then others */
#define SOFT_SHOTS_MAX 32            /* CQEs of one multishot op per pass, as Linux has it */
#define SOFT_IDLE_NS 5000000000      /* a worker without work ends after this */
#define SOFT_NUDGE_NS 1000000        /* how often a cancelled call is interrupted again */
#define SOFT_OWN_MAX 512             /* threads for calls that may block for ever */
#define SOFT_WORKERS_MAX 32          /* bounded pool, unless the config says a number */
#define SOFT_WORKERS_PER_CPU 4
#define SOFT_STACK_SIZE (256 * 1024) /* a worker makes one call; sanitizers want some more */
#define SOFT_SLAB 64                 /* requests per allocation */
#define SOFT_BUCKETS_MIN 256         /* of the user_data table; a power of two */
#define SOFT_NO_INDEX UINT32_MAX     /* not in the timer heap */

struct soft_list {
    struct soft_list *next, *prev;
};

enum soft_state {
    SOFT_NEW,     /* its call is being made just now, or it stands behind another in a chain */
    SOFT_WAITING, /* for an fd: in file->waiters */
    SOFT_WORKING, /* in a worker's queue or running there: in file->jobs */
    SOFT_TIMED,   /* a TIMEOUT in the heap */
    SOFT_LINKED,  /* a LINK_TIMEOUT in the heap, beside its target */
    SOFT_OVER,    /* done; only its CQE waits for room */
    SOFT_DELAYED, /* sim: in the heap, to be started later */
    SOFT_HELD,    /* sim: done, in the heap, to be told later */
};

/* Where a SOFT_WORKING request is; only under the lock of soft_work. */
enum soft_place { SOFT_QUEUED, SOFT_RUNNING, SOFT_DONE };

enum soft_bits {
    SOFT_MULTI = 1 << 0,      /* posts until it ends */
    SOFT_DONTWAIT = 1 << 1,   /* the program asked for -EAGAIN */
    SOFT_CONNECTING = 1 << 2, /* connect() said EINPROGRESS: ask the socket for the outcome */
    SOFT_AGAIN = 1 << 3,      /* in soft->again: it had its share of this pass (or sim->polled) */
    SOFT_TOOK = 1 << 4,       /* a worker fills a provided buffer, already taken */
    SOFT_COUNTED = 1 << 5,    /* a TIMEOUT in soft->counted */
    SOFT_IN_TABLE = 1 << 6,   /* can be found by user_data */
};

/* One fd number, as epoll sees it. Numbers are closed and used again behind our back. */
struct soft_file {
    int fd;
    bool watched;            /* we believe that it is in the epoll set, with `generation` */
    uint32_t generation;     /* of that registration; epoll hands it back with each event */
    uint32_t mask;           /* what it was registered for */
    struct soft_list waiters; /* requests by_file, SOFT_WAITING */
    struct soft_list jobs;    /* requests by_file, SOFT_WORKING */
};

struct soft_req {
    struct io_uring_sqe sqe;     /* ours: buffer selection and progress change it */
    struct soft_list by_id;      /* soft->table */
    struct soft_list by_file;    /* soft_file.waiters or .jobs */
    struct soft_list all;        /* soft->parked */
    struct soft_list line; /* soft->again, ->starts, ->counted, ->backlog … or a crew's queue */
    struct soft_file *file;
    struct soft_req *chain; /* runs after this one */
    struct soft_req *timeout; /* LINK_TIMEOUT that is armed for this one */
    struct soft_req *target; /* of a LINK_TIMEOUT */
    void *more; /* advanced copy of an iovec or msghdr, or NULL */
    int64_t deadline_ns; /* by rm_clock() */
    int64_t interval_ns; /* as the program gave it */
    uint32_t heap_index;
    uint32_t sequence; /* a counted TIMEOUT ends when as many CQEs were posted */
    uint32_t want; /* EPOLLIN … */
    uint32_t asked; /* bytes: less means a short transfer */
    uint32_t done; /* bytes of it that earlier calls moved */
    int res;
    uint32_t cflags;
    uint8_t state, bits, place, crew;
    uint8_t cancelled; /* asked for while it runs; workers read it, so atomically */
    uint8_t lied; /* enum sim_bits */
};

struct soft_group {
    struct io_uring_buf_ring *ring; /* the program's memory; it writes the tail */
    uint16_t head, mask;
};

/* ── workers (soft_work.c) ── */

enum soft_crew_id { SOFT_POOL, SOFT_OWN, SOFT_CREWS };

struct soft_crew {
    pthread_cond_t wanted;
    struct soft_list queue;
    unsigned queued, threads, idle, threads_max;
};

struct soft_work {
    pthread_mutex_t lock; /* guards everything here */
    struct soft_crew crews[SOFT_CREWS];
    struct soft_list workers; /* alive */
    struct soft_list ended; /* to be joined */
    struct soft_list done; /* requests whose call came back */
    pthread_cond_t idle; /* nothing runs any more: close waits for it */
    unsigned running;
    unsigned *taskrun; /* the SQ flags: TASKRUN while `done` is not empty */
    int kick_fd;
    bool begun, stop;
};

/* ── everything ── */

struct soft {
    struct rm_ring *ring;
    unsigned sq_head, sq_tail, sq_flags, cq_head, cq_tail; /* what the ring's pointers point at */
    int epoll_fd, kick_fd, timer_fd; /* timer_fd: -1 until a timer is wanted from outside */
    int64_t timer_armed_ns;
    bool no_pwait2; /* epoll_pwait2 (5.11) is missing: milliseconds */
    /* requests */
    struct soft_req *free; /* through ->chain */
    struct soft_slab *slabs;
    struct soft_list *table; /* by user_data */
    unsigned table_size, table_used;
    struct soft_list parked; /* WAITING, WORKING, TIMED */
    struct soft_list starts; /* successors in a chain: started by a loop, not by recursion */
    struct soft_list again, counted, backlog;
    struct soft_list condemned; /* cancelled, to be told after the op that cancelled them */
    uint32_t posted; /* CQEs that count for counted timeouts */
    unsigned nudging; /* calls that were asked to stop and have not yet */
    int64_t nudged_ns;
    /* fds */
    struct soft_file **files;
    unsigned files_size;
    uint32_t generation;
    /* timers: a binary heap */
    struct soft_req **heap;
    unsigned heap_count, heap_size;
    /* buffer groups by id */
    struct soft_group **groups;
    unsigned groups_size;
    /* registered files: descriptors, -1 where there is none */
    int *fixed;
    unsigned fixed_size;
    struct soft_work work;
    struct sim *sim; /* NULL: it does what it says */
};

/* ── lists ── */

static inline void soft_list_init(struct soft_list *l) { l->next = l->prev = l; }
static inline bool soft_list_empty(const struct soft_list *l) { return l->next == l; }
static inline void soft_list_add(struct soft_list *at, struct soft_list *item) {
    item->prev = at->prev;
    item->next = at;
    at->prev->next = item;
    at->prev = item;
}
static inline void soft_list_del(struct soft_list *item) {
    item->prev->next = item->next;
    item->next->prev = item->prev;
    soft_list_init(item);
}
/* Empty `from` into the uninitialised head `to`. */
static inline void soft_list_take(struct soft_list *from, struct soft_list *to) {
    soft_list_add(from, to); /* a second head ... */
    soft_list_del(from);     /* ... is the only one now */
}
/* Safe when the body takes `item` out; not when it takes the next one out. */
#define SOFT_EACH(item, next_, list)                                                               \
    for (struct soft_list *item = (list)->next, *next_ = item->next; item != (list);               \
         item = next_, next_ = item->next)
#define SOFT_OF(type, field, item) ((type *)((char *)(item) - offsetof(type, field)))

/* soft_memory.c */
int soft_memory_init(struct soft *s);
void soft_memory_free(struct soft *s);
struct soft_req *soft_new(struct soft *s);
void soft_free(struct soft *s, struct soft_req *r);
void soft_park(struct soft *s, struct soft_req *r,
               enum soft_state state); /* can be cancelled now */
void soft_unpark(struct soft *s, struct soft_req *r);
struct soft_list *soft_bucket(struct soft *s, uint64_t user_data);
int soft_file_of(struct soft *s, int fd, struct soft_file **found); /* makes its entry */
struct soft_file *soft_file_find(struct soft *s, int fd);

/* soft_cq.c */
bool soft_post(struct soft *s, const struct io_uring_sqe *sqe, int res,
               uint32_t cflags); /* not the last; false: no room */
void soft_deliver(struct soft *s, struct soft_req *r); /* the last CQE; frees r, now or later */
void soft_flush(struct soft *s); /* backlog into the ring */
static inline unsigned soft_ready_count(const struct soft *s) {
    return s->cq_tail - rm_load(&s->cq_head);
}

/* soft_submit.c */
int soft_submit(struct soft *s, unsigned count); /* SQEs taken */

/* soft_chain.c */
uint64_t soft_opcodes(void); /* what this kernel executes */
void soft_start(struct soft *s, struct soft_req *r);
void soft_start_all(struct soft *s); /* what soft_finish() left in s->starts */
void soft_finish(struct soft *s, struct soft_req *r, int res, uint32_t cflags);
void soft_fail_chain(struct soft *s, struct soft_req *first, bool silent);

/* soft_try.c */
void soft_try(struct soft *s, struct soft_req *r); /* call; else wait for the fd; else a worker */
bool soft_shoot(struct soft *s, struct soft_req *r); /* false: nothing there */
void soft_again(struct soft *s);
void soft_hand_over(struct soft *s, struct soft_req *r, enum soft_crew_id crew);

/* soft_message.c */
int soft_message_prep(struct soft_req *r);
/* Receive one into the buffer that `selected` points to. */
int soft_message(const struct soft_req *r, const struct io_uring_sqe *selected);
bool soft_message_is_empty(const struct soft_req *r, int res);

/* soft_progress.c; more in soft_progress.h */
uint32_t soft_asked(const struct io_uring_sqe *sqe); /* bytes, or 0 when it moves none */
bool soft_on_disk(const struct soft_req *r); /* a read or write where poll tells nothing */
bool soft_has_file(uint8_t opcode); /* is sqe->fd what the op is about? */

/* soft_wait.c */
/* Wait. 1: the registration is new, so what is ready now will be told; 0: only what becomes ready
 * from now on; -EPERM: epoll refuses this file. */
int soft_watch(struct soft *s, struct soft_req *r);
void soft_forsake(struct soft *s, int fd); /* the fd is being closed */
int soft_watch_kick(struct soft *s, int fd); /* only to be woken */
int soft_poll_events(struct soft *s, int64_t timeout_ns);

/* soft_poll.c */
void soft_poll_add(struct soft *s, struct soft_req *r);
void soft_poll_remove(struct soft *s, struct soft_req *r);
void soft_poll_event(struct soft *s, struct soft_req *r, uint32_t events);

/* soft_work.c */
void soft_work_init(struct soft *s, unsigned threads_max);
int soft_work_add(struct soft *s, struct soft_req *r, enum soft_crew_id crew);
void soft_work_collect(struct soft *s); /* finish what came back, join threads that ended */
int soft_work_cancel(struct soft *s, struct soft_req *r); /* 0: taken out; -EALREADY: it runs */
void soft_work_nudge(struct soft *s);
void soft_undo(const struct soft_req *r); /* close an fd that nobody will ever hear of */
void soft_work_close(struct soft *s); /* no thread is left, nothing is queued or running */

/* soft_timer.c */
int soft_timer_prep(struct soft_req *r); /* copy the timespec: it need not live longer */
void soft_timeout(struct soft *s, struct soft_req *r);
void soft_timeout_remove(struct soft *s, struct soft_req *r);
int soft_link_timeout_arm(struct soft *s, struct soft_req *r, struct soft_req *target);
int soft_timer_add(struct soft *s, struct soft_req *r); /* by its deadline_ns */
void soft_timer_del(struct soft *s, struct soft_req *r);
int64_t soft_timer_next_ns(const struct soft *s); /* RM_FOREVER: none */
void soft_timers_run(struct soft *s);
void soft_counted_run(struct soft *s);

/* soft_cancel.c */
void soft_cancel_op(struct soft *s, struct soft_req *r);
/* 0: it will end with -ECANCELED, in soft_execute(); -EALREADY: it runs, and was interrupted.
 * In two steps, since in Linux whoever cancels is told first. */
int soft_cancel(struct soft *s, struct soft_req *r);
void soft_execute(struct soft *s);

/* soft_fixed.c */
int soft_fixed_register(struct soft *s, const int *fds, unsigned n);
int soft_fixed_unregister(struct soft *s);
void soft_fixed_free(struct soft *s);
int soft_fixed_prep(const struct soft *s, const struct io_uring_sqe *sqe);
int soft_fixed_resolve(struct soft *s, struct soft_req *r);
int soft_fixed_install(struct soft *s, const struct soft_req *r, int res);

/* soft_buffers.c */
int soft_buffers_register(struct soft *s, const struct io_uring_buf_reg *reg);
int soft_buffers_unregister(struct soft *s, const struct io_uring_buf_reg *reg);
void soft_buffers_free(struct soft *s);
/* Look at the next buffer of the SQE's group and put it into `sqe`; -ENOBUFS. Taken by commit. */
int soft_buffer_peek(struct soft *s, struct io_uring_sqe *sqe, uint32_t *cflags);
void soft_buffer_commit(struct soft *s, uint16_t group);

#endif
