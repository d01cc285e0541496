/* EAP within IKE_AUTH (RFC 7296 2.16), client against gateway in one process: what comes up, what a
 * gateway that does not play fair gets out of a client, and what a client out of the gateway. */
#include "tools/gateway/eap_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ike/session_state.h"
#include "tests/support/fixture.h"
#include "tests/support/pair.h"

static struct pair pair;
static struct eap_server server;
static struct eap_server_policy policy;
static struct certificate_list chain, stranger_chain;
static struct private_key *key, *stranger_key;
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
    fixture_shell("set -e\n"
                  "printf 'subjectAltName=DNS:gw.example.com\\n' >ext\n"
                  "for ca in root other; do\n"
                  "openssl ecparam -genkey -name prime256v1 -noout -out $ca.key\n"
                  "openssl req -new -x509 -key $ca.key -subj \"/CN=$ca\" -days 30 -out $ca.pem\n"
                  "openssl ecparam -genkey -name prime256v1 -noout -out gw-$ca.key\n"
                  "openssl req -new -key gw-$ca.key -subj /CN=gw -out req\n"
                  "openssl x509 -req -in req -days 20 -CA $ca.pem -CAkey $ca.key -set_serial 1 "
                  "-extfile ext -out gw-$ca.pem; done\n");
    fixture_credential("gw-root", &chain, &key);
    fixture_credential("gw-other", &stranger_chain, &stranger_key);
    trust = fixture_trust("root.pem");
}

static void drop_certificates(void)
{
    certificate_list_wipe(&chain);
    certificate_list_wipe(&stranger_chain);
    private_key_free(key);
    private_key_free(stranger_key);
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
    g->chain = &chain;
    g->key = key;
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

static void use_method(uint8_t type)
{
    pair.client_config.eap.methods[0] = policy.methods[0] = type;
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

/* --- coming up --- */

static const uint8_t methods[] = {EAP_MSCHAPV2, EAP_MD5, EAP_GTC};

START_TEST(comes_up)
{
    use_method(methods[_i]);
    pair_start(&pair);
    pair_pump(&pair);
    pair_ck_up(&pair);
    /* IKE_SA_INIT; the gateway's proof and identity; method; (its end); Success; AUTH */
    ck_assert_uint_eq(pair.datagrams, methods[_i] == EAP_MSCHAPV2 ? 12 : 10);
    struct session_status status;
    char who[IDENTITY_TEXT_MAX];
    session_status(pair.gateway, &status);
    ck_assert_str_eq(identity_format(&status.remote_id, who), "alice");
    ck_assert(status.peer_mobike);
    session_status(pair.client, &status);
    ck_assert_str_eq(identity_format(&status.remote_id, who), "gw.example.com");
    ck_assert(status.peer_mobike);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_CONFIG);
    ck_assert_uint_eq(e->config.address_count, 1);
}
END_TEST

START_TEST(comes_up_without_a_child_at_first)
{
    pair.client_config.childless = pair.gateway_config.childless = true;
    run();
    pair_ck_up(&pair);
}
END_TEST

START_TEST(comes_up_with_what_both_have)
{
    policy = (struct eap_server_policy){.methods = {EAP_MD5, EAP_GTC, EAP_MSCHAPV2},
                                        .method_count = 3,
                                        .random = policy.random,
                                        .find_password = fixture_find_password};
    run();
    pair_ck_up(&pair);
    ck_assert_uint_eq(server.method, EAP_MSCHAPV2);
}
END_TEST

START_TEST(any_one_datagram_may_be_lost)
{
    pair.marked = (unsigned)_i + 1;
    pair.wire = pair_lose_marked;
    run();
    pair_ck_up(&pair);
    ck_assert_uint_eq(begun, 1);
}
END_TEST

START_TEST(rekeys_as_any_other)
{
    run();
    pair_ck_up(&pair);
    pair_forget_events(&pair);
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_BOTH));
    pair_run(&pair, pair.now + 10000);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 2);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
}
END_TEST

/* --- refused --- */

