/* What RFC 7296 says of IKE_SA_INIT and IKE_AUTH, seen by a peer that is driven by hand: what is
 * asked again after COOKIE and INVALID_KE_PAYLOAD, nonces and SPIs, what is granted unasked, and
 * what leaves before the gateway has proven itself. */
#include <string.h>

#include "tests/support/hostile.h"

static struct hostile hostile;
static struct hostile_chain chain;
static struct ike_header header;
static struct hostile_message first, got;

static void anew(bool as_gateway)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, as_gateway);
}

static void setup(void)
{
    hostile_init(&hostile, true);
}

static void teardown(void)
{
    hostile_wipe(&hostile);
}

static struct span body_of(const struct hostile_message *m, uint8_t type)
{
    const struct payload *p = payload_find(&m->payloads, type);
    ck_assert_msg(p != NULL, "no payload of type %u", type);
    return p->body;
}

static void several_groups(void)
{
    struct fault f;
    ck_ok(proposal_list_from_text("aes128gcm16-prfsha256-x25519-ecp384,aes256-sha384-ecp384",
                                  PROTOCOL_IKE, &hostile.pair.client_config.ike, &f));
    ck_ok(proposal_list_from_text("aes128gcm16-prfsha256-ecp384", PROTOCOL_IKE, &hostile.ike, &f));
}

/* The gateway complains about the request in hand; the next one is in `got`. */
static void complain(uint16_t type, struct span data)
{
    chain.count = 0;
    hostile_add_notify(&chain, type, data);
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    hostile_expect_nothing(&hostile);
}

static void finish(void)
{
    hostile.init_request = hostile.request; /* as it is, with its payloads where they are */
    ptrdiff_t moved = (uint8_t *)&hostile.init_request - (uint8_t *)&hostile.request;
    for (size_t i = 0; i < hostile.init_request.payloads.count; i++)
        hostile.init_request.payloads.items[i].body.data += moved;
    hostile_reach(&hostile, HOSTILE_UP);
    hostile_ck_alive(&hostile);
}

static void ck_cookie_first(struct span cookie)
{
    struct notify_payload n;
    ck_assert_uint_eq(got.payloads.items[0].type, PAYLOAD_NOTIFY);
    ck_ok(notify_payload_parse(got.payloads.items[0].body, &n));
    ck_assert_uint_eq(n.type, NOTIFY_COOKIE);
    ck_span_eq(n.data, cookie);
}

/* RFC 7296 2.6: with the cookie first, and not an octet of the others changed; 3.1: no SPI of the
 * responder yet. */
START_TEST(a_cookie_goes_first_and_nothing_else_changes)
{
    several_groups();
    hostile_begin(&hostile);
    first = hostile.init_request;
    complain(NOTIFY_COOKIE, span_text("a cookie"));
    ck_cookie_first(span_text("a cookie"));
    ck_assert_uint_eq(got.header.spi_r, 0);
    ck_assert_uint_eq(got.header.spi_i, first.header.spi_i);
    ck_assert_uint_eq(got.header.message_id, 0);
    size_t cookie_len = got.payloads.items[0].body.len + 4;
    ck_assert_uint_eq(got.raw_len, first.raw_len + cookie_len);
    ck_assert_mem_eq(got.raw + IKE_HEADER_LEN + cookie_len, first.raw + IKE_HEADER_LEN,
                     first.raw_len - IKE_HEADER_LEN);
    complain(NOTIFY_INVALID_KE_PAYLOAD, span_make("\0\x14", 2));
    finish();
}
END_TEST

/* 1.2: everything is offered once more, the group that was named is used, and the KE payload's
 * group is among the offered ones (3.4). */
START_TEST(another_group_with_everything_offered_again)
{
    struct ke_payload ke;
    struct proposal_list offered;
    several_groups();
    hostile_begin(&hostile);
    first = hostile.init_request;
    struct span sa = body_of(&hostile.init_request, PAYLOAD_SA);
    ck_ok(ke_payload_parse(body_of(&hostile.init_request, PAYLOAD_KE), &ke));
    ck_assert_uint_eq(ke.method, KE_X25519);
    complain(NOTIFY_INVALID_KE_PAYLOAD, span_make("\0\x14", 2));
    ck_span_eq(body_of(&got, PAYLOAD_SA), sa);
    ck_span_eq(body_of(&got, PAYLOAD_NONCE), body_of(&hostile.init_request, PAYLOAD_NONCE));
    ck_ok(ke_payload_parse(body_of(&got, PAYLOAD_KE), &ke));
    ck_assert_uint_eq(ke.method, KE_ECP_384);
    ck_ok(proposal_list_parse(body_of(&got, PAYLOAD_SA), &offered));
    ck_assert_uint_eq(offered.count, 2);
    ck_assert(proposal_list_has_ke(&offered, ke.method));
    finish();
}
END_TEST

