/* What an op points to besides the caller's buffers: addresses, message headers, stat results.
 *
 * One block serves every op that needs any, so that one freelist per machine serves them all.
 * Knows C structs; does not know who reads them.
 */
#ifndef RM_AUX_H
#define RM_AUX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

struct rm_net {
    struct sockaddr_storage address;
    socklen_t address_len;
    struct msghdr msg;
    struct iovec one; /* a message of one piece needs no array */
};

struct rm_aux {
    struct rm_aux *next; /* on the freelist */
    union {
        struct rm_net net;
        struct statx stx;
        siginfo_t info;
        struct open_how how;
        int pipe[2];
        int number; /* a socket option */
    };
};

#endif
