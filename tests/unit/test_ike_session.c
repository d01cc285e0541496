/* The session from first message to last, client against gateway in one process on virtual time:
 * what comes up, and what does not and with which reason. */
#include <string.h>

#include "tests/unit/session_scene.h"

/* --- coming up --- */

START_TEST(psk_comes_up_in_two_round_trips)
{
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
    ck_assert_uint_eq(pair.datagrams, 4);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_CONFIG);
    ck_assert_ptr_nonnull(e);
    ck_assert_uint_eq(e->config.address_count, 1);
    ck_assert(ip_equal(&e->config.addresses[0].ip, &pair.assigned.addresses[0].ip));
    ck_assert_uint_eq(e->config.dns_count, 1);
    char text[SELECTOR_LIST_TEXT_MAX];
    e = pair_client_event(&pair, SESSION_EVENT_CHILD_UP);
    ck_assert_str_eq(selector_list_format(&e->child.local, text), "10.7.0.2/32");
    ck_assert_str_eq(selector_list_format(&e->child.remote, text), "10.9.0.0/24");
    /* RFC 7296 2.23: on to port 4500 */
    e = pair_client_event(&pair, SESSION_EVENT_PATH);
    ck_assert_uint_eq(e->path.remote.port, IKE_NAT_PORT);
}
END_TEST

START_TEST(starts_on_port_4500_at_once)
{
    pair.client_path.remote.port = IKE_NAT_PORT;
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
}
END_TEST

static const char *const suites[] = {
    "aes128-sha1-modp2048",           "aes192-sha256-modp3072",
    "aes256-sha384-ecp256",           "aes256-sha512-ecp384",
    "aes128gcm8-prfsha1-ecp521",      "aes192gcm12-prfsha256-x25519",
    "aes256gcm16-prfsha384-modp1024", "chacha20poly1305-prfsha512-modp4096",
};

START_TEST(every_kind_of_suite_comes_up)
{
    struct fault f;
    ck_ok(proposal_list_from_text(suites[_i], PROTOCOL_IKE, &pair.client_config.ike, &f));
    pair.gateway_config.ike = pair.client_config.ike;
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
    struct session_status status;
    char text[PROPOSAL_TEXT_MAX];
    session_status(pair.client, &status);
    suite_format(&status.ike, PROTOCOL_IKE, text);
    /* where the PRF is not named it follows the integrity algorithm */
    ck_assert_msg(strncmp(text, suites[_i], strcspn(suites[_i], "-")) == 0, "%s", text);
}
END_TEST

START_TEST(cookie_is_returned)
{
    pair.cookies = true;
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
}
END_TEST

/* The gateway takes the client's second one alone. */
static void want_another_group(void)
{
    struct fault f;
    ck_ok(proposal_list_from_text("aes256gcm16-prfsha256-x25519-ecp384", PROTOCOL_IKE,
                                  &pair.client_config.ike, &f));
    ck_ok(proposal_list_from_text("aes256gcm16-prfsha256-ecp384", PROTOCOL_IKE,
                                  &pair.gateway_config.ike, &f));
}

START_TEST(another_group_is_tried_when_asked_for)
{
    want_another_group();
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
}
END_TEST

START_TEST(group_and_cookie_together)
{
    want_another_group();
    pair.cookies = true;
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
}
END_TEST

/* --- not coming up --- */

START_TEST(no_common_ike_proposal)
{
    struct fault f;
    ck_ok(
        proposal_list_from_text("aes128-sha256-ecp256", PROTOCOL_IKE, &pair.client_config.ike, &f));
    ck_ok(proposal_list_from_text("aes256-sha256-ecp256", PROTOCOL_IKE, &pair.gateway_config.ike,
                                  &f));
    pair_start(&pair);
    pair_run(&pair, 10000);
    const struct session_event *e = ck_down(SESSION_DOWN_NO_PROPOSAL);
    ck_assert_ptr_nonnull(strstr(e->down.fault.hint, "aes128-sha256"));
}
END_TEST

START_TEST(no_common_esp_proposal)
{
    struct fault f;
    ck_ok(proposal_list_from_text("aes128-sha256", PROTOCOL_ESP, &pair.client_config.esp, &f));
    ck_ok(proposal_list_from_text("aes256gcm16", PROTOCOL_ESP, &pair.gateway_config.esp, &f));
    pair_start(&pair);
    pair_run(&pair, 10000);
    ck_down(SESSION_DOWN_NO_PROPOSAL);
    /* RFC 7296 1.3.1: the IKE SA came up, so the client deleted it. */
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

START_TEST(wrong_shared_key)
{
    ck_ok(secret_set(&pair.psk, span_text("some other key")));
    pair_start(&pair);
    pair_run(&pair, 10000);
    const struct session_event *e = ck_down(SESSION_DOWN_REFUSED);
    ck_assert_ptr_nonnull(strstr(e->down.fault.hint, "25 octets"));
    ck_assert_ptr_null(strstr(e->down.fault.hint, "a shared key of the tests"));
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_CHILD_UP));
    ck_assert_ptr_null(pair_gateway_event(&pair, SESSION_EVENT_CHILD_UP));
}
END_TEST

