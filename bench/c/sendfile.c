/* What does it cost to send a MiB of a cached file over TCP with sendfile(2) in plain C?
 *
 *     sendfile PATH SECONDS
 *
 * The floor for `splice.py`: to a child that throws everything away. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now_s(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The child's part: take, and throw away, on every core but the sender's. */
static void swallow(int sock) {
    static char room[MIB];
    cpu_set_t mine, others;
    CPU_ZERO(&others);
    if (sched_getaffinity(0, sizeof mine, &mine) == 0) {
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        for (int cpu = 0; cpu < cpus; cpu++)
            if (!CPU_ISSET(cpu, &mine)) CPU_SET(cpu, &others);
        if (CPU_COUNT(&others)) sched_setaffinity(0, sizeof others, &others);
    }
    while (recv(sock, room, sizeof room, MSG_TRUNC) > 0) continue;
    _exit(0);
}

static int connected(void) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0 || ours < 0 || bind(server, (struct sockaddr *)&name, size) || listen(server, 1)
        || getsockname(server, (struct sockaddr *)&name, &size)
        || connect(ours, (struct sockaddr *)&name, size))
        die("sendfile: the connection");
    int theirs = accept(server, NULL, NULL);
    pid_t child = theirs < 0 ? -1 : fork();
    if (child < 0) die("sendfile: the reader");
    if (child == 0) {
        close(ours);
        swallow(theirs);
    }
    close(theirs);
    close(server);
    return ours;
}

int main(int argc, char **argv) {
    double seconds = argc == 3 ? atof(argv[2]) : 0;
    struct stat status;
    int file = seconds > 0 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0 || fstat(file, &status) || status.st_size < MIB) {
        fprintf(stderr, "usage: sendfile PATH SECONDS (a file of at least 1 MiB)\n");
        return 2;
    }
    int sock = connected();
    double begin = now_s(CLOCK_MONOTONIC), end = begin;
    double cpu_begin = now_s(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t count = 0;
    while (end < begin + seconds) {
        off_t offset = (off_t)(count * MIB % ((uint64_t)status.st_size / MIB * MIB));
        for (size_t left = MIB; left;) {
            ssize_t sent = sendfile(sock, file, &offset, left);
            if (sent <= 0) die("sendfile");
            left -= (size_t)sent;
        }
        count++;
        end = now_s(CLOCK_MONOTONIC);
    }
    double cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin, n = (double)count;
    close(sock);
    wait(NULL);
    printf("{\"count\": %llu, \"total\": %llu, \"ns\": %.2f, \"cpu_ns\": %.2f}\n",
           (unsigned long long)count, (unsigned long long)count, (end - begin) * 1e9 / n,
           cpu * 1e9 / n);
    return 0;
}
