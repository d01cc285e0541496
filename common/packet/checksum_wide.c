/* The sum over whole blocks with AVX2, twice as fast as what every x86-64 has. The rest of the
 * program is not built for it, so the processor is asked. Elsewhere checksum_blocks is all there
 * is, which there is as good as the compiler makes it. */
#include "common/packet/checksum_internal.h"

#include <string.h>

#ifdef __x86_64__

/* See checksum.c, of which this is the same with twice the lanes. */
typedef uint64_t lanes __attribute__((vector_size(32)));

#define LOW_HALF 0xffffffff

bool checksum_has_wide(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

__attribute__((target("avx2"))) uint64_t checksum_blocks_wide(const uint8_t *at, size_t len)
{
    lanes low[2] = {{0}, {0}}, high[2] = {{0}, {0}};
    for (const uint8_t *end = at + len; at < end; at += CHECKSUM_BLOCK_LEN) {
        lanes words[2];
        memcpy(&words[0], at, sizeof(words[0]));
        memcpy(&words[1], at + sizeof(words[0]), sizeof(words[1]));
        low[0] += words[0] & LOW_HALF;
        high[0] += words[0] >> 32;
        low[1] += words[1] & LOW_HALF;
        high[1] += words[1] >> 32;
    }
    lanes sum = low[0] + low[1] + high[0] + high[1];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

#else

bool checksum_has_wide(void)
{
    return false;
}

uint64_t checksum_blocks_wide(const uint8_t *at, size_t len)
{
    return checksum_blocks(at, len);
}

#endif
