/* Coalescing and segmentation against each other: what one does the other undoes, to the octet. */
#include <stdlib.h>
#include <string.h>

#include "common/packet/gro.h"
#include "common/packet/gso.h"
#include "tests/support/packets.h"
#include "tests/support/support.h"

enum { PAYLOAD = 70000, FLOWS = 24, PACKETS = GRO_PACKETS_MAX, PACKET_MAX = 1600 };

static uint8_t payload[PAYLOAD], big[PAYLOAD], flat[PAYLOAD], scratch[PACKET_MAX];
static struct gro gro;

static void setup(void)
{
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 131 + (i >> 8) * 29 + 7);
}

static size_t flatten(const struct gro_write *w, uint8_t *out)
{
    size_t len = 0;
    for (size_t i = 0; i < w->count; i++) {
        memcpy(out + len, w->spans[i].data, w->spans[i].len);
        len += w->spans[i].len;
    }
    return len;
}

static const uint8_t timestamps[] = {1, 1, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7};

static struct packet_recipe random_flow(uint64_t *seed)
{
    return (struct packet_recipe){
        .v6 = packets_below(seed, 2),
        .udp = packets_below(seed, 3) == 0,
        .host = (uint8_t)packets_below(seed, 3),
        .tos = (uint8_t)packets_random(seed),
        .ttl = (uint8_t)packets_random(seed),
        .flags = packets_below(seed, 2) ? PACKETS_V4_DF : 0,
        .id = (uint16_t)packets_random(seed),
        .flow_label = (uint32_t)packets_random(seed),
        .source_port = (uint16_t)packets_random(seed),
        .destination_port = (uint16_t)packets_random(seed),
        .sequence = (uint32_t)packets_random(seed),
        .acknowledged = (uint32_t)packets_random(seed),
        .tcp_flags = PACKETS_TCP_ACK,
        .window = (uint16_t)packets_random(seed),
        .tcp_options = span_make(timestamps, packets_below(seed, 2) * sizeof(timestamps)),
    };
}

/* --- one large packet: cut, and put together again --- */

static void check_large(const struct packet_recipe *r, uint16_t size)
{
    size_t len = packets_make(r, big), count = 0;
    uint16_t upper_at = r->v6 ? 40 : 20;
    enum vnet_gso tcp = r->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
    struct vnet_header v = {.gso = r->udp ? VNET_GSO_UDP_L4 : tcp,
                            .needs_csum = true,
                            .hdr_len = (uint16_t)packets_header_len(r),
                            .gso_size = size,
                            .csum_start = upper_at,
                            .csum_offset = r->udp ? 6 : 16};
    packets_make_partial(r, big, len);
    uint8_t *original = support_exact_copy(span_make(big, len)), *parts[GRO_SEGMENTS_MAX];
    struct gso gso;
    struct gso_segment s;
    struct gro_write w;
    uint8_t expected[VNET_HEADER_LEN];
    ck_ok(gso_begin(&gso, &v, big, len));
    gro_begin(&gro, &(struct gro_options){.tcp = true, .udp = true});
    for (; gso_next(&gso, &s); count++) {
        struct span one = gso_join(&gso, &s);
        parts[count] = support_exact_copy(one);
        ck_ok(gro_add(&gro, parts[count], one.len));
    }
    ck_assert(gro_next(&gro, &w));
    ck_assert_uint_eq(w.packets, count);
    vnet_write(&v, expected);
    ck_assert_uint_eq(flatten(&w, flat), VNET_HEADER_LEN + len);
    ck_assert_mem_eq(flat, expected, VNET_HEADER_LEN);
    ck_assert_mem_eq(flat + VNET_HEADER_LEN, original, len);
    ck_assert(!gro_next(&gro, &w));
    for (size_t i = 0; i < count; i++)
        free(parts[i]);
    free(original);
}

START_TEST(cut_and_put_together)
{
    uint64_t seed = 1;
    for (int round = 0; round < 500; round++) {
        struct packet_recipe r = random_flow(&seed);
        size_t size = 1 + packets_below(&seed, 1448);
        size_t count = 2 + packets_below(&seed, GRO_SEGMENTS_MAX - 1);
        if (count > 60000 / size)
            count = 60000 / size;
        r.payload = span_make(payload, (count - 1) * size + 1 + packets_below(&seed, size));
        r.tcp_flags |= (uint8_t)(packets_random(&seed) & (PACKETS_TCP_PSH | PACKETS_TCP_ECE));
        check_large(&r, (uint16_t)size);
    }
}
END_TEST

/* --- a batch: put together, and cut again --- */

struct made {
    uint8_t *bytes, *original;
    size_t len, flow;
    bool seen;
};

static struct made made[PACKETS];
static size_t made_count;

static void add(struct span packet, size_t flow)
{
    struct made *m = &made[made_count++];
    *m = (struct made){.bytes = support_exact_copy(packet),
                       .original = support_exact_copy(packet),
                       .len = packet.len,
                       .flow = flow};
    ck_ok(gro_add(&gro, m->bytes, m->len));
}

static void forget(void)
{
    for (size_t i = 0; i < made_count; i++) {
        free(made[i].bytes);
        free(made[i].original);
    }
    made_count = 0;
}

