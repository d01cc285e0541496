/* An IKE SA that is built anew, as the gateway has forgotten it, is silent, wants to see our proof
 * again, or sends us elsewhere; and hints, which alone have nothing built anew. */
#include "common/ike/stray.h"
#include "tests/unit/rekey_scene.h"

START_TEST(a_gateway_that_forgot_us_is_found_again)
{
    come_up();
    session_free(pair.gateway);
    pair.gateway = NULL;
    struct session_traffic t = {.last_out = 1, .last_in = MONO_NEVER};
    session_traffic(pair.client, 1, &t);
    mono_ms budget = (mono_ms)pair.client_config.dpd_ms + 500 + 900 + 1620;
    pair_run(&pair, budget + 3000);
    ck_agree();
    ck_assert_ptr_nonnull(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 1);
}
END_TEST

START_TEST(a_hint_makes_it_quicker)
{
    come_up();
    session_free(pair.gateway);
    pair.gateway = NULL;
    session_suspect(pair.client, pair.now);
    pair_run(&pair, pair.now + 1500);
    ck_agree();
}
END_TEST

/* RFC 7296 2.21.4: a hint is no fact. */
START_TEST(a_false_hint_costs_one_exchange)
{
    come_up();
    unsigned before = pair.datagrams;
    for (int i = 0; i < 10; i++)
        session_suspect(pair.client, pair.now);
    pair_run(&pair, 10000);
    ck_assert_uint_eq(pair.datagrams, before + 2);
    ck_agree();
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
}
END_TEST

static void forge_invalid_spi(void)
{
    uint8_t out[STRAY_MAX];
    struct span notice = stray_esp_notice(pair.client_children.items[0].spi_out, out);
    pair_forge_to_client(&pair, notice);
    pair_pump(&pair);
}

/* The peer answers and still knows nothing of a child: then that child alone is lost. At a bounded
 * rate, as anybody may say so. */
START_TEST(a_child_that_the_peer_lost_is_made_anew)
{
    come_up();
    forge_invalid_spi();
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 0);
    for (pair.now = 3000; pair.now < 50000; pair.now += 1000)
        forge_invalid_spi();
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 1);
    ck_agree();
    for (; pair.now < 70000; pair.now += 1000)
        forge_invalid_spi();
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 2);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
}
END_TEST

/* While packets come through it, nobody's word counts. */
START_TEST(a_child_that_works_is_left_alone)
{
    come_up();
    for (pair.now = 0; pair.now < 50000; pair.now += 1000) {
        struct session_traffic t = {.last_out = pair.now, .last_in = pair.now};
        session_traffic(pair.client, pair.now, &t);
        forge_invalid_spi();
    }
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 0);
}
END_TEST

/* Nor a flood of words in the moment between two of these packets. */
START_TEST(a_child_that_works_is_left_alone_in_a_flood)
{
    come_up();
    for (mono_ms at = 0; at < 50000; at += 100) {
        struct session_traffic t = {.last_out = at, .last_in = at};
        session_traffic(pair.client, at, &t);
        pair.now = at + 10;
        for (int i = 0; i < 5; i++)
            forge_invalid_spi();
    }
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 0);
    ck_agree();
}
END_TEST

/* An answer that takes its time, a hint, and packets all the while: the gateway is there. */
START_TEST(a_hint_is_no_hurry_while_packets_come)
{
    come_up();
    pair.wire = pair_lose_all;
    session_suspect(pair.client, pair.now);
    for (mono_ms at = 100; at <= 1200; at += 100) {
        struct session_traffic t = {.last_out = at, .last_in = at};
        session_traffic(pair.client, at, &t);
        pair_run(&pair, at);
    }
    pair.wire = NULL;
    pair_run(&pair, 10000);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
    ck_agree();
}
END_TEST

START_TEST(silence_that_ends_keeps_the_ike_sa)
{
    come_up();
    uint64_t ike = spi_i();
    struct session_traffic t = {.last_out = 1, .last_in = MONO_NEVER};
    session_traffic(pair.client, 1, &t);
    pair.wire = pair_lose_all;
    pair_run(&pair, 100000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
    pair.wire = NULL;
    pair_run(&pair, 180000);
    ck_agree();
    /* The old one, or, where an attempt was quicker, a new one; and then the old one is gone. */
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert(status.spi_i == ike || status.reconnects == 1);
}
END_TEST

/* The old IKE SA is given up after a while; the attempts go on. */
START_TEST(holding_has_an_end)
{
    pair.client_config.hold_ms = 60000;
    come_up();
    struct session_traffic t = {.last_out = 1, .last_in = MONO_NEVER};
    session_traffic(pair.client, 1, &t);
    pair.wire = pair_lose_all;
    pair_run(&pair, 60000);
    ck_assert_uint_eq(pair.client_children.count, 1);
    pair_run(&pair, 70000);
    ck_assert_uint_eq(pair.client_children.count, 0);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
    pair.wire = NULL;
    pair_run(&pair, 170000);
    ck_agree();
}
END_TEST

START_TEST(fresh_ike_sa_on_command)
{
    come_up();
    uint64_t ike = spi_i();
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, 10000);
    ck_agree();
    ck_assert_uint_ne(spi_i(), ike);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
    struct session_status before;
    session_status(pair.gateway_before, &before);
    ck_assert_int_eq(before.state, SESSION_DOWN); /* deleted, not forgotten */
}
END_TEST

