/* Requests and where they are found: slabs, the table of user_data, the table of fds.
 *
 * Knows: sizes and lists. Must not know: what a request does. Nothing here is shared with the
 * worker threads. Slabs are kept until close: requests are used again and again, and the most
 * that were ever in flight is what the program asked for.
 */
#include "soft.h"

#include <fcntl.h>
#include <stdlib.h>

struct soft_slab {
    struct soft_slab *next;
    struct soft_req reqs[SOFT_SLAB];
};

static struct soft_list *table_new(unsigned size) {
    struct soft_list *table = malloc(size * sizeof *table);
    if (table)
        for (unsigned i = 0; i < size; i++) soft_list_init(&table[i]);
    return table;
}

int soft_memory_init(struct soft *s) {
    soft_list_init(&s->parked);
    soft_list_init(&s->starts);
    soft_list_init(&s->again);
    soft_list_init(&s->counted);
    soft_list_init(&s->backlog);
    soft_list_init(&s->condemned);
    s->table = table_new(SOFT_BUCKETS_MIN);
    s->table_size = s->table ? SOFT_BUCKETS_MIN : 0;
    return s->table ? 0 : -ENOMEM;
}

void soft_memory_free(struct soft *s) {
    for (struct soft_slab *slab = s->slabs, *next; slab; slab = next) {
        next = slab->next;
        for (unsigned i = 0; i < SOFT_SLAB; i++) free(slab->reqs[i].more);
        free(slab);
    }
    for (unsigned fd = 0; fd < s->files_size; fd++) free(s->files[fd]);
    free(s->files);
    free(s->table);
    free(s->heap);
}

struct soft_req *soft_new(struct soft *s) {
    if (!s->free) {
        struct soft_slab *slab = calloc(1, sizeof *slab);
        if (!slab) return NULL;
        slab->next = s->slabs;
        s->slabs = slab;
        for (unsigned i = SOFT_SLAB; i-- > 0;) {
            slab->reqs[i].chain = s->free;
            s->free = &slab->reqs[i];
        }
    }
    struct soft_req *r = s->free;
    s->free = r->chain;
    memset(r, 0, sizeof *r);
    soft_list_init(&r->by_id);
    soft_list_init(&r->by_file);
    soft_list_init(&r->all);
    soft_list_init(&r->line);
    r->heap_index = SOFT_NO_INDEX;
    return r;
}

void soft_free(struct soft *s, struct soft_req *r) {
    free(r->more);
    r->more = NULL;
    r->state = SOFT_OVER;
    r->chain = s->free;
    s->free = r;
}

/* ── by user_data ── */

/* Machines put a slot number in the low bits and a generation above: mix both in. */
static unsigned table_index(const struct soft *s, uint64_t user_data) {
    return (unsigned)(user_data * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (s->table_size - 1);
}

struct soft_list *soft_bucket(struct soft *s, uint64_t user_data) {
    return &s->table[table_index(s, user_data)];
}

/* Twice as large. When there is no memory for it the chains grow longer, that is all. */
static void table_grow(struct soft *s) {
    struct soft_list *table = table_new(s->table_size * 2);
    if (!table) return;
    free(s->table);
    s->table = table;
    s->table_size *= 2;
    SOFT_EACH(item, next, &s->parked) {
        struct soft_req *r = SOFT_OF(struct soft_req, all, item);
        soft_list_add(soft_bucket(s, r->sqe.user_data), &r->by_id);
    }
}

void soft_park(struct soft *s, struct soft_req *r, enum soft_state state) {
    r->state = state;
    if (r->bits & SOFT_IN_TABLE) return;
    r->bits |= SOFT_IN_TABLE;
    if (++s->table_used > s->table_size) table_grow(s);
    soft_list_add(&s->parked, &r->all);
    soft_list_add(soft_bucket(s, r->sqe.user_data), &r->by_id);
}

void soft_unpark(struct soft *s, struct soft_req *r) {
    if (r->bits & SOFT_IN_TABLE) {
        soft_list_del(&r->all);
        soft_list_del(&r->by_id);
        s->table_used--;
    }
    soft_list_del(&r->by_file);
    if (r->bits & (SOFT_AGAIN | SOFT_COUNTED)) soft_list_del(&r->line);
    if (r->heap_index != SOFT_NO_INDEX) soft_timer_del(s, r);
    r->bits &= ~(SOFT_IN_TABLE | SOFT_AGAIN | SOFT_COUNTED);
    r->state = SOFT_NEW;
}

/* ── by fd ── */

struct soft_file *soft_file_find(struct soft *s, int fd) {
    return fd >= 0 && (unsigned)fd < s->files_size ? s->files[fd] : NULL;
}

int soft_file_of(struct soft *s, int fd, struct soft_file **found) {
    if (fd < 0) return -EBADF;
    if ((unsigned)fd >= s->files_size) {
        if (fcntl(fd, F_GETFD) < 0) return -EBADF; /* no table for a number that was made up */
        unsigned size = s->files_size ? s->files_size : 64;
        while (size <= (unsigned)fd) size *= 2;
        struct soft_file **files = realloc(s->files, size * sizeof *files);
        if (!files) return -ENOMEM;
        memset(files + s->files_size, 0, (size - s->files_size) * sizeof *files);
        s->files = files;
        s->files_size = size;
    }
    if (!s->files[fd]) {
        struct soft_file *file = calloc(1, sizeof *file);
        if (!file) return -ENOMEM;
        file->fd = fd;
        soft_list_init(&file->waiters);
        soft_list_init(&file->jobs);
        s->files[fd] = file;
    }
    *found = s->files[fd];
    return 0;
}
