/* Regular files, names and calls that take their time, on both kernels. */
#include <fcntl.h>
#include <sys/stat.h>

#include "twin_check.h"

#define SIZE 100000

static int file_of(const char *name, size_t size) {
    static char text[SIZE];
    for (size_t i = 0; i < SIZE; i++) text[i] = (char)(i * 31 >> 4);
    int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(fd >= 0);
    CHECK_EQUAL(pwrite(fd, text, size, 0), size);
    return fd;
}

static void check_text(const char *text, size_t offset, size_t size) {
    for (size_t i = 0; i < size; i++) CHECK_EQUAL(text[i], (char)((offset + i) * 31 >> 4));
}

static void read_at_an_offset_or_where_we_are(struct rm_ring *ring) {
    static char buffer[SIZE];
    int fd = file_of("read", SIZE);
    push_buffer(ring, IORING_OP_READ, fd, buffer, 1000, 1)->off = 500;
    expect(ring, 1, 1000);
    check_text(buffer, 500, 1000);
    CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 0);
    push_buffer(ring, IORING_OP_READ, fd, buffer, 1000, 2)->off = UINT64_MAX;
    expect(ring, 2, 1000);
    check_text(buffer, 0, 1000);
    CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 1000);
    push_buffer(ring, IORING_OP_READ, fd, buffer, SIZE, 3)->off = SIZE - 10;
    expect(ring, 3, 10);
    check_text(buffer, SIZE - 10, 10);
    push_buffer(ring, IORING_OP_READ, fd, buffer, SIZE, 4)->off = SIZE;
    expect(ring, 4, 0);
    close(fd);
}

/* Not in memory: the call that must not wait answers nothing, or only a part. */
static void a_cold_file_is_read_whole(struct rm_ring *ring) {
    static char buffer[SIZE], parts[2][SIZE / 2];
    int fd = file_of("cold", SIZE);
    CHECK_EQUAL(fsync(fd), 0);
    for (int warm = 0; warm < 3; warm++) {
        CHECK_EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        if (warm) CHECK_EQUAL(pread(fd, buffer, 4096, warm == 1 ? 0 : 40960), 4096);
        memset(buffer, 0, SIZE);
        push_buffer(ring, IORING_OP_READ, fd, buffer, SIZE, 1)->off = 0;
        expect(ring, 1, SIZE);
        check_text(buffer, 0, SIZE);
        CHECK_EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        if (warm) CHECK_EQUAL(pread(fd, buffer, 4096, 0), 4096);
        struct iovec iov[2] = {{parts[0], SIZE / 2}, {parts[1], SIZE / 2}};
        CHECK_EQUAL(lseek(fd, 0, SEEK_SET), 0);
        push_buffer(ring, IORING_OP_READV, fd, iov, 2, 2)->off = UINT64_MAX;
        expect(ring, 2, SIZE);
        check_text(parts[0], 0, SIZE / 2);
        check_text(parts[1], SIZE / 2, SIZE / 2);
    }
    close(fd);
}

/* Regular files of a kind that epoll takes, and then says nothing of. */
static void proc_and_sys_files_are_read(struct rm_ring *ring) {
    static const char *const names[] = {"/proc/uptime", "/proc/self/mounts", "/proc/meminfo",
                                        "/sys/devices/system/cpu/online"};
    for (uint64_t i = 0; i < sizeof names / sizeof *names; i++) {
        char buffer[2], same[2];
        int fd = open(names[i], O_RDONLY);
        if (fd < 0) continue; /* a host without it */
        push_buffer(ring, IORING_OP_READ, fd, buffer, 2, i)->off = UINT64_MAX;
        expect(ring, i, 2);
        CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 2);
        CHECK_EQUAL(pread(fd, same, 2, 0), 2);
        CHECK_EQUAL(memcmp(buffer, same, 2), 0);
        close(fd);
    }
}

static void write_then_read_back(struct rm_ring *ring) {
    static char text[SIZE], back[SIZE];
    int fd = file_of("write", 0);
    for (size_t i = 0; i < SIZE; i++) text[i] = (char)(i * 31 >> 4);
    struct iovec iov[2] = {{text, 10}, {text + 10, SIZE - 10}};
    push_buffer(ring, IORING_OP_WRITEV, fd, iov, 2, 1)->flags = IOSQE_IO_LINK;
    push_link(ring, IORING_OP_FSYNC, fd, 2, IOSQE_IO_LINK);
    push_buffer(ring, IORING_OP_READ, fd, back, SIZE, 3);
    expect(ring, 1, SIZE);
    expect(ring, 2, 0);
    expect(ring, 3, SIZE);
    check_text(back, 0, SIZE);
    int end = open("write", O_WRONLY | O_APPEND);
    push_buffer(ring, IORING_OP_WRITE, end, "tail", 4, 4)->off = UINT64_MAX;
    expect(ring, 4, 4);
    struct stat st;
    CHECK_EQUAL(fstat(fd, &st), 0);
    CHECK_EQUAL(st.st_size, SIZE + 4);
    close(fd), close(end);
}

