/* Sockets and pipes, one shot and many, with and without provided buffers, on both kernels. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "twin_check.h"

/* ── one shot ── */

static void recv_now_later_and_at_the_end(struct rm_ring *ring) {
    int pair[2];
    char buffer[8] = {0};
    check_pair(pair);
    put(pair[1], "now");
    check_push_recv(ring, pair[0], buffer, 8, 1);
    expect(ring, 1, 3);
    check_push_recv(ring, pair[0], buffer, 8, 2);
    submit(ring);
    put(pair[1], "later");
    expect(ring, 2, 5);
    CHECK_EQUAL(memcmp(buffer, "later", 5), 0);
    shutdown(pair[1], SHUT_WR);
    check_push_recv(ring, pair[0], buffer, 8, 3);
    expect(ring, 3, 0);
    check_push_recv(ring, -1, buffer, 8, 4);
    expect(ring, 4, -EBADF);
    close(pair[0]), close(pair[1]);
}

static void the_flags_of_an_fd_are_not_touched(struct rm_ring *ring) {
    int pair[2];
    char buffer[8];
    check_pair(pair);
    check_push_recv(ring, pair[0], buffer, 8, 1); /* a blocking one waits */
    submit(ring);
    CHECK_EQUAL(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
    put(pair[1], "x");
    expect(ring, 1, 1);
    CHECK_EQUAL(fcntl(pair[0], F_SETFL, fcntl(pair[0], F_GETFL) | O_NONBLOCK), 0);
    check_push_recv(ring, pair[0], buffer, 8, 2); /* one that is O_NONBLOCK waits as well */
    expect_nothing(ring);
    put(pair[1], "y");
    expect(ring, 2, 1);
    check_push_recv(ring, pair[0], buffer, 8, 3)->msg_flags =
        MSG_DONTWAIT; /* unless asked not to */
    expect(ring, 3, -EAGAIN);
    close(pair[0]), close(pair[1]);
}

static void waiters_of_one_fd_are_served_in_turn(struct rm_ring *ring) {
    int pair[2];
    char buffers[3][2];
    check_pair(pair);
    for (uint64_t i = 0; i < 3; i++) check_push_recv(ring, pair[0], buffers[i], 1, i);
    submit(ring);
    put(pair[1], "abc");
    struct check_cqe cqes[3];
    gather(ring, 3, cqes);
    for (int i = 0; i < 3; i++) CHECK_EQUAL(cqes[i].res, 1);
    close(pair[0]), close(pair[1]);
}

static void both_directions_wait_at_once(struct rm_ring *ring) {
    static char big[1 << 20];
    int pair[2];
    char buffer[8];
    check_pair(pair);
    while (send(pair[0], big, sizeof big, MSG_DONTWAIT) > 0) continue; /* full */
    check_push_recv(ring, pair[0], buffer, 8, 1);
    push_buffer(ring, IORING_OP_SEND, pair[0], "z", 1, 2);
    expect_nothing(ring);
    put(pair[1], "in");
    expect(ring, 1, 2);
    expect_nothing(ring);
    while (recv(pair[1], big, sizeof big, MSG_DONTWAIT) > 0) continue;
    expect(ring, 2, 1);
    close(pair[0]), close(pair[1]);
}

/* Read all of it from `fd`, whenever some is there, while the ring sends. */
static void drain_pattern(struct rm_ring *ring, int fd, size_t size) {
    static char in[1 << 16];
    for (size_t seen = 0; seen < size;) {
        ssize_t n = recv(fd, in, sizeof in, MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++) CHECK_EQUAL(in[i], (char)((seen + (size_t)i) * 7 >> 3));
        if (n > 0) seen += (size_t)n;
        CHECK_EQUAL(rm_enter(ring, 0, 0), 0);
    }
}

static void a_send_of_all_goes_on(struct rm_ring *ring) {
    static char out[4 << 20];
    int pair[2];
    for (size_t i = 0; i < sizeof out; i++) out[i] = (char)(i * 7 >> 3);
    check_pair(pair);
    push_buffer(ring, IORING_OP_SEND, pair[0], out, sizeof out, 1)->msg_flags = MSG_WAITALL;
    drain_pattern(ring, pair[1], sizeof out);
    expect(ring, 1, sizeof out);
    struct iovec iov[3] = {{out, 1}, {out + 1, sizeof out - 3}, {out + sizeof out - 2, 2}};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 3};
    push_buffer(ring, IORING_OP_SENDMSG, pair[0], &message, 1, 2)->msg_flags = MSG_WAITALL;
    drain_pattern(ring, pair[1], sizeof out);
    expect(ring, 2, sizeof out);
    CHECK_EQUAL(iov[1].iov_len, sizeof out - 3); /* the program's vector is not ours to change */
    close(pair[0]), close(pair[1]);
}

