/* What lies outside the legal table, said by a peer that knows the keys or by one that does not:
 * every exchange, direction and payload, in every state. Nothing is granted for it, and of what is
 * not authentic nothing is even noticed. */
#include <string.h>

#include "tests/support/hostile.h"

static struct hostile hostile;
static struct hostile_chain chain;
static struct hostile_message got;

/* _i & 1: who we are. */
static void reach(int i, enum hostile_stage stage)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, (i & 1) != 0);
    hostile_reach(&hostile, stage);
}

static void setup(void)
{
    hostile_init(&hostile, false);
}

static void teardown(void)
{
    hostile_wipe(&hostile);
}

/* The peer is a good one where it wants to be; else all that follows says nothing. */
START_TEST(the_peer_is_understood)
{
    reach(_i, HOSTILE_UP);
    for (unsigned i = 0; i < 3; i++)
        hostile_ck_alive(&hostile);
    hostile_child_request(&hostile, &chain, hostile.spi);
    hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
    ck_assert_ptr_nonnull(payload_find(&got.payloads, PAYLOAD_SA));
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 2);
    hostile_ike_request(&hostile, &chain);
    hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
    hostile_ike_follow(&hostile, &got);
    hostile_ck_alive(&hostile);
    ck_ok(session_rekey(hostile.session, hostile.now, SESSION_REKEY_CHILD));
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
    hostile_child_response(&hostile, &chain);
    hostile_answer(&hostile, &chain);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 3);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false); /* Delete */
    chain.count = 0;
    hostile_answer(&hostile, &chain);
    ck_ok(session_rekey(hostile.session, hostile.now, SESSION_REKEY_IKE));
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
    hostile_ike_response(&hostile, &chain);
    hostile_answer(&hostile, &chain);
    hostile_ike_follow(&hostile, &hostile.request);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_uint_eq(got.header.spi_i, hostile.before.spi_i);
    hostile_ck_alive(&hostile);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike hostile table");
    TCase *t = tcase_create("table");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, the_peer_is_understood, 0, 2);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
