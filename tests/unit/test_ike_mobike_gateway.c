/* What a client that has the keys may say of addresses to a gateway (RFC 4555), and what it must
 * not lead to. */
#include "tests/unit/mobike_peer.h"

static struct path moved_client(void)
{
    struct path p = home;
    p.remote = (struct endpoint){ip_v4(198, 51, 100, 7), 40001};
    return p;
}

static void update_chain(void)
{
    chain.count = 0;
    say(NOTIFY_UPDATE_SA_ADDRESSES, SPAN_EMPTY);
}

/* --- UPDATE_SA_ADDRESSES --- */

START_TEST(an_update_is_followed_once)
{
    static uint8_t bytes[IKE_MESSAGE_MAX];
    come_up();
    struct path there = moved_client(), third = home;
    third.remote.ip = ip_v4(198, 51, 100, 8);
    update_chain();
    struct ike_header header =
        hostile_header(&hostile, EXCHANGE_INFORMATIONAL, false, hostile.sa.next_id++);
    size_t len = hostile_seal(&hostile, &header, &chain, bytes);
    hostile.path = there;
    hostile_send_bytes(&hostile, span_make(bytes, len));
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
    ck_assert(path_equal(&got.path, &there));
    ck_path(&there);
    unsigned paths = hostile.events[SESSION_EVENT_PATH];
    /* The same again, from somewhere else: whoever replays it has his answer, and no more. */
    hostile.path = third;
    hostile_send_bytes(&hostile, span_make(bytes, len));
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
    ck_assert(path_equal(&got.path, &third));
    hostile_expect_nothing(&hostile);
    ck_path(&there);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_PATH], paths);
    hostile.path = there;
    ck_stands();
}
END_TEST

START_TEST(an_update_before_the_proof_is_none)
{
    hostile_reach(&hostile, HOSTILE_KEYED);
    home = hostile.path;
    update_chain();
    say(NOTIFY_MOBIKE_SUPPORTED, SPAN_EMPTY);
    struct ike_header header = hostile_header(&hostile, EXCHANGE_INFORMATIONAL, false, 1);
    hostile.path = moved_client();
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect_nothing(&hostile);
    ck_path(&home);
    hostile.path = home;
    come_up();
    ck_stands();
}
END_TEST

START_TEST(an_update_after_the_end_is_none)
{
    come_up();
    chain.count = 0;
    hostile_add_delete(&chain, NULL, 0);
    ask();
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 1);
    unsigned paths = hostile.events[SESSION_EVENT_PATH];
    update_chain();
    hostile.path = moved_client();
    hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
    hostile_expect_nothing(&hostile);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_PATH], paths);
}
END_TEST

START_TEST(an_update_under_a_replaced_ike_sa_is_none)
{
    come_up();
    rekey();
    hostile_swap(&hostile);
    update_chain();
    hostile.path = moved_client();
    ask();
    ck_path(&home);
    hostile_swap(&hostile);
    update_chain();
    ask();
    ck_path(&hostile.path);
    ck_stands();
}
END_TEST

/* A client that goes from one address to the other without end: each time one answer, and nothing
 * beside it. */
START_TEST(updates_without_end)
{
    come_up();
    unsigned before = hostile.datagrams;
    for (unsigned i = 0; i < 1000; i++) {
        hostile.path.remote.ip.bytes[3] = (uint8_t)i;
        update_chain();
        ask();
        ck_path(&hostile.path);
    }
    hostile_run(&hostile, hostile.now + 10000);
    while (hostile_receive(&hostile, &got))
        ;
    ck_assert_uint_eq(hostile.datagrams - before, 1000);
    ck_sleeps();
    ck_stands();
}
END_TEST

/* --- NO_NATS_ALLOWED --- */

/* RFC 4555 4.2.6: both addresses, then both ports. */
static size_t no_nats(const struct path *seen, uint8_t *out)
{
    struct wire_writer w;
    wire_writer_init(&w, out, 36);
    wire_write_span(&w, ip_span(&seen->remote.ip));
    wire_write_span(&w, ip_span(&seen->local.ip));
    wire_write_u16(&w, seen->remote.port);
    wire_write_u16(&w, seen->local.port);
    return w.len;
}