static void a_short_read_breaks_a_link(struct rm_ring *ring) {
    char buffer[64];
    int fd = file_of("short", 6);
    push_buffer(ring, IORING_OP_READ, fd, buffer, 64, 1)->flags = IOSQE_IO_LINK;
    rm_push(ring, IORING_OP_NOP, -1, 2);
    expect(ring, 1, 6);
    expect(ring, 2, -ECANCELED);
    push_buffer(ring, IORING_OP_READ, fd, buffer, 64, 3)->flags = IOSQE_IO_HARDLINK;
    rm_push(ring, IORING_OP_NOP, -1, 4);
    expect(ring, 3, 6);
    expect(ring, 4, 0);
    push_buffer(ring, IORING_OP_READ, fd, buffer, 6, 5)->flags = IOSQE_IO_LINK;
    rm_push(ring, IORING_OP_NOP, -1, 6);
    expect(ring, 5, 6);
    expect(ring, 6, 0);
    close(fd);
}

static void errors_are_told(struct rm_ring *ring) {
    char buffer[8];
    int fd = open("errors", O_CREAT | O_WRONLY, 0600), folder = open(".", O_RDONLY);
    push_buffer(ring, IORING_OP_READ, fd, buffer, 8, 1);
    expect(ring, 1, -EBADF);
    push_buffer(ring, IORING_OP_READ, folder, buffer, 8, 2);
    expect(ring, 2, -EISDIR);
    push_buffer(ring, IORING_OP_RECV, fd, buffer, 8, 3);
    expect(ring, 3, -ENOTSOCK);
    push_link(ring, IORING_OP_FSYNC, 1000, 4, 0);
    expect(ring, 4, -EBADF);
    int both = open("errors", O_RDWR);
    push_buffer(ring, IORING_OP_READ, both, buffer, 8, 5)->rw_flags = 1 << 30;
    expect(ring, 5, -EOPNOTSUPP);
    close(both), close(fd), close(folder);
}

static void files_fill_provided_buffers(struct rm_ring *ring) {
    static struct group group;
    int fd = file_of("group", 20);
    group_open(ring, &group, 3);
    push_select(ring, IORING_OP_READ, fd, 1)->off = 0;
    CHECK_EQUAL(expect(ring, 1, GROUP_SIZE), with_buffer(0));
    check_text(group.memory[0], 0, GROUP_SIZE);
    CHECK_EQUAL(fsync(fd), 0);
    CHECK_EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    push_select(ring, IORING_OP_READ, fd, 2)->off = GROUP_SIZE;
    CHECK_EQUAL(expect(ring, 2, 20 - GROUP_SIZE), with_buffer(1));
    check_text(group.memory[1], GROUP_SIZE, 20 - GROUP_SIZE);
    push_select(ring, IORING_OP_READ, fd, 3)->off = 20;
    CHECK_EQUAL(expect(ring, 3, 0), with_buffer(2));
    close(fd);
}

static struct io_uring_sqe *push_open(struct rm_ring *ring, const char *path, int flags,
                                      uint64_t user_data) {
    struct io_uring_sqe *sqe = push_buffer(ring, IORING_OP_OPENAT, AT_FDCWD, path, 0600, user_data);
    sqe->open_flags = (unsigned)flags;
    return sqe;
}

static void open_stat_close(struct rm_ring *ring) {
    struct statx st;
    push_open(ring, "opened", O_CREAT | O_RDWR | O_CLOEXEC, 1);
    struct check_cqe cqe = check_next(ring);
    CHECK(cqe.res >= 0);
    CHECK_EQUAL(write(cqe.res, "abc", 3), 3);
    struct io_uring_sqe *sqe =
        push_buffer(ring, IORING_OP_STATX, AT_FDCWD, "opened", STATX_BASIC_STATS, 2);
    sqe->addr2 = at(&st);
    expect(ring, 2, 0);
    CHECK_EQUAL(st.stx_size, 3);
    rm_push(ring, IORING_OP_CLOSE, cqe.res, 3);
    expect(ring, 3, 0);
    CHECK_EQUAL(fcntl(cqe.res, F_GETFD), -1);
    rm_push(ring, IORING_OP_CLOSE, cqe.res, 4);
    expect(ring, 4, -EBADF);
    push_open(ring, "absent", O_RDONLY, 5);
    expect(ring, 5, -ENOENT);
}

