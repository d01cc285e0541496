/* The path manager and MOBIKE (RFC 4555), client against gateway on virtual time: what a change of
 * network leads to, in how many messages, and what it must not lead to. Without any network,
 * without MOBIKE, and asleep: test_ike_roam_held.c. */
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

/* --- a dead path whose address lives --- */

START_TEST(a_dead_path_is_left)
{
    come_up(&wifi, &cell);
    pair_run(&pair, 5000);
    traffic(5000, 5000);
    dead_local = wifi.local.ip;
    pair.now = 5010;
    traffic(5010, 5000);
    pair_run(&pair, 6400);
    ck_on(&cell);
    const struct session_handover *h = ck_handover(SESSION_MOVE_DEAD_PATH);
    ck_assert_int_le(h->gap_ms, 1400);
    ck_assert_int_ge(h->gap_ms, 1000);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_LIVENESS);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->liveness.result, SESSION_LIVENESS_ASKED);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_LIVENESS), 2);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
}
END_TEST

/* What came last was acknowledged in the same millisecond, and then the path died: he who waits for
 * more of a download has nothing to send. */
START_TEST(a_path_that_dies_under_a_download_is_left)
{
    struct session_traffic t = {.last_out = 5000, .last_in = 5000, .out_was_last = true};
    come_up(&wifi, &cell);
    pair_run(&pair, 5000);
    dead_local = wifi.local.ip;
    session_traffic(pair.client, 5000, &t);
    pair_run(&pair, 6400);
    ck_on(&cell);
    ck_handover(SESSION_MOVE_DEAD_PATH);
}
END_TEST

/* What was on its way to us when we moved, and is sent again by the new path, may find that one
 * dead as well, with nothing left for us to say. */
START_TEST(a_path_that_dies_just_after_a_move_is_left)
{
    come_up(&wifi, &cell);
    pair_run(&pair, 5000);
    traffic(5000, 5000);
    const struct path ways[] = {cell, wifi6};
    session_networks_changed(pair.client, pair.now, ways, 2);
    pair_pump(&pair);
    ck_on(&cell);
    pair_forget_events(&pair);
    dead_local = cell.local.ip;
    pair_run(&pair, 6400);
    ck_on(&wifi6);
    ck_handover(SESSION_MOVE_DEAD_PATH);
}
END_TEST

START_TEST(a_move_in_use_is_asked_about_once)
{
    come_up(&wifi, &cell);
    pair_run(&pair, 5000);
    traffic(5000, 5000);
    networks(&cell, NULL);
    pair_pump(&pair);
    ck_on(&cell);
    pair.datagrams = 0;
    pair_run(&pair, 60000);
    ck_assert_uint_eq(pair.datagrams, 2);
    pair_run(&pair, 90000); /* and one that nobody uses not at all */
    networks(&wifi, NULL);
    pair_pump(&pair);
    ck_on(&wifi);
    pair.datagrams = 0;
    pair_run(&pair, 150000);
    ck_assert_uint_eq(pair.datagrams, 0);
}
END_TEST

/* But nothing is asked where the last word was the peer's. */
START_TEST(who_was_answered_asks_nothing)
{
    come_up(&wifi, &cell);
    pair_run(&pair, 5000);
    traffic(5000, 5000);
    pair_run(&pair, 20000);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_LIVENESS));
    ck_assert_uint_eq(pair.datagrams, 0);
}
END_TEST

START_TEST(one_way_traffic_is_no_dead_path)
{
    come_up(&wifi, &cell);
    for (mono_ms at = 0; at < 60000; at += 50) {
        pair_run(&pair, at);
        traffic(at, MONO_NEVER);
    }
    ck_on(&wifi);
    /* It answers when asked, so it is asked less and less often. */
    ck_assert_uint_le(pair.datagrams, 2 * 9);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_PATH));
}
END_TEST

