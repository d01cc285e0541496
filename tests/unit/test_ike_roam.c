/* The path manager and MOBIKE (RFC 4555), client against gateway on virtual time: what a change of
 * network leads to, in how many messages, and what it must not lead to. Paths that die in silence:
 * test_ike_roam_dead.c; without any network, without MOBIKE, and asleep: test_ike_roam_held.c. */
#include "common/ike/session.h"

#include <string.h>

#include "common/ike/session_state.h"
#include "tests/support/roaming.h"

/* --- the address is gone --- */

START_TEST(a_hard_handover_takes_one_exchange)
{
    come_up(&wifi, &cell);
    networks(&cell, NULL);
    /* ESP may leave by the new path before any answer. */
    const struct session_event *e;
    struct session_event event;
    ck_assert(session_next_event(pair.client, &event));
    ck_assert_int_eq(event.type, SESSION_EVENT_PATH);
    ck_assert(ip_equal(&event.path.local.ip, &cell.local.ip));
    ck_assert_uint_eq(event.path.interface, cell.interface);
    pair_pump(&pair);
    ck_assert_uint_eq(pair.datagrams, 2);
    ck_on(&cell);
    const struct session_handover *h = ck_handover(SESSION_MOVE_ADDRESS_GONE);
    ck_assert_uint_eq(h->messages, 2);
    ck_assert_int_eq(h->gap_ms, 0);
    ck_assert(ip_equal(&h->from.local.ip, &wifi.local.ip));
    ck_assert(ip_equal(&h->to.local.ip, &cell.local.ip));
    e = pair_gateway_event(&pair, SESSION_EVENT_PATH);
    ck_assert_ptr_nonnull(e);
    ck_assert(ip_equal(&e->path.remote.ip, &cell.local.ip));
    pair_run(&pair, 100000);
    ck_assert_uint_eq(pair.datagrams, 2);
}
END_TEST

START_TEST(the_gateways_other_address_will_do)
{
    come_up(&wifi, &wifi6);
    networks(&wifi6, NULL);
    pair_pump(&pair);
    ck_on(&wifi6);
    ck_assert_uint_eq(pair.datagrams, 2);
}
END_TEST

/* RFC 4555 3.5: a request that is out goes by the new path, to the octet, and UPDATE follows. */
static uint8_t requests[4][2048];
static size_t request_lens[4], request_count;

static bool keep_requests(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    if (from_client && request_count < 4) {
        memcpy(requests[request_count], bytes, len);
        request_lens[request_count++] = len;
    }
    return !ip_equal(&p->wire_path.local.ip, &dead_local);
}

/* That the gateway has another address is no fault of the interface. */
START_TEST(a_gateway_that_changes_its_address_is_followed_on_the_same_interface)
{
    struct path other = wifi;
    other.remote.ip = ip_v4(203, 0, 113, 66);
    come_up(&wifi, &cell);
    for (int i = 0; i < 4; i++) {
        networks(&other, &cell);
        pair_pump(&pair);
        ck_on(&other);
        networks(&wifi, &cell);
        pair_pump(&pair);
        ck_on(&wifi);
    }
}
END_TEST

START_TEST(a_request_in_flight_goes_along)
{
    come_up(&wifi, &cell);
    request_count = 0;
    pair.wire = keep_requests;
    dead_local = wifi.local.ip;
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_IKE));
    pair_pump(&pair);
    ck_assert_uint_eq(request_count, 1);
    networks(&cell, NULL);
    pair_pump(&pair);
    ck_assert_uint_ge(request_count, 3); /* again; UPDATE; and a Delete of the old IKE SA */
    ck_assert_uint_eq(request_lens[0], request_lens[1]);
    ck_assert_mem_eq(requests[0], requests[1], request_lens[0]);
    pair_run(&pair, 1000);
    ck_on(&cell);
    ck_handover(SESSION_MOVE_ADDRESS_GONE);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 1);
}
END_TEST

