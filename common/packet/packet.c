/* IP header views, the MSS clamp, and the ECN field.
 *
 * The views run for every packet of the tunnel, so the fixed headers are read by index behind one
 * length check; whatever is variable (extension headers) goes through the wire reader. What is read
 * stays within the IP header's own length, never in the padding behind it. The ICMP answer to a
 * packet that is too big is made in icmp.c. */
#include "common/packet/packet.h"

#include <string.h>

#include "common/base/wire.h"
#include "common/packet/packet_internal.h"
#include "common/packet/protocol.h"

enum {
    IPV6_EXTENSIONS_MAX = 16, /* more than any sane packet has (RFC 8504 5.3 allows such a limit) */
    TCP_OPTION_END = 0,
    TCP_OPTION_NOP = 1,
    TCP_OPTION_MSS = 2
};

/* An ip_header but for its addresses. They are written where they go, once all is well: a view that
 * is made of small pieces and copied as a whole makes the processor wait for the pieces. */
struct fields {
    enum ip_family family;
    uint8_t protocol, tos;
    bool later_fragment;
    uint16_t source_port, destination_port;
    size_t header_len, total_len;
};

static enum err parse_v4(struct span packet, struct fields *h)
{
    const uint8_t *b = packet.data;
    if (packet.len < IPV4_HEADER_LEN)
        return ERR_MALFORMED;
    h->header_len = (size_t)(b[0] & 0x0f) * 4;
    h->total_len = be_read_u16(b + 2);
    if (h->header_len < IPV4_HEADER_LEN || h->total_len < h->header_len ||
        h->total_len > packet.len)
        return ERR_MALFORMED;
    h->tos = b[1];
    h->later_fragment = (be_read_u16(b + 6) & 0x1fff) != 0;
    h->protocol = b[9];
    h->family = IP_V4;
    return ERR_OK;
}

/* RFC 4301 4.4.1.1 lists what is passed over on the way to the next layer protocol; AH and ESP are
 * such protocols themselves. */
static bool is_extension(uint8_t next_header)
{
    return next_header == PROTOCOL_HOP_BY_HOP || next_header == PROTOCOL_ROUTING ||
           next_header == PROTOCOL_FRAGMENT || next_header == PROTOCOL_DESTINATION_OPTIONS;
}

/* RFC 8200 4: from the fixed header to the upper layer, or to the fragment header of a later
 * fragment, behind which nothing more can be told. */
static enum err walk_extensions(struct span packet, struct fields *h)
{
    struct wire_reader r;
    wire_reader_init(&r, packet);
    wire_skip(&r, IPV6_HEADER_LEN);
    for (unsigned count = 0; is_extension(h->protocol) && !h->later_fragment; count++) {
        if (count == IPV6_EXTENSIONS_MAX)
            return ERR_MALFORMED;
        uint8_t next_header = wire_read_u8(&r);
        uint8_t len = wire_read_u8(&r);
        if (h->protocol == PROTOCOL_FRAGMENT) {
            h->later_fragment = (wire_read_u16(&r) & 0xfff8) != 0;
            wire_skip(&r, 4);
        } else {
            wire_skip(&r, 6 + (size_t)len * 8);
        }
        if (r.failed)
            return ERR_MALFORMED;
        h->protocol = next_header;
    }
    h->header_len = r.at;
    return ERR_OK;
}

static enum err parse_v6(struct span packet, struct fields *h)
{
    const uint8_t *b = packet.data;
    if (packet.len < IPV6_HEADER_LEN)
        return ERR_MALFORMED;
    h->total_len = IPV6_HEADER_LEN + (size_t)be_read_u16(b + 4);
    if (h->total_len > packet.len)
        return ERR_MALFORMED;
    h->tos = (uint8_t)(b[0] << 4 | b[1] >> 4);
    h->protocol = b[6];
    h->family = IP_V6;
    h->header_len = IPV6_HEADER_LEN;
    if (!is_extension(h->protocol))
        return ERR_OK;
    return walk_extensions(span_make(b, h->total_len), h);
}

/* A packet that claims a protocol with ports but ends before them (RFC 1858 for IPv4, RFC 7112 for
 * IPv6) could pass under any port's policy, so it does not parse. */
static enum err parse_ports(struct span packet, struct fields *h)
{
    if (h->later_fragment)
        return ERR_OK;
    const uint8_t *upper = packet.data + h->header_len;
    size_t left = h->total_len - h->header_len;
    switch (h->protocol) {
    case PROTOCOL_TCP:
    case PROTOCOL_UDP:
    case PROTOCOL_DCCP:
    case PROTOCOL_SCTP:
    case PROTOCOL_UDP_LITE:
        if (left < 4)
            return ERR_MALFORMED;
        h->source_port = be_read_u16(upper);
        h->destination_port = be_read_u16(upper + 2);
        return ERR_OK;
    case PROTOCOL_ICMP:
    case PROTOCOL_ICMPV6:
        if (left < 2)
            return ERR_MALFORMED;
        h->source_port = be_read_u16(upper); /* type and code */
        return ERR_OK;
    default:
        return ERR_OK;
    }
}

