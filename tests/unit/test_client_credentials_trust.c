/* Whom a profile trusts: the CA files that it names, or the system's, and what their CRLs come to,
 * which may change. */
#include "tests/support/revocation.h"
#include "tests/unit/credentials_scene.h"

/* --- trust --- */

#define TRUST(lines)                                                                               \
    "[Gateway]\nAddress=a\n" lines "[Local]\nIdentity=b\nPresharedKeyFile=office.psk\n"

START_TEST(several_ca)
{
    struct profile *p;
    struct credentials *c = load_good(TRUST("CA=root.pem, other.pem\n"), &p);
    ck_assert_uint_eq(trust_store_count(c->trust.gateway), 2);
    credentials_free(c);
    profile_free(p);
    c = load_good(TRUST("CA=bundle.pem\nCA=inter.pem\n"), &p);
    ck_assert_uint_eq(trust_store_count(c->trust.gateway), 3);
    credentials_free(c);
    profile_free(p);
    /* the same one twice is one, and no fault */
    c = load_good(TRUST("CA=root.pem, bundle.pem, root.pem\n"), &p);
    ck_assert_uint_eq(trust_store_count(c->trust.gateway), 2);
    /* mixed: we prove by a key, the gateway by its certificate */
    struct session_config config;
    credentials_session_config(p, c, &config);
    ck_assert_uint_eq(config.local_auth, SESSION_AUTH_PSK);
    ck_assert_uint_eq(config.remote_auth, SESSION_AUTH_CERTIFICATE);
    wipe(&config, sizeof(config));
    credentials_free(c);
    profile_free(p);
}
END_TEST

START_TEST(ca_that_cannot_be_used)
{
    expect_faults(TRUST("CA=absent.pem, root.pem\nCA=absent2.pem\n"),
                  "p.conf:3: cannot read absent.pem: No such file or directory\n"
                  "p.conf:3: cannot read absent2.pem: No such file or directory\n");
    expect_faults(TRUST("CA=nonsense\n"),
                  "p.conf:3: nonsense: no certificate found: neither PEM nor DER" HINT);
    expect_faults(TRUST("CA=damaged.pem\n"),
                  "p.conf:3: damaged.pem: the data is not a certificate, or a damaged one\n");
    /* one bad file is not made good by another */
    expect_faults(TRUST("CA=root.pem, alice.key\n"),
                  "p.conf:3: alice.key: no certificate found, but \"PRIVATE KEY\"" HINT);
}
END_TEST

START_TEST(the_systems_ca)
{
    struct profile *p;
    if (access(CREDENTIALS_SYSTEM_CA, R_OK) != 0) {
        expect_faults(TRUST(""), "p.conf:1: cannot read " CREDENTIALS_SYSTEM_CA
                                 ": No such file or directory\n");
        return;
    }
    struct credentials *c = load_good(TRUST(""), &p);
    size_t count = trust_store_count(c->trust.gateway);
    ck_assert_uint_gt(count, 0);
    credentials_free(c);
    profile_free(p);
    c = load_good(TRUST("CA=system, root.pem\n"), &p);
    ck_assert_uint_eq(trust_store_count(c->trust.gateway), count + 1);
    credentials_free(c);
    profile_free(p);
}
END_TEST

/* --- CRLs --- */

#define VECTORS TERN_SOURCE_DIR "/tests/vectors/revocation/"

static enum revocation_policy policy_of(const char *lines, size_t crls)
{
    struct profile *p;
    struct credentials *c = load_good(lines, &p);
    enum revocation_policy policy = trust_store_revocation(c->trust.gateway);
    ck_assert_uint_eq(trust_store_crl_count(c->trust.gateway), crls);
    credentials_free(c);
    profile_free(p);
    return policy;
}

START_TEST(revocation)
{
    ck_assert_int_eq(policy_of(TRUST("CA=root.pem\n"), 0), REVOCATION_SOFT);
    ck_assert_int_eq(policy_of(TRUST("CA=root.pem\nRevocation=off\n"), 0), REVOCATION_OFF);
    ck_assert_int_eq(
        policy_of(TRUST("CA=root.pem\nRevocation=strict\nCRL=" VECTORS "both.pem, " VECTORS
                        "crl-good.der\nCRL=" VECTORS "crl-inter.der\n"),
                  4),
        REVOCATION_STRICT);
    /* nobody asks where the gateway has no certificate */
    struct profile *p;
    struct credentials *c = load_good("[Gateway]\nAddress=a\nPresharedKeyFile=office.psk\n"
                                      "CRL=absent\n[Local]\nIdentity=b\n",
                                      &p);
    struct fault_list found, warnings;
    fault_list_init(&found);
    fault_list_init(&warnings);
    credentials_check_crls(p, c, now(), &found, &warnings);
    ck_assert(!fault_list_any(&found) && !fault_list_any(&warnings));
    credentials_free(c);
    profile_free(p);
}
END_TEST

START_TEST(crls_that_cannot_be_used)
{
    expect_faults(
        TRUST("CA=root.pem\nCRL=absent.crl\nCRL=root.pem\n"),
        "p.conf:4: cannot read absent.crl: No such file or directory\n"
        "p.conf:4: root.pem: no CRL found: neither PEM nor DER (give the file that begins "
        "with \"-----BEGIN X509 CRL-----\")\n");
}
END_TEST

