/* The real kernel with another face: older, masked, out of memory; and what is really asked of it.
 *
 * The ring makes its system calls through syscall(). This program defines that function itself: it
 * looks at each call, may answer in the kernel's place, and passes the rest on.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "linux.h"
#include "linux_check.h"

#define RINGS_MAX 8

/* What the kernel pretends, and what has been asked. A case runs in a process of its own, so
 * nobody has to tidy up. */
static struct {
    unsigned setup_known;    /* IORING_SETUP_* this kernel knows; 0: all */
    unsigned features_lost;  /* IORING_FEAT_* it has not */
    uint64_t registers_lost; /* bit per register opcode: EINVAL */
    int enter_error;         /* answer to the next `enter_errors` enters */
    unsigned enter_errors;
    bool sqpoll_forbidden;
    bool no_memory; /* for any ring */
    unsigned naps;
    unsigned setups, enters, registers; /* calls so far */
    uint64_t opcodes;                   /* bit per opcode that was given to any ring */
    uint64_t registered;                /* bit per register opcode */
} kernel;

/* The rings that exist, for a look into their SQs. Where stdin is closed a ring may be fd 0. */
static struct {
    bool used;
    int fd;
    struct io_uring_params params;
} rings[RINGS_MAX];

static long real_syscall(long number, const long arg[6]) {
    static long (*next)(long, ...);
    if (!next) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return next(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

static long fail(int error) {
    errno = error;
    return -1;
}

static long fake_setup(const long arg[6]) {
    struct io_uring_params *params = (struct io_uring_params *)arg[1];
    kernel.setups++;
    if (kernel.setup_known && params->flags & ~kernel.setup_known) return fail(EINVAL);
    if (kernel.no_memory) return fail(ENOMEM);
    if (kernel.sqpoll_forbidden && params->flags & IORING_SETUP_SQPOLL) return fail(EPERM);
    long fd = real_syscall(__NR_io_uring_setup, arg);
    if (fd < 0) return fd;
    params->features &= ~kernel.features_lost;
    unsigned i = 0;
    while (i < RINGS_MAX && rings[i].used && rings[i].fd != fd) i++;
    CHECK(i < RINGS_MAX);
    rings[i].used = true;
    rings[i].fd = (int)fd;
    rings[i].params = *params;
    return fd;
}

/* Read the opcodes of the SQEs that this enter submits, through mappings of our own. */
static void look_into_sq(const struct io_uring_params *params, int fd, unsigned submit) {
    size_t size = params->sq_off.array + params->sq_entries * sizeof(unsigned);
    size_t sqes_size = params->sq_entries * sizeof(struct io_uring_sqe);
    char *sq = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqes = mmap(NULL, sqes_size, PROT_READ, MAP_SHARED, fd, IORING_OFF_SQES);
    if (sq == MAP_FAILED || (void *)sqes == MAP_FAILED) perror("mmap of a ring");
    CHECK(sq != MAP_FAILED && (void *)sqes != MAP_FAILED);
    unsigned head = *(unsigned *)(sq + params->sq_off.head);
    for (unsigned i = 0; i < submit; i++)
        kernel.opcodes |= UINT64_C(1) << sqes[(head + i) & (params->sq_entries - 1)].opcode;
    munmap(sq, size);
    munmap(sqes, sqes_size);
}

static long fake_enter(const long arg[6]) {
    kernel.enters++;
    if (kernel.enter_errors) {
        kernel.enter_errors--;
        return fail(kernel.enter_error);
    }
    for (unsigned i = 0; i < RINGS_MAX && !(arg[3] & IORING_ENTER_REGISTERED_RING); i++)
        if (rings[i].used && rings[i].fd == arg[0])
            look_into_sq(&rings[i].params, rings[i].fd, (unsigned)arg[1]);
    return real_syscall(__NR_io_uring_enter, arg);
}

static long fake_register(const long arg[6]) {
    kernel.registers++;
    kernel.registered |= UINT64_C(1) << arg[1];
    if (kernel.registers_lost >> arg[1] & 1) return fail(EINVAL);
    return real_syscall(__NR_io_uring_register, arg);
}

long syscall(long number, ...) {
    long arg[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) arg[i] = va_arg(list, long);
    va_end(list);
    if (number == __NR_io_uring_setup) return fake_setup(arg);
    if (number == __NR_io_uring_enter) return fake_enter(arg);
    if (number == __NR_io_uring_register) return fake_register(arg);
    return real_syscall(number, arg);
}

int nanosleep(const struct timespec *span, struct timespec *left) {
    (void)span, (void)left;
    kernel.naps++;
    return 0;
}

/* ── cases ── */

static void check_works(struct rm_ring *ring) {
    for (uint64_t i = 0; i < 3; i++) {
        rm_push(ring, IORING_OP_NOP, -1, i);
        CHECK_EQUAL(check_next(ring).user_data, i);
    }
}

#define SINGLE IORING_SETUP_SINGLE_ISSUER
#define DEFER IORING_SETUP_DEFER_TASKRUN
#define COOP IORING_SETUP_COOP_TASKRUN
#define FLAG IORING_SETUP_TASKRUN_FLAG
#define ALL IORING_SETUP_SUBMIT_ALL
#define BASE (IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP)

/* The best that each generation of kernels can give, down to the oldest that is taken. */
static void every_kernel_gives_its_best(void) {
    static const struct {
        unsigned known, got;
    } kernels[] = {
        {BASE, BASE},
        {BASE | ALL, BASE | ALL},
        {BASE | ALL | COOP | FLAG, BASE | ALL | COOP | FLAG},
        {BASE | ALL | COOP | FLAG | SINGLE, BASE | ALL | COOP | FLAG | SINGLE},
        {BASE | ALL | COOP | FLAG | SINGLE | DEFER, BASE | ALL | FLAG | SINGLE | DEFER},
    };
    struct rm_config config = check_config(8, 32);
    struct rm_ring ring;
    for (unsigned i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        kernel.setup_known = kernels[i].known;
        check_open(&ring, &config);
        CHECK_EQUAL(ring.setup_flags, kernels[i].got);
        CHECK_EQUAL(ring.cq_entries, 32);
        check_works(&ring);
        rm_close(&ring);
    }
    kernel.setup_known = IORING_SETUP_IOPOLL; /* not even these */
    CHECK_EQUAL(rm_open(&ring, &rm_linux, &config), -EINVAL);
    CHECK(strstr(ring.why, "Invalid argument") != NULL);
}

static void too_old_a_kernel_is_refused_in_words(void) {
    static const unsigned needed[] = {IORING_FEAT_EXT_ARG, IORING_FEAT_NODROP,
                                      IORING_FEAT_SINGLE_MMAP, IORING_FEAT_FAST_POLL,
                                      IORING_FEAT_RW_CUR_POS};
    struct rm_config config = check_config(8, 32);
    struct rm_ring ring;
    int fds = check_count("fd");
    for (unsigned i = 0; i < sizeof needed / sizeof *needed; i++) {
        kernel.features_lost = needed[i];
        CHECK_EQUAL(rm_open(&ring, &rm_linux, &config), -EOPNOTSUPP);
        CHECK(strstr(ring.why, "too old") != NULL);
        CHECK_EQUAL(check_count("fd"), fds);
    }
}

static void sqpoll_without_the_privilege_is_done_without(void) {
    struct rm_config config = check_config(8, 32);
    struct rm_ring ring;
    kernel.sqpoll_forbidden = true;
    config.sqpoll = true;
    check_open(&ring, &config);
    CHECK_EQUAL(ring.setup_flags & IORING_SETUP_SQPOLL, 0);
    check_works(&ring);
    rm_close(&ring);
}

/* A mask is a promise: not even the probe gives a masked opcode to any ring. */
static void a_masked_opcode_is_never_given_to_a_ring(void) {
    static const unsigned asked[] = {IORING_OP_POLL_ADD, IORING_OP_ACCEPT, IORING_OP_RECV,
                                     IORING_OP_READ_MULTISHOT, IORING_OP_ASYNC_CANCEL};
    struct rm_config config = check_config(8, 32);
    struct rm_ring ring;
    config.masked = RM_REGISTERED_RING; /* by fd, so that the SQ can be found */
    check_open(&ring, &config);
    CHECK(kernel.opcodes != 0);
    uint64_t all = ring.opcodes;
    rm_close(&ring);
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        uint64_t bit = UINT64_C(1) << asked[i];
        if (all & bit) CHECK(kernel.opcodes & bit); /* this test can fail */
    }
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        config.masked_ops = UINT64_C(1) << asked[i];
        kernel.opcodes = 0;
        check_open(&ring, &config);
        CHECK_EQUAL(kernel.opcodes & config.masked_ops, 0);
        CHECK_EQUAL(ring.opcodes, all & ~config.masked_ops);
        rm_close(&ring);
        CHECK_EQUAL(kernel.opcodes & config.masked_ops, 0);
    }
}

