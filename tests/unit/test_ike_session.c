/* The session from first message to last, client against gateway in one process on virtual time:
 * what comes up, what does not and with which reason, and what loss and forgery change (nothing).
 */
#include "common/ike/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/ike/protect.h"
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

static const struct session_event *ck_down(enum session_down_reason reason)
{
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(e);
    ck_assert_msg(e->down.reason == reason, "down for reason %d (%s), expected %d", e->down.reason,
                  e->down.fault.text, reason);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_DOWN);
    ck_assert(session_next_timeout(pair.client) == MONO_NEVER);
    return e;
}

/* --- coming up --- */

START_TEST(psk_comes_up_in_two_round_trips)
{
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
    ck_assert_uint_eq(pair.datagrams, 4);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_CONFIG);
    ck_assert_ptr_nonnull(e);
    ck_assert_uint_eq(e->config.address_count, 1);
    ck_assert(ip_equal(&e->config.addresses[0].ip, &pair.assigned.addresses[0].ip));
    ck_assert_uint_eq(e->config.dns_count, 1);
    char text[SELECTOR_LIST_TEXT_MAX];
    e = pair_client_event(&pair, SESSION_EVENT_CHILD_UP);
    ck_assert_str_eq(selector_list_format(&e->child.local, text), "10.7.0.2/32");
    ck_assert_str_eq(selector_list_format(&e->child.remote, text), "10.9.0.0/24");
    /* RFC 7296 2.23: on to port 4500 */
    e = pair_client_event(&pair, SESSION_EVENT_PATH);
    ck_assert_uint_eq(e->path.remote.port, IKE_NAT_PORT);
}
END_TEST

START_TEST(starts_on_port_4500_at_once)
{
    pair.client_path.remote.port = IKE_NAT_PORT;
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
}
END_TEST

static const char *const suites[] = {
    "aes128-sha1-modp2048",           "aes192-sha256-modp3072",
    "aes256-sha384-ecp256",           "aes256-sha512-ecp384",
    "aes128gcm8-prfsha1-ecp521",      "aes192gcm12-prfsha256-x25519",
    "aes256gcm16-prfsha384-modp1024", "chacha20poly1305-prfsha512-modp4096",
};

START_TEST(every_kind_of_suite_comes_up)
{
    struct fault f;
    ck_ok(proposal_list_from_text(suites[_i], PROTOCOL_IKE, &pair.client_config.ike, &f));
    pair.gateway_config.ike = pair.client_config.ike;
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
    struct session_status status;
    char text[PROPOSAL_TEXT_MAX];
    session_status(pair.client, &status);
    suite_format(&status.ike, PROTOCOL_IKE, text);
    /* where the PRF is not named it follows the integrity algorithm */
    ck_assert_msg(strncmp(text, suites[_i], strcspn(suites[_i], "-")) == 0, "%s", text);
}
END_TEST

START_TEST(cookie_is_returned)
{
    pair.cookies = true;
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
}
END_TEST

START_TEST(another_group_is_tried_when_asked_for)
{
    struct fault f;
    ck_ok(proposal_list_from_text("aes256gcm16-prfsha256-x25519-ecp384", PROTOCOL_IKE,
                                  &pair.client_config.ike, &f));
    ck_ok(proposal_list_from_text("aes256gcm16-prfsha256-ecp384", PROTOCOL_IKE,
                                  &pair.gateway_config.ike, &f));
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
}
END_TEST

START_TEST(group_and_cookie_together)
{
    struct fault f;
    pair.cookies = true;
    ck_ok(proposal_list_from_text("aes256gcm16-prfsha256-x25519-ecp384", PROTOCOL_IKE,
                                  &pair.client_config.ike, &f));
    ck_ok(proposal_list_from_text("aes256gcm16-prfsha256-ecp384", PROTOCOL_IKE,
                                  &pair.gateway_config.ike, &f));
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
}
END_TEST

/* --- not coming up --- */