/* What the gateway asked where we were, and comes late, is no sign that it moved. */
START_TEST(a_late_request_is_not_followed)
{
    come_up(&cell, NULL);
    pair.delay = delay;
    networks(&wifi, &cell);
    pair_run(&pair, pair.now + 3 * FAST_MS / 2); /* there soon after the move has begun */
    ck_ok(session_set_additional(pair.gateway, pair.now, &wifi6.remote.ip, 1));
    pair_run(&pair, pair.now + 5000);
    ck_on(&wifi);
    ck_handover(SESSION_MOVE_BETTER_PATH);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_HANDOVER), 1);
    ck_assert_ptr_nonnull(pair_client_event(&pair, SESSION_EVENT_ADDRESSES));
}
END_TEST

/* A move while UPDATE is out: what its answer says is of no use, it is asked anew. */
START_TEST(a_move_during_a_move)
{
    come_up(&wifi, &cell);
    dead_local = cell.local.ip;
    networks(&cell, NULL);
    pair_pump(&pair);
    networks(&wifi, NULL);
    pair_pump(&pair);
    ck_on(&wifi);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_HANDOVER), 1);
    ck_assert_uint_eq(pair.datagrams, 1 + 2 + 2);
}
END_TEST

/* By the cell, of the client, only this IKE SA gets through (0: all); of the gateway, no question.
 */
static uint64_t only_spi_i;
static bool questions_lost;

static bool one_of_two(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    struct ike_header h;
    struct span message;
    if (datagram_classify(true, span_make(bytes, len), &message) != DATAGRAM_IKE ||
        ike_header_parse(message, &h) != ERR_OK)
        return true;
    if (!from_client)
        return !questions_lost || h.exchange != EXCHANGE_INFORMATIONAL ||
               (h.flags & IKE_FLAG_RESPONSE) != 0;
    return only_spi_i == 0 || h.spi_i == only_spi_i ||
           ip_equal(&p->wire_path.local.ip, &wifi.local.ip);
}

/* The gateway rekeys the IKE SA while UPDATE is out: what the old one's answer says is of no use to
 * the successor, which has to tell again. */
START_TEST(a_successor_tells_for_itself)
{
    struct session_status before;
    come_up(&wifi, &cell);
    session_status(pair.client, &before);
    pair.wire = one_of_two;
    only_spi_i = UINT64_MAX;
    questions_lost = true;
    networks(&cell, NULL);
    pair_pump(&pair);
    ck_ok(session_rekey(pair.gateway, pair.now, SESSION_REKEY_IKE));
    pair_pump(&pair);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 1);
    only_spi_i = before.spi_i;
    pair_run(&pair, 600);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_HANDOVER));
    only_spi_i = 0;
    questions_lost = false;
    pair_run(&pair, 20000);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_HANDOVER), 1);
    ck_on(&cell);
}
END_TEST

START_TEST(an_update_that_is_lost_is_raced)
{
    come_up(&wifi, &cell);
    dead_local = cell.local.ip;
    networks(&cell, &wifi6);
    pair_run(&pair, 1000);
    ck_on(&wifi6);
    const struct session_handover *h = ck_handover(SESSION_MOVE_ADDRESS_GONE);
    ck_assert_int_le(h->gap_ms, 150);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_SEARCHING), 0);
}
END_TEST

/* What was slow before is waited for longer, and yet not as long again. */
START_TEST(an_update_by_a_way_that_was_slow_is_raced)
{
    enum { TOOK_MS = 800, SLACK_MS = 400 };
    come_up(&wifi, &cell);
    ways_find(pair.client, &cell)->srtt_ms = TOOK_MS;
    dead_local = cell.local.ip;
    networks(&cell, &wifi6);
    pair_run(&pair, TOOK_MS);
    ck_assert_uint_eq(pair.client->roam.mode, ROAM_STEADY);
    pair_run(&pair, 3000);
    ck_on(&wifi6);
    ck_assert_int_le(ck_handover(SESSION_MOVE_ADDRESS_GONE)->gap_ms, TOOK_MS + SLACK_MS);
}
END_TEST

