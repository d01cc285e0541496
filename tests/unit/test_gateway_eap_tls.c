/* EAP-TLS and what all methods with TLS share: pieces of any size, ends that come too early,
 * servers that are not the right one, and what each side reads of it. */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/external_key.h"
#include "tests/support/eap_tls.h"
#include "tests/support/fixture.h"

static struct eap_tls_ends ends;

static void setup(void)
{
    support_log_begin();
}

static void teardown(void)
{
    ck_assert_ptr_null(strstr(support_logged, EAP_TLS_PASSWORD));
    support_log_end();
    eap_tls_wipe(&ends);
}

static void begin(uint8_t type, bool old)
{
    eap_tls_wipe(&ends);
    eap_tls_prepare(&ends, type, old);
}

/* The server's last word: with TLS 1.3 an octet of zero. */
static bool finish_handshake(void)
{
    static const uint8_t zero = 0;
    uint8_t said[64];
    size_t len = 1;
    if (!eap_tls_handshake(&ends))
        return false;
    if (!tls_is_1_3(ends.server.tls))
        return true;
    return eap_tls_say(&ends, span_make(&zero, 1), said, sizeof(said), &len) && len == 0;
}

static void ck_same_key(void)
{
    uint8_t key[EAP_TLS_SERVER_KEY_LEN];
    ck_ok(eap_tls_server_key(&ends.server, "client EAP encryption", key));
    ck_span_eq(eap_peer_msk(ends.peer), SPAN_OF(key));
}

/* _i: 0 TLS 1.2, 1 TLS 1.3 */
START_TEST(comes_to_its_end)
{
    begin(EAP_TLS, _i == 0);
    eap_tls_start(&ends);
    ck_assert(finish_handshake());
    ck_assert(tls_is_1_3(ends.server.tls) == (_i == 1));
    ck_assert_int_eq(eap_tls_give(&ends, EAP_SUCCESS, ends.identifier, SPAN_EMPTY), EAP_SUCCEEDED);
    ck_same_key();
    ck_assert(!eap_peer_tried(ends.peer) && !eap_peer_told_password(ends.peer));
}
END_TEST

START_TEST(pieces_of_every_size)
{
    for (size_t max = 1; max < 1100; max += max < 40 ? 1 : 97) {
        begin(EAP_TLS, _i == 0);
        eap_tls_start(&ends);
        ends.server.piece_max = max;
        bool end = finish_handshake();
        /* Three octets a time are too many times. */
        ck_assert_msg(end || (max < 10 && strstr(ends.result.fault.text, "without end") != NULL),
                      "%zu: %s", max, ends.result.fault.text);
        ck_assert_uint_le(ends.rounds, 257);
    }
}
END_TEST

/* Before each packet of the server's, and instead of it. */
START_TEST(no_success_before_the_end)
{
    for (unsigned before = 0;; before++) {
        begin(EAP_TLS, _i == 0);
        eap_tls_start(&ends);
        ends.server.piece_max = 300;
        unsigned n = 0;
        bool done = false;
        while (n < before && !done) {
            ck_assert(eap_tls_ask(&ends) && eap_tls_hear(&ends));
            n++;
            done = tls_established(ends.server.tls) && eap_tls_server_idle(&ends.server);
        }
        if (done && _i == 0)
            break;
        eap_tls_give(&ends, EAP_SUCCESS, ends.identifier, SPAN_EMPTY);
        eap_tls_ck_failed(&ends, ERR_INTEGRITY, "has not come to its end");
        ck_assert_uint_eq(eap_peer_msk(ends.peer).len, 0);
        if (done) /* TLS 1.3: without the octet */
            break;
    }
}
END_TEST

