/* What the lying kernel is asked to do, and what it has done: the memory that it
 * shares with Python.
 *
 * Knows numbers. core/lies.pyx fills in the first half before the ring is opened and may read the
 * second at any time; ring/sim*.c write it. Outlives the ring: the story is read after the end.
 */
#ifndef RM_LIES_H
#define RM_LIES_H

#include <stdint.h>

#define RM_FAULTS_MAX 256 /* (opcode, errno) pairs: more is no test any more */
#define RM_STORY_MAX 8192 /* events that are kept, the last ones: 256 KiB */
#define RM_CLOCK_BEGIN_NS 1000000000 /* not 0, which is "in the past" to some */

/* What can happen. The first RM_RATES are lies that have a rate; core/lies.pyx has their names, in
 * this order. */
enum rm_what {
    RM_REORDER, /* a result is told a moment later: others pass it */
    RM_DELAY, /* an op begins, or is told, up to delay_ns later */
    RM_SHORTEN, /* a transfer moves less than was asked for and could be had */
    RM_LATE_CANCEL, /* a cancel does not find its op */
    RM_END_MULTI, /* a multishot op ends, without F_MORE */
    RM_OVERFLOW, /* a completion finds no room */
    RM_STARVE, /* a buffer group has no buffer */
    RM_REFUSE, /* enter answers EAGAIN, EBUSY or EINTR */
    RM_RATES,
    RM_FAULT = RM_RATES, /* an op fails with an errno that was asked for */
    RM_JUMP, /* the clock goes to the next deadline */
    RM_TOLD, /* a completion, as the program reaps it */
    RM_WHATS,
};

struct rm_fault {
    double rate;
    int error;
    uint8_t opcode;
};

struct rm_event {
    int64_t at_ns; /* since the clock began */
    uint64_t user_data; /* slot and generation; 0 when it is about no op */
    int32_t result; /* of a descriptor only that there is one: numbers differ by process */
    uint8_t what, opcode;
};

struct rm_lies {
    uint64_t seed;
    double rates[RM_RATES];
    int64_t delay_ns, patience_ns;
    struct rm_fault faults[RM_FAULTS_MAX];
    unsigned faults_count;
    /* written by the kernel */
    int64_t clock_ns;
    uint64_t counts[RM_WHATS];
    uint64_t events; /* how many there were; story[events % RM_STORY_MAX] is the next */
    uint64_t fingerprint; /* of all of them, in their order */
    struct rm_event story[RM_STORY_MAX];
};

#endif
