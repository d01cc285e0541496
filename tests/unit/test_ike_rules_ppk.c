/* RFC 8784, rule by rule, against a peer that is driven by hand: what stands in each message, and
 * what is made of one that does not keep to it. */
#include <string.h>

#include "tests/support/hostile.h"

static struct hostile hostile;
static struct hostile_chain chain;
static struct ike_header header;
static struct hostile_message got;
static struct secret ppk;

static const uint8_t name[] = "\2alice-ppk"; /* PPK_ID_FIXED, and what it is called */
static const struct span named = {name, sizeof(name) - 1};

static enum err find_ppk(void *ctx, const struct identity *peer, struct span id, struct secret *ret)
{
    (void)ctx;
    (void)peer;
    if (!span_equal(id, span_text("alice-ppk")))
        return ERR_NOT_FOUND;
    *ret = ppk;
    return ERR_OK;
}

static void anew(bool as_gateway, enum session_ppk_use use)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, as_gateway);
    struct session_config *c = &hostile.pair.client_config, *g = &hostile.pair.gateway_config;
    ck_ok(secret_set(&ppk, span_text("a post-quantum key of the tests")));
    c->ppk.use = g->ppk.use = use;
    c->ppk.key = ppk;
    memcpy(c->ppk.id, "alice-ppk", sizeof("alice-ppk"));
    g->policy.find_ppk = find_ppk;
}

static void teardown(void)
{
    hostile_wipe(&hostile);
}

static bool has_notify(const struct hostile_message *m, uint16_t type, struct span data)
{
    struct notify_payload n;
    if (!notify_find(&m->payloads, type, &n))
        return false;
    ck_assert_uint_eq(n.protocol, 0);
    ck_assert_uint_eq(n.spi.len, 0);
    ck_assert(span_equal(n.data, data));
    return true;
}

/* IKE_SA_INIT, with USE_PPK of ours; then IKE_AUTH's request is in hand, or ours to make. */
static void reach_auth(bool announced)
{
    hostile_begin(&hostile);
    hostile_next(&hostile, &header, &chain);
    if (announced)
        hostile_add_notify(&chain, NOTIFY_USE_PPK, SPAN_EMPTY);
    hostile_send_clear(&hostile, &header, &chain);
    hostile_advance(&hostile);
}

/* From here on what we say is said with the keys that have it in them. */
static void mix(void)
{
    ck_ok(ike_keys_mix(hostile.sa.suite.prf, &ppk, &hostile.sa.keys));
}

/* The client's AUTH data, or that of NO_PPK_AUTH, as it should be under these keys. */
static void ck_auth(struct span data, const struct ike_keys *keys)
{
    static uint8_t octets[IKE_MESSAGE_MAX];
    uint8_t expected[PRF_OUT_MAX];
    struct span all;
    const struct hostile_message *m = &hostile.init_request;
    ck_ok(auth_octets(hostile.sa.suite.prf, &keys->pi, span_make(m->raw, m->raw_len),
                      span_make(hostile.nonce_r, hostile.nonce_r_len),
                      payload_find(&hostile.request.payloads, PAYLOAD_ID_I)->body, octets,
                      sizeof(octets), &all));
    ck_ok(auth_shared_key(hostile.sa.suite.prf, secret_span(&hostile.pair.psk), all, expected));
    ck_span_eq(data, span_make(expected, prf_len(hostile.sa.suite.prf)));
}

static struct span auth_of(const struct hostile_message *m)
{
    struct auth_payload auth;
    ck_ok(auth_payload_parse(payload_find(&m->payloads, PAYLOAD_AUTH)->body, &auth));
    ck_assert_uint_eq(auth.method, AUTH_METHOD_PSK);
    return auth.data;
}

static void ck_down(enum session_down_reason reason, const char *words)
{
    const struct session_event *e = &hostile.last[SESSION_EVENT_DOWN];
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 1);
    ck_assert_int_eq(e->down.reason, reason);
    ck_assert_msg(strstr(e->down.fault.text, words) != NULL, "%s", e->down.fault.text);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 0);
}

