/* Two sides of an IKE_AUTH, of which one proves itself to the other, by a shared key or by
 * certificates that the openssl command makes. */
#ifndef TERN_TESTS_PROOF_SCENE_H
#define TERN_TESTS_PROOF_SCENE_H

#include "common/ike/auth.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

static void make_certificates(void)
{
    fixture_enter();
    fixture_authority("root");
    fixture_authority("other");
    fixture_shell("openssl ecparam -genkey -name prime256v1 -noout -out ec.key\n"
                  "openssl genrsa -out rsa.key 2048\n"
                  "openssl genpkey -algorithm ED25519 -out ed.key\n"
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
    struct fixture_credential own;
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
    fixture_credential_wipe(&x->own);
    fixture_credential_read(name, &x->own);
    x->config.key = x->own.key;
    x->config.chain = &x->own.chain;
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
    fixture_credential_wipe(&client.own);
    fixture_credential_wipe(&gateway.own);
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

static Suite *suite_of(const char *name, TCase **t)
{
    Suite *suite = suite_create(name);
    *t = tcase_create("proof");
    tcase_set_timeout(*t, 60);
    tcase_add_unchecked_fixture(*t, make_certificates, fixture_leave);
    tcase_add_checked_fixture(*t, setup, teardown);
    suite_add_tcase(suite, *t);
    return suite;
}

#endif