/* 2.6: 1 to 64 octets. */
START_TEST(cookies_of_other_lengths_are_not_noticed)
{
    uint8_t cookie[80] = {7};
    for (size_t len = 0; len < sizeof(cookie); len++) {
        struct hostile_view before;
        anew(true);
        hostile_begin(&hostile);
        hostile_look(&hostile, &before);
        if (len >= 1 && len <= 64) {
            complain(NOTIFY_COOKIE, span_make(cookie, len));
            ck_cookie_first(span_make(cookie, len));
            continue;
        }
        chain.count = 0;
        hostile_add_notify(&chain, NOTIFY_COOKIE, span_make(cookie, len));
        hostile_answer(&hostile, &chain);
        hostile_ck_unchanged(&hostile, &before);
    }
}
END_TEST

/* 2.6.1: a gateway that asks for a new cookie with every request is no failure. */
START_TEST(a_cookie_for_every_request)
{
    several_groups();
    hostile_begin(&hostile);
    complain(NOTIFY_COOKIE, span_text("one"));
    complain(NOTIFY_INVALID_KE_PAYLOAD, span_make("\0\x14", 2));
    ck_cookie_first(span_text("one"));
    complain(NOTIFY_COOKIE, span_text("two"));
    ck_cookie_first(span_text("two"));
    struct ke_payload ke;
    ck_ok(ke_payload_parse(body_of(&got, PAYLOAD_KE), &ke));
    ck_assert_uint_eq(ke.method, KE_ECP_384);
    finish();
}
END_TEST

/* --- nonces, SPIs --- */

enum { SEEN_MAX = 200 };
static struct span seen[SEEN_MAX];
static uint8_t seen_bytes[SEEN_MAX][64];
static size_t seen_count;

static void note(struct span value)
{
    ck_assert(seen_count < SEEN_MAX && value.len <= 64);
    for (size_t i = 0; i < seen_count; i++) {
        ck_assert(!span_equal(seen[i], value));
        if (value.len > 16) /* and no counter either */
            ck_assert_mem_ne(seen[i].data, value.data, 16);
    }
    memcpy(seen_bytes[seen_count], value.data, value.len);
    seen[seen_count] = span_make(seen_bytes[seen_count], value.len);
    seen_count++;
}

static void note_nonce(const struct hostile_message *m)
{
    struct span nonce = body_of(m, PAYLOAD_NONCE);
    ck_assert_uint_ge(nonce.len, 512 / 8 / 2); /* half the key of the largest PRF (2.10) */
    note(nonce);
}

/* 2.10, 3.9: each nonce is drawn anew, in every exchange and both roles. */
START_TEST(no_nonce_comes_twice)
{
    seen_count = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t seed = hostile.pair.seed;
        anew(i % 2 == 0);
        hostile.pair.seed = seed; /* the source goes on, as the real one does */
        hostile_reach(&hostile, HOSTILE_UP);
        note_nonce(i % 2 == 0 ? &hostile.init_request : &hostile.init_response);
        for (int n = 0; n < 4; n++) {
            hostile_child_request(&hostile, &chain, 0);
            if (n % 2 == 1)
                hostile_ike_request(&hostile, &chain);
            hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
            hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
            note_nonce(&got);
            if (n % 2 == 1)
                hostile_ike_follow(&hostile, &got);
        }
        ck_ok(session_rekey(hostile.session, hostile.now, SESSION_REKEY_IKE));
        hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
        note_nonce(&got);
    }
    ck_assert_uint_eq(seen_count, 8 * 6);
}
END_TEST

static void note_number(uint64_t v, size_t len)
{
    uint8_t octets[8];
    for (size_t i = 0; i < 8; i++)
        octets[i] = (uint8_t)(v >> 8 * i);
    ck_assert_uint_ne(v, 0);
    note(span_make(octets, len));
}

/* 2.6: an SPI of ours is one IKE SA's, or one child's. */
START_TEST(no_spi_comes_twice)
{
    seen_count = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t seed = hostile.pair.seed;
        anew(i % 2 == 0);
        hostile.pair.seed = seed;
        hostile_reach(&hostile, HOSTILE_UP);
        note_number(i % 2 == 0 ? hostile.sa.spi_i : hostile.sa.spi_r, 8);
        note_number(hostile.peer_spi, 4);
        for (int n = 0; n < 4; n++) {
            hostile_ike_request(&hostile, &chain);
            hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
            hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
            hostile_ike_follow(&hostile, &got);
            note_number(hostile.sa.spi_r, 8);
            hostile_child_request(&hostile, &chain, 0);
            hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
            hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
            note_number(hostile.last[SESSION_EVENT_CHILD_UP].child.spi_in, 4);
        }
    }
}
END_TEST

