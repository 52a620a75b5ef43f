/* A real ring's beginning and end: what close, forget and a refusal leave behind. */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "linux_check.h"

static void a_life_leaves_no_fd_and_no_thread(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    int fds = check_count("fd"), threads = check_count("task");
    for (int i = 0; i < 20; i++) {
        check_open(&ring, &config);
        /* The probe's questions have been answered elsewhere: nothing of them is in this ring. */
        CHECK_EQUAL(check_count("fd"), fds + 1);
        CHECK_EQUAL(check_count("task"), threads);
        CHECK_EQUAL(ring.enters, 0);
        CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
        CHECK_EQUAL(rm_cq_ready(&ring), 0);
        CHECK(fcntl(ring.fd, F_GETFD) & FD_CLOEXEC);
        rm_close(&ring);
        CHECK_EQUAL(check_count("fd"), fds);
        CHECK_EQUAL(check_count("task"), threads);
        CHECK_EQUAL(ring.fd, -1);
        rm_close(&ring); /* closed already: nothing happens */
    }
}

/* Receives of every kind, in flight when the ring is closed with `config`; and a write that was
 * pushed and never submitted. Afterwards nothing arrives in the buffers any more: the bytes are
 * still in the sockets. */
enum { PAIRS = 4 };

static void close_in_flight(const struct rm_config *config) {
    struct rm_ring ring;
    struct pollfd unread;
    char buffers[PAIRS][64], byte;
    int pairs[PAIRS][2], unborn[2];
    check_open(&ring, config);
    memset(buffers, '.', sizeof buffers);
    CHECK_EQUAL(pipe2(unborn, O_CLOEXEC | O_NONBLOCK), 0);
    for (unsigned i = 0; i < PAIRS; i++) {
        check_pair(pairs[i]);
        struct io_uring_sqe *sqe = check_push_recv(&ring, pairs[i][0], buffers[i], 64, i + 1);
        if (i == 1) sqe->flags = IOSQE_ASYNC; /* blocks in a thread of the kernel */
        if (i == 2) sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
    }
    CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
    struct io_uring_sqe *sqe = rm_push(&ring, IORING_OP_WRITE, unborn[1], 100);
    sqe->addr = (uint64_t)(uintptr_t)"!";
    sqe->len = 1;
    rm_close(&ring);
    for (unsigned i = 0; i < PAIRS; i++) {
        CHECK_EQUAL(write(pairs[i][1], "late", 4), 4);
        unread = (struct pollfd){.fd = pairs[i][0], .events = POLLIN};
        CHECK_EQUAL(poll(&unread, 1, 10), 1);
        CHECK_EQUAL(recv(pairs[i][0], &byte, 1, MSG_DONTWAIT), 1);
        for (unsigned j = 0; j < 64; j++) CHECK_EQUAL(buffers[i][j], '.');
    }
    CHECK_EQUAL(read(unborn[0], &byte, 1), -1);
    CHECK_EQUAL(errno, EAGAIN);
}

static void close_ends_what_is_in_flight(void) {
    struct rm_config config = check_config(8, 16);
    close_in_flight(&config);
}

/* CQE_SKIP hides that an op has ended: the count is not certain, the ring's death is. */
static void close_ends_it_beside_hidden_ends(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    char buffer[4] = "...", byte;
    int pair[2];
    check_open(&ring, &config);
    check_pair(pair);
    rm_push(&ring, IORING_OP_NOP, -1, 1)->flags = IOSQE_CQE_SKIP_SUCCESS;
    check_push_recv(&ring, pair[0], buffer, 3, 2);
    CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
    rm_close(&ring);
    CHECK_EQUAL(write(pair[1], "late", 4), 4);
    CHECK_EQUAL(recv(pair[0], &byte, 1, 0), 1);
    CHECK_EQUAL(memcmp(buffer, "...", 3), 0);
}

/* A thread of the kernel is in the midst of filling a buffer: when close returns it has stopped,
 * and what the program writes there afterwards stays. */
