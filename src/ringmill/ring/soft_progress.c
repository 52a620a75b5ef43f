/* How much an op moves, and how it goes on after a part of it.
 *
 * Knows: where an SQE keeps its bytes. io_uring finishes what it began for regular files and
 * block devices (a page that was not in memory is no reason for a short read) and for stream
 * sockets when MSG_WAITALL was asked. The SQE is our copy, so going on means changing it.
 */
#include "soft_progress.h"

#include "sim.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

static struct msghdr *message(const struct io_uring_sqe *sqe) {
    return (struct msghdr *)(uintptr_t)sqe->addr;
}

static struct iovec *vector(const struct io_uring_sqe *sqe) {
    return (struct iovec *)(uintptr_t)sqe->addr;
}

static uint32_t vector_size(const struct iovec *iov, size_t n) {
    uint64_t size = 0;
    for (size_t i = 0; i < n; i++) size += iov[i].iov_len;
    return size > INT32_MAX ? INT32_MAX : (uint32_t)size; /* a CQE's res tells no more */
}

uint32_t soft_asked(const struct io_uring_sqe *sqe) {
    switch (sqe->opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_RECV:
    case IORING_OP_SEND:
    case IORING_OP_SPLICE:
    case IORING_OP_TEE: return sqe->len;
    case IORING_OP_READV:
    case IORING_OP_WRITEV: return vector_size(vector(sqe), sqe->len);
    case IORING_OP_RECVMSG:
    case IORING_OP_SENDMSG: return vector_size(message(sqe)->msg_iov, message(sqe)->msg_iovlen);
    default: return 0;
    }
}

/* The others put a directory, a child's number or nothing there. */
bool soft_has_file(uint8_t opcode) {
    switch (opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
    case IORING_OP_READ_MULTISHOT:
    case IORING_OP_RECV:
    case IORING_OP_SEND:
    case IORING_OP_RECVMSG:
    case IORING_OP_SENDMSG:
    case IORING_OP_ACCEPT:
    case IORING_OP_CONNECT:
    case IORING_OP_SHUTDOWN:
    case IORING_OP_BIND:
    case IORING_OP_LISTEN:
    case IORING_OP_FSYNC:
    case IORING_OP_SPLICE:
    case IORING_OP_TEE:
    case IORING_OP_POLL_ADD: return true;
    default: return false;
    }
}

static bool is_disk(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

bool soft_on_disk(const struct soft_req *r) {
    switch (r->sqe.opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
    case IORING_OP_READ_MULTISHOT: return is_disk(r->sqe.fd);
    default: return false;
    }
}

static bool is_stream(int fd) {
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0
           && (type == SOCK_STREAM || type == SOCK_SEQPACKET);
}

bool soft_goes_on(const struct soft_req *r, int res) {
    if (res <= 0 || r->done + (uint32_t)res >= r->asked || (r->lied & SIM_SHORT)) return false;
    if (r->sqe.flags & IOSQE_BUFFER_SELECT)
        return false; /* the next part would need the next buffer, and another CQE */
    switch (r->sqe.opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READV:
    case IORING_OP_WRITEV: return is_disk(r->sqe.fd);
    case IORING_OP_RECVMSG: /* an fd that comes with a later part would be lost */
        if (message(&r->sqe)->msg_control) return false; /* fall through */
    case IORING_OP_RECV:
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG: return (r->sqe.msg_flags & MSG_WAITALL) && is_stream(r->sqe.fd);
    default: return false;
    }
}

/* Leave out the first `bytes` of a vector that is ours. Returns how many parts are used up. */
static size_t vector_advance(struct iovec *iov, size_t n, size_t bytes) {
    size_t i = 0;
    while (i < n && bytes >= iov[i].iov_len) bytes -= iov[i++].iov_len;
    if (i < n) {
        iov[i].iov_base = (char *)iov[i].iov_base + bytes;
        iov[i].iov_len -= bytes;
    }
    return i;
}

static int advance_vector(struct soft_req *r, size_t bytes) {
    size_t size = r->sqe.len * sizeof(struct iovec);
    if (!r->more) {
        r->more = malloc(size);
        if (!r->more) return -ENOMEM;
        memcpy(r->more, vector(&r->sqe), size);
        r->sqe.addr = (uintptr_t)r->more;
    }
    size_t used = vector_advance(vector(&r->sqe), r->sqe.len, bytes);
    r->sqe.addr += used * sizeof(struct iovec);
    r->sqe.len -= (uint32_t)used;
    return 0;
}

static int advance_message(struct soft_req *r, size_t bytes) {
    struct msghdr *msg = message(&r->sqe);
    if (!r->more) {
        size_t size = msg->msg_iovlen * sizeof(struct iovec);
        struct msghdr *copy = malloc(sizeof *copy + size);
        if (!copy) return -ENOMEM;
        *copy = *msg;
        copy->msg_iov = memcpy(copy + 1, msg->msg_iov, size);
        copy->msg_control = NULL; /* went with the first part; an fd must not be sent twice */
        copy->msg_controllen = 0;
        r->more = msg = copy;
        r->sqe.addr = (uintptr_t)copy;
    }
    size_t used = vector_advance(msg->msg_iov, msg->msg_iovlen, bytes);
    msg->msg_iov += used;
    msg->msg_iovlen -= used;
    return 0;
}

int soft_advance(struct soft_req *r, int res) {
    int err = 0;
    switch (r->sqe.opcode) {
    case IORING_OP_READV:
    case IORING_OP_WRITEV: err = advance_vector(r, (size_t)res); break;
    case IORING_OP_RECVMSG:
    case IORING_OP_SENDMSG: err = advance_message(r, (size_t)res); break;
    default: r->sqe.addr += (uint32_t)res; r->sqe.len -= (uint32_t)res;
    }
    if (err < 0) return err;
    bool has_offset = r->sqe.opcode == IORING_OP_READ || r->sqe.opcode == IORING_OP_WRITE
                      || r->sqe.opcode == IORING_OP_READV || r->sqe.opcode == IORING_OP_WRITEV;
    if (has_offset && r->sqe.off != UINT64_MAX) r->sqe.off += (uint32_t)res;
    r->done += (uint32_t)res;
    return 0;
}
