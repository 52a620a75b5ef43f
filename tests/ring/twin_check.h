/* Cases that must end alike on the real kernel and on the soft one.
 *
 * A program is a table of cases and main() { return twin_all(cases, n); }. Each case is given an
 * open ring, runs in a process of its own, once per kernel, and must leave neither an fd nor a
 * thread behind when its ring is closed. Where this host refuses io_uring only soft runs.
 */
#ifndef TWIN_CHECK_H
#define TWIN_CHECK_H

#include <pthread.h>
#include <sys/mman.h>

#include "linux_check.h"

#define QUIET_NS 20000000 /* long enough for an event that should not come */
#define GATHER_MAX 256

enum twin_kernels { ON_SOFT = 1, ON_LINUX = 2, ON_BOTH = 3 };

struct twin_case {
    const char *name;
    void (*run)(struct rm_ring *ring);
    enum twin_kernels where;
    uint32_t needs; /* enum rm_behaviour: without these the case says nothing */
};

#define BOTH(function) {#function, function, ON_BOTH, 0}
#define BOTH_WITH(function, needs) {#function, function, ON_BOTH, needs}
#define SOFT(function) {#function, function, ON_SOFT, 0}

/* ── what comes out ── */

/* The next CQE, which must be this one; its flags, without the hint that more data is there. */
static inline unsigned expect(struct rm_ring *ring, uint64_t user_data, int res) {
    struct check_cqe cqe = check_next(ring);
    CHECK_EQUAL(cqe.user_data, user_data);
    CHECK_EQUAL(cqe.res, res);
    return cqe.flags & ~IORING_CQE_F_SOCK_NONEMPTY;
}

/* `n` CQEs whose order is nobody's business, by user_data 0 … n - 1. */
static inline void gather(struct rm_ring *ring, unsigned n, struct check_cqe *by_id) {
    for (unsigned i = 0; i < n; i++) by_id[i].user_data = UINT64_MAX;
    for (unsigned i = 0; i < n; i++) {
        struct check_cqe cqe = check_next(ring);
        CHECK(cqe.user_data < n);
        CHECK_EQUAL(by_id[cqe.user_data].user_data, UINT64_MAX);
        by_id[cqe.user_data] = cqe;
    }
}

static inline void submit(struct rm_ring *ring) { CHECK_EQUAL(rm_enter(ring, 0, 0), 0); }

static inline void expect_nothing(struct rm_ring *ring) {
    CHECK_EQUAL(rm_enter(ring, 1, QUIET_NS), -ETIME);
    CHECK_EQUAL(rm_cq_ready(ring), 0);
}

/* ── what goes in ── */

static inline uint64_t at(const void *pointer) { return (uint64_t)(uintptr_t)pointer; }

static inline struct io_uring_sqe *push_buffer(struct rm_ring *ring, uint8_t opcode, int fd,
                                               const void *buffer, unsigned size,
                                               uint64_t user_data) {
    struct io_uring_sqe *sqe = rm_push(ring, opcode, fd, user_data);
    sqe->addr = at(buffer);
    sqe->len = size;
    return sqe;
}

static inline struct io_uring_sqe *push_link(struct rm_ring *ring, uint8_t opcode, int fd,
                                             uint64_t user_data, uint8_t flags) {
    struct io_uring_sqe *sqe = rm_push(ring, opcode, fd, user_data);
    sqe->flags = flags;
    return sqe;
}

static inline struct io_uring_sqe *push_time(struct rm_ring *ring, uint8_t opcode,
                                             const struct __kernel_timespec *span,
                                             uint64_t user_data) {
    struct io_uring_sqe *sqe = rm_push(ring, opcode, -1, user_data);
    sqe->addr = at(span);
    sqe->len = 1;
    return sqe;
}

static inline struct io_uring_sqe *push_cancel(struct rm_ring *ring, uint64_t target,
                                               uint64_t user_data) {
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_ASYNC_CANCEL, -1, user_data);
    sqe->addr = target;
    return sqe;
}

static inline void put(int fd, const char *text) {
    CHECK_EQUAL(write(fd, text, strlen(text)), strlen(text));
}

/* ── a group of buffers ── */

#define GROUP 7
#define GROUP_BUFFERS 8
#define GROUP_SIZE 16

