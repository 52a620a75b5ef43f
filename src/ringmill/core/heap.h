/* A heap that keeps what it has: glibc gives the top of the heap back beyond 128 KiB of it.
 *
 * A server takes in a hundred messages per turn, each in a bytes object, and lets go of them all a
 * moment later: the heap grows and shrinks by megabytes at every turn, and each page is cleared and
 * faulted in anew. Seen: half of the CPU of an echo.
 *
 * Knows glibc's malloc; harmless with any other.
 */
#ifndef RM_HEAP_H
#define RM_HEAP_H

#include <stdlib.h>

/* The heap's top is kept up to twice this size. */
#define RM_HEAP_KEEPS (8u << 20)

/* To free a block that was mapped by itself is how a program tells glibc (mallopt(3),
 * M_MMAP_THRESHOLD) that it works with blocks of this size. Unlike mallopt, it leaves alone what
 * was chosen by MALLOC_TRIM_THRESHOLD_, and further adaptation. Once per process. */
static inline void rm_heap_keep(void) {
    static int done;
    if (__atomic_exchange_n(&done, 1, __ATOMIC_RELAXED)) return;
    void *volatile block = malloc(RM_HEAP_KEEPS); /* volatile: not to be optimised away */
    free(block);
}

#endif