static void ck_in_use(bool with_ppk)
{
    struct session_status status;
    session_status(hostile.session, &status);
    ck_assert_int_eq(status.state, SESSION_UP);
    ck_assert_int_eq(status.ppk, with_ppk);
}

/* --- the client --- */

/* 3: in the first request, and in those that repeat it. */
START_TEST(use_ppk_stands_in_every_first_request)
{
    anew(true, SESSION_PPK_OPTIONAL);
    hostile_begin(&hostile);
    ck_assert(has_notify(&hostile.init_request, NOTIFY_USE_PPK, SPAN_EMPTY));
    chain.count = 0;
    hostile_add_notify(&chain, NOTIFY_COOKIE, span_text("a cookie"));
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    ck_assert(has_notify(&got, NOTIFY_USE_PPK, SPAN_EMPTY));
    anew(true, SESSION_PPK_OFF);
    hostile_begin(&hostile);
    ck_assert(!has_notify(&hostile.init_request, NOTIFY_USE_PPK, SPAN_EMPTY));
}
END_TEST

/* 3: a gateway that has not announced it is spoken to as ever. */
START_TEST(nothing_of_it_where_the_gateway_does_not_know_it)
{
    struct notify_payload n;
    anew(true, SESSION_PPK_OPTIONAL);
    reach_auth(false);
    ck_auth(auth_of(&hostile.request), &hostile.sa.keys);
    ck_assert(!notify_find(&hostile.request.payloads, NOTIFY_PPK_IDENTITY, &n));
    ck_assert(!notify_find(&hostile.request.payloads, NOTIFY_NO_PPK_AUTH, &n));
    hostile_reach(&hostile, HOSTILE_UP);
    ck_in_use(false);
    hostile_ck_alive(&hostile);
}
END_TEST

/* 3: AUTH by the keys with the PPK; NO_PPK_AUTH by those without, where it is optional, and only
 * there; PPK_IDENTITY with a type and the name (5.1). */
START_TEST(what_the_request_holds)
{
    enum session_ppk_use use = _i == 0 ? SESSION_PPK_OPTIONAL : SESSION_PPK_REQUIRED;
    struct notify_payload n;
    anew(true, use);
    reach_auth(true);
    ck_assert(has_notify(&hostile.request, NOTIFY_PPK_IDENTITY, named));
    ck_assert_int_eq(notify_find(&hostile.request.payloads, NOTIFY_NO_PPK_AUTH, &n), _i == 0);
    if (_i == 0) {
        ck_assert_uint_eq(n.protocol, 0);
        ck_assert_uint_eq(n.spi.len, 0);
        ck_auth(n.data, &hostile.sa.keys);
    }
    struct ike_keys plain = hostile.sa.keys;
    mix();
    ck_auth(auth_of(&hostile.request), &hostile.sa.keys);
    /* what protects messages stays as it was */
    ck_span_eq(secret_span(&plain.ei), secret_span(&hostile.sa.keys.ei));
    ck_span_eq(secret_span(&plain.er), secret_span(&hostile.sa.keys.er));
    ike_keys_wipe(&plain);
}
END_TEST

/* 3: PPK_IDENTITY in the answer says that it counts, whatever is in it. */
START_TEST(the_answer_says_that_it_counts)
{
    static const char *const data[] = {"", "\2somebody else's", "\1", "anything"};
    anew(true, SESSION_PPK_REQUIRED);
    reach_auth(true);
    mix();
    hostile_next(&hostile, &header, &chain);
    hostile_add_notify(&chain, NOTIFY_PPK_IDENTITY, span_text(data[_i]));
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_advance(&hostile);
    ck_in_use(true);
    /* SK_d has it in it: a successor of the IKE SA, by its own rules */
    struct hostile_chain *c = &chain;
    hostile_ike_request(&hostile, c);
    hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, c);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
    hostile_ike_follow(&hostile, &got);
    hostile_ck_alive(&hostile);
    ck_in_use(true);
}
END_TEST

