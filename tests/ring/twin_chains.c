/* Links, timeouts, cancels and polls: the same CQEs, in the same order, on both kernels. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>

#include "twin_check.h"

static const struct __kernel_timespec soon = {0, SOON_NS}, never = {100, 0};

/* ── chains ── */

static void nops_complete_in_order(struct rm_ring *ring) {
    for (uint64_t i = 0; i < 50; i++) rm_push(ring, IORING_OP_NOP, -1, i);
    CHECK_EQUAL(rm_enter(ring, 50, RM_FOREVER), 0);
    CHECK_EQUAL(rm_cq_ready(ring), 50);
    for (uint64_t i = 0; i < 50; i++) CHECK_EQUAL(expect(ring, i, 0), 0);
}

static void a_link_waits_for_the_one_before(struct rm_ring *ring) {
    int pair[2];
    char buffer[8];
    check_pair(pair);
    check_push_recv(ring, pair[0], buffer, 8, 1)->flags = IOSQE_IO_LINK;
    rm_push(ring, IORING_OP_NOP, -1, 2);
    expect_nothing(ring);
    put(pair[1], "hello");
    expect(ring, 1, 5);
    expect(ring, 2, 0);
    close(pair[0]), close(pair[1]);
}

static void a_failure_ends_the_chain(struct rm_ring *ring) {
    push_link(ring, IORING_OP_READ, -1, 1, IOSQE_IO_LINK);
    push_link(ring, IORING_OP_NOP, -1, 2, IOSQE_IO_HARDLINK);
    rm_push(ring, IORING_OP_NOP, -1, 3);
    rm_push(ring, IORING_OP_NOP, -1, 4);
    struct check_cqe cqes[5];
    push_link(ring, IORING_OP_NOP, -1, 0, 0);
    gather(ring, 5, cqes);
    CHECK_EQUAL(cqes[1].res, -EBADF);
    CHECK_EQUAL(cqes[2].res, -ECANCELED);
    CHECK_EQUAL(cqes[3].res, -ECANCELED);
    CHECK_EQUAL(cqes[4].res, 0);
}

static void a_hardlink_survives_a_failure(struct rm_ring *ring) {
    push_link(ring, IORING_OP_READ, -1, 1, IOSQE_IO_HARDLINK);
    rm_push(ring, IORING_OP_NOP, -1, 2);
    expect(ring, 1, -EBADF);
    expect(ring, 2, 0);
}

/* Open a file into place `index` of the table, for the SQEs behind it. */
static struct io_uring_sqe *push_open(struct rm_ring *ring, const char *path, unsigned index,
                                      uint64_t user_data, uint8_t flags) {
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_OPENAT, AT_FDCWD, user_data);
    sqe->addr = (uint64_t)(uintptr_t)path;
    sqe->open_flags = O_RDONLY;
    sqe->file_index = index + 1;
    sqe->flags = flags;
    return sqe;
}

static void push_close_place(struct rm_ring *ring, unsigned index, uint64_t user_data) {
    rm_push(ring, IORING_OP_CLOSE, 0, user_data)->file_index = index + 1;
}

static struct io_uring_sqe *push_read_place(struct rm_ring *ring, unsigned index, void *buffer,
                                            unsigned size, uint64_t user_data, uint8_t flags) {
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_READ, (int)index, user_data);
    sqe->addr = (uint64_t)(uintptr_t)buffer;
    sqe->len = size;
    sqe->flags = (uint8_t)(flags | IOSQE_FIXED_FILE);
    return sqe;
}

