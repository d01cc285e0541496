/* Segmentation, against packets made one by one by other code (tests/support/packets.c): every
 * segment is what a sender without offloads would have sent. */
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/packet/gso.h"
#include "tests/support/packets.h"
#include "tests/support/support.h"

enum { BIG = 66000, SEGMENT = 4096 };

static uint8_t payload[BIG], big[BIG], part[BIG];

static const uint8_t timestamps[] = {1, 1, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7};
static const uint8_t router_alert[] = {0x94, 4, 0, 0};
static const uint8_t destination_options_tcp[] = {6, 0, 1, 4, 0, 0, 0, 0};
static const uint8_t two_extensions_udp[] = {60, 0, 5, 2, 0, 0, 1, 0, 17, 1, 1, 12,
                                             0,  0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0};

static const struct packet_recipe tcp4 = {
    .host = 7,
    .tos = 0xb9,
    .ttl = 63,
    .flags = PACKETS_V4_DF,
    .id = 0xfffe, /* wraps */
    .source_port = 50000,
    .destination_port = 443,
    .sequence = 0xfffffa00, /* so does this */
    .acknowledged = 0x12345678,
    .tcp_flags = PACKETS_TCP_ACK | PACKETS_TCP_CWR | PACKETS_TCP_ECE | PACKETS_TCP_PSH |
                 PACKETS_TCP_FIN | PACKETS_TCP_URG,
    .window = 0x0fa0,
    .urgent = 5,
    .tcp_options = {timestamps, sizeof(timestamps)},
};

static void fill_payload(void)
{
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 131 + (i >> 8) * 29 + 7);
}

static struct vnet_header vnet_of(const struct packet_recipe *r, uint16_t gso_size)
{
    uint16_t upper_at = (uint16_t)(r->v6 ? 40 + r->options.len : 20 + r->options.len);
    enum vnet_gso tcp = r->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
    return (struct vnet_header){
        .gso = r->udp ? VNET_GSO_UDP_L4 : tcp,
        .ecn = !r->udp && (r->tcp_flags & PACKETS_TCP_CWR) != 0,
        .needs_csum = true,
        .hdr_len = 3, /* wrong, as on forwarded packets */
        .gso_size = gso_size,
        .csum_start = upper_at,
        .csum_offset = r->udp ? 6 : 16,
    };
}

/* The i-th segment as its sender would have made it. */
static size_t make_part(const struct packet_recipe *r, size_t i, size_t size, uint8_t *out)
{
    struct packet_recipe p = *r;
    size_t at = i * size, left = r->payload.len - at;
    p.payload = span_make(r->payload.data + at, left < size ? left : size);
    p.id = (uint16_t)(r->id + i);
    p.sequence = r->sequence + (uint32_t)at;
    if (i > 0)
        p.tcp_flags &= (uint8_t)~PACKETS_TCP_CWR;
    if (left > size)
        p.tcp_flags &= (uint8_t)(~PACKETS_TCP_FIN & ~PACKETS_TCP_PSH);
    return packets_make(&p, out);
}

/* One of the ways to have a segment in one run of octets. */
enum way { SPANS, JOINED };

static struct span take(struct gso *g, const struct gso_segment *s, enum way way)
{
    static uint8_t out[BIG];
    if (way == JOINED)
        return gso_join(g, s);
    memcpy(out, s->header.data, s->header.len);
    memcpy(out + s->header.len, s->payload.data, s->payload.len);
    return span_make(out, s->header.len + s->payload.len);
}

static void check_cut(const struct packet_recipe *r, const struct vnet_header *v, enum way way)
{
    size_t len = packets_make(r, big), i = 0;
    size_t count = (r->payload.len + v->gso_size - 1) / v->gso_size;
    if (v->needs_csum)
        packets_make_partial(r, big, len);
    uint8_t *exact = support_exact_copy(span_make(big, len));
    struct gso g;
    struct gso_segment s;
    ck_ok(gso_begin(&g, v, exact, len));
    size_t longest = gso_packet_max(&g);
    for (; gso_next(&g, &s); i++) {
        ck_assert_uint_eq(gso_left(&g), count - i - 1);
        struct span got = take(&g, &s, way);
        const char *fault = packets_fault(got);
        ck_assert_msg(fault == NULL, "segment %zu: %s", i, fault);
        ck_span_eq(got, span_make(part, make_part(r, i, v->gso_size, part)));
        ck_assert_uint_le(s.payload.len, v->gso_size);
        ck_assert_uint_le(got.len, longest);
        ck_assert(i > 0 || got.len == longest);
    }
    ck_assert_uint_eq(i, count);
    ck_assert(!gso_next(&g, &s));
    free(exact);
}

