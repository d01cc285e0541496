/* What RFC 7296 says of CREATE_CHILD_SA and Delete: key exchanges, what a successor covers, under
 * which IKE SA things are said, who closes what and when, and what follows from a refusal. */
#include <string.h>

#include "tests/support/hostile.h"

static struct hostile hostile;
static struct hostile_chain chain;
static const struct hostile_chain empty;
static struct hostile_message got;

static void setup(void)
{
    hostile_init(&hostile, false);
}

static void teardown(void)
{
    hostile_wipe(&hostile);
}

/* _i & 1: we are the gateway. */
static void begin(int i)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, (i & 1) != 0);
}

static void come_up(int i)
{
    begin(i);
    hostile_reach(&hostile, HOSTILE_UP);
}

static void with_esp(const char *ours, const char *theirs)
{
    struct fault f;
    ck_ok(proposal_list_from_text(ours, PROTOCOL_ESP, &hostile.pair.client_config.esp, &f));
    hostile.pair.gateway_config.esp = hostile.pair.client_config.esp;
    ck_ok(proposal_list_from_text(theirs, PROTOCOL_ESP, &hostile.esp, &f));
}

/* The session rekeys; its request is hostile.request. */
static void let_rekey(enum session_rekey what)
{
    ck_ok(session_rekey(hostile.session, hostile.now, what));
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
}

static void ask_create(void)
{
    hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
}

static struct span body_of(uint8_t type)
{
    const struct payload *p = payload_find(&got.payloads, type);
    ck_assert_msg(p != NULL, "no payload of type %u", type);
    return p->body;
}

static void proposals(struct proposal_list *ret)
{
    ck_ok(proposal_list_parse(body_of(PAYLOAD_SA), ret));
}

static uint16_t group(void)
{
    struct ke_payload ke;
    ck_ok(ke_payload_parse(body_of(PAYLOAD_KE), &ke));
    return ke.method;
}

/* --- key exchanges --- */

/* 1.3, 3.4: KE of a group that is offered beside it; none where none is. */
START_TEST(the_group_is_one_of_those_offered)
{
    struct proposal_list l;
    begin(_i);
    with_esp("aes128gcm16-ecp256-x25519", "aes128gcm16-ecp256");
    hostile_reach(&hostile, HOSTILE_UP);
    let_rekey(SESSION_REKEY_CHILD);
    proposals(&l);
    ck_assert(proposal_list_has_ke(&l, group()));
    come_up(_i);
    let_rekey(SESSION_REKEY_CHILD);
    proposals(&l);
    ck_assert_int_eq(proposal_list_first_ke(&l), KE_NONE);
    ck_assert_ptr_null(payload_find(&got.payloads, PAYLOAD_KE));
}
END_TEST

/* 1.3: the group that the peer took before is the one that it is expected to take again. */
START_TEST(the_group_is_one_that_was_accepted_before)
{
    struct fault f;
    begin(1);
    ck_ok(proposal_list_from_text("aes128gcm16-prfsha256-x25519-ecp384", PROTOCOL_IKE,
                                  &hostile.pair.client_config.ike, &f));
    ck_ok(proposal_list_from_text("aes128gcm16-prfsha256-ecp384", PROTOCOL_IKE, &hostile.ike, &f));
    hostile_begin(&hostile);
    chain.count = 0;
    hostile_add_notify(&chain, NOTIFY_INVALID_KE_PAYLOAD, span_make("\0\x14", 2));
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    hostile_restart(&hostile);
    hostile_reach(&hostile, HOSTILE_UP);
    let_rekey(SESSION_REKEY_IKE);
    ck_assert_uint_eq(group(), KE_ECP_384);
}
END_TEST

