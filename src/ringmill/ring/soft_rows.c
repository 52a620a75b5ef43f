/* How the soft kernel executes each opcode. Generated from ops/table/ by ops/generate.py; edit there. */
#include "soft_row.h"

#include "soft_calls.h"

static inline void *rm_pointer(uint64_t address) { return (void *)(uintptr_t)address; }

static int run_nop(const struct io_uring_sqe *sqe, bool nowait) {
    (void)sqe;
    (void)nowait;
    return 0;
}

static int run_open(const struct io_uring_sqe *sqe, bool nowait) {
    const char *path = rm_pointer(sqe->addr);
    unsigned flags = (unsigned)sqe->open_flags;
    unsigned mode = (unsigned)sqe->len;
    int dir_fd = sqe->fd;
    (void)nowait;
    return rm_do_openat(dir_fd, path, (int)flags, mode);
}

static int run_open_openat2(const struct io_uring_sqe *sqe, bool nowait) {
    const char *path = rm_pointer(sqe->addr);
    int dir_fd = sqe->fd;
    const struct open_how *how = rm_pointer(sqe->addr2);
    (void)nowait;
    return rm_do_openat2(dir_fd, path, how);
}

static int run_close(const struct io_uring_sqe *sqe, bool nowait) {
    int fd = sqe->fd;
    (void)nowait;
    return rm_do_close(fd);
}

static int run_read(const struct io_uring_sqe *sqe, bool nowait) {
    int fd = sqe->fd;
    void *data = rm_pointer(sqe->addr);
    unsigned n = sqe->len;
    uint64_t offset = sqe->off;
    return rm_do_read(fd, data, n, offset, nowait);
}

static int run_readv(const struct io_uring_sqe *sqe, bool nowait) {
    int fd = sqe->fd;
    const struct iovec *buffers = rm_pointer(sqe->addr);
    unsigned n = sqe->len;
    uint64_t offset = sqe->off;
    return rm_do_readv(fd, buffers, n, offset, nowait);
}

static int run_write(const struct io_uring_sqe *sqe, bool nowait) {
    int fd = sqe->fd;
    const void *data = rm_pointer(sqe->addr);
    unsigned n = sqe->len;
    uint64_t offset = sqe->off;
    return rm_do_write(fd, data, n, offset, nowait);
}

static int run_writev(const struct io_uring_sqe *sqe, bool nowait) {
    int fd = sqe->fd;
    const struct iovec *buffers = rm_pointer(sqe->addr);
    unsigned n = sqe->len;
    uint64_t offset = sqe->off;
    return rm_do_writev(fd, buffers, n, offset, nowait);
}

static int run_fsync(const struct io_uring_sqe *sqe, bool nowait) {
    int fd = sqe->fd;
    bool datasync = !!(sqe->fsync_flags & IORING_FSYNC_DATASYNC);
    (void)nowait;
    return rm_result(datasync ? fdatasync(fd) : fsync(fd));
}

static int run_ftruncate(const struct io_uring_sqe *sqe, bool nowait) {
    int fd = sqe->fd;
    uint64_t length = sqe->off;
    (void)nowait;
    return rm_result(ftruncate(fd, (off_t)length));
}

static int run_fallocate(const struct io_uring_sqe *sqe, bool nowait) {
    int fd = sqe->fd;
    uint64_t offset = sqe->off;
    uint64_t length = sqe->addr;
    (void)nowait;
    return rm_result(fallocate(fd, (int)sqe->len, (off_t)offset, (off_t)length));
}

static int run_sync_file_range(const struct io_uring_sqe *sqe, bool nowait) {
    int fd = sqe->fd;
    uint64_t offset = sqe->off;
    uint64_t length = sqe->addr ? sqe->addr : sqe->len;
    (void)nowait;
    return rm_result(sync_file_range(fd, (off_t)offset, (off_t)length, sqe->sync_range_flags));
}

static int run_fadvise(const struct io_uring_sqe *sqe, bool nowait) {
    int fd = sqe->fd;
    uint64_t offset = sqe->off;
    uint64_t length = sqe->addr ? sqe->addr : sqe->len;
    unsigned advice = (unsigned)sqe->fadvise_advice;
    (void)nowait;
    return -posix_fadvise(fd, (off_t)offset, (off_t)length, (int)advice);
}

