/* The soft kernel knows a file only by its number, and numbers are closed and used again. */
#include <fcntl.h>
#include <poll.h>

#include "twin_check.h"

/* Let `fd` be the number of the same file as `from`, which is closed. */
static void move(int from, int fd) {
    CHECK_EQUAL(dup2(from, fd), fd);
    close(from);
}

static void an_event_of_a_file_that_is_gone_reads_nothing(struct rm_ring *ring) {
    char buffer[8];
    int old[2], new[2];
    check_pair(old), check_pair(new);
    int kept = dup(old[0]); /* keeps the file, and with it our registration, alive */
    check_push_recv(ring, old[0], buffer, 8, 1);
    submit(ring);
    put(new[1], "secret");
    move(new[0], old[0]);
    put(old[1], "x"); /* an event, under a number that is somebody else's now */
    expect(ring, 1, -EBADF);
    CHECK_EQUAL(recv(old[0], buffer, 8, MSG_DONTWAIT), 6);
    CHECK_EQUAL(recv(kept, buffer, 8, MSG_DONTWAIT), 1);
    close(kept), close(old[0]), close(old[1]), close(new[1]);
}

static void a_new_wait_finds_out_that_the_file_is_another(struct rm_ring *ring) {
    char first[8], second[8];
    int old[2], new[2];
    check_pair(old), check_pair(new);
    check_push_recv(ring, old[0], first, 8, 1);
    submit(ring);
    move(new[0], old[0]); /* nobody has the old file any more: no event will come */
    check_push_recv(ring, old[0], second, 8, 2);
    submit(ring);
    expect(ring, 1, -EBADF);
    put(new[1], "new");
    expect(ring, 2, 3);
    CHECK_EQUAL(memcmp(second, "new", 3), 0);
    close(old[0]), close(old[1]), close(new[1]);
}

static void a_number_of_a_file_without_events_is_noticed(struct rm_ring *ring) {
    char first[8], second[8];
    int old[2], file = open("plain", O_CREAT | O_RDWR, 0600);
    CHECK_EQUAL(pwrite(file, "plain", 5, 0), 5);
    CHECK_EQUAL(pipe(old), 0);
    push_buffer(ring, IORING_OP_READ, old[0], first, 8, 0);
    submit(ring);
    move(file, old[0]);
    push_buffer(ring, IORING_OP_READ, old[0], second, 8, 1);
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_POLL_ADD, old[0], 2);
    sqe->poll32_events = POLLPRI; /* never true of a file: it has to be waited for */
    struct check_cqe cqes[3];
    gather(ring, 3, cqes);
    CHECK_EQUAL(cqes[0].res, -EBADF);
    CHECK_EQUAL(cqes[1].res, 5);
    CHECK_EQUAL(cqes[2].res, -EINVAL);
    close(old[0]), close(old[1]);
}

static void a_file_that_comes_back_is_watched_again(struct rm_ring *ring) {
    char buffer[8];
    int a[2], b[2];
    check_pair(a), check_pair(b);
    int kept = dup(a[0]);
    check_push_recv(ring, a[0], buffer, 8, 1);
    submit(ring);
    move(b[0], a[0]);
    check_push_recv(ring, a[0], buffer, 8, 2); /* b's file under a's number */
    submit(ring);
    expect(ring, 1, -EBADF);
    put(b[1], "b");
    expect(ring, 2, 1);
    move(kept, a[0]); /* and a's file again, whose first registration still exists */
    check_push_recv(ring, a[0], buffer, 8, 3);
    submit(ring);
    put(a[1], "back");
    expect(ring, 3, 4);
    close(a[0]), close(a[1]), close(b[1]);
}

static void close_through_the_ring_ends_the_waiters(struct rm_ring *ring) {
    char buffer[8];
    int pair[2];
    check_pair(pair);
    int kept = dup(pair[0]);
    check_push_recv(ring, pair[0], buffer, 8, 0);
    submit(ring);
    rm_push(ring, IORING_OP_CLOSE, pair[0], 1);
    struct check_cqe cqes[2];
    gather(ring, 2, cqes);
    CHECK_EQUAL(cqes[0].res, -EBADF);
    CHECK_EQUAL(cqes[1].res, 0);
    put(pair[1], "x");
    struct pollfd p = {.fd = ring->fd, .events = POLLIN};
    CHECK_EQUAL(poll(&p, 1, 0), 0); /* the dup is nobody's business here */
    close(kept), close(pair[1]);
}

static void a_busy_fd_nobody_reads_is_told_once(struct rm_ring *ring) {
    char buffer[8];
    int pair[2];
    check_pair(pair);
    check_push_recv(ring, pair[0], buffer, 8, 1);
    submit(ring);
    put(pair[1], "x");
    expect(ring, 1, 1);
    struct pollfd p = {.fd = ring->fd, .events = POLLIN};
    for (int i = 0; i < 3; i++) {
        put(pair[1], "more");
        submit(ring);
    }
    CHECK_EQUAL(poll(&p, 1, 0), 0);
    check_push_recv(ring, pair[0], buffer, 8, 2); /* and it is watched again when it is wanted */
    expect(ring, 2, 8);
    check_push_recv(ring, pair[0], buffer, 8, 3);
    expect(ring, 3, 4);
    check_push_recv(ring, pair[0], buffer, 8, 4);
    submit(ring);
    put(pair[1], "again");
    expect(ring, 4, 5);
    close(pair[0]), close(pair[1]);
}

