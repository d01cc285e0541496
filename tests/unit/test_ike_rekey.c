/* The life of an established IKE SA between two sessions on virtual time: rekeying by either side
 * and by both at once, loss, refusal, rebuilding, re-authentication, redirection. After each of
 * them both ends must hold the same SAs, crosswise. */
#include <string.h>

#include "common/ike/stray.h"
#include "tests/support/pair.h"

static struct pair pair;

static void setup(void)
{
    pair_init(&pair);
}

static void teardown(void)
{
    pair_wipe(&pair);
}

static void come_up(void)
{
    pair_start(&pair);
    pair_pump(&pair);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
}

/* One IKE SA, one Child SA, the same on both sides. */
static void ck_agree(void)
{
    struct session_status c, g;
    session_status(pair.client, &c);
    session_status(pair.gateway, &g);
    ck_assert_int_eq(c.state, SESSION_UP);
    ck_assert_int_eq(g.state, SESSION_UP);
    ck_assert_uint_eq(c.spi_i, g.spi_i);
    ck_assert_uint_eq(c.spi_r, g.spi_r);
    ck_assert_uint_eq(pair.client_children.count, 1);
    ck_assert_uint_eq(pair.gateway_children.count, 1);
    ck_assert_uint_eq(pair.client_children.items[0].spi_in, pair.gateway_children.items[0].spi_out);
    ck_assert_uint_eq(pair.client_children.items[0].spi_out, pair.gateway_children.items[0].spi_in);
}

static uint64_t spi_i(void)
{
    struct session_status status;
    session_status(pair.client, &status);
    return status.spi_i;
}

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

/* --- the gateway is gone, or wants to see us again --- */

START_TEST(a_gateway_that_forgot_us_is_found_again)
{
    come_up();
    session_free(pair.gateway);
    pair.gateway = NULL;
    struct session_traffic t = {.last_out = 1, .last_in = MONO_NEVER};
    session_traffic(pair.client, 1, &t);
    mono_ms budget = (mono_ms)pair.client_config.dpd_ms + 500 + 900 + 1620;
    pair_run(&pair, budget + 3000);
    ck_agree();
    ck_assert_ptr_nonnull(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 1);
}
END_TEST

START_TEST(a_hint_makes_it_quicker)
{
    come_up();
    session_free(pair.gateway);
    pair.gateway = NULL;
    session_suspect(pair.client, pair.now);
    pair_run(&pair, pair.now + 1500);
    ck_agree();
}
END_TEST

/* RFC 7296 2.21.4: a hint is no fact. */
START_TEST(a_false_hint_costs_one_exchange)
{
    come_up();
    unsigned before = pair.datagrams;
    for (int i = 0; i < 10; i++)
        session_suspect(pair.client, pair.now);
    pair_run(&pair, 10000);
    ck_assert_uint_eq(pair.datagrams, before + 2);
    ck_agree();
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
}
END_TEST

static void forge_invalid_spi(void)
{
    uint8_t out[STRAY_MAX];
    struct span notice = stray_esp_notice(pair.client_children.items[0].spi_out, out);
    pair_forge_to_client(&pair, notice);
    pair_pump(&pair);
}

/* The peer answers and still knows nothing of a child: then that child alone is lost. At a bounded
 * rate, as anybody may say so. */
START_TEST(a_child_that_the_peer_lost_is_made_anew)
{
    come_up();
    forge_invalid_spi();
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 0);
    for (pair.now = 3000; pair.now < 50000; pair.now += 1000)
        forge_invalid_spi();
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 1);
    ck_agree();
    for (; pair.now < 70000; pair.now += 1000)
        forge_invalid_spi();
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 2);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
}
END_TEST

/* While packets come through it, nobody's word counts. */
START_TEST(a_child_that_works_is_left_alone)
{
    come_up();
    for (pair.now = 0; pair.now < 50000; pair.now += 1000) {
        struct session_traffic t = {.last_out = pair.now, .last_in = pair.now};
        session_traffic(pair.client, pair.now, &t);
        forge_invalid_spi();
    }
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 0);
}
END_TEST

/* Nor a flood of words in the moment between two of these packets. */
START_TEST(a_child_that_works_is_left_alone_in_a_flood)
{
    come_up();
    for (mono_ms at = 0; at < 50000; at += 100) {
        struct session_traffic t = {.last_out = at, .last_in = at};
        session_traffic(pair.client, at, &t);
        pair.now = at + 10;
        for (int i = 0; i < 5; i++)
            forge_invalid_spi();
    }
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 0);
    ck_agree();
}
END_TEST