START_TEST(no_common_ike_proposal)
{
    struct fault f;
    ck_ok(
        proposal_list_from_text("aes128-sha256-ecp256", PROTOCOL_IKE, &pair.client_config.ike, &f));
    ck_ok(proposal_list_from_text("aes256-sha256-ecp256", PROTOCOL_IKE, &pair.gateway_config.ike,
                                  &f));
    pair_start(&pair);
    pair_run(&pair, 10000);
    const struct session_event *e = ck_down(SESSION_DOWN_NO_PROPOSAL);
    ck_assert_ptr_nonnull(strstr(e->down.fault.hint, "aes128-sha256"));
}
END_TEST

START_TEST(no_common_esp_proposal)
{
    struct fault f;
    ck_ok(proposal_list_from_text("aes128-sha256", PROTOCOL_ESP, &pair.client_config.esp, &f));
    ck_ok(proposal_list_from_text("aes256gcm16", PROTOCOL_ESP, &pair.gateway_config.esp, &f));
    pair_start(&pair);
    pair_run(&pair, 10000);
    ck_down(SESSION_DOWN_NO_PROPOSAL);
    /* RFC 7296 1.3.1: the IKE SA came up, so the client deleted it. */
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

START_TEST(wrong_shared_key)
{
    ck_ok(secret_set(&pair.psk, span_text("some other key")));
    pair_start(&pair);
    pair_run(&pair, 10000);
    const struct session_event *e = ck_down(SESSION_DOWN_REFUSED);
    ck_assert_ptr_nonnull(strstr(e->down.fault.hint, "25 octets"));
    ck_assert_ptr_null(strstr(e->down.fault.hint, "a shared key of the tests"));
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_CHILD_UP));
    ck_assert_ptr_null(pair_gateway_event(&pair, SESSION_EVENT_CHILD_UP));
}
END_TEST

START_TEST(gateway_without_our_key_is_not_trusted)
{
    ck_ok(secret_set(&pair.client_config.remote_psk, span_text("what we expect of it")));
    pair_start(&pair);
    pair_run(&pair, 10000);
    ck_down(SESSION_DOWN_PEER_UNTRUSTED);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_CHILD_UP));
    /* RFC 7296 2.21.2: the gateway hears of it and forgets us. */
    const struct session_event *g = pair_gateway_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(g);
    ck_assert_int_eq(g->down.reason, SESSION_DOWN_REFUSED);
}
END_TEST

START_TEST(gateway_of_another_name)
{
    ck_ok(identity_parse("other.example.com", &pair.gateway_config.local_id));
    pair_start(&pair);
    pair_run(&pair, 10000);
    const struct session_event *e = ck_down(SESSION_DOWN_PEER_UNTRUSTED);
    ck_assert_ptr_nonnull(strstr(e->down.fault.text, "other.example.com"));
    ck_assert_ptr_nonnull(strstr(e->down.fault.text, "gw.example.com"));
}
END_TEST

START_TEST(selectors_that_do_not_meet)
{
    const struct prefix elsewhere = {ip_v4(172, 16, 0, 0), 16};
    pair.client_config.remote_selectors.items[0].range = range_from_prefix(&elsewhere);
    pair_start(&pair);
    pair_run(&pair, 10000);
    ck_down(SESSION_DOWN_SELECTORS);
}
END_TEST

START_TEST(no_address_left)
{
    pair.assigned.address_count = 0;
    pair_start(&pair);
    pair_run(&pair, 10000);
    ck_down(SESSION_DOWN_SELECTORS);
}
END_TEST

static bool cut(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)p, (void)from_client, (void)bytes, (void)len;
    return false;
}

START_TEST(silence_backs_off_and_ends)
{
    pair.wire = cut;
    pair_start(&pair);
    pair_run(&pair, 120000);
    ck_down(SESSION_DOWN_UNREACHABLE);
    ck_assert_uint_eq(pair.datagrams, pair.client_config.retransmit.tries);
}
END_TEST