START_TEST(the_same_packet_again)
{
    uint8_t first[EAP_RESPONSE_MAX], packet[EAP_TLS_PACKET_MAX];
    begin(EAP_TLS, _i == 0);
    eap_tls_start(&ends);
    ends.server.piece_max = 250;
    while (!tls_established(ends.server.tls)) {
        ck_assert(eap_tls_ask(&ends));
        size_t len = ends.result.response.len, packet_len = ends.packet_len;
        memcpy(first, ends.result.response.data, len);
        memcpy(packet, ends.packet, packet_len);
        for (int i = 0; i < 3; i++) {
            eap_peer_input(ends.peer, span_make(packet, packet_len), &ends.result);
            ck_assert_int_eq(ends.result.outcome, EAP_GOING_ON);
            ck_span_eq(ends.result.response, span_make(first, len));
        }
        ck_assert(eap_tls_hear(&ends));
    }
}
END_TEST

/* A piece that is left out is one that TLS does not find. */
START_TEST(a_piece_that_is_lost)
{
    uint8_t lost[EAP_TLS_PACKET_MAX];
    struct wire_writer w;
    begin(EAP_TLS, _i == 0);
    eap_tls_start(&ends);
    ends.server.piece_max = 200;
    ck_assert(eap_tls_ask(&ends) && eap_tls_hear(&ends)); /* start */
    ck_assert(eap_tls_ask(&ends) && eap_tls_hear(&ends)); /* the first piece */
    wire_writer_init(&w, lost, sizeof(lost));
    eap_tls_server_write(&ends.server, &w);
    while (eap_tls_ask(&ends) && eap_tls_hear(&ends) && !ends.server.refused)
        ck_assert(!tls_established(ends.server.tls));
    eap_tls_ck_failed(&ends, ERR_MALFORMED, "is shorter than it said");
}
END_TEST

static void give_tls(struct span data)
{
    uint8_t rest[EAP_TLS_PACKET_MAX / 2];
    struct wire_writer w;
    wire_writer_init(&w, rest, sizeof(rest));
    wire_write_u8(&w, ends.server.type);
    wire_write_span(&w, data);
    eap_tls_give(&ends, EAP_REQUEST, ++ends.identifier, wire_written(&w));
}

/* Flags and lengths that no server means well with. */
START_TEST(packets_that_are_no_pieces)
{
    static const struct {
        const char *hex, *words;
    } bad[] = {
        {"", "wrong flags"},
        {"80", "wrong flags"},
        {"80000000", "wrong flags"},
        {"20", "wrong flags"},
        {"40", "wrong flags"}, /* more, and nothing now */
        {"c0 00000010", "wrong flags"},
        {"c0 00010001 16", "too long"}, /* 65537 */
        {"80 ffffffff 16", "too long"},
        {"80 00000001 1603", "longer than it said"},
        {"80 00000003 1603", "shorter than it said"},
        {"c0 00000002 160301", "longer than it said"},
    };
    uint8_t data[64];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        begin(EAP_TLS, _i == 0);
        eap_tls_start(&ends);
        ck_assert(eap_tls_ask(&ends));
        give_tls(span_make(data, support_hex(bad[i].hex, data, sizeof(data))));
        eap_tls_ck_failed(&ends, ERR_MALFORMED, bad[i].words);
    }
    begin(EAP_TLS, _i == 0);
    eap_tls_start(&ends);
    give_tls(SPAN_EMPTY);
    eap_tls_ck_failed(&ends, ERR_MALFORMED, "is no beginning");
}
END_TEST

START_TEST(a_message_without_end)
{
    uint8_t data[1000] = {0x40, 0x16, 3, 3, 0x40, 0};
    begin(EAP_TLS, false);
    eap_tls_start(&ends);
    ck_assert(eap_tls_ask(&ends));
    do
        give_tls(SPAN_OF(data));
    while (ends.result.outcome == EAP_GOING_ON);
    eap_tls_ck_failed(&ends, ERR_MALFORMED, "longer than");
    ck_assert_uint_le(ends.rounds, 70);
    begin(EAP_TLS, false);
    eap_tls_start(&ends);
    ck_assert(eap_tls_ask(&ends));
    do
        give_tls(span_make(data, 2));
    while (ends.result.outcome == EAP_GOING_ON);
    eap_tls_ck_failed(&ends, ERR_LIMIT, "without end");
}
END_TEST

