/* What the C tests of the real kernel share: cases, each in a process of its own, and CHECK.
 *
 * A program is a table of cases and main() { return check_all(cases, n); }. It returns 77 where
 * this host refuses io_uring, with the ring's own words.
 */
#ifndef LINUX_CHECK_H
#define LINUX_CHECK_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "ring.h"

#define SKIPPED 77
#define CASE_S 60         /* a case that hangs is killed; nothing here takes a second */
#define SOON_NS 2000000    /* a timeout that is meant to expire */
#define ENOUGH_NS 5000000000 /* one that is not */

#define CHECK(truth)                                                                               \
    do {                                                                                           \
        if (!(truth)) {                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #truth);                    \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* Both sides in the report. */
#define CHECK_EQUAL(left, right)                                                                   \
    do {                                                                                           \
        long long left_ = (long long)(left), right_ = (long long)(right);                          \
        if (left_ != right_) {                                                                     \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #left, left_,     \
                    right_);                                                                       \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

struct check_case {
    const char *name;
    void (*run)(void);
};

#define CASE(function) {#function, function}

static inline struct rm_config check_config(unsigned entries, unsigned cq_entries) {
    return (struct rm_config){.entries = entries, .cq_entries = cq_entries};
}

static inline void check_open(struct rm_ring *ring, const struct rm_config *config) {
    int error = rm_open(ring, &rm_linux, config);
    if (error < 0) fprintf(stderr, "%s\n", ring->why);
    CHECK_EQUAL(error, 0);
}

/* Entries of a folder of /proc/self: open fds ("fd"), threads ("task"). */
static inline int check_count(const char *folder) {
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/self/%s", folder);
    DIR *entries = opendir(path);
    CHECK(entries != NULL);
    while (readdir(entries)) count++;
    closedir(entries);
    return count;
}

/* A CQE that can be returned: the kernel's struct ends in an array of no fixed size. */
struct check_cqe {
    uint64_t user_data;
    int res;
    unsigned flags;
};

/* Enter until a CQE is there; that CQE. */
static inline struct check_cqe check_next(struct rm_ring *ring) {
    struct io_uring_cqe cqe;
    while (rm_cq_ready(ring) == 0) CHECK_EQUAL(rm_enter(ring, 1, ENOUGH_NS), 0);
    CHECK_EQUAL(rm_reap(ring, &cqe, 1), 1);
    return (struct check_cqe){cqe.user_data, cqe.res, cqe.flags};
}

static inline void check_pair(int pair[2]) {
    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static inline struct io_uring_sqe *check_push_recv(struct rm_ring *ring, int fd, void *buffer,
                                                   unsigned size, uint64_t user_data) {
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_RECV, fd, user_data);
    sqe->addr = (uint64_t)(uintptr_t)buffer;
    sqe->len = size;
    return sqe;
}

/* Run `run` in a child; its exit status, as waitpid has it. */
static inline int check_in_child(void (*run)(void)) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(CASE_S);
        run();
        exit(0); /* not _exit: sanitizers report leaks at exit */
    }
    while (waitpid(child, &status, 0) < 0) CHECK_EQUAL(errno, EINTR);
    return status;
}

static inline int check_all(const struct check_case *cases, unsigned count) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    int failed = 0;
    if (rm_open(&ring, &rm_linux, &config) < 0) {
        printf("%s\n", ring.why);
        return SKIPPED;
    }
    rm_close(&ring);
    for (unsigned i = 0; i < count; i++) {
        int status = check_in_child(cases[i].run);
        printf("%s: %s\n", cases[i].name, status ? "FAILED" : "passed");
        if (status && !WIFEXITED(status)) printf("  killed by signal %d\n", WTERMSIG(status));
        failed += status != 0;
    }
    return failed ? 1 : 0;
}

#endif
