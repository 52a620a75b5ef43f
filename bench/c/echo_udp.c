/* How fast can one core echo datagrams at all? The floor of every UDP server.
 *
 *     echo_udp PORT
 *
 * One thread that sleeps in recvfrom: two calls per datagram, and nothing else. No readiness, no
 * queue, no second look: a runtime that batches its calls can be faster than this.
 */
#include "address.h"

int main(int argc, char **argv) {
    static char buffer[65536]; /* any datagram */
    if (argc != 2) {
        fprintf(stderr, "usage: echo_udp PORT\n");
        return 2;
    }
    struct address a = address_of(argv[1]), from;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, &a.name.any, a.size)) fail(argv[1]);
    for (;;) {
        from.size = sizeof from.name;
        ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, &from.name.any, &from.size);
        if (n >= 0) sendto(fd, buffer, (size_t)n, 0, &from.name.any, from.size);
    }
}
