/* RFC 4739, two proofs of a client in one IKE_AUTH, rule by rule, against a peer that is driven by
 * hand: what stands in each message, and what is made of one that does not keep to it. */
#include <string.h>

#include "tests/support/hostile.h"

#define USER_KEY "the key of the user, not of the machine"

static struct hostile hostile;
static struct hostile_chain chain, rest;
static struct ike_header header;
static struct hostile_message got;
static struct identity user;
static const struct hostile_chain empty;

static enum err find_psk(void *ctx, const struct identity *peer, struct secret *ret)
{
    const struct pair *p = ctx;
    *ret = p->psk;
    return identity_equal(peer, &user) ? secret_set(ret, span_text(USER_KEY)) : ERR_OK;
}

static void anew(bool as_gateway, enum session_second_use use)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, as_gateway);
    struct session_config *c = &hostile.pair.client_config, *g = &hostile.pair.gateway_config;
    ck_ok(identity_parse("user@example.com", &user));
    if (use != SESSION_SECOND_OFF) {
        c->second.auth = SESSION_AUTH_PSK;
        c->second.id = user;
        ck_ok(secret_set(&c->second.psk, span_text(USER_KEY)));
    }
    g->second_use = use;
    g->policy.find_psk = find_psk;
    chain.count = rest.count = 0;
}

static void teardown(void)
{
    hostile_wipe(&hostile);
}

static bool has_notify(const struct hostile_message *m, uint16_t type)
{
    struct notify_payload n;
    if (!notify_find(&m->payloads, type, &n))
        return false;
    ck_assert_uint_eq(n.protocol, 0);
    ck_assert_uint_eq(n.spi.len, 0);
    ck_assert_uint_eq(n.data.len, 0);
    return true;
}

static bool has(const struct hostile_message *m, uint8_t type)
{
    return payload_find(&m->payloads, type) != NULL;
}

/* IKE_SA_INIT; then IKE_AUTH's request is in hand, or ours to make. */
static void reach_auth(bool announced)
{
    hostile_begin(&hostile);
    hostile_next(&hostile, &header, &chain);
    if (announced && hostile.as_gateway)
        hostile_add_notify(&chain, NOTIFY_MULTIPLE_AUTH_SUPPORTED, SPAN_EMPTY);
    hostile_send_clear(&hostile, &header, &chain);
    hostile_advance(&hostile);
}

/* What a good peer would say now, ID and AUTH alone; what else it would say is in `rest`. */
static void proof_alone(void)
{
    hostile_next(&hostile, &header, &chain);
    rest = chain;
    size_t kept = 0;
    rest.count = 0;
    for (size_t i = 0; i < chain.count; i++) {
        uint8_t type = chain.items[i].type;
        bool proof = type == PAYLOAD_ID_I || type == PAYLOAD_ID_R || type == PAYLOAD_AUTH;
        if (proof)
            chain.items[kept++] = chain.items[i];
        else
            rest.items[rest.count++] = chain.items[i];
    }
    ck_assert_uint_eq(kept, 2);
    chain.count = kept;
}

static void ck_down(enum session_down_reason reason, const char *words)
{
    const struct session_event *e = &hostile.last[SESSION_EVENT_DOWN];
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 1);
    ck_assert_msg(e->down.reason == reason, "down for reason %d (%s)", e->down.reason,
                  e->down.fault.text);
    ck_assert_msg(strstr(e->down.fault.text, words) != NULL, "%s", e->down.fault.text);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CONFIG], 0);
}

/* AUTH of the client with that ID, by that key. */
static void client_auth(struct span id_body, struct span key, uint8_t out[PRF_OUT_MAX])
{
    static uint8_t octets[IKE_MESSAGE_MAX];
    const struct hostile_message *m = &hostile.init_request;
    struct span all;
    ck_ok(auth_octets(hostile.sa.suite.prf, &hostile.sa.keys.pi, span_make(m->raw, m->raw_len),
                      span_make(hostile.nonce_r, hostile.nonce_r_len), id_body, octets,
                      sizeof(octets), &all));
    ck_ok(auth_shared_key(hostile.sa.suite.prf, key, all, out));
}