static void a_masked_behaviour_takes_along_what_needs_it(void) {
    struct rm_config config = check_config(8, 32);
    struct rm_ring ring;
    config.masked = RM_BUFFER_RINGS;
    check_open(&ring, &config);
    CHECK_EQUAL(
        ring.behaviours & (RM_BUFFER_RINGS | RM_RECV_MULTISHOT | RM_READ_MULTISHOT | RM_BUNDLE), 0);
    rm_close(&ring);
    config.masked = 0;
    config.masked_ops = UINT64_C(1) << IORING_OP_SEND_ZC | UINT64_C(1) << IORING_OP_ACCEPT;
    check_open(&ring, &config);
    CHECK_EQUAL(ring.behaviours & (RM_SEND_ZC | RM_ACCEPT_MULTISHOT), 0);
    rm_close(&ring);
    config.masked = RM_REGISTERED_RING | RM_TASKRUN_FLAG | RM_DEFER_TASKRUN;
    check_open(&ring, &config);
    CHECK_EQUAL(ring.behaviours & config.masked, 0);
    CHECK_EQUAL(ring.setup_flags & (DEFER | FLAG), 0);
    CHECK_EQUAL(ring.enter_flags, 0);
    check_works(&ring);
    rm_close(&ring);
}

/* Earlier rings are waited for, but not again and again by a program that is refused for good. */
static void no_memory_is_waited_for_once(void) {
    struct rm_config config = check_config(1024, 4096);
    struct rm_ring ring;
    kernel.no_memory = true;
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(rm_open(&ring, &rm_linux, &config), -ENOMEM);
        CHECK_EQUAL(kernel.naps, 3);
    }
    kernel.no_memory = false;
    check_open(&ring, &config);
    CHECK_EQUAL(ring.sq_entries, 1024);
    rm_close(&ring);
}

