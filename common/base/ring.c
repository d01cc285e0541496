/* A record is its length and its octets, wrapped around the end. Invariant: taken <= written <=
 * taken + RING_LEN; both only grow, and wrap around together, as RING_LEN is a power of two. */
#include "common/base/ring.h"

#include <string.h>

_Static_assert((RING_LEN & (RING_LEN - 1)) == 0, "positions wrap around with size_t");

static size_t copy_in(struct ring *r, size_t at, const void *from, size_t len)
{
    size_t start = at % RING_LEN;
    size_t first = len < RING_LEN - start ? len : RING_LEN - start;
    if (len == 0)
        return at;
    memcpy(r->bytes + start, from, first);
    memcpy(r->bytes, (const uint8_t *)from + first, len - first);
    return at + len;
}

static size_t copy_out(const struct ring *r, size_t at, void *to, size_t len)
{
    size_t start = at % RING_LEN;
    size_t first = len < RING_LEN - start ? len : RING_LEN - start;
    memcpy(to, r->bytes + start, first);
    memcpy((uint8_t *)to + first, r->bytes, len - first);
    return at + len;
}

enum err ring_put(struct ring *r, const struct span *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    size_t used = at - atomic_load_explicit(&r->taken, memory_order_acquire);
    if (len > RING_LEN || sizeof(len) + len > RING_LEN - used)
        return ERR_LIMIT;
    at = copy_in(r, at, &len, sizeof(len));
    for (size_t i = 0; i < count; i++)
        at = copy_in(r, at, parts[i].data, parts[i].len);
    atomic_store(&r->written, at); /* before the writer looks whether to wake the reader */
    return ERR_OK;
}

enum err ring_take(struct ring *r, uint8_t *buf, size_t cap, size_t *ret_len)
{
    size_t len, at = atomic_load_explicit(&r->taken, memory_order_relaxed);
    if (atomic_load(&r->written) == at) /* after the reader has said that it may be woken */
        return ERR_AGAIN;
    at = copy_out(r, at, &len, sizeof(len));
    ASSERT(len <= cap);
    at = copy_out(r, at, buf, len);
    *ret_len = len;
    atomic_store_explicit(&r->taken, at, memory_order_release);
    return ERR_OK;
}