/* In a basement, with somebody waiting: no new IKE SA is made while this one may still do, and it
 * is found alive soon after the way is back. */
START_TEST(a_way_that_comes_back_within_dpd_keeps_the_ike_sa)
{
    come_up(&wifi, NULL);
    dead_all = true;
    for (mono_ms at = 0; at < 20000; at += 100) {
        pair_run(&pair, at);
        traffic(at, MONO_NEVER);
    }
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
    dead_all = false;
    pair_run(&pair, 21600);
    ck_on(&wifi);
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 0);
}
END_TEST

/* What comes through a Child SA is a sign of life, before the question is answered. */
START_TEST(packets_end_the_search)
{
    come_up(&wifi, NULL);
    dead_all = true;
    traffic(10, MONO_NEVER);
    pair_run(&pair, 6000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
    traffic(6000, 6000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    for (mono_ms at = 6000; at < 8000; at += 100) {
        pair_run(&pair, at);
        traffic(at, at);
    }
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    /* But a question that has no answer for very long is one. */
    for (mono_ms at = 8000; at < 60000; at += 100) {
        pair_run(&pair, at);
        traffic(at, at);
    }
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
}
END_TEST

/* But where there is a sign that the gateway forgot us, nothing is waited for. */
START_TEST(a_hint_ends_the_waiting)
{
    come_up(&wifi, NULL);
    session_free(pair.gateway);
    pair.gateway = NULL;
    traffic(10, MONO_NEVER);
    pair_run(&pair, 6000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
    session_suspect(pair.client, pair.now);
    pair_run(&pair, 7000);
    ck_on(&wifi);
}
END_TEST

START_TEST(a_rekeying_in_flight_does_not_hide_a_dead_path)
{
    come_up(&wifi, &cell);
    dead_local = wifi.local.ip;
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_BOTH));
    pair_run(&pair, 1500);
    ck_on(&cell);
    ck_handover(SESSION_MOVE_DEAD_PATH);
    ck_assert_uint_ge(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 2);
}
END_TEST

/* Somebody passed on from an address of his own what the client said, and is gone. Nothing that the
 * gateway answers tells of it. */
START_TEST(a_gateway_that_has_us_elsewhere_is_told_where_we_are)
{
    come_up(&wifi, &cell);
    pair.gateway->current->path.remote.ip = ip_v4(192, 0, 2, 99);
    for (mono_ms at = 0; at < 5000; at += 50) {
        pair_run(&pair, at);
        traffic(at, MONO_NEVER);
    }
    ck_on(&wifi);
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_PATH));
    ck_assert_uint_le(pair.datagrams, 2 * 3);
}
END_TEST

/* --- the translator in front of us --- */

/* Both rekey, and the gateway's question is lost: which successor counts it knows only when the old
 * IKE SA is deleted, and UPDATE is there before that. */
START_TEST(a_successor_may_tell_before_its_predecessor_is_deleted)
{
    come_up(&wifi, &cell);
    dead_local = wifi.local.ip;
    ck_ok(session_rekey(pair.gateway, pair.now, SESSION_REKEY_IKE));
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_IKE));
    pair_run(&pair, 1300);
    ck_on(&cell);
}
END_TEST

START_TEST(a_translator_that_forgot_us_is_noticed)
{
    pair.nat_port = 20000;
    come_up(&wifi, NULL);
    traffic(10, 10);
    pair.now = 20; /* how it saw us before is known from an earlier question */
    session_resumed(pair.client, 20);
    pair_pump(&pair);
    pair_forget_events(&pair);
    pair_run(&pair, 1000);
    pair.nat_port = 30000;
    traffic(1000, 990);
    pair_run(&pair, 2400);
    struct session_status status;
    session_status(pair.gateway, &status);
    ck_assert_uint_eq(status.path.remote.port, 30000);
    const struct session_handover *h = ck_handover(SESSION_MOVE_NAT_CHANGED);
    ck_assert_int_le(h->gap_ms, 1400);
    ck_assert_uint_le(pair_count_events(&pair, true, SESSION_EVENT_HANDOVER), 2);
}
END_TEST

