/* What RFC 7296 says of requests and responses as such: message IDs and the window, repeats, who is
 * answered and where, what is said under which IKE SA, and what strangers may bring about. */
#include <string.h>

#include "common/ike/session_state.h"
#include "common/ike/stray.h"
#include "tests/support/hostile.h"

static struct hostile hostile;
static struct hostile_chain chain;
static const struct hostile_chain empty;
static struct ike_header header;
static struct hostile_message got;
static struct hostile_view before;

static void setup(void)
{
    hostile_init(&hostile, false);
}

static void teardown(void)
{
    hostile_wipe(&hostile);
}

/* _i & 1: we are the gateway. */
static void come_up(int i)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, (i & 1) != 0);
    hostile_reach(&hostile, HOSTILE_UP);
    hostile_look(&hostile, &before);
}

/* A question of the session's, unanswered so far: hostile.request. */
static void let_it_ask(void)
{
    session_suspect(hostile.session, hostile.now);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    hostile_look(&hostile, &before);
}

/* --- repeats --- */

/* 2.1: the same request brings the same response, to the bit, and nothing but that; of itself the
 * response does not come again, and what was answered before it brings nothing any more. */
START_TEST(only_the_last_request_is_answered_again)
{
    static uint8_t bytes[3][IKE_MESSAGE_MAX], answer[IKE_MESSAGE_MAX];
    size_t len[3];
    come_up(_i);
    for (size_t i = 0; i < 3; i++) {
        header = hostile_header(&hostile, EXCHANGE_INFORMATIONAL, false, hostile.sa.next_id++);
        len[i] = hostile_seal(&hostile, &header, &empty, bytes[i]);
        hostile_send_bytes(&hostile, span_make(bytes[i], len[i]));
        hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
    }
    size_t answer_len = got.raw_len;
    memcpy(answer, got.raw, answer_len);
    hostile_run(&hostile, 60000);
    hostile_look(&hostile, &before);
    for (int n = 0; n < 3; n++) {
        unsigned datagrams = hostile.datagrams;
        hostile_send_bytes(&hostile, span_make(bytes[2], len[2]));
        hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
        ck_span_eq(span_make(got.raw, got.raw_len), span_make(answer, answer_len));
        hostile_expect_nothing(&hostile);
        ck_assert_uint_eq(hostile.datagrams, datagrams + 1);
        hostile.datagrams = before.datagrams;
        hostile_ck_unchanged(&hostile, &before);
    }
    for (size_t i = 0; i < 2; i++)
        hostile_send_bytes(&hostile, span_make(bytes[i], len[i]));
    hostile_ck_unchanged(&hostile, &before);
    hostile_ck_alive(&hostile);
}
END_TEST

/* A repeat of a CREATE_CHILD_SA request makes no second child. */
START_TEST(a_repeat_does_nothing_twice)
{
    static uint8_t bytes[IKE_MESSAGE_MAX], answer[IKE_MESSAGE_MAX];
    come_up(_i);
    hostile_child_request(&hostile, &chain, hostile.spi);
    header = hostile_header(&hostile, EXCHANGE_CREATE_CHILD_SA, false, hostile.sa.next_id++);
    size_t len = hostile_seal(&hostile, &header, &chain, bytes);
    hostile_send_bytes(&hostile, span_make(bytes, len));
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
    size_t answer_len = got.raw_len;
    memcpy(answer, got.raw, answer_len);
    for (int n = 0; n < 3; n++) {
        hostile_send_bytes(&hostile, span_make(bytes, len));
        hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
        ck_span_eq(span_make(got.raw, got.raw_len), span_make(answer, answer_len));
    }
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 2);
}
END_TEST

/* --- the window --- */

/* 2.3: a request outside of it is not acknowledged, not even by INVALID_MESSAGE_ID. */
START_TEST(a_request_outside_the_window_is_not_answered)
{
    static const int32_t offsets[] = {1, 2, 100, -1, -2, -100, INT32_MAX, INT32_MIN};
    come_up(_i);
    hostile_ck_alive(&hostile);
    hostile_look(&hostile, &before);
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        header = hostile_header(&hostile, EXCHANGE_INFORMATIONAL, false,
                                hostile.sa.next_id + (uint32_t)offsets[i]);
        chain.count = 0;
        hostile_add_delete(&chain, NULL, 0);
        hostile_send_sealed(&hostile, &header, &chain);
        hostile_ck_unchanged(&hostile, &before);
    }
    hostile_ck_alive(&hostile);
}
END_TEST

