/* The soft kernel's threads: what is queued, what runs, what is interrupted, what is left. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include "blocked.h"
#include "soft.h"
#include "twin_check.h"

static void wait_for_threads(int count) {
    while (check_count("task") < count) usleep(1000);
}

static void a_running_call_is_interrupted(struct rm_ring *ring) {
    for (int i = 0; i < 20; i++) {
        push_blocked(ring, 0);
        if (i % 2) submit(ring); /* sometimes it runs already, sometimes it is queued */
        push_cancel(ring, 0, 1);
        struct check_cqe cqes[2];
        gather(ring, 2, cqes);
        CHECK_EQUAL(cqes[0].res, -ECANCELED);
        CHECK(cqes[1].res == 0 || cqes[1].res == -EALREADY);
    }
}

static void a_link_timeout_interrupts(struct rm_ring *ring) {
    static const struct __kernel_timespec soon = {0, SOON_NS};
    push_blocked(ring, 0);
    ring->sqes[(ring->sq_tail - 1) & ring->sq_mask].flags = IOSQE_IO_LINK;
    push_time(ring, IORING_OP_LINK_TIMEOUT, &soon, 1);
    struct check_cqe cqes[2];
    gather(ring, 2, cqes);
    CHECK_EQUAL(cqes[0].res, -ECANCELED);
    CHECK(cqes[1].res == -EALREADY || cqes[1].res == -ETIME);
}

static void a_call_that_ends_keeps_its_result(struct rm_ring *ring) {
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    push_waitid(ring, child, 0);
    submit(ring);
    wait_for_threads(2);
    kill(child, SIGKILL);
    struct pollfd told = {.fd = ring->fd, .events = POLLIN};
    CHECK_EQUAL(poll(&told, 1, -1), 1); /* the call has come back; nobody has looked yet */
    push_cancel(ring, 0, 1);
    struct check_cqe cqes[2];
    gather(ring, 2, cqes);
    CHECK_EQUAL(cqes[0].res, 0);
    CHECK(cqes[1].res == -EALREADY || cqes[1].res == -ENOENT);
    waitpid(child, NULL, 0);
}

static void those_who_block_for_ever_do_not_stop_files(struct rm_ring *ring) {
    int fd = open("plain", O_CREAT | O_RDWR, 0600);
    for (unsigned i = 0; i < 2 * SOFT_WORKERS_MAX; i++) {
        push_blocked(ring, 1);
        if (rm_sq_room(ring) == 0) submit(ring);
    }
    rm_push(ring, IORING_OP_FSYNC, fd, 2);
    expect(ring, 2, 0);
    close(fd);
}

static void the_pool_is_bounded(struct rm_ring *ring) {
    struct rm_config config = check_config(64, 128);
    struct rm_ring small;
    int threads = check_count("task"), fd = open("plain", O_CREAT | O_RDWR, 0600);
    (void)ring;
    config.workers_max = 2;
    CHECK_EQUAL(rm_open(&small, &rm_soft, &config), 0);
    for (int i = 0; i < 64; i++) rm_push(&small, IORING_OP_FSYNC, fd, 1);
    submit(&small);
    CHECK(check_count("task") <= threads + 2);
    for (int i = 0; i < 64; i++) expect(&small, 1, 0);
    rm_close(&small);
    close(fd);
}

static void cancel_takes_out_of_the_queue(struct rm_ring *ring) {
    for (unsigned i = 0; i < SOFT_OWN_MAX; i++) { /* more than these have no thread */
        push_blocked(ring, 1);
        if (rm_sq_room(ring) == 0) submit(ring);
    }
    push_blocked(ring, 2);
    push_cancel(ring, 2, 3);
    submit(ring);
    expect(ring, 3, 0);
    expect(ring, 2, -ECANCELED);
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_ASYNC_CANCEL, -1, 4);
    sqe->cancel_flags = IORING_ASYNC_CANCEL_ANY;
    expect(ring, 4, SOFT_OWN_MAX);
    for (unsigned i = 0; i < SOFT_OWN_MAX; i++) expect(ring, 1, -ECANCELED);
}

static void cancel_by_fd_finds_workers(struct rm_ring *ring) {
    int in[2], out[2];
    CHECK_EQUAL(pipe(in), 0);
    CHECK_EQUAL(pipe(out), 0);
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_SPLICE, out[1], 0);
    sqe->splice_fd_in = in[0];
    sqe->splice_off_in = sqe->off = UINT64_MAX;
    sqe->len = 100;
    expect_nothing(ring);
    sqe = rm_push(ring, IORING_OP_ASYNC_CANCEL, out[1], 1);
    sqe->cancel_flags = IORING_ASYNC_CANCEL_FD;
    struct check_cqe cqes[2];
    gather(ring, 2, cqes);
    CHECK_EQUAL(cqes[0].res, -ECANCELED);
    CHECK(cqes[1].res == -EALREADY || cqes[1].res == 0); /* 0: it had not begun yet */
    close(in[0]), close(in[1]), close(out[0]), close(out[1]);
}

