/* Threads for calls that may block: a bounded pool for disks, and a larger crew for calls that
 * may block for ever (a child to wait for, a FIFO to open), so that those never stand in the way
 * of a file.
 *
 * Knows: requests, threads, signals. A thread touches its request's SQE, res and `cancelled`, and
 * `struct soft_work` under its lock; everything else belongs to the thread that enters.
 *
 * A running call is cancelled by a signal, and a signal can come a moment too early, between the
 * look at `cancelled` and the system call. So it is sent again each millisecond until the call is
 * back. SIGURG: ignored by default, so nobody is hurt by a stray one, and Go made it customary.
 */
#include "soft.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct soft_worker {
    struct soft_list line; /* work->workers or work->ended */
    struct soft_work *work;
    struct soft_crew *crew;
    struct soft_req *job; /* under the lock; NULL: signals would hit nobody */
    pthread_t thread;
};

static void nothing(int signal) { (void)signal; }

/* Without SA_RESTART, so that the call comes back. A handler that the program has set stays: it
 * interrupts as well, unless it restarts, and then a cancel waits for the call's own end. */
static void interrupts_prepare(void) {
    struct sigaction action;
    if (sigaction(SIGURG, NULL, &action) < 0) return;
    if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) return;
    action = (struct sigaction){.sa_handler = nothing};
    sigaction(SIGURG, &action, NULL);
}

/* ── in the worker ── */

static int work_run(struct soft_req *r) {
    for (;;) {
        int res = rm_soft_rows[r->sqe.opcode].run(&r->sqe, false);
        if (res != -EINTR) return res;
        if (__atomic_load_n(&r->cancelled, __ATOMIC_RELAXED)) return -ECANCELED;
    }
}

/* The next request, or NULL when there was none for long or everything ends. Under the lock. */
static struct soft_req *work_next(struct soft_work *work, struct soft_crew *crew) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SOFT_IDLE_NS / 1000000000;
    int err = 0;
    crew->idle++;
    while (soft_list_empty(&crew->queue) && !work->stop && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&crew->wanted, &work->lock, &until);
    crew->idle--;
    if (soft_list_empty(&crew->queue)) return NULL;
    struct soft_req *r = SOFT_OF(struct soft_req, line, crew->queue.next);
    soft_list_del(&r->line);
    crew->queued--;
    return r;
}

static void work_done(struct soft_work *work, struct soft_req *r) {
    if (soft_list_empty(&work->done)) { /* one kick for all that come before the next look */
        __atomic_fetch_or(work->taskrun, IORING_SQ_TASKRUN, __ATOMIC_RELAXED);
        uint64_t one = 1;
        ssize_t written = write(work->kick_fd, &one, sizeof one);
        (void)written; /* it can only fail when it is readable already */
    }
    r->place = SOFT_DONE;
    soft_list_add(&work->done, &r->line);
    if (--work->running == 0) pthread_cond_signal(&work->idle);
}

static void *work_main(void *arg) {
    struct soft_worker *worker = arg;
    struct soft_work *work = worker->work;
    sigset_t urgent;
    sigemptyset(&urgent);
    sigaddset(&urgent, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &urgent, NULL);
    pthread_mutex_lock(&work->lock);
    for (struct soft_req *r; (r = work_next(work, worker->crew));) {
        worker->job = r;
        r->place = SOFT_RUNNING;
        work->running++;
        pthread_mutex_unlock(&work->lock);
        int res = work_run(r);
        pthread_mutex_lock(&work->lock);
        worker->job = NULL;
        r->res = res;
        work_done(work, r);
    }
    worker->crew->threads--;
    soft_list_del(&worker->line);
    soft_list_add(&work->ended, &worker->line);
    pthread_mutex_unlock(&work->lock);
    return NULL;
}

/* ── in the thread that enters ── */

static void work_begin(struct soft_work *work) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&work->lock, NULL);
    pthread_cond_init(&work->idle, &monotonic);
    for (int i = 0; i < SOFT_CREWS; i++) pthread_cond_init(&work->crews[i].wanted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    interrupts_prepare();
    work->begun = true;
}

void soft_work_init(struct soft *s, unsigned threads_max) {
    struct soft_work *work = &s->work;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads_max == 0) {
        threads_max = cpus > 0 ? (unsigned)cpus * SOFT_WORKERS_PER_CPU : SOFT_WORKERS_PER_CPU;
        if (threads_max > SOFT_WORKERS_MAX) threads_max = SOFT_WORKERS_MAX;
    }
    work->crews[SOFT_POOL].threads_max = threads_max;
    work->crews[SOFT_OWN].threads_max = SOFT_OWN_MAX;
    for (int i = 0; i < SOFT_CREWS; i++) soft_list_init(&work->crews[i].queue);
    soft_list_init(&work->workers);
    soft_list_init(&work->ended);
    soft_list_init(&work->done);
    work->taskrun = &s->sq_flags;
    work->kick_fd = s->kick_fd;
}

/* All signals are blocked from the thread's first instruction on: they belong to the program. */
static int worker_start(struct soft_work *work, struct soft_crew *crew) {
    struct soft_worker *worker = calloc(1, sizeof *worker);
    if (!worker) return -ENOMEM;
    worker->work = work;
    worker->crew = crew;
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, SOFT_STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&worker->thread, &attr, work_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (err) {
        free(worker);
        return -EAGAIN;
    }
    crew->threads++;
    soft_list_add(&work->workers, &worker->line);
    return 0;
}