START_TEST(each_retransmission_waits_longer)
{
    pair.wire = cut;
    pair_start(&pair);
    mono_ms last = 0, gap = 0;
    for (unsigned i = 0; i < 4; i++) {
        pair_pump(&pair);
        mono_ms next = session_next_timeout(pair.client);
        ck_assert_int_gt(next - last, gap);
        gap = next - last;
        last = pair.now = next;
        session_handle_timeout(pair.client, pair.now);
    }
}
END_TEST

/* Octets of the first transmission of each request, to compare later ones with. */
static uint8_t first_seen[IKE_MESSAGE_MAX];
static size_t first_seen_len;
static unsigned same_again;

static bool lose_and_compare(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)p;
    if (!from_client)
        return true;
    if (first_seen_len == 0) {
        memcpy(first_seen, bytes, len);
        first_seen_len = len;
        return false;
    }
    if (len == first_seen_len && memcmp(first_seen, bytes, len) == 0)
        same_again++;
    return true;
}

/* RFC 7296 2.1: a retransmission is the same to the octet. */
START_TEST(retransmissions_are_identical)
{
    first_seen_len = 0;
    same_again = 0;
    pair.wire = lose_and_compare;
    pair_start(&pair);
    pair_run(&pair, 10000);
    pair_ck_up(&pair);
    ck_assert_uint_eq(same_again, 1);
}
END_TEST

START_TEST(any_one_datagram_may_be_lost)
{
    pair.marked = (unsigned)_i + 1;
    pair.wire = pair_lose_marked;
    pair_start(&pair);
    pair_run(&pair, 10000);
    pair_ck_up(&pair);
}
END_TEST

static size_t damaged_octet;

static bool damage_once(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)from_client;
    if (p->datagrams == p->marked)
        bytes[damaged_octet % len] ^= 0x10;
    return true;
}

/* Whatever octet of IKE_AUTH is damaged on the way, either way: dropped, repeated, up. */
START_TEST(damage_of_protected_messages_changes_nothing)
{
    for (damaged_octet = 0; damaged_octet < 700; damaged_octet += 3) {
        pair_wipe(&pair);
        pair_init(&pair);
        pair.marked = _i == 0 ? 3 : 4;
        pair.wire = damage_once;
        pair_start(&pair);
        pair_run(&pair, 10000);
        pair_ck_up(&pair);
    }
}
END_TEST

/* --- forgery --- */

static void forge_init_error(uint16_t type, struct span data)
{
    struct session_status status;
    session_status(pair.client, &status);
    const struct ike_header h = {.spi_i = status.spi_i,
                                 .spi_r = 0x1122334455667788,
                                 .major = 2,
                                 .exchange = EXCHANGE_IKE_SA_INIT,
                                 .flags = IKE_FLAG_RESPONSE};
    struct message_writer m;
    uint8_t buffer[256];
    message_begin(&m, buffer, sizeof(buffer), &h);
    notify_write(&m, type, data);
    struct span message;
    ck_ok(message_finish(&m, &message));
    pair_forge_to_client(&pair, message);
}

/* An error in the clear may come from anybody; the genuine answer wins. */
START_TEST(forged_errors_do_not_win)
{
    static const uint16_t errors[] = {NOTIFY_NO_PROPOSAL_CHOSEN, NOTIFY_AUTHENTICATION_FAILED,
                                      NOTIFY_INVALID_SYNTAX, NOTIFY_INVALID_MAJOR_VERSION};
    pair_start(&pair);
    forge_init_error(errors[_i], SPAN_EMPTY);
    pair_run(&pair, 10000);
    pair_ck_up(&pair);
}
END_TEST

START_TEST(forged_group_that_was_not_offered)
{
    static const uint8_t group[] = {0, 1};
    pair_start(&pair);
    forge_init_error(NOTIFY_INVALID_KE_PAYLOAD, SPAN_OF(group));
    pair_run(&pair, 10000);
    pair_ck_up(&pair);
}
END_TEST