static void close_waits_for_a_writer(void) {
    const size_t size = 32 << 20;
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char *buffer = malloc(size);
    CHECK(zeros >= 0 && buffer != NULL);
    for (int round = 0; round < 5; round++) {
        check_open(&ring, &config);
        memset(buffer, '+', size);
        struct io_uring_sqe *sqe = rm_push(&ring, IORING_OP_READ, zeros, 1);
        sqe->flags = IOSQE_ASYNC;
        sqe->addr = (uint64_t)(uintptr_t)buffer;
        sqe->len = (unsigned)size;
        CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
        while (*(volatile char *)buffer == '+') usleep(50); /* it has begun */
        rm_close(&ring);
        memset(buffer, '.', size);
        usleep(3000);
        CHECK(buffer[0] == '.' && memcmp(buffer, buffer + 1, size - 1) == 0);
    }
    free(buffer);
}

static void close_ends_it_on_every_rung(void) {
    static const unsigned masked[] = {
        IORING_SETUP_NO_SQARRAY,
        IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE,
    };
    struct rm_config config = check_config(8, 16);
    for (unsigned i = 0; i < sizeof masked / sizeof *masked; i++) {
        config.masked_setup = masked[i];
        struct rm_ring ring;
        check_open(&ring, &config);
        CHECK_EQUAL(ring.setup_flags & masked[i], 0);
        CHECK_EQUAL(!!(ring.behaviours & RM_DEFER_TASKRUN),
                    !!(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN));
        CHECK_EQUAL(!!(ring.behaviours & RM_TASKRUN_FLAG),
                    !!(ring.setup_flags & IORING_SETUP_TASKRUN_FLAG));
        rm_push(&ring, IORING_OP_NOP, -1, i);
        CHECK_EQUAL(check_next(&ring).user_data, i);
        rm_close(&ring);
        close_in_flight(&config);
    }
    config.masked_setup = 0;
    config.sqpoll = true;
    close_in_flight(&config);
}

/* A program with a table of registered files loses it at close, not the certainty. */
static void close_ends_it_beside_registered_files(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    char buffer[4] = "...", byte;
    int pair[2];
    check_open(&ring, &config);
    check_pair(pair);
    CHECK_EQUAL(rm_linux.enroll(&ring, IORING_REGISTER_FILES, &pair[0], 1), 0);
    check_push_recv(&ring, 0, buffer, 3, 1)->flags = IOSQE_FIXED_FILE;
    CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
    rm_close(&ring);
    CHECK_EQUAL(write(pair[1], "late", 4), 4);
    CHECK_EQUAL(recv(pair[0], &byte, 1, 0), 1);
    CHECK_EQUAL(memcmp(buffer, "...", 3), 0);
}

static void *close_elsewhere(void *ring) {
    rm_close(ring);
    return NULL;
}

/* Whoever collects a machine's garbage may be another thread. The index of the owner must be left
 * alone there: the closing thread has a ring of the same number, which has to live on. */
static void *own_a_ring_and_close_another(void *other) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    config.masked_setup = IORING_SETUP_SINGLE_ISSUER;
    check_open(&ring, &config);
    CHECK_EQUAL(ring.enter_fd, ((struct rm_ring *)other)->enter_fd);
    rm_close(other);
    rm_push(&ring, IORING_OP_NOP, -1, 5);
    CHECK_EQUAL(check_next(&ring).user_data, 5);
    rm_close(&ring);
    return NULL;
}

static void another_thread_may_close(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    pthread_t thread;
    void *(*ways[])(void *) = {own_a_ring_and_close_another, close_elsewhere};
    int fds = check_count("fd");
    config.masked_setup = IORING_SETUP_SINGLE_ISSUER; /* or the kernel would refuse the mistake */
    for (int i = 0; i < 2; i++) {
        check_open(&ring, &config);
        CHECK_EQUAL(pthread_create(&thread, NULL, ways[i], &ring), 0);
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
        CHECK_EQUAL(check_count("fd"), fds);
    }
}

