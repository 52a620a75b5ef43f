/* RECVMSG as a multishot: each message in a buffer of its own, with a header before it.
 *
 * Knows: how Linux lays it out (struct io_uring_recvmsg_out, then room for a name, then room for
 * control data, then the payload; the rooms are as large as the program's msghdr asks, whatever
 * came). Must not know: where the buffer is from, nor what the message means.
 */
#include "soft.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static size_t head_size(const struct msghdr *form) {
    return sizeof(struct io_uring_recvmsg_out) + form->msg_namelen + form->msg_controllen;
}

/* Linux reads the header when the op is submitted; the program's own need not live longer. */
int soft_message_prep(struct soft_req *r) {
    struct msghdr *copy = malloc(sizeof *copy);
    if (!copy) return -ENOMEM;
    memcpy(copy, (const void *)(uintptr_t)r->sqe.addr, sizeof *copy);
    r->more = copy;
    r->sqe.addr = (uintptr_t)copy;
    return copy->msg_iovlen > 1 ? -EINVAL : 0;
}

int soft_message(const struct soft_req *r, const struct io_uring_sqe *selected) {
    const struct msghdr *form = r->more;
    size_t head = head_size(form);
    if (selected->len < head) return -EFAULT;
    char *buffer = (char *)(uintptr_t)selected->addr,
         *name = buffer + sizeof(struct io_uring_recvmsg_out);
    struct iovec payload = {buffer + head, selected->len - head};
    struct msghdr msg = {
        .msg_name = form->msg_namelen ? name : NULL,
        .msg_namelen = form->msg_namelen,
        .msg_iov = &payload,
        .msg_iovlen = 1,
        .msg_control = form->msg_controllen ? name + form->msg_namelen : NULL,
        .msg_controllen = form->msg_controllen,
    };
    ssize_t res;
    do res = recvmsg(r->sqe.fd, &msg, (int)r->sqe.msg_flags | MSG_DONTWAIT);
    while (res < 0 && errno == EINTR);
    if (res < 0) return -errno;
    struct io_uring_recvmsg_out out = {
        .namelen = msg.msg_namelen,
        .controllen = (uint32_t)msg.msg_controllen,
        .payloadlen = (uint32_t)res,
        .flags = (uint32_t)msg.msg_flags,
    };
    memcpy(buffer, &out, sizeof out);
    return (int)(head + ((size_t)res < payload.iov_len ? (size_t)res : payload.iov_len));
}

bool soft_message_is_empty(const struct soft_req *r, int res) {
    return (size_t)res == head_size(r->more);
}