static void check_ways(const struct packet_recipe *r, uint16_t gso_size)
{
    struct vnet_header v = vnet_of(r, gso_size);
    for (enum way way = SPANS; way <= JOINED; way++)
        check_cut(r, &v, way);
}

START_TEST(tcp_over_ipv4)
{
    struct packet_recipe r = tcp4;
    for (size_t len = 1; len < 5000; len += len < 8 ? 1 : 277) {
        r.payload = span_make(payload, len);
        check_ways(&r, 1448);
        check_ways(&r, 500);
    }
    r.payload = span_make(payload, 65535 - packets_header_len(&r));
    check_ways(&r, 1448);
    check_ways(&r, 40); /* the header does not fit between two payloads */
    check_ways(&r, 65535);
}
END_TEST

START_TEST(tcp_over_ipv6)
{
    struct packet_recipe r = tcp4;
    r.v6 = true;
    r.flow_label = 0xabcde;
    r.payload = span_make(payload, 65575 - packets_header_len(&r));
    check_ways(&r, 1428);
    r.payload = span_make(payload, 3001);
    check_ways(&r, 1000);
    check_ways(&r, 3001);
}
END_TEST

START_TEST(udp_over_both)
{
    struct packet_recipe r = tcp4;
    r.udp = true;
    for (int v6 = 0; v6 < 2; v6++) {
        r.v6 = v6;
        for (size_t len = 1; len < 5000; len += 311) {
            r.payload = span_make(payload, len);
            check_ways(&r, 1200);
            check_ways(&r, 7);
        }
    }
}
END_TEST

START_TEST(options_and_extension_headers)
{
    struct packet_recipe r = tcp4;
    r.payload = span_make(payload, 3000);
    r.options = SPAN_OF(router_alert);
    check_ways(&r, 1000);
    r.v6 = true;
    r.first_extension = 60;
    r.options = SPAN_OF(destination_options_tcp);
    check_ways(&r, 999);
    r.udp = true;
    r.first_extension = 0;
    r.options = SPAN_OF(two_extensions_udp);
    check_ways(&r, 1001);
}
END_TEST

/* With a routing header the pseudo-header has the last address of the way (RFC 8200 8.1). The
 * kernel's partial sum says so, and nothing else does. */
START_TEST(a_routing_header_on_its_way)
{
    uint8_t routing[24] = {6, 2, 2, 1, [8] = 0xfd, [23] = 0x99};
    struct packet_recipe r = tcp4;
    r.v6 = true;
    r.first_extension = 43;
    r.options = SPAN_OF(routing);
    r.payload = span_make(payload, 2500);
    size_t len = packets_make(&r, big), n = 0;
    struct span last_hop = span_make(routing + 8, 16);
    /* the sum as though the last hop were the destination */
    uint16_t sum = packets_sum((uint32_t)(len - 64) + 6, span_make(big + 8, 16));
    sum = packets_sum(sum, last_hop);
    be_write_u16(big + 64 + 16, sum);
    struct vnet_header v = vnet_of(&r, 1000);
    struct gso g;
    struct gso_segment s;
    ck_ok(gso_begin(&g, &v, big, len));
    for (; gso_next(&g, &s); n++) {
        struct span got = take(&g, &s, SPANS);
        sum = packets_sum((uint32_t)(got.len - 64) + 6, span_make(got.data + 8, 16));
        sum = packets_sum(sum, last_hop);
        ck_assert_uint_eq(packets_sum(sum, span_make(got.data + 64, got.len - 64)), 0xffff);
    }
    ck_assert_uint_eq(n, 3);
    v.needs_csum = false;
    v.data_valid = true;
    ck_err(gso_begin(&g, &v, big, len), ERR_UNSUPPORTED);
}
END_TEST

