"""Constants of the system's headers that entries of the table name; declarations only."""

cdef extern from "aux.h":
    enum:
        AT_EMPTY_PATH
        AT_FDCWD
        AT_SYMLINK_NOFOLLOW
        MSG_CMSG_CLOEXEC
        MSG_NOSIGNAL
        MSG_WAITALL
        O_CLOEXEC
        SOCK_CLOEXEC
        STATX_BASIC_STATS

cdef extern from "ring.h":
    enum:
        FUTEX2_SIZE_U32
        IORING_ACCEPT_MULTISHOT
        IORING_FSYNC_DATASYNC
        IORING_POLL_ADD_MULTI
        IORING_RECV_MULTISHOT
        IORING_OP_ACCEPT
        IORING_OP_BIND
        IORING_OP_CLOSE
        IORING_OP_CONNECT
        IORING_OP_FSYNC
        IORING_OP_FUTEX_WAIT
        IORING_OP_FUTEX_WAKE
        IORING_OP_LISTEN
        IORING_OP_NOP
        IORING_OP_OPENAT
        IORING_OP_POLL_ADD
        IORING_OP_READ
        IORING_OP_READV
        IORING_OP_READ_MULTISHOT
        IORING_OP_RECV
        IORING_OP_RECVMSG
        IORING_OP_SEND
        IORING_OP_SENDMSG
        IORING_OP_SHUTDOWN
        IORING_OP_SOCKET
        IORING_OP_SPLICE
        IORING_OP_STATX
        IORING_OP_TEE
        IORING_OP_WAITID
        IORING_OP_WRITE
        IORING_OP_WRITEV
