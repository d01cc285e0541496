/* Packets of a flow, a batch of them to be coalesced, and the writes that it became. */
#ifndef TERN_TESTS_GRO_SCENE_H
#define TERN_TESTS_GRO_SCENE_H

#include "common/packet/gro.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/packets.h"
#include "tests/support/support.h"

enum { SIZE = 100, ADDED_MAX = GRO_PACKETS_MAX, WRITES_MAX = GRO_PACKETS_MAX, BIG = 66000 };

static const struct gro_options all = {.tcp = true, .udp = true};
static uint8_t payload[BIG], scratch[BIG], expected[BIG];

/* A batch: packets in buffers of exactly their size, and the writes that they became. */
static struct gro gro;
static struct added {
    uint8_t *bytes, *original;
    size_t len;
} added[ADDED_MAX];
static size_t added_count;
static struct written {
    uint8_t *bytes;
    size_t len, packets;
} written[WRITES_MAX];
static size_t written_count;

static void forget(void)
{
    for (size_t i = 0; i < added_count; i++) {
        free(added[i].bytes);
        free(added[i].original);
    }
    for (size_t i = 0; i < written_count; i++)
        free(written[i].bytes);
    added_count = written_count = 0;
}

static void begin(const struct gro_options *o)
{
    forget();
    gro_begin(&gro, o);
}

static void add_bytes(const uint8_t *bytes, size_t len)
{
    struct added *a = &added[added_count++];
    a->bytes = support_exact_copy(span_make(bytes, len));
    a->original = support_exact_copy(span_make(bytes, len));
    a->len = len;
    ck_ok(gro_add(&gro, a->bytes, len));
}

static void add(const struct packet_recipe *r)
{
    add_bytes(scratch, packets_make(r, scratch));
}

static void take(void)
{
    struct gro_write w;
    while (gro_next(&gro, &w)) {
        struct written *out = &written[written_count++];
        *out = (struct written){malloc(w.len), 0, w.packets};
        ck_assert_ptr_nonnull(out->bytes);
        ck_assert_uint_eq(w.count, 1 + w.packets);
        for (size_t i = 0; i < w.count; i++) {
            ck_assert_uint_le(out->len + w.spans[i].len, w.len);
            memcpy(out->bytes + out->len, w.spans[i].data, w.spans[i].len);
            out->len += w.spans[i].len;
        }
        ck_assert_uint_eq(out->len, w.len);
    }
}

static void setup(void)
{
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 131 + (i >> 8) * 29 + 7);
    begin(&all);
}

static const uint8_t timestamps[] = {1, 1, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7};

/* What there is of every field. */
static struct packet_recipe flow(bool v6, bool udp)
{
    return (struct packet_recipe){
        .v6 = v6,
        .udp = udp,
        .host = 7,
        .tos = 0xb9,
        .ttl = 63,
        .flags = PACKETS_V4_DF,
        .id = 0x1234,
        .flow_label = 0xabcde,
        .source_port = 443,
        .destination_port = 50000,
        .sequence = 0x10000000,
        .acknowledged = 0x12345678,
        .tcp_flags = PACKETS_TCP_ACK,
        .window = 0x0fa0,
        .tcp_options = {timestamps, sizeof(timestamps)},
        .payload = {payload, SIZE},
    };
}

/* On to the flow's next packet, with that much payload. */
static void advance(struct packet_recipe *r, size_t len)
{
    r->id++;
    r->sequence += (uint32_t)r->payload.len;
    r->payload = span_make(r->payload.data + r->payload.len, len);
}

/* The i-th write is those of packets `from`.. put together, as one large packet of that recipe. */
static void check_joined(size_t i, const struct packet_recipe *first, size_t len, size_t count)
{
    struct packet_recipe r = *first;
    uint16_t size = (uint16_t)r.payload.len, upper_at = r.v6 ? 40 : 20;
    enum vnet_gso tcp = r.v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
    struct vnet_header v;
    r.payload.len = len;
    ck_assert_uint_lt(i, written_count);
    const struct written *w = &written[i];
    ck_assert_uint_eq(w->packets, count);
    ck_ok(vnet_parse(span_make(w->bytes, w->len), &v));
    ck_assert_uint_eq(v.gso, r.udp ? VNET_GSO_UDP_L4 : tcp);
    ck_assert(v.needs_csum && !v.data_valid && !v.ecn);
    ck_assert_uint_eq(v.hdr_len, packets_header_len(&r));
    ck_assert_uint_eq(v.gso_size, size);
    ck_assert_uint_eq(v.csum_start, upper_at);
    ck_assert_uint_eq(v.csum_offset, r.udp ? 6 : 16);
    size_t expected_len = packets_make(&r, expected);
    packets_make_partial(&r, expected, expected_len);
    ck_span_eq(span_make(w->bytes + VNET_HEADER_LEN, w->len - VNET_HEADER_LEN),
               span_make(expected, expected_len));
}

/* The i-th write is that packet, as it came. */
static void check_alone(size_t i, size_t which)
{
    static const uint8_t nothing[VNET_HEADER_LEN];
    ck_assert_uint_lt(i, written_count);
    const struct written *w = &written[i];
    ck_assert_uint_eq(w->packets, 1);
    ck_assert_uint_eq(w->len, VNET_HEADER_LEN + added[which].len);
    ck_assert_mem_eq(w->bytes, nothing, VNET_HEADER_LEN);
    if (added[which].len > 0)
        ck_assert_mem_eq(w->bytes + VNET_HEADER_LEN, added[which].original, added[which].len);
}

static void check_all_alone(void)
{
    take();
    ck_assert_uint_eq(written_count, added_count);
    for (size_t i = 0; i < added_count; i++)
        check_alone(i, i);
}

static void add_case(Suite *suite, TCase **t, const char *name)
{
    *t = tcase_create(name);
    tcase_add_checked_fixture(*t, setup, forget);
    suite_add_tcase(suite, *t);
}

#endif
