/* Submit, wait, reap on the real kernel, through struct rm_ring alone. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "linux_check.h"

static void a_nop_completes_and_is_counted(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    check_open(&ring, &config);
    rm_push(&ring, IORING_OP_NOP, -1, 0x123456789abcdef0);
    CHECK_EQUAL(rm_sq_pending(&ring), 1);
    CHECK_EQUAL(rm_enter(&ring, 1, RM_FOREVER), 0);
    CHECK_EQUAL(rm_sq_pending(&ring), 0);
    CHECK_EQUAL(rm_cq_ready(&ring), 1);
    struct check_cqe cqe = check_next(&ring);
    CHECK_EQUAL(cqe.user_data, 0x123456789abcdef0);
    CHECK_EQUAL(cqe.res, 0);
    CHECK_EQUAL(ring.enters, 1);
    CHECK_EQUAL(ring.submitted, 1);
    CHECK_EQUAL(ring.reaped, 1);
    rm_close(&ring);
}

/* Round and round, so that the indices wrap around the queues. */
static void a_full_sq_is_taken_whole(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    struct io_uring_cqe cqes[16];
    uint64_t next = 0;
    check_open(&ring, &config);
    for (int round = 0; round < 100; round++) {
        uint64_t pushed = next;
        CHECK_EQUAL(rm_sq_room(&ring), ring.sq_entries);
        while (rm_sq_room(&ring)) rm_push(&ring, IORING_OP_NOP, -1, pushed++);
        CHECK_EQUAL(rm_sq_pending(&ring), ring.sq_entries);
        CHECK_EQUAL(rm_enter(&ring, ring.sq_entries, RM_FOREVER), 0);
        unsigned n = rm_reap(&ring, cqes, 16);
        CHECK_EQUAL(n, ring.sq_entries);
        for (unsigned i = 0; i < n; i++) CHECK_EQUAL(cqes[i].user_data, next++);
        CHECK_EQUAL(next, pushed);
    }
    CHECK_EQUAL(ring.submitted, 100 * ring.sq_entries);
    rm_close(&ring);
}

/* More CQEs than the CQ holds: the kernel keeps them, the flags say so, an enter brings them. */
static void a_full_cq_loses_nothing(void) {
    struct rm_config config = check_config(8, 8);
    struct rm_ring ring;
    struct io_uring_cqe cqe;
    uint64_t pushed = 0, seen = 0;
    check_open(&ring, &config);
    while (pushed < 3 * ring.cq_entries && rm_cq_ready(&ring) <= ring.cq_entries) {
        rm_push(&ring, IORING_OP_NOP, -1, pushed++);
        int error = rm_enter(&ring, 0, 0);
        if (error == -EBUSY) break; /* before 5.19 a ring with such a backlog takes no more */
        CHECK_EQUAL(error, 0);
    }
    CHECK(pushed > ring.cq_entries);
    CHECK_EQUAL(rm_cq_ready(&ring), ring.cq_entries);
    CHECK(rm_needs_enter(&ring));
    while (seen < pushed) {
        while (rm_reap(&ring, &cqe, 1)) CHECK_EQUAL(cqe.user_data, seen++);
        int error = rm_enter(&ring, 0, 0);
        CHECK(error == 0 || error == -EBUSY);
    }
    CHECK_EQUAL(rm_cq_ready(&ring), 0);
    if (ring.behaviours & RM_TASKRUN_FLAG) CHECK(!rm_needs_enter(&ring));
    rm_close(&ring);
}

static void a_wait_ends_with_its_time(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    char byte;
    int pair[2];
    check_open(&ring, &config);
    check_pair(pair);
    CHECK_EQUAL(rm_enter(&ring, 1, SOON_NS), -ETIME);
    /* Beside a submit the kernel answers with the number: the time must still be told. */
    check_push_recv(&ring, pair[0], &byte, 1, 1);
    CHECK_EQUAL(rm_enter(&ring, 1, SOON_NS), -ETIME);
    CHECK_EQUAL(ring.submitted, 1);
    /* A timeout of nothing waits for nothing. */
    CHECK_EQUAL(rm_enter(&ring, 1, 0), 0);
    /* What is there already ends a wait; what is there of two does not. */
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    CHECK_EQUAL(check_next(&ring).res, 1);
    rm_push(&ring, IORING_OP_NOP, -1, 2);
    CHECK_EQUAL(rm_enter(&ring, 2, SOON_NS), -ETIME);
    CHECK_EQUAL(rm_cq_ready(&ring), 1);
    CHECK_EQUAL(rm_enter(&ring, 1, RM_FOREVER), 0);
    CHECK_EQUAL(ring.submitted, 2);
    rm_close(&ring);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal) {
    (void)signal;
    alarms++;
}

