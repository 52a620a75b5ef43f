"""What Cython needs to know of aux.h; declarations only."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "aux.h" nogil:
    ctypedef unsigned socklen_t
    struct sockaddr_storage:
        unsigned short ss_family
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        pass
    struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        uint32_t sin6_flowinfo
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    struct sockaddr_un:
        unsigned short sun_family
        char *sun_path
    struct sockaddr_nl:
        unsigned short nl_family
        uint32_t nl_pid
        uint32_t nl_groups
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    size_t CMSG_LEN(size_t n)
    size_t CMSG_SPACE(size_t n)
    unsigned char *CMSG_DATA(cmsghdr *c)
    cmsghdr *CMSG_FIRSTHDR(msghdr *m)
    cmsghdr *CMSG_NXTHDR(msghdr *m, cmsghdr *c)
    struct statx_timestamp:
        int64_t tv_sec
        uint32_t tv_nsec
    struct statx:
        uint32_t stx_mask
        uint32_t stx_blksize
        uint32_t stx_nlink
        uint32_t stx_uid
        uint32_t stx_gid
        unsigned short stx_mode
        uint64_t stx_ino
        uint64_t stx_size
        uint64_t stx_blocks
        statx_timestamp stx_atime
        statx_timestamp stx_btime
        statx_timestamp stx_ctime
        statx_timestamp stx_mtime
        uint32_t stx_rdev_major
        uint32_t stx_rdev_minor
        uint32_t stx_dev_major
        uint32_t stx_dev_minor
    ctypedef struct siginfo_t:
        int si_signo
        int si_code
        int si_pid
        unsigned si_uid
        int si_status
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    struct open_how:
        uint64_t flags
        uint64_t mode
        uint64_t resolve
    struct rm_net:
        sockaddr_storage address
        socklen_t address_len
        msghdr msg
        iovec one
    struct rm_aux:
        rm_aux *next
        rm_net net
        statx stx
        siginfo_t info
        open_how how
        int pipe[2]
        int number
    enum:
        AF_INET
        AF_INET6
        AF_NETLINK
        AF_UNIX
