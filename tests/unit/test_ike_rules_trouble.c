/* Loss, forgery and bad timing, where each has once been a way to lose a connection or to leave
 * something behind: messages that overtake each other, ends that are lost, words in the clear that
 * come before the genuine ones. */
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/ike/session_state.h"
#include "tests/support/hostile.h"

static struct pair pair;
static struct hostile hostile;
static struct hostile_chain chain;
static const struct hostile_chain empty;
static struct ike_header header;
static struct hostile_message got;

static void setup(void)
{
    pair_init(&pair);
    hostile_init(&hostile, true);
}

static void teardown(void)
{
    pair_wipe(&pair);
    hostile_wipe(&hostile);
}

static void begin(int i)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, (i & 1) != 0);
}

static const char *why(void)
{
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_DOWN);
    return e == NULL ? "not down" : e->down.fault.text;
}

/* --- the wire loses, or holds back, one datagram --- */

static unsigned the_one;
static bool hold_it;
static uint8_t held[IKE_MESSAGE_MAX];
static size_t held_len;

static bool take_one(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)from_client;
    if (p->datagrams != the_one)
        return true;
    if (hold_it) {
        memcpy(held, bytes, len);
        held_len = len;
    }
    return false;
}

static void take(unsigned number, bool hold)
{
    the_one = number;
    hold_it = hold;
    held_len = 0;
    pair.wire = take_one;
}

/* RFC 7296 2.3: the gateway's first request is there before its IKE_AUTH response is. */
START_TEST(a_request_may_overtake_the_auth_response)
{
    take(4, true);
    pair_start(&pair);
    pair_pump(&pair);
    ck_assert_uint_gt(held_len, 4);
    session_suspect(pair.gateway, pair.now);
    pair_pump(&pair);
    ck_assert_msg(pair_client_state(&pair) == SESSION_CONNECTING, "%s", why());
    pair_forge_to_client(&pair, span_make(held + 4, held_len - 4));
    pair_run(&pair, 10000);
    ck_assert_msg(pair_client_state(&pair) == SESSION_UP, "%s", why());
    ck_assert_ptr_null(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

/* 2.3: a Delete waits for the answer to what was asked before it, which was lost. */
START_TEST(a_delete_after_a_lost_request_arrives)
{
    pair_start(&pair);
    pair_pump(&pair);
    take(5, false);
    session_suspect(pair.client, pair.now);
    pair_pump(&pair);
    ck_assert_uint_eq(pair.datagrams, 5);
    session_stop(pair.client, pair.now);
    pair_run(&pair, pair.now + 20000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_DOWN);
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

/* 2.6, 2.15: a cookie that nobody asked for has the first request sent anew, and the answer to the
 * first is on the way: what is signed is then not what was answered. _i: with a name of the gateway
 * sent along. */
START_TEST(a_forged_cookie_costs_a_round_trip_at_most)
{
    pair.client_config.send_remote_id = _i == 1;
    take(2, true);
    pair_start(&pair);
    pair_pump(&pair);
    ck_assert_uint_gt(held_len, 0);
    pair_forge_init(&pair, 0, NOTIFY_COOKIE, span_text("forged"));
    pair_forge_to_client(&pair, span_make(held, held_len));
    pair_run(&pair, 60000);
    ck_assert_msg(pair_client_state(&pair) == SESSION_UP, "%s", why());
}
END_TEST

/* 2.6: the same cookie twice is a repeat: it neither restarts nor counts. */
START_TEST(a_cookie_that_is_repeated_does_nothing)
{
    hostile_begin(&hostile);
    chain.count = 0;
    hostile_add_notify(&chain, NOTIFY_COOKIE, span_text("a cookie"));
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    struct hostile_view before;
    hostile_look(&hostile, &before);
    for (int i = 0; i < 20; i++)
        hostile_answer(&hostile, &chain);
    hostile_ck_unchanged(&hostile, &before);
}
END_TEST

/* 2.21.1: a complaint in the clear is forgotten where the exchange goes on. */
START_TEST(a_complaint_before_a_cookie_is_forgotten)
{
    hostile_begin(&hostile);
    chain.count = 0;
    hostile_add_notify(&chain, NOTIFY_NO_PROPOSAL_CHOSEN, SPAN_EMPTY);
    hostile_answer(&hostile, &chain);
    hostile_expect_nothing(&hostile);
    chain.count = 0;
    hostile_add_notify(&chain, NOTIFY_COOKIE, span_text("a cookie"));
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    hostile_run(&hostile, 5000);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 0);
    while (hostile_receive(&hostile, &got))
        ;
    hostile_restart(&hostile);
    hostile_reach(&hostile, HOSTILE_UP);
}
END_TEST

/* 3.10.1: an error beside all that an answer needs makes it none; and as anybody may have sent it,
 * the genuine one still wins. */
START_TEST(an_error_beside_the_first_answer)
{
    hostile_begin(&hostile);
    hostile_next(&hostile, &header, &chain);
    hostile_add_notify(&chain, 8192, SPAN_EMPTY);
    hostile_send_clear(&hostile, &header, &chain);
    hostile_expect_nothing(&hostile);
    hostile_remove(&chain, chain.count - 1);
    hostile_send_clear(&hostile, &header, &chain);
    hostile_advance(&hostile);
    hostile_reach(&hostile, HOSTILE_UP);
}
END_TEST

/* 2.1: what ends an IKE SA is answered again where the answer was lost. _i: the refusal of
 * IKE_AUTH; the answer to a Delete. */
START_TEST(a_lost_last_answer_is_repeated)
{
    if (_i == 0) {
        ck_ok(secret_set(&pair.psk, span_text("some other key")));
        take(4, false);
        pair_start(&pair);
        pair_run(&pair, 120000);
        const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_DOWN);
        ck_assert_ptr_nonnull(e);
        ck_assert_msg(e->down.reason == SESSION_DOWN_REFUSED, "%s", why());
        return;
    }
    pair_start(&pair);
    pair_pump(&pair);
    take(6, false);
    session_stop(pair.client, pair.now);
    pair_pump(&pair);
    ck_assert_uint_eq(pair.datagrams, 6);
    pair_run(&pair, pair.now + 300); /* sooner than it gives up */
    ck_assert_int_eq(pair_client_state(&pair), SESSION_DOWN);
    ck_assert_uint_eq(pair.datagrams, 8);
}
END_TEST

/* 2.4: stopped while IKE_AUTH is out: the gateway may have the IKE SA by then, so it is deleted
 * once its answer is there. */
START_TEST(stopping_while_the_proof_is_out_leaves_nothing)
{
    take(4, true);
    pair_start(&pair);
    pair_pump(&pair);
    session_stop(pair.client, pair.now);
    pair_forge_to_client(&pair, span_make(held + 4, held_len - 4));
    pair_run(&pair, 10000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_DOWN);
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_UP));
}
END_TEST

