/* What a client may prove beside one proof of who it is, against the gateway in one process: that
 * it has a post-quantum pre-shared key (RFC 8784), by signature and after EAP; and who uses it,
 * after what it is (RFC 4739). The openssl command makes the certificates. */
#include "tools/gateway/eap_server.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/fixture.h"
#include "tests/support/pair.h"

#define PPK_KEY "canary of the tests, the one against quantum computers"

static struct pair pair;
static struct eap_server server;
static struct eap_server_policy policy;
static struct fixture_credential gateway, machine, user;
static struct trust_store *trust;
static bool ppk_known;
static unsigned asked; /* by EAP, after the first packet */

static enum err serve_eap(void *ctx, const struct identity *claimed, struct span response,
                          struct session_eap_step *ret)
{
    (void)ctx;
    (void)claimed;
    asked += response.len > 0 ? 1 : 0;
    if (response.len == 0)
        eap_server_wipe(&server);
    return eap_server_step(&server, &policy, response, ret);
}

static enum err find_ppk(void *ctx, const struct identity *peer, struct span id, struct secret *ret)
{
    (void)ctx;
    (void)peer;
    if (!ppk_known || !span_equal(id, span_text("alice-ppk")))
        return ERR_NOT_FOUND;
    return secret_set(ret, span_text(PPK_KEY));
}

/* --- certificates --- */

static void make_certificates(void)
{
    fixture_enter();
    fixture_authority("ca");
    fixture_issue("ca", "gw", "gw", "subjectAltName=DNS:gw.example.com");
    fixture_issue("ca", "laptop7", "laptop7", "subjectAltName=DNS:laptop7.example.com");
    fixture_issue("ca", "alice", "alice", "subjectAltName=DNS:alice.example.com");
    fixture_credential_read("gw", &gateway);
    fixture_credential_read("laptop7", &machine);
    fixture_credential_read("alice", &user);
    trust = fixture_trust("ca.pem");
}

static void drop_certificates(void)
{
    fixture_credential_wipe(&gateway);
    fixture_credential_wipe(&machine);
    fixture_credential_wipe(&user);
    trust_store_free(trust);
    fixture_leave();
}

/* --- a client with a certificate, a gateway with one --- */

static void setup(void)
{
    pair_init(&pair);
    struct session_config *c = &pair.client_config, *g = &pair.gateway_config;
    ck_ok(identity_parse("laptop7.example.com", &c->local_id));
    c->local_auth = c->remote_auth = SESSION_AUTH_CERTIFICATE;
    c->local_psk.len = c->remote_psk.len = 0;
    c->key = machine.key;
    c->chain = &machine.chain;
    c->trust = g->trust = trust;
    c->wall_time = g->wall_time = fixture_wall_time;
    g->local_auth = SESSION_AUTH_CERTIFICATE;
    g->remote_auth = SESSION_AUTH_CERTIFICATE | SESSION_AUTH_EAP;
    g->chain = &gateway.chain;
    g->key = gateway.key;
    g->policy.eap = serve_eap;
    g->policy.find_ppk = find_ppk;
    policy = (struct eap_server_policy){.methods = {EAP_MSCHAPV2},
                                        .method_count = 1,
                                        .random = g->random,
                                        .find_password = fixture_find_password};
    server = (struct eap_server){.stage = EAP_SERVER_IDLE};
    ppk_known = true;
    asked = 0;
    support_log_begin();
}

/* Neither password nor key is in a line of any log. */
static void teardown(void)
{
    ck_assert_ptr_null(strstr(support_logged, "canary"));
    support_log_end();
    pair_wipe(&pair);
    eap_server_wipe(&server);
}

static void use_eap(struct eap_config *eap, uint8_t method)
{
    *eap = (struct eap_config){.methods = {method}, .method_count = 1, .name = "alice"};
    ck_ok(secret_set(&eap->password, span_text(FIXTURE_PASSWORD)));
    policy.methods[0] = method;
}

static void run(void)
{
    pair_start(&pair);
    pair_run(&pair, pair.now + 60000);
}

static struct session_status status_of(const struct session *s)
{
    struct session_status status;
    session_status(s, &status);
    return status;
}

/* --- PPK --- */

static void use_ppk(enum session_ppk_use ours, enum session_ppk_use theirs)
{
    struct session_ppk *ppk = &pair.client_config.ppk;
    ppk->use = ours;
    memcpy(ppk->id, "alice-ppk", sizeof("alice-ppk"));
    ck_ok(secret_set(&ppk->key, span_text(PPK_KEY)));
    pair.gateway_config.ppk.use = theirs;
}

static void ck_ppk(bool used)
{
    pair_ck_up(&pair);
    ck_assert_int_eq(status_of(pair.client).ppk, used);
    ck_assert_int_eq(status_of(pair.gateway).ppk, used);
}

/* RFC 8784 3: AUTH is signed with it in it; NO_PPK_AUTH holds a second signature. */
START_TEST(ppk_and_a_signature)
{
    use_ppk(SESSION_PPK_OPTIONAL, SESSION_PPK_OPTIONAL);
    ppk_known = _i == 0;
    run();
    ck_ppk(ppk_known);
}
END_TEST