/* The case's own check of threads and fds after the close is the point. */
static void closing_ends_everything(struct rm_ring *ring) {
    static char buffer[8];
    int pair[2], fd = open("plain", O_CREAT | O_RDWR, 0600);
    check_pair(pair);
    for (uint64_t i = 0; i < 20; i++) {
        push_blocked(ring, i);
        rm_push(ring, IORING_OP_FSYNC, fd, i);
        check_push_recv(ring, pair[0], buffer, 8, i);
    }
    submit(ring);
    close(pair[0]), close(pair[1]), close(fd);
}

static void an_fd_nobody_will_hear_of_is_closed(struct rm_ring *ring) {
    struct io_uring_sqe *sqe = push_buffer(ring, IORING_OP_OPENAT, AT_FDCWD, "opened", 0, 1);
    sqe->open_flags = O_RDWR | O_CREAT;
    sqe->len = 0600;
    int fds = check_count("fd");
    submit(ring);
    while (check_count("fd") <= fds) usleep(1000);
    usleep(QUIET_NS / 1000); /* the open is done, and not reaped */
    /* Unless it was so quick that the submitting enter has heard of it: then it is ours. */
    struct io_uring_cqe cqe;
    if (rm_reap(ring, &cqe, 1) == 1) close(cqe.res);
}

static void nothing(int signal) { (void)signal; }

/* Python's handlers run in its main thread; a worker must not be the one that is interrupted. */
static void signals_belong_to_the_program(struct rm_ring *ring) {
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGUSR1, &action, NULL);
    push_blocked(ring, 1);
    submit(ring);
    wait_for_threads(2);
    for (int i = 0; i < 10; i++) kill(getpid(), SIGUSR1);
    expect_nothing(ring);
}

static void a_handler_of_the_program_stays(struct rm_ring *ring) {
    struct sigaction action = {.sa_handler = nothing}, after;
    sigaction(SIGURG, &action, NULL);
    a_running_call_is_interrupted(ring);
    sigaction(SIGURG, NULL, &after);
    CHECK(after.sa_handler == nothing);
}

/* Daemons, supervisors and test runners set every signal to its default when they begin. */
static void a_program_that_resets_its_signals_still_cancels(struct rm_ring *ring) {
    for (int i = 0; i < 3; i++) {
        push_blocked(ring, 0);
        submit(ring);
        wait_for_threads(2);
        usleep(QUIET_NS / 1000); /* the call blocks */
        signal(SIGURG, i % 2 ? SIG_IGN : SIG_DFL);
        push_cancel(ring, 0, 1);
        struct check_cqe cqes[2];
        gather(ring, 2, cqes);
        CHECK_EQUAL(cqes[0].res, -ECANCELED);
    }
    push_blocked(ring, 2);
    submit(ring);
    usleep(QUIET_NS / 1000);
    signal(SIGURG, SIG_DFL); /* and the end of the ring: twin_run closes it */
}

static void a_child_forgets_without_its_threads(struct rm_ring *ring) {
    for (uint64_t i = 0; i < 10; i++) push_blocked(ring, i);
    submit(ring);
    int status, fds = check_count("fd");
    pid_t child = fork();
    if (child == 0) {
        rm_forget(ring);
        _exit(ring->kernel == NULL && check_count("fd") == fds - 2 ? 0 : 1);
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    push_cancel(ring, 5, 10); /* the parent's ring is as it was */
    for (int i = 0; i < 2; i++) {
        struct check_cqe cqe = check_next(ring);
        if (cqe.user_data == 5)
            CHECK_EQUAL(cqe.res, -ECANCELED);
        else
            CHECK(cqe.res == -EALREADY || cqe.res == 0);
    }
}

static const struct twin_case cases[] = {
    SOFT(a_running_call_is_interrupted),
    SOFT(a_link_timeout_interrupts),
    SOFT(a_call_that_ends_keeps_its_result),
    SOFT(those_who_block_for_ever_do_not_stop_files),
    SOFT(the_pool_is_bounded),
    SOFT(cancel_takes_out_of_the_queue),
    SOFT(cancel_by_fd_finds_workers),
    SOFT(closing_ends_everything),
    SOFT(an_fd_nobody_will_hear_of_is_closed),
    SOFT(signals_belong_to_the_program),
    SOFT(a_handler_of_the_program_stays),
    SOFT(a_program_that_resets_its_signals_still_cancels),
    SOFT(a_child_forgets_without_its_threads),
};

TWIN_MAIN(cases)
