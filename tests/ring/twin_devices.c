/* Files that are neither disks nor streams, and messages with an address or an fd in them. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>

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

/* False where there are no terminals. */
static bool terminal_open(int *outer, int *inner) {
    *outer = posix_openpt(O_RDWR | O_NOCTTY);
    if (*outer < 0 || grantpt(*outer) < 0 || unlockpt(*outer) < 0) return false;
    *inner = open(ptsname(*outer), O_RDWR | O_NOCTTY);
    CHECK(*inner >= 0);
    return true;
}

static void a_terminal_is_read_by_the_line(struct rm_ring *ring) {
    char buffer[16];
    int outer, inner;
    if (!terminal_open(&outer, &inner)) return;
    push_buffer(ring, IORING_OP_READ, inner, buffer, 16, 1)->off = UINT64_MAX;
    submit(ring);
    put(outer, "half");
    expect_nothing(ring);
    put(outer, " line\n");
    expect(ring, 1, 10);
    CHECK_EQUAL(memcmp(buffer, "half line\n", 10), 0);
    close(inner), close(outer);
}

/* ── there is room, but not for all of it ── */

#define MUCH 300000

static char much[MUCH];

static void fifo_open(int *reader, int *writer) {
    unlink("fifo");
    CHECK_EQUAL(mkfifo("fifo", 0600), 0);
    *reader = open("fifo", O_RDONLY | O_NONBLOCK);
    *writer = open("fifo", O_WRONLY);
    CHECK(*reader >= 0 && *writer >= 0);
}

/* Write much, read it in this very thread; the result, which is what has been read. */
static int written_and_read(struct rm_ring *ring, int writer, int reader) {
    static char taken[1 << 16];
    ssize_t n, sum = 0;
    push_buffer(ring, IORING_OP_WRITE, writer, much, MUCH, 1)->off = UINT64_MAX;
    do {
        CHECK_EQUAL(rm_enter(ring, 0, 0), 0);
        while ((n = read(reader, taken, sizeof taken)) > 0) sum += n;
    } while (rm_cq_ready(ring) == 0);
    int res = check_next(ring).res;
    while (sum < res && (n = read(reader, taken, sizeof taken)) > 0) sum += n;
    CHECK_EQUAL(res, sum);
    return res;
}

/* Linux writes what there is room for, soft all of it; neither stops who could read it. */
static void a_fifo_is_written_while_we_read_it(struct rm_ring *ring) {
    int reader, writer;
    fifo_open(&reader, &writer);
    CHECK(written_and_read(ring, writer, reader) >= 4096);
    CHECK_EQUAL(fcntl(writer, F_GETFL) & O_NONBLOCK, 0);
    close(reader), close(writer);
}

/* Soft alone: Linux may wait here itself, in the thread that enters. */
static void a_terminal_is_written_while_we_read_it(struct rm_ring *ring) {
    struct termios raw;
    int outer, inner;
    if (!terminal_open(&outer, &inner)) return;
    CHECK_EQUAL(tcgetattr(inner, &raw), 0);
    cfmakeraw(&raw);
    CHECK_EQUAL(tcsetattr(inner, TCSANOW, &raw), 0);
    CHECK_EQUAL(fcntl(outer, F_SETFL, O_NONBLOCK), 0);
    CHECK_EQUAL(written_and_read(ring, inner, outer), MUCH);
    close(inner), close(outer);
}

static void a_write_that_nobody_reads_is_cancelled(struct rm_ring *ring) {
    int reader, writer;
    fifo_open(&reader, &writer);
    push_buffer(ring, IORING_OP_WRITE, writer, much, MUCH, 0)->off = UINT64_MAX;
    rm_enter(ring, 1, QUIET_NS);
    push_cancel(ring, 0, 1);
    struct check_cqe cqes[2];
    gather(ring, 2, cqes);
    /* What there was room for; or nothing, of a call that had not begun. */
    CHECK(cqes[0].res == -ECANCELED || (cqes[0].res >= 4096 && cqes[0].res < MUCH));
    close(reader), close(writer);
}

static void an_eventfd_is_written_when_the_sum_has_room(struct rm_ring *ring) {
    uint64_t nearly = UINT64_MAX - 2, five = 5, value;
    int fd = eventfd(0, 0);
    CHECK_EQUAL(write(fd, &nearly, 8), 8); /* POLLOUT: one more fits */
    push_buffer(ring, IORING_OP_WRITE, fd, &five, 8, 1);
    expect_nothing(ring);
    CHECK_EQUAL(read(fd, &value, 8), 8);
    CHECK_EQUAL(value, nearly);
    expect(ring, 1, 8);
    CHECK_EQUAL(read(fd, &value, 8), 8);
    CHECK_EQUAL(value, 5);
    close(fd);
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

/* A message of two bytes and `fd`. */
static void send_fd(int to, int fd) {
    char space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec out = {"fd", 2};
    struct msghdr message = {
        .msg_iov = &out, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
    CHECK_EQUAL(sendmsg(to, &message, 0), 2);
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

/* What has come is told as it is: an fd that comes with a later part would have no place. */
static void a_recvmsg_of_all_loses_no_fd(struct rm_ring *ring) {
    char buffer[8], got[CMSG_SPACE(sizeof(int))];
    int pair[2], ends[2], fd;
    check_pair(pair);
    CHECK_EQUAL(pipe(ends), 0);
    struct iovec in = {buffer, 8};
    struct msghdr receive = {
        .msg_iov = &in, .msg_iovlen = 1, .msg_control = got, .msg_controllen = sizeof got};
    push_buffer(ring, IORING_OP_RECVMSG, pair[0], &receive, 1, 1)->msg_flags = MSG_WAITALL;
    submit(ring);
    put(pair[1], "abc");
    expect(ring, 1, 3);
    send_fd(pair[1], ends[1]);
    close(ends[1]);
    receive.msg_controllen = sizeof got;
    push_buffer(ring, IORING_OP_RECVMSG, pair[0], &receive, 1, 2)->msg_flags = MSG_WAITALL;
    expect(ring, 2, 2);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&receive)), sizeof(int));
    put(fd, "x");
    CHECK_EQUAL(read(ends[0], buffer, 8), 1);
    close(fd), close(ends[0]), close(pair[0]), close(pair[1]);
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
    BOTH(an_eventfd_is_read_when_it_is_written),
    BOTH(a_timerfd_is_read_when_it_expires),
    BOTH(a_terminal_is_read_by_the_line),
    BOTH(a_fifo_is_written_while_we_read_it),
    SOFT(a_terminal_is_written_while_we_read_it),
    BOTH(a_write_that_nobody_reads_is_cancelled),
    BOTH(an_eventfd_is_written_when_the_sum_has_room),
    BOTH(inotify_is_read_when_something_happens),
    BOTH(dev_null_and_zero_answer_at_once),
    BOTH(datagrams_carry_addresses),
    BOTH(a_message_carries_an_fd_once),
    BOTH(a_recvmsg_of_all_loses_no_fd),
    BOTH(urgent_data_is_received),
};

TWIN_MAIN(cases)