/* 2.3: one request at a time, however much there is to say; it is the same until it is answered. */
START_TEST(one_request_at_a_time)
{
    come_up(_i);
    ck_ok(session_rekey(hostile.session, hostile.now, SESSION_REKEY_BOTH));
    session_suspect(hostile.session, hostile.now);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
    uint32_t id = got.header.message_id;
    static uint8_t bytes[IKE_MESSAGE_MAX];
    size_t len = got.raw_len;
    memcpy(bytes, got.raw, len);
    session_stop(hostile.session, hostile.now);
    for (mono_ms at = 250; at <= 3000; at += 250) {
        hostile_run(&hostile, at);
        while (hostile_receive(&hostile, &got))
            ck_span_eq(span_make(got.raw, got.raw_len), span_make(bytes, len));
    }
    hostile_ike_response(&hostile, &chain);
    hostile_answer(&hostile, &chain);
    hostile_ike_follow(&hostile, &hostile.request);
    for (unsigned n = 0; hostile_receive(&hostile, &got); n++) { /* one for each IKE SA by now */
        ck_assert_uint_lt(n, 2);
        ck_assert_uint_eq(got.header.message_id,
                          got.header.spi_i == hostile.before.spi_i ? id + 1 : 0);
    }
}
END_TEST

/* 2.3: a request is taken while ours is out, whatever it is about, and ours may be answered then.
 */
START_TEST(a_request_is_taken_while_ours_is_out)
{
    come_up(_i);
    let_it_ask();
    hostile_ck_alive(&hostile);
    hostile_child_request(&hostile, &chain, 0);
    hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
    ck_assert_ptr_nonnull(payload_find(&got.payloads, PAYLOAD_SA));
    hostile_answer(&hostile, &empty);
    hostile_expect_nothing(&hostile);
    hostile_ck_alive(&hostile);
}
END_TEST

/* 2.2: IDs do not wrap; at their end the IKE SA is closed. */
START_TEST(the_ids_end_and_so_does_the_ike_sa)
{
    come_up(_i);
    struct ike_sa *sa = hostile.session->current;
    sa->window.next_id = UINT32_MAX - 1;
    let_it_ask();
    ck_assert_uint_eq(got.header.message_id, UINT32_MAX - 1);
    hostile_answer(&hostile, &empty);
    ck_assert_int_eq(sa->state, SA_ESTABLISHED);
    hostile_run(&hostile, 10000);
    session_suspect(hostile.session, hostile.now);
    ck_assert_ptr_ne(hostile.session->current, sa);
    while (hostile_receive(&hostile, &got))
        ck_assert_uint_eq(got.header.exchange, EXCHANGE_IKE_SA_INIT); /* a client's fresh one */
    ck_assert_int_eq(hostile.session->down, _i == 0);
}
END_TEST

/* 3.1: who says R is not answered, though it be the right ID of a request. */
START_TEST(no_response_is_answered)
{
    static const uint8_t exchanges[] = {EXCHANGE_IKE_SA_INIT, EXCHANGE_IKE_AUTH,
                                        EXCHANGE_CREATE_CHILD_SA, EXCHANGE_INFORMATIONAL};
    come_up(_i);
    for (size_t i = 0; i < 4; i++) {
        for (uint32_t id = 0; id < 4; id++) {
            hostile_child_request(&hostile, &chain, 0);
            header = hostile_header(&hostile, exchanges[i], true, id);
            hostile_send_sealed(&hostile, &header, &chain);
            hostile_send_clear(&hostile, &header, &chain);
            hostile_ck_unchanged(&hostile, &before);
        }
    }
    hostile_ck_alive(&hostile);
}
END_TEST

/* --- where to --- */

