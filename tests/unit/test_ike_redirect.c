/* Sent elsewhere in IKE_AUTH (RFC 5685 6), by a gateway that is driven by hand: one that has proven
 * itself is followed, so often and no more, and nothing that it says besides is used; one that has
 * not is not; and the place that it names must prove the same identity. */
#include <string.h>

#include "tests/support/hostile.h"

static struct hostile hostile;
static struct hostile_chain chain;
static struct ike_header header;
static struct hostile_message got;

static const uint8_t elsewhere[] = {1, 4, 203, 0, 113, 2};
static const struct hostile_chain empty;

/* Where the gateways are: the first, and that it names. */
static struct ip first, second;

static void setup(void)
{
    hostile_init(&hostile, true);
    first = hostile.pair.client_path.remote.ip;
    second = ip_v4(203, 0, 113, 2);
}

static void teardown(void)
{
    hostile_wipe(&hostile);
}

/* What a gateway says that proves itself and grants nothing; room for REDIRECT is left. */
static void proof_alone(void)
{
    hostile_next(&hostile, &header, &chain);
    size_t kept = 0;
    for (size_t i = 0; i < chain.count; i++) {
        if (chain.items[i].type == PAYLOAD_ID_R || chain.items[i].type == PAYLOAD_AUTH)
            chain.items[kept++] = chain.items[i];
    }
    ck_assert_uint_eq(kept, 2);
    chain.count = kept;
}

static void say_redirect(void)
{
    hostile_add_notify(&chain, NOTIFY_REDIRECT, SPAN_OF(elsewhere));
    hostile_send_sealed(&hostile, &header, &chain);
}

/* It asks for the IKE SA to go, and is answered. */
static void ck_deletes(void)
{
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_uint_eq(got.payloads.count, 1);
    ck_assert_uint_eq(got.payloads.items[0].type, PAYLOAD_DELETE);
    hostile_answer(&hostile, &empty);
}

/* The driver has found the way; the client asks there, and where it comes from says so. */
static void ck_goes_to(struct ip gateway, struct ip from)
{
    struct path other = hostile.pair.client_path;
    struct notify_payload n;
    struct redirect_target to;
    struct span nonce;
    other.remote.ip = gateway;
    session_redirected(hostile.session, hostile.now, &other, 1);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    ck_assert(ip_equal(&got.path.remote.ip, &gateway));
    ck_assert(notify_find(&got.payloads, NOTIFY_REDIRECTED_FROM, &n));
    ck_ok(redirect_parse(n.data, &to, &nonce));
    ck_assert(ip_equal(&to.ip, &from));
    hostile.path = got.path;
    hostile_restart(&hostile);
}

/* To the first gateway, which is asked for the connection and not to be sent anywhere. */
static void ck_returns(void)
{
    struct notify_payload n;
    hostile_run(&hostile, hostile.now + 1);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    ck_assert(ip_equal(&got.path.remote.ip, &first));
    ck_assert(!notify_find(&got.payloads, NOTIFY_REDIRECT_SUPPORTED, &n));
    ck_assert(!notify_find(&got.payloads, NOTIFY_REDIRECTED_FROM, &n));
    hostile.path = got.path;
    hostile_restart(&hostile);
}

static void ck_nothing_granted(void)
{
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CONFIG], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 0);
}

/* _i: with the addresses of a grant besides, which are not taken. */
START_TEST(a_gateway_that_proved_itself_is_followed)
{
    struct session_status status;
    hostile_reach(&hostile, HOSTILE_KEYED);
    if (_i == 0) {
        proof_alone();
    } else {
        hostile_next(&hostile, &header, &chain);
        for (size_t i = chain.count; i-- > 0;) {
            uint8_t type = chain.items[i].type;
            if (type == PAYLOAD_SA || type == PAYLOAD_TS_I || type == PAYLOAD_TS_R)
                hostile_remove(&chain, i);
        }
        hostile_find(&chain, PAYLOAD_CP);
    }
    say_redirect();
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_REDIRECT], 1);
    ck_assert(ip_equal(&hostile.last[SESSION_EVENT_REDIRECT].redirect.ip, &second));
    ck_nothing_granted();
    ck_deletes();
    ck_goes_to(second, first);
    hostile_reach(&hostile, HOSTILE_UP);
    hostile_ck_alive(&hostile);
    session_status(hostile.session, &status);
    ck_assert(ip_equal(&status.path.remote.ip, &second));
    ck_assert(identity_equal(&status.remote_id, &hostile.pair.client_config.remote_id));
}
END_TEST

/* _i: what its proof lacks. */
START_TEST(a_gateway_that_did_not_is_not)
{
    hostile_reach(&hostile, HOSTILE_KEYED);
    proof_alone();
    switch (_i) {
    case 0:
        hostile_find(&chain, PAYLOAD_AUTH)->body[4] ^= 1;
        break;
    case 1:
        hostile_find(&chain, PAYLOAD_ID_R)->body[5] ^= 1;
        break;
    case 2:
        chain.count = 0;
        break;
    case 3: /* the name alone */
        hostile_remove(&chain, chain.items[0].type == PAYLOAD_AUTH ? 0 : 1);
        break;
    default: /* the proof without a name */
        hostile_remove(&chain, chain.items[0].type == PAYLOAD_ID_R ? 0 : 1);
        break;
    }
    say_redirect();
    hostile_run(&hostile, 120000);
    while (hostile_receive(&hostile, &got))
        ck_assert(ip_equal(&got.path.remote.ip, &first));
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_REDIRECT], 0);
    ck_nothing_granted();
}
END_TEST

