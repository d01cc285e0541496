/* What a peer that has the keys may say of addresses (RFC 4555), and what it must not lead to, at a
 * client and at either side: in every state, too short, too long, twice, and without end. */
#include "tests/unit/mobike_peer.h"

static const struct hostile_chain empty;

static unsigned lists(void)
{
    return hostile.events[SESSION_EVENT_ADDRESSES];
}

static const struct session_event *last_list(void)
{
    return &hostile.last[SESSION_EVENT_ADDRESSES];
}

/* --- both sides --- */

/* RFC 4555 3.7, 4.2.5: what comes is returned as it came; what nobody may send is refused. */
START_TEST(cookie2_of_every_length)
{
    uint8_t cookie[66];
    for (size_t i = 0; i < sizeof(cookie); i++)
        cookie[i] = (uint8_t)(i + 1);
    for (size_t len = 0; len <= 65; len++) {
        struct span back;
        afresh(_i == 0);
        come_up();
        chain.count = 0;
        say(NOTIFY_COOKIE2, span_make(cookie, len));
        ask();
        if (len < 8 || len > 64) {
            hostile_ck_notify_alone(&got, NOTIFY_INVALID_SYNTAX);
            continue;
        }
        ck_assert_uint_eq(notifies(NOTIFY_COOKIE2, &back), 1);
        ck_span_eq(back, span_make(cookie, len));
        ck_assert_uint_eq(got.payloads.count, 1);
        ck_stands();
    }
}
END_TEST

/* RFC 4555 4.2.1: we send none, and pass over what comes. */
START_TEST(what_comes_with_mobike_supported_is_passed_over)
{
    static const uint8_t data[] = {1, 2, 3, 4, 5};
    static struct hostile_chain more;
    struct span theirs;
    more.count = 0;
    afresh(_i == 0);
    hostile_reach(&hostile, HOSTILE_KEYED);
    hostile_add_notify(&more, NOTIFY_MOBIKE_SUPPORTED, SPAN_OF(data));
    if (_i == 0) { /* the client's request is there already */
        ck_assert_uint_eq(notifies_of(&hostile.request, NOTIFY_MOBIKE_SUPPORTED, &theirs), 1);
        come_up_with(&more);
    } else {
        authenticate(&more);
        hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, true);
        ck_assert_uint_eq(notifies(NOTIFY_MOBIKE_SUPPORTED, &theirs), 1);
        hostile.sa.next_id++;
    }
    ck_assert_uint_eq(theirs.len, 0);
    ck_assert(status().peer_mobike);
    ck_stands();
}
END_TEST

/* And who has not said that he knows MOBIKE is not heard. */
START_TEST(without_mobike_its_words_mean_nothing)
{
    static const uint8_t cookie[8];
    const struct ip other = ip_v4(203, 0, 113, 66);
    afresh(_i == 0);
    hostile_reach(&hostile, HOSTILE_UP);
    home = status().path;
    chain.count = 0;
    say(NOTIFY_UPDATE_SA_ADDRESSES, SPAN_EMPTY);
    say(NOTIFY_COOKIE2, SPAN_OF(cookie));
    say(NOTIFY_COOKIE2, SPAN_EMPTY);
    say(NOTIFY_NO_NATS_ALLOWED, SPAN_EMPTY);
    say_address(&other);
    hostile.path.remote.ip = other;
    ask();
    ck_assert_uint_eq(got.payloads.count, 0);
    ck_assert_uint_eq(lists(), 0);
    ck_path(&home);
    hostile.path = home;
    ck_stands();
}
END_TEST

/* RFC 4555 3.8: nobody is taken to be where a message came from; the answer goes there all the
 * same. */
START_TEST(a_message_from_elsewhere_moves_nobody)
{
    afresh(_i == 0);
    come_up();
    struct path elsewhere = home;
    elsewhere.remote.ip = ip_v4(198, 51, 100, 200);
    elsewhere.remote.port = 4999;
    hostile.path = elsewhere;
    chain.count = 0;
    ask();
    ck_assert(path_equal(&got.path, &elsewhere));
    ck_path(&home);
    ck_stands();
    ck_path(&home);
}
END_TEST

