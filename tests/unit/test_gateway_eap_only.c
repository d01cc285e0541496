/* EAP-TLS within IKE_AUTH, and EAP alone as the gateway's proof (RFC 5998), client against gateway
 * in one process. */
#include <stdlib.h>
#include <string.h>

#include "common/ike/session_state.h"
#include "tests/support/eap_tls.h"
#include "tests/support/fixture.h"
#include "tests/support/pair.h"
#include "tools/gateway/eap_server.h"

static struct pair pair;
static struct eap_server server;
static struct eap_server_policy policy;
static unsigned asked; /* by a client, after the first packet */
static bool other_msk;

static enum err serve_eap(void *ctx, const struct identity *claimed, struct span response,
                          struct session_eap_step *ret)
{
    (void)ctx;
    (void)claimed;
    asked += response.len > 0;
    if (response.len == 0)
        eap_server_wipe(&server);
    enum err e = eap_server_step(&server, &policy, response, ret);
    if (e == ERR_OK && other_msk && ret->msk.len > 0)
        ret->msk.data[63] ^= 1;
    return e;
}

static enum err nobody(void *ctx, struct span name, struct secret *ret_password,
                       struct identity *ret_peer)
{
    (void)ctx, (void)name, (void)ret_password, (void)ret_peer;
    return ERR_NOT_FOUND;
}

static void setup(void)
{
    pair_init(&pair);
    struct session_config *c = &pair.client_config, *g = &pair.gateway_config;
    ck_ok(identity_parse("radius.example.com", &g->local_id));
    c->remote_id = g->local_id;
    c->local_auth = SESSION_AUTH_EAP;
    c->remote_auth = SESSION_AUTH_CERTIFICATE;
    c->local_psk.len = c->remote_psk.len = 0;
    c->trust = eap_tls_root;
    c->wall_time = g->wall_time = fixture_wall_time;
    c->eap = (struct eap_config){.methods = {EAP_TLS},
                                 .method_count = 1,
                                 .name = "alice@example.com",
                                 .server = g->local_id,
                                 .trust = eap_tls_root,
                                 .key = eap_tls_alice.key,
                                 .chain = &eap_tls_alice.chain,
                                 .wall_time = fixture_wall_time};
    g->local_auth = SESSION_AUTH_CERTIFICATE;
    g->remote_auth = SESSION_AUTH_EAP;
    g->chain = &eap_tls_radius.chain;
    g->key = eap_tls_radius.key;
    g->policy.eap = serve_eap;
    policy = (struct eap_server_policy){.methods = {EAP_TLS},
                                        .method_count = 1,
                                        .tls = {.server = true,
                                                .key = eap_tls_radius.key,
                                                .chain = &eap_tls_radius.chain,
                                                .trust = eap_tls_root},
                                        .wall_time = fixture_wall_time,
                                        .random = g->random,
                                        .find_password = nobody};
    asked = 0;
    other_msk = false;
    support_log_begin();
}

static void teardown(void)
{
    support_log_end();
    pair_wipe(&pair);
    eap_server_wipe(&server);
}

static void alone(void)
{
    pair.client_config.remote_auth |= SESSION_AUTH_EAP;
    pair.gateway_config.eap_only = true;
}

static void run(void)
{
    pair_start(&pair);
    pair_run(&pair, pair.now + 60000);
}

static void ck_up(void)
{
    struct session_status status;
    char who[IDENTITY_TEXT_MAX];
    pair_ck_up(&pair);
    session_status(pair.gateway, &status);
    ck_assert_str_eq(identity_format(&status.remote_id, who), "alice@example.com");
}

/* _i: 0 TLS 1.2, 1 TLS 1.3 */
START_TEST(with_the_gateways_signature)
{
    policy.tls.no_1_3 = _i == 0;
    run();
    ck_up();
    ck_assert_ptr_nonnull(strstr(support_logged, "gateway proves itself and asks by EAP"));
}
END_TEST

START_TEST(eap_alone)
{
    policy.tls.no_1_3 = _i == 0;
    alone();
    run();
    ck_up();
    ck_assert_ptr_nonnull(strstr(support_logged, "gateway asks by EAP, and has not proven itself"));
}
END_TEST

static mono_ms far(const struct pair *p)
{
    (void)p;
    return 700;
}

/* The gateway is asked on until it has proven itself, which takes several trips now: what it says
 * to that again is nothing new. */
START_TEST(eap_alone_far_away)
{
    policy.tls.no_1_3 = _i == 0;
    alone();
    pair.delay = far;
    run();
    ck_up();
    ck_assert_uint_le(pair.datagrams, 60);
}
END_TEST

static bool nothing_after_the_seventh(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)from_client, (void)bytes, (void)len;
    return p->datagrams <= 7;
}

/* Until its last AUTH it is nobody yet, and what is going on is told. */
START_TEST(in_the_midst_of_it)
{
    struct session_status status;
    alone();
    pair.wire = nothing_after_the_seventh;
    pair_start(&pair);
    pair_pump(&pair);
    session_status(pair.client, &status);
    ck_assert(status.eap);
    ck_assert_int_eq(status.remote_id.type, IDENTITY_NONE);
    ck_assert_int_eq(status.state, SESSION_CONNECTING);
    struct trust_store *renewed;
    ck_ok(trust_store_new_like(eap_tls_other, &renewed)); /* for EAP, from now on */
    session_set_trust(pair.client, pair.client->config.trust, renewed);
    ck_assert_ptr_eq(pair.client->config.eap.trust, renewed);
    pair.wire = NULL;
    pair_run(&pair, pair.now + 60000);
    pair_ck_down(&pair, SESSION_DOWN_PEER_UNTRUSTED, "the EAP server was not accepted");
    trust_store_free(renewed);
}
END_TEST

