/* Proof of identity in IKE_AUTH (RFC 7296 2.15) by a shared key, and what holds for every kind:
 * what one side writes the other accepts; whatever else it is bound to makes it worthless. */
#include "tests/unit/proof_scene.h"

START_TEST(shared_key)
{
    ck_ok(prove(&client, &gateway));
    ck_assert(identity_equal(&gateway.sa.peer_id, &client.config.local_id));
    ck_ok(prove(&gateway, &client));
    ck_assert(identity_equal(&client.sa.peer_id, &gateway.config.local_id));
}
END_TEST

/* prf(prf(key, "Key Pad for IKEv2"), message | nonce | prf(SK_p, ID body)), by Python's hmac. */
START_TEST(shared_key_known_answer)
{
    struct sent m;
    uint8_t expected[32];
    send_proof(&client, &m);
    const struct payload *auth = sent_payload(&m, PAYLOAD_AUTH);
    support_hex("999c7f8217ad8e60c7b1a78df67b3a7664ca4c8d2a76befb9ab67a7981ad679c", expected,
                sizeof expected);
    ck_assert_uint_eq(auth->body.len, 4 + 32);
    ck_assert_mem_eq(auth->body.data, "\x02\0\0\0", 4);
    ck_assert_mem_eq(auth->body.data + 4, expected, 32);
    send_proof(&gateway, &m);
    support_hex("2c3cd1a6f91a7fe7f2a8865aa8de9393104fa29b0b95b80561cae755886f42e4", expected,
                sizeof expected);
    ck_assert_mem_eq(sent_payload(&m, PAYLOAD_AUTH)->body.data + 4, expected, 32);
}
END_TEST

START_TEST(wrong_shared_key)
{
    ck_ok(secret_set(&gateway.config.local_psk, span_text("the shared kez")));
    ck_refused(prove(&gateway, &client), ERR_INTEGRITY, "pre-shared key is not ours");
    ck_ok(secret_set(&gateway.config.remote_psk, span_text("the shared ke")));
    ck_refused(prove(&client, &gateway), ERR_INTEGRITY, "pre-shared key is not ours");
}
END_TEST

/* Damaged in any octet, cut at any length, or longer. */
START_TEST(damaged_auth)
{
    struct sent m;
    send_proof(&gateway, &m);
    struct payload *auth = sent_payload(&m, PAYLOAD_AUTH);
    uint8_t *bytes = writable(&m, auth);
    for (size_t i = 4; i < auth->body.len; i++) {
        bytes[i] ^= 0x80;
        ck_refused(check(&client, &m, PAYLOAD_ID_R), ERR_INTEGRITY, "not ours");
        bytes[i] ^= 0x80;
    }
    const size_t whole = auth->body.len;
    for (size_t len = 0; len <= whole + 1; len++) {
        if (len == whole)
            continue;
        uint8_t longer[4 + 33] = {0};
        memcpy(longer, bytes, len < whole ? len : whole);
        uint8_t *exact = support_exact_copy(span_make(longer, len));
        auth->body = span_make(exact, len);
        enum err e = check(&client, &m, PAYLOAD_ID_R);
        if (len < 4) {
            ck_err(e, ERR_MALFORMED);
            ck_assert_int_eq(reason, SESSION_DOWN_PROTOCOL);
        } else {
            ck_refused(e, ERR_INTEGRITY, "not ours");
        }
        free(exact);
    }
}
END_TEST

/* Everything that RFC 7296 2.15 puts under the signature. */
START_TEST(bound_to_this_exchange)
{
    struct sent m;
    send_proof(&gateway, &m);
    const struct handshake good = client.handshake;
#define CHANGED(change)                                                                            \
    do {                                                                                           \
        change;                                                                                    \
        ck_refused(check(&client, &m, PAYLOAD_ID_R), ERR_INTEGRITY, "not ours");                   \
        client.handshake = good;                                                                   \
    } while (0)
    CHANGED(client.handshake.nonce_i.data[31] ^= 1);
    CHANGED(client.handshake.nonce_i.len--);
    CHANGED(client.handshake.init_response.len--);
    CHANGED(client.handshake.init_response = client.handshake.init_request);
#undef CHANGED
    client.sa.keys.pr.data[0] ^= 1;
    ck_refused(check(&client, &m, PAYLOAD_ID_R), ERR_INTEGRITY, "not ours");
    client.sa.keys.pr.data[0] ^= 1;
    /* the ID payload, reserved octets included */
    uint8_t *id = writable(&m, sent_payload(&m, PAYLOAD_ID_R));
    id[1] ^= 1;
    ck_refused(check(&client, &m, PAYLOAD_ID_R), ERR_INTEGRITY, "not ours");
    id[1] ^= 1;
    id[4] ^= 0x20; /* "Gw.example.com": an equal name, but not what was signed */
    ck_refused(check(&client, &m, PAYLOAD_ID_R), ERR_INTEGRITY, "not ours");
    id[4] ^= 0x20;
    ck_ok(check(&client, &m, PAYLOAD_ID_R));
}
END_TEST

