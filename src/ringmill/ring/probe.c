/* What can this kernel do? Opcodes are told by a register call; behaviours are tried.
 *
 * Never by a version number: distributions backport (Debian's 5.10 has the io_uring of 5.15), and
 * sandboxes take away. Each try is a real op on a small ring beside, on fds of our own, with the
 * data already there, so that a kernel that can do it answers within the same enter. All of it
 * takes some hundred microseconds and leaves nothing behind: no fd, no thread, no CQE.
 *
 * Knows: SQEs and what they should answer. Must not know: who wants to know.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <fcntl.h>
#include <unistd.h>

#include "buf_ring.h"
#include "probe.h"

/* The answers come within the enter that asks; a kernel that needs longer lacks the behaviour. */
#define ANSWER_NS 200000000

#define REFUSALS_MAX 100 /* of an enter, before the kernel is believed to mean it */

#define PROBE_ENTRIES 8 /* at most three SQEs are ever in flight */
#define PROBE_BUFFERS 4 /* entries of the buffer ring, a power of two; one is used per try */
#define BUFFER_SIZE 16
#define DATAGRAMS_MAX 4096 /* net.unix.max_dgram_qlen is 10 or some hundreds */

enum {
    TRIED = 1, /* user_data of the op that is tried … */
    ENDED = 2, /* … and of the cancel that ends it, … */
    ENDED_ANYWAY = 3, /* … if need be of the second */
};

/* What a try needs at hand. */
struct bench {
    struct rm_ring ring; /* the small one */
    int pair[2];         /* a stream socket and its peer, which has sent one byte */
    int pipe[2];         /* likewise */
    int idle;            /* a listener nobody connects to */
    int listener;        /* one with a connection waiting */
    int client;
    int post;            /* a datagram socket that has a name */
    void *page;          /* a buffer ring, and the memory of fixed buffers */
    char buffers[PROBE_BUFFERS][BUFFER_SIZE];
};

/* ── the bench ── */

/* An address of the family alone: Linux chooses an abstract name, no file is made. */
static int bound_anywhere(int type) {
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    if (fd < 0) return -1;
    if (bind(fd, (struct sockaddr *)&any, sizeof any.sun_family) == 0) return fd;
    close(fd);
    return -1;
}

static int listen_anywhere(void) {
    int fd = bound_anywhere(SOCK_STREAM);
    if (fd < 0 || listen(fd, 1) == 0) return fd;
    close(fd);
    return -1;
}

static int connect_to(int listener) {
    struct sockaddr_un name;
    socklen_t size = sizeof name;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (getsockname(listener, (struct sockaddr *)&name, &size) == 0
        && connect(fd, (struct sockaddr *)&name, size) == 0)
        return fd;
    close(fd);
    return -1;
}

static void close_bench(struct bench *bench) {
    int fds[] = {bench->pair[0], bench->pair[1],  bench->pipe[0], bench->pipe[1],
                 bench->idle,    bench->listener, bench->client,  bench->post};
    rm_close(&bench->ring);
    for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0) close(fds[i]);
    if (bench->page != MAP_FAILED) munmap(bench->page, (size_t)sysconf(_SC_PAGESIZE));
}

/* False, with everything closed again, when something could not be had. */
static bool open_bench(struct bench *bench, const struct rm_config *config) {
    struct rm_config small = *config;
    small.entries = small.cq_entries = PROBE_ENTRIES;
    small.sqpoll = false;                /* no thread for a moment's questions */
    small.masked |= RM_REGISTERED_RING;  /* and none of the thread's sixteen places */
    memset(&bench->ring, 0, sizeof bench->ring);
    bench->pair[0] = bench->pair[1] = bench->pipe[0] = bench->pipe[1] = -1;
    bench->idle = listen_anywhere();
    bench->listener = listen_anywhere();
    bench->client = bench->listener < 0 ? -1 : connect_to(bench->listener);
    bench->post = bound_anywhere(SOCK_DGRAM);
    bench->page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bench->page != MAP_FAILED && bench->idle >= 0 && bench->client >= 0 && bench->post >= 0
        && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, bench->pair) == 0
        && pipe2(bench->pipe, O_CLOEXEC) == 0 && write(bench->pair[1], "", 1) == 1
        && write(bench->pipe[1], "", 1) == 1 && rm_linux.setup(&bench->ring, &small) == 0) {
        bench->ring.kernel = &rm_linux;
        return true;
    }
    close_bench(bench);
    return false;
}

