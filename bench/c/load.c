/* How many requests does an echo server answer, how late, and for how much of its CPU?
 *
 *     load [-u] [-w WARM] [-p PID] [-r REQUESTS] PORT|PATH CONNECTIONS SIZE SECONDS
 *
 * A closed loop: each connection sends SIZE bytes, waits for all of them to come back, and sends
 * again. Every byte that returns is compared with the one that was sent: a server that is fast and
 * wrong is reported as wrong. Prints one line of JSON; every failure is one sentence on stderr and
 * status 1. Ends by itself: after SECONDS (after WARM seconds that are not measured), or after
 * REQUESTS (then there is no warm-up), or when the server makes no progress for STALL_S.
 *
 * -u: by UDP. A request is one datagram; one that is not answered within RESEND_MS is sent again,
 * and counted as lost. What comes late, or wrong, is no answer.
 *
 * Knows: sockets and /proc. Must not know: which server it is that answers.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>

#include "address.h"

#define NS 1000000000LL
#define CONNECT_S 15 /* a Python server with many tasks needs seconds to start */
#define STALL_S 10 /* longer than any pause of a sound server, under strace too */
#define RESEND_MS 200 /* -u: far longer than an answer on the loopback takes */
#define TICK_MS 100 /* how often a silent load looks at the clock and the server */
#define EVENTS_MAX 1024 /* one wait may answer for all connections of a benchmark */
#define RECEIVE_SIZE (256u * 1024u) /* one call per reply, and room to notice a reply too long */
#define SHIFT_MAX 4096u /* messages start at this many places of the pattern */
#define CONNECTIONS_MAX 60000 /* fewer than the loopback has ports */
#define SIZE_MAX_ (64u << 20) /* a typing error, not a message */

/* Latencies are counted, not kept: SUB steps per power of two keep the error below 1.6 %. */
#define SUB_BITS 6
#define SUB (1u << SUB_BITS)
#define OCTAVES 40 /* 2^40 ns are 18 minutes */

struct connection {
    int fd;
    bool blocked; /* waits for room to send */
    unsigned id; /* which connection this is, for patterns and for sentences */
    unsigned requests; /* begun so far */
    size_t sent, received; /* of the message under way */
    const char *message; /* what it consists of */
    long long begun_ns, sent_ns;
};

static struct {
    const char *address;
    unsigned connections;
    size_t size;
    double seconds, warm;
    int pid;
    uint64_t requests_max;
    bool datagrams;
} ask = {.warm = 0.3};

static struct {
    int epoll;
    struct connection *all;
    char *pattern, *received;
    uint64_t done, open; /* requests answered; requests not answered yet */
    uint64_t lost; /* -u: sent again */
    uint64_t answered; /* within the measured time */
    uint64_t counted; /* those, and the ones that were open at its end: the latest of all */
    uint64_t histogram[OCTAVES * SUB];
    bool measuring, ending;
    long long begin_ns, end_ns, max_ns;
    long long server_begin_ns, server_end_ns, own_begin_ns, own_end_ns;
} run;

static long long now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * NS + t.tv_nsec;
}

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* ── the server, seen from outside ─────────────────────────────────────────────────────────── */

/* CPU time of the server over all its threads: a pool or the kernel's own workers count too. */
static long long server_cpu_ns(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", ask.pid);
    DIR *tasks = ask.pid ? opendir(path) : NULL;
    if (!tasks) return 0;
    long long total = 0, ns;
    for (struct dirent *entry; (entry = readdir(tasks));) {
        char file[384];
        snprintf(file, sizeof file, "%s/%s/schedstat", path, entry->d_name);
        FILE *f = entry->d_name[0] == '.' ? NULL : fopen(file, "r");
        if (!f) continue; /* a thread that ended just now */
        if (fscanf(f, "%lld", &ns) == 1) total += ns;
        fclose(f);
    }
    closedir(tasks);
    return total;
}