static int run_madvise(const struct io_uring_sqe *sqe, bool nowait) {
    void *memory = rm_pointer(sqe->addr);
    size_t n = sqe->off ? sqe->off : sqe->len;
    unsigned advice = (unsigned)sqe->fadvise_advice;
    (void)nowait;
    return rm_result(madvise(memory, n, (int)advice));
}

static int run_stat(const struct io_uring_sqe *sqe, bool nowait) {
    const char *path = rm_pointer(sqe->addr);
    int dir_fd = sqe->fd;
    struct statx *out = rm_pointer(sqe->addr2);
    unsigned mask = sqe->len;
    int flags = (int)sqe->statx_flags;
    (void)nowait;
    return rm_do_statx(dir_fd, path, flags, mask, out);
}

static int run_splice(const struct io_uring_sqe *sqe, bool nowait) {
    int source = sqe->splice_fd_in;
    int target = sqe->fd;
    unsigned n = (unsigned)sqe->len;
    uint64_t offset_source = sqe->splice_off_in;
    uint64_t offset_target = sqe->off;
    unsigned flags = (unsigned)sqe->splice_flags;
    return rm_do_splice(source, (int64_t)offset_source, target, (int64_t)offset_target, n, flags, nowait);
}

static int run_tee(const struct io_uring_sqe *sqe, bool nowait) {
    int source = sqe->splice_fd_in;
    int target = sqe->fd;
    unsigned n = (unsigned)sqe->len;
    unsigned flags = (unsigned)sqe->splice_flags;
    return rm_do_tee(source, target, n, flags, nowait);
}

static int run_pipe(const struct io_uring_sqe *sqe, bool nowait) {
    unsigned flags = (unsigned)sqe->rw_flags;
    int *pipe = rm_pointer(sqe->addr);
    (void)nowait;
    return rm_result(pipe2(pipe, (int)flags));
}

static int run_mkdir(const struct io_uring_sqe *sqe, bool nowait) {
    const char *path = rm_pointer(sqe->addr);
    unsigned mode = (unsigned)sqe->len;
    int dir_fd = sqe->fd;
    (void)nowait;
    return rm_result(mkdirat(dir_fd, path, (mode_t)mode));
}

static int run_unlink(const struct io_uring_sqe *sqe, bool nowait) {
    const char *path = rm_pointer(sqe->addr);
    int dir_fd = sqe->fd;
    (void)nowait;
    return rm_result(unlinkat(dir_fd, path, (int)sqe->unlink_flags));
}

static int run_symlink(const struct io_uring_sqe *sqe, bool nowait) {
    const char *src = rm_pointer(sqe->addr);
    const char *dst = rm_pointer(sqe->addr2);
    int dir_fd = sqe->fd;
    (void)nowait;
    return rm_result(symlinkat(src, dir_fd, dst));
}

static int run_link(const struct io_uring_sqe *sqe, bool nowait) {
    const char *src = rm_pointer(sqe->addr);
    const char *dst = rm_pointer(sqe->addr2);
    int src_dir_fd = sqe->fd;
    int dst_dir_fd = (int)sqe->len;
    (void)nowait;
    return rm_result(linkat(src_dir_fd, src, dst_dir_fd, dst, (int)sqe->hardlink_flags));
}

static int run_rename(const struct io_uring_sqe *sqe, bool nowait) {
    const char *src = rm_pointer(sqe->addr);
    const char *dst = rm_pointer(sqe->addr2);
    int src_dir_fd = sqe->fd;
    int dst_dir_fd = (int)sqe->len;
    (void)nowait;
    return rm_result(syscall(SYS_renameat2, src_dir_fd, src, dst_dir_fd, dst, sqe->rename_flags));
}

static int run_getxattr(const struct io_uring_sqe *sqe, bool nowait) {
    int path_fd = sqe->fd;
    const char *path = rm_pointer(sqe->addr3);
    const char *attribute = rm_pointer(sqe->addr);
    void *value = rm_pointer(sqe->addr2);
    unsigned n = sqe->len;
    (void)nowait;
    return rm_do_getxattr(path_fd, path, attribute, value, n, (int)sqe->xattr_flags);
}

static int run_setxattr(const struct io_uring_sqe *sqe, bool nowait) {
    int path_fd = sqe->fd;
    const char *path = rm_pointer(sqe->addr3);
    const char *attribute = rm_pointer(sqe->addr);
    const void *value = rm_pointer(sqe->addr2);
    unsigned n = sqe->len;
    (void)nowait;
    return rm_do_setxattr(path_fd, path, attribute, value, n, (int)sqe->xattr_flags);
}

