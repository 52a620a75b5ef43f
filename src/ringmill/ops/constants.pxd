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
