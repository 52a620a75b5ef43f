"""Constants of the system's headers that entries of the table name; declarations only."""

from libc.stdint cimport uint64_t

cdef extern from "aux.h":
    enum:
        AT_EMPTY_PATH
        AT_FDCWD
        AT_REMOVEDIR
        AT_SYMLINK_FOLLOW
        AT_SYMLINK_NOFOLLOW
        FALLOC_FL_COLLAPSE_RANGE
        FALLOC_FL_INSERT_RANGE
        FALLOC_FL_KEEP_SIZE
        FALLOC_FL_PUNCH_HOLE
        FALLOC_FL_ZERO_RANGE
        MSG_CMSG_CLOEXEC
        MSG_NOSIGNAL
        MSG_WAITALL
        O_CLOEXEC
        O_TMPFILE
        RENAME_EXCHANGE
        RENAME_NOREPLACE
        SOCK_CLOEXEC
        STATX_BASIC_STATS
        SYNC_FILE_RANGE_WAIT_AFTER
        SYNC_FILE_RANGE_WAIT_BEFORE
        SYNC_FILE_RANGE_WRITE
        XATTR_SIZE_MAX

cdef extern from "ring.h":
    enum:
        FUTEX2_SIZE_U32
        IORING_ACCEPT_MULTISHOT
        IORING_FSYNC_DATASYNC
        IORING_POLL_ADD_MULTI
        IORING_RECV_MULTISHOT
        SOCKET_URING_OP_GETSOCKOPT
        SOCKET_URING_OP_SETSOCKOPT
    uint64_t rm_option(unsigned level, unsigned name)
