/* A count that one thread keeps and others read: in machine code a plain load, add and store. What
 * else that thread wrote is not ordered by it. */
#ifndef TERN_BASE_TALLY_H
#define TERN_BASE_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

struct tally {
    _Atomic uint64_t count;
};

static inline uint64_t tally_read(const struct tally *t)
{
    return atomic_load_explicit(&t->count, memory_order_relaxed);
}

/* Of its one writer. */
static inline void tally_add(struct tally *t, uint64_t n)
{
    atomic_store_explicit(&t->count, tally_read(t) + n, memory_order_relaxed);
}

#endif