int soft_work_add(struct soft *s, struct soft_req *r, enum soft_crew_id id) {
    struct soft_work *work = &s->work;
    struct soft_crew *crew = &work->crews[id];
    struct soft_file *file = NULL;
    int err = soft_has_file(r->sqe.opcode) ? soft_file_of(s, r->sqe.fd, &file) : 0;
    if (err < 0) return err;
    if (!work->begun) work_begin(work);
    pthread_mutex_lock(&work->lock);
    if (crew->queued >= crew->idle && crew->threads < crew->threads_max)
        err = worker_start(work, crew);
    if (err == 0 || crew->threads > 0) { /* fewer threads than wanted will do, none will not */
        err = 0;
        r->crew = (uint8_t)id;
        r->place = SOFT_QUEUED;
        soft_list_add(&crew->queue, &r->line);
        crew->queued++;
        pthread_cond_signal(&crew->wanted);
    }
    pthread_mutex_unlock(&work->lock);
    if (err < 0) return -ENOMEM;
    soft_park(s, r, SOFT_WORKING);
    if (file) {
        r->file = file;
        soft_list_del(&r->by_file);
        soft_list_add(&file->jobs, &r->by_file);
    }
    return 0;
}

static void workers_join(struct soft_list *ended) {
    SOFT_EACH(item, next, ended) {
        struct soft_worker *worker = SOFT_OF(struct soft_worker, line, item);
        pthread_join(worker->thread, NULL);
        free(worker);
    }
}

void soft_work_collect(struct soft *s) {
    struct soft_work *work = &s->work;
    if (!work->begun) return;
    struct soft_list done, ended;
    pthread_mutex_lock(&work->lock);
    soft_list_take(&work->done, &done);
    soft_list_take(&work->ended, &ended);
    __atomic_fetch_and(work->taskrun, ~IORING_SQ_TASKRUN, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&work->lock);
    while (!soft_list_empty(&done)) {
        struct soft_req *r = SOFT_OF(struct soft_req, line, done.next);
        soft_list_del(&r->line);
        s->nudging -= r->cancelled;
        soft_finish(s, r, r->res, r->bits & SOFT_TOOK ? r->cflags : 0);
    }
    workers_join(&ended);
}

/* Interrupt the thread that runs `r`, or all that run something cancelled. Under the lock, so
 * that the job cannot change meanwhile. */
static void interrupt(struct soft_work *work, const struct soft_req *r) {
    interrupts_prepare(); /* the program may have reset it */
    SOFT_EACH(item, next, &work->workers) {
        struct soft_worker *worker = SOFT_OF(struct soft_worker, line, item);
        if (worker->job && (r ? worker->job == r : worker->job->cancelled))
            pthread_kill(worker->thread, SIGURG);
    }
}

int soft_work_cancel(struct soft *s, struct soft_req *r) {
    struct soft_work *work = &s->work;
    int err = -EALREADY;
    pthread_mutex_lock(&work->lock);
    if (r->place == SOFT_RUNNING) {
        if (!r->cancelled) {
            __atomic_store_n(&r->cancelled, 1, __ATOMIC_RELAXED);
            s->nudging++;
        }
        interrupt(work, r);
    } else if (r->place == SOFT_QUEUED) {
        soft_list_del(&r->line);
        work->crews[r->crew].queued--;
        err = 0;
    }
    pthread_mutex_unlock(&work->lock);
    return err;
}

void soft_work_nudge(struct soft *s) {
    if (s->nudging == 0) return;
    int64_t now = rm_now_ns();
    if (now - s->nudged_ns < SOFT_NUDGE_NS) return;
    s->nudged_ns = now;
    pthread_mutex_lock(&s->work.lock);
    interrupt(&s->work, NULL);
    pthread_mutex_unlock(&s->work.lock);
}

/* ── the end ── */

void soft_undo(const struct soft_req *r) {
    switch (r->sqe.opcode) {
    case IORING_OP_ACCEPT:
    case IORING_OP_OPENAT:
    case IORING_OP_SOCKET:
        if (r->res >= 0) close(r->res);
        break;
    default: break;
    }
}

/* Under the lock: nothing begins any more, and what runs is interrupted until it has come back. */
static void work_stop(struct soft_work *work) {
    work->stop = true;
    for (int i = 0; i < SOFT_CREWS; i++) {
        soft_list_del(&work->crews[i].queue); /* an empty head again; the requests stay parked */
        pthread_cond_broadcast(&work->crews[i].wanted);
    }
    SOFT_EACH(item, next, &work->workers) {
        struct soft_req *r = SOFT_OF(struct soft_worker, line, item)->job;
        if (r) __atomic_store_n(&r->cancelled, 1, __ATOMIC_RELAXED);
    }
    while (work->running > 0) {
        interrupt(work, NULL);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += SOFT_NUDGE_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&work->idle, &work->lock, &until);
    }
}

void soft_work_close(struct soft *s) {
    struct soft_work *work = &s->work;
    if (!work->begun) return;
    pthread_mutex_lock(&work->lock);
    work_stop(work);
    while (!soft_list_empty(&work->workers)) { /* each moves itself to `ended` and ends */
        struct soft_worker *worker = SOFT_OF(struct soft_worker, line, work->workers.next);
        pthread_mutex_unlock(&work->lock);
        pthread_join(worker->thread, NULL);
        pthread_mutex_lock(&work->lock);
        soft_list_del(&worker->line);
        free(worker);
    }
    pthread_mutex_unlock(&work->lock);
    workers_join(&work->ended);
    SOFT_EACH(item, next, &work->done)
    soft_undo(SOFT_OF(struct soft_req, line, item));
    for (int i = 0; i < SOFT_CREWS; i++) pthread_cond_destroy(&work->crews[i].wanted);
    pthread_cond_destroy(&work->idle);
    pthread_mutex_destroy(&work->lock);
}