/* ── fork ── */

static struct rm_ring shared;
static int fds_before;

static void forget_in_child(void) {
    char probe;
    void *head = (void *)((uintptr_t)shared.cq_khead & ~(uintptr_t)4095);
    CHECK_EQUAL(mincore(head, 1, (unsigned char *)&probe), -1); /* not mapped here */
    CHECK_EQUAL(errno, ENOMEM);
    rm_forget(&shared);
    CHECK_EQUAL(check_count("fd"), fds_before);
    CHECK_EQUAL(shared.fd, -1);
    rm_forget(&shared); /* nothing is left to forget */
    rm_close(&shared);
    /* And the child may have a ring of its own. */
    struct rm_config config = check_config(8, 16);
    check_open(&shared, &config);
    rm_push(&shared, IORING_OP_NOP, -1, 1);
    CHECK_EQUAL(check_next(&shared).user_data, 1);
    rm_close(&shared);
}

static void a_child_forgets_and_the_parent_goes_on(void) {
    struct rm_config config = check_config(8, 16);
    char byte = 0;
    int pair[2];
    check_pair(pair);
    fds_before = check_count("fd");
    check_open(&shared, &config);
    check_push_recv(&shared, pair[0], &byte, 1, 1);
    CHECK_EQUAL(rm_enter(&shared, 0, 0), 0);
    rm_push(&shared, IORING_OP_NOP, -1, 2); /* pushed, not submitted: the child must not */
    CHECK_EQUAL(check_in_child(forget_in_child), 0);
    CHECK_EQUAL(rm_sq_pending(&shared), 1);
    CHECK_EQUAL(check_next(&shared).user_data, 2);
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    struct check_cqe cqe = check_next(&shared);
    CHECK_EQUAL(cqe.user_data, 1);
    CHECK_EQUAL(cqe.res, 1);
    CHECK_EQUAL(byte, 'x');
    rm_close(&shared);
}

/* ── refusals ── */

/* What container runtimes do: io_uring_setup, _enter and _register answer `error`. */
static void forbid(int error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, __NR_io_uring_setup, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, __NR_io_uring_register, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    CHECK_EQUAL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQUAL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void refused(int error, const char *name, const char *hint) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    int fds = check_count("fd");
    forbid(error);
    CHECK_EQUAL(rm_open(&ring, &rm_linux, &config), -error);
    printf("  %s\n", ring.why);
    CHECK(strncmp(ring.why, "io_uring_setup: ", 16) == 0);
    CHECK(strstr(ring.why, name) != NULL);
    CHECK(strstr(ring.why, hint) != NULL);
    CHECK(ring.kernel == NULL);
    CHECK_EQUAL(check_count("fd"), fds);
    rm_close(&ring); /* nothing to close, and no harm */
}

static void refused_with_eperm(void) {
    refused(EPERM, "Operation not permitted", "seccomp profile, or kernel.io_uring_disabled");
}

static void refused_with_enosys(void) { refused(ENOSYS, "Function not implemented", "gVisor"); }

static void refused_with_enomem(void) {
    refused(ENOMEM, "Cannot allocate memory", "memlock limit");
}

/* Leave room for `left` fds, and for no more. */
static void fill_fds(int left) {
    struct rlimit limit;
    int last = -1;
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int fd = 0; (fd = dup(STDERR_FILENO)) >= 0;) last = fd;
    while (left--) close(last--);
}

static void refused_with_emfile(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    struct rlimit old;
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &old), 0);
    fill_fds(0);
    CHECK_EQUAL(rm_open(&ring, &rm_linux, &config), -EMFILE);
    CHECK(strstr(ring.why, "Too many open files") != NULL);
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0); /* the leak check at exit wants some */
}

/* One fd is enough for a ring, and too little for the probe's questions: then the ring works with
 * what needs no asking, and the answers are not taken for final. */
