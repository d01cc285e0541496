/* Post-quantum pre-shared keys (RFC 8784), client against gateway: who wants what, who has which
 * key, and what becomes of it; what a rekeyed and a new IKE SA make of it. What each message holds
 * is test_ike_rules_ppk.c's. */
#include <string.h>

#include "common/ike/session_state.h"
#include "tests/support/pair.h"

#define CLIENT_KEY "canary of the tests, 36 octets long."

static struct pair pair;
static struct secret gateway_key;
static const char *gateway_id;
static unsigned looked_up;

static enum err find_ppk(void *ctx, const struct identity *peer, struct span id, struct secret *ret)
{
    const struct pair *p = ctx;
    looked_up++;
    ck_assert(identity_equal(peer, &p->client_config.local_id));
    if (!span_equal(id, span_text(gateway_id)))
        return ERR_NOT_FOUND;
    *ret = gateway_key;
    return ERR_OK;
}

static void use(enum session_ppk_use client, enum session_ppk_use gateway)
{
    struct session_ppk *ppk = &pair.client_config.ppk;
    ppk->use = client;
    memcpy(ppk->id, "alice-ppk", sizeof("alice-ppk"));
    ck_ok(secret_set(&ppk->key, span_text(CLIENT_KEY)));
    gateway_key = ppk->key;
    gateway_id = "alice-ppk";
    pair.gateway_config.ppk.use = gateway;
    pair.gateway_config.policy.find_ppk = find_ppk;
}

static void setup(void)
{
    pair_init(&pair);
    looked_up = 0;
    support_log_begin();
}

/* No line of any log has the key. */
static void teardown(void)
{
    ck_assert_ptr_null(strstr(support_logged, "canary"));
    support_log_end();
    pair_wipe(&pair);
}

static void run(void)
{
    pair_start(&pair);
    pair_run(&pair, pair.now + 30000);
}

static bool in_use(const struct session *s)
{
    struct session_status status;
    session_status(s, &status);
    return status.ppk;
}

static void ck_keys_agree(void)
{
    const struct ike_keys *c = &pair.client->current->keys, *g = &pair.gateway->current->keys;
    ck_span_eq(secret_span(&c->d), secret_span(&g->d));
    ck_span_eq(secret_span(&c->pi), secret_span(&g->pi));
    ck_span_eq(secret_span(&c->pr), secret_span(&g->pr));
}

static void ck_up(bool with_ppk)
{
    pair_ck_up(&pair);
    ck_assert_int_eq(in_use(pair.client), with_ppk);
    ck_assert_int_eq(in_use(pair.gateway), with_ppk);
    ck_keys_agree();
}

static void ck_down(enum session_down_reason reason, const char *words, const char *hint)
{
    const struct fault *f = pair_ck_down(&pair, reason, words);
    ck_assert_msg(strstr(f->hint, hint) != NULL, "%s", f->hint);
}

/* --- who wants what, who has which key --- */

enum key { SAME_KEY, OTHER_KEY, UNKNOWN_ID, KEYS };
enum outcome { WITH_PPK, WITHOUT_PPK, GATEWAY_REFUSES, CLIENT_REFUSES };

static enum outcome expected(enum session_ppk_use client, enum session_ppk_use gateway,
                             enum key key)
{
    bool required = gateway == SESSION_PPK_REQUIRED;
    if (client == SESSION_PPK_OFF)
        return required ? GATEWAY_REFUSES : WITHOUT_PPK;
    if (gateway == SESSION_PPK_OFF)
        return client == SESSION_PPK_REQUIRED ? CLIENT_REFUSES : WITHOUT_PPK;
    if (key == SAME_KEY)
        return WITH_PPK;
    if (key == OTHER_KEY || required || client == SESSION_PPK_REQUIRED)
        return GATEWAY_REFUSES;
    return WITHOUT_PPK;
}

/* RFC 8784 3, its table for the responder with what an initiator makes of it. */
START_TEST(every_combination)
{
    enum session_ppk_use client = (enum session_ppk_use)(_i / 9),
                         gateway = (enum session_ppk_use)(_i / 3 % 3);
    enum key key = (enum key)(_i % 3);
    use(client, gateway);
    if (key == OTHER_KEY)
        gateway_key.data[7] ^= 1;
    if (key == UNKNOWN_ID)
        gateway_id = "bob-ppk";
    run();
    switch (expected(client, gateway, key)) {
    case WITH_PPK:
        ck_up(true);
        ck_assert_ptr_nonnull(strstr(support_logged, "the PPK \"alice-ppk\" is in use"));
        break;
    case WITHOUT_PPK:
        ck_up(false);
        ck_assert_int_eq(strstr(support_logged, "not in use") != NULL, client != SESSION_PPK_OFF);
        break;
    case GATEWAY_REFUSES:
        ck_down(SESSION_DOWN_REFUSED, "refused our credentials",
                client == SESSION_PPK_OFF ? "a pre-shared key of 25 octets; compare"
                                          : "and the PPK \"alice-ppk\" of 36 octets; compare");
        break;
    case CLIENT_REFUSES:
        ck_down(SESSION_DOWN_PEER_UNTRUSTED, "no USE_PPK", "RequirePPK = no");
        break;
    }
}
END_TEST

