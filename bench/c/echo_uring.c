/* How fast can one core echo at all, with completions? The floor of every io_uring runtime.
 *
 *     echo_uring PORT|PATH recv|poll
 *
 * recv: multishot receive into provided buffers; small messages are sent by SQE, so that a
 *       whole turn of them costs one system call. The floor for small messages.
 * poll: multishot poll, then recv(2) and send(2) with one hot buffer. Two calls per message, but
 *       the data stays in the cache and no buffer can run out. The floor for large messages.
 *
 * A connection's fd is closed only after the last completion that names it, therefore a number
 * found in user_data always means the connection it meant when it was pushed.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "address.h"
#include "uring.h"

#define FDS_MAX 65536           /* connections are found by fd */
#define SQ_SIZE 2048            /* more pushes than this in one turn are submitted early */
#define CQ_SIZE 16384           /* 1000 connections x (receive, send), with room to spare */
#define BUFFERS 4096            /* 1000 connections x 64 KiB messages in flight */
#define BUFFER_SIZE 16384u      /* small enough to be many, large enough for most messages */
#define HOT_SIZE (256u * 1024u) /* poll: one buffer for all, as in echo_epoll.c */
#define SEND_DIRECT_MIN 8192u   /* from here the copy costs more than the call it saves */
#define GROUP 0

enum what { ACCEPT, RECEIVE, SEND, CANCEL };

struct connection {
    bool armed;   /* a multishot receive or poll of it is in flight */
    bool sending; /* one send is in flight; what comes meanwhile waits in line behind it */
    bool starved; /* its receive ended for want of buffers */
    bool over;    /* the peer is gone: close when nothing is in flight any more */
    int first, last; /* recv: buffers to be sent, in order; -1: none */
    char *rest;      /* poll: what send(2) did not take */
    unsigned offset, size; /* poll: the part of `rest` that is to be sent */
};

/* A buffer on its way back to its sender. */
struct piece {
    int next;
    unsigned offset, size;
};

static struct ring ring;
static struct connection connections[FDS_MAX];
static bool by_poll;
static char hot[HOT_SIZE];

static struct io_uring_buf_ring *group;
static struct piece pieces[BUFFERS];
static char *buffers;
static unsigned short group_tail;
static int starved[FDS_MAX], starved_count;

/* ── pushing ───────────────────────────────────────────────────────────────────────────────── */

static struct io_uring_sqe *push(enum what what, int opcode, int fd) {
    struct io_uring_sqe *sqe = ring_push(&ring);
    sqe->opcode = (unsigned char)opcode;
    sqe->fd = fd;
    sqe->user_data = (uint64_t)what << 32 | (unsigned)fd;
    return sqe;
}

static void push_accept(int listener) {
    push(ACCEPT, IORING_OP_ACCEPT, listener)->ioprio = IORING_ACCEPT_MULTISHOT;
}

static void arm(int fd) {
    connections[fd].armed = true;
    if (by_poll) {
        struct io_uring_sqe *sqe = push(RECEIVE, IORING_OP_POLL_ADD, fd);
        sqe->len = IORING_POLL_ADD_MULTI;
        sqe->poll32_events = POLLIN; /* on a big-endian machine the halves would be swapped */
    } else {
        struct io_uring_sqe *sqe = push(RECEIVE, IORING_OP_RECV, fd);
        sqe->ioprio = IORING_RECV_MULTISHOT;
        sqe->flags = IOSQE_BUFFER_SELECT;
        sqe->buf_group = GROUP;
    }
}

static void push_send(int fd, const char *data, unsigned size) {
    struct io_uring_sqe *sqe = push(SEND, IORING_OP_SEND, fd);
    sqe->addr = (uint64_t)(uintptr_t)data;
    sqe->len = size;
    sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL; /* WAITALL: the kernel finishes short sends */
    connections[fd].sending = true;
}

/* ── the end of a connection ───────────────────────────────────────────────────────────────── */

static void close_if_idle(int fd) {
    struct connection *c = &connections[fd];
    if (c->over && !c->armed && !c->sending && !c->starved) {
        free(c->rest);
        *c = (struct connection){.first = -1, .last = -1};
        close(fd);
    }
}