START_TEST(cookies_without_end)
{
    uint8_t value[] = {1, 2, 3};
    pair.wire = cut;
    pair_start(&pair);
    for (unsigned i = 0; i < 50; i++) {
        pair_pump(&pair);
        value[0]++;
        forge_init_error(NOTIFY_COOKIE, SPAN_OF(value));
    }
    pair_pump(&pair);
    ck_assert_uint_lt(pair.datagrams, 12);
    pair_run(&pair, 60000);
    ck_down(SESSION_DOWN_PROTOCOL);
}
END_TEST

/* A gateway of somebody else's, which sees the client's first request and answers it first, with
 * keys of its own: it does not know our shared key, and what it says of us is not the last word. */
static struct session *impostor;
static bool first_seen_by_impostor, genuine_loses_it;

static bool answer_first(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    struct session_datagram d;
    if (!from_client || first_seen_by_impostor)
        return true;
    first_seen_by_impostor = true;
    const struct path seen = {.local = p->client_path.remote, .remote = p->client_path.local};
    session_input(impostor, p->now, &seen, span_make(bytes, len));
    ck_assert(session_output(impostor, p->now, &d));
    uint8_t *copy = support_exact_copy(d.bytes);
    pair_forge_to_client(p, span_make(copy, d.bytes.len));
    free(copy);
    return !genuine_loses_it;
}

/* The genuine one still wins. _i: whether the genuine gateway saw the first
 * request, or sees only a repeat of it. RFC 7296 2.4 */
START_TEST(forged_first_answer_does_not_win)
{
    struct session_config c = pair.gateway_config;
    ck_ok(secret_set(&c.local_psk, span_text("another key")));
    ck_ok(session_new(&c, &impostor));
    first_seen_by_impostor = false;
    genuine_loses_it = _i == 1;
    pair.wire = answer_first;
    pair_start(&pair);
    pair_run(&pair, 10000);
    pair_ck_up(&pair);
    ck_assert(first_seen_by_impostor);
    struct session_status genuine, ours;
    session_status(pair.gateway, &genuine);
    session_status(pair.client, &ours);
    ck_assert_uint_eq(genuine.spi_r, ours.spi_r);
    session_free(impostor);
}
END_TEST

START_TEST(noise_changes_nothing)
{
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
    struct session_status before, after;
    session_status(pair.client, &before);
    ck_assert_uint_eq(session_dropped(pair.client), 0);
    uint8_t noise[200];
    for (unsigned i = 0; i < 2000; i++) {
        pair.client_config.random.fill(pair.client_config.random.ctx, noise, sizeof(noise));
        size_t len = noise[0] % sizeof(noise);
        if (len >= IKE_HEADER_LEN && i % 2 == 0) {
            struct wire_writer w;
            wire_writer_init(&w, noise, sizeof(noise));
            wire_write_u64(&w, before.spi_i);
            wire_write_u64(&w, before.spi_r);
            wire_write_u8(&w, PAYLOAD_SK);
            wire_write_u8(&w, 0x20);
            wire_write_u8(&w, EXCHANGE_INFORMATIONAL);
            wire_write_u8(&w, 0);
            wire_write_u32(&w, 0);
            wire_write_u32(&w, (uint32_t)len);
        }
        uint8_t *exact = support_exact_copy(span_make(noise, len));
        pair_forge_to_client(&pair, span_make(exact, len));
        free(exact);
    }
    struct session_datagram d;
    ck_assert(!session_output(pair.client, pair.now, &d));
    ck_assert_uint_eq(session_dropped(pair.client), 2000);
    session_status(pair.client, &after);
    ck_assert_int_eq(after.state, SESSION_UP);
    ck_assert_uint_eq(after.spi_r, before.spi_r);
    ck_assert(path_equal(&after.path, &before.path));
    ck_assert_int_eq(after.rtt_ms, before.rtt_ms);
    ck_assert(session_next_timeout(pair.client) == MONO_NEVER);
}
END_TEST