/* 1.3, 3.4: another group than the chosen one: ours is named, and nothing is made. */
START_TEST(another_group_is_answered_by_ours)
{
    struct fault f;
    struct notify_payload n;
    begin(_i);
    with_esp("aes128gcm16-x25519", "aes128gcm16-ecp256-x25519");
    struct proposal_list *ike =
        _i == 0 ? &hostile.pair.gateway_config.ike : &hostile.pair.client_config.ike;
    hostile_reach(&hostile, HOSTILE_UP);
    hostile.child_ke = KE_ECP_256;
    hostile_child_request(&hostile, &chain, hostile.spi);
    ask_create();
    hostile_ck_notify_alone(&got, NOTIFY_INVALID_KE_PAYLOAD);
    ck_assert(notify_find_error(&got.payloads, &n));
    ck_span_eq(n.data, span_make("\0\x1f", 2));
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 1);

    ck_assert_uint_eq(ike->count, 1);
    ck_ok(proposal_list_from_text("aes128gcm16-prfsha256-ecp256-x25519", PROTOCOL_IKE, &hostile.ike,
                                  &f));
    hostile_ike_request(&hostile, &chain); /* KE of the first */
    ask_create();
    hostile_ck_notify_alone(&got, NOTIFY_INVALID_KE_PAYLOAD);
    ck_assert(notify_find_error(&got.payloads, &n));
    ck_span_eq(n.data, span_make("\0\x1f", 2));
    hostile_ck_alive(&hostile);
}
END_TEST

/* 1.3.2, 2.18: the IKE SA's successor has a key exchange of its own, and no other way is offered;
 * its messages count from 0. */
START_TEST(an_ike_sa_is_rekeyed_with_a_new_key_exchange)
{
    static const struct transform none = {TRANSFORM_KE, KE_NONE, 0};
    struct proposal_list l;
    uint8_t before[64];
    come_up(_i);
    for (int n = 0; n < 3; n++) {
        for (int i = 0; i < 3; i++)
            hostile_ck_alive(&hostile); /* so that the old one's count is not 0 */
        let_rekey(SESSION_REKEY_IKE);
        proposals(&l);
        for (size_t i = 0; i < l.count; i++) {
            ck_assert_uint_ge(proposal_count(&l.items[i], TRANSFORM_KE), 1);
            ck_assert(!proposal_has(&l.items[i], &none));
        }
        struct span ke = body_of(PAYLOAD_KE);
        ck_assert_uint_eq(ke.len, 4 + 32);
        ck_assert(n == 0 || memcmp(before, ke.data, ke.len) != 0);
        memcpy(before, ke.data, ke.len);
        hostile_ike_response(&hostile, &chain);
        hostile_answer(&hostile, &chain);
        hostile_ike_follow(&hostile, &hostile.request);
        hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
        hostile_swap(&hostile);
        hostile_answer(&hostile, &empty);
        hostile_swap(&hostile);
        ck_assert_uint_eq(hostile.sa.next_id, 0);
        hostile_ck_alive(&hostile); /* ours count from 0 */
        hostile.now += 3000;
        session_suspect(hostile.session, hostile.now); /* and theirs */
        hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
        ck_assert_uint_eq(got.header.spi_i, hostile.sa.spi_i);
        ck_assert_uint_eq(got.header.message_id, 0);
        hostile_answer(&hostile, &empty);
    }
}
END_TEST

/* 2.18: nor is it accepted without one: said aloud, or by leaving it out. _i / 2: which. */
START_TEST(an_ike_sa_is_not_rekeyed_without_one)
{
    struct proposal_list l;
    come_up(_i);
    struct proposal *p = &hostile.ike.items[0];
    size_t ke = p->count - 1;
    ck_assert_uint_eq(p->transforms[ke].type, TRANSFORM_KE);
    hostile_ike_request(&hostile, &chain);
    ck_ok(proposal_list_parse(span_make(chain.items[0].body, chain.items[0].len), &l));
    if (_i / 2 == 0)
        l.items[0].transforms[ke].id = KE_NONE;
    else
        l.items[0].count--;
    hostile_remove(&chain, 0);
    hostile_add_proposals(&chain, &l);
    ask_create();
    hostile_ck_notify_alone(&got, NOTIFY_NO_PROPOSAL_CHOSEN);
    hostile_ck_alive(&hostile);

    let_rekey(SESSION_REKEY_IKE);
    hostile_ike_response(&hostile, &chain);
    ck_ok(proposal_list_parse(span_make(chain.items[0].body, chain.items[0].len), &l));
    if (_i / 2 == 0)
        l.items[0].transforms[ke].id = KE_NONE;
    else
        l.items[0].count--;
    hostile_remove(&chain, 0);
    hostile_add_proposals(&chain, &l);
    hostile_answer(&hostile, &chain);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_REKEYED], 0);
}
END_TEST

