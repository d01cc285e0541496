/* TCP and UDP packets, made and judged without the code that is tested: sums as RFC 1071 4.1 has
 * them, octet by octet. Without Check, so that the fuzz targets have it, too. */
#ifndef TERN_TESTS_PACKETS_H
#define TERN_TESTS_PACKETS_H

#include "common/base/span.h"

enum { PACKETS_TCP_CWR = 0x80, PACKETS_TCP_ECE = 0x40, PACKETS_TCP_URG = 0x20 };
enum { PACKETS_TCP_ACK = 0x10, PACKETS_TCP_PSH = 0x08, PACKETS_TCP_FIN = 0x01 };
enum { PACKETS_V4_DF = 0x4000 };

struct packet_recipe {
    bool v6, udp;
    uint8_t host; /* the last octet of the source address */
    uint8_t tos, ttl;
    uint16_t flags, id;  /* IPv4's; flags with the fragment offset */
    uint32_t flow_label; /* IPv6's */
    /* IPv4: a multiple of 4 octets. IPv6: whole extension headers, whose last one's next header is
     * TCP or UDP; first_extension is the first one's number. */
    struct span options;
    uint8_t first_extension;
    uint16_t source_port, destination_port;
    uint32_t sequence, acknowledged;
    uint8_t tcp_flags;
    uint16_t window, urgent;
    struct span tcp_options; /* a multiple of 4 octets */
    struct span payload;
};

/* Octets before the payload. */
size_t packets_header_len(const struct packet_recipe *r);
/* The whole packet with right lengths and checksums; returns its length, which is at most
 * packets_header_len + payload. */
size_t packets_make(const struct packet_recipe *r, uint8_t *out);
/* The checksum field of what packets_make made holds only the pseudo-header's sum from now on. */
void packets_make_partial(const struct packet_recipe *r, uint8_t *packet, size_t len);

/* What is wrong with a packet that is to be a valid one of TCP or UDP; NULL: nothing. */
const char *packets_fault(struct span packet);

uint16_t packets_sum(uint32_t start, struct span data); /* folded, not complemented */

/* Repeats from its seed. */
uint64_t packets_random(uint64_t *state);
/* 0..bound-1 */
size_t packets_below(uint64_t *state, size_t bound);

#endif