/* --- ending, and staying alive --- */

static void count_line(void *ctx, enum log_level level, const char *line)
{
    (void)level;
    (void)line;
    ++*(unsigned *)ctx;
}

/* What anybody may send in the clear, as often as they like, must not fill a log: an IKE_SA_INIT
 * message with the right SPIs and message ID that says nothing. */
START_TEST(messages_in_the_clear_are_not_logged)
{
    struct session_status status;
    unsigned lines = 0;
    bool up = _i == 1;
    pair_start(&pair);
    if (up)
        pair_pump(&pair);
    session_status(pair.client, &status);
    struct ike_header h = {.spi_i = status.spi_i,
                           .spi_r = up ? status.spi_r : 1,
                           .major = 2,
                           .exchange = EXCHANGE_IKE_SA_INIT,
                           .flags = up ? 0 : IKE_FLAG_RESPONSE};
    struct message_writer m;
    struct span message;
    uint8_t buffer[64];
    message_begin(&m, buffer, sizeof(buffer), &h);
    ck_ok(message_finish(&m, &message));
    log_to(count_line, &lines, LOG_LEVEL_INFO);
    pair_forge_to_client(&pair, message);
    log_to(NULL, NULL, LOG_LEVEL_ERROR);
    ck_assert_uint_eq(lines, 0);
    pair_pump(&pair);
    pair_ck_up(&pair);
}
END_TEST

START_TEST(client_deletes)
{
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
    session_stop(pair.client, pair.now);
    pair_pump(&pair);
    ck_down(SESSION_DOWN_REQUESTED);
    const struct session_event *g = pair_gateway_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(g);
    ck_assert_int_eq(g->down.reason, SESSION_DOWN_BY_PEER);
}
END_TEST

/* The connection is not given up: it is built anew at once, with the same address asked for. */
START_TEST(gateway_deletes)
{
    pair_start(&pair);
    pair_pump(&pair);
    session_stop(pair.gateway, pair.now);
    pair_pump(&pair);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_SEARCHING);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->searching.reason, SESSION_DOWN_BY_PEER);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_UP), 2);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

