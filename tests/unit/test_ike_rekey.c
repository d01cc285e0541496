/* Rekeying of an established IKE SA and its children, by either side and by both at once, with
 * loss, refusal, lifetimes that end, and messages in pieces. */
#include "tests/unit/rekey_scene.h"

static struct session *side(int i)
{
    return i == 0 ? pair.client : pair.gateway;
}

static const enum session_rekey kinds[] = {SESSION_REKEY_IKE, SESSION_REKEY_CHILD,
                                           SESSION_REKEY_BOTH};

/* _i: side and kind. RFC 7296 2.8, 2.18 */
START_TEST(rekeying_replaces_what_it_should)
{
    come_up();
    uint64_t ike = spi_i();
    uint32_t child = pair.client_children.items[0].spi_in;
    enum session_rekey kind = kinds[_i / 2];
    ck_ok(session_rekey(side(_i % 2), pair.now, kind));
    pair_run(&pair, 10000);
    ck_agree();
    ck_assert_int_eq(spi_i() != ike, kind != SESSION_REKEY_CHILD);
    ck_assert_int_eq(pair.client_children.items[0].spi_in != child, kind != SESSION_REKEY_IKE);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_UP), 1);
}
END_TEST

/* _i: who asks. Each side prefers another proposal; the keys come out the same with every reading
 * of RFC 7296 2.18 only where the PRF stays. */
START_TEST(the_prf_stays)
{
    struct fault f = {0};
    struct session_status before, after;
    ck_ok(proposal_list_from_text("aes256gcm16-prfsha384-x25519,aes128-sha256-x25519", PROTOCOL_IKE,
                                  &pair.client_config.ike, &f));
    ck_ok(proposal_list_from_text("aes128-sha256-x25519,aes256gcm16-prfsha384-x25519", PROTOCOL_IKE,
                                  &pair.gateway_config.ike, &f));
    come_up();
    session_status(pair.client, &before);
    ck_ok(session_rekey(side(_i), pair.now, SESSION_REKEY_IKE));
    pair_run(&pair, 10000);
    ck_agree();
    session_status(pair.client, &after);
    ck_assert_uint_eq(after.ike_rekeys, 1);
    ck_assert_int_eq(after.ike.prf, before.ike.prf);
}
END_TEST

/* Many times over, the roles of the original initiator changing with each. */
START_TEST(rekeying_again_and_again)
{
    come_up();
    for (int i = 0; i < 40; i++) {
        pair_forget_events(&pair);
        ck_ok(session_rekey(side(i % 3 == 1), pair.now, kinds[i % 2]));
        pair_run(&pair, pair.now + 10000);
        ck_agree();
    }
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.ike_rekeys, 20);
    ck_assert_uint_eq(session_child_rekeys(pair.client, pair.client_children.items[0].spi_in), 20);
}
END_TEST

/* _i: which datagram after coming up is lost, of a rekeying by the one side or the other. */
START_TEST(any_one_datagram_of_a_rekeying_may_be_lost)
{
    come_up();
    pair.marked = pair.datagrams + 1 + (unsigned)_i % 5;
    pair.wire = pair_lose_marked;
    ck_ok(session_rekey(side(_i / 5 % 2), pair.now, kinds[_i / 10]));
    pair_run(&pair, 20000);
    ck_agree();
}
END_TEST

/* RFC 7296 2.8.1: both at once; the nonces decide. Over many draws, both ways. */
START_TEST(both_sides_rekey_at_once)
{
    enum session_rekey kind = kinds[_i % 2];
    pair.seed = 1000 + (uint64_t)_i;
    come_up();
    uint64_t ike = spi_i();
    uint32_t child = pair.client_children.items[0].spi_in;
    ck_ok(session_rekey(pair.client, pair.now, kind));
    ck_ok(session_rekey(pair.gateway, pair.now, kind));
    pair_run(&pair, 60000);
    ck_agree();
    ck_assert_int_eq(spi_i() != ike, kind == SESSION_REKEY_IKE);
    ck_assert_int_eq(pair.client_children.items[0].spi_in != child, kind == SESSION_REKEY_CHILD);
}
END_TEST

START_TEST(both_sides_rekey_at_once_and_one_datagram_is_lost)
{
    pair.seed = 5000 + (uint64_t)_i;
    come_up();
    pair.marked = pair.datagrams + 1 + (unsigned)_i % 8;
    pair.wire = pair_lose_marked;
    ck_ok(session_rekey(pair.client, pair.now, kinds[_i / 8 % 2]));
    ck_ok(session_rekey(pair.gateway, pair.now, kinds[_i / 8 % 2]));
    pair_run(&pair, 60000);
    ck_agree();
}
END_TEST