START_TEST(wrong_password)
{
    ck_ok(secret_set(&pair.client_config.eap.password, span_text("another")));
    run();
    pair_ck_down(&pair, SESSION_DOWN_REFUSED,
                 "wrong user name or password (EAP-MSCHAPv2 error 691)");
    ck_gateway_down();
    ck_assert_uint_eq(begun, 1);
}
END_TEST

START_TEST(wrong_password_by_other_methods)
{
    use_method(methods[_i]);
    ck_ok(secret_set(&pair.client_config.eap.password, span_text("another")));
    run();
    const struct fault *f =
        pair_ck_down(&pair, SESSION_DOWN_REFUSED, "refused our credentials (EAP Failure)");
    ck_assert_ptr_nonnull(strstr(f->hint, "user name \"alice\" and proof by EAP-"));
    ck_assert_uint_eq(begun, 1);
}
END_TEST

START_TEST(unknown_user)
{
    memcpy(pair.client_config.eap.name, "mallory", 8);
    run();
    pair_ck_down(&pair, SESSION_DOWN_REFUSED, "\"mallory\"");
    ck_gateway_down();
}
END_TEST

START_TEST(no_method_in_common)
{
    policy.methods[0] = EAP_MD5;
    run();
    pair_ck_down(&pair, SESSION_DOWN_REFUSED, "wants EAP-MD5; we offer EAP-MSCHAPv2");
}
END_TEST

START_TEST(gateway_that_does_not_serve_it)
{
    pair.gateway_config.remote_auth = SESSION_AUTH_PSK;
    run();
    const struct fault *f = pair_ck_down(&pair, SESSION_DOWN_REFUSED, "AUTHENTICATION_FAILED");
    ck_assert_ptr_nonnull(strstr(f->hint, "wanting EAP"));
}
END_TEST

/* --- the gateway's own proof --- */

/* Nothing of EAP leaves, not even the user's name, for a gateway that has not proven itself. */
START_TEST(no_word_before_the_gateway_is_proven)
{
    pair.gateway_config.chain = &stranger_chain;
    pair.gateway_config.key = stranger_key;
    run();
    pair_ck_down(&pair, SESSION_DOWN_PEER_UNTRUSTED, "other");
    ck_assert_uint_eq(begun, 1);
    ck_assert_uint_eq(asked, 0);
    ck_gateway_down();
}
END_TEST

START_TEST(no_word_for_a_gateway_of_another_name)
{
    ck_ok(identity_parse("vpn.example.net", &pair.client_config.remote_id));
    run();
    pair_ck_down(&pair, SESSION_DOWN_PEER_UNTRUSTED, "vpn.example.net");
    ck_assert_uint_eq(asked, 0);
}
END_TEST

/* The method's key binds EAP to the gateway that we talk to. */
START_TEST(last_auth_with_another_key)
{
    other_msk = true;
    run();
    pair_ck_down(&pair, SESSION_DOWN_REFUSED, "refused our AUTH");
    ck_gateway_down();
}
END_TEST

/* The gateway's last answer is on its way when what the client has of the key changes. */
static bool change_msk(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)bytes, (void)len;
    for (size_t i = 0; !from_client && p->datagrams == 12 && i < SESSION_SAS_MAX; i++) {
        struct ike_sa *sa = p->client->sas[i];
        if (sa != NULL && sa->handshake != NULL && sa->handshake->msk.len > 0)
            sa->handshake->msk.data[5] ^= 1;
    }
    return true;
}

START_TEST(last_auth_of_somebody_else)
{
    pair.wire = change_msk;
    pair_start(&pair);
    pair_run(&pair, 60000);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->down.reason, SESSION_DOWN_PEER_UNTRUSTED);
    ck_assert_ptr_nonnull(strstr(e->down.fault.text, "last AUTH is wrong"));
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_CHILD_UP));
    ck_gateway_down();
}
END_TEST

/* --- gateways that do not play fair --- */

