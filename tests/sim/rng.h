/* A small generator with a state of its own for each user, so that one user's draws do not shift
 * another's (splitmix64). */
#ifndef TERN_TESTS_SIM_RNG_H
#define TERN_TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_u64(struct rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline struct rng rng_make(uint64_t seed, uint64_t stream)
{
    struct rng r = {seed};
    r.state = rng_u64(&r) ^ (stream * 0xd1342543de82ef95u);
    r.state = rng_u64(&r);
    return r;
}

/* 0 .. n-1; n > 0 */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    return rng_u64(r) % n;
}

static inline int64_t rng_between(struct rng *r, int64_t first, int64_t last)
{
    return first + (int64_t)rng_below(r, (uint64_t)(last - first) + 1);
}

static inline bool rng_chance(struct rng *r, unsigned per_mille)
{
    return rng_below(r, 1000) < per_mille;
}

static inline void rng_fill(void *ctx, uint8_t *out, size_t len)
{
    struct rng *r = ctx;
    while (len > 0) {
        uint64_t v = rng_u64(r);
        size_t n = len < sizeof(v) ? len : sizeof(v);
        memcpy(out, &v, n);
        out += n;
        len -= n;
    }
}

#endif