/* RFC 5685 10: five times within as many minutes. After that the first gateway is asked once
 * more; if it sends us away all the same, that is the end. */
START_TEST(without_end_it_ends)
{
    enum { TIMES = 5 };
    hostile_begin(&hostile);
    for (unsigned i = 0; i < TIMES; i++) {
        struct ip here = hostile.init_request.path.remote.ip;
        hostile_reach(&hostile, HOSTILE_KEYED);
        proof_alone();
        say_redirect();
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_REDIRECT], i + 1);
        ck_deletes();
        ck_goes_to(ip_v4(203, 0, 113, (uint8_t)(2 + i)), here);
    }
    for (int i = 0; i < 2; i++) {
        hostile_reach(&hostile, HOSTILE_KEYED);
        proof_alone();
        say_redirect();
        ck_deletes();
        if (i > 0)
            break;
        ck_returns();
    }
    hostile_expect_nothing(&hostile);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_REDIRECT], TIMES);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 1);
    ck_assert_int_eq(hostile.last[SESSION_EVENT_DOWN].down.reason, SESSION_DOWN_PROTOCOL);
    ck_nothing_granted();
}
END_TEST

/* It has a good key, and another name than the one we want: back to the first, which does not send
 * us away this time. */
START_TEST(elsewhere_has_the_same_identity)
{
    struct session_status status;
    struct identity own = hostile.pair.gateway_config.local_id;
    hostile_reach(&hostile, HOSTILE_KEYED);
    proof_alone();
    say_redirect();
    ck_deletes();
    ck_goes_to(second, first);
    hostile_reach(&hostile, HOSTILE_KEYED);
    ck_ok(identity_parse("other.example.com", &hostile.pair.gateway_config.local_id));
    hostile_next(&hostile, &header, &chain);
    hostile_send_sealed(&hostile, &header, &chain);
    ck_nothing_granted();
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    hostile_ck_notify_alone(&got, NOTIFY_AUTHENTICATION_FAILED);
    hostile_answer(&hostile, &empty);
    hostile.pair.gateway_config.local_id = own;
    ck_returns();
    hostile_reach(&hostile, HOSTILE_UP);
    session_status(hostile.session, &status);
    ck_assert(ip_equal(&status.path.remote.ip, &first));
}
END_TEST

/* What stands goes on while a fresh IKE SA is sent from one place to the next. */
/* Of the ways to where we were sent, one goes with its address before its turn comes. */
START_TEST(a_way_there_that_has_gone_is_not_taken)
{
    struct path ways[2], there[2];
    struct hostile *h = &hostile;
    hostile_reach(h, HOSTILE_KEYED);
    ways[0] = ways[1] = h->pair.client_path;
    ways[1].local.ip = ip_v4(192, 0, 2, 77);
    ways[1].interface++;
    session_networks_changed(h->session, h->now, ways, 2);
    proof_alone();
    say_redirect();
    ck_deletes();
    memcpy(there, ways, sizeof(there));
    there[0].remote.ip = there[1].remote.ip = second;
    session_redirected(h->session, h->now, there, 2);
    hostile_expect(h, &got, EXCHANGE_IKE_SA_INIT, false);
    ck_assert(ip_equal(&got.path.local.ip, &ways[0].local.ip));
    session_networks_changed(h->session, h->now, ways, 1);
    hostile_run(h, h->now + 60000);
    while (hostile_receive(h, &got))
        ck_assert(ip_equal(&got.path.local.ip, &ways[0].local.ip));
}
END_TEST

START_TEST(what_stands_is_not_given_up)
{
    struct session_status before, after;
    hostile_reach(&hostile, HOSTILE_UP);
    session_status(hostile.session, &before);
    ck_ok(session_reconnect(hostile.session, hostile.now));
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    hostile.path = got.path;
    hostile_restart(&hostile);
    hostile_reach(&hostile, HOSTILE_KEYED);
    proof_alone();
    say_redirect();
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_REDIRECT], 1);
    ck_deletes();
    session_status(hostile.session, &after);
    ck_assert_int_eq(after.state, SESSION_UP);
    ck_assert_uint_eq(after.spi_i, before.spi_i);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_SEARCHING], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DOWN], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DRAIN], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike redirect");
    TCase *t = tcase_create("auth");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, a_gateway_that_proved_itself_is_followed, 0, 2);
    tcase_add_loop_test(t, a_gateway_that_did_not_is_not, 0, 5);
    tcase_add_test(t, without_end_it_ends);
    tcase_add_test(t, elsewhere_has_the_same_identity);
    tcase_add_test(t, a_way_there_that_has_gone_is_not_taken);
    tcase_add_test(t, what_stands_is_not_given_up);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