/* liburing #1280: a wait that a signal ends must say so, whether or not it submitted before, or
 * Python's handlers would not run until something completes. The timer repeats, since the first
 * signal may come before the wait begins. */
static void a_signal_ends_a_wait(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 3000}, {0, 3000}};
    char byte;
    int pair[2];
    check_open(&ring, &config);
    check_pair(pair);
    CHECK_EQUAL(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQUAL(setitimer(ITIMER_REAL, &often, NULL), 0);
    CHECK_EQUAL(rm_enter(&ring, 1, RM_FOREVER), -EINTR);
    CHECK(alarms > 0);
    CHECK_EQUAL(rm_enter(&ring, 1, ENOUGH_NS), -EINTR);
    for (unsigned i = 1; i <= 5; i++) {
        check_push_recv(&ring, pair[0], &byte, 1, i);
        CHECK_EQUAL(rm_enter(&ring, 1, i & 1 ? RM_FOREVER : ENOUGH_NS), -EINTR);
        CHECK_EQUAL(ring.submitted, i);
        CHECK_EQUAL(rm_sq_pending(&ring), 0);
    }
    CHECK_EQUAL(rm_cq_ready(&ring), 0);
    rm_close(&ring);
}

enum { GROUP = 7, BUFFERS = 4, BUFFER = 16 };

static struct io_uring_buf_ring *enroll_buffers(struct rm_ring *ring, char (*memory)[BUFFER]) {
    struct io_uring_buf_ring *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)shared, .ring_entries = BUFFERS, .bgid = GROUP};
    CHECK(shared != MAP_FAILED);
    CHECK_EQUAL(ring->kernel->enroll(ring, IORING_REGISTER_PBUF_RING, &reg, 1), 0);
    for (uint16_t i = 0; i < BUFFERS; i++) {
        shared->bufs[i].addr = (uint64_t)(uintptr_t)memory[i];
        shared->bufs[i].len = BUFFER;
        shared->bufs[i].bid = i;
    }
    __atomic_store_n(&shared->tail, BUFFERS, __ATOMIC_RELEASE);
    return shared;
}

/* One SQE, many CQEs, each with a buffer; and when none is left, an end that says so. */
static void a_multishot_receive_fills_a_buffer_ring(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    char memory[BUFFERS][BUFFER], text[8];
    int pair[2];
    check_open(&ring, &config);
    if (!(ring.behaviours & RM_RECV_MULTISHOT)) {
        rm_close(&ring);
        return;
    }
    check_pair(pair);
    struct io_uring_buf_ring *shared = enroll_buffers(&ring, memory);
    struct io_uring_sqe *sqe = check_push_recv(&ring, pair[0], NULL, 0, 1);
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    for (int i = 0; i < BUFFERS; i++) {
        int size = snprintf(text, sizeof text, "part %d", i);
        CHECK_EQUAL(write(pair[1], text, (size_t)size), size);
        struct check_cqe cqe = check_next(&ring);
        CHECK_EQUAL(cqe.res, size);
        CHECK(cqe.flags & IORING_CQE_F_MORE);
        CHECK(cqe.flags & IORING_CQE_F_BUFFER);
        CHECK_EQUAL(memcmp(memory[cqe.flags >> IORING_CQE_BUFFER_SHIFT], text, (size_t)size), 0);
    }
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    struct check_cqe last = check_next(&ring);
    CHECK_EQUAL(last.res, -ENOBUFS);
    CHECK(!(last.flags & IORING_CQE_F_MORE));
    rm_close(&ring);
    munmap(shared, 4096);
}

static void the_fd_is_readable_when_a_cqe_is_there(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    char byte;
    int pair[2];
    check_open(&ring, &config);
    struct pollfd ready = {.fd = ring.fd, .events = POLLIN};
    check_pair(pair);
    check_push_recv(&ring, pair[0], &byte, 1, 1);
    CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
    CHECK_EQUAL(poll(&ready, 1, 0), 0);
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    CHECK_EQUAL(poll(&ready, 1, 5000), 1);
    CHECK(ready.revents & POLLIN);
    CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
    CHECK_EQUAL(rm_cq_ready(&ring), 1);
    rm_close(&ring);
}

/* Deferred completions: nothing in the CQ, a flag says why, an enter that waits for nothing. */
static void deferred_completions_are_announced(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    char byte;
    int pair[2];
    check_open(&ring, &config);
    if (ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) {
        CHECK(ring.behaviours & RM_TASKRUN_FLAG);
        CHECK(ring.behaviours & RM_DEFER_TASKRUN);
        check_pair(pair);
        check_push_recv(&ring, pair[0], &byte, 1, 1);
        CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
        CHECK(!rm_needs_enter(&ring));
        CHECK_EQUAL(write(pair[1], "x", 1), 1);
        CHECK_EQUAL(rm_cq_ready(&ring), 0);
        CHECK(rm_needs_enter(&ring));
        CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
        CHECK_EQUAL(rm_cq_ready(&ring), 1);
        CHECK(!rm_needs_enter(&ring));
    }
    rm_close(&ring);
}

