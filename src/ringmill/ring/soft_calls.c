/* The system calls behind the rows of soft_rows.c. See soft_calls.h for what `nowait` promises.
 *
 * Knows: what each call does to an fd that is not ready. Has no state.
 */
#include "soft_calls.h"

#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>

/* Is it ready this moment? */
static bool ready(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 0) != 0; /* an error is for the call itself to tell */
}

/* Until it is ready. 0, or -EINTR: the worker looks whether it was cancelled and calls again. */
static int until_ready(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, -1) < 0 ? -errno : 0;
}

/* ── read and write ── */

typedef ssize_t vector_call(int, const struct iovec *, int, off_t, int);

static bool is_disk(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0
           && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode));
}

/* POLLOUT says that there is room, not how much: may a blocking write of `iov` wait for more? */
static bool write_may_block(int fd, const struct iovec *iov, unsigned n) {
    struct stat file;
    size_t size = 0;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK) || fstat(fd, &file) < 0) return false;
    for (unsigned i = 0; i < n; i++) size += iov[i].iov_len;
    if (S_ISFIFO(file.st_mode)) return size > PIPE_BUF;
    if (S_ISCHR(file.st_mode)) return isatty(fd);
    if (file.st_mode & S_IFMT || n == 0 || iov[0].iov_len < sizeof(uint64_t)) return false;
    uint64_t count; /* an eventfd, perhaps: one more always fits */
    memcpy(&count, iov[0].iov_base, sizeof count);
    return count > 1;
}

static bool is_socket(int fd) {
    struct stat file;
    return fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode);
}

/* Files without the notion of a position refuse an offset; io_uring ignores it there, but for
 * sockets, which know of no other place than the first. */
static ssize_t positioned(vector_call *call, int fd, const struct iovec *iov, unsigned n,
                          uint64_t off, int flags) {
    ssize_t r = call(fd, iov, (int)n, (off_t)off, flags);
    if (r >= 0 || errno != ESPIPE || off == UINT64_MAX) return r;
    if (off != 0 && is_socket(fd)) {
        errno = ESPIPE;
        return -1;
    }
    return call(fd, iov, (int)n, -1, flags);
}

static int transfer(vector_call *call, short events, int fd, const struct iovec *iov, unsigned n,
                    uint64_t off, bool nowait) {
    ssize_t r;
    if (!nowait) {
        while ((r = positioned(call, fd, iov, n, off, 0)) < 0 && errno == EAGAIN) {
            int err = until_ready(fd, events);
            if (err < 0) return err;
        }
        return rm_result(r);
    }
    r = positioned(call, fd, iov, n, off, RWF_NOWAIT);
    if (r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) return rm_result(r);
    /* This file or this kernel knows no RWF_NOWAIT (terminals, timerfd, some file systems). A disk
     * always says that it is ready and then takes its time, so that is for a worker; of the rest
     * poll tells the truth, as long as nobody else reads there. */
    if (is_disk(fd) || !ready(fd, events)) return -EAGAIN;
    if (events == POLLOUT && write_may_block(fd, iov, n)) return RM_MAY_BLOCK;
    return rm_result(positioned(call, fd, iov, n, off, 0));
}

int rm_do_readv(int fd, const struct iovec *iov, unsigned n, uint64_t off, bool nowait) {
    return transfer(preadv2, POLLIN, fd, iov, n, off, nowait);
}

/* pwritev2 of nothing asks nobody; io_uring asks the socket, which may send an empty datagram. */
static int send_nothing(int fd, uint64_t off) {
    if (off != 0 && off != UINT64_MAX) return -ESPIPE;
    return rm_result(send(fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT));
}

int rm_do_writev(int fd, const struct iovec *iov, unsigned n, uint64_t off, bool nowait) {
    size_t size = 0;
    for (unsigned i = 0; i < n; i++) size += iov[i].iov_len;
    if (size == 0 && is_socket(fd)) return send_nothing(fd, off);
    return transfer(pwritev2, POLLOUT, fd, iov, n, off, nowait);
}

int rm_do_read(int fd, void *buf, unsigned len, uint64_t off, bool nowait) {
    struct iovec iov = {buf, len};
    return rm_do_readv(fd, &iov, 1, off, nowait);
}

int rm_do_write(int fd, const void *buf, unsigned len, uint64_t off, bool nowait) {
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    return rm_do_writev(fd, &iov, 1, off, nowait);
}

/* ── sockets ── */

/* The engine goes on with MSG_WAITALL itself: with MSG_DONTWAIT the kernel would not. io_uring
 * never raises SIGPIPE for a send. */
static int message_flags(int flags, bool nowait) {
    return flags | MSG_NOSIGNAL | (nowait ? MSG_DONTWAIT : 0);
}

/* The one reason to wait for which there is no event: a full AF_UNIX queue (soft_try.c). The
 * worker looks whether it was cancelled, and calls again. */
static int nap(void) {
    struct timespec a_moment = {0, 1000000};
    nanosleep(&a_moment, NULL);
    return -EINTR;
}

int rm_do_recv(int fd, void *buf, unsigned len, int flags, bool nowait) {
    return rm_result(recv(fd, buf, len, message_flags(flags, nowait)));
}

