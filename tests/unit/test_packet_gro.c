/* Coalescing: what goes together and what it becomes, what stays apart, and in which order. */
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/packet/gro.h"
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

/* --- together --- */

START_TEST(a_run_becomes_one_write)
{
    for (int kind = 0; kind < 4; kind++) {
        struct packet_recipe r = flow(kind & 1, kind & 2), first = r;
        begin(&all);
        for (size_t i = 0; i < 10; i++) {
            add(&r);
            advance(&r, SIZE);
        }
        take();
        ck_assert_uint_eq(written_count, 1);
        check_joined(0, &first, 10 * SIZE, 10);
        take(); /* and is gone */
        ck_assert_uint_eq(written_count, 1);
    }
}
END_TEST

START_TEST(a_shorter_one_is_the_last)
{
    for (int kind = 0; kind < 4; kind++) {
        struct packet_recipe r = flow(kind & 1, kind & 2), first = r, second;
        begin(&all);
        add(&r);
        advance(&r, SIZE - 1);
        add(&r);
        advance(&r, SIZE - 1);
        second = r;
        add(&r);
        advance(&r, 1);
        add(&r);
        take();
        ck_assert_uint_eq(written_count, 2);
        check_joined(0, &first, 2 * SIZE - 1, 2);
        check_joined(1, &second, SIZE, 2);
    }
}
END_TEST

START_TEST(a_longer_one_begins_anew)
{
    struct packet_recipe r = flow(false, false), second;
    add(&r);
    advance(&r, SIZE + 1);
    second = r;
    add(&r);
    advance(&r, SIZE + 1);
    add(&r);
    take();
    ck_assert_uint_eq(written_count, 2);
    check_alone(0, 0);
    check_joined(1, &second, 2 * SIZE + 2, 2);
}
END_TEST

/* PSH ends a run and shows in what it became: cut again, the last one has it. */
START_TEST(a_push_is_the_last)
{
    struct packet_recipe r = flow(true, false), first = r, last;
    add(&r);
    advance(&r, SIZE);
    r.tcp_flags |= PACKETS_TCP_PSH;
    add(&r);
    advance(&r, SIZE);
    add(&r); /* begins with PSH: alone */
    advance(&r, SIZE);
    r.tcp_flags = PACKETS_TCP_ACK;
    last = r;
    add(&r);
    advance(&r, SIZE);
    add(&r);
    take();
    ck_assert_uint_eq(written_count, 3);
    first.tcp_flags |= PACKETS_TCP_PSH;
    check_joined(0, &first, 2 * SIZE, 2);
    check_alone(1, 2);
    check_joined(2, &last, 2 * SIZE, 2);
}
END_TEST

START_TEST(counters_wrap)
{
    struct packet_recipe r = flow(false, false), first;
    r.id = 0xfffe;
    r.sequence = 0xffffff00;
    first = r;
    for (size_t i = 0; i < 8; i++) {
        add(&r);
        advance(&r, SIZE);
    }
    take();
    ck_assert_uint_eq(written_count, 1);
    check_joined(0, &first, 8 * SIZE, 8);
}
END_TEST

START_TEST(echoed_congestion_is_on_each)
{
    struct packet_recipe r = flow(false, false), first;
    r.tcp_flags |= PACKETS_TCP_ECE;
    first = r;
    add(&r);
    advance(&r, SIZE);
    add(&r);
    advance(&r, SIZE);
    r.tcp_flags = PACKETS_TCP_ACK;
    add(&r);
    take();
    ck_assert_uint_eq(written_count, 2);
    check_joined(0, &first, 2 * SIZE, 2);
    check_alone(1, 2);
}
END_TEST

START_TEST(as_many_as_one_write_takes)
{
    struct packet_recipe r = flow(false, true), first = r, second = r;
    for (size_t i = 0; i < GRO_SEGMENTS_MAX + 2; i++) {
        if (i == GRO_SEGMENTS_MAX)
            second = r;
        add(&r);
        advance(&r, SIZE);
    }
    take();
    ck_assert_uint_eq(written_count, 2);
    check_joined(0, &first, GRO_SEGMENTS_MAX * SIZE, GRO_SEGMENTS_MAX);
    check_joined(1, &second, 2 * SIZE, 2);
}
END_TEST