/* The chain's SA payload, its first, says something else. */
static void say_proposals(const struct proposal_list *l)
{
    hostile_remove(&chain, 0);
    hostile_add_proposals(&chain, l);
    static struct hostile_payload p;
    p = chain.items[chain.count - 1];
    hostile_insert(&chain, 0, PAYLOAD_SA, span_make(p.body, p.len));
    hostile_remove(&chain, chain.count - 1);
}

/* 3.3.1: no SPI in the first proposals, in either direction; whoever has one is not served. */
START_TEST(no_spi_in_the_first_proposals)
{
    struct proposal_list l;
    hostile_begin(&hostile);
    ck_ok(proposal_list_parse(body_of(&hostile.init_request, PAYLOAD_SA), &l));
    for (size_t i = 0; i < l.count; i++)
        ck_assert_uint_eq(l.items[i].spi_len, 0);
    hostile_next(&hostile, &header, &chain);
    static struct hostile_chain good;
    good = chain;
    l.items[0].spi_len = 8;
    say_proposals(&l);
    hostile_send_clear(&hostile, &header, &chain);
    hostile_expect_nothing(&hostile);
    chain = good;
    hostile_send_clear(&hostile, &header, &chain); /* the genuine answer still wins */
    hostile_advance(&hostile);
    hostile_reach(&hostile, HOSTILE_UP);

    anew(false);
    hostile_begin(&hostile);
    hostile_next(&hostile, &header, &chain);
    l = hostile.ike;
    l.items[0].spi_len = 8;
    say_proposals(&l);
    hostile_send_clear(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, true);
    hostile_ck_notify_alone(&got, NOTIFY_NO_PROPOSAL_CHOSEN);

    anew(false);
    hostile_reach(&hostile, HOSTILE_KEYED);
    ck_ok(proposal_list_parse(body_of(&hostile.init_response, PAYLOAD_SA), &l));
    ck_assert_uint_eq(l.items[0].spi_len, 0);
}
END_TEST

/* --- answers that are none --- */

/* A suite, or a group, that was not offered: nothing of ours follows, and a genuine answer still
 * wins. The same for answers that say nothing usable. */
START_TEST(an_answer_that_does_not_fit_brings_no_proof_of_ours)
{
    static const char *const others[] = {"aes256gcm16-prfsha256-x25519",
                                         "aes128gcm16-prfsha384-x25519",
                                         "aes128gcm16-prfsha256-ecp256", "aes128-sha256-x25519"};
    struct fault f;
    struct proposal_list l;
    hostile_begin(&hostile);
    hostile_next(&hostile, &header, &chain);
    struct hostile_payload good = *hostile_find(&chain, PAYLOAD_SA);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        ck_ok(proposal_list_from_text(others[i], PROTOCOL_IKE, &l, &f));
        say_proposals(&l);
        hostile_send_clear(&hostile, &header, &chain);
        hostile_expect_nothing(&hostile);
    }
    chain.items[0] = good;
    hostile_send_clear(&hostile, &header, &chain);
    hostile_advance(&hostile);
    hostile_reach(&hostile, HOSTILE_UP);
}
END_TEST

/* 3.10.1: an error that nobody knows, beside all that was asked for: the request has failed. */
START_TEST(an_unknown_error_in_the_answer_fails_it)
{
    hostile_reach(&hostile, HOSTILE_KEYED);
    hostile_next(&hostile, &header, &chain);
    hostile_add_notify(&chain, 8192, SPAN_EMPTY);
    hostile_send_sealed(&hostile, &header, &chain);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 0);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false); /* it is there: deleted */
    ck_assert_ptr_nonnull(payload_find(&got.payloads, PAYLOAD_DELETE));
}
END_TEST

/* --- what is granted --- */

static void ask_with_cp(const char *attributes)
{
    uint8_t bytes[64] = {CP_REQUEST};
    size_t len = 4 + support_hex(attributes, bytes + 4, sizeof(bytes) - 4);
    anew(false);
    hostile.without_cp = true;
    hostile.pair.assigned.addresses[0].bits = 24;
    hostile_reach(&hostile, HOSTILE_KEYED);
    hostile_next(&hostile, &header, &chain);
    hostile_insert(&chain, 2, PAYLOAD_CP, span_make(bytes, len));
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, true);
}