/* RFC 4555 3.8: whoever asks how he is seen is told, of where his message came from. */
START_TEST(questions_about_translators_are_answered)
{
    static const uint8_t octets[64], hash[20];
    static const size_t lens[] = {20, 0, 19, 21, 64};
    afresh(_i == 0);
    come_up();
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct span data;
        chain.count = 0;
        say(NOTIFY_NAT_DETECTION_SOURCE_IP, span_make(octets, lens[i]));
        say(NOTIFY_NAT_DETECTION_SOURCE_IP, SPAN_OF(hash));
        if (i % 2 == 0)
            say(NOTIFY_NAT_DETECTION_DESTINATION_IP, span_make(octets, lens[i]));
        ask();
        ck_assert_uint_eq(notifies(NOTIFY_NAT_DETECTION_SOURCE_IP, &data), 1);
        ck_assert_uint_eq(data.len, 20);
        ck_assert_uint_eq(notifies(NOTIFY_NAT_DETECTION_DESTINATION_IP, &data), 1);
        ck_assert_uint_eq(data.len, 20);
        ck_path(&home);
    }
    ck_stands();
}
END_TEST

/* --- the gateway's lists --- */

START_TEST(a_list_is_whole)
{
    const struct ip a = ip_v4(203, 0, 113, 66), b = ip_v4(203, 0, 113, 67);
    static struct hostile_chain more;
    more.count = 0;
    hostile_add_notify(&more, NOTIFY_ADDITIONAL_IP4_ADDRESS, ip_span(&a));
    hostile_add_notify(&more, NOTIFY_ADDITIONAL_IP4_ADDRESS, ip_span(&b));
    come_up_with(&more);
    ck_assert_uint_eq(lists(), 1);
    ck_assert_uint_eq(last_list()->addresses.count, 3);
    chain.count = 0;
    say_address(&b);
    ask();
    ck_assert_uint_eq(lists(), 2);
    ck_assert_uint_eq(last_list()->addresses.count, 2);
    ck_assert(ip_equal(&last_list()->addresses.items[0], &b));
    chain.count = 0;
    say(NOTIFY_NO_ADDITIONAL_ADDRESSES, SPAN_EMPTY);
    ask();
    ck_assert_uint_eq(lists(), 3);
    ck_assert_uint_eq(last_list()->addresses.count, 1);
    chain.count = 0;
    ask(); /* which holds none */
    ck_assert_uint_eq(lists(), 3);
}
END_TEST

/* What cannot be somewhere else's address, or is our own, is not told; nor anything twice. */
START_TEST(what_is_no_address_of_a_gateway_is_not_told)
{
    const struct ip good4 = ip_v4(203, 0, 113, 66);
    const struct ip good6 = {.family = IP_V6, .bytes = {0x20, 1, 0x0d, 0xb8, [15] = 1}};
    const struct ip bad[] = {
        ip_v4(0, 0, 0, 0),
        ip_v4(127, 0, 0, 1),
        ip_v4(127, 9, 9, 9),
        ip_v4(224, 0, 0, 1),
        ip_v4(239, 255, 255, 255),
        ip_v4(240, 0, 0, 1),
        ip_v4(255, 255, 255, 255),
        ip_v4(169, 254, 1, 1),
        ip_v4(192, 0, 2, 1), /* where we are */
        ip_v4(10, 7, 0, 2),  /* where we are inside */
        {.family = IP_V6},
        {.family = IP_V6, .bytes = {[15] = 1}},
        {.family = IP_V6, .bytes = {0xff, 2, [15] = 1}},
        {.family = IP_V6, .bytes = {0xfe, 0x80, [15] = 1}},
    };
    static const size_t lens[] = {0, 1, 3, 5, 12, 15, 16, 17, 32};
    static const uint8_t octets[32] = {203, 0, 113, 68};
    come_up();
    chain.count = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        say_address(&bad[i]);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        say(NOTIFY_ADDITIONAL_IP4_ADDRESS, span_make(octets, lens[i]));
        if (lens[i] != 16)
            say(NOTIFY_ADDITIONAL_IP6_ADDRESS, span_make(octets, lens[i]));
    }
    for (int i = 0; i < 10; i++)
        say_address(&good4);
    say_address(&good6);
    ask();
    ck_assert_uint_eq(lists(), 1);
    ck_assert_uint_eq(last_list()->addresses.count, 3);
    ck_assert(ip_equal(&last_list()->addresses.items[0], &good4));
    ck_assert(ip_equal(&last_list()->addresses.items[1], &good6));
    ck_assert(ip_equal(&last_list()->addresses.items[2], &hostile.path.remote.ip));
    ck_stands();
}
END_TEST