START_TEST(as_long_as_a_packet_can_be)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct packet_recipe r = flow(v6, false), first;
        size_t header_len = packets_header_len(&r), size = 2000;
        size_t count = (GRO_LEN_MAX - header_len) / size, rest = (GRO_LEN_MAX - header_len) % size;
        begin(&all);
        r.payload.len = size;
        first = r;
        for (size_t i = 0; i < count; i++) {
            add(&r);
            advance(&r, i + 1 < count ? size : rest + 1);
        }
        add(&r); /* one octet too long */
        take();
        ck_assert_uint_eq(written_count, 2);
        check_joined(0, &first, count * size, count);
        check_alone(1, count);
        /* and one that just fits */
        begin(&all);
        r = first;
        for (size_t i = 0; i < count; i++) {
            add(&r);
            advance(&r, i + 1 < count ? size : rest);
        }
        add(&r);
        take();
        ck_assert_uint_eq(written_count, 1);
        check_joined(0, &first, GRO_LEN_MAX - header_len, count + 1);
    }
}
END_TEST

START_TEST(flows_in_turns)
{
    struct packet_recipe flows[GRO_FLOWS_MAX], firsts[GRO_FLOWS_MAX];
    for (size_t i = 0; i < GRO_FLOWS_MAX; i++) {
        /* alike in all but one thing */
        flows[i] = flow(i & 1, i & 2);
        flows[i].host = (uint8_t)(i & 4);
        flows[i].source_port = (uint16_t)(400 + (i & 8));
        firsts[i] = flows[i];
    }
    for (size_t n = 0; n < 5; n++) {
        for (size_t i = 0; i < GRO_FLOWS_MAX; i++) {
            add(&flows[i]);
            advance(&flows[i], SIZE);
        }
    }
    take();
    ck_assert_uint_eq(written_count, GRO_FLOWS_MAX);
    for (size_t i = 0; i < GRO_FLOWS_MAX; i++)
        check_joined(i, &firsts[i], 5 * SIZE, 5);
}
END_TEST

START_TEST(more_flows_than_are_kept)
{
    struct packet_recipe flows[3 * GRO_FLOWS_MAX];
    for (size_t i = 0; i < 3 * GRO_FLOWS_MAX; i++) {
        flows[i] = flow(false, false);
        flows[i].source_port = (uint16_t)i;
    }
    for (size_t n = 0; n < 4; n++) {
        for (size_t i = 0; i < 3 * GRO_FLOWS_MAX; i++) {
            add(&flows[i]);
            advance(&flows[i], SIZE);
        }
    }
    take(); /* how many there are is no promise; that all are there, and each flow's in order, is */
    size_t packets = 0;
    uint32_t next[3 * GRO_FLOWS_MAX] = {0};
    for (size_t i = 0; i < written_count; i++) {
        const uint8_t *ip = written[i].bytes + VNET_HEADER_LEN;
        uint32_t sequence = (uint32_t)ip[26] << 8 | ip[27];
        size_t which = ip[21];
        ck_assert_uint_eq(sequence, next[which]);
        next[which] += SIZE * (uint32_t)written[i].packets;
        packets += written[i].packets;
    }
    ck_assert_uint_eq(packets, added_count);
}
END_TEST

struct trace {
    uint32_t hash, number;
};