static bool same(const struct made *m, struct span packet)
{
    return m->len == packet.len && memcmp(m->original, packet.data, packet.len) == 0;
}

/* It is the next of its flow, whichever that is. */
static void see(struct span packet)
{
    uint32_t passed = 0; /* flows of which something that is still to come was met */
    for (size_t i = 0; i < made_count; i++) {
        if (made[i].seen || (passed >> made[i].flow & 1) != 0)
            continue;
        if (same(&made[i], packet)) {
            made[i].seen = true;
            return;
        }
        passed |= 1u << made[i].flow;
    }
    ck_abort_msg("a packet that was not sent, or out of order");
}

/* Something happens to a flow before its next packet, and to that packet. */
static void send_next(uint64_t *seed, struct packet_recipe *r, size_t flow, size_t trouble)
{
    size_t what = packets_below(seed, 100) < trouble ? 1 + packets_below(seed, 12) : 0;
    struct packet_recipe now;
    if (what == 1)
        r->acknowledged += 100;
    if (what == 2)
        r->sequence += 1000; /* something was lost */
    if (what == 3)
        r->id += 3;
    if (what == 4)
        r->tos ^= 3;
    if (what == 5)
        r->window++;
    now = *r;
    if (what == 6)
        now.payload.len = packets_below(seed, now.payload.len + 1);
    if (what == 7)
        now.tcp_flags = (uint8_t)(packets_random(seed) & 0xff);
    if (what == 8)
        now.flags |= packets_below(seed, 2) ? 0x2000 : 0x0003;
    if (what == 9)
        now.tcp_flags |= PACKETS_TCP_PSH;
    size_t len = packets_make(&now, scratch);
    size_t ports_end = (now.v6 ? 40 : 20) + 4; /* up to there it tells the flow */
    if (what == 10)
        scratch[ports_end + packets_below(seed, len - ports_end)] ^=
            (uint8_t)(1 << packets_below(seed, 8));
    add(span_make(scratch, len), flow);
    if (what == 11)
        return; /* the same once more, next time */
    r->id++;
    r->sequence += (uint32_t)now.payload.len;
}

static size_t cut_again(const struct gro_write *w)
{
    struct vnet_header v;
    struct gso gso;
    struct gso_segment s;
    size_t len = flatten(w, flat), count = 0;
    ck_assert_uint_le(len, VNET_HEADER_LEN + GRO_LEN_MAX);
    uint8_t *packet = support_exact_copy(span_make(flat + VNET_HEADER_LEN, len - VNET_HEADER_LEN));
    ck_ok(vnet_parse(span_make(flat, len), &v));
    ck_ok(gso_begin(&gso, &v, packet, len - VNET_HEADER_LEN));
    for (; gso_next(&gso, &s); count++) {
        struct span one = gso_join(&gso, &s);
        see(one);
        if (v.gso != VNET_GSO_NONE)
            ck_assert_ptr_null(packets_fault(one));
    }
    ck_assert_uint_eq(count, w->packets);
    free(packet);
    return count;
}

/* Returns how many writes there were. */
static size_t check_batch(uint64_t *seed, size_t flow_count, size_t packets, size_t trouble)
{
    struct packet_recipe flows[FLOWS];
    struct gro_write w;
    size_t writes = 0, seen = 0;
    gro_begin(&gro, &(struct gro_options){.tcp = true, .udp = true});
    for (size_t i = 0; i < flow_count; i++) {
        flows[i] = random_flow(seed);
        flows[i].payload =
            span_make(payload + packets_below(seed, 999), 1 + packets_below(seed, 1400));
    }
    for (size_t flow = 0; made_count < packets;) {
        send_next(seed, &flows[flow], flow, trouble);
        if (packets_below(seed, 4) == 0)
            flow = packets_below(seed, flow_count);
    }
    for (; gro_next(&gro, &w); writes++)
        seen += cut_again(&w);
    ck_assert_uint_eq(seen, made_count);
    forget();
    return writes;
}

START_TEST(put_together_and_cut)
{
    uint64_t seed = 2;
    for (int round = 0; round < 300; round++) {
        size_t flow_count = 1 + packets_below(&seed, FLOWS), trouble = packets_below(&seed, 60);
        check_batch(&seed, flow_count, 1 + packets_below(&seed, 200), trouble);
    }
}
END_TEST

/* So that the above is about something. */
START_TEST(without_trouble_little_is_left)
{
    uint64_t seed = 3;
    for (int round = 0; round < 20; round++) {
        size_t flow_count = 1 + packets_below(&seed, GRO_FLOWS_MAX), packets = 512;
        size_t writes = check_batch(&seed, flow_count, packets, 0);
        /* at 64 packets or 64 KiB a write, each flow's last one less */
        ck_assert_uint_le(writes, flow_count + packets / 40);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("packet offload");
    TCase *c = tcase_create("there and back");
    tcase_add_unchecked_fixture(c, setup, NULL);
    tcase_add_test(c, cut_and_put_together);
    tcase_add_test(c, put_together_and_cut);
    tcase_add_test(c, without_trouble_little_is_left);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