START_TEST(acknowledgements_without_end)
{
    static const uint8_t nothing = 0;
    begin(EAP_TLS, false);
    eap_tls_start(&ends);
    ck_assert(eap_tls_ask(&ends));
    do
        give_tls(span_make(&nothing, 1));
    while (ends.result.outcome == EAP_GOING_ON);
    eap_tls_ck_failed(&ends, ERR_LIMIT, "without end");
    ck_assert_uint_le(ends.rounds, 257);
}
END_TEST

/* A chain of ours that takes many packets; each is acknowledged. */
static struct certificate_list long_chain;

static void begin_long(bool old)
{
    begin(EAP_TLS, old);
    long_chain = eap_tls_alice.chain;
    while (long_chain.count < CERTIFICATES_MAX)
        long_chain.items[long_chain.count++] = eap_tls_other_alice.chain.items[0];
    ends.config.chain = &long_chain;
    eap_tls_start(&ends);
}

static uint8_t flags(void)
{
    return ends.result.response.len > 5 ? ends.result.response.data[5] : 0;
}

START_TEST(our_own_pieces)
{
    unsigned pieces = 0;
    begin_long(_i == 0);
    while (!tls_established(ends.server.tls) || !eap_tls_server_idle(&ends.server)) {
        ck_assert(eap_tls_ask(&ends));
        ck_assert((flags() & 0x80) == 0 || (flags() & 0x40) != 0);
        pieces += (flags() & 0x40) != 0;
        ck_assert(eap_tls_hear(&ends));
    }
    ck_assert_uint_ge(pieces, 4);
    ck_assert(finish_handshake());
    ck_assert_int_eq(eap_tls_give(&ends, EAP_SUCCESS, ends.identifier, SPAN_EMPTY), EAP_SUCCEEDED);
    ck_same_key();
}
END_TEST

/* While they go out, anything but an acknowledgement is out of turn. */
START_TEST(our_own_pieces_interrupted)
{
    static const char *const words[] = {"00 1603", "40 1603", "c0 00000010 16"};
    uint8_t data[64];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        begin_long(_i == 0);
        while ((flags() & 0x40) == 0)
            ck_assert(eap_tls_ask(&ends) && eap_tls_hear(&ends));
        give_tls(span_make(data, support_hex(words[i], data, sizeof(data))));
        eap_tls_ck_failed(&ends, ERR_MALFORMED, "comes while ours is not at its end");
    }
    begin_long(_i == 0);
    while ((flags() & 0x40) == 0)
        ck_assert(eap_tls_ask(&ends) && eap_tls_hear(&ends));
    eap_tls_give(&ends, EAP_SUCCESS, ends.identifier, SPAN_EMPTY);
    eap_tls_ck_failed(&ends, ERR_INTEGRITY, "has not come to its end");
}
END_TEST

START_TEST(a_length_that_changes)
{
    uint8_t data[64];
    begin(EAP_TLS, _i == 0);
    eap_tls_start(&ends);
    ck_assert(eap_tls_ask(&ends));
    give_tls(span_make(data, support_hex("c0 00000020 160303", data, sizeof(data))));
    ck_assert_int_eq(ends.result.outcome, EAP_GOING_ON);
    give_tls(span_make(data, support_hex("c0 00000021 160303", data, sizeof(data))));
    eap_tls_ck_failed(&ends, ERR_MALFORMED, "changes the length");
}
END_TEST

