/* What the data path's threads owe to control, and to packets while control changes something. */
#include "platform/clock.h"
#include "tests/unit/datapath_ends.h"

START_TEST(packets_go_both_ways)
{
    static uint8_t storage[ROOM];
    uint8_t inner[64];
    struct udp_message m;
    carry();
    say(7);
    struct span got = far_receive();
    ck_assert_uint_eq(got.len, HEADERS + 1);
    ck_assert_uint_eq(got.data[HEADERS], 7);
    far_seal(storage, span_make(inner, write_inner(inner, 8)), &m);
    far_send(&m, 1);
    ck_assert_int_eq(hear_within_bounds(), 8);
}
END_TEST

/* The last word was ours, or it was theirs: control knows, whatever came just before it. */
START_TEST(the_last_word_is_always_told)
{
    carry();
    for (unsigned i = 0; i < 100; i++) {
        static uint8_t storage[ROOM];
        uint8_t inner[64];
        struct udp_message m;
        datapath_watch(d, i % 16 != 0); /* else it takes its time */
        say((uint8_t)i);
        (void)far_receive();
        far_seal(storage, span_make(inner, write_inner(inner, (uint8_t)i)), &m);
        if (i % 2 == 0) {
            far_send(&m, 1);
            ck_assert_int_eq(hear_within_bounds(), (uint8_t)i);
        }
        bool ours = i % 2 != 0;
        int64_t out_ns = datapath_out_last_ns(d->out), in_ns = datapath_in_last_ns(d->in);
        ck_assert(i == 0 || (out_ns > in_ns) == ours);
        while (heard.traffic.last_out != out_ns / 1000000 ||
               (in_ns != 0 && heard.traffic.last_in != in_ns / 1000000) ||
               heard.traffic.out_was_last != ours || heard.traffics == 0)
            uv_run(&loop, i % 3 == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    }
}
END_TEST

/* One packet there and one back. */
static void exchange(uint8_t octet)
{
    static uint8_t storage[ROOM];
    uint8_t inner[64];
    struct udp_message m;
    say(octet);
    (void)far_receive();
    far_seal(storage, span_make(inner, write_inner(inner, octet)), &m);
    far_send(&m, 1);
    ck_assert_int_eq(hear_within_bounds(), octet);
}

static uint64_t due_in(void)
{
    uv_update_time(&loop);
    return uv_timer_get_due_in(&d->timer);
}

/* Little traffic is reported at once after a silence, and then seldom, unless somebody waits for
 * it; much of it, soon again. */
START_TEST(little_traffic_is_told_seldom)
{
    enum { SOON = 10, SELDOM = 100, MANY = 32 };
    carry();
    mono_ms start = clock_now();
    for (unsigned i = 0; i < 10; i++) {
        exchange(1);
        do
            uv_run(&loop, UV_RUN_NOWAIT);
        while (heard.traffics == 0); /* at once, but for the time that it takes */
    }
    ck_assert_int_le(heard.traffics, 2 + (clock_now() - start) / SELDOM);
    datapath_watch(d, true);
    ck_assert_uint_le(due_in(), SOON);
    datapath_watch(d, false);
    for (unsigned i = 0; i < MANY; i++)
        exchange(2);
    for (unsigned before = heard.traffics; heard.traffics == before;)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_le(due_in(), SOON);
    exchange(3);
    datapath_report(d);
    ck_assert_int_eq(heard.traffic.last_in, datapath_in_last_ns(d->in) / 1000000);
}
END_TEST

/* Beyond the hard bound nothing is sealed: control hears of the soft one without a report. */
START_TEST(a_soft_bound_is_told_at_once)
{
    enum { SOFT = 3 };
    struct tunnel_child_parameters p = child_parameters(SPI_FIRST);
    unsigned told = 0;
    uint32_t spi;
    p.soft_packets = SOFT;
    ck_ok(tunnel_add_child(here, &p));
    add_child(there, SPI_FIRST);
    datapath_carry(d, tun, here, &paths[0]);
    for (uint64_t i = 1; i <= SOFT + 1; i++) {
        say(1);
        (void)far_receive();
        datapath_settle(d); /* whoever sent has told */
        datapath_report(d);
        uv_timer_stop(&d->timer); /* no other report is due */
        uv_run(&loop, UV_RUN_NOWAIT);
        ck_assert_uint_eq(heard.expiring, i >= SOFT);
        ck_assert_uint_eq(told, i > SOFT);
        for (; tunnel_expiring(here, &spi); told++)
            ck_assert_uint_eq(spi, SPI_FIRST);
    }
}
END_TEST

/* However late it is told: since when an answer is missing. */
START_TEST(the_first_word_without_an_answer_is_told)
{
    carry();
    exchange(1);
    datapath_report(d);
    ck_assert_int_eq(heard.traffic.first_out, 0);
    say(2);
    (void)far_receive();
    int64_t first_ns = datapath_out_last_ns(d->out);
    while (datapath_out_last_ns(d->out) / 1000000 == first_ns / 1000000) {
        say(3);
        (void)far_receive();
    }
    datapath_report(d);
    ck_assert_int_eq(heard.traffic.first_out, first_ns / 1000000);
    ck_assert_int_gt(heard.traffic.last_out, heard.traffic.first_out);
}
END_TEST

static bool delivered_before;

static void look_what_is_there(void)
{
    delivered_before = hear(MSG_DONTWAIT) == 9;
}

START_TEST(ike_is_told_at_once_and_in_order)
{
    static uint8_t storage[ROOM], ike[12], inner[64];
    struct udp_message m[2];
    carry();
    heard.on_ike = look_what_is_there;
    far_seal(storage, span_make(inner, write_inner(inner, 9)), &m[0]);
    far_ike(ike, 1, &m[1]);
    far_send(m, 2);
    while (heard.ike_count == 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert(delivered_before);
    ck_assert(!heard.ike_wrong);
}
END_TEST

static void install(void)
{
    add_child(here, SPI_FIRST + 1);
    datapath_child_came(d);
}

/* Its ESP overtook the message that brings the keys. */
START_TEST(what_came_before_its_keys_is_opened)
{
    static uint8_t storage[ROOM], ike[12], inner[64];
    struct udp_message m[2];
    carry();
    add_child(there, SPI_FIRST + 1);
    heard.on_ike = install;
    far_seal(storage, span_make(inner, write_inner(inner, 10)), &m[0]);
    far_ike(ike, 1, &m[1]);
    far_send(m, 2);
    while (heard.ike_count == 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_eq(hear_within_bounds(), 10);
    ck_assert_uint_eq(tunnel_counters(here).unknown_spi, 1);
}
END_TEST

/* Control does nothing for a while: what the ring does not take is dropped and counted, and the
 * rest is whole and in order. */
START_TEST(more_ike_than_there_is_room_for)
{
    enum { MANY = 3 * RING_LEN / sizeof(struct path) };
    uint8_t ike[12];
    struct udp_message m;
    uint64_t sent = 0;
    for (; datapath_in_drops(d->in).ike == 0; sent++) {
        ck_assert_uint_lt(sent, MANY);
        far_ike(ike, sent, &m);
        far_send(&m, 1);
    }
    for (uint64_t last = sent; heard.ike_next <= last; sent++) {
        far_ike(ike, sent, &m);
        far_send(&m, 1);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    ck_assert(!heard.ike_wrong);
    ck_assert_uint_gt(heard.ike_count, RING_LEN / 2 / (sizeof(struct path) + 16));
}
END_TEST

static void count_turn(uv_prepare_t *turn)
{
    ++*(unsigned *)turn->data;
}

/* Whoever sends thousands does not wake the loop thousands of times; nothing is lost by that. */
START_TEST(much_ike_wakes_seldom)
{
    enum { MANY = 100, WAKES = 8, WAKES_MS = 100, REPORT_MS = 10 };
    uint8_t ike[12];
    struct udp_message m;
    unsigned turns = 0;
    static uv_prepare_t prepare; /* it is closed at the end of all */
    uv_prepare_init(&loop, &prepare);
    prepare.data = &turns;
    uv_prepare_start(&prepare, count_turn);
    carry();
    mono_ms start = clock_now();
    for (uint64_t i = 0; i < MANY; i++) {
        far_ike(ike, i, &m);
        far_send(&m, 1);
        while (heard.ike_next <= i)
            uv_run(&loop, UV_RUN_ONCE);
    }
    mono_ms took = clock_now() - start;
    ck_assert(!heard.ike_wrong);
    ck_assert_uint_eq(heard.ike_count, MANY);
    /* A wake-up is a turn of the loop, or two. */
    ck_assert_int_le(turns, 2 * ((took / WAKES_MS + 1) * WAKES + took / REPORT_MS + 1));
    uv_close((uv_handle_t *)&prepare, NULL);
}
END_TEST

START_TEST(held_packets_wait)
{
    carry();
    datapath_hold(d, true);
    datapath_settle(d);
    say(11);
    datapath_move(d, &paths[1]); /* is no reason to begin */
    datapath_settle(d);
    ck_assert(!far_readable(0));
    datapath_hold(d, false);
    ck_assert_uint_eq(far_receive().data[HEADERS], 11);
}
END_TEST

/* The gateway hears that a Child SA goes only after the last packet that was sealed with it. */
START_TEST(the_last_of_a_drained_child_has_left)
{
    enum { BURST = 24, ROUNDS = 50 };
    static uint8_t bytes[ROOM], marked[12];
    const struct session_datagram delete = {.path = paths[0], .bytes = SPAN_OF(marked)};
    carry();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        unsigned seen = 0;
        bool told = false;
        for (uint8_t k = 0; k < BURST; k++)
            say(k);
        add_child(here, SPI_FIRST + i + 1);
        ck_ok(tunnel_drain_child(here, SPI_FIRST + i));
        datapath_settle(d);
        datapath_send(d, &delete);
        while (seen < BURST || !told) {
            struct udp_message m = {.data = bytes, .cap = sizeof(bytes)};
            size_t count, at = 0;
            struct span esp;
            ck_assert(far_readable(WAIT_MS));
            ck_ok(udp_receive(far, &m, 1, &count));
            while (udp_next_datagram(&m, &at, &esp)) {
                bool is_ike = esp.len == sizeof(marked);
                told |= is_ike;
                seen += !is_ike;
                ck_assert(is_ike || !told || esp.data[3] == ((SPI_FIRST + i + 1) & 0xff));
            }
        }
        ck_ok(tunnel_remove_child(here, SPI_FIRST + i));
    }
}
END_TEST

START_TEST(nothing_is_carried_after_stop)
{
    carry();
    say(1);
    (void)far_receive();
    datapath_stop(d);
    say(2);
    tun_close(tun); /* and with it goes the interface, as nobody has its descriptor */
    open_tun();
    ck_assert(!far_readable(0));
    datapath_carry(d, tun, here, &paths[0]);
    say(3);
    ck_assert_uint_eq(far_receive().data[HEADERS], 3);
    struct tun *before = tun;
    ck_ok(tun_open("t1", true, &tun, &(struct fault){0}));
    datapath_carry(d, tun, here, &paths[0]); /* the other way to another one */
    tun_close(before);
}
END_TEST

START_TEST(a_tun_that_is_gone)
{
    carry();
    support_shell("ip link del t0");
    while (heard.lost == 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(heard.lost, 1);
    tun_close(tun);
    open_tun();
    datapath_carry(d, tun, here, &paths[0]);
    say(4);
    ck_assert_uint_eq(far_receive().data[HEADERS], 4);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(heard.lost, 1);
}
END_TEST

/* A path of a family that has no socket. */
START_TEST(what_cannot_be_sent_is_counted)
{
    carry();
    struct path nowhere = {.remote = {ip_v4(198, 51, 100, 1), 4500}};
    datapath_move(d, &nowhere);
    datapath_settle(d); /* else what is being read, of the kernel's own, may take it along */
    say(5);
    while (datapath_out_not_sent(d->out) == 0)
        uv_run(&loop, UV_RUN_NOWAIT);
    datapath_move(d, &paths[0]);
    datapath_settle(d);
    say(6);
    ck_assert_uint_eq(far_receive().data[HEADERS], 6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client datapath");
    TCase *t = tcase_create("datapath");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, packets_go_both_ways);
    tcase_add_test(t, the_last_word_is_always_told);
    tcase_add_test(t, little_traffic_is_told_seldom);
    tcase_add_test(t, a_soft_bound_is_told_at_once);
    tcase_add_test(t, the_first_word_without_an_answer_is_told);
    tcase_add_test(t, ike_is_told_at_once_and_in_order);
    tcase_add_test(t, what_came_before_its_keys_is_opened);
    tcase_add_test(t, more_ike_than_there_is_room_for);
    tcase_add_test(t, much_ike_wakes_seldom);
    tcase_add_test(t, held_packets_wait);
    tcase_add_test(t, the_last_of_a_drained_child_has_left);
    tcase_add_test(t, nothing_is_carried_after_stop);
    tcase_add_test(t, a_tun_that_is_gone);
    tcase_add_test(t, what_cannot_be_sent_is_counted);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
