/* Shorter transfers: the call is made with less than was asked for.
 *
 * Knows: where an SQE keeps its bytes, and what must stay whole: datagrams and packets, what
 * MSG_WAITALL or O_DIRECT asks for, writes into a pipe up to PIPE_BUF (POSIX promises those), and
 * everything that is no stream of bytes (eventfd, signalfd, terminals).
 */
#include "sim.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define PARTS_MAX 256 /* longer vectors are left alone */

struct cut {
    struct io_uring_sqe sqe;
    struct msghdr message, *theirs; /* recvmsg answers in it, too */
    struct iovec parts[PARTS_MAX];
};

static bool writes(uint8_t opcode) {
    return opcode == IORING_OP_WRITE || opcode == IORING_OP_WRITEV || opcode == IORING_OP_SEND
           || opcode == IORING_OP_SENDMSG || opcode == IORING_OP_WRITE_FIXED;
}

static bool may_cut_socket(const struct io_uring_sqe *sqe) {
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(sqe->fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
        return false;
    switch (sqe->opcode) {
    case IORING_OP_RECV:
    case IORING_OP_SEND:
    case IORING_OP_RECVMSG:
    case IORING_OP_SENDMSG:
        return !(sqe->msg_flags & (uint32_t)(MSG_WAITALL | MSG_OOB | MSG_PEEK | MSG_TRUNC));
    default: return true;
    }
}

static bool may_cut(const struct io_uring_sqe *sqe, uint32_t asked) {
    struct stat file;
    if (asked < 2 || fstat(sqe->fd, &file) < 0) return false;
    if (S_ISSOCK(file.st_mode)) return may_cut_socket(sqe);
    if (!S_ISREG(file.st_mode) && !S_ISFIFO(file.st_mode)) return false;
    int flags = fcntl(sqe->fd, F_GETFL);
    if (flags < 0 || (flags & O_DIRECT)) return false;
    return !S_ISFIFO(file.st_mode) || !writes(sqe->opcode) || asked > PIPE_BUF;
}

static bool is_transfer(uint8_t opcode) {
    switch (opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
    case IORING_OP_READ_FIXED:
    case IORING_OP_WRITE_FIXED:
    case IORING_OP_READ_MULTISHOT:
    case IORING_OP_RECV:
    case IORING_OP_SEND:
    case IORING_OP_RECVMSG:
    case IORING_OP_SENDMSG: return true;
    default: return false;
    }
}

/* The first `bytes` of a vector, in parts of our own. How many, or 0: too many. */
static size_t vector_cut(struct iovec *parts, const struct iovec *iov, size_t n, uint32_t bytes) {
    size_t i = 0;
    for (; i < n && bytes > 0; i++) {
        if (i == PARTS_MAX) return 0;
        parts[i] = iov[i];
        if (parts[i].iov_len > bytes) parts[i].iov_len = bytes;
        bytes -= (uint32_t)parts[i].iov_len;
    }
    return i;
}

static bool cut_to(struct cut *cut, const struct io_uring_sqe *sqe, uint32_t bytes) {
    void *memory = (void *)(uintptr_t)sqe->addr;
    cut->sqe = *sqe;
    cut->theirs = NULL;
    switch (sqe->opcode) {
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
        cut->sqe.addr = (uintptr_t)cut->parts;
        cut->sqe.len = (uint32_t)vector_cut(cut->parts, memory, sqe->len, bytes);
        return cut->sqe.len > 0;
    case IORING_OP_RECVMSG:
    case IORING_OP_SENDMSG:
        cut->theirs = memory;
        cut->message = *cut->theirs;
        cut->message.msg_iov = cut->parts;
        cut->message.msg_iovlen =
            vector_cut(cut->parts, cut->theirs->msg_iov, cut->theirs->msg_iovlen, bytes);
        cut->sqe.addr = (uintptr_t)&cut->message;
        return cut->message.msg_iovlen > 0;
    default: cut->sqe.len = bytes; return true;
    }
}

/* recvmsg tells the address, control data and flags where it was told the buffers. */
static void answer(const struct cut *cut, int res) {
    if (!cut->theirs || res < 0 || cut->sqe.opcode != IORING_OP_RECVMSG) return;
    cut->theirs->msg_namelen = cut->message.msg_namelen;
    cut->theirs->msg_controllen = cut->message.msg_controllen;
    cut->theirs->msg_flags = cut->message.msg_flags;
}

/* Half of the cuts leave a few bytes: that is where line ends and headers break. */
static uint32_t rest_of(struct sim *sim, uint32_t asked) {
    uint32_t most = asked - 1;
    if (sim_roll(sim, 2) && most > 16) most = 16;
    return 1 + (uint32_t)sim_roll(sim, most);
}

int sim_run(struct soft *s, struct soft_req *r, const struct io_uring_sqe *sqe, sim_call *call) {
    struct cut cut;
    uint32_t asked = is_transfer(sqe->opcode) ? soft_asked(sqe) : 0;
    if (sqe->opcode == IORING_OP_READ_MULTISHOT) asked = sqe->len;
    if (!asked || !may_cut(sqe, asked) || !sim_lies(s->sim, RM_SHORTEN)) return call(r, sqe);
    uint32_t bytes = rest_of(s->sim, asked);
    if (!cut_to(&cut, sqe, bytes)) return call(r, sqe);
    int res = call(r, &cut.sqe);
    answer(&cut, res);
    if (res > 0 && (uint32_t)res == bytes) { /* else there was no more anyway */
        r->lied |= SIM_SHORT;
        sim_tell(s->sim, RM_SHORTEN, sqe, res);
    }
    return res;
}