/* 2.1: a stranger's SPI does not tell a repeat from a new request; the whole of it does. */
START_TEST(another_beginning_with_the_same_spi_is_not_ours)
{
    struct ike_header h;
    begin(0);
    hostile_reach(&hostile, HOSTILE_KEYED);
    struct span request = span_make(hostile.init_request.raw, hostile.init_request.raw_len);
    ck_ok(ike_header_parse(request, &h));
    ck_assert(session_owns(hostile.session, &h, request));
    uint8_t other[IKE_MESSAGE_MAX];
    memcpy(other, request.data, request.len);
    other[request.len - 1] ^= 1;
    ck_assert(!session_owns(hostile.session, &h, span_make(other, request.len)));
}
END_TEST

/* --- while we close --- */

/* 2.25: what is about to be gone gets no children and no successor; the reason of the end stays. */
START_TEST(a_rekeying_that_crosses_our_delete)
{
    begin(_i);
    hostile_reach(&hostile, HOSTILE_UP);
    session_stop(hostile.session, hostile.now);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    for (int n = 0; n < 3; n++) {
        if (n == 2)
            hostile_ike_request(&hostile, &chain);
        else
            hostile_child_request(&hostile, &chain, n == 0 ? 0 : hostile.spi);
        hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
        hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
        hostile_ck_notify_alone(&got, NOTIFY_TEMPORARY_FAILURE);
    }
    hostile_answer(&hostile, &empty);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 1);
    ck_assert_int_eq(hostile.last[SESSION_EVENT_DOWN].down.reason, SESSION_DOWN_REQUESTED);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 1);
}
END_TEST

