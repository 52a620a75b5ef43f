/* What the real kernel can do, found by asking it; and how to ask only once per process.
 *
 * Knows: opcodes and behaviours as bits. Keeps nothing itself: whoever opens many rings keeps
 * a `struct rm_probe`, zeroed, and gives it to rm_open_probed each time.
 */
#ifndef RM_PROBE_H
#define RM_PROBE_H

#include "ring.h"

struct rm_probe {
    bool done;             /* false: not asked yet, or a question could not be put (no fd left) */
    uint64_t masked_ops;   /* what was masked when it was asked: an opcode that is masked is */
    uint32_t masked;       /* never tried either. With other masks the questions are put again */
    uint32_t masked_setup;
    uint64_t opcodes;      /* the answers */
    uint32_t behaviours;
};

/* rm_open, but with answers found before. Only rm_linux asks; other kernels leave `probe` alone. */
int rm_open_probed(struct rm_ring *ring, const struct rm_kernel *kernel,
                   const struct rm_config *config, struct rm_probe *probe);

/* Fill in `probe`, by a small ring that is gone when this returns. `ring` is open; only its
 * features and its register call are used. */
void rm_linux_probe(struct rm_ring *ring, const struct rm_config *config, struct rm_probe *probe);

#endif
