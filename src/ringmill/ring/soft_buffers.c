/* Provided buffer rings: the program writes the tail, we keep the head.
 *
 * A buffer is looked at before a call and taken only when the call has filled it, so that a call
 * that would have to wait costs none. The tail is read anew each time: the program may add
 * buffers while we wait.
 */
#include "sim.h"

#include <stdlib.h>
#include <unistd.h>

#define BUFFERS_MAX 32768 /* 16-bit head and tail tell full from empty only up to here */

static struct soft_group *group_of(struct soft *s, unsigned id) {
    return id < s->groups_size ? s->groups[id] : NULL;
}

int soft_buffers_register(struct soft *s, const struct io_uring_buf_reg *reg) {
    if (reg->pad || reg->resv[0] || reg->resv[1] || reg->resv[2])
        return -EINVAL; /* flags of newer kernels: incremental use, memory mapped by the kernel */
    if (!reg->ring_addr) return -EFAULT;
    if (reg->ring_addr & (uint64_t)(sysconf(_SC_PAGESIZE) - 1)) return -EINVAL;
    unsigned n = reg->ring_entries;
    if (n == 0 || n > BUFFERS_MAX || (n & (n - 1))) return -EINVAL;
    if (group_of(s, reg->bgid)) return -EEXIST;
    if (reg->bgid >= s->groups_size) {
        unsigned size = reg->bgid + 1;
        struct soft_group **groups = realloc(s->groups, size * sizeof *groups);
        if (!groups) return -ENOMEM;
        memset(groups + s->groups_size, 0, (size - s->groups_size) * sizeof *groups);
        s->groups = groups;
        s->groups_size = size;
    }
    struct soft_group *group = calloc(1, sizeof *group);
    if (!group) return -ENOMEM;
    group->ring = (struct io_uring_buf_ring *)(uintptr_t)reg->ring_addr;
    group->mask = n - 1;
    s->groups[reg->bgid] = group;
    return 0;
}

int soft_buffers_unregister(struct soft *s, const struct io_uring_buf_reg *reg) {
    struct soft_group *group = group_of(s, reg->bgid);
    if (!group) return -ENOENT;
    free(group);
    s->groups[reg->bgid] = NULL;
    return 0;
}

void soft_buffers_free(struct soft *s) {
    for (unsigned id = 0; id < s->groups_size; id++) free(s->groups[id]);
    free(s->groups);
}

int soft_buffer_peek(struct soft *s, struct io_uring_sqe *sqe, uint32_t *cflags) {
    struct soft_group *group = group_of(s, sqe->buf_group);
    if (!group) return -ENOBUFS;
    uint16_t tail = __atomic_load_n(&group->ring->tail, __ATOMIC_ACQUIRE);
    if (tail == group->head || (s->sim && sim_starves(s, sqe))) return -ENOBUFS;
    /* Not ring->bufs: compilers differ about the size of what stands before a flexible array. */
    struct io_uring_buf *bufs = (struct io_uring_buf *)group->ring;
    struct io_uring_buf *buf = &bufs[group->head & group->mask];
    sqe->addr = buf->addr;
    if (sqe->len == 0 || sqe->len > buf->len) sqe->len = buf->len;
    *cflags = IORING_CQE_F_BUFFER | (uint32_t)buf->bid << IORING_CQE_BUFFER_SHIFT;
    return 0;
}

void soft_buffer_commit(struct soft *s, uint16_t id) {
    struct soft_group *group = group_of(s, id);
    group->head++;
}