START_TEST(more_addresses_than_there_is_room_for)
{
    come_up();
    chain.count = 0;
    for (uint8_t i = 0; i < 40; i++)
        say_address(&(struct ip){.family = IP_V4, .bytes = {203, 0, 113, (uint8_t)(100 + i)}});
    ask();
    ck_assert_uint_eq(lists(), 1);
    ck_assert_uint_eq(last_list()->addresses.count, SESSION_ADDRESSES_MAX);
    ck_stands();
}
END_TEST

static void tell_one(uint8_t last)
{
    const struct ip ip = ip_v4(203, 0, 113, last);
    chain.count = 0;
    say_address(&ip);
    ask();
}

START_TEST(the_same_list_is_told_once)
{
    come_up();
    for (int i = 0; i < 100; i++)
        tell_one(66);
    ck_assert_uint_eq(lists(), 1);
}
END_TEST

/* Each list costs the driver questions to the kernel. */
START_TEST(lists_without_end_are_told_now_and_then)
{
    come_up();
    for (int i = 0; i < 1000; i++) {
        tell_one((uint8_t)(100 + i % 2 * 10));
        hostile_run(&hostile, hostile.now + 50);
    }
    ck_assert_uint_ge(lists(), 5);
    ck_assert_uint_le(lists(), 30);
    tell_one(77);
    ck_sleeps();
    hostile_run(&hostile, hostile.now + 30000);
    ck_assert_uint_eq(last_list()->addresses.items[0].bytes[3], 77); /* the last one in the end */
}
END_TEST

/* What is said once more under an IKE SA that has a successor is older than what was said there. */
START_TEST(an_old_list_does_not_come_after_a_new_one)
{
    come_up();
    hostile_run(&hostile, hostile.now + 10);
    rekey();
    hostile_swap(&hostile);
    tell_one(65); /* nothing newer is known */
    hostile_swap(&hostile);
    ck_assert_uint_eq(lists(), 1);
    tell_one(66);
    ck_assert_uint_eq(lists(), 2);
    hostile_swap(&hostile);
    tell_one(67);
    hostile_swap(&hostile);
    ck_assert_uint_eq(lists(), 2);
    ck_assert_uint_eq(last_list()->addresses.items[0].bytes[3], 66);
}
END_TEST

/* A gateway that is built anew, or another one, has the addresses that it says it has. */
START_TEST(a_new_ike_sa_has_a_list_of_its_own)
{
    static struct pair pair;
    pair_init(&pair);
    pair.gateway_config.additional[0] = ip_v4(203, 0, 113, 66);
    pair.gateway_config.additional_count = 1;
    pair_start(&pair);
    pair_pump(&pair);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_ADDRESSES), 1);
    pair_forget_events(&pair);
    pair.gateway_config.additional_count = 0;
    pair.gateway_config.mobike = _i == 0;
    pair.now += 1000;
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 1000);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_ADDRESSES);
    ck_assert_ptr_nonnull(e);
    ck_assert_uint_eq(e->addresses.count, 1);
    ck_assert(ip_equal(&e->addresses.items[0], &pair.client_path.remote.ip));
    pair_wipe(&pair);
}
END_TEST