static void add_places(struct rm_ring *ring, unsigned n) {
    int empty[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    CHECK_EQUAL(ring->kernel->enroll(ring, IORING_REGISTER_FILES, empty, n), 0);
}

static void a_chain_uses_the_file_that_it_opens(struct rm_ring *ring) {
    char buffer[4];
    add_places(ring, 2);
    push_open(ring, "/dev/zero", 1, 1, IOSQE_IO_LINK);
    push_read_place(ring, 1, buffer, sizeof buffer, 2, IOSQE_IO_HARDLINK);
    push_close_place(ring, 1, 3);
    expect(ring, 1, 0);
    expect(ring, 2, sizeof buffer);
    expect(ring, 3, 0);
    push_read_place(ring, 1, buffer, sizeof buffer, 4, 0); /* nothing is there any more */
    expect(ring, 4, -EBADF);
    push_close_place(ring, 1, 5);
    expect(ring, 5, -EBADF);
}

static void a_missing_file_cancels_what_would_use_it(struct rm_ring *ring) {
    char buffer[4];
    add_places(ring, 1);
    push_open(ring, "/nowhere/at/all", 0, 1, IOSQE_IO_LINK);
    push_read_place(ring, 0, buffer, sizeof buffer, 2, IOSQE_IO_HARDLINK);
    push_close_place(ring, 0, 3);
    expect(ring, 1, -ENOENT);
    expect(ring, 2, -ECANCELED);
    expect(ring, 3, -ECANCELED);
}

static void places_that_are_not_there(struct rm_ring *ring) {
    char buffer[4];
    push_open(ring, "/dev/zero", 0, 1, 0);
    expect(ring, 1, -ENXIO);
    push_read_place(ring, 0, buffer, sizeof buffer, 2, 0);
    expect(ring, 2, -EBADF);
    add_places(ring, 1);
    push_open(ring, "/dev/zero", 7, 3, 0);
    expect(ring, 3, -EINVAL);
    push_open(ring, "/dev/zero", 0, 4, 0)->open_flags |= O_CLOEXEC;
    expect(ring, 4, -EINVAL);
}

/* A place that is taken is given to the newcomer, as dup2(2) does. The one left open is closed
 * with the ring: the check after each case sees to that. */
static void a_place_is_taken_over(struct rm_ring *ring) {
    char buffer[4];
    add_places(ring, 1);
    push_open(ring, "/dev/null", 0, 1, 0);
    expect(ring, 1, 0);
    push_open(ring, "/dev/zero", 0, 2, 0);
    expect(ring, 2, 0);
    push_read_place(ring, 0, buffer, sizeof buffer, 3, 0);
    expect(ring, 3, sizeof buffer);
}

static void a_refused_sqe_refuses_its_chain(struct rm_ring *ring) {
    struct check_cqe cqes[4];
    push_link(ring, IORING_OP_NOP, -1, 0, IOSQE_IO_LINK);
    push_link(ring, 200, -1, 1, IOSQE_IO_LINK);
    rm_push(ring, IORING_OP_NOP, -1, 2);
    rm_push(ring, IORING_OP_NOP, -1, 3);
    gather(ring, 4, cqes);
    CHECK_EQUAL(cqes[0].res, -ECANCELED);
    CHECK_EQUAL(cqes[1].res, -EINVAL);
    CHECK_EQUAL(cqes[2].res, -ECANCELED);
    CHECK_EQUAL(cqes[3].res, 0);
}

static void a_long_chain_needs_no_stack(struct rm_ring *ring) {
    for (uint64_t i = 0; i < 63; i++) push_link(ring, IORING_OP_NOP, -1, i, IOSQE_IO_LINK);
    rm_push(ring, IORING_OP_NOP, -1, 63);
    submit(ring);
    for (uint64_t i = 0; i < 64; i++) expect(ring, i, 0);
}

static void skip_success_hides_only_success(struct rm_ring *ring) {
    push_link(ring, IORING_OP_NOP, -1, 1, IOSQE_CQE_SKIP_SUCCESS);
    push_link(ring, IORING_OP_READ, -1, 2, IOSQE_CQE_SKIP_SUCCESS);
    expect(ring, 2, -EBADF);
    /* One that fails and is skipped silences what hangs on it; its own end is told. */
    push_link(ring, IORING_OP_READ, -1, 3, IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK);
    rm_push(ring, IORING_OP_NOP, -1, 4);
    expect(ring, 3, -EBADF);
    /* One that is cancelled by another's failure is told. */
    push_link(ring, IORING_OP_READ, -1, 5, IOSQE_IO_LINK);
    push_link(ring, IORING_OP_NOP, -1, 6, IOSQE_CQE_SKIP_SUCCESS);
    expect(ring, 5, -EBADF);
    expect(ring, 6, -ECANCELED);
    expect_nothing(ring);
}

/* ── link timeouts ── */

static void push_recv_within(struct rm_ring *ring, int fd, void *buffer,
                             const struct __kernel_timespec *span, uint8_t then) {
    check_push_recv(ring, fd, buffer, 8, 1)->flags = IOSQE_IO_LINK;
    push_time(ring, IORING_OP_LINK_TIMEOUT, span, 2)->flags = then;
}

static void a_link_timeout_cancels_its_target(struct rm_ring *ring) {
    int pair[2];
    char buffer[8];
    check_pair(pair);
    push_recv_within(ring, pair[0], buffer, &soon, IOSQE_IO_LINK);
    rm_push(ring, IORING_OP_NOP, -1, 0);
    struct check_cqe cqes[3];
    gather(ring, 3, cqes);
    CHECK_EQUAL(cqes[1].res, -ECANCELED);
    CHECK_EQUAL(cqes[2].res, -ETIME);
    CHECK_EQUAL(cqes[0].res, -ECANCELED);
    close(pair[0]), close(pair[1]);
}

static void a_target_in_time_ends_its_timeout(struct rm_ring *ring) {
    int pair[2];
    char buffer[8];
    check_pair(pair);
    put(pair[1], "now");
    push_recv_within(ring, pair[0], buffer, &never, IOSQE_IO_LINK);
    rm_push(ring, IORING_OP_NOP, -1, 3);
    expect(ring, 1, 3);
    expect(ring, 2, -ECANCELED);
    expect(ring, 3, 0);
    push_recv_within(ring, pair[0], buffer, &never, 0);
    submit(ring);
    put(pair[1], "later");
    expect(ring, 1, 5);
    expect(ring, 2, -ECANCELED);
    close(pair[0]), close(pair[1]);
}

static void a_link_timeout_needs_a_target(struct rm_ring *ring) {
    push_time(ring, IORING_OP_LINK_TIMEOUT, &soon, 1);
    expect(ring, 1, -EINVAL);
}

/* ── timeouts ── */

static void a_timeout_expires(struct rm_ring *ring) {
    push_time(ring, IORING_OP_TIMEOUT, &soon, 1);
    expect(ring, 1, -ETIME);
    push_time(ring, IORING_OP_TIMEOUT, &soon, 2)->flags = IOSQE_IO_LINK;
    rm_push(ring, IORING_OP_NOP, -1, 3);
    expect(ring, 2, -ETIME);
    expect(ring, 3, -ECANCELED);
    struct io_uring_sqe *sqe = push_time(ring, IORING_OP_TIMEOUT, &soon, 4);
    sqe->flags = IOSQE_IO_LINK;
    sqe->timeout_flags = IORING_TIMEOUT_ETIME_SUCCESS;
    rm_push(ring, IORING_OP_NOP, -1, 5);
    expect(ring, 4, -ETIME);
    expect(ring, 5, 0);
}

static void timeouts_expire_by_deadline(struct rm_ring *ring) {
    static struct __kernel_timespec spans[16];
    for (uint64_t i = 0; i < 16; i++) {
        spans[i].tv_nsec = (long)(1 + (i * 7 + 3) % 16) * 2000000;
        push_time(ring, IORING_OP_TIMEOUT, &spans[i], i);
    }
    long before = 0;
    for (int i = 0; i < 16; i++) {
        struct check_cqe cqe = check_next(ring);
        CHECK_EQUAL(cqe.res, -ETIME);
        CHECK(spans[cqe.user_data].tv_nsec > before);
        before = spans[cqe.user_data].tv_nsec;
    }
}

static void an_absolute_timeout_of_the_past_expires(struct rm_ring *ring) {
    const uint32_t clocks[] = {0, IORING_TIMEOUT_BOOTTIME, IORING_TIMEOUT_REALTIME};
    for (int i = 0; i < 3; i++) {
        push_time(ring, IORING_OP_TIMEOUT, &soon, 1)->timeout_flags =
            IORING_TIMEOUT_ABS | clocks[i];
        expect(ring, 1, -ETIME);
    }
}

static void a_counted_timeout_ends_with_its_count(struct rm_ring *ring) {
    push_time(ring, IORING_OP_TIMEOUT, &never, 1)->off = 2;
    rm_push(ring, IORING_OP_NOP, -1, 2);
    submit(ring);
    expect(ring, 2, 0);
    expect_nothing(ring);
    rm_push(ring, IORING_OP_NOP, -1, 3);
    submit(ring);
    expect(ring, 3, 0);
    expect(ring, 1, 0);
}

static void a_timeout_is_removed_or_changed(struct rm_ring *ring) {
    push_time(ring, IORING_OP_TIMEOUT, &never, 1);
    submit(ring);
    rm_push(ring, IORING_OP_TIMEOUT_REMOVE, -1, 2)->addr = 1;
    expect(ring, 2, 0);
    expect(ring, 1, -ECANCELED);
    rm_push(ring, IORING_OP_TIMEOUT_REMOVE, -1, 3)->addr = 1;
    expect(ring, 3, -ENOENT);
    push_time(ring, IORING_OP_TIMEOUT, &never, 4);
    submit(ring);
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_TIMEOUT_REMOVE, -1, 5);
    sqe->addr = 4;
    sqe->addr2 = at(&soon);
    sqe->timeout_flags = IORING_TIMEOUT_UPDATE;
    expect(ring, 5, 0);
    expect(ring, 4, -ETIME);
}