/* An answer that takes its time, a hint, and packets all the while: the gateway is there. */
START_TEST(a_hint_is_no_hurry_while_packets_come)
{
    come_up();
    pair.wire = pair_lose_all;
    session_suspect(pair.client, pair.now);
    for (mono_ms at = 100; at <= 1200; at += 100) {
        struct session_traffic t = {.last_out = at, .last_in = at};
        session_traffic(pair.client, at, &t);
        pair_run(&pair, at);
    }
    pair.wire = NULL;
    pair_run(&pair, 10000);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
    ck_agree();
}
END_TEST

START_TEST(silence_that_ends_keeps_the_ike_sa)
{
    come_up();
    uint64_t ike = spi_i();
    struct session_traffic t = {.last_out = 1, .last_in = MONO_NEVER};
    session_traffic(pair.client, 1, &t);
    pair.wire = pair_lose_all;
    pair_run(&pair, 100000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
    pair.wire = NULL;
    pair_run(&pair, 180000);
    ck_agree();
    /* The old one, or, where an attempt was quicker, a new one; and then the old one is gone. */
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert(status.spi_i == ike || status.reconnects == 1);
}
END_TEST

/* The old IKE SA is given up after a while; the attempts go on. */
START_TEST(holding_has_an_end)
{
    pair.client_config.hold_ms = 60000;
    come_up();
    struct session_traffic t = {.last_out = 1, .last_in = MONO_NEVER};
    session_traffic(pair.client, 1, &t);
    pair.wire = pair_lose_all;
    pair_run(&pair, 60000);
    ck_assert_uint_eq(pair.client_children.count, 1);
    pair_run(&pair, 70000);
    ck_assert_uint_eq(pair.client_children.count, 0);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
    pair.wire = NULL;
    pair_run(&pair, 170000);
    ck_agree();
}
END_TEST

START_TEST(fresh_ike_sa_on_command)
{
    come_up();
    uint64_t ike = spi_i();
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, 10000);
    ck_agree();
    ck_assert_uint_ne(spi_i(), ike);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
    struct session_status before;
    session_status(pair.gateway_before, &before);
    ck_assert_int_eq(before.state, SESSION_DOWN); /* deleted, not forgotten */
}
END_TEST

/* What is on its way by the old keys when the new ones stand still finds them at the gateway. */
START_TEST(the_old_ike_sa_goes_a_moment_later)
{
    struct session_status before;
    come_up();
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_pump(&pair);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_UP), 2);
    session_status(pair.gateway_before, &before);
    ck_assert_int_eq(before.state, SESSION_UP);
    pair_run(&pair, 10000);
    ck_agree();
    session_status(pair.gateway_before, &before);
    ck_assert_int_eq(before.state, SESSION_DOWN);
}
END_TEST

/* RFC 4478 */
START_TEST(proof_is_shown_again_in_time)
{
    pair.gateway_config.auth_lifetime_s = 100;
    come_up();
    pair_run(&pair, 79000);
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 0);
    pair_run(&pair, 95000);
    ck_agree();
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 1);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
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

/* The driver has found the way: the connection stands there. */
static void ck_follows_to(struct ip gateway)
{
    struct path other = pair.client_path;
    struct session_status status;
    other.remote.ip = gateway;
    session_redirected(pair.client, pair.now, &other, 1);
    pair_run(&pair, 10000);
    ck_agree();
    session_status(pair.client, &status);
    ck_assert(ip_equal(&status.path.remote.ip, &other.remote.ip));
}

/* RFC 5685 5: while the connection stands. */
START_TEST(sent_elsewhere)
{
    const struct redirect_target to = {.name = "other.example.com"};
    come_up();
    ck_ok(session_redirect(pair.gateway, pair.now, &to));
    pair_pump(&pair);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_REDIRECT);
    ck_assert_ptr_nonnull(e);
    ck_assert_str_eq(e->redirect.name, "other.example.com");
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    ck_follows_to(ip_v4(203, 0, 113, 2));
}
END_TEST

/* RFC 5685 3: at the beginning; REDIRECTED_FROM then tells the other one that we follow, so it does
 * not send us on. */
