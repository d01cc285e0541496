/* Segmentation. Every segment has the large packet's headers, with what differs written over:
 *
 *     IPv4   total length, identification (counted up), header checksum
 *     IPv6   payload length
 *     TCP    sequence number; CWR in the first one only, FIN and PSH in the last one only; checksum
 *     UDP    length, checksum
 *
 * Sums of what stays the same are made once, so that a segment costs its payload's sum and a few
 * additions. The way back is gro.c. */
#include "common/packet/gso.h"

#include <string.h>

#include "common/packet/packet_internal.h"
#include "common/packet/protocol.h"

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* --- one packet, perhaps with a checksum to finish --- */

/* RFC 768: the checksum zero would say that there is none. */
static uint16_t udp_checksum(uint32_t sum)
{
    uint16_t checksum = checksum_finish(sum);
    return checksum == 0 ? 0xffff : checksum;
}

/* Any protocol's: the field lies somewhere behind csum_start, and holds what the sum begins with.
 */
static enum err finish_checksum(const struct vnet_header *v, uint8_t *packet, size_t len)
{
    struct ip_header h;
    size_t at = (size_t)v->csum_start + v->csum_offset;
    if (ip_header_parse(span_make(packet, len), &h) != ERR_OK || v->csum_start < h.header_len ||
        at + 2 > len)
        return ERR_MALFORMED;
    uint32_t sum = checksum_add(0, span_make(packet + v->csum_start, len - v->csum_start));
    be_write_u16(packet + at,
                 v->csum_offset == UDP_CHECKSUM_AT ? udp_checksum(sum) : checksum_finish(sum));
    return ERR_OK;
}

static enum err begin_whole(struct gso *g, const struct vnet_header *v, uint8_t *packet, size_t len)
{
    if (len == 0)
        return ERR_MALFORMED;
    if (v->needs_csum) {
        enum err e = finish_checksum(v, packet, len);
        if (e != ERR_OK)
            return e;
    }
    g->header_len = 0;
    g->payload = packet;
    g->left = g->size = len;
    return ERR_OK;
}

/* --- a packet to cut --- */

/* Is it what the vnet header says, and nothing that makes no sense in pieces? */
static bool agrees(const struct vnet_header *v, const uint8_t *packet, size_t len,
                   const struct ip_header *h)
{
    bool is_v4 = h->source.family == IP_V4;
    uint8_t protocol = v->gso == VNET_GSO_UDP_L4 ? PROTOCOL_UDP : PROTOCOL_TCP;
    if (h->protocol != protocol || h->total_len != len || (v->gso == VNET_GSO_TCPV4 && !is_v4) ||
        (v->gso == VNET_GSO_TCPV6 && is_v4))
        return false;
    if (is_v4 && (be_read_u16(packet + IPV4_FLAGS_AT) & IPV4_FRAGMENT_MASK) != 0)
        return false;
    size_t csum_offset = protocol == PROTOCOL_TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT;
    return !v->needs_csum || (v->csum_start == h->header_len && v->csum_offset == csum_offset);
}

/* RFC 8200 4.5: a packet with a fragment header is one, even where it is the only one. */
static bool has_fragment_header(const uint8_t *packet, const struct ip_header *h)
{
    uint8_t next_header = packet[IPV6_NEXT_HEADER_AT];
    for (size_t at = IPV6_HEADER_LEN; at < h->header_len;) {
        if (next_header == PROTOCOL_FRAGMENT)
            return true;
        next_header = packet[at];
        at += 8 + (size_t)packet[at + 1] * 8;
    }
    return false;
}

/* The transport header's length where it can be cut behind it; 0 where not. */
static size_t upper_header_len(const struct vnet_header *v, const uint8_t *upper, size_t left)
{
    if (v->gso == VNET_GSO_UDP_L4)
        return left > UDP_HEADER_LEN ? UDP_HEADER_LEN : 0;
    if (left < TCP_HEADER_LEN || (upper[TCP_FLAGS_AT] & (TCP_FLAG_SYN | TCP_FLAG_RST)) != 0)
        return 0;
    size_t len = (size_t)(upper[TCP_DATA_OFFSET_AT] >> 4) * 4;
    return len >= TCP_HEADER_LEN && len < left ? len : 0;
}

/* The sum of the pseudo-header without its length. With needs_csum the kernel's is taken from the
 * field: where a source route or a routing header is under way, it knows the address that counts
 * (RFC 8200 8.1). */
static enum err pseudo_sum(const struct vnet_header *v, const uint8_t *packet, size_t len,
                           const struct ip_header *h, uint32_t *ret)
{
    size_t upper_len = len - h->header_len;
    if (v->needs_csum) {
        uint16_t field = be_read_u16(packet + v->csum_start + v->csum_offset);
        *ret = checksum_take_u16(field, (uint16_t)upper_len);
        return ERR_OK;
    }
    bool is_v4 = h->source.family == IP_V4;
    if (h->header_len != (is_v4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN))
        return ERR_UNSUPPORTED;
    *ret = checksum_pseudo(is_v4 ? span_make(packet + IPV4_ADDRESSES_AT, IPV4_ADDRESSES_LEN)
                                 : span_make(packet + IPV6_ADDRESSES_AT, IPV6_ADDRESSES_LEN),
                           h->protocol, 0);
    return ERR_OK;
}

