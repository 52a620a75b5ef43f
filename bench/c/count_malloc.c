/* How often did this process ask for memory? Preloaded, it counts; `bench_mallocs()` tells.
 *
 *     PYTHONMALLOC=malloc LD_PRELOAD=count_malloc.so python ...
 *
 * With PYTHONMALLOC=malloc every object of Python's is a call of malloc; so the difference of two
 * calls of bench_mallocs() is exact, which no sampling allocator tracer is. A type's own freelist
 * asks for nothing and is not seen: that is what is meant by "no allocation".
 *
 * Knows: glibc, whose own names it forwards to. One counter per thread: no lock, no false count.
 */
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static __thread unsigned long long count __attribute__((tls_model("initial-exec")));

unsigned long long bench_mallocs(void) { return count; }

void *malloc(size_t size) {
    count++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    count++;
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size) {
    count++;
    return __libc_realloc(old, size);
}
