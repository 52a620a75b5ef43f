/* Where a benchmark meets its peer: "4711" is a TCP port on the loopback, "/tmp/x" a Unix socket.
 *
 * Knows: sockets. Must not know: what is sent over them, nor how one waits for it.
 */
#ifndef BENCH_ADDRESS_H
#define BENCH_ADDRESS_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel's own ceiling (somaxconn); every peer asks for the same */

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in tcp;
        struct sockaddr_un path;
    } name;
    socklen_t size;
    int family;
};

static inline void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline struct address address_of(const char *text) {
    struct address a = {.family = AF_INET, .size = sizeof(struct sockaddr_in)};
    if (strchr(text, '/')) {
        a.family = AF_UNIX;
        a.size = sizeof(struct sockaddr_un);
        a.name.path.sun_family = AF_UNIX;
        if (strlen(text) >= sizeof a.name.path.sun_path) {
            fprintf(stderr, "%s: too long for a Unix socket\n", text);
            exit(2);
        }
        strcpy(a.name.path.sun_path, text);
        return a;
    }
    char *end;
    long port = strtol(text, &end, 10);
    if (*end || port < 1 || port > 65535) {
        fprintf(stderr, "%s: neither a TCP port nor a path with a slash in it\n", text);
        exit(2);
    }
    a.name.tcp.sin_family = AF_INET;
    a.name.tcp.sin_port = htons((unsigned short)port);
    a.name.tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

/* Small messages must not wait for each other's acknowledgement; on Unix sockets a no-op. */
static inline void send_at_once(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline int listen_at(const char *text, int type_flags) {
    struct address a = address_of(text);
    int one = 1, fd = socket(a.family, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);
    if (fd < 0) fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a.family == AF_UNIX) unlink(text);
    if (bind(fd, &a.name.any, a.size) || listen(fd, BACKLOG)) fail(text);
    return fd;
}

/* A thousand connections do not fit into the usual soft limit of 1024 fds. */
static inline void raise_fd_limit(void) {
    struct rlimit limit;
    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

#endif
