/* EAP within IKE_AUTH (RFC 7296 2.16), client against gateway in one process: what comes up, who is
 * refused, and how often a password is shown. */
#include "tests/unit/eap_scene.h"

static void use_method(uint8_t type)
{
    pair.client_config.eap.methods[0] = policy.methods[0] = type;
}

/* --- coming up --- */

static const uint8_t methods[] = {EAP_MSCHAPV2, EAP_MD5, EAP_GTC};

START_TEST(comes_up)
{
    use_method(methods[_i]);
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
    /* IKE_SA_INIT; the gateway's proof and identity; method; (its end); Success; AUTH */
    ck_assert_uint_eq(pair.datagrams, methods[_i] == EAP_MSCHAPV2 ? 12 : 10);
    struct session_status status;
    char who[IDENTITY_TEXT_MAX];
    session_status(pair.gateway, &status);
    ck_assert_str_eq(identity_format(&status.remote_id, who), "alice");
    ck_assert(status.peer_mobike);
    session_status(pair.client, &status);
    ck_assert_str_eq(identity_format(&status.remote_id, who), "gw.example.com");
    ck_assert(status.peer_mobike);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_CONFIG);
    ck_assert_uint_eq(e->config.address_count, 1);
}
END_TEST

START_TEST(comes_up_without_a_child_at_first)
{
    pair.client_config.childless = pair.gateway_config.childless = true;
    run();
    pair_ck_up(&pair);
}
END_TEST

START_TEST(comes_up_with_what_both_have)
{
    policy = (struct eap_server_policy){.methods = {EAP_MD5, EAP_GTC, EAP_MSCHAPV2},
                                        .method_count = 3,
                                        .random = policy.random,
                                        .find_password = fixture_find_password};
    run();
    pair_ck_up(&pair);
    ck_assert_uint_eq(server.method, EAP_MSCHAPV2);
}
END_TEST

START_TEST(any_one_datagram_may_be_lost)
{
    pair.marked = (unsigned)_i + 1;
    pair.wire = pair_lose_marked;
    run();
    pair_ck_up(&pair);
    ck_assert_uint_eq(begun, 1);
}
END_TEST

START_TEST(rekeys_as_any_other)
{
    run();
    pair_ck_up(&pair);
    pair_forget_events(&pair);
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_BOTH));
    pair_run(&pair, pair.now + 10000);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 2);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
}
END_TEST

/* --- refused --- */

START_TEST(wrong_password)
{
    ck_ok(secret_set(&pair.client_config.eap.password, span_text("another")));
    run();
    pair_ck_down(&pair, SESSION_DOWN_REFUSED,
                 "wrong user name or password (EAP-MSCHAPv2 error 691)");
    ck_gateway_down();
    ck_assert_uint_eq(begun, 1);
}
END_TEST

START_TEST(wrong_password_by_other_methods)
{
    use_method(methods[_i]);
    ck_ok(secret_set(&pair.client_config.eap.password, span_text("another")));
    run();
    const struct fault *f =
        pair_ck_down(&pair, SESSION_DOWN_REFUSED, "refused our credentials (EAP Failure)");
    ck_assert_ptr_nonnull(strstr(f->hint, "user name \"alice\" and proof by EAP-"));
    ck_assert_uint_eq(begun, 1);
}
END_TEST

START_TEST(unknown_user)
{
    memcpy(pair.client_config.eap.name, "mallory", 8);
    run();
    pair_ck_down(&pair, SESSION_DOWN_REFUSED, "\"mallory\"");
    ck_gateway_down();
}
END_TEST

START_TEST(no_method_in_common)
{
    policy.methods[0] = EAP_MD5;
    run();
    pair_ck_down(&pair, SESSION_DOWN_REFUSED, "wants EAP-MD5; we offer EAP-MSCHAPv2");
}
END_TEST

