/* The system calls behind the rows of soft_rows.c, with one promise added: `nowait`.
 *
 * With it a call answers -EAGAIN where it would block, whatever the fd's own flags say; without
 * it a call blocks even on an fd that is O_NONBLOCK, since io_uring does so, too. O_NONBLOCK is
 * never set to bring this about: it belongs to the open file, which other processes share. (One
 * exception, connect, says why.) All answer the result, or -errno.
 */
#ifndef RM_SOFT_CALLS_H
#define RM_SOFT_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "uapi.h"

/* It cannot be kept from blocking: for a worker. Never leaves the soft kernel. */
#define RM_MAY_BLOCK (-4000)

static inline int rm_result(long r) { return r < 0 ? -errno : (int)r; }

/* off == (uint64_t)-1: the current position. Ignored by what has none (pipes, sockets). */
int rm_do_read(int fd, void *buf, unsigned len, uint64_t off, bool nowait);
int rm_do_write(int fd, const void *buf, unsigned len, uint64_t off, bool nowait);
int rm_do_readv(int fd, const struct iovec *iov, unsigned n, uint64_t off, bool nowait);
int rm_do_writev(int fd, const struct iovec *iov, unsigned n, uint64_t off, bool nowait);

int rm_do_recv(int fd, void *buf, unsigned len, int flags, bool nowait);
int rm_do_send(int fd, const void *buf, unsigned len, int flags, const struct sockaddr *to,
               socklen_t to_len, bool nowait); /* to == NULL: whom it is connected to */
int rm_do_recvmsg(int fd, struct msghdr *msg, int flags, bool nowait);
int rm_do_sendmsg(int fd, const struct msghdr *msg, int flags, bool nowait);
int rm_do_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags, bool nowait);
/* With nowait: -EINPROGRESS, then ask for the outcome when the fd is writable. */
int rm_do_connect(int fd, const struct sockaddr *addr, socklen_t len, bool nowait);
int rm_do_connect_outcome(int fd); /* 0, the error, or -EAGAIN: not decided */

int rm_do_socket_command(const struct io_uring_sqe *sqe); /* SOCKET_URING_OP_… */
int rm_do_epoll_wait(int fd, void *events, unsigned n, bool nowait);

/* Offsets -1: none, use the file's own. */
int rm_do_splice(int in, int64_t off_in, int out, int64_t off_out, unsigned n, unsigned flags,
                 bool nowait);
int rm_do_tee(int in, int out, unsigned n, unsigned flags, bool nowait);

int rm_do_openat(int dfd, const char *path, int flags, unsigned mode);
int rm_do_openat2(int dfd, const char *path, const struct open_how *how);
int rm_do_statx(int dfd, const char *path, int flags, unsigned mask, struct statx *st);
/* path NULL: of fd. flags: XATTR_CREATE, XATTR_REPLACE, and AT_SYMLINK_NOFOLLOW. */
int rm_do_getxattr(int fd, const char *path, const char *name, void *value, size_t size, int flags);
int rm_do_setxattr(int fd, const char *path, const char *name, const void *value, size_t size,
                   int flags);
int rm_do_waitid(int idtype, int id, siginfo_t *info, int options);
int rm_do_close(int fd);

#endif
