/* How a session ends, by either side and by both; and how it is kept alive, and found dead. */
#include "tests/unit/session_scene.h"

START_TEST(client_deletes)
{
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
    session_stop(pair.client, pair.now);
    pair_pump(&pair);
    ck_down(SESSION_DOWN_REQUESTED);
    const struct session_event *g = pair_gateway_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(g);
    ck_assert_int_eq(g->down.reason, SESSION_DOWN_BY_PEER);
}
END_TEST

/* The connection is not given up: it is built anew at once, with the same address asked for. */
START_TEST(gateway_deletes)
{
    pair_start(&pair);
    pair_pump(&pair);
    session_stop(pair.gateway, pair.now);
    pair_pump(&pair);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_SEARCHING);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->searching.reason, SESSION_DOWN_BY_PEER);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_UP), 2);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

/* RFC 7296 2.25.2 */
START_TEST(both_delete_at_once)
{
    pair_start(&pair);
    pair_pump(&pair);
    session_stop(pair.client, pair.now);
    session_stop(pair.gateway, pair.now);
    pair_run(&pair, 20000);
    ck_down(SESSION_DOWN_REQUESTED);
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

START_TEST(delete_without_an_answer_ends_soon)
{
    pair_start(&pair);
    pair_pump(&pair);
    pair.wire = pair_lose_all;
    session_stop(pair.client, pair.now);
    mono_ms began = pair.now;
    while (session_next_timeout(pair.client) != MONO_NEVER) {
        pair.now = session_next_timeout(pair.client);
        session_handle_timeout(pair.client, pair.now);
        pair_pump(&pair);
    }
    ck_down(SESSION_DOWN_REQUESTED);
    ck_assert_int_le(pair.now - began, 5000);
}
END_TEST

START_TEST(stop_while_connecting)
{
    pair.wire = pair_lose_all;
    pair_start(&pair);
    pair_pump(&pair);
    session_stop(pair.client, pair.now);
    pair_pump(&pair);
    ck_down(SESSION_DOWN_REQUESTED);
}
END_TEST

START_TEST(liveness_is_checked_only_after_unanswered_traffic)
{
    pair_start(&pair);
    pair_pump(&pair);
    /* idle: nothing is due at all without a NAT */
    ck_assert(session_next_timeout(pair.client) == MONO_NEVER);
    pair.now = 1000;
    struct session_traffic t = {.last_out = 1000, .last_in = MONO_NEVER};
    session_traffic(pair.client, pair.now, &t);
    ck_assert_int_eq(session_next_timeout(pair.client), 1000 + 1000);
    unsigned before = pair.datagrams;
    pair.now = 2000;
    session_handle_timeout(pair.client, pair.now);
    pair_pump(&pair);
    ck_assert_uint_eq(pair.datagrams, before + 2);
    t.last_out = 1000;
    session_traffic(pair.client, pair.now, &t);
    ck_assert(session_next_timeout(pair.client) == MONO_NEVER);
    /* told late, by when an answer is missing already; but not from before it said something */
    t = (struct session_traffic){.last_out = 2900, .last_in = 2500, .first_out = 2600};
    session_traffic(pair.client, 2950, &t);
    ck_assert_int_eq(session_next_timeout(pair.client), 2600 + 1000);
    pair_run(&pair, 3600);
    ck_assert_uint_eq(pair.datagrams, before + 4);
    t = (struct session_traffic){.last_out = 3700, .last_in = 2500, .first_out = 2600};
    session_traffic(pair.client, 3700, &t);
    ck_assert_int_eq(session_next_timeout(pair.client), 3700 + 2000); /* after silence twice */
    pair_ck_up(&pair);
}
END_TEST

START_TEST(whether_an_answer_is_awaited)
{
    pair_start(&pair);
    ck_assert(session_asks(pair.client));
    pair_pump(&pair);
    ck_assert(!session_asks(pair.client));
    pair.wire = pair_lose_all;
    session_suspect(pair.client, pair.now);
    session_handle_timeout(pair.client, pair.now);
    ck_assert(session_asks(pair.client));
}
END_TEST

/* Without MOBIKE there is no other path to look for in a hurry. */
START_TEST(liveness_has_time_without_mobike)
{
    pair.client_config.mobike = false;
    pair_start(&pair);
    pair_pump(&pair);
    struct session_traffic t = {.last_out = 1000, .last_in = MONO_NEVER};
    session_traffic(pair.client, 1000, &t);
    ck_assert_int_eq(session_next_timeout(pair.client), 1000 + 30000);
}
END_TEST

START_TEST(a_dead_gateway_is_noticed)
{
    pair_start(&pair);
    pair_pump(&pair);
    pair.wire = pair_lose_all;
    struct session_traffic t = {.last_out = 5, .last_in = MONO_NEVER};
    session_traffic(pair.client, 5, &t);
    pair_run(&pair, 200000);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_SEARCHING);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->searching.reason, SESSION_DOWN_UNREACHABLE);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
}
END_TEST

START_TEST(keepalives_only_behind_a_nat)
{
    pair_start(&pair);
    struct session_status status;
    pair_pump(&pair);
    session_status(pair.client, &status);
    ck_assert(!status.nat_local);
    pair_wipe(&pair);

    pair_init(&pair);
    pair.client_config.keepalive_learns = false;
    ck_ok(session_new(&pair.client_config, &pair.client));
    session_networks_changed(pair.client, 0, &pair.client_path, 1);
    ck_ok(session_start(pair.client, 0));
    struct session_datagram d;
    ck_assert(session_output(pair.client, 0, &d));
    ck_ok(session_new(&pair.gateway_config, &pair.gateway));
    /* what a masquerading router makes of it */
    const struct path seen = {.local = pair.client_path.remote,
                              .remote = {ip_v4(198, 51, 100, 9), 1025}};
    session_input(pair.gateway, 0, &seen, d.bytes);
    ck_assert(session_output(pair.gateway, 0, &d));
    ck_assert(endpoint_equal(&d.path.remote, &seen.remote));
    session_input(pair.client, 0, &pair.client_path, d.bytes);
    pair_pump(&pair);
    pair_ck_up(&pair);
    session_status(pair.client, &status);
    ck_assert(status.nat_local);
    ck_assert_int_eq(session_next_timeout(pair.client), 20000);
    session_handle_timeout(pair.client, 20000);
    ck_assert(session_output(pair.client, 20000, &d));
    ck_assert_uint_eq(d.bytes.len, 1);
    ck_assert_uint_eq(d.bytes.data[0], 0xff);
    ck_assert_int_eq(session_next_timeout(pair.client), 40000);
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("ike session end", &t);
    tcase_add_test(t, client_deletes);
    tcase_add_test(t, gateway_deletes);
    tcase_add_test(t, both_delete_at_once);
    tcase_add_test(t, delete_without_an_answer_ends_soon);
    tcase_add_test(t, stop_while_connecting);
    tcase_add_test(t, liveness_is_checked_only_after_unanswered_traffic);
    tcase_add_test(t, whether_an_answer_is_awaited);
    tcase_add_test(t, liveness_has_time_without_mobike);
    tcase_add_test(t, a_dead_gateway_is_noticed);
    tcase_add_test(t, keepalives_only_behind_a_nat);
    return support_run(suite);
}