/* 3.3.6: NONE chosen: a KE payload is not looked at, and none is sent back. */
START_TEST(a_key_exchange_of_none_is_none)
{
    come_up(_i);
    struct proposal *p = &hostile.esp.items[0];
    p->transforms[p->count++] = (struct transform){TRANSFORM_KE, KE_NONE, 0};
    hostile.child_ke = KE_X25519;
    hostile_child_request(&hostile, &chain, 0);
    ask_create();
    (void)body_of(PAYLOAD_SA);
    ck_assert_ptr_null(payload_find(&got.payloads, PAYLOAD_KE));
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 2);
}
END_TEST

/* --- what a successor is, and covers --- */

static struct span selectors_of(uint8_t type)
{
    return body_of(type);
}

/* 1.3.3, 2.9.2, 3.10, 3.13.1: REKEY_SA names ESP and our SPI; asked for is what the old one had,
 * all of its ports. */
START_TEST(a_child_is_rekeyed_as_it_was)
{
    static struct hostile_chain old;
    struct notify_payload n;
    struct selector_list l;
    come_up(_i);
    let_rekey(SESSION_REKEY_CHILD);
    ck_assert(notify_find(&got.payloads, NOTIFY_REKEY_SA, &n));
    ck_assert_uint_eq(n.protocol, PROTOCOL_ESP);
    const uint8_t spi[] = {(uint8_t)(hostile.peer_spi >> 24), (uint8_t)(hostile.peer_spi >> 16),
                           (uint8_t)(hostile.peer_spi >> 8), (uint8_t)hostile.peer_spi};
    ck_span_eq(n.spi, SPAN_OF(spi));
    hostile_child_response(&hostile, &old); /* which has the scope in use */
    for (uint8_t type = PAYLOAD_TS_I; type <= PAYLOAD_TS_R; type++) {
        struct hostile_payload *p = hostile_find(&old, type);
        ck_span_eq(selectors_of(type), span_make(p->body, p->len));
        ck_ok(ts_payload_parse(selectors_of(type), &l));
        ck_assert_uint_eq(l.items[0].port_first, 0);
        ck_assert_uint_eq(l.items[0].port_last, UINT16_MAX);
        ck_assert_uint_eq(l.items[0].protocol, 0);
    }
}
END_TEST

/* 2.9.2: who asks for as much, or for more, gets no less than there was. */
START_TEST(an_answer_does_not_narrow_what_is_in_use)
{
    static struct hostile_chain asked;
    for (int wider = 0; wider < 2; wider++) {
        come_up(_i);
        hostile_child_request(&hostile, &chain, hostile.spi);
        asked = chain;
        if (wider) {
            hostile_remove(&chain, chain.count - 1);
            hostile_remove(&chain, chain.count - 1);
            hostile_add_ts(&chain, PAYLOAD_TS_I, "0.0.0.0/0");
            hostile_add_ts(&chain, PAYLOAD_TS_R, "0.0.0.0/0");
        }
        ask_create();
        for (uint8_t type = PAYLOAD_TS_I; type <= PAYLOAD_TS_R; type++) {
            struct hostile_payload *p = hostile_find(&asked, type);
            ck_span_eq(selectors_of(type), span_make(p->body, p->len));
        }
    }
}
END_TEST

/* 2.25: a child that is not there is named, with its protocol and SPI. */
START_TEST(a_child_that_is_not_there)
{
    struct notify_payload n;
    come_up(_i);
    hostile_child_request(&hostile, &chain, 0x01020304);
    ask_create();
    hostile_ck_notify_alone(&got, NOTIFY_CHILD_SA_NOT_FOUND);
    ck_assert(notify_find_error(&got.payloads, &n));
    ck_assert_uint_eq(n.protocol, PROTOCOL_ESP);
    ck_span_eq(n.spi, span_make("\1\2\3\4", 4));
    hostile_ck_alive(&hostile);
}
END_TEST

/* 2.8: what the answer promises is there when it leaves: the keys are told with the very input that
 * brings it. */
START_TEST(keys_are_there_with_the_answer)
{
    come_up(_i);
    hostile_child_request(&hostile, &chain, hostile.spi);
    hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 2);
    const struct session_child *c = &hostile.last[SESSION_EVENT_CHILD_UP].child;
    uint32_t spi_in = c->spi_in;
    struct proposal_list l;
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
    proposals(&l);
    const uint8_t *spi = l.items[0].spi;
    ck_assert_uint_eq(spi_in, (uint32_t)spi[0] << 24 | (uint32_t)spi[1] << 16 |
                                  (uint32_t)spi[2] << 8 | spi[3]);
}
END_TEST