static int by_hash(const void *a, const void *b)
{
    const struct trace *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The n-th packet of a flow with that number in its source address, or in its ports. */
static size_t make_numbered(uint8_t *out, bool in_address, uint32_t number, size_t n)
{
    struct packet_recipe r = flow(false, true);
    uint8_t *at = out + (in_address ? 12 : 20);
    r.id = (uint16_t)n;
    size_t len = packets_make(&r, out);
    be_write_u16(at, (uint16_t)(number >> 16));
    be_write_u16(at + 2, (uint16_t)number);
    be_write_u16(out + 10, 0);
    be_write_u16(out + 10, (uint16_t)~packets_sum(0, span_make(out, 20)));
    be_write_u16(out + 26, 0);
    uint16_t sum = packets_sum((uint32_t)(len - 20) + 17, span_make(out + 12, len - 12));
    be_write_u16(out + 26, sum == 0xffff ? sum : (uint16_t)~sum);
    ck_assert_ptr_null(packets_fault(span_make(out, len)));
    return len;
}

static void check_two_alike(bool in_address, uint32_t a, uint32_t b)
{
    begin(&all);
    for (size_t n = 0; n < 3; n++) {
        add_bytes(scratch, make_numbered(scratch, in_address, a, n));
        add_bytes(scratch, make_numbered(scratch, in_address, b, n));
    }
    take();
    ck_assert_uint_eq(written_count, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(written[i].packets, 3);
        ck_assert_mem_eq(written[i].bytes + VNET_HEADER_LEN + 12, added[i].original + 12, 12);
    }
}

/* Two flows that the table takes for the same at first sight. */
START_TEST(flows_that_look_alike)
{
    enum { MANY = 200000 };
    struct trace *traces = calloc(MANY, sizeof(*traces));
    ck_assert_ptr_nonnull(traces);
    for (int in_address = 0; in_address < 2; in_address++) {
        size_t found = 0, len = make_numbered(scratch, in_address, 0, 0);
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t number = i * 0x61c88647; /* apart in all bits */
            be_write_u16(scratch + (in_address ? 12 : 20), (uint16_t)(number >> 16));
            be_write_u16(scratch + (in_address ? 14 : 22), (uint16_t)number);
            gro_begin(&gro, &all);
            ck_ok(gro_add(&gro, scratch, len));
            traces[i] = (struct trace){gro.flows[0].hash, number};
        }
        qsort(traces, MANY, sizeof(*traces), by_hash);
        for (size_t i = 1; i < MANY; i++) {
            if (traces[i].hash != traces[i - 1].hash)
                continue;
            check_two_alike(in_address, traces[i - 1].number, traces[i].number);
            found++;
        }
        ck_assert_uint_gt(found, 0);
    }
    free(traces);
}
END_TEST

/* --- apart --- */

/* The second of two that would go together has one thing that differs. */
static void differ(size_t which, struct packet_recipe *r)
{
    static const uint8_t later[] = {1, 1, 8, 10, 0, 1, 2, 4, 4, 5, 6, 7};
    switch (which) {
    case 0:
        r->tos ^= 1; /* ECN */
        break;
    case 1:
        r->tos ^= 0x20;
        break;
    case 2:
        r->ttl--;
        break;
    case 3:
        if (r->v6)
            r->flow_label++;
        else
            r->flags = 0;
        break;
    case 4:
        if (r->v6)
            r->flow_label ^= 0x80000;
        else
            r->id++;
        break;
    case 5:
        r->sequence++;
        break;
    case 6:
        r->sequence -= SIZE; /* sent again */
        break;
    case 7:
        r->acknowledged++;
        break;
    case 8:
        r->window++;
        break;
    case 9:
        r->urgent++;
        break;
    case 10:
        r->tcp_flags |= PACKETS_TCP_ECE;
        break;
    case 11:
        r->tcp_options = SPAN_OF(later);
        break;
    case 12:
        r->tcp_options.len -= 4;
        break;
    case 13:
        r->tcp_options = SPAN_EMPTY;
        break;
    default:
        break;
    }
}

START_TEST(one_thing_that_differs)
{
    enum { OF_IP = 5, OF_TCP = 14 };
    for (int kind = 0; kind < 4; kind++) {
        for (size_t which = 0; which < (kind & 2 ? OF_IP : OF_TCP); which++) {
            struct packet_recipe r = flow(kind & 1, kind & 2);
            begin(&all);
            add(&r);
            advance(&r, SIZE);
            differ(which, &r);
            add(&r);
            check_all_alone();
        }
    }
}
END_TEST

