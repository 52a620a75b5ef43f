/* Registered files: a table of descriptors that only SQEs can name (direct descriptors).
 *
 * An op of a chain names its file before it is open, so a place is looked up when the op starts,
 * not when it is submitted (in Linux since 5.17: IORING_FEAT_LINKED_FILE). Here a place holds an
 * ordinary descriptor, which the program never learns of.
 */
#include "soft.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FILES_MAX 32768 /* as in Linux, IORING_MAX_FIXED_FILES being 2^15 when this came */

/* A table of empty places (-1); Linux takes descriptors here, too, which nobody needs. */
int soft_fixed_register(struct soft *s, const int *fds, unsigned n) {
    if (s->fixed) return -EBUSY;
    if (n == 0) return -EINVAL;
    if (n > FILES_MAX) return -EMFILE;
    for (unsigned i = 0; i < n; i++)
        if (fds[i] != -1) return -EBADF;
    s->fixed = malloc(n * sizeof *s->fixed);
    if (!s->fixed) return -ENOMEM;
    memcpy(s->fixed, fds, n * sizeof *s->fixed);
    s->fixed_size = n;
    return 0;
}

void soft_fixed_free(struct soft *s) {
    for (unsigned i = 0; i < s->fixed_size; i++)
        if (s->fixed[i] >= 0) close(s->fixed[i]);
    free(s->fixed);
    s->fixed = NULL;
    s->fixed_size = 0;
}

int soft_fixed_unregister(struct soft *s) {
    if (!s->fixed) return -ENXIO;
    soft_fixed_free(s);
    return 0;
}

/* Ops that open into a place, or close one, when file_index says which (counted from 1). */
static bool names_place(const struct io_uring_sqe *sqe) {
    switch (sqe->opcode) {
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2:
    case IORING_OP_SOCKET:
    case IORING_OP_CLOSE: return sqe->file_index != 0;
    default: return false;
    }
}

int soft_fixed_prep(const struct soft *s, const struct io_uring_sqe *sqe) {
    if (sqe->opcode == IORING_OP_PIPE && sqe->file_index) return -ENXIO; /* two places at once */
    if (!names_place(sqe)) return 0;
    if (!s->fixed) return -ENXIO;
    switch (sqe->opcode) {
    case IORING_OP_OPENAT: return sqe->open_flags & O_CLOEXEC ? -EINVAL : 0;
    case IORING_OP_CLOSE: return sqe->fd ? -EINVAL : 0;
    default: return 0;
    }
}

/* Splice has a second file, with a flag of its own. */
static int resolve_source(const struct soft *s, struct io_uring_sqe *sqe) {
    if (sqe->opcode != IORING_OP_SPLICE && sqe->opcode != IORING_OP_TEE) return 0;
    if (!(sqe->splice_flags & SPLICE_F_FD_IN_FIXED)) return 0;
    unsigned place = (unsigned)sqe->splice_fd_in;
    if (place >= s->fixed_size || s->fixed[place] < 0) return -EBADF;
    sqe->splice_fd_in = s->fixed[place];
    sqe->splice_flags &= ~SPLICE_F_FD_IN_FIXED;
    return 0;
}

/* The op starts: put the real descriptor where its row looks for one. */
int soft_fixed_resolve(struct soft *s, struct soft_req *r) {
    bool closes = r->sqe.opcode == IORING_OP_CLOSE && r->sqe.file_index;
    unsigned place = closes ? r->sqe.file_index - 1 : (unsigned)r->sqe.fd;
    if (!closes && !(r->sqe.flags & IOSQE_FIXED_FILE)) return resolve_source(s, &r->sqe);
    if (r->sqe.opcode == IORING_OP_NOP) return 0;
    if (place >= s->fixed_size || s->fixed[place] < 0) return -EBADF;
    r->sqe.fd = s->fixed[place];
    r->sqe.flags &= (uint8_t)~IOSQE_FIXED_FILE;
    if (closes) s->fixed[place] = -1;
    return resolve_source(s, &r->sqe);
}

/* The op ends with `res`: a new descriptor goes into its place; what the program is told. */
int soft_fixed_install(struct soft *s, const struct soft_req *r, int res) {
    if (res < 0 || r->sqe.opcode == IORING_OP_CLOSE || !names_place(&r->sqe)) return res;
    unsigned place = r->sqe.file_index - 1;
    if (place >= s->fixed_size) {
        close(res);
        return -EINVAL;
    }
    if (s->fixed[place] >= 0) close(s->fixed[place]);
    s->fixed[place] = res;
    fcntl(res, F_SETFD, FD_CLOEXEC); /* direct descriptors are never inherited */
    return 0;
}