static void splice_between_file_pipe_and_socket(struct rm_ring *ring) {
    static char back[SIZE];
    int fd = file_of("splice", 4000), ends[2], pair[2];
    CHECK_EQUAL(pipe(ends), 0);
    check_pair(pair);
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_SPLICE, ends[1], 1);
    sqe->splice_fd_in = fd;
    sqe->splice_off_in = 100;
    sqe->off = UINT64_MAX;
    sqe->len = 1000;
    expect(ring, 1, 1000);
    sqe = rm_push(ring, IORING_OP_SPLICE, pair[0], 2);
    sqe->splice_fd_in = ends[0];
    sqe->splice_off_in = UINT64_MAX;
    sqe->off = UINT64_MAX;
    sqe->len = 1000;
    expect(ring, 2, 1000);
    CHECK_EQUAL(recv(pair[1], back, SIZE, 0), 1000);
    check_text(back, 100, 1000);
    close(fd), close(ends[0]), close(ends[1]), close(pair[0]), close(pair[1]);
}

/* io_uring leaves it to the descriptors: an O_NONBLOCK one is not waited for. */
static void splice_and_tee_do_not_wait_for_what_is_O_NONBLOCK(struct rm_ring *ring) {
    int in[2], out[2];
    CHECK_EQUAL(pipe2(in, O_NONBLOCK), 0);
    CHECK_EQUAL(pipe2(out, O_NONBLOCK), 0);
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_SPLICE, out[1], 1);
    sqe->splice_fd_in = in[0];
    sqe->splice_off_in = sqe->off = UINT64_MAX;
    sqe->len = 10;
    expect(ring, 1, -EAGAIN);
    sqe = rm_push(ring, IORING_OP_TEE, out[1], 2);
    sqe->splice_fd_in = in[0];
    sqe->len = 10;
    expect(ring, 2, -EAGAIN);
    close(in[0]), close(in[1]), close(out[0]), close(out[1]);
}

/* A child that lives until the returned fd is closed. */
static int child_make(struct rm_ring *ring, pid_t *child) {
    int ends[2];
    char go;
    CHECK_EQUAL(pipe(ends), 0);
    *child = fork();
    if (*child == 0) {
        rm_forget(ring);
        close(ends[1]);
        _exit(read(ends[0], &go, 1) == 0 ? 7 : 8);
    }
    close(ends[0]);
    return ends[1];
}

static void push_waitid(struct rm_ring *ring, pid_t child, siginfo_t *info, uint64_t user_data) {
    struct io_uring_sqe *sqe = rm_push(ring, IORING_OP_WAITID, child, user_data);
    sqe->len = P_PID;
    sqe->file_index = WEXITED;
    sqe->addr2 = at(info);
}

static void a_child_is_waited_for(struct rm_ring *ring) {
    siginfo_t info = {0};
    pid_t child;
    int life = child_make(ring, &child);
    if (!rm_has_op(ring, IORING_OP_WAITID)) { /* before 6.7 */
        push_waitid(ring, child, &info, 1);
        expect(ring, 1, -EINVAL);
        close(life);
        CHECK_EQUAL(waitpid(child, NULL, 0), child);
        return;
    }
    push_waitid(ring, child, &info, 1);
    expect_nothing(ring);
    close(life);
    expect(ring, 1, 0);
    CHECK_EQUAL(info.si_pid, child);
    CHECK_EQUAL(info.si_status, 7);
}

/* … and a file does not have to wait behind it; nor has the end of the ring. */
static void what_blocks_for_ever_is_cancelled(struct rm_ring *ring) {
    siginfo_t info = {0};
    pid_t child;
    int life = child_make(ring, &child), fd = file_of("beside", 10);
    if (rm_has_op(ring, IORING_OP_WAITID)) {
        push_waitid(ring, child, &info, 0);
        expect_nothing(ring);
        push_link(ring, IORING_OP_FSYNC, fd, 1, 0);
        expect(ring, 1, 0);
        push_cancel(ring, 0, 1);
        struct check_cqe cqes[2];
        gather(ring, 2, cqes);
        CHECK_EQUAL(cqes[0].res, -ECANCELED);
        CHECK(cqes[1].res >= 0 || cqes[1].res == -EALREADY); /* Linux counts here: 1 */
        push_waitid(ring, child, &info, 2);
        expect_nothing(ring);
    }
    close(fd);
    rm_close(ring);
    close(life);
    CHECK_EQUAL(waitpid(child, NULL, 0), child);
}

static const struct twin_case cases[] = {
    BOTH(read_at_an_offset_or_where_we_are),
    BOTH(a_cold_file_is_read_whole),
    BOTH(proc_and_sys_files_are_read),
    BOTH(write_then_read_back),
    BOTH(a_short_read_breaks_a_link),
    BOTH(errors_are_told),
    BOTH_WITH(files_fill_provided_buffers, RM_BUFFER_RINGS),
    BOTH(open_stat_close),
    BOTH(splice_between_file_pipe_and_socket),
    BOTH(splice_and_tee_do_not_wait_for_what_is_O_NONBLOCK),
    BOTH(a_child_is_waited_for),
    BOTH(what_blocks_for_ever_is_cancelled),
};

TWIN_MAIN(cases)
