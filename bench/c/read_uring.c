/* How many 4 KiB reads of a cached file does one core make in plain C, with DEPTH in flight?
 *
 *     read_uring PATH DEPTH SECONDS
 *
 * The floor for `op.py`: the same random offsets, one buffer per slot, each completion pushes the
 * next read. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "uring.h"

#define READ_SIZE 4096u
#define DEPTH_MAX 1024
#define LOOK_MASK 0xff /* the clock is read once per so many turns */

static struct ring ring;
static char *buffers;
static uint64_t blocks, seed = 88172645463325252ULL;
static int file;

static double now_s(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t random_block(void) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed % blocks;
}

static void push_read(unsigned slot) {
    struct io_uring_sqe *sqe = ring_push(&ring);
    sqe->opcode = IORING_OP_READ;
    sqe->fd = file;
    sqe->addr = (uint64_t)(uintptr_t)(buffers + (size_t)slot * READ_SIZE);
    sqe->len = READ_SIZE;
    sqe->off = random_block() * READ_SIZE;
    sqe->user_data = slot;
}

static uint64_t reap(void) {
    unsigned head, tail = ring_ready(&ring, &head), n = tail - head;
    for (; head != tail; head++) {
        struct io_uring_cqe *cqe = ring_at(&ring, head);
        if (cqe->res != (int)READ_SIZE) {
            fprintf(stderr, "read_uring: a read answered %d\n", cqe->res);
            exit(1);
        }
        push_read((unsigned)cqe->user_data);
    }
    ring_reaped(&ring, head);
    return n;
}

int main(int argc, char **argv) {
    unsigned depth = argc == 4 ? (unsigned)atoi(argv[2]) : 0;
    double seconds = argc == 4 ? atof(argv[3]) : 0;
    if (depth < 1 || depth > DEPTH_MAX || seconds <= 0) {
        fprintf(stderr, "usage: read_uring PATH DEPTH SECONDS\n");
        return 2;
    }
    struct stat status;
    file = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status)) ring_die(argv[1]);
    blocks = (uint64_t)status.st_size / READ_SIZE;
    buffers = blocks ? aligned_alloc(READ_SIZE, (size_t)depth * READ_SIZE) : NULL;
    if (!buffers) ring_die("read_uring: an empty file, or no memory");
    ring_open(&ring, depth, depth * 2);
    for (unsigned slot = 0; slot < depth; slot++) push_read(slot);
    double begin = now_s(CLOCK_MONOTONIC), end = begin;
    double cpu_begin = now_s(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t count = 0;
    for (unsigned turn = 0; (turn & LOOK_MASK) || (end = now_s(CLOCK_MONOTONIC)) < begin + seconds;
         turn++) {
        ring_enter(&ring, 1);
        count += reap();
    }
    double cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin, n = (double)count;
    printf("{\"count\": %llu, \"total\": %llu, \"ns\": %.2f, \"cpu_ns\": %.2f, "
           "\"ring_flags\": \"0x%x\"}\n",
           (unsigned long long)count, (unsigned long long)count, (end - begin) * 1e9 / n,
           cpu * 1e9 / n, ring.setup_flags);
    return 0;
}
