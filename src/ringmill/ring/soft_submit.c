/* SQEs in: copy, refuse what Linux refuses, bind chains, start them.
 *
 * Knows: the flags of an SQE. Must not know: how an op is executed. What is refused here is
 * refused before anything of its chain has run; a bad fd is found later, when its op runs.
 */
#include "soft.h"

#include <sys/socket.h>
#include <sys/uio.h>

/* DRAIN is not here: it would need a second queue in front of everything, for a flag that the
 * machine never sets. It answers -EINVAL.
 * ASYNC asks for another thread, which is ours to decide: ignored. */
#define FLAGS_KNOWN                                                                                \
    (IOSQE_FIXED_FILE | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC | IOSQE_BUFFER_SELECT      \
     | IOSQE_CQE_SKIP_SUCCESS)
#define LINKS (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)
#define RECV_KNOWN (IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT)
#define ACCEPT_KNOWN (IORING_ACCEPT_MULTISHOT | IORING_ACCEPT_DONTWAIT | IORING_ACCEPT_POLL_FIRST)

struct chain {
    struct soft_req *head, *last;
    bool bad;
};

static int prep_multi(const struct soft *s, struct soft_req *r, uint32_t behaviour) {
    if (!(s->ring->behaviours & behaviour)) return -EINVAL;
    r->bits |= SOFT_MULTI;
    return 0;
}

static int prep_recv(const struct soft *s, struct soft_req *r) {
    const struct io_uring_sqe *sqe = &r->sqe;
    if (sqe->ioprio & ~RECV_KNOWN) return -EINVAL;
    if (sqe->msg_flags & MSG_DONTWAIT) r->bits |= SOFT_DONTWAIT;
    bool message = sqe->opcode == IORING_OP_RECVMSG;
    if (!(sqe->ioprio & IORING_RECV_MULTISHOT))
        return message && (sqe->flags & IOSQE_BUFFER_SELECT) ? -EOPNOTSUPP : 0;
    if ((sqe->opcode != IORING_OP_RECV && !message) || !(sqe->flags & IOSQE_BUFFER_SELECT)
        || (sqe->msg_flags & MSG_WAITALL))
        return -EINVAL;
    int err = message ? soft_message_prep(r) : 0;
    return err < 0 ? err : prep_multi(s, r, RM_RECV_MULTISHOT);
}

static int prep_accept(const struct soft *s, struct soft_req *r) {
    if (r->sqe.ioprio & ~ACCEPT_KNOWN) return -EINVAL;
    if (r->sqe.file_index) return -ENXIO;
    if (r->sqe.ioprio & IORING_ACCEPT_DONTWAIT) r->bits |= SOFT_DONTWAIT;
    if (!(r->sqe.ioprio & IORING_ACCEPT_MULTISHOT)) return 0;
    return prep_multi(s, r, RM_ACCEPT_MULTISHOT);
}

static int prep_read_write(const struct soft *s, struct soft_req *r) {
    if (r->sqe.opcode == IORING_OP_READ_MULTISHOT) {
        if (!(r->sqe.flags & IOSQE_BUFFER_SELECT) || r->sqe.len || r->sqe.addr) return -EINVAL;
        return prep_multi(s, r, RM_READ_MULTISHOT);
    }
    /* The rows know no RWF flags; to leave one out silently (RWF_DSYNC!) would be a lie. */
    if (r->sqe.rw_flags & ~RWF_NOWAIT) return -EOPNOTSUPP;
    if (r->sqe.rw_flags & RWF_NOWAIT) r->bits |= SOFT_DONTWAIT;
    return 0;
}

static int prep_poll(const struct soft *s, struct soft_req *r) {
    if (r->sqe.len & ~IORING_POLL_ADD_MULTI) return -EINVAL;
    if (!(r->sqe.len & IORING_POLL_ADD_MULTI)) return 0;
    if (r->sqe.flags & IOSQE_CQE_SKIP_SUCCESS) return -EINVAL;
    return prep_multi(s, r, RM_POLL_MULTISHOT);
}