/* What `tern check` says: of each list, in the file's order. */
static void check_crls(const char *lines, int64_t at, size_t expected_faults,
                       const char *first_warning)
{
    struct profile *p;
    struct credentials *c = load_good(lines, &p);
    struct fault_list found, warnings;
    fault_list_init(&found);
    fault_list_init(&warnings);
    credentials_check_crls(p, c, at, &found, &warnings);
    ck_assert_uint_eq(found.count, expected_faults);
    ck_assert_uint_eq(warnings.count, first_warning != NULL ? 1 : 0);
    if (first_warning != NULL) {
        ck_assert_msg(strstr(warnings.items[0].fault.text, first_warning) != NULL, "%s",
                      warnings.items[0].fault.text);
        ck_assert_uint_eq(warnings.items[0].line, p->lines[KEY_GATEWAY_CRL]);
    }
    credentials_free(c);
    profile_free(p);
}

START_TEST(crls_that_change)
{
    struct profile *p;
    struct crl_file files[PROFILE_LIST_MAX];
    fixture_shell("cp " VECTORS "crl-good.der a.crl; cp " VECTORS "both.pem b.crl");
    struct credentials *c = load_good(TRUST("CA=root.pem\nCRL=a.crl, b.crl\n"), &p);
    memcpy(files, c->crls, sizeof files);
    ck_assert_uint_eq(files[1].count, 2);
    ck_assert_int_eq(files[0].path[0], '/');
    struct trust_stores t = {.gateway = NULL};
    ck_assert(!credentials_renew_crls(&c->trust, files, 2, &t));
    /* what is of no use is passed over, once */
    fixture_shell("rm b.crl");
    ck_assert(!credentials_renew_crls(&c->trust, files, 2, &t));
    ck_assert(!credentials_renew_crls(&c->trust, files, 2, &t));
    fixture_shell("echo nonsense >b.crl");
    ck_assert(!credentials_renew_crls(&c->trust, files, 2, &t));
    ck_assert_ptr_null(t.gateway);
    fixture_shell("cp " VECTORS "crl-empty.der b.crl");
    ck_assert(credentials_renew_crls(&c->trust, files, 2, &t));
    ck_assert_ptr_null(t.eap);
    ck_assert_uint_eq(trust_store_crl_count(t.gateway), 2);
    ck_assert_uint_eq(trust_store_count(t.gateway), trust_store_count(c->trust.gateway));
    ck_assert_int_eq(trust_store_revocation(t.gateway), REVOCATION_SOFT);
    struct trust_stores again;
    ck_assert(!credentials_renew_crls(&t, files, 2, &again));
    trust_stores_free(&t);
    credentials_free(c);
    profile_free(p);
}
END_TEST

/* An EAP server that is held against a CA of its own is held against the same files. */
START_TEST(crls_that_change_for_the_eap_server)
{
    struct profile *p;
    struct crl_file files[PROFILE_LIST_MAX];
    struct trust_stores t;
    fixture_shell("cp " VECTORS "crl-good.der a.crl");
    struct credentials *c = load_good("[Gateway]\nAddress=gw.example.com\nCA=root.pem\nCRL=a.crl\n"
                                      "Revocation=strict\n[Local]\nUserName=alice\nPassword=hers\n"
                                      "EAPMethods=ttls\nEAPCA=root.pem\n",
                                      &p);
    memcpy(files, c->crls, sizeof files);
    ck_assert_uint_eq(trust_store_crl_count(c->trust.eap), 1);
    fixture_shell("cp " VECTORS "both.pem a.crl");
    ck_assert(credentials_renew_crls(&c->trust, files, 1, &t));
    ck_assert_uint_eq(trust_store_crl_count(t.gateway), 2);
    ck_assert_uint_eq(trust_store_crl_count(t.eap), 2);
    ck_assert_uint_eq(trust_store_count(t.eap), 1);
    ck_assert_int_eq(trust_store_revocation(t.eap), REVOCATION_STRICT);
    trust_stores_free(&t);
    credentials_free(c);
    profile_free(p);
}
END_TEST

#define CHECKED_CRL(policy, files)                                                                 \
    TRUST("CA=" VECTORS "root.der\nRevocation=" policy "\nCRL=" files "\n")

START_TEST(crls_looked_at)
{
    const int64_t today = REVOCATION_TODAY;
    check_crls(CHECKED_CRL("strict", VECTORS "crl-good.der"), today, 0, NULL);
    check_crls(CHECKED_CRL("off", VECTORS "crl-good.der"), today, 0, "is of no use");
    check_crls(CHECKED_CRL("soft", VECTORS "both.pem, " VECTORS "crl-good.der"), today, 0,
               "both.pem: the CRL is of \"CN=Intermediate\"");
    check_crls(CHECKED_CRL("soft", VECTORS "crl-stale.der"), today, 0,
               "crl-stale.der: the CRL of \"CN=Root\" is outdated");
    check_crls(CHECKED_CRL("strict", VECTORS "crl-stale.der"), today, 1, NULL);
    check_crls(CHECKED_CRL("strict", VECTORS "crl-good.der"), REVOCATION_NEXT + 1, 1, NULL);
    check_crls(CHECKED_CRL("soft", VECTORS "crl-twin.der"), today, 1, NULL);
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("client_credentials_trust", &t);
    tcase_add_test(t, several_ca);
    tcase_add_test(t, ca_that_cannot_be_used);
    tcase_add_test(t, the_systems_ca);
    tcase_add_test(t, revocation);
    tcase_add_test(t, crls_that_cannot_be_used);
    tcase_add_test(t, crls_looked_at);
    tcase_add_test(t, crls_that_change);
    tcase_add_test(t, crls_that_change_for_the_eap_server);
    return support_run(suite);
}