/* A zombie still has a pid; its state is Z. */
static bool server_gone(void) {
    char path[64], text[512], state = 'X';
    if (!ask.pid) return false;
    snprintf(path, sizeof path, "/proc/%d/stat", ask.pid);
    FILE *f = fopen(path, "r");
    if (!f) return true;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *name_end = strrchr(text, ')');
    if (name_end) sscanf(name_end + 1, " %c", &state);
    return state == 'Z' || state == 'X';
}

/* ── one connection ────────────────────────────────────────────────────────────────────────── */

static void lost(const struct connection *c, const char *what) {
    die("connection %u: %s, in request %u, with %zu of %zu bytes back%s", c->id, what, c->requests,
        c->received, ask.size, server_gone() ? "; the server is dead" : "");
}

static void watch(struct connection *c, bool blocked) {
    if (c->blocked == blocked) return;
    struct epoll_event event = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(run.epoll, EPOLL_CTL_MOD, c->fd, &event)) fail("load: epoll_ctl");
    c->blocked = blocked;
}

static void send_more(struct connection *c) {
    while (c->sent < ask.size) {
        ssize_t n = send(c->fd, c->message + c->sent, ask.size - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == ECONNREFUSED && ask.datagrams) continue; /* about an earlier one */
            if (errno != EAGAIN) lost(c, strerror(errno));
            break;
        }
        c->sent += (size_t)n;
    }
    watch(c, c->sent < ask.size);
}

/* Which bytes: others for each connection and each request, so that neither an old message nor
 * another connection's can pass for the right one. */
static void begin_request(struct connection *c) {
    c->requests++;
    c->message = run.pattern + (c->id * 1021u + c->requests * 67u) % SHIFT_MAX;
    c->sent = c->received = 0;
    c->begun_ns = c->sent_ns = now_ns(CLOCK_MONOTONIC);
    run.open++;
    send_more(c);
}

static void count_latency(long long ns) {
    uint64_t v = ns < 1 ? 1 : (uint64_t)ns;
    unsigned octave = 63u - (unsigned)__builtin_clzll(v), index = (unsigned)v;
    if (octave >= SUB_BITS)
        index =
            ((octave - SUB_BITS + 1) << SUB_BITS) + (unsigned)((v >> (octave - SUB_BITS)) - SUB);
    if (index >= OCTAVES * SUB) index = OCTAVES * SUB - 1;
    run.histogram[index]++;
    run.counted++;
    if (ns > run.max_ns) run.max_ns = ns;
}

static double percentile_us(double part) {
    uint64_t rank = (uint64_t)(part * (double)run.counted), seen = 0;
    for (unsigned i = 0; i < OCTAVES * SUB; i++) {
        seen += run.histogram[i];
        if (seen > rank) {
            unsigned octave = i >> SUB_BITS;
            double low = octave ? (double)((uint64_t)((i & (SUB - 1)) + SUB) << (octave - 1)) : i;
            double width = octave ? (double)(1ULL << (octave - 1)) : 1;
            return (low + width / 2) / 1e3;
        }
    }
    return (double)run.max_ns / 1e3;
}

static void end_request(struct connection *c) {
    run.done++;
    run.open--;
    if (run.measuring) run.answered++;
    if (run.measuring || run.ending) count_latency(now_ns(CLOCK_MONOTONIC) - c->begun_ns);
    if (ask.requests_max && run.done + run.open >= ask.requests_max) run.ending = true;
    if (!run.ending) begin_request(c);
}

static void receive_datagram(struct connection *c) {
    ssize_t n = recv(c->fd, run.received, RECEIVE_SIZE, 0);
    if (n < 0 && errno != EAGAIN && errno != ECONNREFUSED) lost(c, strerror(errno));
    if (n != (ssize_t)ask.size || memcmp(run.received, c->message, ask.size)) return;
    c->received = ask.size;
    end_request(c);
}