/* 2.11: to where the request came from, from where it went to. */
START_TEST(the_answer_goes_back_the_way_the_request_came)
{
    come_up(_i);
    for (uint16_t n = 0; n < 4; n++) {
        struct path seen = hostile.path;
        seen.remote.port = (uint16_t)(4500 + n); /* the gateway's own port decides on the marker */
        if (!hostile.as_gateway) {
            seen.remote = (struct endpoint){ip_v4(198, 51, 100, (uint8_t)n), (uint16_t)(9 + n)};
            seen.local.port = n % 2 == 0 ? IKE_PORT : IKE_NAT_PORT;
        }
        seen.local.ip.bytes[3] = (uint8_t)(50 + n);
        seen.interface = 7u + n;
        hostile.path = seen;
        hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &empty);
        hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
        ck_assert(path_equal(&got.path, &seen));
    }
}
END_TEST

/* --- what nobody vouches for --- */

static void ck_only_asked(const struct session_status *was)
{
    struct session_status status;
    session_status(hostile.session, &status);
    ck_assert_int_eq(status.state, was->state);
    ck_assert_uint_eq(status.spi_i, was->spi_i);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DOWN], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DRAIN], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_SEARCHING], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 0);
}

/* 1.5, 2.4, 2.21.4: a notice in the clear is not answered and changes no SA. What it can do at most
 * is have us ask, under the keys, and that not often. */
START_TEST(notices_in_the_clear_are_worth_a_question)
{
    come_up(_i);
    struct session_status was = before.status;
    uint32_t asked = 0;
    for (unsigned n = 0; n < 400; n++) {
        const uint8_t spi[] = {(uint8_t)(hostile.spi >> 24), (uint8_t)(hostile.spi >> 16),
                               (uint8_t)(hostile.spi >> 8), (uint8_t)hostile.spi};
        static const uint16_t types[] = {NOTIFY_INVALID_IKE_SPI, NOTIFY_INVALID_SPI,
                                         NOTIFY_AUTHENTICATION_FAILED, NOTIFY_INVALID_SYNTAX,
                                         NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD};
        header = hostile_header(&hostile, EXCHANGE_INFORMATIONAL, n / 5 % 2 == 1, n / 10 % 4);
        if (n / 40 % 2 == 1) /* outside of any IKE SA */
            header.spi_i = header.spi_r = 0;
        chain.count = 0;
        hostile_add_notify(&chain, types[n % 5], n % 5 == 1 ? SPAN_OF(spi) : SPAN_EMPTY);
        hostile_send_clear(&hostile, &header, &chain);
        while (hostile_receive(&hostile, &got)) {
            ck_assert_uint_eq(got.header.flags & IKE_FLAG_RESPONSE, 0);
            ck_assert(got.sealed);
            asked++;
            chain.count = 0;
            if (got.header.exchange == EXCHANGE_CREATE_CHILD_SA) /* a fresh child, to be sure */
                hostile_add_notify(&chain, NOTIFY_TEMPORARY_FAILURE, SPAN_EMPTY);
            hostile_answer(&hostile, &chain);
        }
        ck_only_asked(&was);
    }
    ck_assert_uint_le(asked, 2);
    hostile_ck_alive(&hostile);
}
END_TEST

/* 2.21.4: the same under the keys: nor does that change an SA. */
START_TEST(a_protected_notice_changes_no_sa)
{
    static const uint16_t types[] = {NOTIFY_INVALID_SPI, NOTIFY_INVALID_IKE_SPI,
                                     NOTIFY_INVALID_MESSAGE_ID, 8192, 50000};
    come_up(_i);
    struct session_status was = before.status;
    for (size_t i = 0; i < 5; i++) {
        chain.count = 0;
        hostile_add_notify(&chain, types[i], span_make("\1\2\3\4", 4));
        hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
        hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
        ck_assert_uint_eq(got.payloads.count, 0);
        while (hostile_receive(&hostile, &got))
            hostile_answer(&hostile, &empty);
        ck_only_asked(&was);
    }
    hostile_ck_alive(&hostile);
}
END_TEST

/* 1.4: INFORMATIONAL, ours and the peer's, is under the keys or is nothing: a Delete in the clear.
 */
START_TEST(informational_is_protected)
{
    come_up(_i);
    for (unsigned n = 0; n < 8; n++) {
        header = hostile_header(&hostile, EXCHANGE_INFORMATIONAL, false, n / 2);
        chain.count = 0;
        hostile_add_delete(&chain, &hostile.spi, n % 2);
        hostile_send_clear(&hostile, &header, &chain);
        hostile_ck_unchanged(&hostile, &before);
    }
    let_it_ask();
    ck_assert(got.sealed);
    hostile_answer(&hostile, &empty);
    session_stop(hostile.session, hostile.now);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert(got.sealed);
}
END_TEST