static void put_ip(struct ip *ret, enum ip_family family, const uint8_t *at)
{
    ret->family = family;
    memset(ret->bytes, 0, sizeof(ret->bytes));
    memcpy(ret->bytes, at, family == IP_V4 ? 4 : 16);
}

enum err ip_header_parse(struct span packet, struct ip_header *ret)
{
    struct fields h = {0};
    enum err e = ERR_MALFORMED;
    if (packet.len > 0 && packet.data[0] >> 4 == IP_V4)
        e = parse_v4(packet, &h);
    else if (packet.len > 0 && packet.data[0] >> 4 == IP_V6)
        e = parse_v6(packet, &h);
    if (e == ERR_OK)
        e = parse_ports(packet, &h);
    if (e != ERR_OK)
        return e;
    bool is_v4 = h.family == IP_V4;
    put_ip(&ret->source, h.family, packet.data + (is_v4 ? 12 : 8));
    put_ip(&ret->destination, h.family, packet.data + (is_v4 ? 16 : 24));
    ret->protocol = h.protocol;
    ret->tos = h.tos;
    ret->later_fragment = h.later_fragment;
    ret->source_port = h.source_port;
    ret->destination_port = h.destination_port;
    ret->header_len = h.header_len;
    ret->total_len = h.total_len;
    return ERR_OK;
}

static uint16_t swap_u16(uint16_t v)
{
    return (uint16_t)(v << 8 | v >> 8);
}

/* Where the option starts at an odd offset the word straddles two of the checksum's, which is the
 * same as a swapped one. */
static void lower_mss(uint8_t *tcp, size_t option_at, uint16_t mss)
{
    uint16_t old = be_read_u16(tcp + option_at + 2);
    if (old <= mss)
        return;
    be_write_u16(tcp + option_at + 2, mss);
    bool odd = option_at % 2 != 0;
    be_write_u16(tcp + TCP_CHECKSUM_AT,
                 checksum_replace(be_read_u16(tcp + TCP_CHECKSUM_AT), odd ? swap_u16(old) : old,
                                  odd ? swap_u16(mss) : mss));
}

void packet_clamp_mss(struct packet *p, uint16_t mss)
{
    struct ip_header h;
    if (ip_header_parse(span_make(packet_bytes(p), p->len), &h) != ERR_OK ||
        h.protocol != PROTOCOL_TCP || h.later_fragment)
        return;
    uint8_t *tcp = packet_bytes(p) + h.header_len;
    size_t left = h.total_len - h.header_len;
    if (left < TCP_HEADER_LEN || (tcp[13] & TCP_FLAG_SYN) == 0)
        return;
    size_t header_len = (size_t)(tcp[12] >> 4) * 4;
    if (header_len > left)
        return;
    for (size_t at = TCP_HEADER_LEN; at < header_len && tcp[at] != TCP_OPTION_END;) {
        if (tcp[at] == TCP_OPTION_NOP) {
            at++;
            continue;
        }
        size_t option_len = header_len - at < 2 ? 0 : tcp[at + 1];
        if (option_len < 2 || option_len > header_len - at)
            return;
        if (tcp[at] == TCP_OPTION_MSS && option_len == 4) {
            lower_mss(tcp, at, mss);
            return;
        }
        at += option_len;
    }
}

static void set_ecn(uint8_t *ip, enum ecn ecn)
{
    if (ip[0] >> 4 == IP_V6) {
        ip[1] = (uint8_t)((ip[1] & 0xcf) | ecn << 4);
        return;
    }
    uint16_t gone = be_read_u16(ip);
    ip[1] = (uint8_t)((ip[1] & 0xfc) | ecn);
    be_write_u16(ip + IPV4_CHECKSUM_AT,
                 checksum_replace(be_read_u16(ip + IPV4_CHECKSUM_AT), gone, be_read_u16(ip)));
}

/* Of the marks inside and outside the graver one goes on, in the order Not-ECT, ECT(0), ECT(1), CE:
 * ECT(1) may be a first degree of congestion (RFC 6040 4.2). A packet that went in without ECN
 * comes out without it. */
enum err packet_join_ecn(struct packet *p, uint8_t tos)
{
    enum ecn inner = ecn_of(tos), outer = ecn_of(p->tos);
    if (inner == ECN_NOT_ECT)
        return outer == ECN_CE ? ERR_REFUSED : ERR_OK;
    if ((outer == ECN_CE && inner != ECN_CE) || (outer == ECN_ECT_1 && inner == ECN_ECT_0))
        set_ecn(packet_bytes(p), outer);
    return ERR_OK;
}