/* Made at another of its addresses, it leaves out that one, and tells of the first: no news. */
START_TEST(a_list_is_the_same_at_whichever_address)
{
    static struct pair pair;
    pair_init(&pair);
    struct path other = pair.client_path;
    other.remote.ip = ip_v4(203, 0, 113, 66);
    pair.gateway_config.additional[0] = other.remote.ip;
    pair.gateway_config.additional_count = 1;
    pair_start(&pair);
    pair_pump(&pair);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_ADDRESSES);
    ck_assert_ptr_nonnull(e);
    ck_assert_uint_eq(e->addresses.count, 2);
    ck_assert(ip_equal(&e->addresses.items[1], &pair.client_path.remote.ip));
    pair_forget_events(&pair);
    pair.gateway_config.additional[0] = pair.client_path.remote.ip;
    session_networks_changed(pair.client, pair.now, &other, 1);
    pair_pump(&pair);
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 1000);
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert(ip_equal(&status.path.remote.ip, &other.remote.ip));
    ck_assert_uint_eq(status.reconnects, 1);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_ADDRESSES));
    pair_wipe(&pair);
}
END_TEST

/* A gateway that could not prove itself asks something while it is told so. Nothing is taken from
 * that, and what the other one says counts as before. */
START_TEST(a_stranger_has_no_addresses)
{
    struct ike_header header;
    come_up();
    hostile_run(&hostile, hostile.now + 10);
    ck_ok(session_reconnect(hostile.session, hostile.now));
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    hostile.path = got.path;
    hostile_restart(&hostile);
    hostile_reach(&hostile, HOSTILE_KEYED);
    hostile_next(&hostile, &header, &chain);
    hostile_find(&chain, PAYLOAD_AUTH)->body[10] ^= 1;
    say(NOTIFY_MOBIKE_SUPPORTED, SPAN_EMPTY);
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    hostile_ck_notify_alone(&got, NOTIFY_AUTHENTICATION_FAILED);
    tell_one(66);
    ck_assert_uint_eq(lists(), 0);
    hostile_swap(&hostile);
    tell_one(67);
    ck_assert_uint_eq(lists(), 1);
    ck_assert_uint_eq(last_list()->addresses.items[0].bytes[3], 67);
    ck_stands();
}
END_TEST

/* --- a client is asked --- */

START_TEST(a_gateway_does_not_move_its_client)
{
    come_up();
    hostile.path.remote.ip = ip_v4(198, 51, 100, 200);
    chain.count = 0;
    say(NOTIFY_UPDATE_SA_ADDRESSES, SPAN_EMPTY);
    ask();
    ck_assert_uint_eq(got.payloads.count, 0);
    ck_path(&home);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_HANDOVER], 0);
    hostile.path = home;
    ck_stands();
}
END_TEST

static struct path other_way(void)
{
    struct path p = home;
    p.remote.ip = ip_v4(203, 0, 113, 66);
    return p;
}

static void two_ways(void)
{
    const struct path ways[] = {home, other_way()};
    session_networks_changed(hostile.session, hostile.now, ways, 2);
}

/* It asks from its other address, again and again, and is followed; each time that is work, for
 * routes and for whoever is told. */
START_TEST(a_gateway_that_moves_without_end_is_followed_now_and_then)
{
    come_up();
    two_ways();
    for (int i = 0; i < 1000; i++) {
        struct session_status now = status();
        hostile.path = path_equal(&now.path, &home) ? other_way() : home;
        hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &empty);
        while (hostile_receive(&hostile, &got)) {
            if ((got.header.flags & IKE_FLAG_RESPONSE) != 0)
                continue;
            hostile.path = got.path;
            answer_well();
        }
        hostile_run(&hostile, hostile.now + 10);
    }
    ck_assert_uint_ge(hostile.events[SESSION_EVENT_HANDOVER], 2);
    ck_assert_uint_le(hostile.events[SESSION_EVENT_HANDOVER], 11);
    ck_assert_int_eq(status().state, SESSION_UP);
}
END_TEST

/* --- a client asks --- */

