/* A client that proves itself by EAP, and a gateway whose server may be a test's own. */
#ifndef TERN_TESTS_EAP_SCENE_H
#define TERN_TESTS_EAP_SCENE_H

#include "tools/gateway/eap_server.h"

#include <string.h>

#include "tests/support/fixture.h"
#include "tests/support/pair.h"

static struct pair pair;
static struct eap_server server;
static struct eap_server_policy policy;
static struct fixture_credential gateway, stranger;
static struct trust_store *trust;

/* What a server of a test's own says, and how often it was asked. */
typedef enum err serve(struct span response, struct session_eap_step *ret);
static serve *unfair;
static unsigned asked; /* by a client, after the first packet */
static unsigned begun; /* conversations */
static bool other_msk;

static enum err serve_eap(void *ctx, const struct identity *claimed, struct span response,
                          struct session_eap_step *ret)
{
    (void)ctx;
    (void)claimed;
    asked += response.len > 0 ? 1 : 0;
    begun += response.len > 0 ? 0 : 1;
    if (response.len == 0)
        eap_server_wipe(&server);
    if (unfair != NULL)
        return unfair(response, ret);
    enum err e = eap_server_step(&server, &policy, response, ret);
    if (e == ERR_OK && other_msk && ret->msk.len > 0)
        ret->msk.data[5] ^= 1;
    return e;
}

static void make_certificates(void)
{
    fixture_enter();
    fixture_authority("root");
    fixture_authority("other");
    fixture_issue("root", "gw-root", "gw", "subjectAltName=DNS:gw.example.com");
    fixture_issue("other", "gw-other", "gw", "subjectAltName=DNS:gw.example.com");
    fixture_credential_read("gw-root", &gateway);
    fixture_credential_read("gw-other", &stranger);
    trust = fixture_trust("root.pem");
}

static void drop_certificates(void)
{
    fixture_credential_wipe(&gateway);
    fixture_credential_wipe(&stranger);
    trust_store_free(trust);
    fixture_leave();
}

static void setup(void)
{
    pair_init(&pair);
    struct session_config *c = &pair.client_config, *g = &pair.gateway_config;
    c->local_auth = SESSION_AUTH_EAP;
    c->remote_auth = SESSION_AUTH_CERTIFICATE;
    c->local_psk.len = c->remote_psk.len = 0;
    c->trust = trust;
    c->wall_time = g->wall_time = fixture_wall_time;
    c->eap = (struct eap_config){.methods = {EAP_MSCHAPV2}, .method_count = 1, .name = "alice"};
    ck_ok(secret_set(&c->eap.password, span_text(FIXTURE_PASSWORD)));
    g->local_auth = SESSION_AUTH_CERTIFICATE;
    g->remote_auth = SESSION_AUTH_EAP;
    g->chain = &gateway.chain;
    g->key = gateway.key;
    g->policy.eap = serve_eap;
    policy = (struct eap_server_policy){.methods = {EAP_MSCHAPV2},
                                        .method_count = 1,
                                        .random = g->random,
                                        .find_password = fixture_find_password};
    server = (struct eap_server){.stage = EAP_SERVER_IDLE};
    unfair = NULL;
    asked = begun = 0;
    other_msk = false;
    support_log_begin();
}

/* The password is in no line of any log. */
static void teardown(void)
{
    ck_assert_ptr_null(strstr(support_logged, FIXTURE_PASSWORD));
    support_log_end();
    pair_wipe(&pair);
    eap_server_wipe(&server);
}

static void run(void)
{
    pair_start(&pair);
    pair_run(&pair, pair.now + 60000);
}

/* The gateway has nothing left of it. */
static void ck_gateway_down(void)
{
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
}

static Suite *suite_of(const char *name, TCase **t)
{
    Suite *suite = suite_create(name);
    *t = tcase_create("eap");
    tcase_add_unchecked_fixture(*t, make_certificates, drop_certificates);
    tcase_add_checked_fixture(*t, setup, teardown);
    suite_add_tcase(suite, *t);
    return suite;
}

#endif