/* --- under which IKE SA --- */

/* 1.4, 2.8: an IKE SA is deleted under itself, and that is the last that is said there; its
 * children are dealt with under its successor. */
START_TEST(each_thing_under_its_own_ike_sa)
{
    struct delete_payload d;
    come_up(_i);
    let_rekey(SESSION_REKEY_IKE);
    hostile_ike_response(&hostile, &chain);
    hostile_answer(&hostile, &chain);
    hostile_ike_follow(&hostile, &hostile.request);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_uint_eq(got.header.spi_i, hostile.before.spi_i);
    ck_ok(delete_payload_parse(body_of(PAYLOAD_DELETE), &d));
    ck_assert_uint_eq(d.protocol, PROTOCOL_IKE);
    ck_assert_uint_eq(d.count, 0);
    hostile_swap(&hostile);
    hostile_answer(&hostile, &empty);
    hostile_swap(&hostile);

    let_rekey(SESSION_REKEY_CHILD);
    ck_assert_uint_eq(got.header.spi_i, hostile.sa.spi_i);
    hostile_child_response(&hostile, &chain);
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_uint_eq(got.header.spi_i, hostile.sa.spi_i);
    ck_ok(delete_payload_parse(body_of(PAYLOAD_DELETE), &d));
    ck_assert_uint_eq(d.protocol, PROTOCOL_ESP);
    hostile_answer(&hostile, &empty);
    for (mono_ms at = 5000; at <= 60000; at += 5000) {
        hostile_run(&hostile, at);
        session_suspect(hostile.session, hostile.now);
        while (hostile_receive(&hostile, &got)) {
            ck_assert_uint_eq(got.header.spi_i, hostile.sa.spi_i);
            hostile_answer(&hostile, &empty);
        }
    }
}
END_TEST

/* --- closing --- */

static struct delete_payload deleted(void)
{
    struct delete_payload d;
    ck_ok(delete_payload_parse(body_of(PAYLOAD_DELETE), &d));
    return d;
}

/* 1.4.1: both halves go together, and each side names its own. */
START_TEST(a_delete_closes_both_halves)
{
    come_up(_i);
    chain.count = 0;
    hostile_add_delete(&chain, &hostile.spi, 1);
    hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
    struct delete_payload d = deleted();
    ck_assert_uint_eq(d.protocol, PROTOCOL_ESP);
    ck_assert_uint_eq(d.count, 1);
    ck_assert_uint_eq(delete_payload_esp_spi(&d, 0), hostile.peer_spi);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DRAIN], 1); /* outbound, at once */
    hostile_run(&hostile, 5000);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DOWN], 1);
    ck_assert_uint_eq(hostile.last[SESSION_EVENT_CHILD_DOWN].child_down_spi_in, hostile.peer_spi);
    /* The IKE SA stands; what is not there any more is answered by nothing. */
    while (hostile_receive(&hostile, &got))
        ;
    hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
    ck_assert_uint_eq(got.payloads.count, 0);
}
END_TEST

/* 2.8: who rekeyed a child deletes the old one. One that deletes the new one again could not make
 * it, and goes on with the old: that may be rekeyed, and is, by us as well. */
START_TEST(a_successor_that_is_deleted_again)
{
    struct notify_payload n;
    come_up(_i);
    const uint32_t made = hostile.next_spi;
    hostile_child_request(&hostile, &chain, hostile.spi);
    ck_assert_uint_eq(hostile.next_spi, made + 1);
    ask_create();
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_REKEYED], 1);
    chain.count = 0;
    hostile_add_delete(&chain, &made, 1);
    hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
    ck_assert(notify_find(&got.payloads, NOTIFY_REKEY_SA, &n));
    const uint8_t spi[] = {(uint8_t)(hostile.peer_spi >> 24), (uint8_t)(hostile.peer_spi >> 16),
                           (uint8_t)(hostile.peer_spi >> 8), (uint8_t)hostile.peer_spi};
    ck_span_eq(n.spi, SPAN_OF(spi));
    hostile_child_request(&hostile, &chain, hostile.spi);
    ask_create();
    ck_assert(!notify_find_error(&got.payloads, &n));
}
END_TEST

