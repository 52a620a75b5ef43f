/* Files that are neither disks nor streams, and messages with an address or an fd in them. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>

#include "twin_check.h"

static void an_eventfd_is_read_when_it_is_written(struct rm_ring *ring) {
    int fd = eventfd(0, 0);
    uint64_t value = 0, three = 3;
    push_buffer(ring, IORING_OP_READ, fd, &value, 8, 1);
    expect_nothing(ring);
    push_buffer(ring, IORING_OP_WRITE, fd, &three, 8, 2);
    CHECK_EQUAL(check_next(ring).res, 8);
    CHECK_EQUAL(check_next(ring).res, 8);
    CHECK_EQUAL(value, 3);
    close(fd);
}

static void a_timerfd_is_read_when_it_expires(struct rm_ring *ring) {
    struct itimerspec soon = {.it_value = {0, SOON_NS}};
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    uint64_t count = 0;
    push_buffer(ring, IORING_OP_READ, fd, &count, 8, 1);
    submit(ring);
    CHECK_EQUAL(timerfd_settime(fd, 0, &soon, NULL), 0);
    expect(ring, 1, 8);
    CHECK_EQUAL(count, 1);
    close(fd);
}

static void a_terminal_is_read_by_the_line(struct rm_ring *ring) {
    char buffer[16];
    int outer = posix_openpt(O_RDWR | O_NOCTTY);
    if (outer < 0 || grantpt(outer) < 0 || unlockpt(outer) < 0) return; /* no terminals here */
    int inner = open(ptsname(outer), O_RDWR | O_NOCTTY);
    CHECK(inner >= 0);
    push_buffer(ring, IORING_OP_READ, inner, buffer, 16, 1)->off = UINT64_MAX;
    submit(ring);
    put(outer, "half");
    expect_nothing(ring);
    put(outer, " line\n");
    expect(ring, 1, 10);
    CHECK_EQUAL(memcmp(buffer, "half line\n", 10), 0);
    close(inner), close(outer);
}

static void inotify_is_read_when_something_happens(struct rm_ring *ring) {
    char buffer[512];
    int fd = inotify_init1(0);
    CHECK(inotify_add_watch(fd, ".", IN_CREATE) >= 0);
    push_buffer(ring, IORING_OP_READ, fd, buffer, sizeof buffer, 1);
    expect_nothing(ring);
    unlink("happened");
    close(open("happened", O_CREAT | O_WRONLY, 0600));
    CHECK(check_next(ring).res > 0);
    close(fd);
}

static void dev_null_and_zero_answer_at_once(struct rm_ring *ring) {
    char buffer[8] = "xxxxxxx";
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
    push_buffer(ring, IORING_OP_READ, null, buffer, 8, 1);
    expect(ring, 1, 0);
    push_buffer(ring, IORING_OP_WRITE, null, buffer, 8, 2);
    expect(ring, 2, 8);
    push_buffer(ring, IORING_OP_READ, zero, buffer, 8, 3);
    expect(ring, 3, 8);
    CHECK_EQUAL(buffer[0], 0);
    close(null), close(zero);
}

static void datagrams_carry_addresses(struct rm_ring *ring) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)}, from;
    socklen_t size = sizeof to;
    char buffer[8];
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQUAL(bind(a, (struct sockaddr *)&to, size), 0);
    CHECK_EQUAL(getsockname(a, (struct sockaddr *)&to, &size), 0);
    struct iovec in = {buffer, 8}, out = {"gram", 4};
    struct msghdr receive = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &in, .msg_iovlen = 1};
    struct msghdr send = {.msg_name = &to, .msg_namelen = size, .msg_iov = &out, .msg_iovlen = 1};
    push_buffer(ring, IORING_OP_RECVMSG, a, &receive, 1, 0);
    submit(ring);
    push_buffer(ring, IORING_OP_SENDMSG, b, &send, 1, 1);
    struct check_cqe cqes[2];
    gather(ring, 2, cqes);
    CHECK_EQUAL(cqes[0].res, 4);
    CHECK_EQUAL(cqes[1].res, 4);
    CHECK_EQUAL(receive.msg_namelen, sizeof from);
    CHECK_EQUAL(from.sin_family, AF_INET);
    out.iov_len = 0; /* an empty one is no end */
    push_buffer(ring, IORING_OP_SENDMSG, b, &send, 1, 0);
    push_buffer(ring, IORING_OP_RECVMSG, a, &receive, 1, 1);
    gather(ring, 2, cqes);
    CHECK_EQUAL(cqes[1].res, 0);
    close(a), close(b);
}

static void a_message_carries_an_fd_once(struct rm_ring *ring) {
    char buffer[8], space[CMSG_SPACE(sizeof(int))] = {0}, got[CMSG_SPACE(sizeof(int))];
    int pair[2], ends[2];
    check_pair(pair);
    CHECK_EQUAL(pipe(ends), 0);
    struct iovec out = {"fd", 2}, in = {buffer, 8};
    struct msghdr send = {
        .msg_iov = &out, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct msghdr receive = {
        .msg_iov = &in, .msg_iovlen = 1, .msg_control = got, .msg_controllen = sizeof got};
    struct cmsghdr *header = CMSG_FIRSTHDR(&send);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
    push_buffer(ring, IORING_OP_RECVMSG, pair[0], &receive, 1, 0);
    submit(ring);
    push_buffer(ring, IORING_OP_SENDMSG, pair[1], &send, 1, 1);
    struct check_cqe cqes[2];
    gather(ring, 2, cqes);
    CHECK_EQUAL(cqes[0].res, 2);
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&receive)), sizeof(int));
    put(fd, "x");
    CHECK_EQUAL(read(ends[0], buffer, 8), 1);
    close(fd), close(ends[0]), close(ends[1]), close(pair[0]), close(pair[1]);
}

static void urgent_data_is_received(struct rm_ring *ring) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t size = sizeof address;
    char buffer[8];
    int server = socket(AF_INET, SOCK_STREAM, 0), a = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQUAL(bind(server, (struct sockaddr *)&address, size), 0);
    CHECK_EQUAL(listen(server, 1), 0);
    CHECK_EQUAL(getsockname(server, (struct sockaddr *)&address, &size), 0);
    CHECK_EQUAL(connect(a, (struct sockaddr *)&address, size), 0);
    int b = accept(server, NULL, NULL);
    check_push_recv(ring, b, buffer, 8, 1);
    submit(ring);
    put(a, "plain");
    expect(ring, 1, 5);
    CHECK_EQUAL(send(a, "!", 1, MSG_OOB), 1);
    for (struct check_cqe cqe = {.res = -EINVAL}; cqe.res == -EINVAL;) { /* until it has come */
        check_push_recv(ring, b, buffer, 1, 2)->msg_flags = MSG_OOB;
        cqe = check_next(ring);
        CHECK(cqe.res == 1 || cqe.res == -EINVAL);
    }
    CHECK_EQUAL(buffer[0], '!');
    close(server), close(a), close(b);
}

static const struct twin_case cases[] = {
    BOTH(an_eventfd_is_read_when_it_is_written), BOTH(a_timerfd_is_read_when_it_expires),
    BOTH(a_terminal_is_read_by_the_line),        BOTH(inotify_is_read_when_something_happens),
    BOTH(dev_null_and_zero_answer_at_once),      BOTH(datagrams_carry_addresses),
    BOTH(a_message_carries_an_fd_once),          BOTH(urgent_data_is_received),
};

TWIN_MAIN(cases)