START_TEST(a_verified_checksum_instead_of_a_partial_one)
{
    struct packet_recipe r = tcp4;
    r.payload = span_make(payload, 3000);
    for (int i = 0; i < 4; i++) {
        r.v6 = i & 1;
        r.udp = i & 2;
        struct vnet_header v = {.gso = vnet_of(&r, 1).gso, .data_valid = true, .gso_size = 1100};
        check_cut(&r, &v, SPANS);
    }
}
END_TEST

/* RFC 768: a UDP checksum that comes out as zero is sent as all ones. */
START_TEST(a_udp_checksum_is_never_zero)
{
    struct packet_recipe r = tcp4;
    uint8_t text[32] = {0};
    r.udp = true;
    for (int v6 = 0; v6 < 2; v6++) {
        r.v6 = v6;
        memset(text, 0, sizeof(text));
        for (size_t i = 0; i < 2; i++) { /* in each of both segments */
            r.payload = SPAN_OF(text);
            size_t field = (v6 ? 40 : 20) + 6;
            make_part(&r, i, 16, part);
            memcpy(text + i * 16, part + field, 2);
            make_part(&r, i, 16, part);
            ck_assert(part[field] == 0xff && part[field + 1] == 0xff);
        }
        check_ways(&r, 16);
        /* nor in a packet that is not cut */
        r.payload = span_make(text, 16);
        size_t len = packets_make(&r, part);
        memcpy(big, part, len);
        packets_make_partial(&r, big, len);
        struct vnet_header v = {.needs_csum = true, .csum_start = v6 ? 40 : 20, .csum_offset = 6};
        struct gso g;
        ck_ok(gso_begin(&g, &v, big, len));
        ck_assert_mem_eq(big, part, len);
    }
}
END_TEST

START_TEST(a_packet_that_is_not_cut)
{
    struct packet_recipe r = tcp4;
    r.payload = span_make(payload, 1301);
    for (int i = 0; i < 8; i++) {
        r.v6 = i & 1;
        r.udp = i & 2;
        size_t len = packets_make(&r, part);
        memcpy(big, part, len);
        struct vnet_header v = {.gso = VNET_GSO_NONE};
        if (i & 4) {
            v = vnet_of(&r, 0);
            v.gso = VNET_GSO_NONE;
            v.ecn = false;
            packets_make_partial(&r, big, len);
            ck_assert_mem_ne(big, part, len);
        }
        struct gso g;
        struct gso_segment s;
        ck_ok(gso_begin(&g, &v, big, len));
        ck_assert_uint_eq(gso_left(&g), 1);
        ck_assert_uint_eq(gso_packet_max(&g), len);
        ck_assert(gso_next(&g, &s));
        ck_span_eq(take(&g, &s, SPANS), span_make(part, len));
        ck_span_eq(gso_join(&g, &s), span_make(part, len));
        ck_assert_ptr_eq(s.payload.data, big);
        ck_assert(!gso_next(&g, &s));
    }
    /* what is no IP packet is not ours to judge, as long as nothing is to be done to it */
    struct gso g;
    struct gso_segment s;
    ck_ok(gso_begin(&g, &(struct vnet_header){.gso = VNET_GSO_NONE}, big, 1));
    ck_assert(gso_next(&g, &s));
    ck_assert_uint_eq(s.payload.len, 1);
    ck_err(gso_begin(&g, &(struct vnet_header){.gso = VNET_GSO_NONE}, big, 0), ERR_MALFORMED);
}
END_TEST

/* --- what does not agree --- */

static enum err begin_exact(const struct vnet_header *v, const uint8_t *packet, size_t len)
{
    struct gso g;
    uint8_t *exact = support_exact_copy(span_make(packet, len));
    enum err e = gso_begin(&g, v, exact, len);
    if (e != ERR_OK && len > 0)
        ck_assert_mem_eq(exact, packet, len);
    free(exact);
    return e;
}