/* What is on its way by the old keys when the new ones stand still finds them at the gateway. */
START_TEST(the_old_ike_sa_goes_a_moment_later)
{
    struct session_status before;
    come_up();
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_pump(&pair);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_UP), 2);
    session_status(pair.gateway_before, &before);
    ck_assert_int_eq(before.state, SESSION_UP);
    pair_run(&pair, 10000);
    ck_agree();
    session_status(pair.gateway_before, &before);
    ck_assert_int_eq(before.state, SESSION_DOWN);
}
END_TEST

/* RFC 4478 */
START_TEST(proof_is_shown_again_in_time)
{
    pair.gateway_config.auth_lifetime_s = 100;
    come_up();
    pair_run(&pair, 79000);
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 0);
    pair_run(&pair, 95000);
    ck_agree();
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 1);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
}
END_TEST

/* The driver has found the way: the connection stands there. */
static void ck_follows_to(struct ip gateway)
{
    struct path other = pair.client_path;
    struct session_status status;
    other.remote.ip = gateway;
    session_redirected(pair.client, pair.now, &other, 1);
    pair_run(&pair, 10000);
    ck_agree();
    session_status(pair.client, &status);
    ck_assert(ip_equal(&status.path.remote.ip, &other.remote.ip));
}

/* RFC 5685 5: while the connection stands. */
START_TEST(sent_elsewhere)
{
    const struct redirect_target to = {.name = "other.example.com"};
    come_up();
    ck_ok(session_redirect(pair.gateway, pair.now, &to));
    pair_pump(&pair);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_REDIRECT);
    ck_assert_ptr_nonnull(e);
    ck_assert_str_eq(e->redirect.name, "other.example.com");
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    ck_follows_to(ip_v4(203, 0, 113, 2));
}
END_TEST

/* RFC 5685 3: at the beginning; REDIRECTED_FROM then tells the other one that we follow, so it does
 * not send us on. */
START_TEST(sent_elsewhere_at_the_beginning)
{
    pair.gateway_config.redirect.ip = ip_v4(203, 0, 113, 2);
    pair_start(&pair);
    pair_pump(&pair);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_REDIRECT);
    ck_assert_ptr_nonnull(e);
    ck_assert(ip_equal(&e->redirect.ip, &pair.gateway_config.redirect.ip));
    ck_assert_int_eq(pair_client_state(&pair), SESSION_CONNECTING);
    ck_follows_to(e->redirect.ip);
}
END_TEST

/* Nobody finds the way: back to the gateway that we came from, which takes us after all. */
START_TEST(sent_nowhere)
{
    pair.gateway_config.redirect.ip = ip_v4(203, 0, 113, 2);
    pair_start(&pair);
    pair_pump(&pair);
    if (_i == 0)
        session_redirected(pair.client, pair.now, NULL, 0);
    pair_run(&pair, 60000);
    ck_agree();
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REDIRECT), 1);
}
END_TEST

/* RFC 5685 10: gateways that send us from one to the other are obeyed so often and no more. */
START_TEST(sent_elsewhere_without_end)
{
    const struct redirect_target to = {.ip = ip_v4(203, 0, 113, 2)};
    come_up();
    for (int i = 0; i < 8; i++) {
        ck_ok(session_redirect(pair.gateway, pair.now, &to));
        pair_pump(&pair);
        session_redirected(pair.client, pair.now, &pair.client_path, 1);
        pair_pump(&pair);
        ck_agree();
    }
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REDIRECT), 5);
}
END_TEST

/* Without our own nonce it is somebody else's word. */
START_TEST(forged_redirection_is_not_followed)
{
    uint8_t buffer[128];
    struct session_status status;
    struct message_writer m;
    struct span message;
    pair.wire = pair_lose_all;
    pair_start(&pair);
    session_status(pair.client, &status);
    const struct ike_header h = {.spi_i = status.spi_i,
                                 .spi_r = 1,
                                 .major = 2,
                                 .exchange = EXCHANGE_IKE_SA_INIT,
                                 .flags = IKE_FLAG_RESPONSE};
    const struct redirect_target to = {.ip = ip_v4(203, 0, 113, 66)};
    uint8_t nonce[NONCE_LEN] = {1};
    message_begin(&m, buffer, sizeof(buffer), &h);
    redirect_write(&m, NOTIFY_REDIRECT, &to, _i == 0 ? SPAN_EMPTY : SPAN_OF(nonce));
    ck_ok(message_finish(&m, &message));
    pair_forge_to_client(&pair, message);
    pair.wire = NULL;
    pair_run(&pair, 10000);
    ck_agree();
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_REDIRECT));
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("ike rebuild", &t);
    tcase_add_test(t, a_gateway_that_forgot_us_is_found_again);
    tcase_add_test(t, a_hint_makes_it_quicker);
    tcase_add_test(t, a_false_hint_costs_one_exchange);
    tcase_add_test(t, a_child_that_the_peer_lost_is_made_anew);
    tcase_add_test(t, a_child_that_works_is_left_alone);
    tcase_add_test(t, a_child_that_works_is_left_alone_in_a_flood);
    tcase_add_test(t, a_hint_is_no_hurry_while_packets_come);
    tcase_add_test(t, silence_that_ends_keeps_the_ike_sa);
    tcase_add_test(t, holding_has_an_end);
    tcase_add_test(t, fresh_ike_sa_on_command);
    tcase_add_test(t, the_old_ike_sa_goes_a_moment_later);
    tcase_add_test(t, proof_is_shown_again_in_time);
    tcase_add_test(t, sent_elsewhere);
    tcase_add_test(t, sent_elsewhere_at_the_beginning);
    tcase_add_loop_test(t, sent_nowhere, 0, 2);
    tcase_add_test(t, sent_elsewhere_without_end);
    tcase_add_loop_test(t, forged_redirection_is_not_followed, 0, 2);
    return support_run(suite);
}