/* RFC 4555 3.7: where the gateway could be elsewhere, its answer proves that it is there. */
START_TEST(what_does_not_return_cookie2_is_not_believed)
{
    struct span cookie = SPAN_EMPTY;
    uint8_t wrong[65] = {0};
    come_up();
    two_ways();
    session_resumed(hostile.session, hostile.now);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_uint_eq(notifies(NOTIFY_COOKIE2, &cookie), 1);
    ck_assert_uint_ge(cookie.len, 8);
    ck_assert_uint_le(cookie.len, 64);
    memcpy(wrong, cookie.data, cookie.len);
    chain.count = 0;
    switch (_i) {
    case 0:
        break;
    case 1:
        say(NOTIFY_COOKIE2, SPAN_EMPTY);
        break;
    case 2:
        say(NOTIFY_COOKIE2, span_make(wrong, cookie.len - 1));
        break;
    case 3:
        say(NOTIFY_COOKIE2, span_make(wrong, cookie.len + 1));
        break;
    default:
        wrong[cookie.len - 1] ^= 1;
        say(NOTIFY_COOKIE2, span_make(wrong, cookie.len));
        break;
    }
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_ptr_nonnull(payload_find(&got.payloads, PAYLOAD_DELETE));
}
END_TEST

START_TEST(cookie2_is_never_the_same)
{
    struct span cookie = SPAN_EMPTY;
    uint8_t before[64];
    come_up();
    two_ways();
    for (int i = 0; i < 3; i++) {
        session_resumed(hostile.session, hostile.now);
        hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
        ck_assert_uint_eq(notifies(NOTIFY_COOKIE2, &cookie), 1);
        ck_assert(i == 0 || memcmp(before, cookie.data, cookie.len) != 0);
        memcpy(before, cookie.data, cookie.len);
        answer_well();
        hostile_run(&hostile, hostile.now + 100);
    }
    ck_stands();
}
END_TEST

static void move_away(void)
{
    struct path away = home;
    away.local.ip = ip_v4(198, 51, 100, 7);
    away.interface = 3;
    session_networks_changed(hostile.session, hostile.now, &away, 1);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert(says(NOTIFY_UPDATE_SA_ADDRESSES));
    ck_assert(says(NOTIFY_NAT_DETECTION_SOURCE_IP));
    ck_assert(says(NOTIFY_NAT_DETECTION_DESTINATION_IP));
    hostile.path = got.path;
}

/* RFC 4555 3.5: refused, and there is no other way: an IKE SA from there, once, and not at any
 * price. */
START_TEST(refused_where_there_is_no_other_way)
{
    come_up();
    move_away();
    chain.count = 0;
    say(_i == 0 ? NOTIFY_UNACCEPTABLE_ADDRESSES : NOTIFY_UNEXPECTED_NAT_DETECTED, SPAN_EMPTY);
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    hostile_expect_nothing(&hostile);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_HANDOVER], 0);
    unsigned before = hostile.datagrams;
    hostile_run(&hostile, hostile.now + 60000);
    while (hostile_receive(&hostile, &got))
        ;
    ck_assert_uint_le(hostile.datagrams - before, 60);
}
END_TEST

/* The answer comes when there is no network any more. */
START_TEST(refused_without_a_network)
{
    come_up();
    move_away();
    session_networks_changed(hostile.session, hostile.now, NULL, 0);
    struct session_status before = status();
    chain.count = 0;
    say(NOTIFY_UNACCEPTABLE_ADDRESSES, SPAN_EMPTY);
    hostile_answer(&hostile, &chain);
    hostile_expect_nothing(&hostile);
    ck_path(&before.path);
    session_networks_changed(hostile.session, hostile.now, &home, 1);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert(says(NOTIFY_UPDATE_SA_ADDRESSES));
    hostile.path = got.path;
    answer_well();
    ck_path(&home);
}
END_TEST