/* RFC 7296 2.25.2 */
START_TEST(both_delete_at_once)
{
    pair_start(&pair);
    pair_pump(&pair);
    session_stop(pair.client, pair.now);
    session_stop(pair.gateway, pair.now);
    pair_run(&pair, 20000);
    ck_down(SESSION_DOWN_REQUESTED);
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

START_TEST(delete_without_an_answer_ends_soon)
{
    pair_start(&pair);
    pair_pump(&pair);
    pair.wire = cut;
    session_stop(pair.client, pair.now);
    mono_ms began = pair.now;
    while (session_next_timeout(pair.client) != MONO_NEVER) {
        pair.now = session_next_timeout(pair.client);
        session_handle_timeout(pair.client, pair.now);
        pair_pump(&pair);
    }
    ck_down(SESSION_DOWN_REQUESTED);
    ck_assert_int_le(pair.now - began, 5000);
}
END_TEST

START_TEST(stop_while_connecting)
{
    pair.wire = cut;
    pair_start(&pair);
    pair_pump(&pair);
    session_stop(pair.client, pair.now);
    pair_pump(&pair);
    ck_down(SESSION_DOWN_REQUESTED);
}
END_TEST

START_TEST(liveness_is_checked_only_after_unanswered_traffic)
{
    pair_start(&pair);
    pair_pump(&pair);
    /* idle: nothing is due at all without a NAT */
    ck_assert(session_next_timeout(pair.client) == MONO_NEVER);
    pair.now = 1000;
    struct session_traffic t = {.last_out = 1000, .last_in = MONO_NEVER};
    session_traffic(pair.client, pair.now, &t);
    ck_assert_int_eq(session_next_timeout(pair.client), 1000 + 1000);
    unsigned before = pair.datagrams;
    pair.now = 2000;
    session_handle_timeout(pair.client, pair.now);
    pair_pump(&pair);
    ck_assert_uint_eq(pair.datagrams, before + 2);
    t.last_out = 1000;
    session_traffic(pair.client, pair.now, &t);
    ck_assert(session_next_timeout(pair.client) == MONO_NEVER);
    /* told late, by when an answer is missing already; but not from before it said something */
    t = (struct session_traffic){.last_out = 2900, .last_in = 2500, .first_out = 2600};
    session_traffic(pair.client, 2950, &t);
    ck_assert_int_eq(session_next_timeout(pair.client), 2600 + 1000);
    pair_run(&pair, 3600);
    ck_assert_uint_eq(pair.datagrams, before + 4);
    t = (struct session_traffic){.last_out = 3700, .last_in = 2500, .first_out = 2600};
    session_traffic(pair.client, 3700, &t);
    ck_assert_int_eq(session_next_timeout(pair.client), 3700 + 2000); /* after silence twice */
    pair_ck_up(&pair);
}
END_TEST

START_TEST(whether_an_answer_is_awaited)
{
    pair_start(&pair);
    ck_assert(session_asks(pair.client));
    pair_pump(&pair);
    ck_assert(!session_asks(pair.client));
    pair.wire = cut;
    session_suspect(pair.client, pair.now);
    session_handle_timeout(pair.client, pair.now);
    ck_assert(session_asks(pair.client));
}
END_TEST

/* Without MOBIKE there is no other path to look for in a hurry. */
START_TEST(liveness_has_time_without_mobike)
{
    pair.client_config.mobike = false;
    pair_start(&pair);
    pair_pump(&pair);
    struct session_traffic t = {.last_out = 1000, .last_in = MONO_NEVER};
    session_traffic(pair.client, 1000, &t);
    ck_assert_int_eq(session_next_timeout(pair.client), 1000 + 30000);
}
END_TEST

START_TEST(a_dead_gateway_is_noticed)
{
    pair_start(&pair);
    pair_pump(&pair);
    pair.wire = cut;
    struct session_traffic t = {.last_out = 5, .last_in = MONO_NEVER};
    session_traffic(pair.client, 5, &t);
    pair_run(&pair, 200000);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_SEARCHING);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->searching.reason, SESSION_DOWN_UNREACHABLE);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
}
END_TEST

START_TEST(keepalives_only_behind_a_nat)
{
    pair_start(&pair);
    struct session_status status;
    pair_pump(&pair);
    session_status(pair.client, &status);
    ck_assert(!status.nat_local);
    pair_wipe(&pair);

    pair_init(&pair);
    pair.client_config.keepalive_learns = false;
    ck_ok(session_new(&pair.client_config, &pair.client));
    session_networks_changed(pair.client, 0, &pair.client_path, 1);
    ck_ok(session_start(pair.client, 0));
    struct session_datagram d;
    ck_assert(session_output(pair.client, 0, &d));
    ck_ok(session_new(&pair.gateway_config, &pair.gateway));
    /* what a masquerading router makes of it */
    const struct path seen = {.local = pair.client_path.remote,
                              .remote = {ip_v4(198, 51, 100, 9), 1025}};
    session_input(pair.gateway, 0, &seen, d.bytes);
    ck_assert(session_output(pair.gateway, 0, &d));
    ck_assert(endpoint_equal(&d.path.remote, &seen.remote));
    session_input(pair.client, 0, &pair.client_path, d.bytes);
    pair_pump(&pair);
    pair_ck_up(&pair);
    session_status(pair.client, &status);
    ck_assert(status.nat_local);
    ck_assert_int_eq(session_next_timeout(pair.client), 20000);
    session_handle_timeout(pair.client, 20000);
    ck_assert(session_output(pair.client, 20000, &d));
    ck_assert_uint_eq(d.bytes.len, 1);
    ck_assert_uint_eq(d.bytes.data[0], 0xff);
    ck_assert_int_eq(session_next_timeout(pair.client), 40000);
}
END_TEST

