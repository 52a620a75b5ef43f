/* A call that blocks until it is interrupted: waiting for a child that never ends. */
#ifndef BLOCKED_H
#define BLOCKED_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "twin_check.h"

/* One for the whole program; it dies with us. */
static inline pid_t child_for_ever(void) {
    static pid_t child;
    if (child == 0) {
        pid_t parent = getpid();
        child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            while (getppid() == parent) pause(); /* else it was over before it was asked */
            _exit(0);
        }
    }
    return child;
}

static inline void push_waitid(struct rm_ring *ring, pid_t child, uint64_t user_data) {
    static siginfo_t info; /* nobody reads it */
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_WAITID, child, user_data);
    sqe->len = P_PID;
    sqe->file_index = WEXITED | WNOWAIT;
    sqe->addr2 = (uintptr_t)&info;
}

static inline void push_blocked(struct rm_ring *ring, uint64_t user_data) {
    push_waitid(ring, child_for_ever(), user_data);
}

#endif