/* A poll holds the file: without the cancel, close() would leave the socket open for ever. */
static void end(int fd) {
    struct connection *c = &connections[fd];
    if (!c->over && c->armed) {
        struct io_uring_sqe *sqe = push(CANCEL, IORING_OP_ASYNC_CANCEL, -1);
        sqe->addr = (uint64_t)RECEIVE << 32 | (unsigned)fd;
    }
    c->over = true;
    close_if_idle(fd);
}

/* ── provided buffers ──────────────────────────────────────────────────────────────────────── */

static char *buffer_at(int id) { return buffers + (size_t)id * BUFFER_SIZE; }

static void give_back(int id) {
    struct io_uring_buf *slot = &group->bufs[group_tail++ & (BUFFERS - 1)];
    slot->addr = (uint64_t)(uintptr_t)buffer_at(id);
    slot->len = BUFFER_SIZE;
    slot->bid = (unsigned short)id;
    __atomic_store_n(&group->tail, group_tail, __ATOMIC_RELEASE);
}

static void open_group(void) {
    size_t size = BUFFERS * sizeof(struct io_uring_buf);
    group = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    buffers = mmap(NULL, (size_t)BUFFERS * BUFFER_SIZE, PROT_READ | PROT_WRITE,
                   MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (group == MAP_FAILED || buffers == MAP_FAILED) fail("mmap of the buffers");
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)group, .ring_entries = BUFFERS, .bgid = GROUP};
    if (syscall(__NR_io_uring_register, ring.real_fd, IORING_REGISTER_PBUF_RING, &reg, 1) < 0)
        fail("IORING_REGISTER_PBUF_RING");
    for (int id = 0; id < BUFFERS; id++) give_back(id);
}

/* Re-arming before a buffer is back would fail at once, again and again: only after the sends of
 * this turn gave some back, and no more receives than that could serve. */
static void rearm_starved(unsigned short tail_before) {
    int room = (unsigned short)(group_tail - tail_before);
    for (; starved_count && room; room--) {
        int fd = starved[--starved_count];
        connections[fd].starved = false;
        if (connections[fd].over)
            close_if_idle(fd);
        else
            arm(fd);
    }
}

/* ── recv: what a completion means ─────────────────────────────────────────────────────────── */

static void send_first(int fd) {
    struct piece *piece = &pieces[connections[fd].first];
    push_send(fd, buffer_at(connections[fd].first) + piece->offset, piece->size - piece->offset);
}