/* Words of TLS that are none, and its no: over with the server's next word. */
START_TEST(tls_that_fails)
{
    static const struct {
        const char *hex, *words;
        enum err code;
    } said[] = {
        {"00 1603030004 00000000", "TLS with the EAP server failed", ERR_MALFORMED},
        {"00 1503030002 0228", "ended the TLS handshake (TLS alert 40, handshake failure)",
         ERR_REFUSED},
        {"00 1503030002 0230", "refused our certificate", ERR_REFUSED},
        {"00 1503030002 0200", "TLS with the EAP server failed: the connection was closed",
         ERR_EXHAUSTED},
    };
    uint8_t data[64];
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        begin(EAP_TLS, _i == 0);
        eap_tls_start(&ends);
        ck_assert(eap_tls_ask(&ends));
        give_tls(span_make(data, support_hex(said[i].hex, data, sizeof(data))));
        ck_assert_int_eq(ends.result.outcome, EAP_GOING_ON);
        eap_tls_give(&ends, EAP_FAILURE, ends.identifier, SPAN_EMPTY);
        eap_tls_ck_failed(&ends, said[i].code, said[i].words);
    }
    begin(EAP_PEAP, _i == 0);
    eap_tls_start(&ends);
    ck_assert(eap_tls_ask(&ends));
    give_tls(span_make(data, support_hex("00 1503030002 0274", data, sizeof(data))));
    eap_tls_give(&ends, EAP_FAILURE, ends.identifier, SPAN_EMPTY);
    eap_tls_ck_failed(&ends, ERR_REFUSED, "wants a certificate of ours");
}
END_TEST

/* --- who is who --- */

/* The reason goes to the server as an alert, and to a person as words, whatever EAP says then. */
static void ck_untrusted(const char *words)
{
    ck_assert(!eap_tls_handshake(&ends));
    ck_assert(ends.server.refused);
    ck_assert_int_eq(ends.result.outcome, EAP_GOING_ON);
    eap_tls_give(&ends, EAP_SUCCESS, ends.identifier, SPAN_EMPTY);
    eap_tls_ck_failed(&ends, ERR_INTEGRITY, "has not come to its end");
    eap_tls_give(&ends, EAP_FAILURE, ends.identifier, SPAN_EMPTY);
    eap_tls_ck_failed(&ends, ERR_INTEGRITY, words);
    ck_assert(ends.result.refused);
    ck_assert(ends.result.fault.hint[0] != '\0');
    ck_assert_uint_eq(eap_peer_msk(ends.peer).len, 0);
    ck_assert(!eap_peer_tried(ends.peer) && !eap_peer_told_password(ends.peer));
}

static const uint8_t types[] = {EAP_TLS, EAP_TTLS, EAP_PEAP};

START_TEST(servers_that_are_not_accepted)
{
    bool old = _i % 2 == 0;
    uint8_t type = types[_i / 2];
    begin(type, old);
    ends.server_config.key = eap_tls_other_radius.key;
    ends.server_config.chain = &eap_tls_other_radius.chain;
    eap_tls_start(&ends);
    ck_untrusted("\"CN=radius\" was issued by \"CN=other\"");
    begin(type, old);
    ck_ok(identity_parse("vpn.example.com", &ends.config.server));
    eap_tls_start(&ends);
    ck_untrusted("is for \"radius.example.com\", profile expects \"vpn.example.com\"");
    ck_assert_ptr_nonnull(strstr(ends.result.fault.hint, "EAPServer="));
    begin(type, old);
    ends.server_config.key = eap_tls_alice.key;
    ends.server_config.chain = &eap_tls_alice.chain;
    eap_tls_start(&ends);
    ck_untrusted("is for \"alice@example.com\"");
    begin(type, old); /* the certificate of another's key */
    ends.server_config.key = eap_tls_alice.key;
    eap_tls_start(&ends);
    while (eap_tls_ask(&ends) && eap_tls_hear(&ends) && !ends.server.refused)
        ck_assert(!tls_established(ends.server.tls));
    ck_assert(ends.result.outcome == EAP_FAILED || ends.server.refused);
}
END_TEST

static int64_t in_a_year(void *ctx)
{
    (void)ctx;
    return ends.server_config.wall_time + 365 * 86400;
}

START_TEST(a_server_that_has_expired)
{
    begin(EAP_TLS, _i == 0);
    ends.config.wall_time = in_a_year;
    eap_tls_start(&ends);
    ck_untrusted("expired on");
    ck_assert_uint_eq(tls_alert(ends.server.tls), 45);
}
END_TEST

