/* What is said inside EAP-PEAP: the user's proof by each method, the results that end it, and the
 * binding of what is inside to what is outside. */
#include "common/base/be.h"
#include "common/eap/peap_binding.h"
#include "tests/unit/eap_tunnel_scene.h"

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
        eap_tls_ck_failed(&ends, ERR_INTEGRITY, "has not come to its end");
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
    eap_tls_ck_failed(&ends, ERR_REFUSED, "wrong user name or password");
    use(EAP_PEAP, EAP_MSCHAPV2, _i == 0);
    ck_assert(say_result(2, NULL));
    end_with(EAP_FAILURE);
    eap_tls_ck_failed(&ends, ERR_REFUSED, "refused us inside EAP-PEAP, unasked");
}
END_TEST

START_TEST(peap_that_ends_inside)
{
    static const uint8_t success[] = {EAP_SUCCESS, 3, 0, 4}, failure[] = {EAP_FAILURE, 3, 0, 4};
    use(EAP_PEAP, EAP_GTC, _i == 0);
    ck_assert(!converse(1));
    ck_assert(!say(SPAN_OF(success)));
    eap_tls_ck_failed(&ends, ERR_INTEGRITY, "has not come to its end");
    use(EAP_PEAP, EAP_GTC, _i == 0);
    ck_assert(converse(10));
    ck_assert(!say(SPAN_OF(failure)));
    eap_tls_ck_failed(&ends, ERR_REFUSED, "refused our credentials");
    use(EAP_PEAP, EAP_GTC, _i == 0);
    password = "another one";
    ck_assert(!converse(10));
    ck_assert(say_result(2, NULL));
    ck_assert(!say_result(1, NULL));
    eap_tls_ck_failed(&ends, ERR_REFUSED, "refused our credentials");
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
        eap_tls_ck_failed(&ends, ERR_INTEGRITY, "cryptobinding is wrong");
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
            be_write_u16(out + 7, (uint16_t)len);
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

START_TEST(nothing_more_after_the_end)
{
    use(EAP_PEAP, EAP_MSCHAPV2, _i == 0);
    ck_assert(converse(10));
    ck_assert(say_result(1, NULL));
    ck_assert(!say_result(1, NULL));
    eap_tls_ck_failed(&ends, ERR_MALFORMED, "after its end");
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("eap tunnel peap", &t);
    tcase_add_loop_test(t, peap, 0, 6);
    tcase_add_loop_test(t, a_name_for_those_outside, 0, 4);
    tcase_add_loop_test(t, peap_that_ends_inside, 0, 2);
    tcase_add_loop_test(t, peap_success_too_early, 0, 2);
    tcase_add_loop_test(t, peap_that_fails, 0, 2);
    tcase_add_test(t, cryptobinding_arithmetic);
    tcase_add_loop_test(t, peap_with_cryptobinding, 0, 3 * BOUND_WAYS);
    tcase_add_test(t, extensions_of_every_length);
    tcase_add_loop_test(t, nothing_more_after_the_end, 0, 2);
    return support_run(suite);
}