/* RFC 7296 2.25.2: the one rekeys the IKE SA, the other a child: TEMPORARY_FAILURE, and later. */
START_TEST(ike_and_child_rekeyed_at_once)
{
    come_up();
    ck_ok(session_rekey(side(_i), pair.now, SESSION_REKEY_IKE));
    ck_ok(session_rekey(side(1 - _i), pair.now, SESSION_REKEY_CHILD));
    pair_run(&pair, 60000);
    ck_agree();
}
END_TEST

START_TEST(new_key_exchanges_for_children)
{
    struct fault f;
    ck_ok(proposal_list_from_text("aes128gcm16-ecp256-x25519", PROTOCOL_ESP,
                                  &pair.client_config.esp, &f));
    ck_ok(proposal_list_from_text(_i == 0 ? "aes128gcm16-x25519" : "aes128gcm16-ecp256",
                                  PROTOCOL_ESP, &pair.gateway_config.esp, &f));
    come_up();
    for (int i = 0; i < 4; i++) {
        ck_ok(session_rekey(side(i % 2), pair.now, SESSION_REKEY_CHILD));
        pair_run(&pair, pair.now + 10000);
        ck_agree();
        ck_assert_uint_eq(session_child_rekeys(pair.client, pair.client_children.items[0].spi_in),
                          (uint32_t)i + 1);
    }
}
END_TEST

/* A peer that insists on forward secrecy gets it, whatever our profile says. */
START_TEST(key_exchange_that_only_the_peer_wants)
{
    struct fault f;
    ck_ok(proposal_list_from_text("aes128gcm16", PROTOCOL_ESP, &pair.client_config.esp, &f));
    ck_ok(
        proposal_list_from_text("aes128gcm16-ecp384", PROTOCOL_ESP, &pair.gateway_config.esp, &f));
    come_up();
    ck_ok(session_rekey(pair.gateway, pair.now, SESSION_REKEY_CHILD));
    pair_run(&pair, 10000);
    ck_agree();
}
END_TEST

START_TEST(lifetimes_lead_to_rekeying)
{
    pair.client_config.lifetimes = (struct session_lifetimes){.ike_ms = 90000, .child_ms = 20000};
    pair.gateway_config.lifetimes = (struct session_lifetimes){.ike_ms = 100000, .child_ms = 25000};
    come_up();
    for (mono_ms at = 20000; at <= 600000; at += 20000) {
        pair_forget_events(&pair);
        pair_run(&pair, at);
        ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
        ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
    }
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_ge(status.ike_rekeys, 6);
    ck_assert_uint_eq(status.reconnects, 0);
}
END_TEST

/* No key outlives its lifetime, even where nobody answers. */
START_TEST(a_child_that_cannot_be_rekeyed_ends_at_its_end)
{
    pair.client_config.lifetimes.child_ms = 60000;
    come_up();
    pair.wire = pair_lose_all;
    pair_run(&pair, 59999);
    ck_assert_uint_eq(pair.client_children.count, 1);
    pair_run(&pair, 60000);
    ck_assert_uint_eq(pair.client_children.count, 0);
}
END_TEST

static bool cut_from_client(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)p, (void)bytes, (void)len;
    return !from_client;
}

/* Nor where it was replaced, and its successor waits for a peer that never heard of it. */
START_TEST(a_replaced_child_ends_at_its_end_too)
{
    pair.client_config.lifetimes.child_ms = 60000;
    come_up();
    uint32_t old = pair.client_children.items[0].spi_in;
    pair_run(&pair, 40000);
    pair.wire = cut_from_client;
    ck_ok(session_rekey(pair.gateway, pair.now, SESSION_REKEY_CHILD));
    pair_run(&pair, 59999);
    ck_assert_uint_eq(pair.client_children.count, 2);
    ck_assert_uint_eq(pair.client_children.items[0].spi_in, old);
    pair_run(&pair, 60000);
    ck_assert_uint_eq(pair.client_children.count, 1);
    ck_assert_uint_ne(pair.client_children.items[0].spi_in, old);
}
END_TEST