/* ── tries ── */

/* Not now; nothing has been taken. */
static bool refused(int error) { return error == -EINTR || error == -EAGAIN || error == -EBUSY; }

/* The next CQE, entering if need be. False: there is none. */
static bool next_cqe(struct bench *bench, struct io_uring_cqe *cqe) {
    int error = -EINTR;
    for (unsigned tries = 0; refused(error) && tries < REFUSALS_MAX; tries++)
        error = rm_enter(&bench->ring, 1, ANSWER_NS);
    return rm_reap(&bench->ring, cqe, 1) == 1;
}

/* Give what was pushed (user_data TRIED) to the kernel; its first CQE. If that says that more will
 * come, end it and wait for its last: an op is never left in flight. */
static void try(struct bench *bench, struct io_uring_cqe *first) {
    struct io_uring_cqe cqe;
    memset(first, 0, sizeof *first);
    do { /* not the answer to an earlier question, which came late */
        if (!next_cqe(bench, first)) {
            first->res = -ETIME;
            return;
        }
    } while (first->user_data != TRIED);
    if (!(first->flags & IORING_CQE_F_MORE)) return;
    rm_push(&bench->ring, IORING_OP_ASYNC_CANCEL, -1, ENDED)->addr = TRIED;
    for (bool alive = true, asked = true; alive || asked;) {
        if (!next_cqe(bench, &cqe)) break;
        if (cqe.user_data == ENDED)
            asked = false;
        else if (!(cqe.flags & IORING_CQE_F_MORE))
            alive = false;
    }
}

static bool answers_more(const struct io_uring_cqe *cqe) {
    return cqe->res >= 0 && cqe->flags & IORING_CQE_F_MORE;
}

static bool try_poll_multishot(struct bench *bench) {
    struct io_uring_sqe *sqe = rm_push(&bench->ring, IORING_OP_POLL_ADD, bench->pair[0], TRIED);
    sqe->len = IORING_POLL_ADD_MULTI;
    sqe->poll32_events = RM_READABLE;
    struct io_uring_cqe cqe;
    try(bench, &cqe);
    return answers_more(&cqe);
}

static bool try_accept_multishot(struct bench *bench) {
    struct io_uring_sqe *sqe = rm_push(&bench->ring, IORING_OP_ACCEPT, bench->listener, TRIED);
    sqe->ioprio = IORING_ACCEPT_MULTISHOT;
    sqe->accept_flags = SOCK_CLOEXEC;
    struct io_uring_cqe cqe;
    try(bench, &cqe);
    if (cqe.res >= 0) close(cqe.res);
    return answers_more(&cqe);
}

/* A kernel that knows no address there refuses it, or sends to nobody. */
static bool try_send_to(struct bench *bench) {
    struct sockaddr_un name;
    socklen_t size = sizeof name;
    struct io_uring_cqe cqe;
    if (getsockname(bench->post, (struct sockaddr *)&name, &size) < 0) return false;
    struct io_uring_sqe *sqe = rm_push(&bench->ring, IORING_OP_SEND, bench->post, TRIED);
    sqe->addr = (uint64_t)(uintptr_t)"";
    sqe->len = 1;
    sqe->addr2 = (uint64_t)(uintptr_t)&name;
    sqe->addr_len = (uint16_t)size;
    try(bench, &cqe);
    return cqe.res == 1;
}

/* Does a datagram that found the receiver's queue full go there whole, once there is room? Linux
 * 6.18 forgets that its first try has used up the bytes: the second sends an empty one. (Not over a
 * socketpair: those wait for memory only, and before anything is used up.) */
static bool try_send_whole(struct bench *bench) {
    struct sockaddr_un name;
    socklen_t size = sizeof name;
    struct io_uring_cqe cqe = {0};
    int waiting = 0, sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char got;
    if (sender < 0) return false;
    if (getsockname(bench->post, (struct sockaddr *)&name, &size) == 0
        && connect(sender, (struct sockaddr *)&name, size) == 0) {
        while (waiting < DATAGRAMS_MAX && send(sender, "", 1, MSG_DONTWAIT) == 1) waiting++;
        struct io_uring_sqe *sqe = rm_push(&bench->ring, IORING_OP_SEND, sender, TRIED);
        sqe->addr = (uint64_t)(uintptr_t)"";
        sqe->len = 1;
        rm_enter(&bench->ring, 0, 0);
        while (waiting-- > 0 && recv(bench->post, &got, 1, MSG_DONTWAIT) == 1) {}
        try(bench, &cqe);
    }
    close(sender);
    return cqe.res == 1;
}

