/* Randomness. The system's source never fails: BoringSSL ends the process rather than hand out
 * predictable octets. */
#include "common/crypto/random.h"

#include <openssl/rand.h>

#include "common/base/err.h"

static void system_fill(void *ctx, uint8_t *out, size_t len)
{
    (void)ctx;
    int ok = RAND_bytes(out, len);
    ASSERT(ok == 1);
}

struct random_source random_system(void)
{
    return (struct random_source){system_fill, NULL};
}

void random_fill(const struct random_source *r, uint8_t *out, size_t len)
{
    r->fill(r->ctx, out, len);
}

/* Built octet by octet, so that a seeded source gives the same numbers on every machine. */
static uint64_t draw(const struct random_source *r, size_t octets)
{
    uint8_t bytes[8];
    random_fill(r, bytes, octets);
    uint64_t v = 0;
    for (size_t i = 0; i < octets; i++)
        v = v << 8 | bytes[i];
    return v;
}

uint64_t random_u64(const struct random_source *r)
{
    return draw(r, 8);
}

uint32_t random_below(const struct random_source *r, uint32_t bound)
{
    ASSERT(bound > 0);
    /* Draws beyond the last whole multiple of bound would favour small results: draw again. */
    const uint64_t end = ((uint64_t)1 << 32) / bound * bound;
    uint64_t v;
    do
        v = draw(r, 4);
    while (v >= end);
    return (uint32_t)(v % bound);
}