START_TEST(a_header_that_does_not_fit_the_packet)
{
    struct packet_recipe r = tcp4;
    r.payload = span_make(payload, 2000);
    size_t len = packets_make(&r, big);
    const struct vnet_header good = vnet_of(&r, 1000);
    ck_ok(begin_exact(&good, big, len));
    struct vnet_header v = good;
    v.gso = VNET_GSO_TCPV6;
    ck_err(begin_exact(&v, big, len), ERR_MALFORMED);
    v.gso = VNET_GSO_UDP_L4;
    ck_err(begin_exact(&v, big, len), ERR_MALFORMED);
    v = good;
    v.csum_offset = 6;
    ck_err(begin_exact(&v, big, len), ERR_MALFORMED);
    static const uint16_t starts[] = {0, 19, 21, 24, 40, 2051, 65535};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        v = good;
        v.csum_start = starts[i];
        ck_err(begin_exact(&v, big, len), ERR_MALFORMED);
    }
    for (size_t cut = 0; cut < len; cut++)
        ck_err(begin_exact(&good, big, cut), ERR_MALFORMED);
    ck_err(begin_exact(&good, big, len + 1), ERR_MALFORMED);
    r.v6 = true;
    len = packets_make(&r, big);
    v = vnet_of(&r, 1000);
    ck_ok(begin_exact(&v, big, len));
    v.gso = VNET_GSO_TCPV4;
    ck_err(begin_exact(&v, big, len), ERR_MALFORMED);
}
END_TEST

START_TEST(a_checksum_beyond_the_packet)
{
    struct packet_recipe r = tcp4;
    r.payload = span_make(payload, 100);
    size_t len = packets_make(&r, big);
    for (uint32_t start = 0; start < 300; start++) {
        struct vnet_header v = {
            .needs_csum = true, .csum_start = (uint16_t)start, .csum_offset = 16};
        ck_err(begin_exact(&v, big, len),
               start >= 20 && start + 18 <= len ? ERR_OK : ERR_MALFORMED);
        v.csum_offset = (uint16_t)(65535 - start);
        ck_err(begin_exact(&v, big, len), ERR_MALFORMED);
    }
    struct vnet_header v = {.needs_csum = true, .csum_start = 65535, .csum_offset = 65535};
    ck_err(begin_exact(&v, big, len), ERR_MALFORMED);
    v = (struct vnet_header){.needs_csum = true, .csum_start = 20, .csum_offset = 16};
    big[0] = 0x55;
    ck_err(begin_exact(&v, big, len), ERR_MALFORMED);
}
END_TEST

START_TEST(packets_that_cannot_be_cut)
{
    struct packet_recipe r = tcp4;
    r.payload = span_make(payload, 2000);
    struct vnet_header v = vnet_of(&r, 1000);
    static const struct {
        uint16_t ip_flags;
        uint8_t tcp_flags, data_offset;
    } cases[] = {
        {0x2000, 0x10, 0},    /* more fragments */
        {0x0001, 0x10, 0},    /* a later fragment */
        {0x4000, 0x02, 0},    /* SYN */
        {0x4000, 0x14, 0},    /* RST */
        {0x4000, 0x10, 0x40}, /* a data offset within the header */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r.flags = cases[i].ip_flags;
        r.tcp_flags = cases[i].tcp_flags;
        size_t len = packets_make(&r, big);
        if (cases[i].data_offset != 0)
            big[20 + 12] = cases[i].data_offset;
        ck_err(begin_exact(&v, big, len), ERR_MALFORMED);
    }
    r.flags = 0;
    r.tcp_flags = 0x10;
    ck_ok(begin_exact(&v, big, packets_make(&r, big)));
    r.payload = SPAN_EMPTY;
    ck_err(begin_exact(&v, big, packets_make(&r, big)), ERR_MALFORMED);
    r.udp = true;
    v = vnet_of(&r, 1000);
    ck_err(begin_exact(&v, big, packets_make(&r, big)), ERR_MALFORMED);
    /* a TCP header that is cut short */
    r.udp = false;
    v = vnet_of(&r, 1000);
    packets_make(&r, big);
    big[2] = 0;
    big[3] = 20 + 19;
    ck_err(begin_exact(&v, big, 20 + 19), ERR_MALFORMED);
    /* a fragment header that is the whole packet's */
    static const uint8_t fragment[] = {6, 0, 0, 0, 0, 0, 0, 1};
    r = tcp4;
    r.v6 = true;
    r.first_extension = 44;
    r.options = SPAN_OF(fragment);
    r.payload = span_make(payload, 2000);
    v = vnet_of(&r, 1000);
    ck_err(begin_exact(&v, big, packets_make(&r, big)), ERR_MALFORMED);
    /* more headers than are kept */
    static uint8_t long_options[448];
    for (uint8_t units = 55; units <= 56; units++) { /* 40 + 440 + 32 octets, and 8 more */
        memset(long_options, 0, sizeof(long_options));
        memcpy(long_options, (uint8_t[]){6, (uint8_t)(units - 1), 1, 252}, 4);
        r.first_extension = 60;
        r.options = span_make(long_options, 8u * units);
        v = vnet_of(&r, 1000);
        ck_assert_uint_eq(packets_header_len(&r) > GSO_HEADER_MAX, units == 56);
        ck_err(begin_exact(&v, big, packets_make(&r, big)), units == 56 ? ERR_LIMIT : ERR_OK);
    }
}
END_TEST

