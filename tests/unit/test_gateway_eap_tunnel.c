/* What is said inside EAP-TTLS: the user's proof in each way that it can be given, the server's
 * answers, good, false and broken, and how it ends. */
#include <stdio.h>

#include "common/eap/mschapv2.h"
#include "tests/unit/eap_tunnel_scene.h"

static void start_plain(enum eap_plain plain, bool old)
{
    begin(EAP_TTLS, old);
    ends.config.plain = plain;
    ends.config.inner_count = 0;
    start();
    hear_first();
}

START_TEST(pap)
{
    uint8_t expected[128];
    start_plain(EAP_PLAIN_PAP, _i == 0);
    size_t len = support_hex("00000001 4000000d 616c696365 000000"
                             "00000002 40000028",
                             expected, sizeof(expected));
    memset(expected + len, 0, 32);
    memcpy(expected + len, EAP_TLS_PASSWORD, strlen(EAP_TLS_PASSWORD));
    ck_span_eq(span_make(said, said_len), span_make(expected, len + 32));
    ck_assert(eap_peer_told_password(ends.peer) && eap_peer_tried(ends.peer));
    ck_succeeds("ttls keying material");
}
END_TEST

START_TEST(pap_that_is_refused)
{
    start_plain(EAP_PLAIN_PAP, _i == 0);
    end_with(EAP_FAILURE);
    eap_tls_ck_failed(&ends, ERR_REFUSED, "refused our credentials");
    ck_assert_ptr_nonnull(strstr(ends.result.fault.hint, "EAP-TTLS"));
}
END_TEST

/* What the client said, judged: RFC 5281 11.2.4. */
static void read_mschapv2(struct mschapv2 *m)
{
    uint8_t challenge[17], expected[MSCHAPV2_RESPONSE_LEN];
    const uint8_t *response = said + 16 + 28 + 12;
    ck_assert_uint_eq(said_len, 16 + 28 + 12 + 52);
    ck_ok(tls_export(ends.server.tls, "ttls challenge", SPAN_EMPTY, challenge, 17));
    ck_assert_mem_eq(said + 16 + 12, challenge, 16);
    ck_assert_uint_eq(response[0], challenge[16]);
    memcpy(m->server_challenge, challenge, 16);
    memcpy(m->peer_challenge, response + 2, 16);
    memcpy(m->response, response + 26, 24);
    ck_ok(mschapv2_set_password(m, span_text(password)));
    mschapv2_respond(m, span_text("alice"), expected);
    ck_assert_mem_eq(expected, m->response, sizeof(expected));
}

static struct span success_avp(uint8_t *out)
{
    struct mschapv2 m;
    uint8_t proof[MSCHAPV2_PROOF_LEN];
    char text[64] = "\1S=";
    read_mschapv2(&m);
    mschapv2_prove(&m, span_text("alice"), proof);
    for (size_t i = 0; i < sizeof(proof); i++)
        snprintf(text + 3 + 2 * i, 3, "%02X", proof[i]);
    return avp(out, 311, 26, span_text(text), 0);
}

START_TEST(mschapv2_without_eap)
{
    uint8_t out[SAID_MAX];
    start_plain(EAP_PLAIN_MSCHAPV2, _i == 0);
    ck_assert(say(success_avp(out)));
    ck_assert_uint_eq(said_len, 0);
    ck_succeeds("ttls keying material");
    start_plain(EAP_PLAIN_MSCHAPV2, _i == 0);
    struct span good = success_avp(out);
    out[good.len - 3] = out[good.len - 3] == '0' ? '1' : '0';
    ck_assert(!say(good));
    eap_tls_ck_failed(&ends, ERR_INTEGRITY, "does not know the password");
    start_plain(EAP_PLAIN_MSCHAPV2, _i == 0);
    ck_unearned();
    start_plain(EAP_PLAIN_MSCHAPV2, _i == 0);
    ck_assert(say(avp(out, 311, 2, span_text("\1E=647 R=0 C=00 V=3 M=locked"), 0)));
    ck_unearned();
    end_with(EAP_FAILURE);
    eap_tls_ck_failed(&ends, ERR_REFUSED, "the account is disabled");
    ck_assert(eap_peer_tried(ends.peer) && !eap_peer_told_password(ends.peer));
}
END_TEST

