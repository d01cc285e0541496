/* Coalescing. A packet is appended to the latest of its flow where everything agrees; where not, it
 * begins anew, and nothing of the flow is appended to what came before it. So a flow's packets are
 * written in the order in which they came, with writes in the order of their first packets.
 *
 * Only what was verified is put together: from there on the kernel takes the checksums as right. A
 * packet that goes alone is left to the kernel as it is, whatever it is. The sums are made where a
 * packet has a neighbour, not before: most that go alone are never looked at twice.
 *
 * The way back is gso.c, which the conditions here follow: a field that segmentation would not give
 * back keeps packets apart. */
#include "common/packet/gro.h"

#include <string.h>

#include "common/packet/checksum.h"
#include "common/packet/packet_internal.h"
#include "common/packet/protocol.h"

/* What a packet is to the others. */
enum gro_class {
    GRO_STRANGER, /* of no flow of TCP or UDP: all may pass by */
    GRO_OBSCURE,  /* of a flow that is not told (fragments, extension headers): none may pass by */
    GRO_LONER,    /* of a flow, but not to be coalesced */
    GRO_CANDIDATE
};

static void clear(struct gro *g)
{
    g->count = g->taken = 0;
    g->flow_count = g->flow_replaced = 0;
}

void gro_begin(struct gro *g, const struct gro_options *o)
{
    g->options = *o;
    clear(g);
}

/* --- what a packet is --- */

static enum gro_class classify_tcp(struct gro_packet *p)
{
    const uint8_t *tcp = p->bytes + p->upper_at;
    size_t left = p->len - p->upper_at;
    if (left < TCP_HEADER_LEN)
        return GRO_OBSCURE;
    p->is_tcp = true;
    size_t header_len = (size_t)(tcp[TCP_DATA_OFFSET_AT] >> 4) * 4;
    if (header_len < TCP_HEADER_LEN || header_len >= left)
        return GRO_LONER;
    p->header_len = (uint8_t)(p->upper_at + header_len);
    p->closed = (tcp[TCP_FLAGS_AT] & TCP_FLAG_PSH) != 0;
    /* CWR and FIN would belong to one packet of several; ECE belongs to each. */
    bool plain = (tcp[TCP_FLAGS_AT] & ~(TCP_FLAG_PSH | TCP_FLAG_ECE)) == TCP_FLAG_ACK &&
                 (tcp[TCP_DATA_OFFSET_AT] & 0x0f) == 0;
    return plain ? GRO_CANDIDATE : GRO_LONER;
}

static enum gro_class classify_udp(struct gro_packet *p)
{
    const uint8_t *udp = p->bytes + p->upper_at;
    size_t left = p->len - p->upper_at;
    if (left < UDP_HEADER_LEN)
        return GRO_OBSCURE;
    p->header_len = (uint8_t)(p->upper_at + UDP_HEADER_LEN);
    /* Without a checksum it would come out with one. */
    bool plain = left > UDP_HEADER_LEN && be_read_u16(udp + UDP_LEN_AT) == left &&
                 be_read_u16(udp + UDP_CHECKSUM_AT) != 0;
    return plain ? GRO_CANDIDATE : GRO_LONER;
}

static enum gro_class classify_upper(struct gro_packet *p, uint8_t protocol)
{
    return protocol == PROTOCOL_TCP ? classify_tcp(p) : classify_udp(p);
}

static enum gro_class classify_v4(struct gro_packet *p)
{
    const uint8_t *ip = p->bytes;
    size_t header_len = (size_t)(ip[0] & 0x0f) * 4;
    if (p->len < IPV4_HEADER_LEN || header_len < IPV4_HEADER_LEN || header_len > p->len)
        return GRO_OBSCURE;
    uint8_t protocol = ip[IPV4_PROTOCOL_AT];
    if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP)
        return GRO_STRANGER;
    uint16_t flags = be_read_u16(ip + IPV4_FLAGS_AT);
    if (be_read_u16(ip + IPV4_TOTAL_LEN_AT) != p->len || (flags & IPV4_FRAGMENT_MASK) != 0)
        return GRO_OBSCURE;
    p->is_v4 = true;
    p->upper_at = (uint8_t)header_len;
    enum gro_class c = classify_upper(p, protocol);
    bool plain = header_len == IPV4_HEADER_LEN && (flags & ~IPV4_FLAG_DF) == 0;
    return c == GRO_CANDIDATE && !plain ? GRO_LONER : c;
}

