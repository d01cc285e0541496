/* What is said inside EAP-TTLS and EAP-PEAP: the user's proof in each way that it can be given, the
 * server's answers, good, false and broken, and how it ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/eap/mschapv2.h"
#include "common/eap/peap_binding.h"
#include "tests/support/eap_tls.h"
#include "tools/gateway/eap_server.h"

enum { SAID_MAX = 4096 };

static struct eap_tls_ends ends;
static struct eap_server inner;
static struct eap_server_policy policy;
static uint8_t said[SAID_MAX];
static size_t said_len;
static const char *password;

static enum err find_password(void *ctx, struct span name, struct secret *ret_password,
                              struct identity *ret_peer)
{
    (void)ctx;
    ck_span_eq(name, span_text("alice"));
    ck_ok(identity_parse("alice", ret_peer));
    return secret_set(ret_password, span_text(password));
}

static void setup(void)
{
    support_log_begin();
    password = EAP_TLS_PASSWORD;
    policy = (struct eap_server_policy){.methods = {EAP_MSCHAPV2},
                                        .method_count = 1,
                                        .random = random_system(),
                                        .find_password = find_password};
}

static void teardown(void)
{
    ck_assert_ptr_null(strstr(support_logged, EAP_TLS_PASSWORD));
    support_log_end();
    eap_tls_wipe(&ends);
    eap_server_wipe(&inner);
}

static void begin(uint8_t type, bool old)
{
    eap_tls_wipe(&ends);
    eap_server_wipe(&inner);
    eap_tls_prepare(&ends, type, old);
}

/* Up to where what is inside begins: the server has said all of its handshake. */
static void start(void)
{
    eap_tls_start(&ends);
    ck_assert(eap_tls_handshake(&ends));
}

static bool say(struct span data)
{
    return eap_tls_say(&ends, data, said, sizeof(said), &said_len);
}

static enum eap_outcome end_with(uint8_t code)
{
    return eap_tls_give(&ends, code, ends.identifier, SPAN_EMPTY);
}

static void ck_failed(enum err e, const char *words)
{
    ck_assert_int_eq(ends.result.outcome, EAP_FAILED);
    ck_assert_msg(ends.result.fault.code == e, "%s (%s)", err_text(ends.result.fault.code),
                  ends.result.fault.text);
    ck_assert_msg(strstr(ends.result.fault.text, words) != NULL, "%s", ends.result.fault.text);
}

static void ck_unearned(void)
{
    end_with(EAP_SUCCESS);
    ck_failed(ERR_INTEGRITY, "has not come to its end");
    ck_assert_uint_eq(eap_peer_msk(ends.peer).len, 0);
}

static void ck_succeeds(const char *label)
{
    uint8_t key[EAP_TLS_SERVER_KEY_LEN];
    ck_assert_int_eq(end_with(EAP_SUCCESS), EAP_SUCCEEDED);
    ck_ok(eap_tls_server_key(&ends.server, label, key));
    ck_span_eq(eap_peer_msk(ends.peer), SPAN_OF(key));
}

/* --- EAP-TTLS --- */

/* length: what the AVP claims, 0: the truth */
static struct span avp(uint8_t *out, uint32_t vendor, uint32_t code, struct span data,
                       uint32_t length)
{
    struct wire_writer w;
    size_t head = vendor != 0 ? 12 : 8;
    wire_writer_init(&w, out, SAID_MAX);
    wire_write_u32(&w, code);
    uint32_t len = length != 0 ? length : (uint32_t)(head + data.len);
    wire_write_u32(&w, (vendor != 0 ? 0xc0000000 : 0x40000000) | len);
    if (vendor != 0)
        wire_write_u32(&w, vendor);
    wire_write_span(&w, data);
    wire_write_zeros(&w, (4 - data.len % 4) % 4);
    return wire_written(&w);
}

