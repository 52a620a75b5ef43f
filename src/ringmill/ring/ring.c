/* Opening and closing a ring, whichever kernel stands behind it.
 *
 * Knows: the kernels and their order of life. Must not know: how any of them works inside.
 */
#include <stdio.h>

#include "probe.h"

/* Leave nothing that somebody could use by mistake; the sentence stays. */
static void clear(struct rm_ring *ring) {
    char why[RM_WHY_SIZE];
    memcpy(why, ring->why, sizeof why);
    memset(ring, 0, sizeof *ring);
    ring->fd = ring->enter_fd = -1;
    memcpy(ring->why, why, sizeof why);
}

/* What is masked is not there, and neither is what needs it. */
static void apply_masks(struct rm_ring *ring, const struct rm_config *config) {
    static const struct {
        uint32_t behaviour;
        unsigned opcode;
    } needs[] = {
        {RM_ACCEPT_MULTISHOT, IORING_OP_ACCEPT},       {RM_RECV_MULTISHOT, IORING_OP_RECV},
        {RM_READ_MULTISHOT, IORING_OP_READ_MULTISHOT}, {RM_POLL_MULTISHOT, IORING_OP_POLL_ADD},
        {RM_CANCEL_FD, IORING_OP_ASYNC_CANCEL},        {RM_SEND_ZC, IORING_OP_SEND_ZC},
    };
    ring->opcodes &= ~config->masked_ops;
    ring->behaviours &= ~config->masked;
    for (unsigned i = 0; i < sizeof needs / sizeof *needs; i++)
        if (!rm_has_op(ring, needs[i].opcode)) ring->behaviours &= ~needs[i].behaviour;
    if (!(ring->behaviours & RM_BUFFER_RINGS))
        ring->behaviours &= ~(uint32_t)(RM_RECV_MULTISHOT | RM_READ_MULTISHOT | RM_BUNDLE);
}

int rm_open_probed(struct rm_ring *ring, const struct rm_kernel *kernel,
                   const struct rm_config *config, struct rm_probe *probe) {
    struct rm_probe fresh = {.done = false};
    memset(ring, 0, sizeof *ring);
    ring->fd = ring->enter_fd = -1;
    ring->kernel = kernel;
    int error = kernel->setup(ring, config);
    if (error < 0) {
        if (!ring->why[0])
            snprintf(ring->why, sizeof ring->why, "%s: setup failed, errno %d", kernel->name,
                     -error);
        clear(ring);
        return error;
    }
    if (kernel == &rm_linux) {
        if (!probe) probe = &fresh;
        if (!probe->done || probe->masked_ops != config->masked_ops
            || probe->masked != config->masked || probe->masked_setup != config->masked_setup)
            rm_linux_probe(ring, config, probe);
        ring->opcodes = probe->opcodes;
        ring->behaviours |= probe->behaviours;
    }
    apply_masks(ring, config);
    return 0;
}

int rm_open(struct rm_ring *ring, const struct rm_kernel *kernel, const struct rm_config *config) {
    return rm_open_probed(ring, kernel, config, NULL);
}

void rm_close(struct rm_ring *ring) {
    if (!ring->kernel) return; /* never opened, or closed already */
    ring->kernel->close(ring);
    clear(ring);
}

void rm_forget(struct rm_ring *ring) {
    if (!ring->kernel) return;
    ring->kernel->forget(ring);
    clear(ring);
}