START_TEST(gateway_without_our_key_is_not_trusted)
{
    ck_ok(secret_set(&pair.client_config.remote_psk, span_text("what we expect of it")));
    pair_start(&pair);
    pair_run(&pair, 10000);
    ck_down(SESSION_DOWN_PEER_UNTRUSTED);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_CHILD_UP));
    /* RFC 7296 2.21.2: the gateway hears of it and forgets us. */
    const struct session_event *g = pair_gateway_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(g);
    ck_assert_int_eq(g->down.reason, SESSION_DOWN_REFUSED);
}
END_TEST

START_TEST(gateway_of_another_name)
{
    ck_ok(identity_parse("other.example.com", &pair.gateway_config.local_id));
    pair_start(&pair);
    pair_run(&pair, 10000);
    const struct session_event *e = ck_down(SESSION_DOWN_PEER_UNTRUSTED);
    ck_assert_ptr_nonnull(strstr(e->down.fault.text, "other.example.com"));
    ck_assert_ptr_nonnull(strstr(e->down.fault.text, "gw.example.com"));
}
END_TEST

START_TEST(selectors_that_do_not_meet)
{
    const struct prefix elsewhere = {ip_v4(172, 16, 0, 0), 16};
    pair.client_config.remote_selectors.items[0].range = range_from_prefix(&elsewhere);
    pair_start(&pair);
    pair_run(&pair, 10000);
    ck_down(SESSION_DOWN_SELECTORS);
}
END_TEST

START_TEST(no_address_left)
{
    pair.assigned.address_count = 0;
    pair_start(&pair);
    pair_run(&pair, 10000);
    ck_down(SESSION_DOWN_SELECTORS);
}
END_TEST

START_TEST(the_next_address_is_tried)
{
    const struct path silent = {.local = pair.client_path.local,
                                .remote = {ip_v4(203, 0, 113, 99), IKE_PORT}};
    const struct path both[] = {silent, pair.client_path};
    ck_ok(session_new(&pair.client_config, &pair.client));
    session_networks_changed(pair.client, 0, both, 2);
    ck_ok(session_start(pair.client, 0));
    struct session_datagram d;
    while (session_output(pair.client, pair.now, &d))
        ck_assert(endpoint_equal(&d.path.remote, &silent.remote));
    for (unsigned i = 0; i < 2; i++) {
        pair.now = session_next_timeout(pair.client);
        session_handle_timeout(pair.client, pair.now);
        if (i == 0)
            ck_assert(session_output(pair.client, pair.now, &d));
    }
    pair_pump(&pair);
    pair_ck_up(&pair);
    ck_assert_int_lt(pair.now, 3000);
}
END_TEST

START_TEST(configurations_that_cannot_work)
{
    struct session *s = NULL;
    struct session_config c = pair.client_config;
    c.local_id.type = IDENTITY_NONE;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.ike.count = 0;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.remote_auth = SESSION_AUTH_CERTIFICATE;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.local_psk.len = 0;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    ck_assert_ptr_null(s);
    ck_ok(session_new(&pair.client_config, &s));
    ck_err(session_start(s, 0), ERR_NOT_FOUND);
    session_free(s);
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("ike session", &t);
    tcase_add_test(t, psk_comes_up_in_two_round_trips);
    tcase_add_test(t, starts_on_port_4500_at_once);
    tcase_add_loop_test(t, every_kind_of_suite_comes_up, 0,
                        (int)(sizeof(suites) / sizeof(suites[0])));
    tcase_add_test(t, cookie_is_returned);
    tcase_add_test(t, another_group_is_tried_when_asked_for);
    tcase_add_test(t, group_and_cookie_together);
    tcase_add_test(t, no_common_ike_proposal);
    tcase_add_test(t, no_common_esp_proposal);
    tcase_add_test(t, wrong_shared_key);
    tcase_add_test(t, gateway_without_our_key_is_not_trusted);
    tcase_add_test(t, gateway_of_another_name);
    tcase_add_test(t, selectors_that_do_not_meet);
    tcase_add_test(t, no_address_left);
    tcase_add_test(t, the_next_address_is_tried);
    tcase_add_test(t, configurations_that_cannot_work);
    return support_run(suite);
}