/* 2.19: no CFG_REPLY without a CFG_REQUEST. */
START_TEST(no_configuration_unasked)
{
    anew(false);
    hostile.without_cp = true;
    hostile_reach(&hostile, HOSTILE_KEYED);
    hostile_next(&hostile, &header, &chain);
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_AUTH, true);
    ck_assert_ptr_nonnull(payload_find(&got.payloads, PAYLOAD_AUTH));
    ck_assert_ptr_null(payload_find(&got.payloads, PAYLOAD_CP));
    ask_with_cp("0001 0000");
    ck_assert_ptr_nonnull(payload_find(&got.payloads, PAYLOAD_CP));
}
END_TEST

/* 2.20: our version is nobody's business; 3.15.1: a netmask only beside an address. */
START_TEST(no_version_and_no_netmask_of_its_own)
{
    ask_with_cp("0001 0000 0002 0000 0007 0000 0003 0000");
    struct wire_reader r;
    bool addressed = false, masked = false;
    wire_reader_init(&r, body_of(&got, PAYLOAD_CP));
    ck_assert_uint_eq(wire_read_u8(&r), CP_REPLY);
    wire_skip(&r, 3);
    while (wire_left(&r) > 0) {
        uint16_t type = wire_read_u16(&r);
        struct span value = wire_read_span(&r, wire_read_u16(&r));
        addressed |= type == CP_INTERNAL_IP4_ADDRESS && value.len == 4;
        ck_assert(type != CP_APPLICATION_VERSION || value.len == 0);
        ck_assert(type != CP_INTERNAL_IP4_NETMASK || addressed);
        masked |= type == CP_INTERNAL_IP4_NETMASK;
    }
    ck_ok(wire_read_finish(&r));
    ck_assert(addressed && masked);
    ask_with_cp("0007 0000"); /* which asks for no address at all */
    const struct payload *p = payload_find(&got.payloads, PAYLOAD_CP);
    ck_assert(p == NULL || p->body.len == 4);
}
END_TEST

/* 3.15.1: what is asked for has no value but an address that is wanted. */
START_TEST(a_request_asks_for_no_netmask_by_value)
{
    struct wire_reader r;
    hostile_reach(&hostile, HOSTILE_KEYED);
    const struct payload *p = payload_find(&hostile.request.payloads, PAYLOAD_CP);
    ck_assert_ptr_nonnull(p);
    wire_reader_init(&r, p->body);
    ck_assert_uint_eq(wire_read_u8(&r), CP_REQUEST);
    wire_skip(&r, 3);
    while (wire_left(&r) > 0) {
        uint16_t type = wire_read_u16(&r);
        struct span value = wire_read_span(&r, wire_read_u16(&r));
        ck_assert(type != CP_INTERNAL_IP4_NETMASK || value.len == 0);
        ck_assert(type != CP_SUPPORTED_ATTRIBUTES || value.len == 0);
    }
    ck_ok(wire_read_finish(&r));
}
END_TEST

static size_t place_of(const struct payload_list *l, uint8_t type)
{
    const struct payload *p = payload_find(l, type);
    ck_assert_msg(p != NULL, "no payload of type %u", type);
    return (size_t)(p - l->items);
}

/* 2.19 */
START_TEST(the_configuration_stands_before_the_proposals)
{
    hostile_reach(&hostile, HOSTILE_KEYED);
    ck_assert_uint_lt(place_of(&hostile.request.payloads, PAYLOAD_CP),
                      place_of(&hostile.request.payloads, PAYLOAD_SA));
    ask_with_cp("0001 0000");
    ck_assert_uint_lt(place_of(&got.payloads, PAYLOAD_CP), place_of(&got.payloads, PAYLOAD_SA));
}
END_TEST

/* 2.15, 4: keys of 64 octets and more; every kind of identity that goes with one. */
START_TEST(long_shared_keys_and_every_identity)
{
    static const char *const ids[] = {"alice@example.com", "alice.example.com", "192.0.2.7",
                                      "2001:db8::7", "@#00ff10"};
    static const size_t lens[] = {1, 64, 65, 200, SECRET_MAX};
    uint8_t key[SECRET_MAX];
    memset(key, 'k', sizeof(key));
    for (size_t i = 0; i < 5; i++) {
        anew(i % 2 == 0);
        struct session_config *c = &hostile.pair.client_config, *g = &hostile.pair.gateway_config;
        ck_ok(secret_set(&hostile.pair.psk, span_make(key, lens[i])));
        c->local_psk = c->remote_psk = hostile.pair.psk;
        ck_ok(identity_parse(ids[i], &c->local_id));
        ck_ok(identity_parse(ids[(i + 2) % 5], &c->remote_id));
        g->local_id = c->remote_id;
        hostile_reach(&hostile, HOSTILE_UP);
        struct session_status status;
        session_status(hostile.session, &status);
        ck_assert(
            identity_equal(&status.remote_id, hostile.as_gateway ? &c->remote_id : &c->local_id));
    }
}
END_TEST