/* A translator that remembers for 50 s: asked about longer and longer silences until it has
 * forgotten, and never again. */
START_TEST(how_long_a_translator_remembers_is_learned)
{
    pair.nat_port = 20000;
    come_up(&wifi, NULL);
    mono_ms sent = 0;
    size_t forgotten = 0;
    unsigned keepalives_of_20s = 3600 / 20;
    for (unsigned before = pair.datagrams; pair.now < 3600000;) {
        pair_run(&pair, pair.now + 100);
        if (pair.datagrams == before)
            continue;
        before = pair.datagrams;
        sent = pair.now;
        mono_ms next = session_next_timeout(pair.client);
        if (next != MONO_NEVER && next - sent > 50000 && forgotten == 0) {
            pair.nat_port = 20001; /* it will have forgotten by then */
            forgotten++;
        }
    }
    ck_assert_uint_eq(forgotten, 1);
    ck_on(&wifi);
    ck_handover(SESSION_MOVE_NAT_CHANGED);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_NAT_CHANGED), 1);
    ck_assert_uint_lt(pair.datagrams, keepalives_of_20s);
    mono_ms pause = session_next_timeout(pair.client) - sent;
    ck_assert_int_gt(pause, 38000);
    ck_assert_int_le(pause, 50000);
}
END_TEST

START_TEST(keepalives_may_have_a_fixed_pace)
{
    pair.client_config.keepalive_learns = false;
    pair.nat_port = 20000;
    come_up(&wifi, NULL);
    pair_run(&pair, 200000 + 10);
    ck_assert_uint_eq(pair.datagrams, 10);
}
END_TEST

/* It forgets us before we have ever asked how we are seen, and by ESP the gateway knows where we
 * are: when we ask after all, nothing seems wrong. Its own questions would go where we were. */
START_TEST(a_translator_that_forgot_us_before_we_asked)
{
    pair.nat_port = 20000;
    come_up(&wifi, NULL);
    traffic(10, 10);
    pair.nat_port = 30000;
    traffic(1000, 990);
    dead_all = true;
    pair_run(&pair, 2100);
    dead_all = false;
    traffic(pair.now, pair.now);
    pair_run(&pair, pair.now + 5000);
    struct session_status status;
    session_status(pair.gateway, &status);
    ck_assert_uint_eq(status.path.remote.port, 30000);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_SEARCHING), 0);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_HANDOVER), 0);
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

    t = tcase_create("dead");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_dead_path_is_left);
    tcase_add_test(t, a_path_that_dies_under_a_download_is_left);
    tcase_add_test(t, a_path_that_dies_just_after_a_move_is_left);
    tcase_add_test(t, a_move_in_use_is_asked_about_once);
    tcase_add_test(t, who_was_answered_asks_nothing);
    tcase_add_test(t, one_way_traffic_is_no_dead_path);
    tcase_add_test(t, a_way_that_comes_back_within_dpd_keeps_the_ike_sa);
    tcase_add_test(t, packets_end_the_search);
    tcase_add_test(t, a_hint_ends_the_waiting);
    tcase_add_test(t, a_rekeying_in_flight_does_not_hide_a_dead_path);
    tcase_add_test(t, a_gateway_that_has_us_elsewhere_is_told_where_we_are);
    tcase_add_test(t, a_successor_may_tell_before_its_predecessor_is_deleted);
    tcase_add_test(t, a_translator_that_forgot_us_is_noticed);
    tcase_add_test(t, how_long_a_translator_remembers_is_learned);
    tcase_add_test(t, keepalives_may_have_a_fixed_pace);
    tcase_add_test(t, a_translator_that_forgot_us_before_we_asked);
    suite_add_tcase(s, t);
    return support_run(s);
}