static void echo_buffer(int fd, int id, unsigned size) {
    struct connection *c = &connections[fd];
    unsigned sent = 0;
    if (size >= SEND_DIRECT_MIN && c->first < 0) {
        ssize_t n = send(fd, buffer_at(id), size, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent = n > 0 ? (unsigned)n : 0; /* an error will be found again by the SQE */
    }
    if (sent == size) {
        give_back(id);
        return;
    }
    pieces[id] = (struct piece){.next = -1, .offset = sent, .size = size};
    if (c->first < 0)
        c->first = id;
    else
        pieces[c->last].next = id;
    c->last = id;
    if (!c->sending) send_first(fd);
}

static void on_received(int fd, int result, unsigned flags) {
    struct connection *c = &connections[fd];
    c->armed = flags & IORING_CQE_F_MORE;
    if (result > 0) {
        if (c->over)
            give_back((int)(flags >> IORING_CQE_BUFFER_SHIFT));
        else
            echo_buffer(fd, (int)(flags >> IORING_CQE_BUFFER_SHIFT), (unsigned)result);
        if (!c->armed && !c->over) arm(fd);
        close_if_idle(fd);
    } else if (result == -ENOBUFS && !c->over) {
        c->starved = true;
        starved[starved_count++] = fd;
    } else {
        end(fd);
    }
}

static void on_sent(int fd, int result) {
    struct connection *c = &connections[fd];
    struct piece *piece = &pieces[c->first];
    c->sending = false;
    if (result < 0) {
        for (int id = c->first; id >= 0; id = pieces[id].next) give_back(id);
        c->first = c->last = -1;
        end(fd);
        return;
    }
    piece->offset += (unsigned)result;
    if (piece->offset == piece->size) {
        int id = c->first;
        c->first = piece->next;
        give_back(id);
    }
    if (c->first >= 0) send_first(fd);
    close_if_idle(fd);
}

/* ── poll: what a completion means ─────────────────────────────────────────────────────────── */

/* Keep what send(2) did not take, and read on only when it is gone. */
static void send_rest(int fd, const char *data, unsigned size) {
    struct connection *c = &connections[fd];
    c->rest = malloc(size);
    if (!c->rest) fail("malloc");
    memcpy(c->rest, data, size);
    c->offset = 0;
    c->size = size;
    push_send(fd, c->rest, size);
}

/* Multishot poll tells about changes, not about states: read until nothing is left. */
static void echo_until_dry(int fd) {
    while (!connections[fd].sending) {
        ssize_t size = recv(fd, hot, sizeof hot, MSG_DONTWAIT);
        if (size < 0 && errno == EAGAIN) return;
        ssize_t sent = size > 0 ? send(fd, hot, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
        if (size <= 0 || (sent < 0 && errno != EAGAIN)) {
            end(fd);
            return;
        }
        if (sent < size) {
            sent = sent < 0 ? 0 : sent;
            send_rest(fd, hot + sent, (unsigned)(size - sent));
        } else if (size < (ssize_t)sizeof hot) {
            return; /* a short read: nothing was left when it was made */
        }
    }
}

static void on_readable(int fd, int result, unsigned flags) {
    connections[fd].armed = flags & IORING_CQE_F_MORE;
    if (connections[fd].over) {
        close_if_idle(fd);
        return;
    }
    if (result < 0) {
        end(fd);
        return;
    }
    if (!connections[fd].armed)
        arm(fd); /* before reading: what comes in between must not be missed */
    echo_until_dry(fd);
}

static void on_rest_sent(int fd, int result) {
    struct connection *c = &connections[fd];
    c->sending = false;
    if (result < 0) {
        end(fd);
        return;
    }
    c->offset += (unsigned)result;
    if (c->offset < c->size) {
        push_send(fd, c->rest + c->offset, c->size - c->offset);
        return;
    }
    free(c->rest);
    c->rest = NULL;
    if (c->over)
        close_if_idle(fd);
    else
        echo_until_dry(fd);
}

/* ── the turn ──────────────────────────────────────────────────────────────────────────────── */

static void on_accepted(int listener, int result, unsigned flags) {
    if (result >= FDS_MAX) {
        close(result);
    } else if (result >= 0) {
        connections[result] = (struct connection){.first = -1, .last = -1};
        send_at_once(result);
        arm(result);
    } else if (result != -ECONNABORTED && result != -EINTR) {
        errno = -result;
        fail("accept");
    }
    if (!(flags & IORING_CQE_F_MORE)) push_accept(listener);
}

static void on_completion(enum what what, int fd, int result, unsigned flags) {
    switch (what) {
    case ACCEPT: on_accepted(fd, result, flags); break;
    case RECEIVE: by_poll ? on_readable(fd, result, flags) : on_received(fd, result, flags); break;
    case SEND: by_poll ? on_rest_sent(fd, result) : on_sent(fd, result); break;
    case CANCEL: break; /* the receive's own last completion tells what became of it */
    }
}

int main(int argc, char **argv) {
    if (argc != 3 || (strcmp(argv[2], "recv") && strcmp(argv[2], "poll"))) {
        fprintf(stderr, "usage: echo_uring PORT|PATH recv|poll\n");
        return 2;
    }
    by_poll = !strcmp(argv[2], "poll");
    raise_fd_limit();
    ring_open(&ring, SQ_SIZE, CQ_SIZE);
    if (!by_poll) open_group();
    push_accept(listen_at(argv[1], 0));
    ring_print_about(&ring);
    for (;;) {
        ring_enter(&ring, 1);
        unsigned short tail_before = group_tail;
        unsigned head, tail = ring_ready(&ring, &head);
        for (; head != tail; head++) {
            struct io_uring_cqe cqe = *ring_at(&ring, head);
            on_completion(cqe.user_data >> 32, (int)(unsigned)cqe.user_data, cqe.res, cqe.flags);
        }
        ring_reaped(&ring, head);
        rearm_starved(tail_before);
    }
}