/* --- the canary --- */

static const char canary_key[] = "canary: the shared key", canary_id[] = "canary@example.com";

static bool holds(const uint8_t *bytes, size_t len, const char *text)
{
    return memmem(bytes, len, text, strlen(text)) != NULL;
}

/* Who we are is said under the agreed keys alone; what we know is never said; and to a gateway that
 * did not prove itself nothing more is said than that. _i: how it fails. */
START_TEST(nothing_leaves_before_the_gateway_has_proven_itself)
{
    struct session_config *c = &hostile.pair.client_config;
    ck_ok(secret_set(&c->local_psk, span_text(canary_key)));
    ck_ok(identity_parse(canary_id, &c->local_id));
    hostile_begin(&hostile);
    ck_assert(!holds(hostile.init_request.raw, hostile.init_request.raw_len, canary_id));
    ck_assert(!holds(hostile.init_request.raw, hostile.init_request.raw_len, canary_key));
    hostile_reach(&hostile, HOSTILE_KEYED);
    ck_assert(!holds(hostile.request.raw, hostile.request.raw_len, canary_id));
    ck_assert(holds(hostile.request.plain, hostile.request.raw_len, canary_id));
    ck_assert(!holds(hostile.request.plain, hostile.request.raw_len, canary_key));
    hostile_next(&hostile, &header, &chain);
    struct hostile_payload *auth = hostile_find(&chain, PAYLOAD_AUTH);
    if (_i < 32) {
        auth->body[4 + _i] ^= 1;
    } else if (_i == 32) { /* what the client itself said, given back */
        struct span theirs = body_of(&hostile.request, PAYLOAD_AUTH);
        memcpy(auth->body, theirs.data, theirs.len);
    } else if (_i == 33) {
        hostile_find(&chain, PAYLOAD_ID_R)->body[5] ^= 1;
    } else if (_i == 34) {
        auth->len = 4;
    } else {
        auth->body[0] = (uint8_t)(_i - 34); /* methods: 1, 3.. */
        if (auth->body[0] >= AUTH_METHOD_PSK)
            auth->body[0]++;
    }
    hostile_send_sealed(&hostile, &header, &chain);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CONFIG], 0);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 0);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    hostile_ck_notify_alone(&got, NOTIFY_AUTHENTICATION_FAILED);
    hostile_run(&hostile, 60000);
    while (
        hostile_receive(&hostile, &got)) { /* the same, again; or the question to the genuine one */
        if (got.header.exchange != EXCHANGE_IKE_SA_INIT)
            hostile_ck_notify_alone(&got, NOTIFY_AUTHENTICATION_FAILED);
        ck_assert(!holds(got.raw, got.raw_len, canary_id));
    }
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 1);
    ck_assert_int_eq(hostile.last[SESSION_EVENT_DOWN].down.reason, SESSION_DOWN_PEER_UNTRUSTED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike rules begin");
    TCase *t = tcase_create("begin");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_cookie_goes_first_and_nothing_else_changes);
    tcase_add_test(t, another_group_with_everything_offered_again);
    tcase_add_test(t, cookies_of_other_lengths_are_not_noticed);
    tcase_add_test(t, a_cookie_for_every_request);
    tcase_add_test(t, no_nonce_comes_twice);
    tcase_add_test(t, no_spi_comes_twice);
    tcase_add_test(t, no_spi_in_the_first_proposals);
    tcase_add_test(t, an_answer_that_does_not_fit_brings_no_proof_of_ours);
    tcase_add_test(t, an_unknown_error_in_the_answer_fails_it);
    tcase_add_test(t, no_configuration_unasked);
    tcase_add_test(t, no_version_and_no_netmask_of_its_own);
    tcase_add_test(t, a_request_asks_for_no_netmask_by_value);
    tcase_add_test(t, the_configuration_stands_before_the_proposals);
    tcase_add_test(t, long_shared_keys_and_every_identity);
    tcase_add_loop_test(t, nothing_leaves_before_the_gateway_has_proven_itself, 0, 45);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