/* Either may not know of it: then it is as it always was. */
START_TEST(one_side_alone_is_none)
{
    pair.client_config.remote_auth |= _i == 0 ? SESSION_AUTH_EAP : 0U;
    pair.gateway_config.eap_only = _i == 1;
    run();
    ck_up();
    ck_assert_ptr_nonnull(strstr(support_logged, "gateway proves itself and asks by EAP"));
}
END_TEST

/* Once it has asked, the client has second thoughts: to it the gateway leaves out its proof
 * unasked.
 */
static bool change_of_mind(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    if (from_client && p->datagrams >= 3)
        p->client->config.remote_auth = SESSION_AUTH_CERTIFICATE;
    return true;
}

START_TEST(not_a_word_without_the_signature_that_is_wanted)
{
    alone();
    pair.wire = change_of_mind;
    run();
    const struct fault *f = pair_ck_down(&pair, SESSION_DOWN_PEER_UNTRUSTED,
                                         "asks by EAP without having proven itself");
    ck_assert_ptr_nonnull(strstr(f->hint, "Authentication = eap"));
    ck_assert_uint_eq(asked, 0);
}
END_TEST

START_TEST(a_gateway_of_another_name)
{
    alone();
    ck_ok(identity_parse("vpn.example.net", &pair.client_config.remote_id));
    run();
    pair_ck_down(&pair, SESSION_DOWN_PEER_UNTRUSTED, "profile expects \"vpn.example.net\"");
    ck_assert_uint_eq(asked, 0);
}
END_TEST

/* The certificate is judged within EAP now. */
START_TEST(an_eap_server_that_is_not_trusted)
{
    alone();
    policy.tls.key = eap_tls_other_radius.key;
    policy.tls.chain = &eap_tls_other_radius.chain;
    run();
    pair_ck_down(&pair, SESSION_DOWN_PEER_UNTRUSTED, "the EAP server was not accepted");
}
END_TEST

START_TEST(our_certificate_is_refused)
{
    alone();
    pair.client_config.eap.key = eap_tls_other_alice.key;
    pair.client_config.eap.chain = &eap_tls_other_alice.chain;
    run();
    pair_ck_down(&pair, SESSION_DOWN_REFUSED, "the EAP server refused our certificate");
}
END_TEST

/* What binds EAP to the gateway: the key, in the last AUTH of both. */
START_TEST(last_auth_with_another_key)
{
    alone();
    other_msk = true;
    run();
    pair_ck_down(&pair, SESSION_DOWN_REFUSED, "refused our AUTH");
}
END_TEST

START_TEST(configurations_that_cannot_be)
{
    struct session *s = NULL;
    struct session_config *c = &pair.client_config;
    c->remote_auth = SESSION_AUTH_EAP; /* a gateway may sign all the same */
    ck_err(session_new(c, &s), ERR_MALFORMED);
    c->remote_auth = SESSION_AUTH_EAP | SESSION_AUTH_PSK;
    ck_err(session_new(c, &s), ERR_MALFORMED);
    c->remote_auth = SESSION_AUTH_EAP | SESSION_AUTH_CERTIFICATE;
    c->eap.server.type = IDENTITY_NONE;
    ck_err(session_new(c, &s), ERR_MALFORMED);
    c->eap.server = c->remote_id;
    c->eap.methods[c->eap.method_count++] = EAP_MSCHAPV2;
    ck_ok(secret_set(&c->eap.password, span_text("x")));
    ck_err(session_new(c, &s), ERR_MALFORMED);
    c->remote_auth = SESSION_AUTH_CERTIFICATE;
    ck_ok(session_new(c, &s));
    session_free(s);
    c->eap.key = NULL;
    ck_err(session_new(c, &s), ERR_MALFORMED);
    c->eap.methods[0] = EAP_PEAP; /* nothing is inside */
    ck_err(session_new(c, &s), ERR_MALFORMED);
    c->eap.inner[c->eap.inner_count++] = EAP_GTC;
    ck_ok(session_new(c, &s));
    session_free(s);
    c->eap.trust = NULL;
    ck_err(session_new(c, &s), ERR_MALFORMED);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("eap only");
    TCase *t = tcase_create("only");
    tcase_add_unchecked_fixture(t, eap_tls_certificates, eap_tls_certificates_drop);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, with_the_gateways_signature, 0, 2);
    tcase_add_loop_test(t, eap_alone, 0, 2);
    tcase_add_loop_test(t, eap_alone_far_away, 0, 2);
    tcase_add_test(t, in_the_midst_of_it);
    tcase_add_loop_test(t, one_side_alone_is_none, 0, 2);
    tcase_add_test(t, not_a_word_without_the_signature_that_is_wanted);
    tcase_add_test(t, a_gateway_of_another_name);
    tcase_add_test(t, an_eap_server_that_is_not_trusted);
    tcase_add_test(t, our_certificate_is_refused);
    tcase_add_test(t, last_auth_with_another_key);
    tcase_add_test(t, configurations_that_cannot_be);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