static bool is_extension(uint8_t next_header)
{
    return next_header == PROTOCOL_HOP_BY_HOP || next_header == PROTOCOL_ROUTING ||
           next_header == PROTOCOL_FRAGMENT || next_header == PROTOCOL_DESTINATION_OPTIONS;
}

static enum gro_class classify_v6(struct gro_packet *p)
{
    const uint8_t *ip = p->bytes;
    if (p->len < IPV6_HEADER_LEN)
        return GRO_OBSCURE;
    uint8_t next_header = ip[IPV6_NEXT_HEADER_AT];
    if (is_extension(next_header))
        return GRO_OBSCURE;
    if (next_header != PROTOCOL_TCP && next_header != PROTOCOL_UDP)
        return GRO_STRANGER;
    if (IPV6_HEADER_LEN + (size_t)be_read_u16(ip + IPV6_PAYLOAD_LEN_AT) != p->len)
        return GRO_OBSCURE;
    p->upper_at = IPV6_HEADER_LEN;
    return classify_upper(p, next_header);
}

static enum gro_class classify(const struct gro *g, struct gro_packet *p)
{
    enum gro_class c = GRO_OBSCURE;
    if (p->len > 0 && p->bytes[0] >> 4 == 4)
        c = classify_v4(p);
    else if (p->len > 0 && p->bytes[0] >> 4 == 6)
        c = classify_v6(p);
    bool wanted = p->is_tcp ? g->options.tcp : g->options.udp;
    return c == GRO_CANDIDATE && !wanted ? GRO_LONER : c;
}

/* --- flows: both addresses, both ports, the protocol --- */

static struct span addresses(const struct gro_packet *p)
{
    return p->is_v4 ? span_make(p->bytes + IPV4_ADDRESSES_AT, IPV4_ADDRESSES_LEN)
                    : span_make(p->bytes + IPV6_ADDRESSES_AT, IPV6_ADDRESSES_LEN);
}

/* Tells flows apart before they are compared; who makes two of them alike gains nothing. */
static uint32_t flow_hash(const struct gro_packet *p)
{
    uint32_t ports;
    memcpy(&ports, p->bytes + p->upper_at, sizeof(ports));
    uint64_t hash = (uint64_t)ports << 1 | p->is_tcp;
    struct span a = addresses(p);
    for (size_t at = 0; at < a.len; at += 8) {
        uint64_t word;
        memcpy(&word, a.data + at, sizeof(word));
        hash = (hash ^ word) * 0x9e3779b97f4a7c15; /* 2^64 by the golden ratio: odd, bits mixed */
        hash ^= hash >> 32;
    }
    return (uint32_t)hash;
}

static bool same_flow(const struct gro_packet *a, const struct gro_packet *b)
{
    return a->is_v4 == b->is_v4 && a->is_tcp == b->is_tcp &&
           memcmp(a->bytes + a->upper_at, b->bytes + b->upper_at, 4) == 0 &&
           span_equal(addresses(a), addresses(b));
}

/* NULL where the flow has nothing open. */
static struct gro_flow *find_flow(struct gro *g, const struct gro_packet *p, uint32_t hash)
{
    for (size_t i = 0; i < g->flow_count; i++) {
        if (g->flows[i].hash == hash && same_flow(&g->packets[g->flows[i].head], p))
            return &g->flows[i];
    }
    return NULL;
}

static void open_flow(struct gro *g, uint32_t hash, uint16_t head)
{
    struct gro_flow *f;
    if (g->flow_count < GRO_FLOWS_MAX) {
        f = &g->flows[g->flow_count++];
    } else {
        f = &g->flows[g->flow_replaced];
        g->flow_replaced = (g->flow_replaced + 1) % GRO_FLOWS_MAX;
    }
    *f = (struct gro_flow){hash, head};
}

static void close_flow(struct gro *g, struct gro_flow *f)
{
    *f = g->flows[--g->flow_count];
}

/* --- what may go together --- */