START_TEST(bytes_lead_to_rekeying)
{
    pair.client_config.lifetimes.child_bytes = 1000000;
    come_up();
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_CHILD_UP);
    ck_assert_uint_eq(e->child.hard_bytes, 1000000);
    ck_assert(e->child.soft_bytes >= 799999 && e->child.soft_bytes <= 900000);
    ck_assert_uint_eq(e->child.hard_packets, UINT32_MAX); /* the sequence numbers end there */
    session_child_expiring(pair.client, pair.now, e->child.spi_in);
    pair_run(&pair, 10000);
    ck_agree();
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 1);
}
END_TEST

/* The successor listens before its predecessor goes, on both sides (RFC 7296 2.8). */
START_TEST(make_before_break)
{
    come_up();
    pair_forget_events(&pair);
    ck_ok(session_rekey(side(_i), pair.now, SESSION_REKEY_CHILD));
    pair_run(&pair, 10000);
    for (int s = 0; s < 2; s++) {
        const struct session_event *events = s == 0 ? pair.client_events : pair.gateway_events;
        ck_assert_int_eq(events[0].type, SESSION_EVENT_CHILD_UP);
        ck_assert_int_eq(events[0].child.outbound_waits, s != _i);
        ck_assert_uint_ne(events[0].child.replaces_spi_in, 0);
        ck_assert_int_eq(events[1].type, SESSION_EVENT_REKEYED);
        ck_assert_int_eq(events[2].type, SESSION_EVENT_CHILD_DRAIN);
        ck_assert_int_eq(events[3].type, SESSION_EVENT_CHILD_DOWN);
    }
}
END_TEST

START_TEST(child_in_an_exchange_of_its_own)
{
    pair.client_config.childless = true;
    come_up();
    ck_agree();
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_BOTH));
    pair_run(&pair, 10000);
    ck_agree();
}
END_TEST

START_TEST(stopping_in_the_middle_of_a_rekeying)
{
    come_up();
    ck_ok(session_rekey(side(_i % 2), pair.now, kinds[_i / 2]));
    session_stop(pair.client, pair.now);
    pair_run(&pair, 10000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_DOWN);
    struct session_status status;
    session_status(pair.gateway, &status);
    ck_assert_int_eq(status.state, SESSION_DOWN);
}
END_TEST

/* --- fragments --- */

static size_t longest;

static bool short_datagrams_alone(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)p, (void)from_client, (void)bytes;
    return len <= longest;
}

/* RFC 7383: a path that bears only so much; the first size asked for may be too large for it. */
START_TEST(messages_in_pieces)
{
    static const uint16_t mtus[] = {1280, 576, 300};
    pair.client_config.fragment_mtu = pair.gateway_config.fragment_mtu = mtus[_i];
    longest = mtus[_i] < 576 ? 500 : 576; /* IKE_SA_INIT cannot be cut */
    pair.wire = short_datagrams_alone;
    pair_start(&pair);
    pair_run(&pair, 30000);
    ck_agree();
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_BOTH));
    pair_run(&pair, 60000);
    ck_agree();
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("ike rekey", &t);
    tcase_add_loop_test(t, rekeying_replaces_what_it_should, 0, 6);
    tcase_add_loop_test(t, the_prf_stays, 0, 2);
    tcase_add_test(t, rekeying_again_and_again);
    tcase_add_loop_test(t, any_one_datagram_of_a_rekeying_may_be_lost, 0, 30);
    tcase_add_loop_test(t, both_sides_rekey_at_once, 0, 24);
    tcase_add_loop_test(t, both_sides_rekey_at_once_and_one_datagram_is_lost, 0, 64);
    tcase_add_loop_test(t, ike_and_child_rekeyed_at_once, 0, 2);
    tcase_add_loop_test(t, new_key_exchanges_for_children, 0, 2);
    tcase_add_test(t, key_exchange_that_only_the_peer_wants);
    tcase_add_test(t, lifetimes_lead_to_rekeying);
    tcase_add_test(t, a_child_that_cannot_be_rekeyed_ends_at_its_end);
    tcase_add_test(t, a_replaced_child_ends_at_its_end_too);
    tcase_add_test(t, bytes_lead_to_rekeying);
    tcase_add_loop_test(t, make_before_break, 0, 2);
    tcase_add_test(t, child_in_an_exchange_of_its_own);
    tcase_add_loop_test(t, stopping_in_the_middle_of_a_rekeying, 0, 6);
    tcase_add_loop_test(t, messages_in_pieces, 0, 3);
    return support_run(suite);
}