/* The store's policy counts here as for gateways. */
START_TEST(a_server_that_may_be_revoked)
{
    trust_store_set_revocation(eap_tls_root, REVOCATION_STRICT);
    begin(EAP_TTLS, _i == 0);
    eap_tls_start(&ends);
    ck_untrusted("the EAP server was not accepted");
    ck_assert_ptr_nonnull(strstr(ends.result.fault.text, "revo"));
    trust_store_set_revocation(eap_tls_root, REVOCATION_SOFT);
    begin(EAP_TTLS, _i == 0);
    eap_tls_start(&ends);
    ck_assert(eap_tls_handshake(&ends));
    trust_store_set_revocation(eap_tls_root, REVOCATION_OFF);
}
END_TEST

/* RFC 6066 8: whoever looks at nothing asks for nothing. */
START_TEST(asks_for_an_ocsp_response)
{
    static const uint8_t status_request[] = {0, 5, 0, 5, 1, 0, 0, 0, 0};
    static const enum revocation_policy policies[] = {REVOCATION_OFF, REVOCATION_SOFT,
                                                      REVOCATION_STRICT};
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        trust_store_set_revocation(eap_tls_root, policies[i]);
        begin(_i == 0 ? EAP_TLS : EAP_PEAP, false);
        eap_tls_start(&ends);
        ck_assert(eap_tls_ask(&ends));
        struct span hello = ends.result.response;
        bool asks = memmem(hello.data, hello.len, status_request, sizeof(status_request)) != NULL;
        ck_assert(asks == (policies[i] != REVOCATION_OFF));
    }
    trust_store_set_revocation(eap_tls_root, REVOCATION_OFF);
}
END_TEST

/* After a refusal of ours nothing goes on, whatever the server says. */
START_TEST(refused_means_refused)
{
    begin(EAP_TTLS, _i == 0);
    ends.config.trust = eap_tls_other;
    eap_tls_start(&ends);
    ck_assert(!eap_tls_handshake(&ends));
    ck_assert(!eap_tls_ask(&ends));
    eap_tls_ck_failed(&ends, ERR_INTEGRITY, "the EAP server was not accepted");
}
END_TEST

START_TEST(our_certificate_is_refused)
{
    begin(EAP_TLS, _i == 0);
    ends.config.key = eap_tls_other_alice.key;
    ends.config.chain = &eap_tls_other_alice.chain;
    eap_tls_start(&ends);
    ck_assert(!eap_tls_handshake(&ends));
    ck_assert(ends.server.refused);
    ck_assert(eap_tls_ask(&ends)); /* the alert, of which we take note */
    eap_tls_give(&ends, EAP_FAILURE, ends.identifier, SPAN_EMPTY);
    eap_tls_ck_failed(&ends, ERR_REFUSED,
                      "the EAP server refused our certificate \"CN=alice\" (TLS alert 42, bad "
                      "certificate)");
    ck_assert_ptr_nonnull(strstr(ends.result.fault.hint, "CN=other"));
}
END_TEST

START_TEST(a_certificate_that_we_do_not_show)
{
    begin(EAP_TTLS, _i == 0);
    ends.server_config.trust = eap_tls_root;
    eap_tls_start(&ends);
    ck_assert(!eap_tls_handshake(&ends));
    ck_assert(eap_tls_ask(&ends));
    eap_tls_give(&ends, EAP_FAILURE, ends.identifier, SPAN_EMPTY);
    ck_assert_int_eq(ends.result.fault.code, ERR_REFUSED);
    ck_assert_uint_eq(eap_peer_told_password(ends.peer), 0);
}
END_TEST

/* --- a key that a card keeps --- */

static enum key_mechanism asked_for;

static enum err card_is_gone(void *ctx, const struct key_request *r, uint8_t *out, size_t cap,
                             size_t *ret_len, struct fault *f)
{
    (void)ctx, (void)out, (void)cap, (void)ret_len;
    asked_for = r->mechanism;
    return fault_set(f, ERR_REFUSED, "the card is gone");
}