START_TEST(the_next_address_is_tried)
{
    const struct path silent = {.local = pair.client_path.local,
                                .remote = {ip_v4(203, 0, 113, 99), IKE_PORT}};
    const struct path both[] = {silent, pair.client_path};
    ck_ok(session_new(&pair.client_config, &pair.client));
    session_networks_changed(pair.client, 0, both, 2);
    ck_ok(session_start(pair.client, 0));
    struct session_datagram d;
    while (session_output(pair.client, pair.now, &d))
        ck_assert(endpoint_equal(&d.path.remote, &silent.remote));
    for (unsigned i = 0; i < 2; i++) {
        pair.now = session_next_timeout(pair.client);
        session_handle_timeout(pair.client, pair.now);
        if (i == 0)
            ck_assert(session_output(pair.client, pair.now, &d));
    }
    pair_pump(&pair);
    pair_ck_up(&pair);
    ck_assert_int_lt(pair.now, 3000);
}
END_TEST

START_TEST(configurations_that_cannot_work)
{
    struct session *s = NULL;
    struct session_config c = pair.client_config;
    c.local_id.type = IDENTITY_NONE;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.ike.count = 0;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.remote_auth = SESSION_AUTH_CERTIFICATE;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.local_psk.len = 0;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    ck_assert_ptr_null(s);
    ck_ok(session_new(&pair.client_config, &s));
    ck_err(session_start(s, 0), ERR_NOT_FOUND);
    session_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike session");
    TCase *t = tcase_create("session");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, psk_comes_up_in_two_round_trips);
    tcase_add_test(t, starts_on_port_4500_at_once);
    tcase_add_loop_test(t, every_kind_of_suite_comes_up, 0,
                        (int)(sizeof(suites) / sizeof(suites[0])));
    tcase_add_test(t, cookie_is_returned);
    tcase_add_test(t, another_group_is_tried_when_asked_for);
    tcase_add_test(t, group_and_cookie_together);
    tcase_add_test(t, no_common_ike_proposal);
    tcase_add_test(t, no_common_esp_proposal);
    tcase_add_test(t, wrong_shared_key);
    tcase_add_test(t, gateway_without_our_key_is_not_trusted);
    tcase_add_test(t, gateway_of_another_name);
    tcase_add_test(t, selectors_that_do_not_meet);
    tcase_add_test(t, no_address_left);
    tcase_add_test(t, silence_backs_off_and_ends);
    tcase_add_test(t, each_retransmission_waits_longer);
    tcase_add_test(t, retransmissions_are_identical);
    tcase_add_loop_test(t, any_one_datagram_may_be_lost, 0, 4);
    tcase_add_loop_test(t, damage_of_protected_messages_changes_nothing, 0, 2);
    tcase_add_loop_test(t, forged_errors_do_not_win, 0, 4);
    tcase_add_test(t, forged_group_that_was_not_offered);
    tcase_add_test(t, cookies_without_end);
    tcase_add_loop_test(t, forged_first_answer_does_not_win, 0, 2);
    tcase_add_test(t, noise_changes_nothing);
    tcase_add_loop_test(t, messages_in_the_clear_are_not_logged, 0, 2);
    tcase_add_test(t, client_deletes);
    tcase_add_test(t, gateway_deletes);
    tcase_add_test(t, both_delete_at_once);
    tcase_add_test(t, delete_without_an_answer_ends_soon);
    tcase_add_test(t, stop_while_connecting);
    tcase_add_test(t, liveness_is_checked_only_after_unanswered_traffic);
    tcase_add_test(t, whether_an_answer_is_awaited);
    tcase_add_test(t, liveness_has_time_without_mobike);
    tcase_add_test(t, a_dead_gateway_is_noticed);
    tcase_add_test(t, keepalives_only_behind_a_nat);
    tcase_add_test(t, the_next_address_is_tried);
    tcase_add_test(t, configurations_that_cannot_work);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