/* One key serves both ways: our own proof sent back to us proves nothing. */
START_TEST(a_reflected_proof)
{
    struct sent m;
    client.config.remote_id.type = IDENTITY_NONE;
    send_proof(&client, &m);
    ck_refused(check(&client, &m, PAYLOAD_ID_I), ERR_INTEGRITY, "not ours");
    send_proof(&gateway, &m);
    ck_refused(check(&gateway, &m, PAYLOAD_ID_R), ERR_INTEGRITY, "not ours");
}
END_TEST

static enum err find_psk(void *ctx, const struct identity *peer, struct secret *ret)
{
    const char *known = ctx;
    struct identity id;
    ck_ok(identity_parse(known, &id));
    if (!identity_equal(&id, peer))
        return ERR_NOT_FOUND;
    return secret_set(ret, span_text("her own key"));
}

START_TEST(a_key_for_each_client)
{
    static char alice[] = "alice@example.com", bob[] = "bob@example.com";
    gateway.config.policy.find_psk = find_psk;
    gateway.config.policy.ctx = alice;
    ck_refused(prove(&client, &gateway), ERR_INTEGRITY, "the client's pre-shared key is not ours");
    ck_ok(secret_set(&client.config.local_psk, span_text("her own key")));
    client.config.remote_psk = client.config.local_psk;
    ck_ok(prove(&client, &gateway));
    ck_ok(prove(&gateway, &client)); /* answers with the same */
    gateway.sa.peer_id.type = client.sa.peer_id.type = IDENTITY_NONE;
    gateway.config.policy.ctx = bob;
    ck_refused(prove(&client, &gateway), ERR_NOT_FOUND,
               "no pre-shared key for \"alice@example.com\"");
}
END_TEST

START_TEST(a_kind_of_proof_not_accepted)
{
    client.config.remote_auth = SESSION_AUTH_CERTIFICATE;
    client.config.trust = root;
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "by a pre-shared key, which is not accepted");
    ck_assert_ptr_nonnull(strstr(fault.hint, "Authentication = psk"));
    by_certificate(&gateway, &client, "ec");
    client.config.remote_auth = SESSION_AUTH_PSK;
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "by a certificate, which is not accepted");
    ck_assert_ptr_nonnull(strstr(fault.hint, "Authentication = certificate"));
    client.config.remote_auth = 0;
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "not accepted");
    client.config.remote_auth = SESSION_AUTH_PSK | SESSION_AUTH_CERTIFICATE;
    ck_ok(prove(&gateway, &client));
}
END_TEST

START_TEST(another_identity)
{
    ck_ok(identity_parse("gw2.example.com", &client.config.remote_id));
    ck_refused(prove(&gateway, &client), ERR_REFUSED,
               "gateway says it is \"gw.example.com\", profile expects \"gw2.example.com\"");
    ck_assert_ptr_nonnull(strstr(fault.hint, "Identity = gw.example.com"));
    /* with a shared key it must be the one expected, wherever that came from */
    client.config.send_remote_id = false;
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "profile expects");
    client.config.remote_id.type = IDENTITY_NONE;
    ck_ok(prove(&gateway, &client));
}
END_TEST

START_TEST(broken_payloads)
{
    struct sent m;
    send_proof(&gateway, &m);
    struct payload *id = sent_payload(&m, PAYLOAD_ID_R);
    const struct span good = id->body;
    for (size_t len = 0; len <= 4; len++) {
        uint8_t *exact = support_exact_copy(span_make(good.data, len));
        id->body = span_make(exact, len);
        ck_err(check(&client, &m, PAYLOAD_ID_R), ERR_MALFORMED);
        ck_assert_int_eq(reason, SESSION_DOWN_PROTOCOL);
        ck_assert_ptr_nonnull(strstr(fault.text, "the gateway's ID or AUTH payload is broken"));
        free(exact);
    }
    id->body = good;
    writable(&m, id)[0] = 99;
    ck_err(check(&client, &m, PAYLOAD_ID_R), ERR_UNSUPPORTED);
    ck_assert_int_eq(reason, SESSION_DOWN_PROTOCOL);
    ck_assert_int_eq(client.sa.peer_id.type, IDENTITY_NONE);
}
END_TEST

START_TEST(what_we_sent_in_words)
{
    char text[PROOF_TEXT_MAX];
    ck_assert_str_eq(proof_sent_text(&client.sa, text),
                     "identity \"alice@example.com\" with a pre-shared key of 14 octets");
    by_certificate(&client, &gateway, "rsa");
    ck_assert_str_eq(proof_sent_text(&client.sa, text),
                     "identity \"alice@example.com\" with certificate \"CN=rsa\"");
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("ike proof", &t);
    tcase_add_test(t, shared_key);
    tcase_add_test(t, shared_key_known_answer);
    tcase_add_test(t, wrong_shared_key);
    tcase_add_test(t, damaged_auth);
    tcase_add_test(t, bound_to_this_exchange);
    tcase_add_test(t, a_reflected_proof);
    tcase_add_test(t, a_key_for_each_client);
    tcase_add_test(t, a_kind_of_proof_not_accepted);
    tcase_add_test(t, another_identity);
    tcase_add_test(t, broken_payloads);
    tcase_add_test(t, what_we_sent_in_words);
    return support_run(suite);
}