/* The client begins: nothing was said to it but TLS's own. */
static void hear_first(void)
{
    struct fault f;
    size_t n;
    said_len = 0;
    while (tls_read(ends.server.tls, said + said_len, sizeof(said) - said_len, &n, &f) == ERR_OK)
        said_len += n;
    if (said_len == 0) /* TLS 1.3: its Finished came first, alone */
        ck_assert(say(SPAN_EMPTY));
    ck_assert_uint_gt(said_len, 0);
}

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
    ck_failed(ERR_REFUSED, "refused our credentials");
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
    ck_failed(ERR_INTEGRITY, "does not know the password");
    start_plain(EAP_PLAIN_MSCHAPV2, _i == 0);
    ck_unearned();
    start_plain(EAP_PLAIN_MSCHAPV2, _i == 0);
    ck_assert(say(avp(out, 311, 2, span_text("\1E=647 R=0 C=00 V=3 M=locked"), 0)));
    ck_unearned();
    end_with(EAP_FAILURE);
    ck_failed(ERR_REFUSED, "the account is disabled");
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
    ck_failed(ERR_UNSUPPORTED, "not known here (1234, vendor 0)");
    start_plain(EAP_PLAIN_PAP, true);
    ck_assert(!say(avp(out, 0, 79, span_text("x"), 0)));
    ck_failed(ERR_MALFORMED, "goes on inside EAP-TTLS after its end");
}
END_TEST

/* --- EAP inside --- */

static struct span wrap(uint8_t *out, const struct session_eap_step *step)
{
    if (ends.server.type == EAP_TTLS)
        return avp(out, 0, 79, span_make(step->packet, step->packet_len), 0);
    ck_assert_uint_gt(step->packet_len, EAP_HEADER_LEN);
    return span_make(step->packet + EAP_HEADER_LEN, step->packet_len - EAP_HEADER_LEN);
}

/* The client's packet, with the header that PEAP leaves out. */
static struct span unwrap(uint8_t *out)
{
    if (ends.server.type == EAP_TTLS) {
        ck_assert_uint_gt(said_len, 8);
        size_t len = (size_t)(said[6] << 8 | said[7]) - 8;
        memcpy(out, said + 8, len);
        return span_make(out, len);
    }
    out[0] = EAP_RESPONSE;
    out[1] = inner.identifier;
    out[2] = (uint8_t)((said_len + 4) >> 8);
    out[3] = (uint8_t)(said_len + 4);
    memcpy(out + 4, said, said_len);
    return span_make(out, said_len + 4);
}

static struct session_eap_step step;

/* The inner conversation, to where the server knows; at most `rounds` of its packets. */
static bool converse(unsigned rounds)
{
    uint8_t wrapped[SAID_MAX], heard[SAID_MAX];
    struct span response = SPAN_EMPTY;
    ck_ok(eap_server_step(&inner, &policy, SPAN_EMPTY, &step));
    bool asked = true; /* TTLS: the client has said who it is, unasked */
    if (ends.server.type == EAP_TTLS) {
        hear_first();
        heard[0] = 0;
        response = unwrap(heard);
        heard[1] = inner.identifier;
        asked = false;
    }
    for (unsigned i = 0; i < rounds; i++) {
        if (asked) {
            if (!say(wrap(wrapped, &step)) || said_len == 0)
                return false;
            if (ends.server.type == EAP_PEAP) /* there is no other in what was said */
                inner.identifier = ends.identifier;
            response = unwrap(heard);
        }
        asked = true;
        ck_ok(eap_server_step(&inner, &policy, response, &step));
        if (step.outcome != EAP_GOING_ON)
            return step.outcome == EAP_SUCCEEDED;
    }
    return false;
}

static const uint8_t inside[] = {EAP_MSCHAPV2, EAP_GTC, EAP_MD5};

static void use(uint8_t type, uint8_t method, bool old)
{
    begin(type, old);
    ends.config.inner[0] = policy.methods[0] = method;
    start();
}

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
    ck_failed(ERR_REFUSED, "wrong user name or password");
}
END_TEST