static struct span user_body(void)
{
    static uint8_t body[4 + IDENTITY_MAX];
    memset(body, 0, sizeof(body));
    body[0] = (uint8_t)user.type;
    memcpy(body + 4, user.data, user.len);
    return span_make(body, 4 + user.len);
}

/* --- the client --- */

/* 2: announced by the gateway, so that the first request may have both; AUTH is in it, and
 * everything that the client asks for; of the second nothing. */
START_TEST(what_the_first_request_holds)
{
    uint8_t expected[PRF_OUT_MAX];
    anew(true, SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    const struct hostile_message *m = &hostile.request;
    ck_assert(has_notify(m, NOTIFY_MULTIPLE_AUTH_SUPPORTED));
    ck_assert(has_notify(m, NOTIFY_ANOTHER_AUTH_FOLLOWS));
    ck_assert(has(m, PAYLOAD_SA) && has(m, PAYLOAD_TS_I) && has(m, PAYLOAD_TS_R));
    client_auth(payload_find(&m->payloads, PAYLOAD_ID_I)->body, secret_span(&hostile.pair.psk),
                expected);
    struct span auth = payload_find(&m->payloads, PAYLOAD_AUTH)->body;
    ck_assert_mem_eq(auth.data + 4, expected, 32);
    ck_assert_ptr_null(memmem(m->plain, m->raw_len, "user@", 5));
}
END_TEST

START_TEST(one_proof_says_nothing_of_it)
{
    anew(true, SESSION_SECOND_OFF);
    reach_auth(true); /* the gateway would take two */
    ck_assert(!has_notify(&hostile.request, NOTIFY_MULTIPLE_AUTH_SUPPORTED));
    ck_assert(!has_notify(&hostile.request, NOTIFY_ANOTHER_AUTH_FOLLOWS));
    hostile_reach(&hostile, HOSTILE_UP);
}
END_TEST

/* 2: a gateway that has not announced it is not sent so much as the first; and who answers first
 * need not be the gateway. */
START_TEST(a_gateway_that_takes_one)
{
    anew(true, SESSION_SECOND_OPTIONAL);
    hostile_begin(&hostile);
    hostile_next(&hostile, &header, &chain);
    hostile_send_clear(&hostile, &header, &chain);
    hostile_expect_nothing(&hostile);
    if (_i == 1) {
        hostile_add_notify(&chain, NOTIFY_MULTIPLE_AUTH_SUPPORTED, SPAN_EMPTY);
        hostile_send_clear(&hostile, &header, &chain);
        hostile_advance(&hostile);
        ck_assert(has_notify(&hostile.request, NOTIFY_ANOTHER_AUTH_FOLLOWS));
        return;
    }
    hostile_run(&hostile, hostile.now + 10000);
    ck_down(SESSION_DOWN_PEER_UNTRUSTED, "no MULTIPLE_AUTH_SUPPORTED");
    while (hostile_receive(&hostile, &got))
        ck_assert_uint_eq(got.header.exchange, EXCHANGE_IKE_SA_INIT);
}
END_TEST

static void prove_gateway(void)
{
    anew(true, SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    proof_alone();
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, false);
}

/* 2: another ID, and AUTH over that one; nothing is asked for a second time. */
START_TEST(what_the_second_request_holds)
{
    uint8_t expected[PRF_OUT_MAX];
    prove_gateway();
    ck_assert_uint_eq(got.payloads.count, 2);
    struct span id = payload_find(&got.payloads, PAYLOAD_ID_I)->body;
    ck_span_eq(id, user_body());
    client_auth(id, span_text(USER_KEY), expected);
    struct span auth = payload_find(&got.payloads, PAYLOAD_AUTH)->body;
    ck_assert_mem_eq(auth.data, "\2\0\0\0", 4);
    ck_assert_mem_eq(auth.data + 4, expected, 32);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 0);
    hostile_answer(&hostile, &rest);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 1);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 1);
}
END_TEST