/* Every attribute that means something, and some that do not, claiming every short length, and cut
 * at every octet: nothing of it ends well. */
START_TEST(attributes_of_every_length)
{
    static const struct {
        uint32_t vendor, code;
    } kinds[] = {{0, 79}, {311, 26}, {311, 2}, {0, 18}, {0, 1}, {9, 26}, {0, 0xffffffff}};
    static const uint8_t content[] = {1, 'S', '=', 'E', '=', '6', '9', '1', ' ', 'R'};
    enum { CLAIMS = 24 };
    uint8_t out[SAID_MAX];
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (uint32_t claim = 1; claim <= CLAIMS + 1; claim++) {
            start_plain(_i == 0 ? EAP_PLAIN_MSCHAPV2 : EAP_PLAIN_PAP, true);
            struct span whole = avp(out, kinds[i].vendor, kinds[i].code, SPAN_OF(content),
                                    claim <= CLAIMS ? claim : 0xffffff);
            (void)say(whole);
            if (_i == 0)
                ck_unearned();
        }
        size_t whole = avp(out, kinds[i].vendor, kinds[i].code, SPAN_OF(content), 0).len;
        for (size_t cut = 1; cut < whole; cut++) {
            start_plain(EAP_PLAIN_MSCHAPV2, true);
            (void)say(span_make(out, cut));
            ck_unearned();
        }
    }
}
END_TEST

START_TEST(an_attribute_that_is_not_known)
{
    uint8_t out[SAID_MAX];
    start_plain(EAP_PLAIN_MSCHAPV2, true);
    ck_assert(!say(avp(out, 0, 1234, span_text("x"), 0)));
    eap_tls_ck_failed(&ends, ERR_UNSUPPORTED, "not known here (1234, vendor 0)");
    start_plain(EAP_PLAIN_PAP, true);
    ck_assert(!say(avp(out, 0, 79, span_text("x"), 0)));
    eap_tls_ck_failed(&ends, ERR_MALFORMED, "goes on inside EAP-TTLS after its end");
}
END_TEST

/* --- EAP inside --- */

START_TEST(ttls_with_eap)
{
    bool old = _i % 2 == 0;
    use(EAP_TTLS, inside[_i / 2], old);
    ck_assert(converse(10));
    ck_succeeds("ttls keying material");
    ck_assert(eap_peer_told_password(ends.peer) == (inside[_i / 2] == EAP_GTC));
}
END_TEST

START_TEST(ttls_success_too_early)
{
    for (unsigned rounds = 0; rounds < 3; rounds++) {
        use(EAP_TTLS, EAP_MSCHAPV2, _i == 0);
        ck_assert(!converse(rounds));
        ck_unearned();
    }
}
END_TEST

START_TEST(ttls_with_a_wrong_password)
{
    password = "another one";
    use(EAP_TTLS, EAP_MSCHAPV2, _i == 0);
    ck_assert(!converse(10));
    end_with(EAP_FAILURE);
    eap_tls_ck_failed(&ends, ERR_REFUSED, "wrong user name or password");
}
END_TEST

START_TEST(ttls_with_a_method_that_is_not_ours)
{
    use(EAP_TTLS, EAP_MSCHAPV2, _i == 0);
    policy.methods[0] = EAP_GTC;
    ck_assert(!converse(10));
    end_with(EAP_FAILURE);
    eap_tls_ck_failed(&ends, ERR_REFUSED, "wants EAP-GTC; we offer EAP-MSCHAPv2");
    ck_assert_ptr_nonnull(strstr(ends.result.fault.hint, "EAPInner"));
    ck_assert(!eap_peer_tried(ends.peer) && !eap_peer_told_password(ends.peer));
}
END_TEST