static int prep_link_timeout(struct soft_req *r, const struct chain *chain) {
    if (!chain->last || chain->last->sqe.opcode == IORING_OP_LINK_TIMEOUT) return -EINVAL;
    return soft_timer_prep(r);
}

static int prep_op(const struct soft *s, struct soft_req *r, const struct chain *chain) {
    switch (r->sqe.opcode) {
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG: return prep_recv(s, r);
    case IORING_OP_ACCEPT: return prep_accept(s, r);
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
    case IORING_OP_READ_MULTISHOT: return prep_read_write(s, r);
    case IORING_OP_POLL_ADD: return prep_poll(s, r);
    case IORING_OP_TIMEOUT: return soft_timer_prep(r);
    case IORING_OP_LINK_TIMEOUT: return prep_link_timeout(r, chain);
    default: return soft_fixed_prep(s, &r->sqe);
    }
}

static bool selects_buffers(uint8_t opcode) {
    return opcode == IORING_OP_READ || opcode == IORING_OP_RECV || opcode == IORING_OP_RECVMSG
           || opcode == IORING_OP_READ_MULTISHOT;
}

static int prep(const struct soft *s, struct soft_req *r, const struct chain *chain) {
    const struct io_uring_sqe *sqe = &r->sqe;
    if (sqe->opcode >= RM_OPCODES || !rm_has_op(s->ring, sqe->opcode)) return -EINVAL;
    if ((sqe->flags & ~FLAGS_KNOWN) || sqe->personality) return -EINVAL;
    if ((sqe->flags & IOSQE_CQE_SKIP_SUCCESS) && !(s->ring->behaviours & RM_CQE_SKIP))
        return -EINVAL;
    if (sqe->flags & IOSQE_BUFFER_SELECT) {
        if (!selects_buffers(sqe->opcode)) return -EOPNOTSUPP;
        if (!(s->ring->behaviours & RM_BUFFER_RINGS)) return -EINVAL;
    }
    return prep_op(s, r, chain);
}

/* The chain is complete: run its head, or, when one of it is refused, refuse all. */
static void chain_close(struct soft *s, struct chain *chain) {
    struct soft_req *head = chain->head;
    bool bad = chain->bad;
    *chain = (struct chain){0};
    if (!head) return;
    if (bad) {
        struct soft_req *next = head->chain;
        bool silent = head->sqe.flags & IOSQE_CQE_SKIP_SUCCESS;
        head->chain = NULL;
        soft_fail_chain(s, head, false);
        soft_fail_chain(s, next, silent);
    } else {
        soft_start(s, head);
    }
    soft_start_all(s);
}

static void chain_add(struct soft *s, struct chain *chain, struct soft_req *r) {
    int err = prep(s, r, chain);
    if (err < 0) {
        r->res = err;
        chain->bad = true;
    }
    if (chain->last)
        chain->last->chain = r;
    else
        chain->head = r;
    chain->last = r;
    if (!(r->sqe.flags & LINKS)) chain_close(s, chain);
}

int soft_submit(struct soft *s, unsigned count) {
    struct chain chain = {0};
    unsigned available = rm_load(&s->sq_tail) - s->sq_head, taken = 0;
    if (count > available) count = available;
    while (taken < count) {
        const struct io_uring_sqe *sqe = &s->ring->sqes[(s->sq_head + taken) & s->ring->sq_mask];
        struct soft_req *r = soft_new(s);
        if (!r) {
            /* Without memory for a request there is none for its place in a backlog either. */
            if (!soft_post(s, sqe, -ENOMEM, 0)) break;
            taken++;
            chain.bad = true;
            if (!(sqe->flags & LINKS)) chain_close(s, &chain);
            continue;
        }
        r->sqe = *sqe;
        taken++;
        chain_add(s, &chain, r);
    }
    chain_close(s, &chain);
    rm_store(&s->sq_head, s->sq_head + taken);
    return taken == 0 && count > 0 ? -EAGAIN : (int)taken;
}
