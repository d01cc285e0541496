/* Proof of identity by certificate in IKE_AUTH (RFC 7296 2.15, RFC 7427): the signature, the
 * certificate that it goes with, and the payloads that ask for one and bring it. */
#include "common/crypto/external_key.h"
#include "tests/unit/proof_scene.h"

enum { DAY = 86400 };

static const char *const key_names[] = {"ec", "rsa", "ed"};

START_TEST(certificate)
{
    static const hash_set sets[] = {0, 1u << HASH_SHA2_256,
                                    1u << HASH_SHA2_256 | 1u << HASH_SHA2_384 |
                                        1u << HASH_SHA2_512 | 1u << HASH_IDENTITY};
    by_certificate(&gateway, &client, key_names[_i]);
    by_certificate(&client, &gateway, key_names[_i]);
    for (size_t i = 0; i < 3; i++) {
        gateway.handshake.peer_hashes = client.handshake.peer_hashes = sets[i];
        if (strcmp(key_names[_i], "ed") == 0 && (sets[i] & 1u << HASH_IDENTITY) == 0)
            continue; /* RFC 8420: only by RFC 7427 */
        client.sa.peer_id.type = gateway.sa.peer_id.type = IDENTITY_NONE;
        enum err e = prove(&gateway, &client);
        ck_assert_msg(e == ERR_OK, "%s: %s", key_names[_i], fault.text);
        ck_ok(prove(&client, &gateway));
        ck_assert(identity_equal(&client.sa.peer_id, &gateway.config.local_id));
        ck_assert(identity_equal(&gateway.sa.peer_id, &client.config.local_id));
        /* and bound to this exchange */
        client.sa.peer_id.type = gateway.sa.peer_id.type = IDENTITY_NONE;
        client.handshake.nonce_i.data[0] ^= 1;
        ck_refused(prove(&gateway, &client), ERR_INTEGRITY, "the gateway's signature (");
        client.handshake.nonce_i.data[0] ^= 1;
    }
}
END_TEST

/* RFC 8420: a peer that has not announced it cannot check it, and gets no other. */
START_TEST(no_signature_that_the_peer_can_check)
{
    uint8_t bytes[1024];
    struct message_writer w;
    static const struct ike_header h = {.major = 2, .exchange = EXCHANGE_IKE_AUTH};
    by_certificate(&gateway, &client, "ed");
    message_begin(&w, bytes, sizeof bytes, &h);
    ck_err(proof_write_auth(&gateway.sa, &w), ERR_UNSUPPORTED);
    gateway.handshake.peer_hashes = 1u << HASH_SHA2_256;
    ck_err(proof_write_auth(&gateway.sa, &w), ERR_UNSUPPORTED);
    ck_assert_uint_eq(w.w.len, IKE_HEADER_LEN);
}
END_TEST

START_TEST(a_signature_of_another_kind)
{
    struct sent m;
    by_certificate(&gateway, &client, "ec");
    send_proof(&gateway, &m);
    uint8_t *method = writable(&m, sent_payload(&m, PAYLOAD_AUTH));
    const uint8_t good = *method;
    ck_assert_uint_eq(good, AUTH_METHOD_ECDSA_256);
    for (unsigned v = 0; v < 256; v++) {
        *method = (uint8_t)v;
        client.sa.peer_id.type = IDENTITY_NONE;
        enum err e = check(&client, &m, PAYLOAD_ID_R);
        if ((e == ERR_OK) != (v == good))
            ck_abort_msg("method %u: %s", v, err_text(e));
        if (v != good && reason != SESSION_DOWN_PEER_UNTRUSTED)
            ck_abort_msg("method %u: reason %d", v, reason);
    }
    *method = 99;
    client.sa.peer_id.type = IDENTITY_NONE;
    ck_refused(check(&client, &m, PAYLOAD_ID_R), ERR_UNSUPPORTED, "of a kind that is not accepted");
}
END_TEST

