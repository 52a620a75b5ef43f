/* How the soft kernel executes an opcode: a row per op, made from ops/table/.
 *
 * `run` gets a private copy of the SQE (the engine has already chosen the buffer, where one is to
 * be selected) and makes the system call. With `nowait` it must not block: it answers -EAGAIN, and
 * the engine waits for the fd and calls again. Without, it runs in a worker and may block.
 */
#ifndef RM_SOFT_ROW_H
#define RM_SOFT_ROW_H

#include "ring.h"

enum rm_how {
    RM_HOW_NONE,       /* unknown to the soft kernel: -EINVAL */
    RM_AT_ONCE,        /* never blocks for long: run in enter */
    RM_WHEN_READABLE,  /* try; on -EAGAIN wait for EPOLLIN. Files that epoll refuses: a worker */
    RM_WHEN_WRITABLE,  /* the same with EPOLLOUT */
    RM_IN_WORKER,      /* may block for as long as a disk does: the bounded pool */
    RM_IN_OWN_WORKER, /* may block for ever (a child, a FIFO): never takes a place in that pool */
};

struct rm_soft_row {
    enum rm_how how;
    int (*run)(const struct io_uring_sqe *sqe, bool nowait); /* result, or -errno */
};

extern const struct rm_soft_row rm_soft_rows[RM_OPCODES]; /* soft_rows.c, generated */

#endif