/* ASYNC_CANCEL by fd, and all of them at once; ANY came with them. It answers how many it found.
 * Known and not to be used: FD | USERDATA together, which 6.16 and 6.17 answer with ENOENT. */
static bool try_cancel_fd(struct bench *bench) {
    struct rm_ring *ring = &bench->ring;
    struct io_uring_cqe cqe;
    rm_push(ring, IORING_OP_POLL_ADD, bench->idle, TRIED)->poll32_events = RM_READABLE;
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_ASYNC_CANCEL, bench->idle, ENDED);
    sqe->cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
    bool alive = true, asked = true, found = false;
    while ((alive || asked) && next_cqe(bench, &cqe)) {
        if (cqe.user_data == TRIED) {
            alive = false;
        } else {
            asked = false;
            found |= cqe.res == 1 && cqe.user_data == ENDED;
        }
        if (alive && !asked && !found && cqe.user_data == ENDED) {
            /* Not by fd, then; but the poll has to end. */
            rm_push(ring, IORING_OP_ASYNC_CANCEL, -1, ENDED_ANYWAY)->addr = TRIED;
            asked = true;
        }
    }
    return found && !alive;
}

/* A buffer ring of group 0 in the bench's page, full. */
static bool open_buffers(struct bench *bench) {
    struct io_uring_buf_ring *shared = bench->page;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)shared,
        .ring_entries = PROBE_BUFFERS,
    };
    if (rm_linux.enroll(&bench->ring, IORING_REGISTER_PBUF_RING, &reg, 1) < 0) return false;
    uint16_t tail = 0;
    for (uint16_t i = 0; i < PROBE_BUFFERS; i++)
        rm_buf_put(shared, PROBE_BUFFERS - 1, &tail, bench->buffers[i], BUFFER_SIZE, i);
    return true;
}

static void close_buffers(struct bench *bench) {
    struct io_uring_buf_reg reg = {.bgid = 0};
    rm_linux.enroll(&bench->ring, IORING_UNREGISTER_PBUF_RING, &reg, 1);
}

/* RECV (a flag makes it a multishot) or READ_MULTISHOT, into the buffer ring. */
static bool try_into_buffers(struct bench *bench, uint8_t opcode, int fd, uint16_t ioprio) {
    struct io_uring_sqe *sqe = rm_push(&bench->ring, opcode, fd, TRIED);
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->ioprio = ioprio;
    if (opcode == IORING_OP_READ_MULTISHOT) sqe->off = UINT64_MAX; /* a pipe has no position */
    struct io_uring_cqe cqe;
    try(bench, &cqe);
    return answers_more(&cqe) && cqe.res == 1 && cqe.flags & IORING_CQE_F_BUFFER;
}

