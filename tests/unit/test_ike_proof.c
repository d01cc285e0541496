/* Proof of identity in IKE_AUTH (RFC 7296 2.15, RFC 7427): what one side writes the other accepts;
 * whatever else it is bound to makes it worthless. The openssl command makes the certificates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/crypto/external_key.h"
#include "common/ike/auth.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { TIMEOUT_S = 60, DAY = 86400 };

static const char *const key_names[] = {"ec", "rsa", "ed"};

static void make_certificates(void)
{
    fixture_enter();
    fixture_shell(
        "openssl ecparam -genkey -name prime256v1 -noout -out ec.key\n"
        "openssl genrsa -out rsa.key 2048\n"
        "openssl genpkey -algorithm ED25519 -out ed.key\n"
        "for ca in root other; do openssl ecparam -genkey -name prime256v1 -noout -out $ca.key\n"
        "openssl req -new -x509 -key $ca.key -subj \"/CN=$ca\" -days 30 -out $ca.pem; done\n"
        "printf 'subjectAltName=DNS:gw.example.com,email:alice@example.com\\n' >ext\n"
        "for k in ec rsa ed; do openssl req -new -key $k.key -subj \"/CN=$k\" -out req\n"
        "openssl x509 -req -in req -days 20 -CA root.pem -CAkey root.key -set_serial 1 "
        "-extfile ext -out $k.pem; done\n"
        "cat ec.pem root.pem rsa.pem ed.pem >four.pem; cp ec.key four.key");
}

struct side {
    struct session_config config;
    struct ike_sa sa;
    struct handshake handshake;
    struct private_key *key;
    struct certificate_list chain;
};

static struct side client, gateway;
static struct trust_store *root, *other;
static uint8_t request_bytes[] = "the IKE_SA_INIT request", response_bytes[] = "and the response";
static int64_t now_s;

static int64_t wall_time(void *ctx)
{
    (void)ctx;
    return now_s;
}

static void read_key(struct side *x, const char *name)
{
    private_key_free(x->key);
    certificate_list_wipe(&x->chain);
    fixture_credential(name, &x->chain, &x->key);
    x->config.key = x->key;
    x->config.chain = &x->chain;
}

static void side_init(struct side *x, bool initiator)
{
    memset(x, 0, sizeof *x);
    session_config_default(&x->config);
    x->config.role = initiator ? SESSION_INITIATOR : SESSION_RESPONDER;
    x->config.wall_time = wall_time;
    ck_ok(identity_parse(initiator ? "alice@example.com" : "gw.example.com", &x->config.local_id));
    x->config.local_auth = SESSION_AUTH_PSK;
    x->config.remote_auth = SESSION_AUTH_PSK;
    ck_ok(secret_set(&x->config.local_psk, span_text("the shared key")));
    x->config.remote_psk = x->config.local_psk;
    x->sa.config = &x->config;
    x->sa.initiator = initiator;
    x->sa.suite.prf = PRF_HMAC_SHA2_256;
    x->sa.handshake = &x->handshake;
    ck_ok(secret_set(&x->sa.keys.pi, span_text("the key SK_pi")));
    ck_ok(secret_set(&x->sa.keys.pr, span_text("the key SK_pr")));
    x->handshake.init_request = (struct blob){request_bytes, sizeof request_bytes};
    x->handshake.init_response = (struct blob){response_bytes, sizeof response_bytes};
    memset(x->handshake.nonce_i.data, 'i', 32);
    memset(x->handshake.nonce_r.data, 'r', 48);
    x->handshake.nonce_i.len = 32;
    x->handshake.nonce_r.len = 48;
}

static void setup(void)
{
    now_s = (int64_t)time(NULL);
    side_init(&client, true);
    side_init(&gateway, false);
    ck_ok(identity_parse("gw.example.com", &client.config.remote_id));
    client.config.send_remote_id = true;
    root = fixture_trust("root.pem");
    other = fixture_trust("other.pem");
}

static void teardown(void)
{
    trust_store_free(root);
    trust_store_free(other);
    private_key_free(client.key);
    private_key_free(gateway.key);
    certificate_list_wipe(&client.chain);
    certificate_list_wipe(&gateway.chain);
}

static void by_certificate(struct side *x, struct side *peer, const char *name)
{
    x->config.local_auth = SESSION_AUTH_CERTIFICATE;
    read_key(x, name);
    peer->config.remote_auth = SESSION_AUTH_CERTIFICATE;
    peer->config.trust = root;
}

/* --- one way --- */