static bool same_octets(const uint8_t *a, const uint8_t *b, size_t from, size_t to)
{
    return memcmp(a + from, b + from, to - from) == 0;
}

/* The n-th packet after the head: all but lengths, counters and checksums. The flow is the same
 * already. */
static bool same_ip_header(const struct gro *g, const struct gro_packet *head,
                           const struct gro_packet *p, uint16_t n)
{
    const uint8_t *a = head->bytes, *b = p->bytes;
    if (!head->is_v4) /* version, traffic class, flow label; next header, hop limit */
        return same_octets(a, b, 0, IPV6_PAYLOAD_LEN_AT) &&
               same_octets(a, b, IPV6_NEXT_HEADER_AT, IPV6_ADDRESSES_AT);
    /* version, IHL, TOS; DF, TTL, protocol */
    if (!same_octets(a, b, 0, IPV4_TOTAL_LEN_AT) ||
        !same_octets(a, b, IPV4_FLAGS_AT, IPV4_CHECKSUM_AT))
        return false;
    if (g->options.any_id && (be_read_u16(a + IPV4_FLAGS_AT) & IPV4_FLAG_DF) != 0)
        return true;
    return (uint16_t)(be_read_u16(a + IPV4_ID_AT) + n) == be_read_u16(b + IPV4_ID_AT);
}

static bool same_tcp_header(const struct gro_packet *head, const struct gro_packet *p)
{
    const uint8_t *a = head->bytes + head->upper_at, *b = p->bytes + p->upper_at;
    uint32_t sent = head->total_len - head->header_len;
    /* acknowledged, data offset; window; urgent pointer, options */
    return be_read_u32(a + TCP_SEQUENCE_AT) + sent == be_read_u32(b + TCP_SEQUENCE_AT) &&
           same_octets(a, b, TCP_SEQUENCE_AT + 4, TCP_FLAGS_AT) &&
           ((a[TCP_FLAGS_AT] ^ b[TCP_FLAGS_AT]) & ~TCP_FLAG_PSH) == 0 &&
           same_octets(a, b, TCP_FLAGS_AT + 1, TCP_CHECKSUM_AT) &&
           same_octets(a, b, TCP_CHECKSUM_AT + 2, (size_t)(head->header_len - head->upper_at));
}

/* Segments are equally long but for the last one. */
static bool has_room(const struct gro_packet *head, const struct gro_packet *p)
{
    uint32_t size = head->len - head->header_len, payload_len = p->len - p->header_len;
    return !head->closed && head->count < GRO_SEGMENTS_MAX && payload_len <= size &&
           head->total_len + payload_len <= GRO_LEN_MAX;
}

/* As the sender would have written them: the other form of a zero in a checksum, which verifies as
 * well, would not come out again. */
static bool verify(struct gro_packet *p)
{
    if (p->verified)
        return true;
    if (p->is_v4 && (checksum_finish(checksum_add(0, span_make(p->bytes, p->upper_at))) != 0 ||
                     be_read_u16(p->bytes + IPV4_CHECKSUM_AT) == 0xffff))
        return false;
    const uint8_t *upper = p->bytes + p->upper_at;
    size_t len = p->len - p->upper_at;
    if (p->is_tcp && be_read_u16(upper + TCP_CHECKSUM_AT) == 0xffff)
        return false;
    uint32_t sum = checksum_pseudo(addresses(p), p->is_tcp ? PROTOCOL_TCP : PROTOCOL_UDP, len);
    p->verified = checksum_finish(checksum_add(sum, span_make(upper, len))) == 0;
    return p->verified;
}

static bool may_append(const struct gro *g, struct gro_packet *head, struct gro_packet *p)
{
    return has_room(head, p) && same_ip_header(g, head, p, head->count) &&
           (!p->is_tcp || same_tcp_header(head, p)) && verify(head) && verify(p);
}

static void append(struct gro *g, struct gro_packet *head, struct gro_packet *p)
{
    uint16_t index = (uint16_t)(p - g->packets);
    g->packets[head->last].next = index;
    head->last = index;
    head->count++;
    head->total_len += p->len - p->header_len;
    head->closed = p->closed || p->len < head->len;
    p->count = 0;
}