static void a_bad_sqe_keeps_nobody_out(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    check_open(&ring, &config);
    rm_push(&ring, RM_OPCODES - 1, -1, 1); /* 63 is nobody's */
    rm_push(&ring, IORING_OP_NOP, -1, 2);
    struct check_cqe cqe = check_next(&ring);
    CHECK_EQUAL(cqe.user_data, 1);
    CHECK_EQUAL(cqe.res, -EINVAL);
    cqe = check_next(&ring); /* before 5.18 this takes a second enter */
    CHECK_EQUAL(cqe.user_data, 2);
    CHECK_EQUAL(cqe.res, 0);
    CHECK_EQUAL(ring.submitted, 2);
    rm_close(&ring);
}

static void *enter_elsewhere(void *ring) { return (void *)(intptr_t)rm_linux.enter(ring, 1, 0, 0); }

/* The kernel's answer; a machine refuses before it comes to that. */
static void another_thread_is_refused(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    pthread_t thread;
    void *answer;
    config.masked = RM_REGISTERED_RING; /* the index would be no ring at all over there */
    check_open(&ring, &config);
    if (ring.setup_flags & IORING_SETUP_SINGLE_ISSUER) {
        rm_push(&ring, IORING_OP_NOP, -1, 1);
        CHECK_EQUAL(pthread_create(&thread, NULL, enter_elsewhere, &ring), 0);
        CHECK_EQUAL(pthread_join(thread, &answer), 0);
        CHECK_EQUAL((intptr_t)answer, -EEXIST);
        CHECK_EQUAL(check_next(&ring).user_data, 1);
    }
    rm_close(&ring);
}

/* There are 16 registered rings per thread: a close that forgot its index would use them up. */
static void a_closed_ring_gives_its_index_back(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_probe probe = {.done = false};
    struct rm_ring ring;
    unsigned registered = 0;
    for (int i = 0; i < 40; i++) {
        CHECK_EQUAL(rm_open_probed(&ring, &rm_linux, &config, &probe), 0);
        CHECK_EQUAL(!!ring.enter_flags, !!(ring.behaviours & RM_REGISTERED_RING));
        registered += ring.enter_flags == IORING_ENTER_REGISTERED_RING;
        rm_push(&ring, IORING_OP_NOP, -1, 1);
        CHECK_EQUAL(check_next(&ring).user_data, 1);
        rm_close(&ring);
    }
    CHECK(registered == 0 || registered == 40);
}

/* The kernel's thread submits; nobody may lose an SQE when the SQ is full, or when it slept. */
static void sqpoll_takes_everything(void) {
    struct rm_config config = check_config(8, 64);
    struct rm_ring ring;
    uint64_t pushed = 0, seen = 0;
    struct io_uring_cqe cqe;
    config.sqpoll = true;
    check_open(&ring, &config);
    if (!(ring.setup_flags & IORING_SETUP_SQPOLL)) {
        rm_close(&ring);
        return;
    }
    while (seen < 1000) {
        while (pushed < 1000 && rm_sq_room(&ring)) rm_push(&ring, IORING_OP_NOP, -1, pushed++);
        CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
        CHECK(rm_sq_room(&ring) > 0); /* as after any enter: otherwise who pushes would spin */
        CHECK_EQUAL(rm_enter(&ring, 1, ENOUGH_NS), 0);
        while (rm_reap(&ring, &cqe, 1)) CHECK_EQUAL(cqe.user_data, seen++);
        if (seen % 300 < 8) usleep(120000); /* longer than its idle time: it sleeps */
    }
    CHECK_EQUAL(ring.submitted, 1000);
    CHECK_EQUAL(rm_enter(&ring, 1, SOON_NS), -ETIME);
    rm_close(&ring);
}

static const struct check_case cases[] = {
    CASE(a_nop_completes_and_is_counted),
    CASE(a_full_sq_is_taken_whole),
    CASE(a_full_cq_loses_nothing),
    CASE(a_wait_ends_with_its_time),
    CASE(a_signal_ends_a_wait),
    CASE(a_multishot_receive_fills_a_buffer_ring),
    CASE(the_fd_is_readable_when_a_cqe_is_there),
    CASE(deferred_completions_are_announced),
    CASE(a_bad_sqe_keeps_nobody_out),
    CASE(another_thread_is_refused),
    CASE(a_closed_ring_gives_its_index_back),
    CASE(sqpoll_takes_everything),
};

int main(void) { return check_all(cases, sizeof cases / sizeof *cases); }