static void a_bad_timespec_is_refused(struct rm_ring *ring) {
    static const struct __kernel_timespec negative = {-1, 0};
    push_time(ring, IORING_OP_TIMEOUT, &negative, 1);
    expect(ring, 1, -EINVAL);
    push_time(ring, IORING_OP_TIMEOUT, &soon, 2)->len = 2;
    expect(ring, 2, -EINVAL);
}

/* ── cancel ── */

static void cancel_tells_the_canceller_first(struct rm_ring *ring) {
    int pair[2];
    char buffer[8];
    check_pair(pair);
    check_push_recv(ring, pair[0], buffer, 8, 1);
    submit(ring);
    push_cancel(ring, 1, 2);
    expect(ring, 2, 0);
    expect(ring, 1, -ECANCELED);
    push_cancel(ring, 1, 3);
    expect(ring, 3, -ENOENT);
    close(pair[0]), close(pair[1]);
}

static void cancel_before_submit_is_one_outcome(struct rm_ring *ring) {
    int pair[2];
    char buffer[8];
    check_pair(pair);
    check_push_recv(ring, pair[0], buffer, 8, 0);
    push_cancel(ring, 0, 1);
    struct check_cqe cqes[2];
    gather(ring, 2, cqes);
    CHECK_EQUAL(cqes[0].res, -ECANCELED);
    CHECK_EQUAL(cqes[1].res, 0);
    close(pair[0]), close(pair[1]);
}