/* Nothing of the second, not even a name, for who has not proven itself. */
START_TEST(nothing_for_a_gateway_that_is_not_proven)
{
    anew(true, SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    proof_alone();
    hostile_find(&chain, PAYLOAD_AUTH)->body[9] ^= 1;
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    hostile_ck_notify_alone(&got, NOTIFY_AUTHENTICATION_FAILED);
    hostile_answer(&hostile, &empty);
    ck_down(SESSION_DOWN_PEER_UNTRUSTED, "pre-shared key is not ours");
}
END_TEST

/* 2: it is over when all are proven; what is granted earlier is no grant. */
START_TEST(granted_too_early)
{
    anew(true, SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    hostile_next(&hostile, &header, &chain);
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert(has(&got, PAYLOAD_DELETE));
    hostile_answer(&hostile, &empty);
    ck_down(SESSION_DOWN_PROTOCOL, "breaks RFC 7296");
}
END_TEST

/* 2 lets the gateway have two as well: our profile knows one. */
START_TEST(a_gateway_with_two)
{
    anew(true, SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    proof_alone();
    hostile_add_notify(&chain, NOTIFY_ANOTHER_AUTH_FOLLOWS, SPAN_EMPTY);
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    hostile_ck_notify_alone(&got, NOTIFY_AUTHENTICATION_FAILED);
    hostile_answer(&hostile, &empty);
    ck_down(SESSION_DOWN_PEER_UNTRUSTED, "a second time");
}
END_TEST

START_TEST(second_refused)
{
    prove_gateway();
    chain.count = 0;
    hostile_add_notify(&chain, NOTIFY_AUTHENTICATION_FAILED, SPAN_EMPTY);
    hostile_answer(&hostile, &chain);
    ck_down(SESSION_DOWN_REFUSED, "our credentials of [User], not those of [Local]");
    const char *hint = hostile.last[SESSION_EVENT_DOWN].down.fault.hint;
    ck_assert_msg(strstr(hint, "\"user@example.com\" with a pre-shared key of 39 octets") != NULL,
                  "%s", hint);
    hostile_expect_nothing(&hostile);
}
END_TEST

/* Proven both times, and no child for it. */
START_TEST(second_taken_and_no_child)
{
    prove_gateway();
    chain.count = 0;
    hostile_add_notify(&chain, NOTIFY_TS_UNACCEPTABLE, SPAN_EMPTY);
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert(has(&got, PAYLOAD_DELETE));
    hostile_answer(&hostile, &empty);
    ck_down(SESSION_DOWN_SELECTORS, "TS_UNACCEPTABLE");
}
END_TEST

/* --- the gateway --- */

START_TEST(announced_where_it_is_taken)
{
    anew(false, (enum session_second_use)_i);
    reach_auth(false);
    ck_assert_int_eq(has_notify(&hostile.init_response, NOTIFY_MULTIPLE_AUTH_SUPPORTED), _i != 0);
}
END_TEST

static void say_first(bool supported, bool follows)
{
    hostile_next(&hostile, &header, &chain);
    if (supported)
        hostile_add_notify(&chain, NOTIFY_MULTIPLE_AUTH_SUPPORTED, SPAN_EMPTY);
    if (follows)
        hostile_add_notify(&chain, NOTIFY_ANOTHER_AUTH_FOLLOWS, SPAN_EMPTY);
    hostile_ask(&hostile, EXCHANGE_IKE_AUTH, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, true);
}

static void say_second(const char *key)
{
    uint8_t auth[4 + PRF_OUT_MAX] = {AUTH_METHOD_PSK};
    chain.count = 0;
    hostile_add(&chain, PAYLOAD_ID_I, user_body());
    client_auth(user_body(), span_text(key), auth + 4);
    hostile_add(&chain, PAYLOAD_AUTH, span_make(auth, 4 + 32));
}

static void send_second(void)
{
    hostile_ask(&hostile, EXCHANGE_IKE_AUTH, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, true);
}

/* 2: its own proof beside the first, what is granted beside the last. */
START_TEST(its_proof_first_and_its_grant_last)
{
    char who[IDENTITY_TEXT_MAX];
    struct session_status status;
    anew(false, (enum session_second_use)(_i + 1));
    reach_auth(true);
    say_first(true, true);
    ck_assert_uint_eq(got.payloads.count, 2);
    ck_assert(has(&got, PAYLOAD_ID_R) && has(&got, PAYLOAD_AUTH));
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 0);
    say_second(USER_KEY);
    send_second();
    ck_assert(has(&got, PAYLOAD_SA) && has(&got, PAYLOAD_TS_I) && has(&got, PAYLOAD_CP));
    ck_assert(!has(&got, PAYLOAD_ID_R) && !has(&got, PAYLOAD_AUTH));
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 1);
    session_status(hostile.session, &status);
    ck_assert_str_eq(identity_format(&status.remote_id, who), "user@example.com");
}
END_TEST

/* One is enough where two are optional. */
START_TEST(asked_once)
{
    anew(false, SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    say_first(_i == 1, false);
    ck_assert(has(&got, PAYLOAD_SA));
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 1);
}
END_TEST

static void ck_refused(const char *words)
{
    hostile_ck_notify_alone(&got, NOTIFY_AUTHENTICATION_FAILED);
    ck_down(SESSION_DOWN_REFUSED, words);
}

START_TEST(two_are_required)
{
    anew(false, SESSION_SECOND_REQUIRED);
    reach_auth(true);
    say_first(true, false);
    ck_refused("proves itself once");
}
END_TEST

/* 2: announced by both, or there is no second. */
START_TEST(more_than_is_taken)
{
    anew(false, _i == 0 ? SESSION_SECOND_OFF : SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    say_first(_i == 0, true);
    ck_refused("once more than is taken here");
}
END_TEST

START_TEST(no_third)
{
    anew(false, SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    say_first(true, true);
    say_second(USER_KEY);
    hostile_add_notify(&chain, NOTIFY_ANOTHER_AUTH_FOLLOWS, SPAN_EMPTY);
    send_second();
    ck_refused("once more than is taken here");
}
END_TEST

/* 2: all of them have to be good. */
START_TEST(second_is_wrong)
{
    anew(false, SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    say_first(true, true);
    say_second(_i == 0 ? "another key" : USER_KEY);
    if (_i == 1)
        hostile_find(&chain, PAYLOAD_ID_I)->body[5] ^= 1; /* not the name that was signed */
    send_second();
    ck_refused("pre-shared key is not ours");
}
END_TEST

START_TEST(first_is_wrong)
{
    anew(false, SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    hostile_next(&hostile, &header, &chain);
    hostile_find(&chain, PAYLOAD_AUTH)->body[5] ^= 1;
    hostile_add_notify(&chain, NOTIFY_MULTIPLE_AUTH_SUPPORTED, SPAN_EMPTY);
    hostile_add_notify(&chain, NOTIFY_ANOTHER_AUTH_FOLLOWS, SPAN_EMPTY);
    hostile_ask(&hostile, EXCHANGE_IKE_AUTH, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, true);
    ck_refused("pre-shared key is not ours");
}
END_TEST

/* The second by EAP, where none is served; and a client that thinks better of it. */
START_TEST(not_gone_on_with)
{
    anew(false, SESSION_SECOND_OPTIONAL);
    reach_auth(true);
    say_first(true, true);
    chain.count = 0;
    if (_i == 0) {
        hostile_add(&chain, PAYLOAD_ID_I, user_body());
        send_second();
        ck_refused("wants EAP");
        return;
    }
    hostile_add_notify(&chain, NOTIFY_AUTHENTICATION_FAILED, SPAN_EMPTY);
    hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
    ck_assert_uint_eq(got.payloads.count, 0);
    ck_down(SESSION_DOWN_REFUSED, "gave up");
}
END_TEST

/* --- neither, before both are proven --- */

static void ck_nothing_granted(void)
{
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CONFIG], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 0);
}

static const uint8_t success[] = {EAP_SUCCESS, 1, 0, 4};

/* Of the parts in `rest` those whose bits are set; then EAP Success. */
static void say_parts(unsigned parts)
{
    chain.count = 0;
    for (size_t i = 0; i < rest.count; i++) {
        if ((parts & 1u << i) != 0)
            chain.items[chain.count++] = rest.items[i];
    }
    if ((parts & 1u << rest.count) != 0)
        hostile_add(&chain, PAYLOAD_EAP, SPAN_OF(success));
    hostile_answer(&hostile, &chain);
}

enum { PARTS = 1 << 7 }; /* ID, AUTH, CP, SA, two TS, EAP */

/* Whatever stands in the answer to the first proof. */
START_TEST(no_answer_to_the_first_grants_anything)
{
    for (unsigned parts = 0; parts < PARTS; parts++) {
        anew(true, SESSION_SECOND_OPTIONAL);
        reach_auth(true);
        hostile_next(&hostile, &header, &rest);
        say_parts(parts);
        ck_nothing_granted();
    }
}
END_TEST

/* Addresses, SA and both TS are what was asked for. */
START_TEST(half_an_answer_to_the_second_grants_nothing)
{
    for (unsigned parts = 0; parts < 1 << 5; parts++) {
        const unsigned child = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3;
        prove_gateway();
        ck_assert_uint_eq(rest.count, 4);
        say_parts(parts);
        if ((parts & child) != child)
            ck_nothing_granted();
        else
            ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 1);
    }
}
END_TEST

/* A client that is proven once asks for what those have who are. */
START_TEST(proven_once_is_not_proven)
{
    static const uint8_t exchanges[] = {EXCHANGE_IKE_AUTH, EXCHANGE_CREATE_CHILD_SA,
                                        EXCHANGE_INFORMATIONAL};
    for (unsigned n = 0; n < 3 * PARTS; n++) {
        unsigned parts = n / 3;
        anew(false, SESSION_SECOND_OPTIONAL);
        reach_auth(true);
        say_first(true, true);
        hostile_next(&hostile, &header, &chain);
        rest = chain;
        chain.count = 0;
        for (size_t i = 0; i < rest.count; i++) {
            bool proof = rest.items[i].type == PAYLOAD_AUTH; /* a good one would do */
            if ((parts & 1u << i) != 0 && !proof)
                chain.items[chain.count++] = rest.items[i];
        }
        if ((parts & 1u << 6) != 0)
            hostile_add(&chain, PAYLOAD_EAP, SPAN_OF(success));
        hostile_ask(&hostile, exchanges[n % 3], &chain);
        ck_nothing_granted();
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ike_rules_second");
    TCase *c = tcase_create("client");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, what_the_first_request_holds);
    tcase_add_test(c, one_proof_says_nothing_of_it);
    tcase_add_loop_test(c, a_gateway_that_takes_one, 0, 2);
    tcase_add_test(c, what_the_second_request_holds);
    tcase_add_test(c, nothing_for_a_gateway_that_is_not_proven);
    tcase_add_test(c, granted_too_early);
    tcase_add_test(c, a_gateway_with_two);
    tcase_add_test(c, second_refused);
    tcase_add_test(c, second_taken_and_no_child);
    suite_add_tcase(s, c);
    c = tcase_create("gateway");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_loop_test(c, announced_where_it_is_taken, 0, 3);
    tcase_add_loop_test(c, its_proof_first_and_its_grant_last, 0, 2);
    tcase_add_loop_test(c, asked_once, 0, 2);
    tcase_add_test(c, two_are_required);
    tcase_add_loop_test(c, more_than_is_taken, 0, 2);
    tcase_add_test(c, no_third);
    tcase_add_loop_test(c, second_is_wrong, 0, 2);
    tcase_add_test(c, first_is_wrong);
    tcase_add_loop_test(c, not_gone_on_with, 0, 2);
    suite_add_tcase(s, c);
    c = tcase_create("both");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, no_answer_to_the_first_grants_anything);
    tcase_add_test(c, half_an_answer_to_the_second_grants_nothing);
    tcase_add_test(c, proven_once_is_not_proven);
    suite_add_tcase(s, c);
    return support_run(s);
}