/* What changes from segment to segment is kept apart, and zero in the header while it is summed. */
static void take_header(struct gso *g, uint32_t pseudo)
{
    uint8_t *upper = g->header + g->upper_at;
    if (g->is_v4) {
        g->id = be_read_u16(g->header + IPV4_ID_AT);
        be_write_u16(g->header + IPV4_TOTAL_LEN_AT, 0);
        be_write_u16(g->header + IPV4_ID_AT, 0);
        be_write_u16(g->header + IPV4_CHECKSUM_AT, 0);
        g->ip_sum = checksum_add(0, span_make(g->header, g->upper_at));
    }
    if (g->is_tcp) {
        g->sequence = be_read_u32(upper + TCP_SEQUENCE_AT);
        g->tcp_flags = upper[TCP_FLAGS_AT];
        be_write_u32(upper + TCP_SEQUENCE_AT, 0);
        upper[TCP_FLAGS_AT] = 0;
        be_write_u16(upper + TCP_CHECKSUM_AT, 0);
    } else {
        be_write_u16(upper + UDP_LEN_AT, 0);
        be_write_u16(upper + UDP_CHECKSUM_AT, 0);
    }
    g->upper_sum = checksum_add(pseudo, span_make(upper, g->header_len - g->upper_at));
}

static enum err begin_cut(struct gso *g, const struct vnet_header *v, uint8_t *packet, size_t len)
{
    struct ip_header h;
    if (ip_header_parse(span_make(packet, len), &h) != ERR_OK || !agrees(v, packet, len, &h))
        return ERR_MALFORMED;
    g->is_v4 = h.source.family == IP_V4;
    if (!g->is_v4 && has_fragment_header(packet, &h))
        return ERR_MALFORMED;
    size_t upper_len = upper_header_len(v, packet + h.header_len, len - h.header_len);
    if (upper_len == 0)
        return ERR_MALFORMED;
    g->upper_at = h.header_len;
    g->header_len = h.header_len + upper_len;
    if (g->header_len > sizeof(g->header))
        return ERR_LIMIT;
    uint32_t pseudo;
    enum err e = pseudo_sum(v, packet, len, &h, &pseudo);
    if (e != ERR_OK)
        return e;
    g->is_tcp = v->gso != VNET_GSO_UDP_L4;
    g->payload = packet + g->header_len;
    g->left = len - g->header_len;
    g->size = v->gso_size;
    memcpy(g->header, packet, g->header_len);
    take_header(g, pseudo);
    return ERR_OK;
}

enum err gso_begin(struct gso *g, const struct vnet_header *v, uint8_t *packet, size_t len)
{
    g->is_first = true;
    g->joint = NULL;
    return v->gso == VNET_GSO_NONE ? begin_whole(g, v, packet, len) : begin_cut(g, v, packet, len);
}

size_t gso_left(const struct gso *g)
{
    return (g->left + g->size - 1) / g->size;
}

size_t gso_packet_max(const struct gso *g)
{
    return g->header_len + smaller(g->size, g->left);
}

/* --- segment by segment --- */

static void write_ip(struct gso *g, size_t packet_len)
{
    uint8_t *ip = g->header;
    if (!g->is_v4) {
        be_write_u16(ip + IPV6_PAYLOAD_LEN_AT, (uint16_t)(packet_len - IPV6_HEADER_LEN));
        return;
    }
    uint32_t sum = g->ip_sum + (uint32_t)packet_len + g->id;
    be_write_u16(ip + IPV4_TOTAL_LEN_AT, (uint16_t)packet_len);
    be_write_u16(ip + IPV4_ID_AT, g->id);
    be_write_u16(ip + IPV4_CHECKSUM_AT, checksum_finish(sum));
    g->id++;
}

static void write_tcp(struct gso *g, struct span payload, bool is_last)
{
    uint8_t *tcp = g->header + g->upper_at;
    uint8_t flags = g->tcp_flags;
    if (!g->is_first)
        flags &= (uint8_t)~TCP_FLAG_CWR;
    if (!is_last)
        flags &= (uint8_t) ~(TCP_FLAG_FIN | TCP_FLAG_PSH);
    uint32_t sum = g->upper_sum + (uint32_t)(g->header_len - g->upper_at + payload.len) + flags;
    sum = checksum_add(checksum_add_u32(sum, g->sequence), payload);
    be_write_u32(tcp + TCP_SEQUENCE_AT, g->sequence);
    tcp[TCP_FLAGS_AT] = flags;
    be_write_u16(tcp + TCP_CHECKSUM_AT, checksum_finish(sum));
    g->sequence += (uint32_t)payload.len;
}

static void write_udp(struct gso *g, struct span payload)
{
    uint8_t *udp = g->header + g->upper_at;
    uint32_t len = (uint32_t)(UDP_HEADER_LEN + payload.len);
    be_write_u16(udp + UDP_LEN_AT, (uint16_t)len);
    /* Once for the pseudo-header's, once for the header's own. */
    be_write_u16(udp + UDP_CHECKSUM_AT,
                 udp_checksum(checksum_add(g->upper_sum + 2 * len, payload)));
}

bool gso_next(struct gso *g, struct gso_segment *ret)
{
    if (g->left == 0)
        return false;
    struct span payload = span_make(g->payload, smaller(g->size, g->left));
    bool is_last = payload.len == g->left;
    if (g->header_len > 0) {
        write_ip(g, g->header_len + payload.len);
        if (g->is_tcp)
            write_tcp(g, payload, is_last);
        else
            write_udp(g, payload);
    }
    *ret = (struct gso_segment){span_make(g->header, g->header_len), payload};
    g->joint = g->payload;
    g->payload += payload.len;
    g->left -= payload.len;
    g->is_first = false;
    return true;
}

struct span gso_join(struct gso *g, const struct gso_segment *s)
{
    ASSERT(g->joint == s->payload.data && g->header_len == s->header.len);
    uint8_t *start = g->joint - g->header_len;
    memcpy(start, g->header, g->header_len);
    return span_make(start, g->header_len + s->payload.len);
}
