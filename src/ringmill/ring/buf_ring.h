/* The ring of provided buffers, seen from the side that gives buffers back. */
#ifndef RM_BUF_RING_H
#define RM_BUF_RING_H

#include "ring.h"

/* Let the kernel have buffer `bid` again. `tail` is the caller's own count of all puts. */
static inline void rm_buf_put(struct io_uring_buf_ring *ring, unsigned mask, uint16_t *tail,
                              void *memory, unsigned size, uint16_t bid) {
    struct io_uring_buf *buf = (struct io_uring_buf *)ring + (*tail & mask);
    buf->addr = (uint64_t)(uintptr_t)memory;
    buf->len = size;
    buf->bid = bid;
    ++*tail;
    __atomic_store_n(&ring->tail, *tail, __ATOMIC_RELEASE);
}

#endif