/* What the kernel refuses to register is missing, and nothing else. */
static void no_buffer_rings_no_multishot_receive(void) {
    struct rm_config config = check_config(8, 32);
    struct rm_ring ring;
    kernel.registers_lost = UINT64_C(1) << IORING_REGISTER_PBUF_RING;
    check_open(&ring, &config);
    CHECK_EQUAL(
        ring.behaviours & (RM_BUFFER_RINGS | RM_RECV_MULTISHOT | RM_READ_MULTISHOT | RM_BUNDLE), 0);
    CHECK(ring.behaviours & RM_POLL_MULTISHOT);
    rm_close(&ring);
    kernel.registers_lost = UINT64_C(1) << IORING_REGISTER_BUFFERS;
    check_open(&ring, &config);
    CHECK_EQUAL(ring.behaviours & RM_FIXED_BUFFERS, 0);
    rm_close(&ring);
    kernel.registers_lost = UINT64_C(1) << IORING_REGISTER_RING_FDS;
    check_open(&ring, &config);
    CHECK_EQUAL(ring.behaviours & RM_REGISTERED_RING, 0);
    CHECK_EQUAL(ring.enter_fd, ring.fd);
    check_works(&ring);
    rm_close(&ring);
}

/* The questions are put once; a signal in their midst changes no answer; other masks ask again. */
static void answers_are_remembered(void) {
    struct rm_config config = check_config(8, 32);
    struct rm_probe probe = {.done = false};
    struct rm_ring ring;
    check_open(&ring, &config);
    uint64_t opcodes = ring.opcodes;
    uint32_t behaviours = ring.behaviours;
    rm_close(&ring);
    kernel.enter_error = EINTR;
    kernel.enter_errors = 2;
    CHECK_EQUAL(rm_open_probed(&ring, &rm_linux, &config, &probe), 0);
    CHECK(probe.done);
    CHECK_EQUAL(ring.behaviours, behaviours);
    rm_close(&ring);
    kernel.setups = kernel.enters = 0;
    CHECK_EQUAL(rm_open_probed(&ring, &rm_linux, &config, &probe), 0);
    CHECK_EQUAL(kernel.setups, 1);
    CHECK_EQUAL(kernel.enters, 0);
    CHECK_EQUAL(ring.behaviours, behaviours);
    CHECK_EQUAL(ring.opcodes, opcodes);
    rm_close(&ring);
    config.masked_ops = UINT64_C(1) << IORING_OP_ACCEPT;
    CHECK_EQUAL(rm_open_probed(&ring, &rm_linux, &config, &probe), 0);
    CHECK(kernel.enters > 0);
    CHECK(!rm_has_op(&ring, IORING_OP_ACCEPT));
    rm_close(&ring);
}

