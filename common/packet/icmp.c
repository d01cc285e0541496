/* The answer to a packet that does not fit the tunnel: ICMP "fragmentation needed" with the next
 * hop's MTU (RFC 792, RFC 1191 4), ICMPv6 "packet too big" (RFC 4443 3.2). It is written into a
 * buffer of the caller's and quotes as much of the packet as its kind allows. Headers are read in
 * packet.c. */
#include "common/base/wire.h"
#include "common/packet/packet.h"
#include "common/packet/protocol.h"

enum {
    ICMP_HEADER_LEN = 8,
    ICMP_MAX = 576, /* the whole answer, RFC 1812 4.3.2.3 */
    ICMP_TTL = 64,
    ICMP_TOS = 0xc0, /* internetwork control, RFC 1812 4.3.2.5 */
    ICMP_UNREACHABLE = 3,
    ICMP_FRAGMENTATION_NEEDED = 4, /* a code of the above */
    ICMPV6_MAX = 1280,             /* the smallest IPv6 MTU, RFC 4443 3.2 */
    ICMPV6_PACKET_TOO_BIG = 2,
    ICMPV6_REDIRECT = 137,
    ICMP_CHECKSUM_AT = 2 /* from the ICMP header's start, both families */
};

/* RFC 1122 3.2.2: never an error about an error. */
static bool is_icmp_error(uint8_t type)
{
    return type == ICMP_UNREACHABLE || type == 4 /* source quench */ || type == 5 /* redirect */ ||
           type == 11 /* time exceeded */ || type == 12 /* parameter problem */;
}

/* RFC 4443 2.1: types below 128 are errors; 2.4 (e.2) adds the redirect. */
static bool is_icmpv6_error(uint8_t type)
{
    return type < 128 || type == ICMPV6_REDIRECT;
}

/* RFC 1812 4.3.2.7 and RFC 4443 2.4 (e): only to a source that is one host, and, because the
 * answer is to come from the packet's destination, only where that is one host, too. */
static bool may_answer(struct span packet, const struct ip_header *h)
{
    if (h->later_fragment || ip_is_unspecified(&h->source) || ip_is_loopback(&h->source) ||
        ip_is_multicast(&h->source) || ip_is_unspecified(&h->destination) ||
        ip_is_multicast(&h->destination))
        return false;
    uint8_t icmp_type = (uint8_t)(h->source_port >> 8);
    if (h->source.family == IP_V6)
        return h->protocol != PROTOCOL_ICMPV6 || !is_icmpv6_error(icmp_type);
    bool may_fragment = (packet.data[6] & 0x40) == 0;
    bool broadcast = h->source.bytes[0] >= 240 || h->destination.bytes[0] >= 240;
    return !may_fragment && !broadcast &&
           (h->protocol != PROTOCOL_ICMP || !is_icmp_error(icmp_type));
}

static void write_v4(struct wire_writer *w, const struct ip_header *h, struct span quote,
                     uint16_t mtu)
{
    wire_write_u8(w, 0x45);
    wire_write_u8(w, ICMP_TOS);
    wire_write_u16(w, (uint16_t)(IPV4_HEADER_LEN + ICMP_HEADER_LEN + quote.len));
    wire_write_u16(w, 0);      /* identification: it is never fragmented */
    wire_write_u16(w, 0x4000); /* DF */
    wire_write_u8(w, ICMP_TTL);
    wire_write_u8(w, PROTOCOL_ICMP);
    wire_write_u16(w, 0); /* header checksum, below */
    wire_write_span(w, ip_span(&h->destination));
    wire_write_span(w, ip_span(&h->source));
    wire_write_u8(w, ICMP_UNREACHABLE);
    wire_write_u8(w, ICMP_FRAGMENTATION_NEEDED);
    wire_write_u16(w, 0); /* checksum, below */
    wire_write_u16(w, 0); /* unused */
    wire_write_u16(w, mtu);
    wire_write_span(w, quote);
    if (w->failed)
        return;
    struct span header = span_make(w->data, IPV4_HEADER_LEN);
    wire_patch_u16(w, 10, checksum_finish(checksum_add(0, header)));
    struct span icmp = span_make(w->data + IPV4_HEADER_LEN, ICMP_HEADER_LEN + quote.len);
    wire_patch_u16(w, IPV4_HEADER_LEN + ICMP_CHECKSUM_AT, checksum_finish(checksum_add(0, icmp)));
}

static void write_v6(struct wire_writer *w, const struct ip_header *h, struct span quote,
                     uint16_t mtu)
{
    size_t icmp_len = ICMP_HEADER_LEN + quote.len;
    wire_write_u32(w, 0x60000000);
    wire_write_u16(w, (uint16_t)icmp_len);
    wire_write_u8(w, PROTOCOL_ICMPV6);
    wire_write_u8(w, ICMP_TTL);
    wire_write_span(w, ip_span(&h->destination));
    wire_write_span(w, ip_span(&h->source));
    wire_write_u8(w, ICMPV6_PACKET_TOO_BIG);
    wire_write_u8(w, 0);
    wire_write_u16(w, 0); /* checksum, below */
    wire_write_u32(w, mtu);
    wire_write_span(w, quote);
    if (w->failed)
        return;
    /* The pseudo-header's addresses lie before the ICMP header already; its length and next header
     * words are numbers (RFC 8200 8.1). */
    uint32_t sum = (uint32_t)icmp_len + PROTOCOL_ICMPV6;
    sum = checksum_add(sum, span_make(w->data + 8, 32 + icmp_len));
    wire_patch_u16(w, IPV6_HEADER_LEN + ICMP_CHECKSUM_AT, checksum_finish(sum));
}

enum err packet_too_big(struct span packet, uint16_t mtu, uint8_t *out, size_t out_cap,
                        size_t *ret_len)
{
    struct ip_header h;
    enum err e = ip_header_parse(packet, &h);
    if (e != ERR_OK)
        return e;
    if (!may_answer(packet, &h))
        return ERR_REFUSED;
    bool v4 = h.source.family == IP_V4;
    size_t quote_max = v4 ? ICMP_MAX - IPV4_HEADER_LEN - ICMP_HEADER_LEN
                          : ICMPV6_MAX - IPV6_HEADER_LEN - ICMP_HEADER_LEN;
    struct span quote = span_make(packet.data, h.total_len < quote_max ? h.total_len : quote_max);
    struct wire_writer w;
    wire_writer_init(&w, out, out_cap);
    if (v4)
        write_v4(&w, &h, quote, mtu);
    else
        write_v6(&w, &h, quote, mtu);
    e = wire_write_finish(&w);
    if (e == ERR_OK)
        *ret_len = w.len;
    return e;
}