static enum err put(struct session_eap_step *ret, uint8_t code, uint8_t identifier, uint8_t type,
                    struct span data)
{
    struct wire_writer w;
    ret->outcome = EAP_GOING_ON;
    wire_writer_init(&w, ret->packet, sizeof(ret->packet));
    wire_write_u8(&w, code);
    wire_write_u8(&w, identifier);
    wire_write_u16(&w, (uint16_t)((type != 0 ? 5 : 4) + data.len));
    if (type != 0)
        wire_write_u8(&w, type);
    wire_write_span(&w, data);
    ret->packet_len = w.len;
    return wire_write_finish(&w);
}

static enum err unearned_success(struct span response, struct session_eap_step *ret)
{
    (void)response;
    return put(ret, EAP_SUCCESS, 1, 0, SPAN_EMPTY);
}

static enum err success_after_identity(struct span response, struct session_eap_step *ret)
{
    if (response.len == 0)
        return put(ret, EAP_REQUEST, 1, EAP_IDENTITY, SPAN_EMPTY);
    return put(ret, EAP_SUCCESS, 1, 0, SPAN_EMPTY);
}

/* The client's response is not answered with the server's own proof. */
static enum err success_without_proof(struct span response, struct session_eap_step *ret)
{
    enum err e = eap_server_step(&server, &policy, response, ret);
    if (server.stage == EAP_SERVER_JUDGED)
        return put(ret, EAP_SUCCESS, server.identifier - 1, 0, SPAN_EMPTY);
    return e;
}

static enum err proof_that_is_false(struct span response, struct session_eap_step *ret)
{
    enum err e = eap_server_step(&server, &policy, response, ret);
    if (server.stage == EAP_SERVER_JUDGED)
        ret->packet[11] = ret->packet[11] == 'A' ? 'B' : 'A';
    return e;
}

static enum err without_end(struct span response, struct session_eap_step *ret)
{
    (void)response;
    return put(ret, EAP_REQUEST, (uint8_t)asked, EAP_NOTIFICATION, span_text("patience"));
}

static enum err method_that_changes(struct span response, struct session_eap_step *ret)
{
    enum err e = eap_server_step(&server, &policy, response, ret);
    if (server.stage == EAP_SERVER_JUDGED)
        return put(ret, EAP_REQUEST, 77, EAP_GTC, span_text("Password:"));
    return e;
}

static enum err broken_packet(struct span response, struct session_eap_step *ret)
{
    (void)response;
    return put(ret, EAP_REQUEST, 1, EAP_MSCHAPV2, span_text("\x01\x01\xff\xff"));
}

static const struct {
    serve *serve;
    enum session_down_reason reason;
    const char *words;
} unfair_ones[] = {
    {unearned_success, SESSION_DOWN_PEER_UNTRUSTED, "has not come to its end"},
    {success_after_identity, SESSION_DOWN_PEER_UNTRUSTED, "has not come to its end"},
    {success_without_proof, SESSION_DOWN_PEER_UNTRUSTED, "has not come to its end"},
    {proof_that_is_false, SESSION_DOWN_PEER_UNTRUSTED, "does not know the password"},
    {without_end, SESSION_DOWN_PROTOCOL, "without end"},
    {method_that_changes, SESSION_DOWN_PROTOCOL, "changes from EAP-MSCHAPv2"},
    {broken_packet, SESSION_DOWN_PROTOCOL, "is broken"},
};

START_TEST(does_not_play_fair)
{
    unfair = unfair_ones[_i].serve;
    run();
    pair_ck_down(&pair, unfair_ones[_i].reason, unfair_ones[_i].words);
    ck_gateway_down(); /* it has been told */
}
END_TEST

static enum err odd_failure(struct span response, struct session_eap_step *ret)
{
    static const char words[] = "\x04\x01\x00\x23"
                                "E=691 R=1 M=\033]0;owned\007\nerror: x";
    enum err e = eap_server_step(&server, &policy, response, ret);
    if (server.stage == EAP_SERVER_JUDGED)
        return put(ret, EAP_REQUEST, server.identifier, EAP_MSCHAPV2,
                   span_make(words, sizeof(words) - 1));
    return e;
}