struct group {
    struct io_uring_buf_ring *ring;
    char memory[GROUP_BUFFERS][GROUP_SIZE];
};

static inline void group_give(struct group *group, uint16_t bid) {
    struct io_uring_buf *bufs = (struct io_uring_buf *)group->ring;
    uint16_t tail = group->ring->tail;
    struct io_uring_buf *buf = &bufs[tail & (GROUP_BUFFERS - 1)];
    buf->addr = at(group->memory[bid]);
    buf->len = GROUP_SIZE;
    buf->bid = bid;
    __atomic_store_n(&group->ring->tail, (uint16_t)(tail + 1), __ATOMIC_RELEASE);
}

static inline void group_open(struct rm_ring *ring, struct group *group, unsigned given) {
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    group->ring = memory;
    struct io_uring_buf_reg reg = {
        .ring_addr = at(memory), .ring_entries = GROUP_BUFFERS, .bgid = GROUP};
    CHECK_EQUAL(ring->kernel->enroll(ring, IORING_REGISTER_PBUF_RING, &reg, 1), 0);
    for (unsigned bid = 0; bid < given; bid++) group_give(group, (uint16_t)bid);
}

static inline struct io_uring_sqe *push_select(struct rm_ring *ring, uint8_t opcode, int fd,
                                               uint64_t user_data) {
    struct io_uring_sqe *sqe = push_link(ring, opcode, fd, user_data, IOSQE_BUFFER_SELECT);
    sqe->buf_group = GROUP;
    if (opcode == IORING_OP_READ) sqe->off = UINT64_MAX;
    return sqe;
}

static inline unsigned with_buffer(unsigned bid) {
    return IORING_CQE_F_BUFFER | bid << IORING_CQE_BUFFER_SHIFT;
}

/* ── running ── */

static const struct twin_case *twin_case;
static const struct rm_kernel *twin_kernel;

static void *twin_nothing(void *arg) { return arg; }

static inline void twin_run(void) {
    pthread_t first; /* with the first thread of a process a sanitizer may start its own */
    CHECK_EQUAL(pthread_create(&first, NULL, twin_nothing, NULL), 0);
    CHECK_EQUAL(pthread_join(first, NULL), 0);
    struct rm_config config = check_config(64, 128);
    struct rm_ring ring;
    int fds = check_count("fd"), threads = check_count("task");
    CHECK_EQUAL(rm_open(&ring, twin_kernel, &config), 0);
    if ((ring.behaviours & twin_case->needs) == twin_case->needs) twin_case->run(&ring);
    rm_close(&ring);
    /* A joined thread is still listed while the kernel buries it. */
    for (int i = 0; i < 1000 && check_count("task") > threads; i++) usleep(1000);
    CHECK(check_count("task") <= threads);
    /* … and a sanitizer opens files of its own now and then. What leaked stays. */
    for (int i = 0; i < 1000 && check_count("fd") > fds; i++) usleep(1000);
    CHECK_EQUAL(check_count("fd"), fds);
}

static inline int twin_all_on(const struct rm_kernel *kernel, enum twin_kernels which,
                              const struct twin_case *cases, unsigned count) {
    int failed = 0;
    twin_kernel = kernel;
    for (unsigned i = 0; i < count; i++) {
        if (!(cases[i].where & which)) continue;
        twin_case = &cases[i];
        int status = check_in_child(twin_run);
        printf("%s on %s: %s\n", cases[i].name, kernel->name, status ? "FAILED" : "passed");
        if (status && !WIFEXITED(status)) printf("  killed by signal %d\n", WTERMSIG(status));
        failed += status != 0;
    }
    return failed;
}

static inline int twin_all(const struct twin_case *cases, unsigned count) {
    struct rm_config config = check_config(64, 128);
    struct rm_ring ring;
    int failed = twin_all_on(&rm_soft, ON_SOFT, cases, count);
    if (rm_open(&ring, &rm_linux, &config) == 0) {
        rm_close(&ring);
        failed += twin_all_on(&rm_linux, ON_LINUX, cases, count);
    }
    return failed ? 1 : 0;
}

#define TWIN_MAIN(cases)                                                                           \
    int main(void) { return twin_all(cases, sizeof cases / sizeof *cases); }

#endif