/* How the gateway sees us, of every kind of nonsense: no more is asked than before. */
START_TEST(nonsense_about_translators)
{
    static uint8_t octets[40];
    static const size_t lens[] = {0, 1, 19, 21, 40};
    come_up();
    for (int i = 0; i < 200; i++) {
        hostile.now += 3000;
        session_resumed(hostile.session, hostile.now);
        while (hostile_receive(&hostile, &got)) {
            ck_assert_uint_eq(got.header.exchange, EXCHANGE_INFORMATIONAL);
            chain.count = 0;
            octets[0]++;
            size_t len = i % 4 == 0 ? 20 : lens[i % 5];
            if (i % 3 != 0)
                say(NOTIFY_NAT_DETECTION_SOURCE_IP, span_make(octets, len));
            say(NOTIFY_NAT_DETECTION_DESTINATION_IP, span_make(octets, len));
            if (i % 2 == 0)
                say(NOTIFY_NAT_DETECTION_DESTINATION_IP, span_make(octets, 20));
            hostile_answer(&hostile, &chain);
        }
        ck_sleeps();
    }
    ck_assert_uint_le(hostile.datagrams, 2 * 200 + 10); /* a question, and an UPDATE at most */
    ck_assert_int_eq(status().state, SESSION_UP);
    ck_path(&home);
}
END_TEST

/* It is asked whether the path carries; the answer says how the gateway sees us. True where it is
 * told where we are upon that. */
static bool seen_as(uint8_t what)
{
    const uint8_t seen[20] = {what};
    bool told = false;
    hostile.now += 3000;
    session_traffic(hostile.session, hostile.now,
                    &(struct session_traffic){.last_out = hostile.now, .last_in = hostile.now});
    session_resumed(hostile.session, hostile.now);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert(says(NOTIFY_NAT_DETECTION_SOURCE_IP));
    ck_assert(says(NOTIFY_NAT_DETECTION_DESTINATION_IP));
    ck_assert(!says(NOTIFY_UPDATE_SA_ADDRESSES));
    do {
        told |= says(NOTIFY_UPDATE_SA_ADDRESSES);
        chain.count = 0;
        say(NOTIFY_NAT_DETECTION_SOURCE_IP, SPAN_OF(seen));
        say(NOTIFY_NAT_DETECTION_DESTINATION_IP, SPAN_OF(seen));
        hostile_answer(&hostile, &chain);
    } while (hostile_receive(&hostile, &got));
    return told;
}

/* RFC 4555 3.8. */
START_TEST(a_changed_translator_leads_to_an_update)
{
    come_up();
    (void)seen_as(1); /* not known before: to be sure, it may be told */
    ck_assert(!seen_as(1));
    ck_assert(seen_as(2));
    ck_assert(!seen_as(2));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mobike");
    TCase *t = tcase_create("both");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, cookie2_of_every_length, 0, 2);
    tcase_add_loop_test(t, what_comes_with_mobike_supported_is_passed_over, 0, 2);
    tcase_add_loop_test(t, without_mobike_its_words_mean_nothing, 0, 2);
    tcase_add_loop_test(t, a_message_from_elsewhere_moves_nobody, 0, 2);
    tcase_add_loop_test(t, questions_about_translators_are_answered, 0, 2);
    suite_add_tcase(s, t);

    t = tcase_create("client");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_list_is_whole);
    tcase_add_test(t, what_is_no_address_of_a_gateway_is_not_told);
    tcase_add_test(t, more_addresses_than_there_is_room_for);
    tcase_add_test(t, the_same_list_is_told_once);
    tcase_add_test(t, lists_without_end_are_told_now_and_then);
    tcase_add_test(t, an_old_list_does_not_come_after_a_new_one);
    tcase_add_loop_test(t, a_new_ike_sa_has_a_list_of_its_own, 0, 2);
    tcase_add_test(t, a_list_is_the_same_at_whichever_address);
    tcase_add_test(t, a_stranger_has_no_addresses);
    tcase_add_test(t, a_gateway_does_not_move_its_client);
    tcase_add_test(t, a_gateway_that_moves_without_end_is_followed_now_and_then);
    tcase_add_loop_test(t, what_does_not_return_cookie2_is_not_believed, 0, 5);
    tcase_add_test(t, cookie2_is_never_the_same);
    tcase_add_loop_test(t, refused_where_there_is_no_other_way, 0, 2);
    tcase_add_test(t, refused_without_a_network);
    tcase_add_test(t, nonsense_about_translators);
    tcase_add_test(t, a_changed_translator_leads_to_an_update);
    suite_add_tcase(s, t);
    return support_run(s);
}