/* A gateway's words do not drive a terminal, and are no line of their own. */
START_TEST(words_of_the_gateway)
{
    ck_ok(secret_set(&pair.client_config.eap.password, span_text("another")));
    unfair = odd_failure;
    run();
    const struct fault *f = pair_ck_down(&pair, SESSION_DOWN_REFUSED, "would take another try");
    ck_assert_ptr_nonnull(strstr(f->text, "\\x1b]0;owned\\x07\\x0aerror: x"));
    ck_assert_ptr_null(strpbrk(f->text, "\033\007\n"));
}
END_TEST

/* --- what is out of place --- */

static const struct ike_sa *unproven_client(void)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        const struct ike_sa *sa = pair.client->sas[i];
        if (sa != NULL && sa->handshake != NULL && sa->seal != NULL)
            return sa;
    }
    return NULL;
}

/* A request of the client's in place of the one that is on its way: sealed with its keys, and of an
 * exchange whose time has not come. */
static void ask_out_of_place(uint8_t exchange)
{
    const struct ike_sa *sa = unproven_client();
    ck_assert_ptr_nonnull(sa);
    const struct ike_header h = {.spi_i = sa->spi_i,
                                 .spi_r = sa->spi_r,
                                 .major = 2,
                                 .exchange = exchange,
                                 .flags = IKE_FLAG_INITIATOR,
                                 .message_id = sa->window.request.id};
    const struct path at = {.local = sa->path.remote, .remote = sa->path.local, .interface = 1};
    uint8_t buffer[2048];
    struct message_writer m;
    struct proposal_list esp = pair.client_config.esp;
    struct nonce nonce;
    struct span message;
    message_begin(&m, buffer, sizeof(buffer), &h);
    size_t sk = sk_begin(&m, sa->seal);
    for (size_t i = 0; i < esp.count; i++)
        child_spi_put(&esp.items[i], 0x11223344);
    write_proposals(&m, &esp);
    nonce_make(sa, &nonce);
    payload_write(&m, PAYLOAD_NONCE, nonce_span(&nonce));
    ts_payload_write(&m, PAYLOAD_TS_I, &pair.client_config.remote_selectors);
    ts_payload_write(&m, PAYLOAD_TS_R, &pair.client_config.remote_selectors);
    ck_ok(sk_seal(&m, sk, sa->seal, 1000 + pair.marked, &message));
    session_input(pair.gateway, pair.now, &at, message);
}

/* CREATE_CHILD_SA before the client is proven changes nothing; what it goes on with, counts. */
START_TEST(nothing_is_created_before_the_end)
{
    pair.marked = 5 + 2 * (unsigned)_i; /* a round of EAP; the last AUTH */
    pair.wire = pair_lose_marked;
    pair_start(&pair);
    pair_pump(&pair);
    struct session_datagram d;
    ck_assert_uint_eq(pair.datagrams, pair.marked);
    ask_out_of_place(EXCHANGE_CREATE_CHILD_SA);
    ck_assert(!session_output(pair.gateway, pair.now, &d));
    ck_assert_ptr_null(pair_gateway_event(&pair, SESSION_EVENT_CHILD_UP));
    pair_run(&pair, 60000);
    pair_ck_up(&pair);
}
END_TEST

/* --- stopping --- */

static bool stop_in_the_midst(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)from_client, (void)bytes, (void)len;
    if (p->datagrams == p->marked)
        session_stop(p->client, p->now);
    return true;
}

/* Whenever it is stopped: nothing more of EAP leaves, and the gateway hears of the end. */
START_TEST(stopped_in_the_midst)
{
    pair.marked = 4 + 2 * (unsigned)_i; /* the gateway's answer is on its way */
    pair.wire = stop_in_the_midst;
    pair_start(&pair);
    pair_pump(&pair);
    unsigned before = (unsigned)_i;
    pair_run(&pair, 60000);
    ck_assert_uint_eq(asked, before);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->down.reason, SESSION_DOWN_REQUESTED);
    ck_gateway_down();
    ck_assert_int_lt(pair.datagrams, 9 + 2 * (unsigned)_i);
}
END_TEST

/* --- again --- */

START_TEST(what_is_built_anew_has_the_same_password)
{
    run();
    pair_ck_up(&pair);
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 10000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    ck_assert_uint_eq(begun, 2);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_UP), 2);
}
END_TEST

