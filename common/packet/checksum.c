/* The sum over a run of octets, which every octet of the tunnel passes: as many at once as the
 * processor takes. What is built from sums is in the header.
 *
 * There is no way around that pass. Outwards the kernel leaves the sum to be finished (NEEDS_CSUM),
 * and what the tunnel's far end takes out has to have one; inwards the ICV vouches for the way from
 * the gateway alone, the checksum for the way from the host behind it, and the kernel asks nobody
 * for that of what is written in one piece. To let the kernel do it instead (no NEEDS_CSUM) would
 * move the pass into the write, not save it, and packets that are forwarded would be given a new
 * sum unseen. DATA_VALID is nothing that a TUN takes. A cipher that sums as it goes would save it;
 * BoringSSL's do not. */
#include "common/packet/checksum.h"

#include <string.h>

#include "common/packet/checksum_internal.h"
#include "common/packet/packet_internal.h"

/* One's complement sums commute with swapping the bytes of every word (RFC 1071 2B), so the words
 * are added as the machine loads them, and the result is put into network order once. They are as
 * well the same whatever the words' width, carries added (2C): 64 bits are taken at once, the upper
 * and the lower half each into a sum that does not overflow before 2^32 of them. */
typedef uint64_t lanes __attribute__((vector_size(16)));

#define LOW_HALF 0xffffffff

static inline lanes load(const uint8_t *at)
{
    lanes words;
    memcpy(&words, at, sizeof(words));
    return words;
}

uint64_t checksum_blocks(const uint8_t *at, size_t len)
{
    lanes low[2] = {{0}, {0}}, high[2] = {{0}, {0}}; /* two each: additions side by side */
    for (const uint8_t *end = at + len; at < end; at += CHECKSUM_BLOCK_LEN) {
        const lanes words[4] = {load(at), load(at + 16), load(at + 32), load(at + 48)};
        low[0] += words[0] & LOW_HALF;
        high[0] += words[0] >> 32;
        low[1] += words[1] & LOW_HALF;
        high[1] += words[1] >> 32;
        low[0] += words[2] & LOW_HALF;
        high[0] += words[2] >> 32;
        low[1] += words[3] & LOW_HALF;
        high[1] += words[3] >> 32;
    }
    lanes sum = low[0] + low[1] + high[0] + high[1];
    return sum[0] + sum[1];
}

/* Of less than a block; an odd octet at the end is followed by a zero. */
static uint64_t sum_rest(const uint8_t *at, size_t len)
{
    uint64_t sum = 0;
    for (; len >= 8; at += 8, len -= 8) {
        uint32_t words[2];
        memcpy(words, at, 8);
        sum += words[0];
        sum += words[1];
    }
    if (len & 4) {
        uint32_t word;
        memcpy(&word, at, 4);
        sum += word;
        at += 4;
    }
    if (len & 2) {
        uint16_t word;
        memcpy(&word, at, 2);
        sum += word;
        at += 2;
    }
    if (len & 1) {
        uint8_t octets[2] = {*at, 0};
        uint16_t word;
        memcpy(&word, octets, 2);
        sum += word;
    }
    return sum;
}

uint32_t checksum_add(uint32_t sum, struct span data)
{
    size_t blocks_len = data.len - data.len % CHECKSUM_BLOCK_LEN;
    uint64_t words = 0;
    if (blocks_len > 0)
        words = checksum_has_wide() ? checksum_blocks_wide(data.data, blocks_len)
                                    : checksum_blocks(data.data, blocks_len);
    if (blocks_len < data.len)
        words += sum_rest(data.data + blocks_len, data.len - blocks_len);
    words = (words & LOW_HALF) + (words >> 32);
    words = (words & LOW_HALF) + (words >> 32);
    uint16_t folded = checksum_fold((uint32_t)words);
    uint8_t octets[2];
    memcpy(octets, &folded, 2);
    /* Folded before the addition, so that chained sums never overflow. */
    return (sum & 0xffff) + (sum >> 16) + be_read_u16(octets);
}

uint16_t checksum_replace(uint16_t checksum, uint16_t gone, uint16_t came)
{
    return checksum_finish((uint32_t)(uint16_t)~checksum + (uint16_t)~gone + came);
}
