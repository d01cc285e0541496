/* Coalescing: what goes together and what it becomes, as the caller wants it. */
#include "tests/unit/gro_scene.h"

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
    TCase *c;
    add_case(s, &c, "together");
    tcase_add_test(c, a_run_becomes_one_write);
    tcase_add_test(c, a_shorter_one_is_the_last);
    tcase_add_test(c, a_longer_one_begins_anew);
    tcase_add_test(c, a_push_is_the_last);
    tcase_add_test(c, counters_wrap);
    tcase_add_test(c, echoed_congestion_is_on_each);
    tcase_add_test(c, as_many_as_one_write_takes);
    tcase_add_test(c, as_long_as_a_packet_can_be);
    add_case(s, &c, "choices");
    tcase_add_test(c, each_protocol_can_be_off);
    tcase_add_test(c, identifications_that_say_nothing);
    tcase_add_test(c, a_full_batch);
    return s;
}

int main(void)
{
    return support_run(suite());
}