static void a_probe_without_fds_is_not_final(void) {
    struct rm_config config = check_config(8, 16);
    struct rm_probe probe = {.done = false};
    struct rm_ring ring;
    struct rlimit old;
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &old), 0);
    fill_fds(3);
    CHECK_EQUAL(rm_open_probed(&ring, &rm_linux, &config, &probe), 0);
    CHECK(!probe.done);
    CHECK(rm_has_op(&ring, IORING_OP_NOP));
    CHECK_EQUAL(ring.behaviours & RM_POLL_MULTISHOT, 0);
    rm_push(&ring, IORING_OP_NOP, -1, 1);
    CHECK_EQUAL(check_next(&ring).user_data, 1);
    rm_close(&ring);
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
    CHECK_EQUAL(rm_open_probed(&ring, &rm_linux, &config, &probe), 0);
    CHECK(probe.done);
    CHECK(ring.behaviours & RM_POLL_MULTISHOT); /* 5.13: older ones have no EXT_ARG either */
    rm_close(&ring);
}

/* ── memlock ── */

static void limit_memlock(rlim_t bytes) {
    struct rlimit limit = {bytes, bytes};
    CHECK_EQUAL(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    /* Root has CAP_IPC_LOCK and no limit; 65534 is nobody. */
    if (geteuid() == 0) CHECK_EQUAL(setuid(65534), 0);
}

static void no_locked_memory_is_a_reason_or_no_matter(void) {
    struct rm_config config = check_config(64, 256);
    struct rm_ring ring;
    limit_memlock(0);
    int error = rm_open(&ring, &rm_linux, &config);
    if (error == -ENOMEM) { /* Linux counts rings: before 5.12, and again on 6.18 */
        CHECK(strstr(ring.why, "memlock limit of 0 KiB") != NULL);
        return;
    }
    CHECK_EQUAL(error, 0);
    CHECK_EQUAL(ring.behaviours & RM_FIXED_BUFFERS, 0);
    rm_push(&ring, IORING_OP_NOP, -1, 1);
    CHECK_EQUAL(check_next(&ring).user_data, 1);
    rm_close(&ring);
}

/* 512 KiB: less than is asked for, room for a smaller ring. And closed rings count until they are
 * buried: whoever opens the next one waits for that, rather than fail or shrink to nothing. */
static void little_locked_memory_makes_a_small_ring(void) {
    struct rm_config config = check_config(4096, 65536);
    struct rm_probe probe = {.done = false};
    struct rm_ring ring;
    unsigned first = 0;
    limit_memlock(512 << 10);
    for (int i = 0; i < 6; i++) {
        int error = rm_open_probed(&ring, &rm_linux, &config, &probe);
        if (error < 0) fprintf(stderr, "%s\n", ring.why);
        CHECK_EQUAL(error, 0);
        CHECK(ring.sq_entries >= 32);
        CHECK(ring.sq_entries >= first);
        first = ring.sq_entries;
        CHECK(ring.cq_entries >= ring.sq_entries);
        rm_push(&ring, IORING_OP_NOP, -1, 1);
        CHECK_EQUAL(check_next(&ring).user_data, 1);
        rm_close(&ring);
    }
}

static const struct check_case cases[] = {
    CASE(a_life_leaves_no_fd_and_no_thread),
    CASE(close_ends_what_is_in_flight),
    CASE(close_ends_it_beside_hidden_ends),
    CASE(close_waits_for_a_writer),
    CASE(close_ends_it_on_every_rung),
    CASE(close_ends_it_beside_registered_files),
    CASE(another_thread_may_close),
    CASE(a_child_forgets_and_the_parent_goes_on),
    CASE(refused_with_eperm),
    CASE(refused_with_enosys),
    CASE(refused_with_enomem),
    CASE(refused_with_emfile),
    CASE(a_probe_without_fds_is_not_final),
    CASE(no_locked_memory_is_a_reason_or_no_matter),
    CASE(little_locked_memory_makes_a_small_ring),
};

int main(void) { return check_all(cases, sizeof cases / sizeof *cases); }