static void cancel_by_fd_and_of_all(struct rm_ring *ring) {
    int a[2], b[2];
    char buffer[8];
    check_pair(a), check_pair(b);
    for (uint64_t i = 1; i <= 3; i++) check_push_recv(ring, a[0], buffer, 8, i);
    check_push_recv(ring, b[0], buffer, 8, 4);
    submit(ring);
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_ASYNC_CANCEL, a[0], 0);
    sqe->cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
    struct check_cqe cqes[4];
    gather(ring, 4, cqes);
    CHECK_EQUAL(cqes[0].res, 3);
    for (int i = 1; i <= 3; i++) CHECK_EQUAL(cqes[i].res, -ECANCELED);
    push_time(ring, IORING_OP_TIMEOUT, &never, 5);
    submit(ring);
    sqe = rm_push(ring, IORING_OP_ASYNC_CANCEL, -1, 6);
    sqe->cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    expect(ring, 6, 2);
    CHECK_EQUAL(check_next(ring).res, -ECANCELED);
    CHECK_EQUAL(check_next(ring).res, -ECANCELED);
    rm_push(ring, IORING_OP_ASYNC_CANCEL, a[0], 7)->cancel_flags = IORING_ASYNC_CANCEL_FD;
    expect(ring, 7, -ENOENT);
    rm_push(ring, IORING_OP_ASYNC_CANCEL, -1, 8)->cancel_flags = IORING_ASYNC_CANCEL_FD;
    expect(ring, 8, -EBADF);
    close(a[0]), close(a[1]), close(b[0]), close(b[1]);
}