/* --- what a stranger is told (stray.c) --- */

START_TEST(strangers_are_told_and_do_not_tell)
{
    uint8_t out[STRAY_MAX];
    struct span answer, data;
    struct payload_list l;
    struct ike_header a;
    uint8_t bad;
    struct ike_header h = {.spi_i = 0x1122334455667788,
                           .spi_r = 0x99aabbccddeeff00,
                           .major = 2,
                           .minor = 3,
                           .exchange = EXCHANGE_INFORMATIONAL,
                           .flags = IKE_FLAG_INITIATOR,
                           .message_id = 77};
    for (unsigned exchange = 0; exchange < 256; exchange++) { /* requests outside a beginning */
        h.exchange = (uint8_t)exchange;
        ck_assert_int_eq(stray_answer(&h, out, &answer), exchange >= 35 && exchange <= 37);
        h.flags |= IKE_FLAG_RESPONSE; /* 2.21.4: a response is never answered */
        ck_assert(!stray_answer(&h, out, &answer));
        h.flags &= (uint8_t)~IKE_FLAG_RESPONSE;
    }
    h.exchange = EXCHANGE_INFORMATIONAL;
    ck_assert(stray_answer(&h, out, &answer));
    ck_ok(ike_header_parse(answer, &a)); /* its own SPIs, ID and exchange; flags of an answer */
    ck_assert_uint_eq(a.spi_i, h.spi_i);
    ck_assert_uint_eq(a.spi_r, h.spi_r);
    ck_assert_uint_eq(a.message_id, 77);
    ck_assert_uint_eq(a.exchange, EXCHANGE_INFORMATIONAL);
    ck_assert_uint_eq(a.flags, IKE_FLAG_RESPONSE);
    ck_assert_uint_eq(a.minor, 0);
    ck_assert(stray_notice(answer, &a, NOTIFY_INVALID_IKE_SPI, &data));
    ck_ok(payload_list_parse(a.next_payload,
                             span_make(answer.data + IKE_HEADER_LEN, answer.len - IKE_HEADER_LEN),
                             &l, &bad));
    ck_assert_uint_eq(l.count, 1);
    ck_assert(!stray_answer(&a, out + 0, &data)); /* nor is that answer answered */
    h.spi_r = 0;
    ck_assert(!stray_answer(&h, out, &answer));
}
END_TEST

/* --- sizes, IVs, versions --- */

/* 2: messages of 1280 octets and more, in one piece, both ways. */
START_TEST(long_messages_are_sent_and_taken)
{
    static const uint8_t vendor[1300];
    hostile_wipe(&hostile);
    hostile_init(&hostile, (_i & 1) != 0);
    struct selector_list *wanted = &hostile.pair.client_config.remote_selectors;
    for (uint16_t port = 1000; wanted->count < SELECTORS_MAX; port++) {
        struct selector s = wanted->items[0];
        s.protocol = 17;
        s.port_first = s.port_last = port;
        s.range = (struct ip_range){{.family = IP_V6, .bytes = {0xfd}},
                                    {.family = IP_V6, .bytes = {0xfd}}};
        ck_ok(selector_list_add(wanted, &s));
    }
    hostile_reach(&hostile, HOSTILE_UP);
    if (hostile.as_gateway)
        ck_assert_uint_ge(hostile.request.raw_len, 1280);
    for (size_t len = 1100; len <= sizeof(vendor); len += 20) {
        chain.count = 0;
        hostile_add(&chain, PAYLOAD_VENDOR, span_make(vendor, len));
        hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
        hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
    }
}
END_TEST

/* 3.14: any IV is taken, also one that was there before. */
START_TEST(any_iv_is_taken)
{
    static const uint64_t counters[] = {0, 0, UINT64_MAX, 1, UINT64_MAX, 0x0123456789abcdef};
    static const char *const suites[] = {"aes128gcm16-prfsha256-x25519", "aes128-sha256-x25519"};
    struct fault f;
    hostile_wipe(&hostile);
    hostile_init(&hostile, (_i & 1) != 0);
    ck_ok(proposal_list_from_text(suites[_i / 2], PROTOCOL_IKE, &hostile.ike, &f));
    hostile.pair.client_config.ike = hostile.pair.gateway_config.ike = hostile.ike;
    hostile_reach(&hostile, HOSTILE_UP);
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        hostile.sa.counter = counters[i];
        hostile_ck_alive(&hostile);
    }
}
END_TEST

