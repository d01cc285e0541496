/* What RFC 7383 says of messages in pieces, between a session and a peer that is driven by hand:
 * who sends them, how they are cut anew, which of them count, and which bring an answer again. */
#include <string.h>

#include "common/ike/session_state.h"
#include "tests/support/hostile.h"

static struct hostile hostile;
static struct hostile_chain chain;
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

/* So much to say that it does not go into one small packet. */
static void begin(int i, bool fragmentation, uint16_t mtu)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, (i & 1) != 0);
    hostile.fragmentation = fragmentation;
    hostile.pair.client_config.fragment_mtu = hostile.pair.gateway_config.fragment_mtu = mtu;
    struct selector_list *wanted = &hostile.pair.client_config.remote_selectors;
    for (uint16_t port = 1000; wanted->count < SELECTORS_MAX; port++) {
        struct selector s = wanted->items[0];
        s.protocol = 17;
        s.port_first = s.port_last = port;
        s.range.first = s.range.last = (struct ip){.family = IP_V6, .bytes = {0xfd}};
        ck_ok(selector_list_add(wanted, &s));
    }
}

static bool announced(const struct hostile_message *m, struct notify_payload *n)
{
    return notify_find(&m->payloads, NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, n);
}

/* 2.3: the notify; and only where the other side did, in an answer. */
START_TEST(the_notify)
{
    struct notify_payload n;
    begin(1, true, 1280);
    hostile_begin(&hostile);
    ck_assert(announced(&hostile.init_request, &n));
    ck_assert_uint_eq(n.protocol, 0);
    ck_assert_uint_eq(n.spi.len, 0);
    ck_assert_uint_eq(n.type, 16430);
    ck_assert_uint_eq(n.data.len, 0);
    begin(0, true, 1280);
    hostile_reach(&hostile, HOSTILE_KEYED);
    ck_assert(announced(&hostile.init_response, &n));
    ck_assert_uint_eq(n.protocol, 0);
    ck_assert_uint_eq(n.spi.len, 0);
    begin(0, false, 1280);
    hostile_reach(&hostile, HOSTILE_KEYED);
    ck_assert(!announced(&hostile.init_response, &n));
    begin(1, false, 0);
    hostile_begin(&hostile);
    ck_assert(!announced(&hostile.init_request, &n));
}
END_TEST

/* 2.4: pieces only where both have said so, whoever of them has not. */
START_TEST(no_pieces_unless_both_know_them)
{
    begin(1, false, 576);
    hostile_reach(&hostile, HOSTILE_KEYED);
    ck_assert_uint_eq(hostile.request.header.next_payload, PAYLOAD_SK);
    ck_assert_uint_gt(hostile.request.raw_len, 576);
    begin(1, true, 0);
    hostile_reach(&hostile, HOSTILE_KEYED);
    ck_assert_uint_eq(hostile.request.header.next_payload, PAYLOAD_SK);
    ck_assert_uint_gt(hostile.request.raw_len, 576);

    for (int we = 0; we < 2; we++) { /* and none are taken */
        begin(_i, we == 0, we == 0 ? 0 : 1280);
        if (we == 0)
            hostile.pair.client_config.fragment_mtu = hostile.pair.gateway_config.fragment_mtu = 0;
        hostile_reach(&hostile, HOSTILE_UP);
        hostile_look(&hostile, &before);
        header = hostile_header(&hostile, EXCHANGE_INFORMATIONAL, false, hostile.sa.next_id);
        chain.count = 0;
        hostile_add(&chain, PAYLOAD_VENDOR, span_text("what a long text"));
        hostile_send_pieces(&hostile, &header, &chain, 2, 3);
        hostile_ck_unchanged(&hostile, &before);
        hostile_ck_alive(&hostile);
    }
}
END_TEST

/* --- how we cut --- */

/* One transmission of the session's IKE_AUTH request: how many pieces, and the longest of them. */
struct cut {
    unsigned pieces;
    size_t longest;
};

static struct cut transmission(void)
{
    struct cut c = {0, 0};
    while (hostile_receive(&hostile, &got)) {
        if (got.header.exchange == EXCHANGE_IKE_SA_INIT)
            continue; /* it goes on, for whoever else may answer */
        ck_assert_uint_eq(got.header.next_payload, PAYLOAD_SKF);
        ck_assert_uint_eq(got.header.exchange, EXCHANGE_IKE_AUTH);
        ck_assert_uint_eq(got.header.message_id, 1);
        c.pieces++;
        if (got.raw_len > c.longest)
            c.longest = got.raw_len;
    }
    return c;
}