START_TEST(flags_that_belong_to_one_packet)
{
    static const uint8_t flags[] = {0x00, 0x02, 0x12, 0x11, 0x14, 0x30, 0x90, 0x08, 0xd0};
    for (size_t i = 0; i < sizeof(flags); i++) {
        struct packet_recipe r = flow(false, false);
        begin(&all);
        r.tcp_flags = flags[i];
        for (int n = 0; n < 3; n++) {
            add(&r);
            advance(&r, SIZE);
        }
        check_all_alone();
    }
    /* the reserved one of IPv4 */
    struct packet_recipe evil = flow(false, false);
    begin(&all);
    evil.flags = 0xc000;
    add(&evil);
    advance(&evil, SIZE);
    add(&evil);
    check_all_alone();
    /* the reserved bits of TCP, of which one is AE (RFC 9768) */
    for (uint8_t bit = 1; bit < 0x10; bit = (uint8_t)(bit << 1)) {
        struct packet_recipe r = flow(false, false);
        begin(&all);
        for (int n = 0; n < 2; n++) {
            size_t len = packets_make(&r, scratch);
            scratch[20 + 12] |= bit;
            uint16_t sum = (uint16_t) ~(scratch[36] << 8 | scratch[37]);
            sum = (uint16_t)~packets_sum(sum, span_make((uint8_t[]){bit, 0}, 2));
            be_write_u16(scratch + 36, sum);
            ck_assert_ptr_null(packets_fault(span_make(scratch, len)));
            add_bytes(scratch, len);
            advance(&r, SIZE);
        }
        check_all_alone();
    }
}
END_TEST

/* What cannot be coalesced parts what comes before it from what comes after. */
START_TEST(order_within_a_flow)
{
    for (int kind = 0; kind < 5; kind++) {
        struct packet_recipe r = flow(false, false), odd, second, other = flow(true, false);
        struct packet_recipe first = r, other_first = other;
        begin(&all);
        add(&r);
        advance(&r, SIZE);
        add(&r);
        add(&other);
        advance(&other, SIZE);
        odd = r;
        advance(&odd, kind == 0 ? 0 : SIZE); /* a mere ACK */
        if (kind == 1)
            odd.tcp_flags |= PACKETS_TCP_FIN;
        if (kind == 2)
            odd.options = span_make("\1\1\1", 4);
        size_t len = packets_make(&odd, scratch);
        if (kind == 3)
            scratch[len - 1] ^= 1; /* came to harm */
        if (kind == 4)
            scratch[20 + 12] = 0x40; /* a data offset within the header */
        add_bytes(scratch, len);
        advance(&r, SIZE);
        second = r;
        add(&r);
        add(&other);
        advance(&r, SIZE);
        add(&r);
        take();
        ck_assert_uint_eq(written_count, 4);
        check_joined(0, &first, 2 * SIZE, 2);
        check_joined(1, &other_first, 2 * SIZE, 2); /* this one is of another flow */
        check_alone(2, 3);
        check_joined(3, &second, 2 * SIZE, 2);
    }
}
END_TEST

static size_t obscure(int kind, uint8_t *out)
{
    static const uint8_t extension[] = {6, 0, 1, 4, 0, 0, 0, 0};
    struct packet_recipe r = flow(kind >= 4, kind == 1);
    size_t len;
    switch (kind) {
    case 0: /* fragments: the first, a later one */
        r.flags = 0x2000;
        return packets_make(&r, out);
    case 1:
        r.flags = 0x0010;
        return packets_make(&r, out);
    case 2: /* longer than it says */
        len = packets_make(&r, out);
        out[len] = 0;
        return len + 1;
    case 3: /* cut off before its ports */
        packets_make(&r, out);
        out[2] = 0;
        out[3] = 22;
        return 22;
    case 4: /* any extension header */
    case 13:
    case 14:
    case 15:
        r.options = SPAN_OF(extension);
        r.first_extension = (uint8_t[]){60, 0, 43, 44}[kind == 4 ? 0 : kind - 12];
        return packets_make(&r, out);
    case 16: /* UDP without all of its header */
        r.udp = true;
        packets_make(&r, out);
        out[4] = 0;
        out[5] = 7;
        return 47;
    case 5:
        len = packets_make(&r, out);
        out[5]++;
        return len;
    case 6:
        packets_make(&r, out);
        out[4] = 0;
        out[5] = 19;
        return 59;
    case 7: /* no IP */
        out[0] = 0x75;
        return 1;
    case 8:
        return 0;
    case 9:
        packets_make(&r, out);
        return 39;
    case 10:
        out[0] = 0x44;
        return 60;
    case 11:
        out[0] = 0x45;
        return 19;
    default:
        out[0] = 0x4f;
        return 59;
    }
}

