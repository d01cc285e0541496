/* Coalescing of many flows: in turns, more than are kept, alike at first sight; and what is of none
 * that can be told. */
#include "common/base/be.h"
#include "tests/unit/gro_scene.h"

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

static Suite *suite(void)
{
    Suite *s = suite_create("packet GRO flows");
    TCase *c;
    add_case(s, &c, "flows");
    tcase_add_test(c, flows_in_turns);
    tcase_add_test(c, more_flows_than_are_kept);
    tcase_add_test(c, flows_that_look_alike);
    tcase_add_test(c, of_a_flow_that_cannot_be_told);
    tcase_add_test(c, other_protocols_pass_by);
    return s;
}

int main(void)
{
    return support_run(suite());
}