static mono_ms due(void)
{
    return session_next_timeout(hostile.session) - hostile.now;
}

/* 2.5.2: large at first; then smaller, which are more; each new size has its time from the start;
 * and at the smallest it goes on until the exchange has failed. */
START_TEST(silence_has_it_cut_smaller)
{
    struct cut last = {0, SIZE_MAX};
    unsigned sizes = 0, transmissions = 0, at_smallest = 0;
    mono_ms at = 0, pause = 0;
    begin(1, true, 1400);
    hostile_begin(&hostile);
    hostile_next(&hostile, &header, &chain);
    hostile_send_clear(&hostile, &header, &chain);
    hostile.longest = 0;
    hostile_advance(&hostile);
    struct cut c = {hostile.datagrams - 1, hostile.longest}; /* without IKE_SA_INIT */
    ck_assert_uint_gt(c.longest, 576);
    while (hostile.events[SESSION_EVENT_DOWN] == 0) {
        if (c.pieces > 0) {
            transmissions++;
            if (transmissions > 1) {
                if (at_smallest == 1)
                    ck_assert_int_eq(hostile.now - at, 500); /* the timers began anew */
                else
                    ck_assert_int_gt(hostile.now - at, pause);
                pause = hostile.now - at;
            }
            if (c.longest < last.longest) {
                ck_assert(sizes == 0 || c.pieces > last.pieces);
                sizes++;
                at_smallest = 0;
            } else {
                ck_assert_uint_eq(c.longest, last.longest);
                ck_assert_uint_eq(c.pieces, last.pieces);
            }
            at_smallest++;
            at = hostile.now;
            last = c;
        }
        hostile_run(&hostile, hostile.now + due());
        c = transmission();
    }
    ck_assert_uint_ge(sizes, 3); /* 1400, 1280, 576 */
    ck_assert_uint_le(last.longest, 576 - 28 - 4);
    ck_assert_uint_ge(at_smallest, 2);
    ck_assert_uint_eq(transmissions, hostile.pair.client_config.retransmit.tries);
}
END_TEST

/* 2.5.2: and in any later exchange too, where the path has become narrower meanwhile. */
START_TEST(every_exchange_looks_for_its_size)
{
    struct cut first = {0, 0}, last = {0, 0};
    begin(1, true, 1280);
    hostile.pair.client_config.remote_selectors.count = 1;
    hostile_reach(&hostile, HOSTILE_UP);
    hostile.session->current->fragment_mtu = 700;
    struct selector_list wide = {.count = 0};
    while (wide.count < SELECTORS_MAX) {
        struct selector s = hostile.pair.client_config.remote_selectors.items[0];
        s.port_first = s.port_last = (uint16_t)wide.count;
        ck_ok(selector_list_add(&wide, &s));
    }
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (hostile.session->children[i] != NULL)
            hostile.session->children[i]->remote = hostile.session->children[i]->local = wide;
    }
    ck_ok(session_rekey(hostile.session, hostile.now, SESSION_REKEY_CHILD));
    for (int n = 0; n < 6; n++) {
        struct cut now = {0, 0};
        while (hostile_receive(&hostile, &got)) {
            if (got.header.exchange != EXCHANGE_CREATE_CHILD_SA)
                continue; /* of an attempt beside it */
            now.pieces++;
            now.longest = got.raw_len > now.longest ? got.raw_len : now.longest;
        }
        first = n == 0 ? now : first;
        last = now.pieces > 0 ? now : last;
        hostile_run(&hostile, session_next_timeout(hostile.session));
    }
    ck_assert_uint_gt(first.longest, 576 - 32);
    ck_assert_uint_gt(last.pieces, first.pieces);
    ck_assert_uint_le(last.longest, 576 - 32);
}
END_TEST

/* --- which count --- */

static void long_question(void)
{
    static const uint8_t text[400];
    header = hostile_header(&hostile, EXCHANGE_INFORMATIONAL, false, hostile.sa.next_id);
    chain.count = 0;
    hostile_add(&chain, PAYLOAD_VENDOR, SPAN_OF(text));
}

static void ck_answered(void)
{
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
    ck_assert_uint_eq(got.header.message_id, hostile.sa.next_id++);
    hostile_expect_nothing(&hostile);
}

static void come_up(int i)
{
    begin(i, true, 1280);
    hostile.pair.client_config.remote_selectors.count = 1;
    hostile_reach(&hostile, HOSTILE_UP);
}

