/* A packet in a buffer with room in front and behind, read-only views of IP headers, and the few
 * changes that a packet needs on its way. Pure helpers: nothing here knows ESP or a device. */
#ifndef TERN_PACKET_PACKET_H
#define TERN_PACKET_PACKET_H

#include "common/base/addr.h"
#include "common/packet/checksum.h"

/* The ECN field: the two low bits of an IPv4 header's TOS octet and of an IPv6 header's traffic
 * class, whose upper six are the DSCP (RFC 3168 5). */
enum ecn { ECN_NOT_ECT, ECN_ECT_1, ECN_ECT_0, ECN_CE };

static inline enum ecn ecn_of(uint8_t tos)
{
    return (enum ecn)(tos & 3);
}

/* The packet is the len octets at data + start; whoever grows it stays within cap. */
struct packet {
    uint8_t *data; /* caller's storage */
    size_t cap;    /* its size, octets */
    size_t start;
    size_t len;
    uint8_t tos; /* of the header around it, which is not in the buffer: DSCP and ECN */
};

static inline uint8_t *packet_bytes(const struct packet *p)
{
    return p->data + p->start;
}

static inline size_t packet_tailroom(const struct packet *p)
{
    return p->cap - p->start - p->len;
}

/* What policy looks at. Ports are 0 where the protocol has none or the packet is a later fragment;
 * for ICMP and ICMPv6 source_port is type << 8 | code (RFC 4301 4.4.1.1). */
struct ip_header {
    struct ip source, destination;
    uint8_t protocol; /* the upper layer, IPv6 extension headers passed over */
    uint8_t tos;      /* DSCP and ECN */
    bool later_fragment;
    uint16_t source_port, destination_port;
    size_t header_len; /* up to the upper layer, octets */
    size_t total_len;  /* by the header's own length field */
};

/* ERR_MALFORMED where the headers do not hold together: version, IHL, a length field beyond the
 * packet, extension headers without end, a protocol with ports cut off before them. A packet longer
 * than its length field is accepted; use total_len (link padding, ESP TFC). */
CHECKED enum err ip_header_parse(struct span packet, struct ip_header *ret);

/* Lower the MSS option of a TCP SYN to `mss` where it is larger, mending the checksum. Does nothing
 * to any other packet. */
void packet_clamp_mss(struct packet *p, uint16_t mss);

/* The end of a tunnel (RFC 6040 4.2): what p->tos, the outer header's, says of congestion is passed
 * on in the packet's own header, and an IPv4 header's checksum mended. The packet is one that
 * ip_header_parse took, with this tos; its DSCP stays as it is. ERR_REFUSED, and the packet
 * untouched, where it is to be dropped: it met congestion, and its sender would not hear of it. */
CHECKED enum err packet_join_ecn(struct packet *p, uint8_t tos);

/* Build the ICMP "fragmentation needed" or ICMPv6 "packet too big" answer to `packet` for that MTU
 * (RFC 792, RFC 1191, RFC 4443), from the packet's destination to its source. ERR_REFUSED where
 * none may be sent (IPv4 without DF, ICMP errors, multicast, later fragments); ERR_LIMIT where out
 * is too small (576 for IPv4, 1280 for IPv6 always suffice). */
CHECKED enum err packet_too_big(struct span packet, uint16_t mtu, uint8_t *out, size_t out_cap,
                                size_t *ret_len);

#endif