static void nothing_to_do_is_no_call(void) {
    struct rm_config config = check_config(8, 32);
    struct rm_ring ring;
    check_open(&ring, &config);
    if (ring.behaviours & RM_TASKRUN_FLAG) {
        kernel.enters = 0;
        for (int i = 0; i < 10; i++) CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
        CHECK_EQUAL(kernel.enters, 0);
        rm_push(&ring, IORING_OP_NOP, -1, 1);
        CHECK_EQUAL(rm_enter(&ring, 1, RM_FOREVER), 0);
        CHECK_EQUAL(kernel.enters, 1); /* submit and wait are one */
        CHECK_EQUAL(rm_enter(&ring, 1, RM_FOREVER), 0); /* the CQE is there */
        CHECK_EQUAL(kernel.enters, 1);
    }
    rm_close(&ring);
    config.masked_setup = FLAG; /* the kernel cannot tell: then it is asked */
    check_open(&ring, &config);
    kernel.enters = 0;
    CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
    CHECK_EQUAL(kernel.enters, 1);
    rm_close(&ring);
}

/* Pitfall 26: SQPOLL that makes the system call each time costs a core and saves nothing. */
static void sqpoll_is_called_only_when_it_sleeps(void) {
    struct rm_config config = check_config(8, 32);
    struct rm_ring ring;
    struct io_uring_cqe cqe;
    unsigned silent = 0;
    config.sqpoll = true;
    check_open(&ring, &config);
    for (int i = 0; i < 200 && ring.setup_flags & IORING_SETUP_SQPOLL; i++) {
        kernel.enters = 0;
        rm_push(&ring, IORING_OP_NOP, -1, 1);
        CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
        silent += kernel.enters == 0;
        /* It may have fallen asleep a moment before: then, and only then, one call. The flag goes
         * away when it wakes, so there is no second look. */
        CHECK(kernel.enters <= 1);
        while (rm_reap(&ring, &cqe, 1) == 0) CHECK_EQUAL(rm_enter(&ring, 1, ENOUGH_NS), 0);
    }
    if (ring.setup_flags & IORING_SETUP_SQPOLL) CHECK(silent > 0);
    rm_close(&ring);
}

/* No errno is hidden, none loses an SQE, none submits one twice. */
static void what_enter_answers_reaches_the_caller(void) {
    static const int errors[] = {EBUSY, EAGAIN, ENOMEM, EINTR, ETIME, EBADR, EOWNERDEAD};
    struct rm_config config = check_config(8, 32);
    struct rm_ring ring;
    check_open(&ring, &config);
    for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
        rm_push(&ring, IORING_OP_NOP, -1, i);
        kernel.enter_error = errors[i];
        kernel.enter_errors = 1;
        CHECK_EQUAL(rm_enter(&ring, 1, ENOUGH_NS), -errors[i]);
        CHECK_EQUAL(rm_cq_ready(&ring), 0);
        CHECK_EQUAL(ring.submitted, i);
        CHECK_EQUAL(check_next(&ring).user_data, i); /* the next enter takes it */
        CHECK_EQUAL(rm_cq_ready(&ring), 0);
    }
    rm_close(&ring);
}

/* The kernel says so by a counter when the answer to enter is a number of SQEs. */
static void a_lost_cqe_is_reported_once(void) {
    struct rm_config config = check_config(8, 32);
    struct rm_ring ring;
    check_open(&ring, &config);
    ++*((struct rm_linux_state *)ring.state)->cq_koverflow;
    rm_push(&ring, IORING_OP_NOP, -1, 1);
    CHECK_EQUAL(rm_enter(&ring, 1, RM_FOREVER), -EBADR);
    rm_push(&ring, IORING_OP_NOP, -1, 2);
    CHECK_EQUAL(rm_enter(&ring, 2, RM_FOREVER), 0);
    CHECK_EQUAL(rm_cq_ready(&ring), 2);
    rm_close(&ring);
}

/* As before 6.0, where nothing is cancelled before the ring dies: more reads than end while close
 * still waits for CQEs, so the ring's death alone tells when the last has stopped writing. */