/* Whoever has waited for long asks again. */
static void ask_again(long long now) {
    for (unsigned i = 0; i < ask.connections; i++) {
        struct connection *c = &run.all[i];
        if (c->received == ask.size || now < c->sent_ns + RESEND_MS * (NS / 1000)) continue;
        run.lost += run.measuring;
        c->sent_ns = now;
        c->sent = 0;
        send_more(c);
    }
}

static void receive(struct connection *c) {
    ssize_t n = recv(c->fd, run.received, RECEIVE_SIZE, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) lost(c, strerror(errno));
    if (n == 0) lost(c, "closed by the server");
    if (c->received + (size_t)n > c->sent) lost(c, "more bytes came back than were sent");
    if (memcmp(run.received, c->message + c->received, (size_t)n))
        lost(c, "other bytes came back than were sent");
    c->received += (size_t)n;
    if (c->received == ask.size) end_request(c);
}

/* ── the run ───────────────────────────────────────────────────────────────────────────────── */

/* A datagram reaches nobody, or somebody: ask until an answer tells. It is of another size than a
 * request, so that a second answer is not taken for one. */
static void wait_for_server(const struct connection *c, long long deadline_ns) {
    const char *question = "??";
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    for (;;) {
        ssize_t n = send(c->fd, question, ask.size == 1 ? 2 : 1, 0);
        if (n > 0 && poll(&p, 1, 20) == 1 && recv(c->fd, run.received, RECEIVE_SIZE, 0) > 0) return;
        if (server_gone()) die("the server died before it answered");
        if (now_ns(CLOCK_MONOTONIC) > deadline_ns)
            die("nobody answers at %s after %d s", ask.address, CONNECT_S);
        usleep(5000);
    }
}

/* The server may still be starting: refused or not there yet means: a little later again. */
static void connect_one(struct connection *c, long long deadline_ns) {
    struct address a = address_of(ask.address);
    for (;;) {
        c->fd = socket(a.family, (ask.datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
        if (c->fd < 0) fail("load: socket");
        if (!connect(c->fd, &a.name.any, a.size)) break;
        int error = errno;
        close(c->fd);
        if (error != ECONNREFUSED && error != ENOENT && error != EINTR)
            die("connection %u: connect: %s", c->id, strerror(error));
        if (server_gone()) die("the server died before it listened");
        if (now_ns(CLOCK_MONOTONIC) > deadline_ns)
            die("nobody listens at %s after %d s", ask.address, CONNECT_S);
        usleep(5000);
    }
    if (ask.datagrams)
        wait_for_server(c, deadline_ns);
    else
        send_at_once(c->fd);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int nonblocking = 1;
    if (ioctl(c->fd, FIONBIO, &nonblocking) || epoll_ctl(run.epoll, EPOLL_CTL_ADD, c->fd, &event))
        fail("load: epoll_ctl");
}

static void prepare(void) {
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.all = calloc(ask.connections, sizeof *run.all);
    run.pattern = malloc(ask.size + SHIFT_MAX);
    run.received = malloc(RECEIVE_SIZE);
    if (run.epoll < 0 || !run.all || !run.pattern || !run.received) fail("load");
    uint64_t x = 88172645463325252ULL; /* xorshift64: any fixed seed without a short period */
    for (size_t i = 0; i < ask.size + SHIFT_MAX; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        run.pattern[i] = (char)(x >> 32);
    }
    long long deadline_ns = now_ns(CLOCK_MONOTONIC) + CONNECT_S * NS;
    for (unsigned i = 0; i < ask.connections; i++) {
        run.all[i].id = i;
        connect_one(&run.all[i], deadline_ns);
    }
}

static void begin_measuring(long long now) {
    run.measuring = true;
    run.server_begin_ns = server_cpu_ns();
    run.own_begin_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    run.begin_ns = now;
}

static void end_measuring(long long now) {
    run.measuring = false;
    run.server_end_ns = server_cpu_ns();
    run.own_end_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    run.end_ns = now;
}

static void look_at_clock(long long start_ns) {
    long long now = now_ns(CLOCK_MONOTONIC);
    if (run.ending) return;
    if (!run.measuring && now >= start_ns + (long long)(ask.warm * 1e9))
        begin_measuring(now);
    else if (run.measuring && now >= run.begin_ns + (long long)(ask.seconds * 1e9))
        run.ending = true;
}

/* The last requests are waited for, not cut off: a server should see ends, not resets. */
static void load(void) {
    static struct epoll_event events[EVENTS_MAX];
    long long start_ns = now_ns(CLOCK_MONOTONIC), progress_ns = start_ns, asked_ns = start_ns;
    if (ask.requests_max) begin_measuring(start_ns);
    for (unsigned i = 0; i < ask.connections; i++) begin_request(&run.all[i]);
    while (run.open) {
        int n = epoll_wait(run.epoll, events, EVENTS_MAX, TICK_MS);
        long long now = now_ns(CLOCK_MONOTONIC);
        if (ask.datagrams && now > asked_ns + TICK_MS * (NS / 1000)) ask_again(asked_ns = now);
        if (n > 0)
            progress_ns = now;
        else if (server_gone())
            die("the server died with %llu requests open", (unsigned long long)run.open);
        else if (now > progress_ns + STALL_S * NS)
            die("no reply for %d s with %llu requests open", STALL_S, (unsigned long long)run.open);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) send_more(c);
            if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
            if (ask.datagrams)
                receive_datagram(c);
            else
                receive(c);
        }
        if (!ask.requests_max) look_at_clock(start_ns);
        if (run.ending && run.measuring && !ask.requests_max)
            end_measuring(now_ns(CLOCK_MONOTONIC));
    }
    if (run.measuring) end_measuring(now_ns(CLOCK_MONOTONIC));
    for (unsigned i = 0; i < ask.connections; i++) close(run.all[i].fd);
}