START_TEST(no_nats_allowed)
{
    uint8_t data[64] = {0};
    come_up();
    for (size_t len = 0; len <= 40; len++) {
        hostile.path.remote.port++;
        struct session_status before = status();
        size_t right = no_nats(&hostile.path, data);
        update_chain();
        say(NOTIFY_NO_NATS_ALLOWED, span_make(data, len));
        ask();
        ck_assert(path_equal(&got.path, &hostile.path));
        ck_assert(says(NOTIFY_UNEXPECTED_NAT_DETECTED) == (len != right));
        ck_path(len == right ? &hostile.path : &before.path);
    }
    size_t len = no_nats(&hostile.path, data);
    for (size_t at = 0; at < len; at++) {
        no_nats(&hostile.path, data);
        data[at] ^= 1;
        update_chain();
        say(NOTIFY_NO_NATS_ALLOWED, span_make(data, len));
        ask();
        ck_assert(says(NOTIFY_UNEXPECTED_NAT_DETECTED));
    }
    hostile.path = status().path;
    ck_stands();
}
END_TEST

START_TEST(no_nats_allowed_over_ipv6)
{
    uint8_t data[36];
    come_up();
    hostile.path.local.ip = (struct ip){.family = IP_V6, .bytes = {0x20, 1, 0x0d, 0xb8, [15] = 1}};
    hostile.path.remote.ip = (struct ip){.family = IP_V6, .bytes = {0x20, 1, 0x0d, 0xb8, [15] = 2}};
    size_t len = no_nats(&hostile.path, data);
    ck_assert_uint_eq(len, 36);
    update_chain();
    say(NOTIFY_NO_NATS_ALLOWED, span_make(data, len));
    ask();
    ck_assert(!says(NOTIFY_UNEXPECTED_NAT_DETECTED));
    ck_path(&hostile.path);
    ck_stands();
}
END_TEST

/* RFC 4555 3.9: in the first IKE_AUTH request too. */
START_TEST(no_nats_allowed_from_the_beginning)
{
    static struct hostile_chain more;
    uint8_t data[36];
    more.count = 0;
    hostile_reach(&hostile, HOSTILE_KEYED);
    size_t len = no_nats(&hostile.path, data);
    data[len - 1] ^= _i == 0 ? 1 : 0;
    hostile_add_notify(&more, NOTIFY_MOBIKE_SUPPORTED, SPAN_EMPTY);
    hostile_add_notify(&more, NOTIFY_NO_NATS_ALLOWED, span_make(data, len));
    authenticate(&more);
    if (_i == 0) {
        hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, true);
        hostile_ck_notify_alone(&got, NOTIFY_UNEXPECTED_NAT_DETECTED);
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 0);
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 1);
    } else {
        hostile_advance(&hostile);
        ck_stands();
    }
}
END_TEST

/* --- return routability --- */

static void come_up_and_move(void)
{
    hostile.pair.gateway_config.return_routability = true;
    come_up();
    update_chain();
    hostile.path = moved_client();
    ask();
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_PATH], 1); /* of UP */
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert(path_equal(&got.path, &hostile.path));
    ck_assert(says(NOTIFY_COOKIE2));
}

/* RFC 4555 3.7: nothing but the question goes there before somebody has answered it there. */
START_TEST(packets_follow_who_has_answered)
{
    come_up_and_move();
    hostile_run(&hostile, hostile.now + 2000);
    while (hostile_receive(&hostile, &got))
        ;
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_PATH], 1);
    answer_well();
    hostile_run(&hostile, hostile.now);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_PATH], 2);
    ck_stands();
}
END_TEST

START_TEST(and_nobody_who_cannot)
{
    static const uint8_t wrong[16];
    come_up_and_move();
    chain.count = 0;
    if (_i == 1)
        say(NOTIFY_COOKIE2, SPAN_OF(wrong));
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_ptr_nonnull(payload_find(&got.payloads, PAYLOAD_DELETE));
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_PATH], 1);
}
END_TEST