/* --- what ends it --- */

/* 2.21.3: every request that is authentic and wrong has its answer, an exchange that nobody knows
 * too; INVALID_SYNTAX where there is no other word for it. */
START_TEST(every_wrong_request_has_its_answer)
{
    for (unsigned exchange = 0; exchange < 256; exchange++) {
        if (exchange == EXCHANGE_IKE_SA_INIT || exchange == EXCHANGE_INFORMATIONAL)
            continue;
        begin(_i);
        hostile_reach(&hostile, HOSTILE_UP);
        hostile_ask(&hostile, (uint8_t)exchange, &empty);
        hostile_expect(&hostile, &got, (uint8_t)exchange, true);
        hostile_ck_notify_alone(&got, NOTIFY_INVALID_SYNTAX);
    }
}
END_TEST

/* 2.21.2, 2.21.3: who was told that his IKE_AUTH was wrong has no IKE SA. _i / 2: in an exchange of
 * its own; in answer to something. */
START_TEST(what_the_peer_found_wrong_ends_it)
{
    static const uint16_t types[] = {NOTIFY_AUTHENTICATION_FAILED, NOTIFY_INVALID_SYNTAX,
                                     NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD};
    for (size_t i = 0; i < 3; i++) {
        if (_i / 2 == 1 && types[i] != NOTIFY_INVALID_SYNTAX)
            continue;
        begin(_i);
        hostile_reach(&hostile, HOSTILE_UP);
        chain.count = 0;
        hostile_add_notify(&chain, types[i], SPAN_EMPTY);
        if (_i / 2 == 0) {
            hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
            hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
            ck_assert_uint_eq(got.payloads.count, 0);
        } else {
            session_suspect(hostile.session, hostile.now);
            hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
            hostile_answer(&hostile, &chain);
        }
        ck_assert_uint_eq(
            hostile.events[SESSION_EVENT_DOWN] + hostile.events[SESSION_EVENT_SEARCHING], 1);
    }
}
END_TEST

/* 2.21: an answer that proves the gateway and grants nothing, not even in words, leaves it with an
 * IKE SA: which is deleted. */
START_TEST(proof_without_a_grant)
{
    hostile_reach(&hostile, HOSTILE_KEYED);
    hostile_next(&hostile, &header, &chain);
    chain.count = 2; /* IDr, AUTH */
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_ptr_nonnull(payload_find(&got.payloads, PAYLOAD_DELETE));
    hostile_answer(&hostile, &empty);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 1);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 0);
}
END_TEST

/* 3.3.6: one proposal that is beyond us, or has an SPI of no good length, and one that is good. */
START_TEST(a_proposal_that_is_beyond_us_spoils_itself_alone)
{
    static struct hostile_payload good;
    static uint8_t more[HOSTILE_BODY_MAX];
    begin(_i);
    hostile_reach(&hostile, HOSTILE_UP);
    hostile_child_request(&hostile, &chain, 0);
    good = *hostile_find(&chain, PAYLOAD_SA);
    for (unsigned count = 41; count <= 120; count += 79) {
        size_t len = 12 + 8 * count;
        memset(more, 0, len);
        more[0] = 2;
        be_write_u16(more + 2, (uint16_t)len);
        memcpy(more + 4, "\x01\x03\x04", 3);
        more[7] = (uint8_t)count;
        for (unsigned i = 0; i < count; i++)
            memcpy(more + 12 + 8 * i, i + 1 < count ? "\x03\0\0\x08\x01" : "\0\0\0\x08\x01", 5);
        memcpy(more + len, good.body, good.len);
        more[len + 4] = 2;
        hostile_child_request(&hostile, &chain, 0);
        struct hostile_payload *p = hostile_find(&chain, PAYLOAD_SA);
        p->len = len + good.len;
        memcpy(p->body, more, p->len);
        hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
        hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
        const struct payload *sa = payload_find(&got.payloads, PAYLOAD_SA);
        ck_assert_ptr_nonnull(sa);
        ck_assert_uint_eq(sa->body.data[4], 2); /* the number of the good one */
    }
}
END_TEST