/* 3: said with the keys that have it in them, it is not said that it counts: no. */
START_TEST(keys_go_with_what_is_said)
{
    anew(true, SESSION_PPK_OPTIONAL);
    reach_auth(true);
    if (_i == 0)
        mix();
    hostile_next(&hostile, &header, &chain);
    if (_i == 1)
        hostile_add_notify(&chain, NOTIFY_PPK_IDENTITY, SPAN_EMPTY);
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    hostile_ck_notify_alone(&got, NOTIFY_AUTHENTICATION_FAILED);
    chain.count = 0;
    hostile_answer(&hostile, &chain);
    ck_down(SESSION_DOWN_PEER_UNTRUSTED, "pre-shared key is not ours");
}
END_TEST

/* 3: without the gateway's word an optional one is left out, a required one is the end: with
 * AUTHENTICATION_FAILED in an exchange of its own. */
START_TEST(an_answer_without_its_word)
{
    anew(true, _i == 0 ? SESSION_PPK_OPTIONAL : SESSION_PPK_REQUIRED);
    reach_auth(true);
    hostile_next(&hostile, &header, &chain);
    hostile_send_sealed(&hostile, &header, &chain);
    if (_i == 0) {
        hostile_advance(&hostile);
        ck_in_use(false);
        hostile_ck_alive(&hostile);
        return;
    }
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    hostile_ck_notify_alone(&got, NOTIFY_AUTHENTICATION_FAILED);
    chain.count = 0;
    hostile_answer(&hostile, &chain);
    ck_down(SESSION_DOWN_PEER_UNTRUSTED, "does not use the PPK \"alice-ppk\"");
}
END_TEST

/* 3, and who answers first need not be the gateway: a better answer wins. */
START_TEST(a_required_one_that_is_not_announced)
{
    anew(true, SESSION_PPK_REQUIRED);
    hostile_begin(&hostile);
    hostile_next(&hostile, &header, &chain);
    hostile_send_clear(&hostile, &header, &chain);
    hostile_expect_nothing(&hostile);
    if (_i == 1) {
        hostile_add_notify(&chain, NOTIFY_USE_PPK, SPAN_EMPTY);
        hostile_send_clear(&hostile, &header, &chain);
        hostile_advance(&hostile);
        ck_assert(has_notify(&hostile.request, NOTIFY_PPK_IDENTITY, named));
        return;
    }
    hostile_run(&hostile, hostile.now + 10000);
    ck_down(SESSION_DOWN_PEER_UNTRUSTED, "no USE_PPK");
    while (hostile_receive(&hostile, &got)) /* IKE_SA_INIT again, and no credential */
        ck_assert_uint_eq(got.header.exchange, EXCHANGE_IKE_SA_INIT);
}
END_TEST

/* --- the gateway --- */

/* 3: it announces it to whoever has, where it has one itself. */
START_TEST(announced_to_who_asks)
{
    anew(false, _i < 2 ? SESSION_PPK_OPTIONAL : SESSION_PPK_OFF);
    reach_auth(_i != 1);
    ck_assert_int_eq(has_notify(&hostile.init_response, NOTIFY_USE_PPK, SPAN_EMPTY), _i == 0);
}
END_TEST

static void ck_refuses(const char *words)
{
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, true);
    hostile_ck_notify_alone(&got, NOTIFY_AUTHENTICATION_FAILED);
    ck_down(SESSION_DOWN_REFUSED, words);
}

/* 3: announced by both, and then not named: refused. */
START_TEST(announced_and_not_named)
{
    anew(false, SESSION_PPK_OPTIONAL);
    reach_auth(true);
    hostile_next(&hostile, &header, &chain);
    hostile_add_notify(&chain, NOTIFY_NO_PPK_AUTH, span_text("is no substitute for it"));
    ck_refuses("names no PPK");
}
END_TEST