static void a_part_sent_is_told_when_the_rest_is_cancelled(struct rm_ring *ring) {
    static char out[4 << 20];
    int pair[2];
    check_pair(pair);
    push_buffer(ring, IORING_OP_SEND, pair[0], out, sizeof out, 0)->msg_flags = MSG_WAITALL;
    submit(ring);
    push_cancel(ring, 0, 1);
    struct check_cqe cqes[2];
    gather(ring, 2, cqes);
    CHECK(cqes[0].res > 0 && cqes[0].res < (int)sizeof out);
    CHECK_EQUAL(cqes[1].res, 0);
    close(pair[0]), close(pair[1]);
}

static void a_recv_of_all_goes_on(struct rm_ring *ring) {
    int pair[2];
    char buffer[8];
    check_pair(pair);
    check_push_recv(ring, pair[0], buffer, 8, 1)->msg_flags = MSG_WAITALL;
    submit(ring);
    put(pair[1], "abcd");
    expect_nothing(ring);
    put(pair[1], "efgh");
    expect(ring, 1, 8);
    CHECK_EQUAL(memcmp(buffer, "abcdefgh", 8), 0);
    check_push_recv(ring, pair[0], buffer, 8, 2)->msg_flags = MSG_WAITALL;
    submit(ring);
    put(pair[1], "ij");
    shutdown(pair[1], SHUT_WR);
    expect(ring, 2, 2);
    close(pair[0]), close(pair[1]);
}

static void a_broken_pipe_raises_no_signal(struct rm_ring *ring) {
    int pair[2];
    check_pair(pair);
    close(pair[1]);
    push_buffer(ring, IORING_OP_SEND, pair[0], "x", 1, 1);
    expect(ring, 1, -EPIPE);
    close(pair[0]);
}

static void pipes_ignore_offsets(struct rm_ring *ring) {
    int ends[2];
    char buffer[8];
    CHECK_EQUAL(pipe(ends), 0);
    push_buffer(ring, IORING_OP_READ, ends[0], buffer, 8, 1)->off = 0;
    submit(ring);
    push_buffer(ring, IORING_OP_WRITE, ends[1], "abc", 3, 2)->off = 0;
    struct check_cqe first = check_next(ring), second = check_next(ring);
    CHECK_EQUAL(first.res, 3);
    CHECK_EQUAL(second.res, 3);
    push_buffer(ring, IORING_OP_READ, ends[0], buffer, 8, 3)->off = UINT64_MAX;
    submit(ring);
    close(ends[1]);
    expect(ring, 3, 0);
    close(ends[0]);
}

/* … but a socket knows of no place but the first: nothing is taken, nothing is sent. */
static void sockets_refuse_offsets(struct rm_ring *ring) {
    int pair[2];
    char buffer[8];
    check_pair(pair);
    put(pair[1], "abc");
    struct iovec in = {buffer, 8}, out = {"x", 1};
    push_buffer(ring, IORING_OP_READ, pair[0], buffer, 8, 1)->off = 1;
    expect(ring, 1, -ESPIPE);
    push_buffer(ring, IORING_OP_READV, pair[0], &in, 1, 2)->off = 1;
    expect(ring, 2, -ESPIPE);
    push_buffer(ring, IORING_OP_WRITE, pair[0], "x", 1, 3)->off = 1;
    expect(ring, 3, -ESPIPE);
    push_buffer(ring, IORING_OP_WRITEV, pair[0], &out, 1, 4)->off = 1;
    expect(ring, 4, -ESPIPE);
    CHECK_EQUAL(recv(pair[1], buffer, 8, MSG_DONTWAIT), -1);
    push_buffer(ring, IORING_OP_READ, pair[0], buffer, 8, 5)->off = 0;
    expect(ring, 5, 3);
    close(pair[0]), close(pair[1]);
}

/* ── connect and accept ── */