/* --- anything --- */

START_TEST(random_packets)
{
    uint64_t seed = 0x650;
    static uint8_t options[40];
    memset(options, 1, sizeof(options));
    for (int round = 0; round < 1200; round++) {
        struct packet_recipe r = {
            .v6 = packets_below(&seed, 2),
            .udp = packets_below(&seed, 2),
            .host = (uint8_t)packets_random(&seed),
            .tos = (uint8_t)packets_random(&seed),
            .ttl = (uint8_t)packets_random(&seed),
            .flags = packets_below(&seed, 2) ? PACKETS_V4_DF : 0,
            .id = (uint16_t)packets_random(&seed),
            .flow_label = (uint32_t)packets_random(&seed),
            .source_port = (uint16_t)packets_random(&seed),
            .destination_port = (uint16_t)packets_random(&seed),
            .sequence = (uint32_t)packets_random(&seed),
            .acknowledged = (uint32_t)packets_random(&seed),
            .tcp_flags = (uint8_t)(packets_random(&seed) & 0xf9), /* neither SYN nor RST */
            .window = (uint16_t)packets_random(&seed),
            .urgent = (uint16_t)packets_random(&seed),
            .tcp_options = span_make(options, 4 * packets_below(&seed, 11)),
        };
        if (!r.v6)
            r.options = span_make(options, 4 * packets_below(&seed, 11));
        size_t len = 1 + packets_below(&seed, packets_below(&seed, 10) == 0 ? 65000 : 6000);
        r.payload = span_make(payload + packets_below(&seed, 64), len);
        size_t room = 65535 - packets_header_len(&r);
        if (r.payload.len > room)
            r.payload.len = room;
        struct vnet_header v = vnet_of(&r, (uint16_t)(1 + packets_below(&seed, 1500)));
        if (r.payload.len / v.gso_size < 200)
            check_cut(&r, &v, (enum way)packets_below(&seed, 2));
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("packet GSO");
    TCase *c = tcase_create("segments");
    tcase_add_unchecked_fixture(c, fill_payload, NULL);
    tcase_add_test(c, tcp_over_ipv4);
    tcase_add_test(c, tcp_over_ipv6);
    tcase_add_test(c, udp_over_both);
    tcase_add_test(c, options_and_extension_headers);
    tcase_add_test(c, a_routing_header_on_its_way);
    tcase_add_test(c, a_verified_checksum_instead_of_a_partial_one);
    tcase_add_test(c, a_udp_checksum_is_never_zero);
    tcase_add_test(c, a_packet_that_is_not_cut);
    tcase_add_test(c, random_packets);
    suite_add_tcase(s, c);
    c = tcase_create("refused");
    tcase_add_unchecked_fixture(c, fill_payload, NULL);
    tcase_add_test(c, a_header_that_does_not_fit_the_packet);
    tcase_add_test(c, a_checksum_beyond_the_packet);
    tcase_add_test(c, packets_that_cannot_be_cut);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
