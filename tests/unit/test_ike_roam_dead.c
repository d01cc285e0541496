/* Roaming: a path that brings no answer though its address lives, and the translator in front of
 * us, which may have forgotten us (RFC 4555 3.5, 3.8; RFC 3948 4). */
#include "common/ike/session_state.h"
#include "tests/support/roaming.h"

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
    Suite *s = suite_create("roam dead");
    TCase *t = tcase_create("dead");
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