/* Where to put the packet; its class is known. */
static void place(struct gro *g, struct gro_packet *p, enum gro_class c)
{
    if (c == GRO_STRANGER)
        return;
    if (c == GRO_OBSCURE) {
        g->flow_count = 0;
        return;
    }
    uint32_t hash = flow_hash(p);
    struct gro_flow *f = find_flow(g, p, hash);
    if (c == GRO_LONER) {
        if (f != NULL)
            close_flow(g, f);
    } else if (f == NULL) {
        open_flow(g, hash, p->last);
    } else if (may_append(g, &g->packets[f->head], p)) {
        append(g, &g->packets[f->head], p);
    } else {
        f->head = p->last;
    }
}

enum err gro_add(struct gro *g, uint8_t *packet, size_t len)
{
    ASSERT(g->taken == 0);
    if (g->count == GRO_PACKETS_MAX)
        return ERR_LIMIT;
    struct gro_packet *p = &g->packets[g->count];
    *p = (struct gro_packet){.bytes = packet,
                             .len = (uint32_t)len,
                             .total_len = (uint32_t)len,
                             .last = (uint16_t)g->count,
                             .count = 1};
    g->count++;
    place(g, p, classify(g, p));
    return ERR_OK;
}

/* --- taking out --- */

/* The first packet's headers become those of all of them, its checksum the pseudo-header's. */
static void write_headers(struct gro *g, struct gro_packet *head)
{
    uint8_t *ip = head->bytes, *upper = ip + head->upper_at;
    const struct gro_packet *last = &g->packets[head->last];
    size_t upper_len = head->total_len - head->upper_at;
    uint8_t protocol = head->is_tcp ? PROTOCOL_TCP : PROTOCOL_UDP;
    if (head->is_v4) {
        uint16_t gone = be_read_u16(ip + IPV4_TOTAL_LEN_AT), came = (uint16_t)head->total_len;
        be_write_u16(ip + IPV4_TOTAL_LEN_AT, came);
        be_write_u16(ip + IPV4_CHECKSUM_AT,
                     checksum_replace(be_read_u16(ip + IPV4_CHECKSUM_AT), gone, came));
    } else {
        be_write_u16(ip + IPV6_PAYLOAD_LEN_AT, (uint16_t)upper_len);
    }
    if (head->is_tcp)
        upper[TCP_FLAGS_AT] |= last->bytes[last->upper_at + TCP_FLAGS_AT] & TCP_FLAG_PSH;
    else
        be_write_u16(upper + UDP_LEN_AT, (uint16_t)upper_len);
    be_write_u16(upper + (head->is_tcp ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT),
                 checksum_fold(checksum_pseudo(addresses(head), protocol, upper_len)));
}

static void describe(struct gro *g, const struct gro_packet *head)
{
    struct vnet_header v = {.gso = VNET_GSO_NONE};
    if (head->count > 1) {
        enum vnet_gso tcp = head->is_v4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
        v = (struct vnet_header){
            .gso = head->is_tcp ? tcp : VNET_GSO_UDP_L4,
            .needs_csum = true,
            .hdr_len = head->header_len,
            .gso_size = (uint16_t)(head->len - head->header_len),
            .csum_start = head->upper_at,
            .csum_offset = head->is_tcp ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT,
        };
    }
    vnet_write(&v, g->vnet);
}

bool gro_next(struct gro *g, struct gro_write *ret)
{
    while (g->taken < g->count && g->packets[g->taken].count == 0)
        g->taken++;
    if (g->taken == g->count) {
        clear(g);
        return false;
    }
    struct gro_packet *head = &g->packets[g->taken++];
    describe(g, head);
    ret->spans[0] = SPAN_OF(g->vnet);
    ret->spans[1] = span_make(head->bytes, head->len);
    ret->count = 2;
    const struct gro_packet *p = head;
    for (uint16_t n = 1; n < head->count; n++) {
        p = &g->packets[p->next];
        ret->spans[ret->count++] = span_make(p->bytes + p->header_len, p->len - p->header_len);
    }
    if (head->count > 1)
        write_headers(g, head);
    ret->packets = head->count;
    ret->len = VNET_HEADER_LEN + head->total_len;
    return true;
}
