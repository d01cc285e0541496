/* Frames of the kernel's, cut and sealed into trains: what the other end opens is what an
 * independent maker of packets would have sent, and trains are what the kernel takes for such. */
#include "common/esp/outbound.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/packets.h"
#include "tests/support/support.h"

enum { PAYLOAD = 65000, FRAME_MAX = VNET_HEADER_LEN + 65535 };

static const struct aead_suite gcm = {ENCR_AES_GCM_16, 128, INTEG_NONE};
static const struct aead_suite cbc = {ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128};

static struct tunnel *here, *there;
static struct outbound *out;
static uint8_t payload[PAYLOAD], frame[FRAME_MAX];
static uint8_t *payload_at; /* what of it has been opened */
static size_t opened;
static const struct tunnel_child_parameters *bounded; /* NULL: a child without bounds */

static struct tunnel *tunnel_of(const struct aead_suite *suite, uint32_t spi, bool ours)
{
    struct tunnel_child_parameters p = {.in = {.spi = spi, .suite = *suite}};
    struct tunnel *t;
    struct prefix all;
    size_t enc_len, integ_len;
    aead_key_lens(suite, &enc_len, &integ_len);
    p.in.enc_key.len = enc_len;
    p.in.integ_key.len = integ_len;
    p.out = p.in;
    ck_ok(prefix_parse("0.0.0.0/0", &all));
    struct selector v4 = selector_from_prefix(&all);
    ck_ok(prefix_parse("::/0", &all));
    struct selector v6 = selector_from_prefix(&all);
    ck_ok(selector_list_add(&p.local, &v4));
    ck_ok(selector_list_add(&p.local, &v6));
    p.remote = p.local;
    p.copy_dscp = true;
    if (bounded != NULL) {
        p.soft_bytes = bounded->soft_bytes;
        p.hard_bytes = bounded->hard_bytes;
        p.soft_packets = bounded->soft_packets;
        p.hard_packets = bounded->hard_packets;
    }
    if (ours && here != NULL)
        t = here;
    else
        ck_ok(tunnel_new(&t));
    ck_ok(tunnel_add_child(t, &p));
    return t;
}

static void setup(void)
{
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 131 + (i >> 8) * 29 + 7);
    payload_at = payload;
    opened = 0;
    here = there = NULL;
    out = calloc(1, sizeof(*out));
    ck_assert_ptr_nonnull(out);
    outbound_begin(out);
}

static void teardown(void)
{
    tunnel_free(here);
    tunnel_free(there);
    free(out);
}

static void between(const struct aead_suite *suite)
{
    here = tunnel_of(suite, 0x1001, true);
    there = tunnel_of(suite, 0x1001, false);
}

static struct packet_recipe flow(bool v6, size_t payload_len)
{
    return (struct packet_recipe){.v6 = v6,
                                  .tos = 0xb8 | 2,
                                  .ttl = 64,
                                  .flags = PACKETS_V4_DF,
                                  .id = 77,
                                  .source_port = 40000,
                                  .destination_port = 443,
                                  .sequence = 0xfffff000,
                                  .acknowledged = 9,
                                  .tcp_flags = PACKETS_TCP_ACK | PACKETS_TCP_PSH,
                                  .window = 500,
                                  .payload = span_make(payload, payload_len)};
}

/* As the TUN would give it; gso_size 0: a packet, whole. */
static size_t frame_of(const struct packet_recipe *r, uint16_t gso_size)
{
    size_t len = packets_make(r, frame + VNET_HEADER_LEN);
    struct vnet_header v = {.gso = VNET_GSO_NONE};
    if (gso_size != 0)
        v = (struct vnet_header){.gso = r->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4,
                                 .needs_csum = true,
                                 .hdr_len = (uint16_t)packets_header_len(r),
                                 .gso_size = gso_size,
                                 .csum_start = r->v6 ? 40 : 20,
                                 .csum_offset = 16};
    if (v.needs_csum)
        packets_make_partial(r, frame + VNET_HEADER_LEN, len);
    vnet_write(&v, frame);
    return VNET_HEADER_LEN + len;
}

