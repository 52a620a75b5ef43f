"""What Cython needs to know of ring.h; declarations only."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "ring.h" nogil:
    struct io_uring_sqe:
        uint8_t opcode
        uint8_t flags
        uint16_t ioprio
        int32_t fd
        uint64_t off
        uint64_t addr2
        uint64_t addr
        uint64_t splice_off_in
        uint32_t len
        uint32_t fsync_flags
        uint32_t poll32_events
        uint32_t msg_flags
        uint32_t accept_flags
        uint32_t open_flags
        uint32_t statx_flags
        uint32_t splice_flags
        uint32_t rw_flags
        uint32_t fadvise_advice
        uint32_t sync_range_flags
        uint32_t xattr_flags
        uint32_t cmd_op
        uint32_t rename_flags
        uint32_t unlink_flags
        uint32_t hardlink_flags
        uint64_t user_data
        uint16_t buf_group
        int32_t splice_fd_in
        uint32_t file_index
        uint16_t addr_len
        uint64_t addr3

    struct io_uring_cqe:
        uint64_t user_data
        int32_t res
        uint32_t flags

    struct io_uring_buf:
        uint64_t addr
        uint32_t len
        uint16_t bid

    struct io_uring_buf_ring:
        uint16_t tail

    struct io_uring_buf_reg:
        uint64_t ring_addr
        uint32_t ring_entries
        uint16_t bgid

    enum:
        IORING_OP_NOP
        IORING_OP_POLL_ADD
        IORING_OP_ASYNC_CANCEL
        IORING_OP_READ
        IORING_CQE_F_BUFFER
        IORING_CQE_F_MORE
        IORING_CQE_F_NOTIF
        IORING_NOTIF_USAGE_ZC_COPIED
        IORING_SEND_ZC_REPORT_USAGE
        IORING_CQE_BUFFER_SHIFT
        IORING_REGISTER_PBUF_RING
        IORING_UNREGISTER_PBUF_RING
        IOSQE_BUFFER_SELECT
        IOSQE_FIXED_FILE
        IOSQE_IO_HARDLINK
        IOSQE_IO_LINK
        RM_FOREVER
        RM_READABLE

    struct io_uring_recvmsg_out:
        uint32_t namelen
        uint32_t controllen
        uint32_t payloadlen
        uint32_t flags

    enum rm_behaviour:
        RM_ACCEPT_MULTISHOT
        RM_RECV_MULTISHOT
        RM_READ_MULTISHOT
        RM_POLL_MULTISHOT
        RM_SEND_TO
        RM_SEND_WHOLE
        RM_TASKRUN_FLAG
        RM_FIXED_BUFFERS
        RM_SEND_ZC
        RM_DIRECT_FILES

    struct rm_config:
        unsigned entries
        unsigned cq_entries
        unsigned workers_max
        bint sqpoll
        uint64_t masked_ops
        uint32_t masked
        uint32_t masked_setup
        void *lies  # struct rm_lies: see lies.pxd

    struct rm_kernel:
        const char *name
        int (*enroll)(rm_ring *ring, unsigned opcode, void *arg, unsigned n)

    struct rm_ring:
        io_uring_sqe *sqes
        unsigned *sq_ktail
        unsigned sq_tail
        unsigned sq_entries
        unsigned sq_mask
        unsigned cq_entries
        const rm_kernel *kernel
        int fd
        unsigned setup_flags
        unsigned features
        unsigned expected
        uint64_t opcodes
        uint32_t behaviours
        char *why
        uint64_t enters
        uint64_t submitted
        uint64_t reaped

    const rm_kernel rm_linux
    const rm_kernel rm_soft
    const rm_kernel rm_sim

    int64_t rm_now_ns()
    int64_t rm_clock(const rm_ring *ring)
    bint rm_has_op(const rm_ring *ring, unsigned opcode)
    unsigned rm_sq_room(const rm_ring *ring)
    unsigned rm_sq_pending(const rm_ring *ring)
    io_uring_sqe *rm_push(rm_ring *ring, uint8_t opcode, int fd, uint64_t user_data)
    unsigned rm_cq_ready(const rm_ring *ring)
    unsigned rm_reap(rm_ring *ring, io_uring_cqe *out, unsigned n)
    bint rm_needs_enter(const rm_ring *ring)
    int rm_enter(rm_ring *ring, unsigned wait, int64_t timeout_ns)
    int rm_open(rm_ring *ring, const rm_kernel *kernel, const rm_config *config)
    void rm_close(rm_ring *ring)
    void rm_forget(rm_ring *ring)