static void a_cancelled_link_cancels_its_chain(struct rm_ring *ring) {
    int pair[2];
    char buffer[8];
    check_pair(pair);
    check_push_recv(ring, pair[0], buffer, 8, 0)->flags = IOSQE_IO_LINK;
    rm_push(ring, IORING_OP_NOP, -1, 1);
    submit(ring);
    push_cancel(ring, 1, 2); /* stands behind another: not found */
    expect(ring, 2, -ENOENT);
    push_cancel(ring, 0, 2);
    struct check_cqe cqes[3];
    gather(ring, 3, cqes);
    CHECK_EQUAL(cqes[0].res, -ECANCELED);
    CHECK_EQUAL(cqes[1].res, -ECANCELED);
    CHECK_EQUAL(cqes[2].res, 0);
    close(pair[0]), close(pair[1]);
}

/* ── poll ── */

static struct io_uring_sqe *push_poll(struct rm_ring *ring, int fd, unsigned events, bool multi,
                                      uint64_t user_data) {
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_POLL_ADD, fd, user_data);
    sqe->poll32_events = events;
    sqe->len = multi ? IORING_POLL_ADD_MULTI : 0;
    return sqe;
}

static void poll_answers_now_or_later(struct rm_ring *ring) {
    int pair[2];
    check_pair(pair);
    push_poll(ring, pair[0], POLLOUT, false, 1);
    expect(ring, 1, POLLOUT);
    push_poll(ring, pair[0], POLLIN, false, 2);
    expect_nothing(ring);
    put(pair[1], "x");
    expect(ring, 2, POLLIN);
    push_poll(ring, pair[0], POLLIN | POLLOUT, false, 3);
    expect(ring, 3, POLLIN | POLLOUT);
    push_poll(ring, -1, POLLIN, false, 4);
    expect(ring, 4, -EBADF);
    close(pair[0]), close(pair[1]);
}

/* io_uring tells it unasked, and ends even the wait for something else. */
static void a_half_closed_peer_is_told(struct rm_ring *ring) {
    int pair[2];
    check_pair(pair);
    push_poll(ring, pair[0], POLLPRI, false, 1);
    expect_nothing(ring);
    shutdown(pair[1], SHUT_WR);
    expect(ring, 1, POLLRDHUP);
    push_poll(ring, pair[0], POLLIN, false, 2);
    expect(ring, 2, POLLIN | POLLRDHUP);
    push_poll(ring, pair[0], POLLOUT, false, 3);
    expect(ring, 3, POLLOUT | POLLRDHUP);
    close(pair[0]), close(pair[1]);
}

