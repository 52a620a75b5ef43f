/* No memory, at every place where the soft kernel asks for some: each op still ends exactly once.
 *
 * The same program runs again and again, each time with the next allocation failing, until it has
 * run with none failing. It says nothing about which ops fail, only that nothing is lost, and that
 * what could not be done says so. Not under sanitizers: they have their own malloc.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include "twin_check.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || !defined __GLIBC__

int main(void) {
    printf("malloc cannot be replaced here\n");
    return SKIPPED;
}

#else

#define OPS 20
#define FD_HIGH 500 /* beyond the first table of fds */

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

static unsigned left; /* allocations until one fails; 0: none will */
static bool failed;

static bool fails(void) {
    if (left == 0 || --left > 0) return false;
    failed = true;
    return true;
}

static void *refuse(void) {
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size) { return fails() ? refuse() : __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return fails() ? refuse() : __libc_calloc(n, size); }
void *realloc(void *at_, size_t size) { return fails() ? refuse() : __libc_realloc(at_, size); }

static void push_everything(struct rm_ring *ring, const int pair[2], int file) {
    static const struct __kernel_timespec soon = {0, SOON_NS}, never = {100, 0};
    static char buffers[OPS][8], big[1 << 20];
    static struct iovec iov[2] = {{big, 100}, {big + 100, sizeof big - 100}};
    static struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    uint64_t id = 0;
    check_push_recv(ring, pair[0], buffers[id], 8, id)->flags = IOSQE_IO_LINK, id++;
    push_time(ring, IORING_OP_LINK_TIMEOUT, &soon, id++)->flags = IOSQE_IO_LINK;
    rm_push(ring, IORING_OP_NOP, -1, id++);
    push_time(ring, IORING_OP_TIMEOUT, &never, id++);
    push_time(ring, IORING_OP_TIMEOUT, &never, id++)->off = 3;
    rm_push(ring, IORING_OP_POLL_ADD, pair[0], id++)->poll32_events = POLLPRI;
    push_buffer(ring, IORING_OP_SENDMSG, pair[0], &message, 1, id++)->msg_flags = MSG_WAITALL;
    rm_push(ring, IORING_OP_FSYNC, file, id++);
    check_push_recv(ring, FD_HIGH, buffers[id], 8, id), id++;
    while (id < OPS) check_push_recv(ring, pair[1], buffers[id], 1, id), id++;
}

static unsigned reap(struct rm_ring *ring, bool *ended) {
    struct io_uring_cqe cqe;
    unsigned n = 0;
    for (; rm_cq_ready(ring); n++) {
        CHECK_EQUAL(rm_reap(ring, &cqe, 1), 1);
        if (cqe.user_data == OPS) continue; /* the canceller's */
        CHECK(cqe.user_data < OPS && !ended[cqe.user_data]);
        ended[cqe.user_data] = true;
    }
    return n;
}

/* Returns whether an allocation has failed on the way. */
static bool run_with_failure(unsigned which) {
    struct rm_config config = check_config(32, 64);
    struct io_uring_buf_reg reg = {.ring_entries = GROUP_BUFFERS, .bgid = GROUP};
    struct rm_ring ring;
    bool ended[OPS] = {false};
    int pair[2], high[2], file = open("plain", O_CREAT | O_RDWR, 0600);
    check_pair(pair), check_pair(high);
    CHECK_EQUAL(dup2(high[0], FD_HIGH), FD_HIGH);
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    reg.ring_addr = at(memory);
    failed = false;
    left = which;
    if (rm_open(&ring, &rm_soft, &config) == 0) {
        int err = ring.kernel->enroll(&ring, IORING_REGISTER_PBUF_RING, &reg, 1);
        CHECK(err == 0 || (err == -ENOMEM && failed));
        push_everything(&ring, pair, file);
        for (unsigned n = 0; n < OPS;) {
            CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
            rm_push(&ring, IORING_OP_ASYNC_CANCEL, -1, OPS)->cancel_flags = IORING_ASYNC_CANCEL_ANY;
            CHECK_EQUAL(rm_enter(&ring, 1, ENOUGH_NS), 0);
            reap(&ring, ended);
            n = 0;
            for (unsigned i = 0; i < OPS; i++) n += ended[i];
        }
        rm_close(&ring);
    }
    left = 0;
    munmap(memory, 4096);
    close(pair[0]), close(pair[1]), close(high[0]), close(high[1]), close(FD_HIGH), close(file);
    return failed;
}

int main(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur <= FD_HIGH) {
        printf("so few fds are allowed that the tables cannot grow\n");
        return SKIPPED;
    }
    alarm(CASE_S);
    int fds = check_count("fd");
    unsigned which = 1;
    while (run_with_failure(which)) which++;
    CHECK_EQUAL(check_count("fd"), fds);
    CHECK(which > 10); /* the program does reach them */
    printf("%u allocations, each has failed once\n", which - 1);
    return 0;
}

#endif