START_TEST(of_a_flow_that_cannot_be_told)
{
    for (int kind = 0; kind <= 16; kind++) {
        struct packet_recipe r = flow(false, false), other = flow(true, true);
        begin(&all);
        add(&r);
        add(&other);
        memset(scratch, 0, 100);
        size_t len = obscure(kind, scratch);
        add_bytes(scratch, len);
        advance(&r, SIZE);
        advance(&other, SIZE);
        add(&r);
        add(&other);
        check_all_alone();
    }
}
END_TEST

START_TEST(other_protocols_pass_by)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct packet_recipe r = flow(v6, false), first = r;
        begin(&all);
        add(&r);
        size_t len = packets_make(&r, scratch);
        scratch[v6 ? 6 : 9] = 1; /* ICMP, and no more of it is looked at */
        add_bytes(scratch, len);
        advance(&r, SIZE);
        add(&r);
        take();
        ck_assert_uint_eq(written_count, 2);
        check_joined(0, &first, 2 * SIZE, 2);
        check_alone(1, 1);
    }
}
END_TEST

/* A checksum that is wrong is handed on wrong, by the packet alone: put together it would be taken
 * as right. */
START_TEST(what_came_to_harm_stays_alone)
{
    for (int kind = 0; kind < 4; kind++) {
        struct packet_recipe r = flow(kind & 1, kind & 2);
        size_t len = packets_make(&r, scratch);
        for (size_t at = 0; at < len; at++) {
            bool upper = at >= (r.v6 ? 40 : 20);
            if (r.v6 && !upper)
                continue; /* IPv6 has no checksum of its own */
            for (size_t which = 0; which < 2; which++) {
                r = flow(kind & 1, kind & 2);
                begin(&all);
                for (size_t i = 0; i < 2; i++) {
                    packets_make(&r, scratch);
                    if (i == which)
                        scratch[at] ^= 0x10;
                    add_bytes(scratch, len);
                    advance(&r, SIZE);
                }
                check_all_alone();
            }
        }
    }
}
END_TEST

/* What verifies, but is not what a sender writes, would come out differently. */
START_TEST(the_other_zero_stays_alone)
{
    /* TCP: 0xffff for 0; the IPv4 header's likewise */
    for (int ip = 0; ip < 2; ip++) {
        struct packet_recipe r = flow(false, false);
        uint8_t text[SIZE] = {0};
        size_t field = ip ? 10 : 36;
        if (ip) {
            r.ttl = 0;
            r.id = 0;
            packets_make(&r, scratch);
            r.id = (uint16_t)(scratch[field] << 8 | scratch[field + 1]);
        } else {
            r.payload = SPAN_OF(text);
            packets_make(&r, scratch);
            memcpy(text, scratch + field, 2);
        }
        size_t len = packets_make(&r, scratch);
        ck_assert(scratch[field] == 0 && scratch[field + 1] == 0);
        begin(&all);
        scratch[field] = scratch[field + 1] = 0xff;
        ck_assert_ptr_null(packets_fault(span_make(scratch, len)));
        add_bytes(scratch, len);
        r.id++;
        r.sequence += SIZE;
        add(&r);
        check_all_alone();
    }
    /* UDP over IPv4 without a checksum; also where that is just what the sum comes to */
    struct packet_recipe r = flow(false, true);
    begin(&all);
    for (int i = 0; i < 4; i++) {
        uint8_t text[SIZE] = {0};
        r.payload = SPAN_OF(text);
        size_t len = packets_make(&r, scratch);
        if (i >= 2) {
            memcpy(text, scratch + 26, 2);
            len = packets_make(&r, scratch);
            ck_assert(scratch[26] == 0xff && scratch[27] == 0xff);
        }
        be_write_u16(scratch + 26, 0);
        add_bytes(scratch, len);
        r.id++;
    }
    check_all_alone();
}
END_TEST