/* Success and failure may be said inside as well. */
START_TEST(ttls_that_ends_inside)
{
    uint8_t out[SAID_MAX];
    static const uint8_t success[] = {EAP_SUCCESS, 3, 0, 4}, failure[] = {EAP_FAILURE, 3, 0, 4};
    use(EAP_TTLS, EAP_GTC, _i == 0);
    ck_assert(converse(10));
    uint8_t ending[4];
    memcpy(ending, success, 4);
    ending[1] = inner.identifier;
    ck_assert(say(avp(out, 0, 79, SPAN_OF(ending), 0)));
    ck_assert_uint_eq(said_len, 0);
    ck_succeeds("ttls keying material");
    use(EAP_TTLS, EAP_GTC, _i == 0);
    ck_assert(!converse(1));
    ck_assert(!say(avp(out, 0, 79, SPAN_OF(success), 0)));
    eap_tls_ck_failed(&ends, ERR_INTEGRITY, "has not come to its end");
    use(EAP_TTLS, EAP_GTC, _i == 0);
    ck_assert(!converse(1));
    ck_assert(!say(avp(out, 0, 79, SPAN_OF(failure), 0)));
    ck_assert_int_eq(ends.result.fault.code, ERR_REFUSED);
}
END_TEST

/* The server may ask who it is together with its Finished. */
START_TEST(ttls_that_begins_by_itself)
{
    static const uint8_t who[] = {EAP_REQUEST, 5, 0, 5, EAP_IDENTITY};
    uint8_t out[SAID_MAX];
    begin(EAP_TTLS, true);
    eap_tls_start(&ends);
    while (!tls_established(ends.server.tls))
        ck_assert(eap_tls_ask(&ends) && eap_tls_hear(&ends));
    ck_assert(say(avp(out, 0, 79, SPAN_OF(who), 0)));
    ck_assert_uint_eq(said_len, 8 + 10 + 2);
    ck_assert_uint_eq(said[8 + 1], 5);
    ck_assert_mem_eq(said + 8 + 5, "alice", 5);
}
END_TEST

/* Nothing is said of a proof that was not given. */
START_TEST(refused_before_any_proof)
{
    uint8_t type = _i % 2 == 0 ? EAP_TTLS : EAP_PEAP;
    bool old = _i / 2 == 0;
    begin(type, old);
    memcpy(ends.config.outer, "anonymous", sizeof("anonymous"));
    eap_tls_start(&ends);
    ck_assert(eap_tls_ask(&ends)); /* the beginning alone */
    end_with(EAP_FAILURE);
    eap_tls_ck_failed(&ends, ERR_REFUSED,
                      type == EAP_TTLS ? "ended EAP-TTLS before anything was said inside"
                                       : "ended EAP-PEAP before anything was said inside");
    ck_assert_ptr_nonnull(strstr(ends.result.fault.hint, "sent user name \"anonymous\""));
    begin(type, old);
    memcpy(ends.config.outer, "anonymous", sizeof("anonymous"));
    start();
    if (type == EAP_TTLS)
        hear_first();
    else
        ck_assert(!converse(1));
    end_with(EAP_FAILURE);
    eap_tls_ck_failed(&ends, ERR_REFUSED, "before any proof");
    ck_assert_ptr_nonnull(strstr(ends.result.fault.hint, "sent user name \"alice\""));
    ck_assert(!eap_peer_tried(ends.peer));
}
END_TEST

START_TEST(more_than_is_taken)
{
    static const uint8_t much[6000] = {EAP_NOTIFICATION};
    begin(_i == 0 ? EAP_TTLS : EAP_PEAP, true);
    start();
    ck_assert(!say(SPAN_OF(much)));
    eap_tls_ck_failed(&ends, ERR_LIMIT, "more inside");
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("eap tunnel", &t);
    tcase_add_loop_test(t, pap, 0, 2);
    tcase_add_loop_test(t, pap_that_is_refused, 0, 2);
    tcase_add_loop_test(t, mschapv2_without_eap, 0, 2);
    tcase_add_loop_test(t, attributes_of_every_length, 0, 2);
    tcase_add_test(t, an_attribute_that_is_not_known);
    tcase_add_loop_test(t, ttls_with_eap, 0, 6);
    tcase_add_loop_test(t, ttls_success_too_early, 0, 2);
    tcase_add_loop_test(t, ttls_with_a_wrong_password, 0, 2);
    tcase_add_loop_test(t, ttls_with_a_method_that_is_not_ours, 0, 2);
    tcase_add_loop_test(t, ttls_that_ends_inside, 0, 2);
    tcase_add_test(t, ttls_that_begins_by_itself);
    tcase_add_loop_test(t, refused_before_any_proof, 0, 4);
    tcase_add_loop_test(t, more_than_is_taken, 0, 2);
    return support_run(suite);
}
