/* The system calls behind the rows of soft_rows.c that take names: openat, statx, attributes.
 *
 * Knows: where these differ from what io_uring does. Has no state.
 */
#include "soft_calls.h"

#include <sys/xattr.h>

/* Linux tries OPENAT without blocking first, and so a FIFO never waits for its other end; the flag
 * itself is not left on the file. */
static int opened(int fd, uint64_t flags) {
    if (fd >= 0 && !(flags & (O_NONBLOCK | O_PATH))) {
        int status = fcntl(fd, F_GETFL);
        if (status >= 0) fcntl(fd, F_SETFL, status & ~O_NONBLOCK);
    }
    return fd;
}

/* Where not blocking is refused (a lease is held), block. */
int rm_do_openat(int dfd, const char *path, int flags, unsigned mode) {
    int fd = rm_result(openat(dfd, path, flags | O_NONBLOCK, mode));
    if (fd == -EAGAIN) return rm_result(openat(dfd, path, flags, mode));
    return opened(fd, (unsigned)flags);
}

static int openat2(int dfd, const char *path, const struct open_how *how) {
    return rm_result(syscall(SYS_openat2, dfd, path, how, sizeof *how));
}

int rm_do_openat2(int dfd, const char *path, const struct open_how *how) {
    struct open_how now = *how;
    if (!(how->flags & O_PATH)) now.flags |= O_NONBLOCK; /* openat2 refuses what makes no sense */
    int fd = openat2(dfd, path, &now);
    if (fd == -EAGAIN && !(how->resolve & RESOLVE_CACHED)) return openat2(dfd, path, how);
    return opened(fd, how->flags);
}

int rm_do_statx(int dfd, const char *path, int flags, unsigned mask, struct statx *st) {
    return rm_result(statx(dfd, path, flags, mask, st));
}

int rm_do_getxattr(int fd, const char *path, const char *name, void *value, size_t size,
                   int flags) {
    if (!path) return rm_result(fgetxattr(fd, name, value, size));
    if (flags & AT_SYMLINK_NOFOLLOW) return rm_result(lgetxattr(path, name, value, size));
    return rm_result(getxattr(path, name, value, size));
}

int rm_do_setxattr(int fd, const char *path, const char *name, const void *value, size_t size,
                   int flags) {
    int how = flags & ~AT_SYMLINK_NOFOLLOW;
    if (!path) return rm_result(fsetxattr(fd, name, value, size, how));
    if (flags & AT_SYMLINK_NOFOLLOW) return rm_result(lsetxattr(path, name, value, size, how));
    return rm_result(setxattr(path, name, value, size, how));
}