/* 2.6: what is not whole in time is dropped; the rest of it is then only the beginning of another
 * try, and that the same message comes again, whole, is answered. */
START_TEST(pieces_do_not_wait_for_ever)
{
    come_up(_i);
    long_question();
    hostile_send_pieces(&hostile, &header, &chain, 3, 1 | 2);
    ck_assert_uint_eq(hostile.session->current->assemblies[0].count, 2);
    ck_assert_ptr_nonnull(hostile.session->current->assemblies[0].buffer);
    hostile_run(&hostile, hostile.now + 60000);
    ck_assert_ptr_null(hostile.session->current->assemblies[0].buffer);
    ck_assert(session_next_timeout(hostile.session) == MONO_NEVER);
    hostile_send_pieces(&hostile, &header, &chain, 3, 4);
    hostile_expect_nothing(&hostile);
    hostile_send_pieces(&hostile, &header, &chain, 3, 1 | 2);
    ck_answered();
}
END_TEST

/* 2.6: repeats, smaller totals and damaged ones are dropped; a larger total begins anew. */
START_TEST(pieces_that_do_not_count)
{
    come_up(_i);
    long_question();
    hostile_send_pieces(&hostile, &header, &chain, 4, 1 | 2 | 4);
    hostile_send_pieces(&hostile, &header, &chain, 4, 1 | 2 | 4); /* repeats */
    hostile_send_pieces(&hostile, &header, &chain, 3, 1 | 2 | 4); /* cut larger */
    hostile_expect_nothing(&hostile);
    ck_assert_uint_eq(hostile.session->current->assemblies[0].count, 3);
    hostile_send_pieces(&hostile, &header, &chain, 5, 8); /* smaller: all of the others go */
    ck_assert_uint_eq(hostile.session->current->assemblies[0].count, 1);
    hostile_send_pieces(&hostile, &header, &chain, 4, 8);
    hostile_expect_nothing(&hostile);
    hostile_send_pieces(&hostile, &header, &chain, 5, 1 | 2 | 4 | 16);
    ck_answered();
}
END_TEST

/* 2.6.1: of a request that was answered, piece 1 alone brings the answer again, however the message
 * is cut by then; the others do not. */
START_TEST(piece_1_alone_brings_the_answer_again)
{
    static uint8_t answer[IKE_MESSAGE_MAX];
    come_up(_i);
    long_question();
    hostile_send_pieces(&hostile, &header, &chain, 3, 7);
    ck_answered();
    size_t len = got.raw_len;
    memcpy(answer, got.raw, len);
    for (uint16_t total = 2; total <= 5; total++) {
        for (unsigned piece = 0; piece < total; piece++) {
            hostile_send_pieces(&hostile, &header, &chain, total, 1u << piece);
            if (piece == 0) {
                hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
                ck_span_eq(span_make(got.raw, got.raw_len), span_make(answer, len));
            }
            hostile_expect_nothing(&hostile);
        }
    }
    ck_assert_ptr_null(hostile.session->current->assemblies[0].buffer);
    hostile_ck_alive(&hostile);
    hostile_send_pieces(&hostile, &header, &chain, 3, 7); /* too old by now */
    hostile_expect_nothing(&hostile);
}
END_TEST

/* Both ways, and beside a response in pieces. */
START_TEST(requests_and_responses_in_pieces)
{
    come_up(_i);
    ck_ok(session_rekey(hostile.session, hostile.now, SESSION_REKEY_CHILD));
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
    hostile_child_response(&hostile, &chain);
    struct ike_header answer =
        hostile_header(&hostile, EXCHANGE_CREATE_CHILD_SA, true, got.header.message_id);
    hostile_send_pieces(&hostile, &answer, &chain, 3, 1 | 4);
    hostile_ck_alive(&hostile); /* which disturbs nothing */
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 1);
    hostile_send_pieces(&hostile, &answer, &chain, 3, 2);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike rules fragment");
    TCase *t = tcase_create("fragment");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_notify);
    tcase_add_loop_test(t, no_pieces_unless_both_know_them, 0, 2);
    tcase_add_test(t, silence_has_it_cut_smaller);
    tcase_add_test(t, every_exchange_looks_for_its_size);
    tcase_add_loop_test(t, pieces_do_not_wait_for_ever, 0, 2);
    tcase_add_loop_test(t, pieces_that_do_not_count, 0, 2);
    tcase_add_loop_test(t, piece_1_alone_brings_the_answer_again, 0, 2);
    tcase_add_loop_test(t, requests_and_responses_in_pieces, 0, 2);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