/* The session's Delete of a rekeyed child is out: got, hostile.request. */
static void let_delete(int i)
{
    come_up(i);
    let_rekey(SESSION_REKEY_CHILD);
    hostile_child_response(&hostile, &chain);
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    struct delete_payload d = deleted();
    ck_assert_uint_eq(d.count, 1);
    ck_assert_uint_eq(delete_payload_esp_spi(&d, 0), hostile.peer_spi); /* our own half */
}

/* 1.4.1: the outbound half went with the request, the inbound half goes with the response; where
 * the peer's Delete crosses ours, the answer does not name that child again. */
START_TEST(deletes_that_cross)
{
    let_delete(_i);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DRAIN], 1);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DOWN], 0);
    if (_i / 2 == 1) {
        chain.count = 0;
        hostile_add_delete(&chain, &hostile.spi, 1);
        struct hostile_message theirs;
        hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
        hostile_expect(&hostile, &theirs, EXCHANGE_INFORMATIONAL, true);
        ck_assert_uint_eq(theirs.payloads.count, 0);
    }
    hostile_answer(&hostile, &empty);
    hostile_run(&hostile, 5000);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DOWN], 1);
    ck_assert_uint_eq(hostile.last[SESSION_EVENT_CHILD_DOWN].child_down_spi_in, hostile.peer_spi);
    hostile_ck_alive(&hostile);
}
END_TEST

/* Of every draw of eight octets, as many as `constant` says are the same. */
static unsigned constant;
static struct random_source beneath;

static void draw(void *ctx, uint8_t *out, size_t len)
{
    (void)ctx;
    random_fill(&beneath, out, len);
    if (len == 8 && constant > 0) {
        constant--;
        memset(out, 0xab, len);
    }
}

/* 1.4.1: half closed is not closed: while the peer has not answered, the inbound half stays, and
 * its SPI is not used again. */
START_TEST(half_closed_is_not_closed)
{
    begin(_i);
    struct session_config *c = _i == 0 ? &hostile.pair.gateway_config : &hostile.pair.client_config;
    beneath = c->random;
    c->random.fill = draw;
    constant = 2; /* SPIs of the IKE SA and of the first child */
    hostile_reach(&hostile, HOSTILE_UP);
    ck_assert_uint_eq(hostile.peer_spi, 0xabababab);
    let_rekey(SESSION_REKEY_CHILD);
    hostile_child_response(&hostile, &chain);
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    hostile_run(&hostile, 1500); /* nobody answers */
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DOWN], 0);
    while (hostile_receive(&hostile, &got))
        ;
    constant = 3;
    hostile_child_request(&hostile, &chain, 0);
    ask_create();
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 3);
    ck_assert_uint_ne(hostile.last[SESSION_EVENT_CHILD_UP].child.spi_in, 0xabababab);
    ck_assert_uint_eq(constant, 0);
}
END_TEST

/* --- ends and refusals --- */

/* 2.8: a rekeying that nobody answers: at the end of its life the IKE SA goes, and its children
 * with it; nothing is said under it any more. */
START_TEST(an_ike_sa_that_cannot_be_rekeyed_ends_at_its_end)
{
    begin(_i);
    hostile.pair.client_config.lifetimes.ike_ms = 60000;
    hostile.pair.gateway_config.lifetimes.ike_ms = 60000;
    hostile.pair.gateway_config.retransmit.tries = 0;
    hostile_reach(&hostile, HOSTILE_UP);
    hostile_run(&hostile, 59000);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DOWN], 0);
    hostile_run(&hostile, 70000);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DOWN], 1);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], _i == 0);
    while (hostile_receive(&hostile, &got))
        ;
    hostile_run(&hostile, 90000);
    while (hostile_receive(&hostile, &got))
        ck_assert_uint_ne(got.header.spi_i, hostile.sa.spi_i);
}
END_TEST

/* 2.25: TEMPORARY_FAILURE: not again at once, and again after a while. _i / 2: what is rekeyed. */
START_TEST(a_temporary_failure_is_waited_out)
{
    come_up(_i);
    mono_ms pause = 0;
    ck_ok(session_rekey(hostile.session, hostile.now,
                        _i / 2 == 0 ? SESSION_REKEY_CHILD : SESSION_REKEY_IKE));
    for (int n = 0; n < 4; n++) {
        hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
        chain.count = 0;
        hostile_add_notify(&chain, NOTIFY_TEMPORARY_FAILURE, SPAN_EMPTY);
        hostile_answer(&hostile, &chain);
        hostile_expect_nothing(&hostile);
        mono_ms due = session_next_timeout(hostile.session);
        ck_assert(due != MONO_NEVER);
        ck_assert_int_ge(due - hostile.now, 1000);
        ck_assert_int_le(due - hostile.now, 60000);
        pause = due - hostile.now;
        hostile_run(&hostile, due);
    }
    ck_assert_int_gt(pause, 1000);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_SEARCHING], 0);
}
END_TEST