/* What it says is no refusal of the server's; and without RSA-PSS there is no TLS 1.3. */
START_TEST(a_card_that_does_not_sign)
{
    const struct key_signer signer = {.sign = card_is_gone, .pss = _i == 1};
    struct certificate_list chain = {.count = 0};
    struct private_key *key = NULL;
    struct fault f;
    fixture_shell(
        "openssl req -new -newkey rsa:2048 -nodes -keyout rsa.key -subj /CN=alice -out req\n"
        "openssl x509 -req -in req -days 20 -CA root.pem -CAkey root.key -set_serial 9 "
        "-extfile alice-root.ext -out rsa.pem\n");
    struct span pem = fixture_read("rsa.pem");
    ck_ok(certificate_parse_file(pem, &chain, &f));
    free((void *)(uintptr_t)pem.data);
    ck_ok(private_key_external(certificate_key(chain.items[0]), &signer, &key, &f));
    begin(EAP_TLS, false);
    asked_for = 0;
    ends.config.key = key;
    ends.config.chain = &chain;
    eap_tls_start(&ends);
    while (eap_tls_ask(&ends) && eap_tls_hear(&ends) && asked_for == 0)
        ck_assert(!tls_established(ends.server.tls));
    ck_assert_int_eq(asked_for, _i == 1 ? KEY_MECHANISM_PSS : KEY_MECHANISM_PKCS1);
    ck_assert(tls_is_1_3(ends.server.tls) == (_i == 1));
    eap_tls_give(&ends, EAP_FAILURE, ends.identifier, SPAN_EMPTY);
    eap_tls_ck_failed(&ends, ERR_CRYPTO, "the card is gone");
    eap_tls_wipe(&ends);
    private_key_free(key);
    certificate_list_wipe(&chain);
}
END_TEST

/* RFC 9190 2.1.1: anything but an octet of zero is no commitment. */
START_TEST(another_word_than_zero)
{
    static const uint8_t one = 1, zeros[2] = {0};
    uint8_t said[64];
    size_t len;
    for (int i = 0; i < 2; i++) {
        begin(EAP_TLS, false);
        eap_tls_start(&ends);
        ck_assert(eap_tls_handshake(&ends));
        ck_assert(!eap_tls_say(&ends, i == 0 ? span_make(&one, 1) : SPAN_OF(zeros), said,
                               sizeof(said), &len));
        ck_assert_int_eq(ends.result.outcome, EAP_FAILED);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("eap tls");
    TCase *t = tcase_create("tls");
    tcase_add_unchecked_fixture(t, eap_tls_certificates, eap_tls_certificates_drop);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, comes_to_its_end, 0, 2);
    tcase_add_loop_test(t, pieces_of_every_size, 0, 2);
    tcase_add_loop_test(t, no_success_before_the_end, 0, 2);
    tcase_add_loop_test(t, the_same_packet_again, 0, 2);
    tcase_add_loop_test(t, a_piece_that_is_lost, 0, 2);
    tcase_add_loop_test(t, packets_that_are_no_pieces, 0, 2);
    tcase_add_loop_test(t, our_own_pieces, 0, 2);
    tcase_add_loop_test(t, our_own_pieces_interrupted, 0, 2);
    tcase_add_loop_test(t, a_length_that_changes, 0, 2);
    tcase_add_loop_test(t, tls_that_fails, 0, 2);
    tcase_add_test(t, a_message_without_end);
    tcase_add_test(t, acknowledgements_without_end);
    tcase_add_loop_test(t, servers_that_are_not_accepted, 0, 6);
    tcase_add_loop_test(t, a_server_that_has_expired, 0, 2);
    tcase_add_loop_test(t, a_server_that_may_be_revoked, 0, 2);
    tcase_add_loop_test(t, asks_for_an_ocsp_response, 0, 2);
    tcase_add_loop_test(t, refused_means_refused, 0, 2);
    tcase_add_loop_test(t, our_certificate_is_refused, 0, 2);
    tcase_add_loop_test(t, a_certificate_that_we_do_not_show, 0, 2);
    tcase_add_loop_test(t, a_card_that_does_not_sign, 0, 2);
    tcase_add_test(t, another_word_than_zero);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
