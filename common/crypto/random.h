/* Where randomness comes from: injected, so that a simulation repeats from its seed. */
#ifndef TERN_CRYPTO_RANDOM_H
#define TERN_CRYPTO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random_source {
    void (*fill)(void *ctx, uint8_t *out, size_t len); /* never fails */
    void *ctx;
};

/* The operating system's generator, through BoringSSL. */
struct random_source random_system(void);

void random_fill(const struct random_source *r, uint8_t *out, size_t len);
uint64_t random_u64(const struct random_source *r);
/* 0 .. bound-1, unbiased; bound > 0. */
uint32_t random_below(const struct random_source *r, uint32_t bound);

#endif