START_TEST(gateway_that_does_not_serve_it)
{
    pair.gateway_config.remote_auth = SESSION_AUTH_PSK;
    run();
    const struct fault *f = pair_ck_down(&pair, SESSION_DOWN_REFUSED, "AUTHENTICATION_FAILED");
    ck_assert_ptr_nonnull(strstr(f->hint, "wanting EAP"));
}
END_TEST

/* --- again --- */

START_TEST(what_is_built_anew_has_the_same_password)
{
    run();
    pair_ck_up(&pair);
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 10000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    ck_assert_uint_eq(begun, 2);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_UP), 2);
}
END_TEST

/* A code that has been handed over is not handed over again; what stands, stands. */
START_TEST(a_code_serves_once)
{
    use_method(EAP_GTC);
    pair.client_config.eap_once = true;
    run();
    pair_ck_up(&pair);
    unsigned before = asked;
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 600000);
    ck_assert_uint_eq(asked, before);
    ck_assert_uint_eq(begun, 2);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    ck_assert_ptr_nonnull(strstr(support_logged, "wants a new code of user \"alice\""));
}
END_TEST

/* But of a password that was asked for, MSCHAPv2 hands over nothing that spends it. */
START_TEST(a_password_that_was_asked_for_serves_on)
{
    pair.client_config.eap_once = true;
    run();
    pair_ck_up(&pair);
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 10000);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_UP), 2);
}
END_TEST

static enum err nobody(void *ctx, struct span name, struct secret *ret_password,
                       struct identity *ret_peer)
{
    (void)ctx, (void)name, (void)ret_password, (void)ret_peer;
    return ERR_NOT_FOUND;
}

/* A password that the gateway does not take any more is tried once, not until the account is
 * locked.
 */
START_TEST(a_refused_password_is_not_tried_again)
{
    run();
    pair_ck_up(&pair);
    pair_forget_events(&pair);
    policy.find_password = nobody;
    session_stop(pair.gateway, pair.now);
    pair_run(&pair, pair.now + 600000);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->down.reason, SESSION_DOWN_REFUSED);
    ck_assert_uint_eq(begun, 2);
}
END_TEST

/* --- configurations --- */

/* RFC 7296 2.16: a gateway that asks by EAP proves itself by a signature. */
START_TEST(configurations_that_cannot_be)
{
    struct session *s = NULL;
    struct session_config c = pair.client_config, g = pair.gateway_config;
    c.remote_auth = SESSION_AUTH_PSK;
    c.remote_psk = pair.psk;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.eap.method_count = 0;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.eap.password.len = 0;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.eap.name[0] = '\0';
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.remote_auth = SESSION_AUTH_EAP;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    g.local_auth = SESSION_AUTH_PSK;
    ck_err(session_new(&g, &s), ERR_MALFORMED);
    g = pair.gateway_config;
    g.policy.eap = NULL;
    ck_err(session_new(&g, &s), ERR_MALFORMED);
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("eap", &t);
    tcase_add_loop_test(t, comes_up, 0, 3);
    tcase_add_test(t, comes_up_without_a_child_at_first);
    tcase_add_test(t, comes_up_with_what_both_have);
    tcase_add_loop_test(t, any_one_datagram_may_be_lost, 0, 12);
    tcase_add_test(t, rekeys_as_any_other);
    tcase_add_test(t, wrong_password);
    tcase_add_loop_test(t, wrong_password_by_other_methods, 1, 3);
    tcase_add_test(t, unknown_user);
    tcase_add_test(t, no_method_in_common);
    tcase_add_test(t, gateway_that_does_not_serve_it);
    tcase_add_test(t, what_is_built_anew_has_the_same_password);
    tcase_add_test(t, a_code_serves_once);
    tcase_add_test(t, a_password_that_was_asked_for_serves_on);
    tcase_add_test(t, a_refused_password_is_not_tried_again);
    tcase_add_test(t, configurations_that_cannot_be);
    return support_run(suite);
}
