/* The Internet checksum (RFC 1071): sums that are built piece by piece, and what becomes of them.
 *
 * A partial sum is a number whose folding into 16 bits is the one's complement sum so far. It
 * begins with 0. Every piece but the last has an even length. */
#ifndef TERN_PACKET_CHECKSUM_H
#define TERN_PACKET_CHECKSUM_H

#include "common/base/span.h"

uint32_t checksum_add(uint32_t sum, struct span data);

static inline uint32_t checksum_add_u16(uint32_t sum, uint16_t v)
{
    sum += v;
    return (sum & 0xffff) + (sum >> 16);
}

static inline uint32_t checksum_add_u32(uint32_t sum, uint32_t v)
{
    return checksum_add_u16(checksum_add_u16(sum, (uint16_t)(v >> 16)), (uint16_t)v);
}

/* As though v had not been added. */
static inline uint32_t checksum_take_u16(uint32_t sum, uint16_t v)
{
    return checksum_add_u16(sum, (uint16_t)~v);
}

/* The pseudo-header of RFC 9293 3.1, RFC 768 and RFC 8200 8.1: both addresses as they lie in the IP
 * header (8 or 32 octets), the upper layer's protocol and its length. */
static inline uint32_t checksum_pseudo(struct span addresses, uint8_t protocol, size_t len)
{
    return checksum_add((uint32_t)len + protocol, addresses);
}

/* In 16 bits: what a header with a partial checksum holds. */
static inline uint16_t checksum_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Its complement: what a header holds at last. */
static inline uint16_t checksum_finish(uint32_t sum)
{
    return (uint16_t)~checksum_fold(sum);
}

/* The checksum after one 16-bit word of what it covers was replaced (RFC 1624). */
uint16_t checksum_replace(uint16_t checksum, uint16_t gone, uint16_t came);

#endif