START_TEST(certificate_of_another)
{
    by_certificate(&gateway, &client, "ec");
    /* somebody else's certificate, signed with our own key of the same kind */
    fixture_shell("openssl ecparam -genkey -name prime256v1 -noout -out thief.key\ncp ec.pem "
                  "thief.pem");
    read_key(&gateway, "thief");
    ck_refused(prove(&gateway, &client), ERR_INTEGRITY, "signature");
}
END_TEST

static enum err card_is_gone(void *ctx, const struct key_request *r, uint8_t *out, size_t cap,
                             size_t *ret_len, struct fault *f)
{
    (void)ctx, (void)r, (void)out, (void)cap, (void)ret_len;
    return fault_set(f, ERR_REFUSED, "the card is gone");
}

/* What a key that we do not have says goes to whoever ends the IKE SA for it. */
START_TEST(card_that_does_not_sign)
{
    static const struct ike_header h = {.major = 2, .exchange = EXCHANGE_IKE_AUTH};
    static const struct key_signer signer = {.sign = card_is_gone};
    struct private_key *card = NULL;
    struct message_writer w;
    uint8_t bytes[4096];
    by_certificate(&client, &gateway, "ec");
    ck_ok(private_key_external(certificate_key(client.own.chain.items[0]), &signer, &card, NULL));
    client.config.key = card;
    message_begin(&w, bytes, sizeof bytes, &h);
    ck_err(proof_write_auth(&client.sa, &w), ERR_REFUSED);
    ck_assert_str_eq(client.sa.end_fault.text, "the card is gone");
    private_key_free(card);
}
END_TEST

START_TEST(certificate_not_trusted)
{
    by_certificate(&gateway, &client, "ec");
    client.config.trust = other;
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "");
    client.config.trust = root;
    now_s += 25 * DAY;
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "");
    now_s -= 50 * DAY;
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "");
}
END_TEST

START_TEST(certificate_for_another_name)
{
    by_certificate(&gateway, &client, "ec");
    ck_ok(identity_parse("gw2.example.com", &client.config.remote_id));
    ck_refused(prove(&gateway, &client), ERR_REFUSED,
               "gateway certificate is for \"gw.example.com, alice@example.com\", profile expects "
               "\"gw2.example.com\"");
    /* the certificate's own name in IDr does not help, nor the expected one */
    gateway.config.local_id = client.config.remote_id;
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "gateway certificate is for");
    /* without an expectation it must prove what the peer claims */
    client.config.remote_id.type = IDENTITY_NONE;
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "it claims to be \"gw2.example.com\"");
}
END_TEST

/* The name taken from the Address is proven by the certificate; IDr may be another. */
START_TEST(certificate_and_another_identity)
{
    by_certificate(&gateway, &client, "ec");
    ck_ok(identity_parse("CN=ec", &gateway.config.local_id));
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "profile expects \"gw.example.com\"");
    client.config.send_remote_id = false;
    ck_ok(prove(&gateway, &client));
    ck_assert(identity_equal(&client.sa.peer_id, &gateway.config.local_id));
}
END_TEST

/* RFC 7296 4: RSA of 2048 bits, and any kind of identity beside it. */
START_TEST(rsa_and_every_identity)
{
    static const char *const ids[] = {"@#00ff10", "vpn.example.com", "vpn@example.com", "CN=other"};
    by_certificate(&gateway, &client, "rsa");
    client.config.send_remote_id = false;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        ck_ok(identity_parse(ids[i], &gateway.config.local_id));
        ck_ok(prove(&gateway, &client));
        ck_assert(identity_equal(&client.sa.peer_id, &gateway.config.local_id));
    }
}
END_TEST

/* --- CERT payloads --- */

struct cert_case {
    size_t junk_before, others_before, leaves, junk_behind;
};