/* Where the memlock limit is 0 even one page is refused: then there are none. */
static bool try_fixed_buffers(struct bench *bench) {
    struct iovec page = {bench->page, (size_t)sysconf(_SC_PAGESIZE)};
    if (rm_linux.enroll(&bench->ring, IORING_REGISTER_BUFFERS, &page, 1) < 0) return false;
    rm_linux.enroll(&bench->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
    return true;
}

/* A file that the first op of a chain opens into a place, and the second one closes. */
static bool try_direct_files(struct bench *bench) {
    int places[] = {-1};
    struct io_uring_cqe first, second;
    if (rm_linux.enroll(&bench->ring, IORING_REGISTER_FILES, places, 1) < 0) return false;
    struct io_uring_sqe *sqe = rm_push(&bench->ring, IORING_OP_OPENAT, AT_FDCWD, TRIED);
    sqe->addr = (uint64_t)(uintptr_t)"/";
    sqe->open_flags = O_RDONLY | O_DIRECTORY;
    sqe->file_index = 1;
    sqe->flags = IOSQE_IO_LINK;
    rm_push(&bench->ring, IORING_OP_FADVISE, 0, ENDED)->flags = IOSQE_FIXED_FILE;
    /* The advice is none, and whether a directory takes it is its own affair. */
    bool found = next_cqe(bench, &first) && next_cqe(bench, &second) && first.res == 0
                 && second.res != -EBADF && second.res != -ECANCELED;
    rm_linux.enroll(&bench->ring, IORING_UNREGISTER_FILES, NULL, 0);
    return found;
}

static uint32_t try_all(struct bench *bench, uint64_t ops) {
    uint32_t found = 0;
    bool polls = ops >> IORING_OP_POLL_ADD & 1;
    if (try_fixed_buffers(bench)) found |= RM_FIXED_BUFFERS;
    if (ops >> IORING_OP_OPENAT & ops >> IORING_OP_FADVISE & 1 && try_direct_files(bench))
        found |= RM_DIRECT_FILES;
    /* Without a cancel nothing that goes on can be ended: neither here nor by a machine. */
    if (!(ops >> IORING_OP_ASYNC_CANCEL & 1)) return found;
    if (ops >> IORING_OP_SEND & 1 && try_send_whole(bench)) found |= RM_SEND_WHOLE;
    if (ops >> IORING_OP_SEND & 1 && try_send_to(bench)) found |= RM_SEND_TO;
    if (polls && try_cancel_fd(bench)) found |= RM_CANCEL_FD;
    if (polls && try_poll_multishot(bench)) found |= RM_POLL_MULTISHOT;
    if (ops >> IORING_OP_ACCEPT & 1 && try_accept_multishot(bench)) found |= RM_ACCEPT_MULTISHOT;
    if (!open_buffers(bench)) return found;
    found |= RM_BUFFER_RINGS;
    if (ops >> IORING_OP_RECV & 1
        && try_into_buffers(bench, IORING_OP_RECV, bench->pair[0], IORING_RECV_MULTISHOT))
        found |= RM_RECV_MULTISHOT;
    if (ops >> IORING_OP_READ_MULTISHOT & 1
        && try_into_buffers(bench, IORING_OP_READ_MULTISHOT, bench->pipe[0], 0))
        found |= RM_READ_MULTISHOT;
    close_buffers(bench);
    return found;
}

/* ── answers ── */

static uint64_t ask_opcodes(struct rm_ring *ring) {
    struct {
        struct io_uring_probe probe;
        struct io_uring_probe_op ops[RM_OPCODES];
    } answer;
    uint64_t found = 0;
    memset(&answer, 0, sizeof answer);
    if (rm_linux.enroll(ring, IORING_REGISTER_PROBE, &answer, RM_OPCODES) < 0) return 0;
    for (unsigned i = 0; i < answer.probe.ops_len && i < RM_OPCODES; i++)
        if (answer.ops[i].flags & IO_URING_OP_SUPPORTED) found |= UINT64_C(1) << answer.ops[i].op;
    return found;
}

void rm_linux_probe(struct rm_ring *ring, const struct rm_config *config, struct rm_probe *probe) {
    struct bench bench;
    memset(probe, 0, sizeof *probe);
    probe->masked_ops = config->masked_ops;
    probe->masked = config->masked;
    probe->masked_setup = config->masked_setup;
    probe->opcodes = ask_opcodes(ring) & ~config->masked_ops;

    /* Witnesses: what would be costly or impossible to try here. */
    if (ring->features & IORING_FEAT_CQE_SKIP) probe->behaviours |= RM_CQE_SKIP; /* 5.17 */
    /* 6.0; needs TCP or UDP, which a container without a network refuses. */
    if (probe->opcodes >> IORING_OP_SEND_ZC & 1) probe->behaviours |= RM_SEND_ZC;
    if (ring->features & IORING_FEAT_RECVSEND_BUNDLE) probe->behaviours |= RM_BUNDLE; /* 6.10 */

    if (!open_bench(&bench, config)) return;
    probe->behaviours |= try_all(&bench, probe->opcodes);
    close_bench(&bench);
    /* A bundle is a run of buffers of a ring. */
    if (!(probe->behaviours & RM_BUFFER_RINGS)) probe->behaviours &= ~(uint32_t)RM_BUNDLE;
    probe->done = true;
}