/* A socket with an address to which nobody listens yet. */
static int bound(struct sockaddr_in *address) {
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    CHECK_EQUAL(bind(fd, (struct sockaddr *)address, size), 0);
    CHECK_EQUAL(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

static int listener(struct sockaddr_in *address, int backlog) {
    int fd = bound(address);
    CHECK_EQUAL(listen(fd, backlog), 0);
    return fd;
}

static void push_connect(struct rm_ring *ring, int fd, const void *address, size_t size,
                         uint64_t user_data) {
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_CONNECT, fd, user_data);
    sqe->addr = at(address);
    sqe->addr2 = size;
}

static void connect_succeeds_or_is_refused(struct rm_ring *ring) {
    struct sockaddr_in address, peer;
    socklen_t size = sizeof peer;
    int server = listener(&address, 8), fd = socket(AF_INET, SOCK_STREAM, 0);
    push_connect(ring, fd, &address, sizeof address, 0);
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_ACCEPT, server, 1);
    sqe->addr = at(&peer);
    sqe->addr2 = at(&size);
    sqe->accept_flags = SOCK_CLOEXEC;
    struct check_cqe cqes[2];
    gather(ring, 2, cqes);
    CHECK_EQUAL(cqes[0].res, 0);
    CHECK(cqes[1].res >= 0);
    CHECK_EQUAL(fcntl(cqes[1].res, F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(size, sizeof peer);
    CHECK_EQUAL(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    push_connect(ring, fd, &address, sizeof address, 2);
    expect(ring, 2, -EISCONN);
    close(cqes[1].res), close(fd), close(server);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    push_connect(ring, fd, &address, sizeof address, 3);
    expect(ring, 3, -ECONNREFUSED);
    close(fd);
}

/* Until the server is up: each refusal leaves the socket where it can begin anew. */
static void a_refused_socket_connects_again(struct rm_ring *ring) {
    struct sockaddr_in address;
    int server = bound(&address), fd = socket(AF_INET, SOCK_STREAM, 0);
    for (uint64_t i = 0; i < 3; i++) {
        push_connect(ring, fd, &address, sizeof address, i);
        expect(ring, i, -ECONNREFUSED);
    }
    CHECK_EQUAL(listen(server, 1), 0);
    push_connect(ring, fd, &address, sizeof address, 3);
    expect(ring, 3, 0);
    close(fd), close(server);
}

/* Nobody will ever come there: it is said at once. */
static void accept_where_nobody_listens(struct rm_ring *ring) {
    struct sockaddr_in address;
    int pair[2], ends[2], datagrams = socket(AF_INET, SOCK_DGRAM, 0), quiet = bound(&address);
    check_pair(pair);
    CHECK_EQUAL(pipe(ends), 0);
    rm_push(ring, IORING_OP_ACCEPT, pair[0], 1);
    expect(ring, 1, -EINVAL);
    rm_push(ring, IORING_OP_ACCEPT, quiet, 2);
    expect(ring, 2, -EINVAL);
    rm_push(ring, IORING_OP_ACCEPT, datagrams, 3);
    expect(ring, 3, -EOPNOTSUPP);
    rm_push(ring, IORING_OP_ACCEPT, ends[0], 4);
    expect(ring, 4, -ENOTSOCK);
    close(pair[0]), close(pair[1]), close(ends[0]), close(ends[1]);
    close(datagrams), close(quiet);
}

static void connect_waits_for_a_full_backlog(struct rm_ring *ring) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "backlog"};
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), fds[4], accepted[4];
    unlink(address.sun_path);
    CHECK_EQUAL(bind(server, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(listen(server, 0), 0);
    for (uint64_t i = 0; i < 4; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        push_connect(ring, fds[i], &address, sizeof address, i);
    }
    submit(ring);
    for (int i = 0; i < 4;) {
        accepted[i] = accept(server, NULL, NULL);
        if (accepted[i] >= 0)
            i++;
        else
            CHECK_EQUAL(rm_enter(ring, 0, 0), 0);
    }
    struct check_cqe cqes[4];
    gather(ring, 4, cqes);
    for (int i = 0; i < 4; i++) {
        CHECK_EQUAL(cqes[i].res, 0);
        close(accepted[i]), close(fds[i]);
    }
    close(server);
    unlink(address.sun_path);
}

static void a_multishot_accept_takes_all(struct rm_ring *ring) {
    struct sockaddr_in address;
    int server = listener(&address, 64), fds[40];
    rm_push(ring, IORING_OP_ACCEPT, server, 1)->ioprio = IORING_ACCEPT_MULTISHOT;
    submit(ring);
    for (int i = 0; i < 40; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQUAL(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
    }
    for (int i = 0; i < 40; i++) {
        struct check_cqe cqe = check_next(ring);
        CHECK_EQUAL(cqe.user_data, 1);
        CHECK(cqe.res >= 0);
        CHECK(cqe.flags & IORING_CQE_F_MORE);
        close(cqe.res), close(fds[i]);
    }
    push_cancel(ring, 1, 2);
    expect(ring, 2, 0);
    CHECK_EQUAL(expect(ring, 1, -ECANCELED), 0);
    close(server);
}

/* ── provided buffers ── */

static void a_buffer_is_taken_when_data_is_there(struct rm_ring *ring) {
    static struct group group;
    int pair[2];
    check_pair(pair);
    group_open(ring, &group, 2);
    push_select(ring, IORING_OP_RECV, pair[0], 1);
    expect_nothing(ring);
    put(pair[1], "hello");
    push_select(ring, IORING_OP_RECV, pair[1], 9); /* waits, and holds no buffer meanwhile */
    CHECK_EQUAL(expect(ring, 1, 5), with_buffer(0));
    CHECK_EQUAL(memcmp(group.memory[0], "hello", 5), 0);
    put(pair[1], "more than sixteen bytes");
    push_select(ring, IORING_OP_RECV, pair[0], 2);
    CHECK_EQUAL(expect(ring, 2, GROUP_SIZE), with_buffer(1));
    push_select(ring, IORING_OP_RECV, pair[0], 3);
    expect(ring, 3, -ENOBUFS);
    group_give(&group, 1);
    push_select(ring, IORING_OP_RECV, pair[0], 4)->len = 2; /* no more than asked */
    CHECK_EQUAL(expect(ring, 4, 2), with_buffer(1));
    group_give(&group, 0);
    push_select(ring, IORING_OP_RECV, pair[0], 5);
    CHECK_EQUAL(expect(ring, 5, 5), with_buffer(0));
    group_give(&group, 1);
    shutdown(pair[1], SHUT_WR);
    push_select(ring, IORING_OP_RECV, pair[0], 6); /* an end costs no buffer … */
    CHECK_EQUAL(expect(ring, 6, 0), 0);
    push_select(ring, IORING_OP_READ, pair[0], 7); /* … but a read of nothing does */
    CHECK_EQUAL(expect(ring, 7, 0), with_buffer(1));
    push_select(ring, IORING_OP_RECV, pair[0], 8)->buf_group = GROUP + 1;
    expect(ring, 8, -ENOBUFS);
    push_select(ring, IORING_OP_ACCEPT, pair[0], 10);
    expect(ring, 10, -EOPNOTSUPP);
    close(pair[0]), close(pair[1]);
}

static void a_group_is_registered_once(struct rm_ring *ring) {
    static struct group group;
    group_open(ring, &group, 0);
    struct io_uring_buf_reg reg = {
        .ring_addr = at(group.ring), .ring_entries = GROUP_BUFFERS, .bgid = GROUP};
    CHECK_EQUAL(ring->kernel->enroll(ring, IORING_REGISTER_PBUF_RING, &reg, 1), -EEXIST);
    CHECK_EQUAL(ring->kernel->enroll(ring, IORING_UNREGISTER_PBUF_RING, &reg, 1), 0);
    CHECK_EQUAL(ring->kernel->enroll(ring, IORING_UNREGISTER_PBUF_RING, &reg, 1), -ENOENT);
    reg.ring_entries = 3;
    CHECK_EQUAL(ring->kernel->enroll(ring, IORING_REGISTER_PBUF_RING, &reg, 1), -EINVAL);
    reg.ring_entries = GROUP_BUFFERS;
    reg.ring_addr += 8;
    CHECK_EQUAL(ring->kernel->enroll(ring, IORING_REGISTER_PBUF_RING, &reg, 1), -EINVAL);
}

static void multishot_until_end_or_no_buffer(struct rm_ring *ring, uint8_t opcode, int in, int out,
                                             uint16_t ioprio) {
    static struct group group;
    group_open(ring, &group, 3);
    push_select(ring, opcode, in, 1)->ioprio = ioprio;
    expect_nothing(ring);
    for (unsigned i = 0; i < 3; i++) {
        put(out, "data");
        CHECK_EQUAL(expect(ring, 1, 4), with_buffer(i) | IORING_CQE_F_MORE);
    }
    put(out, "unread");
    CHECK_EQUAL(expect(ring, 1, -ENOBUFS), 0);
    group_give(&group, 2);
    group_give(&group, 0);
    push_select(ring, opcode, in, 2)->ioprio = ioprio;
    CHECK_EQUAL(expect(ring, 2, 6), with_buffer(2) | IORING_CQE_F_MORE);
    CHECK_EQUAL(memcmp(group.memory[2], "unread", 6), 0);
    close(out);
    CHECK_EQUAL(expect(ring, 2, 0), 0);
    push_cancel(ring, 2, 3);
    expect(ring, 3, -ENOENT);
    close(in);
}

static void a_multishot_recv_takes_all(struct rm_ring *ring) {
    int pair[2];
    check_pair(pair);
    multishot_until_end_or_no_buffer(ring, IORING_OP_RECV, pair[0], pair[1], IORING_RECV_MULTISHOT);
    push_buffer(ring, IORING_OP_RECV, 0, NULL, 0, 1)->ioprio = IORING_RECV_MULTISHOT;
    expect(ring, 1, -EINVAL); /* without buffers */
}

static void a_multishot_read_takes_all(struct rm_ring *ring) {
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    multishot_until_end_or_no_buffer(ring, IORING_OP_READ_MULTISHOT, ends[0], ends[1], 0);
    int file = open("empty", O_CREAT | O_RDWR, 0600);
    push_select(ring, IORING_OP_READ_MULTISHOT, file, 1);
    expect(ring, 1, -EBADFD); /* nothing will ever be ready there */
    rm_push(ring, IORING_OP_READ_MULTISHOT, file, 2);
    expect(ring, 2, -EINVAL);
    close(file);
}

static void a_cancelled_multishot_keeps_no_buffer(struct rm_ring *ring) {
    static struct group group;
    int pair[2];
    check_pair(pair);
    group_open(ring, &group, 1);
    push_select(ring, IORING_OP_RECV, pair[0], 1)->ioprio = IORING_RECV_MULTISHOT;
    submit(ring);
    push_cancel(ring, 1, 2);
    expect(ring, 2, 0);
    CHECK_EQUAL(expect(ring, 1, -ECANCELED), 0);
    put(pair[1], "kept");
    push_select(ring, IORING_OP_RECV, pair[0], 3);
    CHECK_EQUAL(expect(ring, 3, 4), with_buffer(0));
    close(pair[0]), close(pair[1]);
}

/* When the CQ is full a multishot ends with a CQE that is kept; nothing is lost. */
static void a_full_cq_ends_a_multishot(struct rm_ring *ring) {
    struct sockaddr_in address;
    int server = listener(&address, 8), fds[4];
    rm_push(ring, IORING_OP_ACCEPT, server, 1)->ioprio = IORING_ACCEPT_MULTISHOT;
    submit(ring);
    for (unsigned pushed = 0; pushed < ring->cq_entries;) {
        for (int i = 0; i < 32; i++, pushed++) rm_push(ring, IORING_OP_NOP, -1, 2);
        submit(ring);
    }
    for (int i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQUAL(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
    }
    submit(ring);
    for (unsigned i = 0; i < ring->cq_entries; i++) expect(ring, 2, 0);
    struct check_cqe cqe = check_next(ring);
    CHECK_EQUAL(cqe.user_data, 1);
    CHECK(cqe.res >= 0);
    CHECK_EQUAL(cqe.flags & IORING_CQE_F_MORE, 0);
    close(cqe.res);
    for (int i = 0; i < 3; i++) {
        int fd = accept(server, NULL, NULL);
        CHECK(fd >= 0);
        close(fd);
    }
    for (int i = 0; i < 4; i++) close(fds[i]);
    close(server);
}

static const struct twin_case cases[] = {
    BOTH(recv_now_later_and_at_the_end),
    BOTH(the_flags_of_an_fd_are_not_touched),
    BOTH(waiters_of_one_fd_are_served_in_turn),
    BOTH(both_directions_wait_at_once),
    BOTH(a_send_of_all_goes_on),
    BOTH(a_part_sent_is_told_when_the_rest_is_cancelled),
    BOTH(a_recv_of_all_goes_on),
    BOTH(a_broken_pipe_raises_no_signal),
    BOTH(pipes_ignore_offsets),
    BOTH(sockets_refuse_offsets),
    BOTH(connect_succeeds_or_is_refused),
    BOTH(a_refused_socket_connects_again),
    BOTH(accept_where_nobody_listens),
    BOTH(connect_waits_for_a_full_backlog),
    BOTH_WITH(a_multishot_accept_takes_all, RM_ACCEPT_MULTISHOT),
    BOTH_WITH(a_buffer_is_taken_when_data_is_there, RM_BUFFER_RINGS),
    BOTH_WITH(a_group_is_registered_once, RM_BUFFER_RINGS),
    BOTH_WITH(a_multishot_recv_takes_all, RM_BUFFER_RINGS | RM_RECV_MULTISHOT),
    BOTH_WITH(a_multishot_read_takes_all, RM_BUFFER_RINGS | RM_READ_MULTISHOT),
    BOTH_WITH(a_cancelled_multishot_keeps_no_buffer, RM_BUFFER_RINGS | RM_RECV_MULTISHOT),
    BOTH_WITH(a_full_cq_ends_a_multishot, RM_ACCEPT_MULTISHOT),
};

TWIN_MAIN(cases)