/* The way is slower than what was known of the others: being asked in haste must not go on. */
static void leave_for(const struct path *first, const struct path *other, const struct path *slow)
{
    slow_local = slow->local.ip;
    pair.delay = delay;
    pair.client_path = wifi;
    pair_start(&pair);
    networks(&wifi, &cell);
    pair_run(&pair, 1000);
    pair_forget_events(&pair);
    pair.datagrams = 0;
    networks(first, other);
    pair_run(&pair, 3000);
    ck_on(slow);
    ck_handover(SESSION_MOVE_ADDRESS_GONE);
}

static void slow_cell_alone(const struct path *other)
{
    leave_for(&cell, other, &cell);
}

START_TEST(a_slow_way_is_moved_to)
{
    slow_cell_alone(NULL);
    ck_assert_uint_le(pair.datagrams, 4); /* asked twice, and so answered */
}
END_TEST

START_TEST(a_slow_way_is_moved_to_where_there_is_another)
{
    dead_local = wifi6.local.ip;
    slow_cell_alone(&wifi6);
    ck_assert_uint_le(pair.datagrams, 10);
}
END_TEST

/* However slow: what the race found out is how long its winner takes. One question, two in the
 * race, and an answer to each that arrives; then UPDATE by that way alone. */
START_TEST(a_way_slower_than_haste_is_raced_once)
{
    slow_ms = SLOWER_MS;
    dead_local = wifi6.local.ip;
    slow_cell_alone(&wifi6);
    ck_assert_uint_eq(pair.datagrams, 1 + 2 + 2 + 2);
}
END_TEST

START_TEST(so_is_one_that_another_is_left_for)
{
    slow_ms = SLOWER_MS;
    dead_local = cell.local.ip;
    leave_for(&cell, &wifi6, &wifi6);
    ck_assert_uint_eq(pair.datagrams, 1 + 2 + 1 + 2);
}
END_TEST

/* --- a better path --- */

START_TEST(a_better_path_is_asked_first)
{
    come_up(&cell, NULL);
    dead_local = wifi.local.ip;
    networks(&wifi, &cell);
    pair_run(&pair, 900);
    ck_on(&cell); /* it does not carry: nothing has happened */
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_PATH));
    pair_run(&pair, 3000);
    ck_on(&cell);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_PATH_PROBE);
    ck_assert_ptr_nonnull(e);
    ck_assert(!e->path_probe.answered);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_PATH));
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
}
END_TEST

START_TEST(and_moved_to_once_it_has_answered)
{
    come_up(&cell, NULL);
    networks(&wifi, &cell);
    pair_pump(&pair);
    ck_on(&wifi);
    ck_assert_uint_eq(pair.datagrams, 4);
    ck_handover(SESSION_MOVE_BETTER_PATH);
}
END_TEST

/* An interface comes up with an address of another family first, by which the gateway cannot be
 * reached; the right one follows a moment later. */
START_TEST(a_better_path_may_show_its_ways_one_by_one)
{
    struct path wrong = wifi6;
    dead_local = wrong.local.ip;
    come_up(&cell, NULL);
    networks(&wrong, &cell);
    pair_pump(&pair);
    pair.now += 1;
    const struct path ways[] = {wrong, wifi, cell};
    session_networks_changed(pair.client, pair.now, ways, 3);
    pair_pump(&pair);
    ck_on(&wifi);
    ck_handover(SESSION_MOVE_BETTER_PATH);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_PATH_PROBE);
    ck_assert(e->path_probe.answered);
}
END_TEST

/* And so it is after an address is gone. */
START_TEST(a_new_way_is_tried_at_once_where_an_answer_is_missed)
{
    struct path wrong = wifi6;
    dead_local = wrong.local.ip;
    come_up(&cell, NULL);
    networks(&wrong, NULL);
    pair_pump(&pair);
    pair.now += 1;
    networks(&wrong, &wifi);
    pair_pump(&pair);
    ck_on(&wifi);
    ck_assert_int_le(ck_handover(SESSION_MOVE_ADDRESS_GONE)->gap_ms, 1);
}
END_TEST