START_TEST(udp_that_is_no_candidate)
{
    struct packet_recipe r = flow(false, true);
    r.payload.len = 0;
    add(&r);
    advance(&r, 0);
    add(&r);
    check_all_alone();
    /* a length of its own that is not the packet's */
    begin(&all);
    r.payload.len = SIZE;
    for (int i = 0; i < 2; i++) {
        size_t len = packets_make(&r, scratch);
        scratch[25]--;
        be_write_u16(scratch + 26, (uint16_t)((scratch[26] << 8 | scratch[27]) + 1));
        add_bytes(scratch, len);
        advance(&r, SIZE);
    }
    check_all_alone();
}
END_TEST

/* --- as the caller wants it --- */

START_TEST(each_protocol_can_be_off)
{
    for (int kind = 0; kind < 4; kind++) {
        struct gro_options o = {.tcp = kind & 1, .udp = kind & 2};
        struct packet_recipe tcp = flow(false, false), udp = flow(false, true);
        begin(&o);
        for (int i = 0; i < 3; i++) {
            add(&tcp);
            add(&udp);
            advance(&tcp, SIZE);
            advance(&udp, SIZE);
        }
        take();
        ck_assert_uint_eq(written_count, (size_t)((o.tcp ? 1 : 3) + (o.udp ? 1 : 3)));
    }
}
END_TEST

START_TEST(identifications_that_say_nothing)
{
    for (int df = 0; df < 2; df++) {
        for (int any_id = 0; any_id < 2; any_id++) {
            struct gro_options o = {.tcp = true, .any_id = any_id};
            struct packet_recipe r = flow(false, false), first;
            r.flags = df ? PACKETS_V4_DF : 0;
            r.id = 0;
            first = r;
            begin(&o);
            for (int i = 0; i < 3; i++) {
                add(&r);
                advance(&r, SIZE);
                r.id = 0;
            }
            if (!df || !any_id) {
                check_all_alone();
                continue;
            }
            take();
            ck_assert_uint_eq(written_count, 1);
            check_joined(0, &first, 3 * SIZE, 3);
        }
    }
}
END_TEST

START_TEST(a_full_batch)
{
    struct packet_recipe r = flow(false, false);
    for (size_t i = 0; i < GRO_PACKETS_MAX; i++) {
        add(&r);
        advance(&r, SIZE);
    }
    ck_err(gro_add(&gro, scratch, SIZE), ERR_LIMIT);
    take();
    ck_assert_uint_eq(written_count, GRO_PACKETS_MAX / GRO_SEGMENTS_MAX);
    for (size_t i = 0; i < written_count; i++)
        ck_assert_uint_eq(written[i].packets, GRO_SEGMENTS_MAX);
    forget();
    add(&r); /* there is room again, and nothing of before */
    check_all_alone();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("packet GRO");
    TCase *c = tcase_create("together");
    tcase_add_checked_fixture(c, setup, forget);
    tcase_add_test(c, a_run_becomes_one_write);
    tcase_add_test(c, a_shorter_one_is_the_last);
    tcase_add_test(c, a_longer_one_begins_anew);
    tcase_add_test(c, a_push_is_the_last);
    tcase_add_test(c, counters_wrap);
    tcase_add_test(c, echoed_congestion_is_on_each);
    tcase_add_test(c, as_many_as_one_write_takes);
    tcase_add_test(c, as_long_as_a_packet_can_be);
    tcase_add_test(c, flows_in_turns);
    tcase_add_test(c, more_flows_than_are_kept);
    tcase_add_test(c, flows_that_look_alike);
    suite_add_tcase(s, c);
    c = tcase_create("apart");
    tcase_add_checked_fixture(c, setup, forget);
    tcase_add_test(c, one_thing_that_differs);
    tcase_add_test(c, flags_that_belong_to_one_packet);
    tcase_add_test(c, order_within_a_flow);
    tcase_add_test(c, of_a_flow_that_cannot_be_told);
    tcase_add_test(c, other_protocols_pass_by);
    tcase_add_test(c, what_came_to_harm_stays_alone);
    tcase_add_test(c, the_other_zero_stays_alone);
    tcase_add_test(c, udp_that_is_no_candidate);
    suite_add_tcase(s, c);
    c = tcase_create("choices");
    tcase_add_checked_fixture(c, setup, forget);
    tcase_add_test(c, each_protocol_can_be_off);
    tcase_add_test(c, identifications_that_say_nothing);
    tcase_add_test(c, a_full_batch);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