struct sent {
    uint8_t bytes[8192];
    struct sa_input in;
};

static uint8_t id_type(const struct side *from)
{
    return from->sa.initiator ? PAYLOAD_ID_I : PAYLOAD_ID_R;
}

static void parse_sent(struct sent *m)
{
    struct ike_header h;
    uint8_t bad;
    uint32_t len = (uint32_t)(m->bytes[26] << 8 | m->bytes[27]);
    ck_ok(ike_header_parse(span_make(m->bytes, len), &h));
    ck_ok(payload_list_parse(h.next_payload,
                             span_make(m->bytes + IKE_HEADER_LEN, len - IKE_HEADER_LEN),
                             &m->in.payloads, &bad));
}

static void send_proof(struct side *from, struct sent *m)
{
    static const struct ike_header h = {.major = 2, .exchange = EXCHANGE_IKE_AUTH};
    struct message_writer w;
    struct span all;
    memset(m, 0, sizeof *m);
    message_begin(&w, m->bytes, sizeof m->bytes, &h);
    id_payload_write(&w, id_type(from), &from->config.local_id);
    proof_write_certificates(&from->sa, &w);
    ck_ok(proof_write_auth(&from->sa, &w));
    ck_ok(message_finish(&w, &all));
    parse_sent(m);
}

static struct payload *sent_payload(struct sent *m, uint8_t type)
{
    for (size_t i = 0; i < m->in.payloads.count; i++)
        if (m->in.payloads.items[i].type == type)
            return &m->in.payloads.items[i];
    ck_abort_msg("no payload of type %u", type);
    return NULL;
}

static uint8_t *writable(struct sent *m, const struct payload *p)
{
    return m->bytes + (p->body.data - m->bytes);
}

static struct fault fault;
static enum session_down_reason reason;

static enum err check(struct side *to, struct sent *m, uint8_t type)
{
    memset(&fault, 0, sizeof fault);
    return proof_check_peer(&to->sa, &m->in, type, &reason, &fault);
}

static enum err prove(struct side *from, struct side *to)
{
    struct sent m;
    send_proof(from, &m);
    return check(to, &m, id_type(from));
}

static void ck_refused(enum err got, enum err expected, const char *text)
{
    ck_err(got, expected);
    ck_assert_int_eq(reason, SESSION_DOWN_PEER_UNTRUSTED);
    ck_assert_msg(strstr(fault.text, text) != NULL, "\"%s\", expected \"%s\"", fault.text, text);
    ck_assert_int_eq(client.sa.peer_id.type, IDENTITY_NONE);
    ck_assert_int_eq(gateway.sa.peer_id.type, IDENTITY_NONE);
}

/* --- shared keys --- */

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

/* --- certificates --- */

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
    struct certificate_list kept = gateway.chain;
    struct private_key *key = gateway.key;
    /* somebody else's certificate, signed with our own key of the same kind */
    fixture_shell("openssl ecparam -genkey -name prime256v1 -noout -out thief.key\ncp ec.pem "
                  "thief.pem");
    gateway.chain.count = 0;
    gateway.key = NULL;
    read_key(&gateway, "thief");
    ck_refused(prove(&gateway, &client), ERR_INTEGRITY, "signature");
    certificate_list_wipe(&kept);
    private_key_free(key);
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
    ck_ok(private_key_external(certificate_key(client.chain.items[0]), &signer, &card, NULL));
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

static Suite *suite(void)
{
    Suite *s = suite_create("ike/proof");
    TCase *t = tcase_create("shared key");
    tcase_set_timeout(t, TIMEOUT_S);
    tcase_add_unchecked_fixture(t, make_certificates, fixture_leave);
    tcase_add_checked_fixture(t, setup, teardown);
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
    tcase_add_test(t, what_we_sent_in_words);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