START_TEST(sent_elsewhere_at_the_beginning)
{
    pair.gateway_config.redirect.ip = ip_v4(203, 0, 113, 2);
    pair_start(&pair);
    pair_pump(&pair);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_REDIRECT);
    ck_assert_ptr_nonnull(e);
    ck_assert(ip_equal(&e->redirect.ip, &pair.gateway_config.redirect.ip));
    ck_assert_int_eq(pair_client_state(&pair), SESSION_CONNECTING);
    ck_follows_to(e->redirect.ip);
}
END_TEST

/* Nobody finds the way: back to the gateway that we came from, which takes us after all. */
START_TEST(sent_nowhere)
{
    pair.gateway_config.redirect.ip = ip_v4(203, 0, 113, 2);
    pair_start(&pair);
    pair_pump(&pair);
    if (_i == 0)
        session_redirected(pair.client, pair.now, NULL, 0);
    pair_run(&pair, 60000);
    ck_agree();
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REDIRECT), 1);
}
END_TEST

/* RFC 5685 10: gateways that send us from one to the other are obeyed so often and no more. */
START_TEST(sent_elsewhere_without_end)
{
    const struct redirect_target to = {.ip = ip_v4(203, 0, 113, 2)};
    come_up();
    for (int i = 0; i < 8; i++) {
        ck_ok(session_redirect(pair.gateway, pair.now, &to));
        pair_pump(&pair);
        session_redirected(pair.client, pair.now, &pair.client_path, 1);
        pair_pump(&pair);
        ck_agree();
    }
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REDIRECT), 5);
}
END_TEST

/* Without our own nonce it is somebody else's word. */
START_TEST(forged_redirection_is_not_followed)
{
    uint8_t buffer[128];
    struct session_status status;
    struct message_writer m;
    struct span message;
    pair.wire = pair_lose_all;
    pair_start(&pair);
    session_status(pair.client, &status);
    const struct ike_header h = {.spi_i = status.spi_i,
                                 .spi_r = 1,
                                 .major = 2,
                                 .exchange = EXCHANGE_IKE_SA_INIT,
                                 .flags = IKE_FLAG_RESPONSE};
    const struct redirect_target to = {.ip = ip_v4(203, 0, 113, 66)};
    uint8_t nonce[NONCE_LEN] = {1};
    message_begin(&m, buffer, sizeof(buffer), &h);
    redirect_write(&m, NOTIFY_REDIRECT, &to, _i == 0 ? SPAN_EMPTY : SPAN_OF(nonce));
    ck_ok(message_finish(&m, &message));
    pair_forge_to_client(&pair, message);
    pair.wire = NULL;
    pair_run(&pair, 10000);
    ck_agree();
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_REDIRECT));
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
    if (len <= longest)
        return true;
    return false;
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
    Suite *suite = suite_create("ike rekey");
    TCase *t = tcase_create("rekey");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
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
    tcase_add_test(t, a_gateway_that_forgot_us_is_found_again);
    tcase_add_test(t, a_hint_makes_it_quicker);
    tcase_add_test(t, a_false_hint_costs_one_exchange);
    tcase_add_test(t, a_child_that_the_peer_lost_is_made_anew);
    tcase_add_test(t, a_child_that_works_is_left_alone);
    tcase_add_test(t, a_child_that_works_is_left_alone_in_a_flood);
    tcase_add_test(t, a_hint_is_no_hurry_while_packets_come);
    tcase_add_test(t, silence_that_ends_keeps_the_ike_sa);
    tcase_add_test(t, holding_has_an_end);
    tcase_add_test(t, fresh_ike_sa_on_command);
    tcase_add_test(t, the_old_ike_sa_goes_a_moment_later);
    tcase_add_test(t, proof_is_shown_again_in_time);
    tcase_add_test(t, child_in_an_exchange_of_its_own);
    tcase_add_test(t, sent_elsewhere);
    tcase_add_test(t, sent_elsewhere_at_the_beginning);
    tcase_add_loop_test(t, sent_nowhere, 0, 2);
    tcase_add_test(t, sent_elsewhere_without_end);
    tcase_add_loop_test(t, forged_redirection_is_not_followed, 0, 2);
    tcase_add_loop_test(t, stopping_in_the_middle_of_a_rekeying, 0, 6);
    tcase_add_loop_test(t, messages_in_pieces, 0, 3);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