START_TEST(named_and_known)
{
    anew(false, SESSION_PPK_REQUIRED);
    reach_auth(true);
    mix();
    hostile_next(&hostile, &header, &chain);
    hostile_add_notify(&chain, NOTIFY_PPK_IDENTITY, named);
    if (_i == 1) /* of no interest then */
        hostile_add_notify(&chain, NOTIFY_NO_PPK_AUTH, span_text("nonsense"));
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, true);
    ck_assert(has_notify(&got, NOTIFY_PPK_IDENTITY, SPAN_EMPTY));
    ck_in_use(true);
}
END_TEST

/* 3: a name that it does not have, or that is none. */
static const struct {
    const char *data;
    size_t len;
} unknown[] = {{"\2bob-ppk", 8}, {"\1alice-ppk", 10}, {"\2", 1}, {"", 0}, {"\2alice-pp", 9}};

static void say_unknown(int which, enum session_ppk_use use, bool spare, bool good)
{
    anew(false, use);
    reach_auth(true);
    hostile_next(&hostile, &header, &chain);
    struct hostile_payload *auth = hostile_find(&chain, PAYLOAD_AUTH);
    uint8_t data[PRF_OUT_MAX];
    size_t len = auth->len - 4;
    memcpy(data, auth->body + 4, len);
    data[3] ^= good ? 0 : 1;
    memset(auth->body + 4, 0x55, len); /* AUTH itself is by keys that the gateway does not have */
    hostile_add_notify(&chain, NOTIFY_PPK_IDENTITY,
                       span_make(unknown[which].data, unknown[which].len));
    if (spare)
        hostile_add_notify(&chain, NOTIFY_NO_PPK_AUTH, span_make(data, len));
}

/* 3: NO_PPK_AUTH stands for AUTH, by the method that AUTH says. */
START_TEST(named_and_unknown)
{
    say_unknown(_i, SESSION_PPK_OPTIONAL, true, true);
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, true);
    struct notify_payload n;
    ck_assert(!notify_find(&got.payloads, NOTIFY_PPK_IDENTITY, &n));
    ck_assert_ptr_nonnull(payload_find(&got.payloads, PAYLOAD_SA));
    ck_in_use(false);
    say_unknown(_i, SESSION_PPK_OPTIONAL, true, false);
    ck_refuses("pre-shared key is not ours");
    say_unknown(_i, SESSION_PPK_OPTIONAL, false, true);
    ck_refuses("is not known, and it requires it");
    say_unknown(_i, SESSION_PPK_REQUIRED, true, true);
    ck_refuses("is not known, and one is required");
}
END_TEST

/* 3: one that has none, where it is required. */
START_TEST(not_announced_and_required)
{
    anew(false, SESSION_PPK_REQUIRED);
    reach_auth(false);
    hostile_next(&hostile, &header, &chain);
    if (_i == 1) /* unannounced it does not count */
        hostile_add_notify(&chain, NOTIFY_PPK_IDENTITY, named);
    ck_refuses("uses no PPK");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ike_rules_ppk");
    TCase *c = tcase_create("client");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, use_ppk_stands_in_every_first_request);
    tcase_add_test(c, nothing_of_it_where_the_gateway_does_not_know_it);
    tcase_add_loop_test(c, what_the_request_holds, 0, 2);
    tcase_add_loop_test(c, the_answer_says_that_it_counts, 0, 4);
    tcase_add_loop_test(c, keys_go_with_what_is_said, 0, 2);
    tcase_add_loop_test(c, an_answer_without_its_word, 0, 2);
    tcase_add_loop_test(c, a_required_one_that_is_not_announced, 0, 2);
    suite_add_tcase(s, c);
    c = tcase_create("gateway");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_loop_test(c, announced_to_who_asks, 0, 3);
    tcase_add_test(c, announced_and_not_named);
    tcase_add_loop_test(c, named_and_known, 0, 2);
    tcase_add_loop_test(c, named_and_unknown, 0, 5);
    tcase_add_loop_test(c, not_announced_and_required, 0, 2);
    suite_add_tcase(s, c);
    return support_run(s);
}
