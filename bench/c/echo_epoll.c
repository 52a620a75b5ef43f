/* How fast can one core echo at all, with readiness? The floor of every epoll runtime.
 *
 *     echo_epoll PORT|PATH
 *
 * One thread, level-triggered epoll, one hot buffer: a message is read and written back before the
 * next one is looked at, which is as little work as readiness allows (two calls per message).
 */
#define _GNU_SOURCE
#include <sys/epoll.h>

#include "address.h"

#define FDS_MAX 65536              /* connections are found by fd */
#define EVENTS_MAX 1024            /* one wait may answer for all connections of a benchmark */
#define BUFFER_SIZE (256u * 1024u) /* what uvloop reads at once; covers every message we send */

/* What could not be written yet. While there is some, nothing more is read from its peer. */
struct rest {
    char *data;
    size_t offset, size;
};

static struct rest rests[FDS_MAX];
static char buffer[BUFFER_SIZE];

static void watch(int epoll, int how, int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, how, fd, &event)) fail("epoll_ctl");
}

static void drop(int fd) {
    free(rests[fd].data);
    rests[fd] = (struct rest){0};
    close(fd);
}

static void accept_all(int epoll, int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= FDS_MAX) {
            close(fd);
            continue;
        }
        send_at_once(fd);
        watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) fail("accept");
}

static void write_rest(int epoll, int fd) {
    struct rest *rest = &rests[fd];
    ssize_t n = send(fd, rest->data + rest->offset, rest->size - rest->offset, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN) drop(fd);
        return;
    }
    rest->offset += (size_t)n;
    if (rest->offset == rest->size) {
        free(rest->data);
        *rest = (struct rest){0};
        watch(epoll, EPOLL_CTL_MOD, fd, EPOLLIN);
    }
}

static void echo(int epoll, int fd) {
    ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN) drop(fd);
        return;
    }
    ssize_t sent = send(fd, buffer, (size_t)size, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) {
            drop(fd);
            return;
        }
        sent = 0;
    }
    if (sent == size) return;
    struct rest *rest = &rests[fd];
    rest->offset = 0;
    rest->size = (size_t)(size - sent);
    rest->data = malloc(rest->size);
    if (!rest->data) fail("malloc");
    memcpy(rest->data, buffer + sent, rest->size);
    watch(epoll, EPOLL_CTL_MOD, fd, EPOLLOUT);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: echo_epoll PORT|PATH\n");
        return 2;
    }
    raise_fd_limit();
    int listener = listen_at(argv[1], SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) fail("epoll_create1");
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
    static struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        if (n < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_all(epoll, listener);
            else if (rests[fd].data)
                write_rest(epoll, fd);
            else
                echo(epoll, fd);
        }
    }
}
