/* A flag in memory that processes share: one 32-bit word, changed by whole steps only.
 *
 * Whoever waits sleeps on the word as he saw it. Setting changes it for good, since it also counts:
 * a flag that was set and cleared again before a sleeper woke has another count than he saw, so he
 * knows that it was set. Knows atomics and futex(2); does not know who waits, nor how.
 */
#ifndef RM_FLAG_H
#define RM_FLAG_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RM_FLAG_SET 1u    /* bit 0: the flag itself */
#define RM_FLAG_WAITED 2u /* bit 1: somebody may sleep on it; never together with SET */
#define RM_FLAG_ONCE 4u   /* the rest counts how often it was set, and begins again after 2^30 */
#define RM_FLAG_MAGIC 0x726d666cu
#define RM_FLAG_SIZE 64 /* a cache line, so that nobody's neighbour slows it down */

struct rm_flag {
    _Alignas(RM_FLAG_SIZE) uint32_t word;
    uint32_t magic; /* what is mapped is one of ours */
};
_Static_assert(sizeof(struct rm_flag) == RM_FLAG_SIZE, "one cache line");

/* NULL and errno when it cannot be mapped. A mapping begins at a page and never moves. */
static inline struct rm_flag *rm_flag_map(int fd) {
    void *at = mmap(NULL, RM_FLAG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return NULL;
    assert((uintptr_t)at % RM_FLAG_SIZE == 0);
    return at;
}

static inline void rm_flag_unmap(struct rm_flag *flag) { munmap(flag, RM_FLAG_SIZE); }

static inline bool rm_flag_is_set(const struct rm_flag *flag) {
    return __atomic_load_n(&flag->word, __ATOMIC_ACQUIRE) & RM_FLAG_SET;
}

/* True: somebody may sleep, wake him. One that is set already is written too, so that whoever sees
 * it sees also what was done before this call. */
static inline bool rm_flag_set(struct rm_flag *flag) {
    uint32_t seen = __atomic_load_n(&flag->word, __ATOMIC_RELAXED), next;
    do {
        next = seen;
        if (!(seen & RM_FLAG_SET)) next = ((seen & ~RM_FLAG_WAITED) | RM_FLAG_SET) + RM_FLAG_ONCE;
    } while (!__atomic_compare_exchange_n(&flag->word, &seen, next, true, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    return seen & RM_FLAG_WAITED;
}

static inline void rm_flag_clear(struct rm_flag *flag) {
    __atomic_fetch_and(&flag->word, ~RM_FLAG_SET, __ATOMIC_ACQ_REL);
}

/* What to sleep on, never 0; or 0: it is set. */
static inline uint32_t rm_flag_enter(struct rm_flag *flag) {
    uint32_t seen = __atomic_load_n(&flag->word, __ATOMIC_ACQUIRE);
    do {
        if (seen & RM_FLAG_SET) return 0;
    } while (!__atomic_compare_exchange_n(&flag->word, &seen, seen | RM_FLAG_WAITED, true,
                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    return seen | RM_FLAG_WAITED;
}

/* Has it been set since rm_flag_enter() answered `seen`? */
static inline bool rm_flag_passed(const struct rm_flag *flag, uint32_t seen) {
    uint32_t now = __atomic_load_n(&flag->word, __ATOMIC_ACQUIRE);
    return now & RM_FLAG_SET || now / RM_FLAG_ONCE != seen / RM_FLAG_ONCE;
}

/* Everybody who sleeps on it, in whichever process; how many, or -errno. */
static inline int rm_flag_wake(struct rm_flag *flag) {
    long woken = syscall(SYS_futex, &flag->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    return woken < 0 ? -errno : (int)woken;
}

#endif