int rm_do_send(int fd, const void *buf, unsigned len, int flags, const struct sockaddr *to,
               socklen_t to_len, bool nowait) {
    int r = rm_result(sendto(fd, buf, len, message_flags(flags, nowait), to, to_len));
    return r == -EAGAIN && !nowait ? nap() : r;
}

int rm_do_recvmsg(int fd, struct msghdr *msg, int flags, bool nowait) {
    return rm_result(recvmsg(fd, msg, message_flags(flags, nowait)));
}

int rm_do_sendmsg(int fd, const struct msghdr *msg, int flags, bool nowait) {
    int r = rm_result(sendmsg(fd, msg, message_flags(flags, nowait)));
    return r == -EAGAIN && !nowait ? nap() : r;
}

/* accept knows no MSG_DONTWAIT. Should another process take the connection between the two calls,
 * and the listener be a blocking one, we wait for the next: listeners that several processes
 * share should be O_NONBLOCK, as everywhere. */
int rm_do_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags, bool nowait) {
    if (nowait && !ready(fd, POLLIN)) {
        int listens = 0;
        socklen_t size = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0) return -errno;
        if (listens) return -EAGAIN; /* else nobody ever comes, and the call tells what is wrong */
    }
    return rm_result(accept4(fd, addr, len, flags));
}

static int connect_wait(int fd, const struct sockaddr *addr, socklen_t len) {
    int r = rm_result(connect(fd, addr, len));
    if (r == -EINPROGRESS) r = until_ready(fd, POLLOUT) < 0 ? -EINTR : rm_do_connect_outcome(fd);
    return r == -EAGAIN ? nap() : r;
}

/* connect is the one call that can be kept from blocking by nothing but O_NONBLOCK. It is set
 * around this one call on a socket that nobody can be reading yet, and only if it was not. */
int rm_do_connect(int fd, const struct sockaddr *addr, socklen_t len, bool nowait) {
    if (!nowait) return connect_wait(fd, addr, len);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
    int r = rm_result(connect(fd, addr, len));
    if (!(flags & O_NONBLOCK)) fcntl(fd, F_SETFL, flags);
    return r;
}

int rm_do_connect_outcome(int fd) {
    int err = 0;
    socklen_t size = sizeof err;
    if (!ready(fd, POLLOUT)) return -EAGAIN;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0) return -errno;
    return -err;
}

int rm_do_socket_command(const struct io_uring_sqe *sqe) {
    void *value = (void *)(uintptr_t)sqe->addr3;
    socklen_t size = sqe->file_index;
    int waiting = 0;
    uint32_t level_name[2];
    memcpy(level_name, &sqe->addr, sizeof level_name);
    int level = (int)level_name[0], name = (int)level_name[1];
    switch (sqe->cmd_op) {
    case SOCKET_URING_OP_GETSOCKOPT:
        return getsockopt(sqe->fd, level, name, value, &size) < 0 ? -errno : (int)size;
    case SOCKET_URING_OP_SETSOCKOPT:
        return rm_result(setsockopt(sqe->fd, level, name, value, size));
    case SOCKET_URING_OP_SIOCINQ:
    case SOCKET_URING_OP_SIOCOUTQ:
        if (!is_socket(sqe->fd)) return -EOPNOTSUPP;
        if (ioctl(sqe->fd, sqe->cmd_op == SOCKET_URING_OP_SIOCINQ ? SIOCINQ : SIOCOUTQ, &waiting))
            return -errno;
        return waiting;
    default: return -EOPNOTSUPP;
    }
}

/* ── other descriptors ── */

int rm_do_epoll_wait(int fd, void *events, unsigned n, bool nowait) {
    int found = rm_result(epoll_wait(fd, events, (int)n, nowait ? 0 : -1));
    return found == 0 ? -EAGAIN : found;
}

/* ── between files ── */

/* SPLICE_F_NONBLOCK is about pipes only; a socket or a terminal at the other end is asked first.
 * A disk is neither: rows that splice should run in a worker of their own, as in Linux. */
static bool both_ready(int in, int out) { return ready(in, POLLIN) && ready(out, POLLOUT); }

int rm_do_splice(int in, int64_t off_in, int out, int64_t off_out, unsigned n, unsigned flags,
                 bool nowait) {
    if (nowait && !both_ready(in, out)) return -EAGAIN;
    off_t from = off_in, to = off_out;
    return rm_result(splice(in, off_in < 0 ? NULL : &from, out, off_out < 0 ? NULL : &to, n,
                            flags | (nowait ? SPLICE_F_NONBLOCK : 0)));
}

int rm_do_tee(int in, int out, unsigned n, unsigned flags, bool nowait) {
    return rm_result(tee(in, out, n, flags | (nowait ? SPLICE_F_NONBLOCK : 0)));
}

/* ── children, the end ── */

int rm_do_waitid(int idtype, int id, siginfo_t *info, int options) {
    return rm_result(waitid((idtype_t)idtype, (id_t)id, info, options));
}

/* Linux has let go of the number even when it says EINTR: to call again would close somebody
 * else's. */
int rm_do_close(int fd) {
    int r = rm_result(close(fd));
    return r == -EINTR ? 0 : r;
}