static const uint8_t methods[] = {EAP_MSCHAPV2, EAP_MD5, EAP_GTC};

/* RFC 8784 3: the last AUTH of each side, by whatever key the method makes. */
START_TEST(ppk_after_eap)
{
    struct session_config *c = &pair.client_config;
    c->local_auth = SESSION_AUTH_EAP;
    use_eap(&c->eap, methods[_i % 3]);
    ppk_known = _i < 6;
    enum session_ppk_use use = _i < 3 ? SESSION_PPK_REQUIRED : SESSION_PPK_OPTIONAL;
    use_ppk(use, use);
    run();
    ck_ppk(ppk_known);
}
END_TEST

START_TEST(ppk_refused_after_eap)
{
    struct session_config *c = &pair.client_config;
    c->local_auth = SESSION_AUTH_EAP;
    use_eap(&c->eap, methods[_i]);
    use_ppk(SESSION_PPK_REQUIRED, SESSION_PPK_OPTIONAL);
    c->ppk.key.data[0] ^= 1;
    run();
    const struct fault *f = pair_ck_down(&pair, SESSION_DOWN_REFUSED, "though EAP had succeeded");
    ck_assert_ptr_nonnull(strstr(f->hint, "the PPK \"alice-ppk\" of 54 octets"));
}
END_TEST

/* --- the machine, then its user --- */

static void ck_gateway_knows(const char *who)
{
    struct session_status status = status_of(pair.gateway);
    char id[IDENTITY_TEXT_MAX];
    ck_assert_str_eq(identity_format(&status.remote_id, id), who);
}

static void use_second(enum session_auth auth, enum session_second_use theirs)
{
    struct session_second *second = &pair.client_config.second;
    second->auth = auth;
    ck_ok(identity_parse("alice.example.com", &second->id));
    if (auth == SESSION_AUTH_EAP)
        use_eap(&pair.client_config.eap, EAP_MSCHAPV2);
    second->key = user.key;
    second->chain = &user.chain;
    pair.gateway_config.second_use = theirs;
}

START_TEST(user_by_eap)
{
    use_second(SESSION_AUTH_EAP, SESSION_SECOND_REQUIRED);
    use_eap(&pair.client_config.eap, methods[_i]);
    run();
    pair_ck_up(&pair);
    ck_gateway_knows("alice");
}
END_TEST

START_TEST(user_by_certificate)
{
    use_second(SESSION_AUTH_CERTIFICATE, SESSION_SECOND_OPTIONAL);
    run();
    pair_ck_up(&pair);
    ck_gateway_knows("alice.example.com");
}
END_TEST

START_TEST(user_without_a_child_at_first)
{
    use_second(_i == 0 ? SESSION_AUTH_EAP : SESSION_AUTH_CERTIFICATE, SESSION_SECOND_OPTIONAL);
    pair.client_config.childless = true;
    run();
    pair_ck_up(&pair);
}
END_TEST

START_TEST(any_one_datagram_may_be_lost)
{
    use_second(SESSION_AUTH_EAP, SESSION_SECOND_OPTIONAL);
    pair.wire = pair_lose_marked;
    pair.marked = (unsigned)_i + 1;
    run();
    ck_assert_uint_gt(pair.datagrams, pair.marked);
    pair_ck_up(&pair);
}
END_TEST

START_TEST(user_and_ppk)
{
    use_second(_i % 2 == 0 ? SESSION_AUTH_EAP : SESSION_AUTH_CERTIFICATE, SESSION_SECOND_OPTIONAL);
    ppk_known = _i < 2;
    use_ppk(SESSION_PPK_OPTIONAL, SESSION_PPK_OPTIONAL);
    run();
    ck_ppk(ppk_known);
}
END_TEST

START_TEST(machine_refused)
{
    use_second(SESSION_AUTH_EAP, SESSION_SECOND_OPTIONAL);
    pair.client_config.chain = &user.chain;
    pair.client_config.key = user.key; /* of another name */
    run();
    const struct fault *f = pair_ck_down(&pair, SESSION_DOWN_REFUSED, "our credentials of [Local]");
    ck_assert_ptr_nonnull(strstr(f->hint, "\"laptop7.example.com\" with certificate"));
    ck_assert_uint_eq(asked, 0);
}
END_TEST