static void a_multishot_poll_tells_each_edge_once(struct rm_ring *ring) {
    int pair[2];
    check_pair(pair);
    push_poll(ring, pair[0], POLLIN, true, 1);
    expect_nothing(ring);
    put(pair[1], "x");
    CHECK_EQUAL(expect(ring, 1, POLLIN), IORING_CQE_F_MORE);
    expect_nothing(ring); /* nobody has read, and nothing has changed */
    put(pair[1], "y");
    CHECK_EQUAL(expect(ring, 1, POLLIN), IORING_CQE_F_MORE);
    push_poll(ring, pair[0], POLLIN, true, 2); /* ready from its beginning: told once */
    CHECK_EQUAL(expect(ring, 2, POLLIN), IORING_CQE_F_MORE);
    expect_nothing(ring);
    push_poll(ring, pair[1], POLLOUT, true, 5); /* likewise, and the fd is new to the ring */
    CHECK_EQUAL(expect(ring, 5, POLLOUT), IORING_CQE_F_MORE);
    expect_nothing(ring);
    rm_push(ring, IORING_OP_POLL_REMOVE, -1, 3)->addr = 2;
    expect(ring, 3, 0);
    expect(ring, 2, -ECANCELED);
    rm_push(ring, IORING_OP_POLL_REMOVE, -1, 4)->addr = 2;
    expect(ring, 4, -ENOENT);
    close(pair[0]), close(pair[1]);
}

/* ── enter ── */

static void nothing(int signal) { (void)signal; }

static void a_signal_ends_the_wait(struct rm_ring *ring) {
    struct sigaction action = {.sa_handler = nothing};
    struct itimerval in = {.it_value = {0, 20000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &in, NULL);
    push_time(ring, IORING_OP_TIMEOUT, &never, 1);
    CHECK_EQUAL(rm_enter(ring, 1, RM_FOREVER), -EINTR);
    CHECK_EQUAL(rm_sq_pending(ring), 0);
    push_cancel(ring, 1, 2);
    expect(ring, 2, 0);
    expect(ring, 1, -ECANCELED);
}

static void a_full_cq_keeps_the_order(struct rm_ring *ring) {
    uint64_t pushed = 0;
    while (pushed < 3 * ring->cq_entries) {
        for (int i = 0; i < 32; i++) rm_push(ring, IORING_OP_NOP, -1, pushed++);
        submit(ring);
    }
    CHECK(*ring->sq_kflags & IORING_SQ_CQ_OVERFLOW);
    for (uint64_t i = 0; i < pushed; i++) expect(ring, i, 0);
    CHECK_EQUAL(*ring->sq_kflags & IORING_SQ_CQ_OVERFLOW, 0);
    expect_nothing(ring);
}

static const struct twin_case cases[] = {
    BOTH(nops_complete_in_order),
    BOTH(a_link_waits_for_the_one_before),
    BOTH(a_failure_ends_the_chain),
    BOTH(a_hardlink_survives_a_failure),
    BOTH_WITH(a_chain_uses_the_file_that_it_opens, RM_DIRECT_FILES),
    BOTH_WITH(a_missing_file_cancels_what_would_use_it, RM_DIRECT_FILES),
    BOTH_WITH(places_that_are_not_there, RM_DIRECT_FILES),
    BOTH_WITH(a_place_is_taken_over, RM_DIRECT_FILES),
    BOTH(a_refused_sqe_refuses_its_chain),
    BOTH(a_long_chain_needs_no_stack),
    BOTH_WITH(skip_success_hides_only_success, RM_CQE_SKIP),
    BOTH(a_link_timeout_cancels_its_target),
    BOTH(a_target_in_time_ends_its_timeout),
    BOTH(a_link_timeout_needs_a_target),
    BOTH(a_timeout_expires),
    BOTH(timeouts_expire_by_deadline),
    BOTH(an_absolute_timeout_of_the_past_expires),
    BOTH(a_counted_timeout_ends_with_its_count),
    BOTH(a_timeout_is_removed_or_changed),
    BOTH(a_bad_timespec_is_refused),
    BOTH(cancel_tells_the_canceller_first),
    BOTH(cancel_before_submit_is_one_outcome),
    BOTH_WITH(cancel_by_fd_and_of_all, RM_CANCEL_FD),
    BOTH(a_cancelled_link_cancels_its_chain),
    BOTH(poll_answers_now_or_later),
    BOTH(a_half_closed_peer_is_told),
    BOTH_WITH(a_multishot_poll_tells_each_edge_once, RM_POLL_MULTISHOT),
    BOTH(a_signal_ends_the_wait),
    BOTH(a_full_cq_keeps_the_order),
};

TWIN_MAIN(cases)