/* The client has another IKE SA before it answers, and deletes the old one. */
static void replace_ike_sa(void)
{
    rekey();
    hostile_swap(&hostile);
    chain.count = 0;
    hostile_add_delete(&chain, NULL, 0);
    hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
    hostile_swap(&hostile);
}

/* Is that said under the new one? */
static bool said_anew(uint16_t type)
{
    bool anew = false;
    while (hostile_receive(&hostile, &got))
        anew |= got.header.spi_i == hostile.sa.spi_i && says(type);
    return anew;
}

START_TEST(a_question_outlives_its_ike_sa)
{
    come_up_and_move();
    replace_ike_sa();
    ck_assert(said_anew(NOTIFY_COOKIE2));
    ck_assert_uint_eq(hostile.request.header.spi_i, hostile.sa.spi_i);
    answer_well();
    hostile_run(&hostile, hostile.now);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_PATH], 2);
    ck_stands();
}
END_TEST

/* --- the gateway's own list --- */

static void two_more(struct ip a[2])
{
    a[0] = ip_v4(203, 0, 113, 66);
    a[1] = (struct ip){.family = IP_V6, .bytes = {0x20, 1, 0x0d, 0xb8, [15] = 9}};
}

/* RFC 4555 3.6: whole each time. */
START_TEST(a_gateway_tells_all_its_addresses)
{
    struct ip a[2];
    struct span data;
    two_more(a);
    come_up();
    ck_ok(session_set_additional(hostile.session, hostile.now, a, 2));
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_uint_eq(notifies(NOTIFY_ADDITIONAL_IP4_ADDRESS, &data), 1);
    ck_span_eq(data, ip_span(&a[0]));
    ck_assert_uint_eq(notifies(NOTIFY_ADDITIONAL_IP6_ADDRESS, &data), 1);
    ck_span_eq(data, ip_span(&a[1]));
    ck_assert(!says(NOTIFY_NO_ADDITIONAL_ADDRESSES));
    answer_well();
    ck_ok(session_set_additional(hostile.session, hostile.now, NULL, 0));
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_uint_eq(notifies(NOTIFY_NO_ADDITIONAL_ADDRESSES, &data), 1);
    ck_assert_uint_eq(data.len, 0);
    ck_assert_uint_eq(got.payloads.count, 1);
    answer_well();
    ck_stands();
}
END_TEST

START_TEST(a_list_outlives_its_ike_sa)
{
    struct ip a[2];
    two_more(a);
    come_up();
    ck_ok(session_set_additional(hostile.session, hostile.now, a, 2));
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    replace_ike_sa();
    ck_assert(said_anew(NOTIFY_ADDITIONAL_IP4_ADDRESS));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mobike_gateway");
    TCase *t = tcase_create("update");
    tcase_add_checked_fixture(t, setup_client, teardown);
    tcase_add_test(t, an_update_is_followed_once);
    tcase_add_test(t, an_update_before_the_proof_is_none);
    tcase_add_test(t, an_update_after_the_end_is_none);
    tcase_add_test(t, an_update_under_a_replaced_ike_sa_is_none);
    tcase_add_test(t, updates_without_end);
    suite_add_tcase(s, t);

    t = tcase_create("no_nats");
    tcase_add_checked_fixture(t, setup_client, teardown);
    tcase_add_test(t, no_nats_allowed);
    tcase_add_test(t, no_nats_allowed_over_ipv6);
    tcase_add_loop_test(t, no_nats_allowed_from_the_beginning, 0, 2);
    suite_add_tcase(s, t);

    t = tcase_create("routability");
    tcase_add_checked_fixture(t, setup_client, teardown);
    tcase_add_test(t, packets_follow_who_has_answered);
    tcase_add_loop_test(t, and_nobody_who_cannot, 0, 2);
    tcase_add_test(t, a_question_outlives_its_ike_sa);
    suite_add_tcase(s, t);

    t = tcase_create("addresses");
    tcase_add_checked_fixture(t, setup_client, teardown);
    tcase_add_test(t, a_gateway_tells_all_its_addresses);
    tcase_add_test(t, a_list_outlives_its_ike_sa);
    suite_add_tcase(s, t);
    return support_run(s);
}