/* 2.5: the minor version is nobody's concern, a higher major one is. */
START_TEST(versions)
{
    come_up(_i);
    for (uint8_t v = 0; v < 16; v++) {
        header = hostile_header(&hostile, EXCHANGE_INFORMATIONAL, false, hostile.sa.next_id);
        header.minor = v;
        hostile.sa.next_id++;
        hostile_send_sealed(&hostile, &header, &empty);
        hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
        hostile_look(&hostile, &before);
        header.message_id++;
        header.major = v;
        if (v == 2)
            continue;
        hostile_send_sealed(&hostile, &header, &empty);
        hostile_ck_unchanged(&hostile, &before);
    }
}
END_TEST

/* --- the end --- */

static void ck_no_secret_left(const struct ike_sa *sa)
{
    static const struct ike_keys nothing;
    ck_assert_ptr_null(sa->handshake);
    ck_assert_ptr_null(sa->seal);
    ck_assert_ptr_null(sa->open);
    ck_assert_ptr_null(sa->task.kex);
    ck_assert_mem_eq(&sa->keys, &nothing, sizeof(nothing));
}

/* 2.12: with the connection go its keys, and what could make them again. _i / 2: who ends it. */
START_TEST(keys_are_forgotten_with_the_connection)
{
    come_up(_i);
    ck_ok(session_rekey(hostile.session, hostile.now, SESSION_REKEY_IKE));
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
    hostile_ike_response(&hostile, &chain);
    hostile_answer(&hostile, &chain);
    hostile_ike_follow(&hostile, &hostile.request);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false); /* the old one's Delete */
    hostile_swap(&hostile);
    hostile_answer(&hostile, &empty);
    hostile_swap(&hostile);
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) { /* gone, or there to repeat an answer alone */
        const struct ike_sa *sa = hostile.session->sas[i];
        if (sa == NULL || sa == hostile.session->current)
            continue;
        ck_assert_int_eq(sa->state, SA_DEAD);
        ck_no_secret_left(sa);
    }
    if (_i / 2 == 0) {
        session_stop(hostile.session, hostile.now);
        hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
        hostile_answer(&hostile, &empty);
    } else {
        chain.count = 0;
        hostile_add_delete(&chain, NULL, 0);
        hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
    }
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        const struct ike_sa *sa = hostile.session->sas[i];
        if (sa != NULL && sa->spi_i == hostile.sa.spi_i)
            ck_no_secret_left(sa);
    }
    for (size_t i = 0; i < CHILDREN_MAX; i++)
        ck_assert(_i / 2 == 1 || hostile.session->children[i] == NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike rules exchange");
    TCase *t = tcase_create("exchange");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, only_the_last_request_is_answered_again, 0, 2);
    tcase_add_loop_test(t, a_repeat_does_nothing_twice, 0, 2);
    tcase_add_loop_test(t, a_request_outside_the_window_is_not_answered, 0, 2);
    tcase_add_loop_test(t, one_request_at_a_time, 0, 2);
    tcase_add_loop_test(t, a_request_is_taken_while_ours_is_out, 0, 2);
    tcase_add_loop_test(t, the_ids_end_and_so_does_the_ike_sa, 0, 2);
    tcase_add_loop_test(t, no_response_is_answered, 0, 2);
    tcase_add_loop_test(t, the_answer_goes_back_the_way_the_request_came, 0, 2);
    tcase_add_loop_test(t, notices_in_the_clear_are_worth_a_question, 0, 2);
    tcase_add_loop_test(t, a_protected_notice_changes_no_sa, 0, 2);
    tcase_add_loop_test(t, informational_is_protected, 0, 2);
    tcase_add_test(t, strangers_are_told_and_do_not_tell);
    tcase_add_loop_test(t, long_messages_are_sent_and_taken, 0, 2);
    tcase_add_loop_test(t, any_iv_is_taken, 0, 4);
    tcase_add_loop_test(t, versions, 0, 2);
    tcase_add_loop_test(t, keys_are_forgotten_with_the_connection, 0, 4);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
