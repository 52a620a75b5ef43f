/* What the files of the real kernel share: its state, and how one file reaches the other.
 *
 * linux.c makes and enters a ring, linux_close.c ends it. Only linux*.c include this file.
 */
#ifndef RM_LINUX_H
#define RM_LINUX_H

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "ring.h"

struct rm_linux_state {
    void *queues;           /* the mapping of all indices and the CQEs */
    size_t queues_size, sqes_size;
    unsigned *cq_koverflow; /* CQEs that are lost for ever, counted by the kernel … */
    unsigned lost;          /* … and how many of them enter has reported */
    unsigned told;          /* SQPOLL: up to which SQE the kernel's thread has been told */
    /* What close has to know: taken - ended is what is in flight, or more (CQE_SKIP hides ends).
     * Not where another ring's MSG_RING puts CQEs here: the owner of such a ring ends its ops
     * before it closes the ring, and counts them itself. */
    uint64_t taken, ended; /* SQEs, and CQEs without F_MORE */
    unsigned counted; /* up to which CQE */
    pid_t owner; /* the thread that made the ring; a registered index is valid there */
    bool forkless; /* the mappings do not exist in a forked child */
};

static inline int rm_register(int fd, unsigned opcode, void *arg, unsigned n) {
    int result = (int)syscall(__NR_io_uring_register, fd, opcode, arg, n);
    return result < 0 ? -errno : result;
}

void rm_linux_unmap(struct rm_ring *ring);
void rm_linux_count(struct rm_ring *ring);
void rm_linux_close(struct rm_ring *ring);
void rm_linux_forget(struct rm_ring *ring);

#endif