START_TEST(user_refused)
{
    use_second(SESSION_AUTH_EAP, SESSION_SECOND_OPTIONAL);
    ck_ok(secret_set(&pair.client_config.eap.password, span_text("another canary")));
    run();
    (void)pair_ck_down(&pair, SESSION_DOWN_REFUSED, "wrong user name or password");
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

START_TEST(user_of_another_certificate)
{
    use_second(SESSION_AUTH_CERTIFICATE, SESSION_SECOND_OPTIONAL);
    ck_ok(identity_parse("mallory.example.com", &pair.client_config.second.id));
    run();
    const struct fault *f =
        pair_ck_down(&pair, SESSION_DOWN_REFUSED, "of [User], not those of [Local]");
    ck_assert_ptr_nonnull(strstr(f->hint, "\"mallory.example.com\" with certificate"));
}
END_TEST

START_TEST(gateway_that_takes_one)
{
    use_second(SESSION_AUTH_EAP, SESSION_SECOND_OFF);
    run();
    (void)pair_ck_down(&pair, SESSION_DOWN_PEER_UNTRUSTED, "does not take two proofs");
    ck_assert_uint_eq(asked, 0);
}
END_TEST

/* Not a word of EAP for it. */
START_TEST(gateway_that_is_not_trusted)
{
    use_second(SESSION_AUTH_EAP, SESSION_SECOND_OPTIONAL);
    ck_ok(identity_parse("vpn.example.net", &pair.client_config.remote_id));
    run();
    (void)pair_ck_down(&pair, SESSION_DOWN_PEER_UNTRUSTED, "vpn.example.net");
    ck_assert_uint_eq(server.stage, EAP_SERVER_IDLE);
}
END_TEST

START_TEST(user_alone_where_two_are_required)
{
    pair.client_config.local_auth = SESSION_AUTH_EAP;
    use_eap(&pair.client_config.eap, EAP_MSCHAPV2);
    pair.gateway_config.second_use = SESSION_SECOND_REQUIRED;
    run();
    (void)pair_ck_down(&pair, SESSION_DOWN_REFUSED, "AUTHENTICATION_FAILED");
    ck_assert_uint_eq(server.stage, EAP_SERVER_IDLE);
}
END_TEST

/* What is built anew proves both again; rekeying proves neither. */
START_TEST(proven_again)
{
    use_second(SESSION_AUTH_EAP, SESSION_SECOND_REQUIRED);
    run();
    pair_ck_up(&pair);
    unsigned before = asked;
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_BOTH));
    pair_run(&pair, pair.now + 5000);
    ck_assert_uint_eq(asked, before);
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 5000);
    ck_assert_uint_eq(asked, 2 * before);
    ck_assert_uint_eq(status_of(pair.client).reconnects, 1);
    ck_gateway_knows("alice");
}
END_TEST

/* A code that was entered serves one of them. */
START_TEST(codes_serve_once)
{
    use_second(SESSION_AUTH_EAP, SESSION_SECOND_REQUIRED);
    use_eap(&pair.client_config.eap, EAP_GTC);
    pair.client_config.eap_once = true;
    run();
    pair_ck_up(&pair);
    unsigned before = asked;
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 5000);
    ck_assert_uint_eq(asked, before);
    ck_assert_ptr_nonnull(strstr(support_logged, "wants a new code"));
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
}
END_TEST

/* From IKE_AUTH's first request to EAP's last answer. */
START_TEST(stopped_on_the_way)
{
    use_second(SESSION_AUTH_EAP, SESSION_SECOND_REQUIRED);
    pair_start(&pair);
    pair.wire = pair_lose_marked;
    pair.marked = (unsigned)_i + 1;
    pair_pump(&pair);
    session_stop(pair.client, pair.now);
    pair_run(&pair, pair.now + 30000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_DOWN);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_CHILD_UP));
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

START_TEST(two_proofs_that_cannot_be_made)
{
    struct session *s;
    struct session_config c;
    use_second(SESSION_AUTH_CERTIFICATE, SESSION_SECOND_OPTIONAL);
    c = pair.client_config;
    c.second.id.type = IDENTITY_NONE;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.second.key = NULL;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.second.auth = SESSION_AUTH_PSK;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c.second.auth = SESSION_AUTH_EAP; /* without a method */
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    use_eap(&c.eap, EAP_MSCHAPV2);
    c.local_auth = SESSION_AUTH_EAP;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gateway_proofs");
    TCase *c = tcase_create("proofs");
    tcase_add_unchecked_fixture(c, make_certificates, drop_certificates);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, ppk_and_a_signature, 0, 2);
    tcase_add_loop_test(c, ppk_after_eap, 0, 9);
    tcase_add_loop_test(c, ppk_refused_after_eap, 0, 3);
    tcase_add_loop_test(c, user_by_eap, 0, 3);
    tcase_add_test(c, user_by_certificate);
    tcase_add_loop_test(c, user_without_a_child_at_first, 0, 2);
    tcase_add_loop_test(c, any_one_datagram_may_be_lost, 0, 14);
    tcase_add_loop_test(c, user_and_ppk, 0, 4);
    tcase_add_test(c, machine_refused);
    tcase_add_test(c, user_refused);
    tcase_add_test(c, user_of_another_certificate);
    tcase_add_test(c, gateway_that_takes_one);
    tcase_add_test(c, gateway_that_is_not_trusted);
    tcase_add_test(c, user_alone_where_two_are_required);
    tcase_add_test(c, proven_again);
    tcase_add_test(c, codes_serve_once);
    tcase_add_loop_test(c, stopped_on_the_way, 2, 12);
    tcase_add_test(c, two_proofs_that_cannot_be_made);
    suite_add_tcase(s, c);
    return support_run(s);
}