/* A busy connection must not keep another's bytes waiting for its end. */
static void a_busy_multishot_leaves_room_for_others(struct rm_ring *ring) {
    static struct group group;
    int busy[2], calm[2];
    check_pair(busy), check_pair(calm);
    struct io_uring_buf_reg reg = {.ring_entries = 64, .bgid = GROUP};
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct io_uring_buf *bufs = memory;
    group.ring = memory;
    reg.ring_addr = at(memory);
    CHECK_EQUAL(ring->kernel->enroll(ring, IORING_REGISTER_PBUF_RING, &reg, 1), 0);
    for (unsigned i = 0; i < 64; i++)
        bufs[i] = (struct io_uring_buf){.addr = at(group.memory[0]), .len = 1, .bid = (uint16_t)i};
    __atomic_store_n(&group.ring->tail, 64, __ATOMIC_RELEASE);
    push_select(ring, IORING_OP_RECV, busy[0], 1)->ioprio = IORING_RECV_MULTISHOT;
    push_select(ring, IORING_OP_RECV, calm[0], 2)->ioprio = IORING_RECV_MULTISHOT;
    submit(ring);
    for (int i = 0; i < 40; i++) put(busy[1], "b");
    put(calm[1], "c");
    unsigned before = 0;
    while (check_next(ring).user_data == 1) before++;
    CHECK_EQUAL(before, 32); /* as many shots as one pass gives to one op; the others came next */
    for (unsigned i = before; i < 40; i++) expect(ring, 1, 1);
    close(busy[0]), close(busy[1]), close(calm[0]), close(calm[1]);
}

/* The ring's fd tells an outer loop to enter: for readiness, for workers, for timers. */
static void the_ring_can_be_polled_from_outside(struct rm_ring *ring) {
    static const struct __kernel_timespec soon = {0, SOON_NS};
    char buffer[8];
    int pair[2], file = open("outside", O_CREAT | O_RDWR, 0600);
    struct pollfd p = {.fd = ring->fd, .events = POLLIN};
    check_pair(pair);
    check_push_recv(ring, pair[0], buffer, 8, 1);
    submit(ring);
    CHECK_EQUAL(poll(&p, 1, 0), 0);
    put(pair[1], "x");
    CHECK_EQUAL(poll(&p, 1, -1), 1);
    submit(ring);
    CHECK_EQUAL(rm_cq_ready(ring), 1);
    expect(ring, 1, 1);
    rm_push(ring, IORING_OP_FSYNC, file, 2);
    submit(ring);
    if (rm_cq_ready(ring) == 0) CHECK_EQUAL(poll(&p, 1, -1), 1);
    submit(ring);
    CHECK_EQUAL(rm_cq_ready(ring), 1);
    expect(ring, 2, 0);
    push_time(ring, IORING_OP_TIMEOUT, &soon, 3);
    submit(ring);
    CHECK_EQUAL(poll(&p, 1, -1), 1);
    submit(ring);
    CHECK_EQUAL(rm_cq_ready(ring), 1);
    expect(ring, 3, -ETIME);
    close(pair[0]), close(pair[1]), close(file);
}

static void what_is_masked_is_refused(struct rm_ring *ring) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring masked;
    config.masked_ops = UINT64_C(1) << IORING_OP_SEND;
    config.masked = RM_BUFFER_RINGS | RM_ACCEPT_MULTISHOT | RM_CQE_SKIP | RM_CANCEL_FD;
    CHECK_EQUAL(rm_open(&masked, ring->kernel, &config), 0);
    CHECK(!rm_has_op(&masked, IORING_OP_SEND));
    CHECK_EQUAL(masked.behaviours,
                RM_POLL_MULTISHOT | RM_SEND_TO | RM_SEND_WHOLE | RM_DIRECT_FILES);
    push_buffer(&masked, IORING_OP_SEND, 0, "x", 1, 1);
    expect(&masked, 1, -EINVAL);
    rm_push(&masked, IORING_OP_ACCEPT, 0, 2)->ioprio = IORING_ACCEPT_MULTISHOT;
    expect(&masked, 2, -EINVAL);
    push_link(&masked, IORING_OP_NOP, 0, 3, IOSQE_CQE_SKIP_SUCCESS);
    expect(&masked, 3, -EINVAL);
    push_select(&masked, IORING_OP_RECV, 0, 4);
    expect(&masked, 4, -EINVAL);
    rm_push(&masked, IORING_OP_ASYNC_CANCEL, 0, 5)->cancel_flags = IORING_ASYNC_CANCEL_ANY;
    expect(&masked, 5, -EINVAL);
    rm_close(&masked);
}

static const struct twin_case cases[] = {
    SOFT(an_event_of_a_file_that_is_gone_reads_nothing),
    SOFT(a_new_wait_finds_out_that_the_file_is_another),
    SOFT(a_number_of_a_file_without_events_is_noticed),
    SOFT(a_file_that_comes_back_is_watched_again),
    SOFT(close_through_the_ring_ends_the_waiters),
    SOFT(a_busy_fd_nobody_reads_is_told_once),
    SOFT(a_busy_multishot_leaves_room_for_others),
    SOFT(the_ring_can_be_polled_from_outside),
    SOFT(what_is_masked_is_refused),
};

TWIN_MAIN(cases)