static enum err prove_with(const struct cert_case *c)
{
    static const struct ike_header h = {.major = 2, .exchange = EXCHANGE_IKE_AUTH};
    static const uint8_t junk[] = {0x30, 3, 2, 1};
    struct message_writer w;
    struct span all;
    struct sent m = {.bytes = {0}};
    message_begin(&w, m.bytes, sizeof m.bytes, &h);
    id_payload_write(&w, PAYLOAD_ID_R, &gateway.config.local_id);
    for (size_t i = 0; i < c->others_before; i++)
        cert_payload_write(&w, PAYLOAD_CERT, CERT_HASH_URL, SPAN_OF(junk));
    for (size_t i = 0; i < c->junk_before; i++)
        cert_payload_write(&w, PAYLOAD_CERT, CERT_X509_SIGNATURE, SPAN_OF(junk));
    for (size_t i = 0; i < c->leaves; i++)
        proof_write_certificates(&gateway.sa, &w);
    for (size_t i = 0; i < c->junk_behind; i++)
        cert_payload_write(&w, PAYLOAD_CERT, CERT_X509_SIGNATURE, SPAN_OF(junk));
    ck_ok(proof_write_auth(&gateway.sa, &w));
    ck_ok(message_finish(&w, &all));
    parse_sent(&m);
    return check(&client, &m, PAYLOAD_ID_R);
}

START_TEST(certificate_payloads)
{
    by_certificate(&gateway, &client, "ec");
    ck_ok(prove_with(&(struct cert_case){.leaves = 1}));
    ck_ok(prove_with(&(struct cert_case){.leaves = 2}));
    ck_ok(prove_with(&(struct cert_case){.leaves = 1, .others_before = 2}));
    ck_ok(prove_with(&(struct cert_case){.leaves = 1, .junk_behind = 40}));
    ck_ok(prove_with(&(struct cert_case){.leaves = CERTIFICATES_MAX}));
    client.sa.peer_id.type = IDENTITY_NONE;
    ck_refused(prove_with(&(struct cert_case){.leaves = 0}), ERR_REFUSED, "sent no certificate");
    ck_refused(prove_with(&(struct cert_case){.others_before = 1}), ERR_REFUSED,
               "sent no certificate");
    ck_refused(prove_with(&(struct cert_case){.leaves = CERTIFICATES_MAX + 1}), ERR_LIMIT,
               "more than 16 certificates");
    ck_assert_int_ne(prove_with(&(struct cert_case){.leaves = 1, .junk_before = 1}), ERR_OK);
    ck_assert_int_eq(reason, SESSION_DOWN_PEER_UNTRUSTED);
}
END_TEST

/* RFC 7296 3.6 */
START_TEST(four_certificates)
{
    struct sent m;
    size_t count = 0;
    by_certificate(&gateway, &client, "four");
    send_proof(&gateway, &m);
    for (size_t i = 0; i < m.in.payloads.count; i++)
        count += m.in.payloads.items[i].type == PAYLOAD_CERT;
    ck_assert_uint_eq(count, 4);
    ck_ok(check(&client, &m, PAYLOAD_ID_R));
}
END_TEST

/* RFC 7427 3: who was told our hashes does not sign with SHA-1 any more. */
START_TEST(no_step_back_to_sha1)
{
    by_certificate(&gateway, &client, "rsa");
    client.handshake.peer_hashes = 1u << HASH_SHA2_256;
    ck_refused(prove(&gateway, &client), ERR_REFUSED, "RSA and SHA-1"); /* it heard of none */
    gateway.handshake.peer_hashes = 1u << HASH_SHA2_256;
    ck_ok(prove(&gateway, &client));
}
END_TEST

START_TEST(an_empty_cert_payload)
{
    struct sent m;
    by_certificate(&gateway, &client, "ec");
    send_proof(&gateway, &m);
    sent_payload(&m, PAYLOAD_CERT)->body = SPAN_EMPTY;
    ck_refused(check(&client, &m, PAYLOAD_ID_R), ERR_MALFORMED, "a broken CERT payload");
}
END_TEST