/* 2.23: a client behind a translator is where its last authentic request came from, and not where a
 * forged or repeated one did. */
START_TEST(a_client_behind_a_nat_is_followed)
{
    struct path moved;
    begin(0);
    hostile_begin(&hostile);
    hostile_next(&hostile, &header, &chain);
    /* any hash of a source that is not the one seen */
    hostile_add_notify(&chain, NOTIFY_NAT_DETECTION_SOURCE_IP, span_text("twenty octets of it."));
    hostile_send_clear(&hostile, &header, &chain);
    hostile_advance(&hostile);
    hostile_reach(&hostile, HOSTILE_UP);
    moved = hostile.path;
    moved.remote.port = 1234;
    hostile.path = moved;
    header = hostile_header(&hostile, EXCHANGE_INFORMATIONAL, false, hostile.sa.next_id);
    hostile_send_clear(&hostile, &header, &empty);
    struct session_status status;
    session_status(hostile.session, &status);
    ck_assert_uint_ne(status.path.remote.port, 1234);
    hostile_ck_alive(&hostile);
    session_status(hostile.session, &status);
    ck_assert_uint_eq(status.path.remote.port, 1234);
    session_suspect(hostile.session, hostile.now);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_uint_eq(got.path.remote.port, 1234);
}
END_TEST

/* --- both at once --- */

/* 2.8.2: whichever successor survives has the children: they can be rekeyed and deleted there. */
START_TEST(the_surviving_ike_sa_has_the_children)
{
    pair.seed = 9000 + (uint64_t)_i;
    pair_start(&pair);
    pair_pump(&pair);
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_IKE));
    ck_ok(session_rekey(pair.gateway, pair.now, SESSION_REKEY_IKE));
    pair_run(&pair, 60000);
    ck_assert_uint_eq(pair.client->current->rekeys, 1);
    for (int side = 0; side < 2; side++) {
        const struct session *s = side == 0 ? pair.client : pair.gateway;
        size_t count = 0;
        for (size_t i = 0; i < CHILDREN_MAX; i++) {
            if (s->children[i] == NULL)
                continue;
            ck_assert_ptr_eq(s->children[i]->sa, s->current);
            count++;
        }
        ck_assert_uint_eq(count, 1);
    }
    ck_ok(session_rekey(_i % 2 == 0 ? pair.client : pair.gateway, pair.now, SESSION_REKEY_CHILD));
    pair_run(&pair, 70000);
    ck_assert_uint_eq(pair.client_children.count, 1);
    ck_assert_uint_eq(session_child_rekeys(pair.client, pair.client_children.items[0].spi_in), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike rules trouble");
    TCase *t = tcase_create("trouble");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_request_may_overtake_the_auth_response);
    tcase_add_test(t, a_delete_after_a_lost_request_arrives);
    tcase_add_loop_test(t, a_forged_cookie_costs_a_round_trip_at_most, 0, 2);
    tcase_add_test(t, a_cookie_that_is_repeated_does_nothing);
    tcase_add_test(t, a_complaint_before_a_cookie_is_forgotten);
    tcase_add_test(t, an_error_beside_the_first_answer);
    tcase_add_loop_test(t, a_lost_last_answer_is_repeated, 0, 2);
    tcase_add_test(t, stopping_while_the_proof_is_out_leaves_nothing);
    tcase_add_test(t, another_beginning_with_the_same_spi_is_not_ours);
    tcase_add_loop_test(t, a_rekeying_that_crosses_our_delete, 0, 2);
    tcase_add_loop_test(t, every_wrong_request_has_its_answer, 0, 2);
    tcase_add_loop_test(t, what_the_peer_found_wrong_ends_it, 0, 4);
    tcase_add_test(t, proof_without_a_grant);
    tcase_add_loop_test(t, a_proposal_that_is_beyond_us_spoils_itself_alone, 0, 2);
    tcase_add_test(t, a_client_behind_a_nat_is_followed);
    tcase_add_loop_test(t, the_surviving_ike_sa_has_the_children, 0, 8);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