START_TEST(ttls_with_a_method_that_is_not_ours)
{
    use(EAP_TTLS, EAP_MSCHAPV2, _i == 0);
    policy.methods[0] = EAP_GTC;
    ck_assert(!converse(10));
    end_with(EAP_FAILURE);
    ck_failed(ERR_REFUSED, "wants EAP-GTC; we offer EAP-MSCHAPv2");
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
    ck_failed(ERR_INTEGRITY, "has not come to its end");
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
    ck_failed(ERR_REFUSED, type == EAP_TTLS ? "ended EAP-TTLS before anything was said inside"
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
    ck_failed(ERR_REFUSED, "before any proof");
    ck_assert_ptr_nonnull(strstr(ends.result.fault.hint, "sent user name \"alice\""));
    ck_assert(!eap_peer_tried(ends.peer));
}
END_TEST

/* --- EAP-PEAP --- */

static bool say_result(uint16_t result, const uint8_t *binding)
{
    uint8_t out[128];
    struct wire_writer w;
    wire_writer_init(&w, out, sizeof(out));
    wire_write_u8(&w, EAP_REQUEST);
    wire_write_u8(&w, 99);
    wire_write_u16(&w, binding != NULL ? 71 : 11);
    wire_write_u8(&w, 33);
    wire_write_u16(&w, 0x8003);
    wire_write_u16(&w, 2);
    wire_write_u16(&w, result);
    if (binding != NULL)
        wire_write_span(&w, span_make(binding, PEAP_BINDING_LEN));
    return say(wire_written(&w));
}

static void ck_result(const char *hex)
{
    uint8_t expected[128];
    size_t len = support_hex(hex, expected, sizeof(expected));
    ck_span_eq(span_make(said, said_len), span_make(expected, len));
}

START_TEST(peap)
{
    bool old = _i % 2 == 0;
    use(EAP_PEAP, inside[_i / 2], old);
    ck_assert(converse(10));
    ck_unearned();
    use(EAP_PEAP, inside[_i / 2], old);
    ck_assert(converse(10));
    ck_assert(say_result(1, NULL));
    ck_result("02 63 000b 21 8003 0002 0001");
    ck_succeeds("client EAP encryption");
    ck_assert(eap_peer_told_password(ends.peer) == (inside[_i / 2] == EAP_GTC));
}
END_TEST

/* What is asked in the clear gets the other name; what is inside, the user's (find_password). */
START_TEST(a_name_for_those_outside)
{
    static const uint8_t ask[] = {EAP_IDENTITY};
    begin(_i < 2 ? EAP_TTLS : EAP_PEAP, _i % 2 == 0);
    memcpy(ends.config.outer, "anonymous", sizeof("anonymous"));
    eap_tls_start(&ends);
    ck_assert_int_eq(eap_tls_give(&ends, EAP_REQUEST, 1, SPAN_OF(ask)), EAP_GOING_ON);
    ck_assert_uint_eq(ends.result.response.len, EAP_HEADER_LEN + 1 + 9);
    ck_assert_mem_eq(ends.result.response.data + EAP_HEADER_LEN + 1, "anonymous", 9);
    ck_assert(eap_tls_handshake(&ends));
    ck_assert(converse(10));
}
END_TEST

START_TEST(peap_success_too_early)
{
    for (unsigned rounds = 0; rounds < 4; rounds++) {
        use(EAP_PEAP, EAP_MSCHAPV2, _i == 0);
        bool whole = converse(rounds);
        ck_unearned();
        use(EAP_PEAP, EAP_MSCHAPV2, _i == 0);
        ck_assert(converse(rounds) == whole);
        if (whole)
            break;
        ck_assert(!say_result(1, NULL));
        ck_failed(ERR_INTEGRITY, "has not come to its end");
        ck_assert_uint_eq(eap_peer_msk(ends.peer).len, 0);
    }
}
END_TEST

START_TEST(peap_that_fails)
{
    password = "another one";
    use(EAP_PEAP, EAP_MSCHAPV2, _i == 0);
    ck_assert(!converse(10));
    ck_assert(say_result(2, NULL));
    ck_result("02 63 000b 21 8003 0002 0002");
    ck_unearned();
    end_with(EAP_FAILURE);
    ck_failed(ERR_REFUSED, "wrong user name or password");
    use(EAP_PEAP, EAP_MSCHAPV2, _i == 0);
    ck_assert(say_result(2, NULL));
    end_with(EAP_FAILURE);
    ck_failed(ERR_REFUSED, "refused us inside EAP-PEAP, unasked");
}
END_TEST

START_TEST(peap_that_ends_inside)
{
    static const uint8_t success[] = {EAP_SUCCESS, 3, 0, 4}, failure[] = {EAP_FAILURE, 3, 0, 4};
    use(EAP_PEAP, EAP_GTC, _i == 0);
    ck_assert(!converse(1));
    ck_assert(!say(SPAN_OF(success)));
    ck_failed(ERR_INTEGRITY, "has not come to its end");
    use(EAP_PEAP, EAP_GTC, _i == 0);
    ck_assert(converse(10));
    ck_assert(!say(SPAN_OF(failure)));
    ck_failed(ERR_REFUSED, "refused our credentials");
    use(EAP_PEAP, EAP_GTC, _i == 0);
    password = "another one";
    ck_assert(!converse(10));
    ck_assert(say_result(2, NULL));
    ck_assert(!say_result(1, NULL));
    ck_failed(ERR_REFUSED, "refused our credentials");
}
END_TEST

/* As MS-PEAP has it; the numbers are another implementation's. */
START_TEST(cryptobinding_arithmetic)
{
    uint8_t key[PEAP_TUNNEL_KEY_LEN], isk[32], nonce[PEAP_NONCE_LEN], out[PEAP_BINDING_LEN];
    uint8_t expected[64], made[PEAP_BINDING_KEY_LEN];
    const uint8_t *seen;
    struct peap_binding b;
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < 32; i++) {
        isk[i] = (uint8_t)(100 + i);
        nonce[i] = (uint8_t)(200 + i);
    }
    ck_ok(peap_binding_derive(&b, key, SPAN_OF(isk)));
    peap_binding_write(&b, PEAP_BINDING_RESPONSE, nonce, out);
    support_hex("000c 0038 00000001", expected, 8);
    ck_assert_mem_eq(out, expected, 8);
    ck_assert_mem_eq(out + 8, nonce, sizeof(nonce));
    support_hex("b627efc2ef7804582f846ef956f95955a6713493", expected, 20);
    ck_assert_mem_eq(out + 40, expected, 20);
    ck_assert(peap_binding_good(&b, PEAP_BINDING_RESPONSE, out, &seen));
    ck_assert(!peap_binding_good(&b, PEAP_BINDING_REQUEST, out, &seen));
    ck_ok(peap_binding_key(&b, made));
    support_hex("8aca9463dd0e14447d97420474a381c2e12aeb2a78b61632b72fb15df66907c9"
                "ee6b961ff1c5ce36a8453f04c372f2e67c8002bfe4f2c41d158f125b6378f858",
                expected, 64);
    ck_assert_mem_eq(made, expected, 64);
}
END_TEST