/* In a buffer that holds the frame and nothing more. */
static void add_exact(size_t len, size_t *ret_dropped)
{
    uint8_t *exact = support_exact_copy(span_make(frame, len));
    ck_ok(outbound_add(out, here, exact, len, ret_dropped));
    free(exact);
}

static void ck_train(const struct outbound_train *t)
{
    ck_assert_uint_ge(t->count, 1);
    ck_assert_uint_le(t->count, OUTBOUND_DATAGRAMS_MAX);
    ck_assert_uint_le(t->len, OUTBOUND_TRAIN_LEN_MAX);
    ck_assert_uint_gt(t->len, (t->count - 1) * t->segment);
    ck_assert_uint_le(t->len, t->count * t->segment);
}

/* Opens all that is there, each datagram valid, and its payload what comes next. */
static void open_all(size_t header_len)
{
    for (size_t i = 0; i < out->count; i++) {
        const struct outbound_train *t = &out->trains[i];
        ck_train(t);
        for (size_t at = 0; at < t->len; at += t->segment) {
            size_t len = t->len - at < t->segment ? t->len - at : t->segment;
            struct packet p = {.data = t->data + at, .cap = len, .len = len, .tos = t->tos};
            struct tunnel_result result;
            tunnel_open(there, &p, &result, 1);
            ck_ok(result.err);
            const char *fault = packets_fault(span_make(packet_bytes(&p), p.len));
            ck_assert_msg(fault == NULL, "%s", fault);
            ck_assert_mem_eq(packet_bytes(&p) + header_len, payload_at, p.len - header_len);
            payload_at += p.len - header_len;
            opened++;
        }
    }
}

/* A frame becomes as few trains as can be, whatever the SA puts in front. */
START_TEST(a_frame_leaves_in_trains)
{
    struct packet_recipe r = flow(_i % 2 != 0, 40 * 1300 + 17);
    size_t dropped, trains = 0;
    between(_i < 2 ? &gcm : &cbc);
    add_exact(frame_of(&r, 1300), &dropped);
    ck_assert_uint_eq(dropped, 0);
    ck_assert_uint_eq(out->packets, 41);
    ck_assert_uint_eq(out->trains[0].tos, r.tos);
    trains = out->count;
    open_all(packets_header_len(&r));
    ck_assert_uint_eq(opened, 41);
    ck_assert_ptr_eq(payload_at, payload + r.payload.len);
    ck_assert_uint_eq(trains, 1);
    outbound_begin(out);
    payload_at = payload;
    add_exact(frame_of(&r, 1300), &dropped);
    ck_assert_uint_eq(out->count, 1);
    open_all(packets_header_len(&r));
}
END_TEST

/* Single packets of one length make a train too; another length, mark, or class (where that shows
 * outside) begins one. */
START_TEST(packets_that_go_together)
{
    enum { EF = 0xb8 };
    size_t dropped;
    between(&gcm);
    for (int i = 0; i < 15; i++) {
        struct packet_recipe r = flow(false, i == 7 ? 200 : i < 4 ? 100 : 60);
        r.tos = i > 11 ? EF | ECN_CE : i > 9 ? ECN_CE : 0;
        add_exact(frame_of(&r, 0), &dropped);
    }
    /* 100 100 100 100 60 | 60 60 | 200 60 | 60 | CE CE | EF-CE EF-CE EF-CE */
    ck_assert_uint_eq(out->packets, 15);
    const struct outbound_train *last = &out->trains[out->count - 1];
    ck_assert_uint_eq(last[-1].tos, ECN_CE);
    ck_assert_uint_eq(last[-1].count, 2);
    ck_assert_uint_eq(last->tos, EF | ECN_CE);
    ck_assert_uint_eq(last->count, 3);
    ck_assert_uint_eq(out->count, 6);
    for (size_t i = 0; i < out->count; i++)
        ck_train(&out->trains[i]);
}
END_TEST