static int run_socket(const struct io_uring_sqe *sqe, bool nowait) {
    int family = sqe->fd;
    unsigned type = (unsigned)sqe->off;
    int proto = (int)sqe->len;
    (void)nowait;
    return rm_result(socket(family, (int)type, proto));
}

static int run_bind(const struct io_uring_sqe *sqe, bool nowait) {
    int sock = sqe->fd;
    const struct sockaddr *address = rm_pointer(sqe->addr);
    socklen_t address_len = (socklen_t)sqe->addr2;
    (void)nowait;
    return rm_result(bind(sock, address, address_len));
}

static int run_listen(const struct io_uring_sqe *sqe, bool nowait) {
    int sock = sqe->fd;
    int backlog = (int)sqe->len;
    (void)nowait;
    return rm_result(listen(sock, backlog));
}

static int run_accept(const struct io_uring_sqe *sqe, bool nowait) {
    int sock = sqe->fd;
    unsigned flags = (unsigned)sqe->accept_flags;
    struct sockaddr *address = rm_pointer(sqe->addr);
    socklen_t *address_len = rm_pointer(sqe->addr2);
    return rm_do_accept(sock, address, address_len, (int)flags, nowait);
}

static int run_connect(const struct io_uring_sqe *sqe, bool nowait) {
    int sock = sqe->fd;
    const struct sockaddr *address = rm_pointer(sqe->addr);
    socklen_t address_len = (socklen_t)sqe->addr2;
    return rm_do_connect(sock, address, address_len, nowait);
}

static int run_recv(const struct io_uring_sqe *sqe, bool nowait) {
    int sock = sqe->fd;
    void *data = rm_pointer(sqe->addr);
    unsigned n = sqe->len;
    unsigned flags = (unsigned)sqe->msg_flags;
    return rm_do_recv(sock, data, n, (int)flags, nowait);
}

static int run_shutdown(const struct io_uring_sqe *sqe, bool nowait) {
    int sock = sqe->fd;
    int how = (int)sqe->len;
    (void)nowait;
    return rm_result(shutdown(sock, how));
}

static int run_getsockopt(const struct io_uring_sqe *sqe, bool nowait) {
    (void)nowait;
    return rm_do_socket_command(sqe);
}

static int run_sendto(const struct io_uring_sqe *sqe, bool nowait) {
    int sock = sqe->fd;
    const void *data = rm_pointer(sqe->addr);
    unsigned n = sqe->len;
    const struct sockaddr *address = rm_pointer(sqe->addr2);
    socklen_t address_len = sqe->addr_len;
    unsigned flags = (unsigned)sqe->msg_flags;
    return rm_do_send(sock, data, n, (int)flags, address, address_len, nowait);
}

static int run_sendmsg(const struct io_uring_sqe *sqe, bool nowait) {
    int sock = sqe->fd;
    struct msghdr *message = rm_pointer(sqe->addr);
    unsigned flags = (unsigned)sqe->msg_flags;
    return rm_do_sendmsg(sock, message, (int)flags, nowait);
}

static int run_recvmsg(const struct io_uring_sqe *sqe, bool nowait) {
    int sock = sqe->fd;
    struct msghdr *message = rm_pointer(sqe->addr);
    unsigned flags = (unsigned)sqe->msg_flags;
    return rm_do_recvmsg(sock, message, (int)flags, nowait);
}

static int run_waitid(const struct io_uring_sqe *sqe, bool nowait) {
    unsigned idtype = (unsigned)sqe->len;
    int id = sqe->fd;
    unsigned options = (unsigned)sqe->file_index;
    siginfo_t *info = rm_pointer(sqe->addr2);
    (void)nowait;
    return rm_do_waitid((int)idtype, id, info, (int)options);
}

static int run_epoll_wait(const struct io_uring_sqe *sqe, bool nowait) {
    int epoll = sqe->fd;
    void *events = rm_pointer(sqe->addr);
    unsigned n = sqe->len;
    return rm_do_epoll_wait(epoll, events, n, nowait);
}

static int run_futex_wait(const struct io_uring_sqe *sqe, bool nowait) {
    uint32_t *word = rm_pointer(sqe->addr);
    unsigned value = (unsigned)sqe->addr2;
    unsigned mask = (unsigned)sqe->addr3;
    (void)nowait;
    return rm_result(syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, NULL, NULL, mask));
}