/* 3.10.1: an error in the answer, also one that nobody knows and whatever stands beside it: nothing
 * was made; and what was to be replaced goes on. */
START_TEST(an_error_in_the_answer_means_that_nothing_was_made)
{
    static const uint16_t errors[] = {8192, 16383, NOTIFY_TS_UNACCEPTABLE};
    for (size_t i = 0; i < 3; i++) {
        come_up(_i);
        let_rekey(_i / 2 == 0 ? SESSION_REKEY_CHILD : SESSION_REKEY_IKE);
        if (_i / 2 == 0)
            hostile_child_response(&hostile, &chain);
        else
            hostile_ike_response(&hostile, &chain);
        hostile_add_notify(&chain, errors[i], SPAN_EMPTY);
        hostile_answer(&hostile, &chain);
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 1);
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_REKEYED], 0);
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_DRAIN], 0);
        while (hostile_receive(&hostile, &got))
            ck_assert_uint_eq(got.header.exchange, EXCHANGE_IKE_SA_INIT);
        hostile_ck_alive(&hostile);
    }
}
END_TEST

/* 4: a gateway that makes no more than one child: a new IKE SA is made, and the old one deleted
 * once that stands. */
START_TEST(no_additional_sas_leads_to_a_new_ike_sa)
{
    struct ike_header header;
    come_up(1);
    let_rekey(SESSION_REKEY_CHILD);
    chain.count = 0;
    hostile_add_notify(&chain, NOTIFY_NO_ADDITIONAL_SAS, SPAN_EMPTY);
    hostile_answer(&hostile, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_IKE_SA_INIT, false);
    hostile_restart(&hostile);
    hostile.path = hostile.pair.client_path;
    hostile_reach(&hostile, HOSTILE_KEYED);
    hostile_next(&hostile, &header, &chain);
    hostile_send_sealed(&hostile, &header, &chain);
    hostile_run(&hostile, hostile.now + 600); /* the old one goes a moment later */
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_uint_eq(got.header.spi_i, hostile.before.spi_i);
    ck_assert_uint_eq(deleted().protocol, PROTOCOL_IKE);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 2);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_SEARCHING], 0);
    hostile_ck_alive(&hostile);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike rules child");
    TCase *t = tcase_create("child");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, the_group_is_one_of_those_offered, 0, 2);
    tcase_add_test(t, the_group_is_one_that_was_accepted_before);
    tcase_add_loop_test(t, another_group_is_answered_by_ours, 0, 2);
    tcase_add_loop_test(t, an_ike_sa_is_rekeyed_with_a_new_key_exchange, 0, 2);
    tcase_add_loop_test(t, an_ike_sa_is_not_rekeyed_without_one, 0, 4);
    tcase_add_loop_test(t, a_key_exchange_of_none_is_none, 0, 2);
    tcase_add_loop_test(t, a_child_is_rekeyed_as_it_was, 0, 2);
    tcase_add_loop_test(t, an_answer_does_not_narrow_what_is_in_use, 0, 2);
    tcase_add_loop_test(t, a_child_that_is_not_there, 0, 2);
    tcase_add_loop_test(t, keys_are_there_with_the_answer, 0, 2);
    tcase_add_loop_test(t, each_thing_under_its_own_ike_sa, 0, 2);
    tcase_add_loop_test(t, a_delete_closes_both_halves, 0, 2);
    tcase_add_loop_test(t, a_successor_that_is_deleted_again, 0, 2);
    tcase_add_loop_test(t, deletes_that_cross, 0, 4);
    tcase_add_loop_test(t, half_closed_is_not_closed, 0, 2);
    tcase_add_loop_test(t, an_ike_sa_that_cannot_be_rekeyed_ends_at_its_end, 0, 2);
    tcase_add_loop_test(t, a_temporary_failure_is_waited_out, 0, 4);
    tcase_add_loop_test(t, an_error_in_the_answer_means_that_nothing_was_made, 0, 4);
    tcase_add_test(t, no_additional_sas_leads_to_a_new_ike_sa);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
