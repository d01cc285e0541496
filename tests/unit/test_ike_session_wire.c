/* What a wire does to the messages that bring a session up, by itself and in somebody's hand: loss,
 * damage, forgery and noise change nothing. */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/ike/message.h"
#include "tests/unit/session_scene.h"

START_TEST(silence_backs_off_and_ends)
{
    pair.wire = pair_lose_all;
    pair_start(&pair);
    pair_run(&pair, 120000);
    ck_down(SESSION_DOWN_UNREACHABLE);
    ck_assert_uint_eq(pair.datagrams, pair.client_config.retransmit.tries);
}
END_TEST

START_TEST(each_retransmission_waits_longer)
{
    pair.wire = pair_lose_all;
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

/* An error in the clear may come from anybody; the genuine answer wins. */
START_TEST(forged_errors_do_not_win)
{
    static const uint16_t errors[] = {NOTIFY_NO_PROPOSAL_CHOSEN, NOTIFY_AUTHENTICATION_FAILED,
                                      NOTIFY_INVALID_SYNTAX, NOTIFY_INVALID_MAJOR_VERSION};
    pair_start(&pair);
    pair_forge_init(&pair, 0x1122334455667788, errors[_i], SPAN_EMPTY);
    pair_run(&pair, 10000);
    pair_ck_up(&pair);
}
END_TEST

START_TEST(forged_group_that_was_not_offered)
{
    static const uint8_t group[] = {0, 1};
    pair_start(&pair);
    pair_forge_init(&pair, 0x1122334455667788, NOTIFY_INVALID_KE_PAYLOAD, SPAN_OF(group));
    pair_run(&pair, 10000);
    pair_ck_up(&pair);
}
END_TEST

START_TEST(cookies_without_end)
{
    uint8_t value[] = {1, 2, 3};
    pair.wire = pair_lose_all;
    pair_start(&pair);
    for (unsigned i = 0; i < 50; i++) {
        pair_pump(&pair);
        value[0]++;
        pair_forge_init(&pair, 0x1122334455667788, NOTIFY_COOKIE, SPAN_OF(value));
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

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("ike session wire", &t);
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
    return support_run(suite);
}
