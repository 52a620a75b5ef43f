/* The names and numbers of ring/, and a ring with masks; tests/core/test_masks.py reads the output.
 *
 *   masks                            every opcode, behaviour and setup flag, and its number
 *   masks OPS BEHAVIOURS SETUP       (hexadecimal) what a real ring has when these are masked
 */
#include "linux_check.h"

struct name {
    unsigned number;
    const char *name;
};

#define OPCODE(name) {IORING_OP_##name, #name}
#define BEHAVIOUR(name) {RM_##name, #name}
#define SETUP(name) {IORING_SETUP_##name, #name}
#define COUNT(table) (sizeof table / sizeof *table)

static const struct name opcodes[] = {
    OPCODE(NOP),
    OPCODE(READV),
    OPCODE(WRITEV),
    OPCODE(FSYNC),
    OPCODE(READ_FIXED),
    OPCODE(WRITE_FIXED),
    OPCODE(POLL_ADD),
    OPCODE(POLL_REMOVE),
    OPCODE(SYNC_FILE_RANGE),
    OPCODE(SENDMSG),
    OPCODE(RECVMSG),
    OPCODE(TIMEOUT),
    OPCODE(TIMEOUT_REMOVE),
    OPCODE(ACCEPT),
    OPCODE(ASYNC_CANCEL),
    OPCODE(LINK_TIMEOUT),
    OPCODE(CONNECT),
    OPCODE(FALLOCATE),
    OPCODE(OPENAT),
    OPCODE(CLOSE),
    OPCODE(FILES_UPDATE),
    OPCODE(STATX),
    OPCODE(READ),
    OPCODE(WRITE),
    OPCODE(FADVISE),
    OPCODE(MADVISE),
    OPCODE(SEND),
    OPCODE(RECV),
    OPCODE(OPENAT2),
    OPCODE(EPOLL_CTL),
    OPCODE(SPLICE),
    OPCODE(PROVIDE_BUFFERS),
    OPCODE(REMOVE_BUFFERS),
    OPCODE(TEE),
    OPCODE(SHUTDOWN),
    OPCODE(RENAMEAT),
    OPCODE(UNLINKAT),
    OPCODE(MKDIRAT),
    OPCODE(SYMLINKAT),
    OPCODE(LINKAT),
    OPCODE(MSG_RING),
    OPCODE(FSETXATTR),
    OPCODE(SETXATTR),
    OPCODE(FGETXATTR),
    OPCODE(GETXATTR),
    OPCODE(SOCKET),
    OPCODE(URING_CMD),
    OPCODE(SEND_ZC),
    OPCODE(SENDMSG_ZC),
    OPCODE(READ_MULTISHOT),
    OPCODE(WAITID),
    OPCODE(FUTEX_WAIT),
    OPCODE(FUTEX_WAKE),
    OPCODE(FUTEX_WAITV),
    OPCODE(FIXED_FD_INSTALL),
    OPCODE(FTRUNCATE),
    OPCODE(BIND),
    OPCODE(LISTEN),
    OPCODE(RECV_ZC),
    OPCODE(EPOLL_WAIT),
    OPCODE(READV_FIXED),
    OPCODE(WRITEV_FIXED),
    OPCODE(PIPE),
};

static const struct name behaviours[] = {
    BEHAVIOUR(ACCEPT_MULTISHOT), BEHAVIOUR(RECV_MULTISHOT), BEHAVIOUR(READ_MULTISHOT),
    BEHAVIOUR(POLL_MULTISHOT),   BEHAVIOUR(BUFFER_RINGS),   BEHAVIOUR(CQE_SKIP),
    BEHAVIOUR(CANCEL_FD),        BEHAVIOUR(TASKRUN_FLAG),   BEHAVIOUR(DEFER_TASKRUN),
    BEHAVIOUR(REGISTERED_RING),  BEHAVIOUR(SEND_ZC),        BEHAVIOUR(BUNDLE),
    BEHAVIOUR(FIXED_BUFFERS),    BEHAVIOUR(SEND_TO),        BEHAVIOUR(SEND_WHOLE),
    BEHAVIOUR(DIRECT_FILES),
};

static const struct name setup_flags[] = {
    SETUP(SQPOLL),        SETUP(CQSIZE),
    SETUP(CLAMP),         SETUP(SUBMIT_ALL),
    SETUP(COOP_TASKRUN),  SETUP(TASKRUN_FLAG),
    SETUP(SINGLE_ISSUER), SETUP(DEFER_TASKRUN),
    SETUP(NO_MMAP),       SETUP(REGISTERED_FD_ONLY),
    SETUP(NO_SQARRAY),
};

_Static_assert(RM_DIRECT_FILES == 1 << (RM_BEHAVIOURS - 1), "a behaviour has no name above");
_Static_assert(COUNT(behaviours) == RM_BEHAVIOURS, "a behaviour has no name above");

/* The tables above are written down by hand: they may lack no entry. */
static void print_names(void) {
    for (unsigned i = 0; i < COUNT(opcodes); i++) {
        CHECK_EQUAL(opcodes[i].number, i);
        printf("opcode %u %s\n", i, opcodes[i].name);
    }
    for (unsigned i = 0; i < COUNT(behaviours); i++) {
        CHECK_EQUAL(behaviours[i].number, 1U << i);
        printf("behaviour %u %s\n", behaviours[i].number, behaviours[i].name);
    }
    for (unsigned i = 0; i < COUNT(setup_flags); i++)
        printf("setup %u %s\n", setup_flags[i].number, setup_flags[i].name);
}

/* A ring with these masks works, has nothing of what is masked, and says what it has. */
static int show_ring(const char *ops, const char *masked, const char *masked_setup) {
    struct rm_config config = check_config(8, 16);
    struct rm_ring ring;
    config.masked_ops = strtoull(ops, NULL, 16);
    config.masked = (uint32_t)strtoul(masked, NULL, 16);
    config.masked_setup = (uint32_t)strtoul(masked_setup, NULL, 16);
    if (rm_open(&ring, &rm_linux, &config) < 0) {
        printf("%s\n", ring.why);
        return SKIPPED;
    }
    CHECK_EQUAL(ring.opcodes & config.masked_ops, 0);
    CHECK_EQUAL(ring.behaviours & config.masked, 0);
    CHECK_EQUAL(ring.setup_flags & config.masked_setup, 0);
    if (rm_has_op(&ring, IORING_OP_NOP)) {
        rm_push(&ring, IORING_OP_NOP, -1, 1);
        CHECK_EQUAL(check_next(&ring).user_data, 1);
    }
    printf("%llx %x %x\n", (unsigned long long)ring.opcodes, ring.behaviours, ring.setup_flags);
    rm_close(&ring);
    return 0;
}

int main(int count, char **words) {
    if (count == 4) return show_ring(words[1], words[2], words[3]);
    print_names();
    return 0;
}