/* The server's side of it, of whatever the inner method has made: with TLS 1.2, with 1.3 as RFC
 * 9427 2.5 has it, and with 1.3 as hostapd does it. */
enum bound { BOUND_TLS_1_2, BOUND_TLS_1_3, BOUND_TLS_1_3_HOSTAPD, BOUND_WAYS };

static void derive(enum bound how, struct peap_binding *b)
{
    uint8_t key[EAP_TLS_SERVER_KEY_LEN];
    static const uint8_t type = EAP_PEAP;
    if (how == BOUND_TLS_1_3_HOSTAPD)
        ck_ok(tls_export(ends.server.tls, "EXPORTER_EAP_TLS_Key_Material", span_make(&type, 1), key,
                         sizeof(key)));
    else
        ck_ok(eap_tls_server_key(&ends.server, "client EAP encryption", key));
    ck_ok(peap_binding_derive(b, key, secret_span(&step.msk)));
}

START_TEST(peap_with_cryptobinding)
{
    static const uint8_t nonce[PEAP_NONCE_LEN] = {1, 2, 3};
    uint8_t out[PEAP_BINDING_LEN], key[PEAP_BINDING_KEY_LEN];
    struct peap_binding b;
    const uint8_t *seen;
    uint8_t method = inside[_i / BOUND_WAYS];
    enum bound how = (enum bound)(_i % BOUND_WAYS);
    use(EAP_PEAP, method, how == BOUND_TLS_1_2);
    ck_assert(converse(10));
    derive(how, &b);
    peap_binding_write(&b, PEAP_BINDING_REQUEST, nonce, out);
    ck_assert(say_result(1, out));
    ck_assert_uint_eq(said_len, 11 + PEAP_BINDING_LEN);
    ck_assert(peap_binding_good(&b, PEAP_BINDING_RESPONSE, said + 11, &seen));
    ck_assert_mem_eq(seen, nonce, sizeof(nonce));
    ck_assert_int_eq(end_with(EAP_SUCCESS), EAP_SUCCEEDED);
    ck_ok(peap_binding_key(&b, key));
    ck_span_eq(eap_peer_msk(ends.peer), SPAN_OF(key));
    for (size_t i = 8; i < PEAP_BINDING_LEN; i += 13) {
        use(EAP_PEAP, method, how == BOUND_TLS_1_2);
        ck_assert(converse(10));
        derive(how, &b);
        peap_binding_write(&b, PEAP_BINDING_REQUEST, nonce, out);
        out[i] ^= 1;
        ck_assert(!say_result(1, out));
        ck_failed(ERR_INTEGRITY, "cryptobinding is wrong");
        ck_assert_int_eq(end_with(EAP_SUCCESS), EAP_FAILED);
    }
}
END_TEST