/* More than there is room for: what is there leaves, and the rest goes on. */
START_TEST(a_frame_that_does_not_fit)
{
    struct packet_recipe r = flow(true, PAYLOAD);
    size_t dropped, rounds = 0;
    between(&gcm);
    enum err e = outbound_add(out, here, frame, frame_of(&r, 20), &dropped);
    for (; e == ERR_LIMIT; rounds++) {
        ck_assert_uint_eq(dropped, 0);
        open_all(packets_header_len(&r));
        outbound_begin(out);
        e = outbound_resume(out, here, &dropped);
    }
    ck_ok(e);
    open_all(packets_header_len(&r));
    ck_assert_uint_gt(rounds, 0);
    ck_assert_uint_eq(opened, PAYLOAD / 20);
    ck_assert_ptr_eq(payload_at, payload + PAYLOAD);
}
END_TEST

/* The SA changes between frames, to one that puts more in front, and back: nothing is written over.
 */
START_TEST(another_sa_takes_over)
{
    struct packet_recipe r = flow(false, 1000);
    size_t dropped;
    between(&gcm);
    struct tunnel *second = tunnel_of(&cbc, 0x2002, false), *first = there;
    ck_ok(outbound_add(out, here, frame, frame_of(&r, 100), &dropped));
    ck_assert_uint_eq(dropped, 0);
    size_t before = out->count;
    here = tunnel_of(&cbc, 0x2002, true);
    ck_ok(outbound_add(out, here, frame, frame_of(&r, 100), &dropped));
    ck_assert_uint_eq(dropped, 0);
    ck_assert_uint_eq(out->packets, 20);
    size_t all = out->count;
    out->count = before;
    open_all(packets_header_len(&r));
    payload_at = payload;
    memmove(&out->trains[0], &out->trains[before], (all - before) * sizeof(out->trains[0]));
    out->count = all - before;
    there = second;
    open_all(packets_header_len(&r));
    ck_assert_uint_eq(opened, 20);
    tunnel_free(first);
}
END_TEST

/* A bound that is met within a frame holds there, of packets and of octets. What was sealed before
 * it leaves. */
START_TEST(a_bound_within_a_frame)
{
    struct packet_recipe r = flow(false, 20 * 1000);
    struct tunnel_child_parameters bounds = {.soft_packets = 5, .hard_packets = 9};
    size_t dropped;
    uint32_t spi;
    if (_i == 1) /* of 1040 octets each: the ninth begins below it */
        bounds =
            (struct tunnel_child_parameters){.soft_bytes = 5 * 1040, .hard_bytes = 8 * 1040 + 1};
    bounded = &bounds;
    between(&gcm);
    bounded = NULL;
    add_exact(frame_of(&r, 1000), &dropped);
    ck_assert_uint_eq(out->packets, 9);
    ck_assert_uint_eq(dropped, 11);
    ck_assert_uint_eq(tunnel_counters(here).no_child, 0);
    ck_assert(tunnel_expiring(here, &spi));
    ck_assert_uint_eq(spi, 0x1001);
    ck_assert(!tunnel_expiring(here, &spi));
    open_all(packets_header_len(&r));
    ck_assert_uint_eq(opened, 9);
}
END_TEST

START_TEST(what_makes_no_sense)
{
    struct packet_recipe r = flow(false, 3000);
    size_t dropped = 7;
    between(&gcm);
    ck_err(outbound_add(out, here, frame, 3, &dropped), ERR_MALFORMED);
    size_t len = frame_of(&r, 1000);
    frame[VNET_HEADER_LEN] = 0x65;
    ck_err(outbound_add(out, here, frame, len, &dropped), ERR_MALFORMED);
    ck_assert_uint_eq(dropped, 0);
    ck_assert_uint_eq(out->count, 0);
    /* Nobody carries it: every packet of it is counted. */
    ck_ok(tunnel_remove_child(here, 0x1001));
    len = frame_of(&r, 1000);
    ck_ok(outbound_add(out, here, frame, len, &dropped));
    ck_assert_uint_eq(dropped, 3);
    ck_assert_uint_eq(tunnel_counters(here).no_child, 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("esp outbound");
    TCase *t = tcase_create("outbound");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_frame_leaves_in_trains, 0, 4);
    tcase_add_test(t, packets_that_go_together);
    tcase_add_test(t, a_frame_that_does_not_fit);
    tcase_add_test(t, another_sa_takes_over);
    tcase_add_loop_test(t, a_bound_within_a_frame, 0, 2);
    tcase_add_test(t, what_makes_no_sense);
    suite_add_tcase(s, t);
    return support_run(s);
}