static const char *const suites[] = {
    "aes128-sha1-x25519",
    "aes256gcm16-prfsha384-x25519",
    "aes256gcm16-prfsha512-x25519",
};

START_TEST(every_prf)
{
    struct fault f;
    use(SESSION_PPK_REQUIRED, SESSION_PPK_REQUIRED);
    ck_ok(proposal_list_from_text(suites[_i], PROTOCOL_IKE, &pair.client_config.ike, &f));
    pair.gateway_config.ike = pair.client_config.ike;
    run();
    ck_up(true);
}
END_TEST

START_TEST(without_a_child_at_first)
{
    use(SESSION_PPK_REQUIRED, SESSION_PPK_OPTIONAL);
    pair.client_config.childless = true;
    run();
    ck_up(true);
}
END_TEST

/* Each message lost once. */
START_TEST(what_is_lost_comes_again)
{
    use(SESSION_PPK_OPTIONAL, SESSION_PPK_OPTIONAL);
    pair.wire = pair_lose_marked;
    pair.marked = (unsigned)_i + 1;
    run();
    ck_assert_uint_gt(pair.datagrams, pair.marked);
    ck_up(true);
}
END_TEST

/* --- afterwards --- */

/* SK_d of the one before, and nothing of the PPK's, makes the next. */
START_TEST(a_rekeyed_ike_sa_goes_on_from_it)
{
    use(SESSION_PPK_REQUIRED, SESSION_PPK_REQUIRED);
    run();
    ck_up(true);
    for (unsigned i = 0; i < 3; i++) {
        if (i == 1)
            ck_ok(session_rekey(pair.gateway, pair.now, SESSION_REKEY_IKE));
        else
            ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_BOTH));
        pair_run(&pair, pair.now + 5000);
        ck_assert_uint_eq(pair.client->current->rekeys, i + 1);
        ck_assert(in_use(pair.client) && in_use(pair.gateway));
        ck_keys_agree();
    }
    ck_assert_uint_eq(looked_up, 1);
}
END_TEST

START_TEST(a_new_ike_sa_uses_it_again)
{
    use(SESSION_PPK_REQUIRED, SESSION_PPK_REQUIRED);
    run();
    ck_ok(session_reconnect(pair.client, pair.now));
    pair_run(&pair, pair.now + 5000);
    ck_assert_uint_eq(pair.client->reconnects, 1);
    ck_assert(in_use(pair.client));
    ck_keys_agree();
    ck_assert_uint_eq(looked_up, 2);
}
END_TEST

/* --- configurations --- */

START_TEST(what_cannot_work_is_no_session)
{
    struct session *s;
    use(SESSION_PPK_REQUIRED, SESSION_PPK_OPTIONAL);
    pair.client_config.ppk.id[0] = '\0';
    ck_err(session_new(&pair.client_config, &s), ERR_MALFORMED);
    use(SESSION_PPK_OPTIONAL, SESSION_PPK_OPTIONAL);
    pair.client_config.ppk.key.len = 0;
    ck_err(session_new(&pair.client_config, &s), ERR_MALFORMED);
    pair.gateway_config.policy.find_ppk = NULL;
    ck_err(session_new(&pair.gateway_config, &s), ERR_MALFORMED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ike_ppk");
    TCase *c = tcase_create("combinations");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, every_combination, 0, 3 * 3 * KEYS);
    tcase_add_loop_test(c, every_prf, 0, 3);
    tcase_add_test(c, without_a_child_at_first);
    tcase_add_loop_test(c, what_is_lost_comes_again, 0, 4);
    tcase_add_test(c, what_cannot_work_is_no_session);
    suite_add_tcase(s, c);
    c = tcase_create("afterwards");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_rekeyed_ike_sa_goes_on_from_it);
    tcase_add_test(c, a_new_ike_sa_uses_it_again);
    suite_add_tcase(s, c);
    return support_run(s);
}