/* TLVs that claim every short length, and are cut at every octet. */
START_TEST(extensions_of_every_length)
{
    enum { CLAIMS = 62 };
    static const uint16_t kinds[] = {3, 0x8003, 12, 0x800c, 7, 0x8007};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (unsigned claim = 0; claim <= CLAIMS + 1; claim++) {
            uint8_t out[80] = {EAP_REQUEST, 5, 0, 75, 33};
            uint16_t len = claim <= CLAIMS ? (uint16_t)claim : 0xffff;
            out[5] = (uint8_t)(kinds[i] >> 8);
            out[6] = (uint8_t)kinds[i];
            out[7] = (uint8_t)(len >> 8);
            out[8] = (uint8_t)len;
            use(EAP_PEAP, EAP_MSCHAPV2, true);
            ck_assert(!say(span_make(out, 75)));
            ck_assert_int_eq(ends.result.outcome, EAP_FAILED);
        }
    }
    for (uint8_t cut = 5; cut < 11; cut++) {
        uint8_t out[] = {EAP_REQUEST, 5, 0, cut, 33, 0x80, 3, 0, 2, 0, 1};
        use(EAP_PEAP, EAP_MSCHAPV2, true);
        ck_assert(!say(span_make(out, cut)));
        ck_assert_int_eq(ends.result.outcome, EAP_FAILED);
    }
}
END_TEST

START_TEST(more_than_is_taken)
{
    static const uint8_t much[6000] = {EAP_NOTIFICATION};
    begin(_i == 0 ? EAP_TTLS : EAP_PEAP, true);
    start();
    ck_assert(!say(SPAN_OF(much)));
    ck_failed(ERR_LIMIT, "more inside");
}
END_TEST

START_TEST(nothing_more_after_the_end)
{
    use(EAP_PEAP, EAP_MSCHAPV2, _i == 0);
    ck_assert(converse(10));
    ck_assert(say_result(1, NULL));
    ck_assert(!say_result(1, NULL));
    ck_failed(ERR_MALFORMED, "after its end");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("eap tunnel");
    TCase *t = tcase_create("tunnel");
    tcase_add_unchecked_fixture(t, eap_tls_certificates, eap_tls_certificates_drop);
    tcase_add_checked_fixture(t, setup, teardown);
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
    tcase_add_loop_test(t, peap, 0, 6);
    tcase_add_loop_test(t, a_name_for_those_outside, 0, 4);
    tcase_add_loop_test(t, peap_that_ends_inside, 0, 2);
    tcase_add_loop_test(t, peap_success_too_early, 0, 2);
    tcase_add_loop_test(t, peap_that_fails, 0, 2);
    tcase_add_test(t, cryptobinding_arithmetic);
    tcase_add_loop_test(t, peap_with_cryptobinding, 0, 3 * BOUND_WAYS);
    tcase_add_test(t, extensions_of_every_length);
    tcase_add_loop_test(t, more_than_is_taken, 0, 2);
    tcase_add_loop_test(t, nothing_more_after_the_end, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
