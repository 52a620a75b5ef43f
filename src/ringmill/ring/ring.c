/* Opening and closing a ring, whichever kernel stands behind it; and the names of what they do.
 *
 * Knows: the kernels and their order of life. Must not know: how any of them works inside.
 */
#include <stdio.h>

#include "linux.h"
#include "probe.h"
#include "soft.h"

static const char *const opcode_names[RM_OPCODES] = {
    [IORING_OP_NOP] = "NOP",
    [IORING_OP_READV] = "READV",
    [IORING_OP_WRITEV] = "WRITEV",
    [IORING_OP_FSYNC] = "FSYNC",
    [IORING_OP_READ_FIXED] = "READ_FIXED",
    [IORING_OP_WRITE_FIXED] = "WRITE_FIXED",
    [IORING_OP_POLL_ADD] = "POLL_ADD",
    [IORING_OP_POLL_REMOVE] = "POLL_REMOVE",
    [IORING_OP_SYNC_FILE_RANGE] = "SYNC_FILE_RANGE",
    [IORING_OP_SENDMSG] = "SENDMSG",
    [IORING_OP_RECVMSG] = "RECVMSG",
    [IORING_OP_TIMEOUT] = "TIMEOUT",
    [IORING_OP_TIMEOUT_REMOVE] = "TIMEOUT_REMOVE",
    [IORING_OP_ACCEPT] = "ACCEPT",
    [IORING_OP_ASYNC_CANCEL] = "ASYNC_CANCEL",
    [IORING_OP_LINK_TIMEOUT] = "LINK_TIMEOUT",
    [IORING_OP_CONNECT] = "CONNECT",
    [IORING_OP_FALLOCATE] = "FALLOCATE",
    [IORING_OP_OPENAT] = "OPENAT",
    [IORING_OP_CLOSE] = "CLOSE",
    [IORING_OP_FILES_UPDATE] = "FILES_UPDATE",
    [IORING_OP_STATX] = "STATX",
    [IORING_OP_READ] = "READ",
    [IORING_OP_WRITE] = "WRITE",
    [IORING_OP_FADVISE] = "FADVISE",
    [IORING_OP_MADVISE] = "MADVISE",
    [IORING_OP_SEND] = "SEND",
    [IORING_OP_RECV] = "RECV",
    [IORING_OP_OPENAT2] = "OPENAT2",
    [IORING_OP_EPOLL_CTL] = "EPOLL_CTL",
    [IORING_OP_SPLICE] = "SPLICE",
    [IORING_OP_PROVIDE_BUFFERS] = "PROVIDE_BUFFERS",
    [IORING_OP_REMOVE_BUFFERS] = "REMOVE_BUFFERS",
    [IORING_OP_TEE] = "TEE",
    [IORING_OP_SHUTDOWN] = "SHUTDOWN",
    [IORING_OP_RENAMEAT] = "RENAMEAT",
    [IORING_OP_UNLINKAT] = "UNLINKAT",
    [IORING_OP_MKDIRAT] = "MKDIRAT",
    [IORING_OP_SYMLINKAT] = "SYMLINKAT",
    [IORING_OP_LINKAT] = "LINKAT",
    [IORING_OP_MSG_RING] = "MSG_RING",
    [IORING_OP_FSETXATTR] = "FSETXATTR",
    [IORING_OP_SETXATTR] = "SETXATTR",
    [IORING_OP_FGETXATTR] = "FGETXATTR",
    [IORING_OP_GETXATTR] = "GETXATTR",
    [IORING_OP_SOCKET] = "SOCKET",
    [IORING_OP_URING_CMD] = "URING_CMD",
    [IORING_OP_SEND_ZC] = "SEND_ZC",
    [IORING_OP_SENDMSG_ZC] = "SENDMSG_ZC",
    [IORING_OP_READ_MULTISHOT] = "READ_MULTISHOT",
    [IORING_OP_WAITID] = "WAITID",
    [IORING_OP_FUTEX_WAIT] = "FUTEX_WAIT",
    [IORING_OP_FUTEX_WAKE] = "FUTEX_WAKE",
    [IORING_OP_FUTEX_WAITV] = "FUTEX_WAITV",
    [IORING_OP_FIXED_FD_INSTALL] = "FIXED_FD_INSTALL",
    [IORING_OP_FTRUNCATE] = "FTRUNCATE",
    [IORING_OP_BIND] = "BIND",
    [IORING_OP_LISTEN] = "LISTEN",
    [IORING_OP_RECV_ZC] = "RECV_ZC",
    [IORING_OP_EPOLL_WAIT] = "EPOLL_WAIT",
    [IORING_OP_READV_FIXED] = "READV_FIXED",
    [IORING_OP_WRITEV_FIXED] = "WRITEV_FIXED",
    [IORING_OP_PIPE] = "PIPE",
};

/* By bit: the first is 1 << 0. */
static const char *const behaviour_names[RM_BEHAVIOURS] = {
    "ACCEPT_MULTISHOT", "RECV_MULTISHOT", "READ_MULTISHOT", "POLL_MULTISHOT", "BUFFER_RINGS",
    "CQE_SKIP",         "CANCEL_FD",      "TASKRUN_FLAG",   "DEFER_TASKRUN",  "REGISTERED_RING",
    "SEND_ZC",          "BUNDLE",         "FIXED_BUFFERS",
};
_Static_assert(RM_FIXED_BUFFERS == 1 << (RM_BEHAVIOURS - 1), "a behaviour has no name above");

const char *rm_opcode_name(unsigned opcode) {
    return opcode < RM_OPCODES ? opcode_names[opcode] : NULL;
}

const char *rm_behaviour_name(unsigned index) {
    return index < RM_BEHAVIOURS ? behaviour_names[index] : NULL;
}

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
    if (ring->kernel == &rm_linux)
        rm_linux_forget(ring);
    else
        rm_soft_forget(ring);
    clear(ring);
}