/* A fresh interface may hold its first packets back until it knows its router. */
START_TEST(a_better_path_whose_first_packets_are_late_is_asked_again_at_once)
{
    come_up(&cell, NULL);
    pair.delay = delay;
    dead_local = slow_local = wifi.local.ip;
    networks(&wifi, &cell);
    pair_run(&pair, pair.now + 999);
    dead_local = (struct ip){.family = IP_NONE};
    pair_run(&pair, pair.now + 2 * FAST_MS + 2 * 2 * SLOW_MS + 2);
    ck_on(&wifi);
    ck_handover(SESSION_MOVE_BETTER_PATH);
}
END_TEST

/* What failed is asked again, after longer and longer pauses, and only while it is of use. */
START_TEST(what_failed_has_to_earn_trust)
{
    come_up(&cell, NULL);
    dead_local = wifi.local.ip;
    networks(&wifi, &cell);
    pair_run(&pair, 20000);
    size_t idle = pair_count_events(&pair, true, SESSION_EVENT_PATH_PROBE);
    ck_assert_uint_eq(idle, 2);
    ck_assert(session_next_timeout(pair.client) == MONO_NEVER);
    for (mono_ms at = 20000; at < 60000; at += 100) {
        pair_run(&pair, at);
        traffic(at, at);
    }
    size_t used = pair_count_events(&pair, true, SESSION_EVENT_PATH_PROBE) - idle;
    ck_assert_uint_ge(used, 2);
    ck_assert_uint_le(used, 5);
    dead_local = (struct ip){.family = IP_NONE};
    for (mono_ms at = 60000; at < 200000; at += 100) {
        pair_run(&pair, at);
        traffic(at, at);
    }
    ck_on(&wifi);
}
END_TEST

START_TEST(a_path_that_flaps_does_not_cause_a_hundred_moves)
{
    come_up(&wifi, &cell);
    for (int i = 0; i < 100; i++) {
        networks(&cell, NULL);
        pair_run(&pair, pair.now + 500);
        networks(&wifi, &cell);
        pair_run(&pair, pair.now + 500);
    }
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_ge(status.handovers, 4);
    ck_assert_uint_le(status.handovers, 24);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("roam");
    TCase *t = tcase_create("hard");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_hard_handover_takes_one_exchange);
    tcase_add_test(t, the_gateways_other_address_will_do);
    tcase_add_test(t, a_gateway_that_changes_its_address_is_followed_on_the_same_interface);
    tcase_add_test(t, a_request_in_flight_goes_along);
    tcase_add_test(t, a_move_during_a_move);
    tcase_add_test(t, a_late_request_is_not_followed);
    tcase_add_test(t, a_successor_tells_for_itself);
    tcase_add_test(t, an_update_that_is_lost_is_raced);
    tcase_add_test(t, an_update_by_a_way_that_was_slow_is_raced);
    tcase_add_test(t, a_slow_way_is_moved_to);
    tcase_add_test(t, a_slow_way_is_moved_to_where_there_is_another);
    tcase_add_test(t, a_way_slower_than_haste_is_raced_once);
    tcase_add_test(t, so_is_one_that_another_is_left_for);
    suite_add_tcase(s, t);

    t = tcase_create("soft");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_better_path_is_asked_first);
    tcase_add_test(t, and_moved_to_once_it_has_answered);
    tcase_add_test(t, a_better_path_may_show_its_ways_one_by_one);
    tcase_add_test(t, a_better_path_whose_first_packets_are_late_is_asked_again_at_once);
    tcase_add_test(t, a_new_way_is_tried_at_once_where_an_answer_is_missed);
    tcase_add_test(t, what_failed_has_to_earn_trust);
    tcase_add_test(t, a_path_that_flaps_does_not_cause_a_hundred_moves);
    suite_add_tcase(s, t);
    return support_run(s);
}