static int run_futex_wake(const struct io_uring_sqe *sqe, bool nowait) {
    uint32_t *word = rm_pointer(sqe->addr);
    int n = (int)sqe->addr2;
    unsigned mask = (unsigned)sqe->addr3;
    (void)nowait;
    return n ? rm_result(syscall(SYS_futex, word, FUTEX_WAKE_BITSET, n, NULL, NULL, mask)) : 0;
}

const struct rm_soft_row rm_soft_rows[RM_OPCODES] = {
    [IORING_OP_NOP] = {RM_AT_ONCE, run_nop},
    [IORING_OP_OPENAT] = {RM_IN_WORKER, run_open},
    [IORING_OP_OPENAT2] = {RM_IN_WORKER, run_open_openat2},
    [IORING_OP_CLOSE] = {RM_AT_ONCE, run_close},
    [IORING_OP_READ] = {RM_WHEN_READABLE, run_read},
    [IORING_OP_READV] = {RM_WHEN_READABLE, run_readv},
    [IORING_OP_WRITE] = {RM_WHEN_WRITABLE, run_write},
    [IORING_OP_WRITEV] = {RM_WHEN_WRITABLE, run_writev},
    [IORING_OP_FSYNC] = {RM_IN_WORKER, run_fsync},
    [IORING_OP_FTRUNCATE] = {RM_IN_WORKER, run_ftruncate},
    [IORING_OP_FALLOCATE] = {RM_IN_WORKER, run_fallocate},
    [IORING_OP_SYNC_FILE_RANGE] = {RM_IN_WORKER, run_sync_file_range},
    [IORING_OP_FADVISE] = {RM_IN_WORKER, run_fadvise},
    [IORING_OP_MADVISE] = {RM_IN_WORKER, run_madvise},
    [IORING_OP_STATX] = {RM_IN_WORKER, run_stat},
    [IORING_OP_SPLICE] = {RM_IN_OWN_WORKER, run_splice},
    [IORING_OP_TEE] = {RM_IN_OWN_WORKER, run_tee},
    [IORING_OP_PIPE] = {RM_AT_ONCE, run_pipe},
    [IORING_OP_MKDIRAT] = {RM_IN_WORKER, run_mkdir},
    [IORING_OP_UNLINKAT] = {RM_IN_WORKER, run_unlink},
    [IORING_OP_SYMLINKAT] = {RM_IN_WORKER, run_symlink},
    [IORING_OP_LINKAT] = {RM_IN_WORKER, run_link},
    [IORING_OP_RENAMEAT] = {RM_IN_WORKER, run_rename},
    [IORING_OP_GETXATTR] = {RM_IN_WORKER, run_getxattr},
    [IORING_OP_FGETXATTR] = {RM_IN_WORKER, run_getxattr},
    [IORING_OP_SETXATTR] = {RM_IN_WORKER, run_setxattr},
    [IORING_OP_FSETXATTR] = {RM_IN_WORKER, run_setxattr},
    [IORING_OP_SOCKET] = {RM_AT_ONCE, run_socket},
    [IORING_OP_BIND] = {RM_AT_ONCE, run_bind},
    [IORING_OP_LISTEN] = {RM_AT_ONCE, run_listen},
    [IORING_OP_ACCEPT] = {RM_WHEN_READABLE, run_accept},
    [IORING_OP_CONNECT] = {RM_WHEN_WRITABLE, run_connect},
    [IORING_OP_RECV] = {RM_WHEN_READABLE, run_recv},
    [IORING_OP_SHUTDOWN] = {RM_AT_ONCE, run_shutdown},
    [IORING_OP_URING_CMD] = {RM_AT_ONCE, run_getsockopt},
    [IORING_OP_SEND] = {RM_WHEN_WRITABLE, run_sendto},
    [IORING_OP_SENDMSG] = {RM_WHEN_WRITABLE, run_sendmsg},
    [IORING_OP_RECVMSG] = {RM_WHEN_READABLE, run_recvmsg},
    [IORING_OP_WAITID] = {RM_IN_OWN_WORKER, run_waitid},
    [IORING_OP_EPOLL_WAIT] = {RM_WHEN_READABLE, run_epoll_wait},
    [IORING_OP_FUTEX_WAIT] = {RM_IN_OWN_WORKER, run_futex_wait},
    [IORING_OP_FUTEX_WAKE] = {RM_AT_ONCE, run_futex_wake},
};