static void close_waits_for_writers_without_a_cancel(void) {
    enum { READS = 24 };
    const size_t size = 32 << 20;
    struct rm_config config = check_config(32, 64);
    struct rm_ring ring;
    int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char *buffer = malloc(size);
    CHECK(zeros >= 0 && buffer != NULL);
    kernel.registers_lost = UINT64_C(1) << IORING_REGISTER_SYNC_CANCEL;
    for (int round = 0; round < 3; round++) {
        check_open(&ring, &config);
        memset(buffer, '+', size);
        for (unsigned i = 0; i < READS; i++) {
            struct io_uring_sqe *sqe = rm_push(&ring, IORING_OP_READ, zeros, i);
            sqe->flags = IOSQE_ASYNC;
            sqe->addr = (uint64_t)(uintptr_t)buffer;
            sqe->len = (unsigned)size;
        }
        CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
        while (*(volatile char *)buffer == '+') usleep(50); /* it has begun */
        rm_close(&ring);
        memset(buffer, '.', size);
        usleep(3000);
        CHECK(buffer[0] == '.' && memcmp(buffer, buffer + 1, size - 1) == 0);
    }
    free(buffer);
}

/* What is in flight is counted by CQEs, many of which do not end an op; and quiet rings, which are
 * most, end without a wait: no pipe, no poll, only what gives the ring back. */
static void a_quiet_ring_is_not_waited_for(void) {
    struct rm_config config = check_config(8, 8);
    struct rm_ring ring;
    char byte;
    int pair[2];
    check_open(&ring, &config);
    check_pair(pair);
    struct io_uring_sqe *sqe = rm_push(&ring, IORING_OP_POLL_ADD, pair[0], 1);
    sqe->len = IORING_POLL_ADD_MULTI;
    sqe->poll32_events = 1; /* POLLIN, here where tests run */
    for (int i = 0; i < 20; i++) { /* more than the CQ holds */
        CHECK_EQUAL(write(pair[1], "x", 1), 1);
        CHECK(check_next(&ring).flags & IORING_CQE_F_MORE);
        CHECK_EQUAL(read(pair[0], &byte, 1), 1);
    }
    const struct rm_linux_state *state = ring.state;
    CHECK_EQUAL(state->taken - state->ended, 1);
    rm_push(&ring, IORING_OP_ASYNC_CANCEL, -1, 2)->addr = 1;
    CHECK_EQUAL(rm_enter(&ring, 2, RM_FOREVER), 0);
    CHECK_EQUAL(state->taken - state->ended, 0);
    kernel.registers = kernel.enters = 0;
    unsigned undo = ring.enter_flags ? 1 : 0;
    rm_close(&ring);
    CHECK_EQUAL(kernel.registers, undo);
    CHECK_EQUAL(kernel.enters, 0);
}

/* With something to cancel it takes one cancel and the CQEs, and again no witness. */
static void what_can_be_cancelled_is_seen_to_end(void) {
    struct rm_config config = check_config(8, 8);
    struct rm_ring ring;
    char bytes[6];
    int pair[2];
    check_open(&ring, &config);
    if (ring.setup_flags & SINGLE) { /* 6.0, as is the cancel of all at once */
        check_pair(pair);
        for (unsigned i = 0; i < 6; i++) check_push_recv(&ring, pair[0], &bytes[i], 1, i);
        CHECK_EQUAL(rm_enter(&ring, 0, 0), 0);
        kernel.registered = 0;
        rm_close(&ring);
        CHECK(kernel.registered >> IORING_REGISTER_SYNC_CANCEL & 1);
        CHECK(!(kernel.registered >> IORING_REGISTER_FILES & 1));
    } else {
        rm_close(&ring);
    }
}

static const struct check_case cases[] = {
    CASE(every_kernel_gives_its_best),
    CASE(too_old_a_kernel_is_refused_in_words),
    CASE(sqpoll_without_the_privilege_is_done_without),
    CASE(a_masked_opcode_is_never_given_to_a_ring),
    CASE(a_masked_behaviour_takes_along_what_needs_it),
    CASE(no_memory_is_waited_for_once),
    CASE(no_buffer_rings_no_multishot_receive),
    CASE(answers_are_remembered),
    CASE(nothing_to_do_is_no_call),
    CASE(sqpoll_is_called_only_when_it_sleeps),
    CASE(what_enter_answers_reaches_the_caller),
    CASE(a_lost_cqe_is_reported_once),
    CASE(close_waits_for_writers_without_a_cancel),
    CASE(a_quiet_ring_is_not_waited_for),
    CASE(what_can_be_cancelled_is_seen_to_end),
};

int main(void) { return check_all(cases, sizeof cases / sizeof *cases); }
