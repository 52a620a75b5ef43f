/* io_uring as Linux defines it: the distribution's header, and what it does not know yet.
 *
 * Debian 12 ships the header of Linux 6.1. Everything newer that ringmill speaks is defined here,
 * in our own words, with the version that brought it. Knows numbers and layouts; has no code.
 * The newer opcodes are macros, so that a newer header's enum of the same name does no harm.
 */
#ifndef RM_UAPI_H
#define RM_UAPI_H

#include <linux/io_uring.h>

/* ── opcodes ── */
#define IORING_OP_READ_MULTISHOT 49 /* 6.7 */
#define IORING_OP_WAITID 50         /* 6.7 */
#define IORING_OP_FUTEX_WAIT 51     /* 6.7 */
#define IORING_OP_FUTEX_WAKE 52     /* 6.7 */
#define IORING_OP_FUTEX_WAITV 53    /* 6.7 */
#define IORING_OP_FIXED_FD_INSTALL 54 /* 6.8 */
#define IORING_OP_FTRUNCATE 55      /* 6.9 */
#define IORING_OP_BIND 56           /* 6.11 */
#define IORING_OP_LISTEN 57         /* 6.11 */
#define IORING_OP_RECV_ZC 58        /* 6.15 */
#define IORING_OP_EPOLL_WAIT 59     /* 6.15 */
#define IORING_OP_READV_FIXED 60    /* 6.15 */
#define IORING_OP_WRITEV_FIXED 61   /* 6.15 */
#define IORING_OP_PIPE 62           /* 6.16 */

/* ── setup flags ── */
#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP (1U << 14) /* 6.5 */
#endif
#ifndef IORING_SETUP_REGISTERED_FD_ONLY
#define IORING_SETUP_REGISTERED_FD_ONLY (1U << 15) /* 6.5 */
#endif
#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16) /* 6.6 */
#endif

/* ── features ── */
#ifndef IORING_FEAT_MIN_TIMEOUT
#define IORING_FEAT_MIN_TIMEOUT (1U << 15) /* 6.12 */
#endif
#ifndef IORING_FEAT_RECVSEND_BUNDLE
#define IORING_FEAT_RECVSEND_BUNDLE (1U << 14) /* 6.10 */
#endif

/* ── per-op flags ── */
#ifndef IORING_ACCEPT_DONTWAIT
#define IORING_ACCEPT_DONTWAIT (1U << 1) /* 6.10 */
#endif
#ifndef IORING_ACCEPT_POLL_FIRST
#define IORING_ACCEPT_POLL_FIRST (1U << 2) /* 6.10 */
#endif

/* ── commands to sockets (URING_CMD's cmd_op) ── */
#define SOCKET_URING_OP_SIOCINQ 0    /* 6.5 */
#define SOCKET_URING_OP_SIOCOUTQ 1   /* 6.5 */
#define SOCKET_URING_OP_GETSOCKOPT 2 /* 6.7; other levels than SOL_SOCKET: -EOPNOTSUPP */
#define SOCKET_URING_OP_SETSOCKOPT 3 /* 6.7 */

/* ── futex words (<linux/futex.h>) ── */
#ifndef FUTEX2_SIZE_U32
#define FUTEX2_SIZE_U32 0x02 /* 6.7 */
#endif

#endif