static void report(void) {
    double seconds = (double)(run.end_ns - run.begin_ns) / 1e9, n = (double)run.answered;
    printf("{\"connections\": %u, \"size\": %zu, \"seconds\": %.3f, \"requests\": %llu, "
           "\"rps\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, "
           "\"max_us\": %.2f, \"load_cpu\": %.3f",
           ask.connections, ask.size, seconds, (unsigned long long)run.answered, n / seconds,
           percentile_us(.5), percentile_us(.99), percentile_us(.999), (double)run.max_ns / 1e3,
           (double)(run.own_end_ns - run.own_begin_ns) / 1e9 / seconds);
    double server_s = (double)(run.server_end_ns - run.server_begin_ns) / 1e9;
    if (ask.pid) printf(", \"server_cpu\": %.3f", server_s / seconds);
    if (ask.pid && run.answered) printf(", \"server_cpu_us\": %.4f", server_s * 1e6 / n);
    if (ask.datagrams) printf(", \"lost\": %llu", (unsigned long long)run.lost);
    printf("}\n");
}

static void usage(void) {
    fprintf(stderr, "usage: load [-u] [-w WARM] [-p PID] [-r REQUESTS] "
                    "PORT|PATH CONNECTIONS SIZE SECONDS\n");
    exit(2);
}

int main(int argc, char **argv) {
    for (int option; (option = getopt(argc, argv, "uw:p:r:")) != -1;) {
        switch (option) {
        case 'u': ask.datagrams = true; break;
        case 'w': ask.warm = atof(optarg); break;
        case 'p': ask.pid = atoi(optarg); break;
        case 'r': ask.requests_max = strtoull(optarg, NULL, 10); break;
        default: usage();
        }
    }
    if (argc - optind != 4) usage();
    ask.address = argv[optind];
    ask.connections = (unsigned)atoi(argv[optind + 1]);
    ask.size = strtoul(argv[optind + 2], NULL, 10);
    ask.seconds = atof(argv[optind + 3]);
    if (ask.connections < 1 || ask.connections > CONNECTIONS_MAX || ask.size < 1
        || ask.size > SIZE_MAX_ || ask.seconds <= 0)
        usage();
    raise_fd_limit();
    prepare();
    load();
    report();
    return 0;
}