/* A code that has been handed over is not handed over again; what stands, stands. */
START_TEST(a_code_serves_once)
{
    use_method(EAP_GTC);
    pair.client_config.eap_once = true;
    run();
    pair_ck_up(&pair);
    unsigned before = asked;
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 600000);
    ck_assert_uint_eq(asked, before);
    ck_assert_uint_eq(begun, 2);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    ck_assert_ptr_nonnull(strstr(support_logged, "wants a new code of user \"alice\""));
}
END_TEST

/* But of a password that was asked for, MSCHAPv2 hands over nothing that spends it. */
START_TEST(a_password_that_was_asked_for_serves_on)
{
    pair.client_config.eap_once = true;
    run();
    pair_ck_up(&pair);
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 10000);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_UP), 2);
}
END_TEST

static enum err nobody(void *ctx, struct span name, struct secret *ret_password,
                       struct identity *ret_peer)
{
    (void)ctx, (void)name, (void)ret_password, (void)ret_peer;
    return ERR_NOT_FOUND;
}

/* A password that the gateway does not take any more is tried once, not until the account is
 * locked.
 */
START_TEST(a_refused_password_is_not_tried_again)
{
    run();
    pair_ck_up(&pair);
    pair_forget_events(&pair);
    policy.find_password = nobody;
    session_stop(pair.gateway, pair.now);
    pair_run(&pair, pair.now + 600000);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->down.reason, SESSION_DOWN_REFUSED);
    ck_assert_uint_eq(begun, 2);
}
END_TEST

/* --- configurations --- */

/* RFC 7296 2.16: a gateway that asks by EAP proves itself by a signature. */
START_TEST(configurations_that_cannot_be)
{
    struct session *s = NULL;
    struct session_config c = pair.client_config, g = pair.gateway_config;
    c.remote_auth = SESSION_AUTH_PSK;
    c.remote_psk = pair.psk;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.eap.method_count = 0;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.eap.password.len = 0;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.eap.name[0] = '\0';
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    c = pair.client_config;
    c.remote_auth = SESSION_AUTH_EAP;
    ck_err(session_new(&c, &s), ERR_MALFORMED);
    g.local_auth = SESSION_AUTH_PSK;
    ck_err(session_new(&g, &s), ERR_MALFORMED);
    g = pair.gateway_config;
    g.policy.eap = NULL;
    ck_err(session_new(&g, &s), ERR_MALFORMED);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("eap");
    TCase *t = tcase_create("eap");
    tcase_add_unchecked_fixture(t, make_certificates, drop_certificates);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, comes_up, 0, 3);
    tcase_add_test(t, comes_up_without_a_child_at_first);
    tcase_add_test(t, comes_up_with_what_both_have);
    tcase_add_loop_test(t, any_one_datagram_may_be_lost, 0, 12);
    tcase_add_test(t, rekeys_as_any_other);
    tcase_add_test(t, wrong_password);
    tcase_add_loop_test(t, wrong_password_by_other_methods, 1, 3);
    tcase_add_test(t, unknown_user);
    tcase_add_test(t, no_method_in_common);
    tcase_add_test(t, gateway_that_does_not_serve_it);
    tcase_add_test(t, no_word_before_the_gateway_is_proven);
    tcase_add_test(t, no_word_for_a_gateway_of_another_name);
    tcase_add_test(t, last_auth_with_another_key);
    tcase_add_test(t, last_auth_of_somebody_else);
    tcase_add_loop_test(t, does_not_play_fair, 0, sizeof(unfair_ones) / sizeof(unfair_ones[0]));
    tcase_add_test(t, words_of_the_gateway);
    tcase_add_loop_test(t, nothing_is_created_before_the_end, 0, 4);
    tcase_add_loop_test(t, stopped_in_the_midst, 0, 4);
    tcase_add_test(t, what_is_built_anew_has_the_same_password);
    tcase_add_test(t, a_code_serves_once);
    tcase_add_test(t, a_password_that_was_asked_for_serves_on);
    tcase_add_test(t, a_refused_password_is_not_tried_again);
    tcase_add_test(t, configurations_that_cannot_be);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