/* RFC 7296 3.7: the hashes of the keys that we trust. */
static size_t write_certreq(struct side *x, struct sent *m)
{
    static const struct ike_header h = {.major = 2, .exchange = EXCHANGE_IKE_AUTH};
    struct message_writer w;
    struct span all;
    memset(m, 0, sizeof *m);
    message_begin(&w, m->bytes, sizeof m->bytes, &h);
    proof_write_certreq(&x->sa, &w);
    ck_ok(message_finish(&w, &all));
    if (m->bytes[16] == PAYLOAD_NONE)
        return 0;
    parse_sent(m);
    ck_assert_uint_eq(m->in.payloads.count, 1);
    return sent_payload(m, PAYLOAD_CERTREQ)->body.len;
}

START_TEST(certificate_request)
{
    struct sent m;
    uint8_t hash[SHA1_LEN];
    client.config.trust = root;
    ck_assert_uint_eq(write_certreq(&client, &m), 0); /* no certificate is accepted */
    client.config.remote_auth = SESSION_AUTH_PSK | SESSION_AUTH_CERTIFICATE;
    client.config.trust = NULL;
    ck_assert_uint_eq(write_certreq(&client, &m), 0);
    client.config.trust = root;
    ck_assert_uint_eq(write_certreq(&client, &m), 1 + SHA1_LEN);
    fixture_shell("openssl x509 -in root.pem -noout -pubkey | openssl pkey -pubin -outform DER | "
                  "openssl dgst -sha1 -binary >hash");
    struct span expected = fixture_read("hash");
    const struct span body = sent_payload(&m, PAYLOAD_CERTREQ)->body;
    trust_store_key_hash(root, 0, hash);
    ck_assert_uint_eq(body.data[0], CERT_X509_SIGNATURE);
    ck_span_eq(span_make(body.data + 1, SHA1_LEN), expected);
    ck_assert_mem_eq(hash, expected.data, SHA1_LEN);
    free((void *)(uintptr_t)expected.data);
}
END_TEST

/* With a whole system's store the list would be longer than it is worth: none asks for any. */
START_TEST(certificate_request_of_many)
{
    struct sent m;
    fixture_shell("for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do "
                  "openssl req -new -x509 -key root.key -subj \"/CN=$n\" -days 30; done >many.pem\n"
                  "cat many.pem root.pem >more.pem");
    struct trust_store *many = fixture_trust("many.pem"), *more = fixture_trust("more.pem");
    client.config.remote_auth = SESSION_AUTH_CERTIFICATE;
    client.config.trust = many;
    ck_assert_uint_eq(write_certreq(&client, &m), 1 + 16 * SHA1_LEN);
    client.config.trust = more;
    ck_assert_uint_eq(write_certreq(&client, &m), 1);
    trust_store_free(many);
    trust_store_free(more);
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("ike proof certificate", &t);
    tcase_add_loop_test(t, certificate, 0, 3);
    tcase_add_test(t, no_signature_that_the_peer_can_check);
    tcase_add_test(t, a_signature_of_another_kind);
    tcase_add_test(t, certificate_of_another);
    tcase_add_test(t, card_that_does_not_sign);
    tcase_add_test(t, certificate_not_trusted);
    tcase_add_test(t, certificate_for_another_name);
    tcase_add_test(t, certificate_and_another_identity);
    tcase_add_test(t, rsa_and_every_identity);
    tcase_add_test(t, certificate_payloads);
    tcase_add_test(t, four_certificates);
    tcase_add_test(t, no_step_back_to_sha1);
    tcase_add_test(t, an_empty_cert_payload);
    tcase_add_test(t, certificate_request);
    tcase_add_test(t, certificate_request_of_many);
    return support_run(suite);
}
