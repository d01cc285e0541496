/* [Local] with Authentication = eap: what the methods need, what follows where it is not said, and
 * what of it reaches the core. */
#include "client/profile_eap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/credentials.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"

#define HEAD  "[Gateway]\nAddress=vpn.example.com\nCA=root.pem\n[Local]\nAuthentication=eap\n"
#define ALICE "Certificate=alice.pem\nPrivateKey=alice.key\n"

static struct fault_list faults;
static char printed[8192];

static void make_files(void)
{
    fixture_enter();
    fixture_shell(
        "umask 077\n"
        "key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; }\n"
        "ca() { key $1 && openssl req -x509 -new -key $1.key -subj /CN=$1 -days 400 -out $1.pem; "
        "}\n"
        "issue() { key $1 && printf \"$2\" >ext && openssl req -new -key $1.key -subj /CN=$1 |\n"
        "  openssl x509 -req -CA root.pem -CAkey root.key -set_serial 7 -days 30 -extfile ext"
        " -out $1.pem; }\n"
        "set -e\n"
        "ca root; ca other\n"
        "issue alice 'subjectAltName=email:alice@example.com\\n'\n"
        "issue bare 'basicConstraints=CA:FALSE\\n'\n");
}

static enum err load(const char *text, struct profile **ret, struct credentials **ret_credentials)
{
    fixture_write("p.conf", span_text(text));
    fixture_shell("chmod 600 p.conf");
    fault_list_init(&faults);
    enum err e = profile_load("p.conf", ret, &faults);
    if (e == ERR_OK)
        e = credentials_load(*ret, (int64_t)time(NULL), ret_credentials, &faults);
    memset(printed, 0, sizeof(printed));
    FILE *f = fmemopen(printed, sizeof(printed), "w");
    ck_assert_ptr_nonnull(f);
    fault_list_print(&faults, "p.conf", f);
    ck_assert_int_eq(fclose(f), 0);
    return e;
}

static struct profile *profile;
static struct credentials *credentials;
static struct session_config config;

static void load_good(const char *text)
{
    enum err e = load(text, &profile, &credentials);
    ck_assert_msg(e == ERR_OK, "%s: %s", text, printed);
    credentials_session_config(profile, credentials, &config);
}

static void drop(void)
{
    wipe(&config, sizeof(config));
    credentials_free(credentials);
    profile_free(profile);
    credentials = NULL;
    profile = NULL;
}

static void expect_fault(const char *text, const char *expected)
{
    enum err e = load(text, &profile, &credentials);
    ck_assert_msg(e == ERR_MALFORMED && strcmp(printed, expected) == 0, "%s: %s:\n%s", text,
                  err_text(e), printed);
    profile_free(profile); /* where it was a file's fault */
    profile = NULL;
}

static void ck_methods(const char *expected)
{
    char seen[128] = "";
    for (size_t i = 0; i < config.eap.method_count; i++)
        snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s%s", i > 0 ? " " : "",
                 eap_type_name(config.eap.methods[i]));
    ck_assert_str_eq(seen, expected);
}

START_TEST(methods_by_what_is_given)
{
    load_good(HEAD "UserName=alice\n");
    ck_methods("EAP-MSCHAPv2");
    ck_assert(credentials_lack_password(profile, credentials));
    drop();
    load_good(HEAD ALICE);
    ck_methods("EAP-TLS");
    ck_assert(!credentials_lack_password(profile, credentials));
    ck_assert(eap_config_usable(&config.eap));
    drop();
    load_good(HEAD ALICE "UserName=alice\nPassword=secret\n");
    ck_methods("EAP-MSCHAPv2 EAP-TLS");
    drop();
    load_good(HEAD ALICE "EAPMethods=tls, ttls, peap\nUserName=alice\nPassword=secret\n");
    ck_methods("EAP-TLS EAP-TTLS EAP-PEAP");
    ck_assert(eap_config_usable(&config.eap));
    drop();
}
END_TEST

/* RFC 5216 5.2 */
START_TEST(user_of_a_certificate)
{
    char id[IDENTITY_TEXT_MAX];
    load_good(HEAD ALICE);
    ck_assert_str_eq(config.eap.name, "alice@example.com");
    ck_assert_str_eq(identity_format(&config.local_id, id), "alice@example.com");
    ck_assert_ptr_eq(config.eap.key, credentials->own.key);
    ck_assert_uint_eq(config.eap.chain->count, 1);
    drop();
    load_good(HEAD ALICE "UserName=bob\nIdentity=carol@example.com\n");
    ck_assert_str_eq(config.eap.name, "bob");
    ck_assert_str_eq(identity_format(&config.local_id, id), "carol@example.com");
    drop();
    load_good(HEAD "Certificate=bare.pem\nPrivateKey=bare.key\n");
    ck_assert_str_eq(config.eap.name, "CN=bare");
    ck_assert_int_eq(config.local_id.type, IDENTITY_DN);
    drop();
}
END_TEST

START_TEST(the_server)
{
    char id[IDENTITY_TEXT_MAX];
    load_good(HEAD ALICE);
    ck_assert_str_eq(identity_format(&config.eap.server, id), "vpn.example.com");
    ck_assert_ptr_eq(config.eap.trust, config.trust);
    drop();
    load_good(HEAD ALICE "EAPServer=radius.example.com\nEAPCA=other.pem, root.pem\n");
    ck_assert_str_eq(identity_format(&config.eap.server, id), "radius.example.com");
    ck_assert_ptr_ne(config.eap.trust, config.trust);
    ck_assert_uint_eq(trust_store_count(config.eap.trust), 2);
    ck_assert_uint_eq(trust_store_count(config.trust), 1);
    drop();
    expect_fault(HEAD ALICE "EAPCA=nowhere.pem\n",
                 "p.conf:8: cannot read nowhere.pem: No such file or directory\n");
}
END_TEST

START_TEST(inside)
{
    load_good(HEAD "UserName=alice\nEAPMethods=ttls, peap\n");
    ck_assert_uint_eq(config.eap.inner_count, 1);
    ck_assert_uint_eq(config.eap.inner[0], EAP_MSCHAPV2);
    ck_assert_int_eq(config.eap.plain, EAP_PLAIN_NONE);
    drop();
    load_good(HEAD "UserName=alice\nEAPMethods=ttls\nEAPInner=pap\n");
    ck_assert_int_eq(config.eap.plain, EAP_PLAIN_PAP);
    drop();
    load_good(HEAD "UserName=alice\nEAPMethods=ttls, peap\nEAPInner=mschapv2-no-eap, gtc, md5\n");
    ck_assert_int_eq(config.eap.plain, EAP_PLAIN_MSCHAPV2);
    ck_assert_uint_eq(config.eap.inner_count, 2);
    ck_assert_uint_eq(config.eap.inner[0], EAP_GTC);
    drop();
}
END_TEST

/* EAPIdentity: neither IDi nor EAP outside TLS has the user's name then. */
START_TEST(a_name_for_those_outside)
{
    char id[IDENTITY_TEXT_MAX];
#define HIDDEN "EAPIdentity=anonymous@example.com\nUserName=alice\n"
    load_good(HEAD HIDDEN "EAPMethods=ttls, peap\n");
    ck_assert_str_eq(config.eap.name, "alice");
    ck_assert_str_eq(config.eap.outer, "anonymous@example.com");
    ck_assert_str_eq(identity_format(&config.local_id, id), "anonymous@example.com");
    drop();
    load_good(HEAD HIDDEN "EAPMethods=ttls\nIdentity=laptop7\n");
    ck_assert_str_eq(identity_format(&config.local_id, id), "laptop7");
    drop();
    load_good(HEAD "UserName=alice\nEAPMethods=ttls\n");
    ck_assert_str_eq(config.eap.outer, "");
    ck_assert_str_eq(identity_format(&config.local_id, id), "alice");
    drop();
#define REFUSED                                                                                    \
    "EAPIdentity hides the user's name with ttls, peap and tls alone; set EAPMethods to these\n"
    expect_fault(HEAD HIDDEN, "p.conf:6: " REFUSED);
    expect_fault(HEAD HIDDEN "EAPMethods=peap, gtc\n", "p.conf:6: " REFUSED);
    expect_fault(HEAD "UserName=alice\nEAPMethods=ttls\nEAPIdentity=@\n",
                 "p.conf:8: EAPIdentity cannot serve as our identity; set Identity\n");
}
END_TEST

START_TEST(the_gateway_by_eap)
{
    load_good("[Gateway]\nAddress=a\nCA=root.pem\nAuthentication=eap\n[Local]\n"
              "Authentication=eap\n" ALICE);
    ck_assert_uint_eq(config.remote_auth, SESSION_AUTH_EAP | SESSION_AUTH_CERTIFICATE);
    drop();
    load_good(HEAD ALICE);
    ck_assert_uint_eq(config.remote_auth, SESSION_AUTH_CERTIFICATE);
    drop();
#define ONLY "[Gateway]\nAddress=a\nCA=root.pem\nAuthentication=eap\n[Local]\n"
    expect_fault(ONLY "Authentication=eap\nUserName=alice\n",
                 "p.conf:4: Authentication = eap in [Gateway] needs methods that prove the server "
                 "by a certificate: set EAPMethods in [Local] to tls, ttls or peap\n");
    expect_fault(ONLY "Authentication=eap\nEAPMethods=tls, gtc\nUserName=alice\n" ALICE,
                 "p.conf:4: Authentication = eap in [Gateway] needs methods that prove the server "
                 "by a certificate: set EAPMethods in [Local] to tls, ttls or peap\n");
    expect_fault(ONLY ALICE, "p.conf:4: Authentication = eap in [Gateway] needs Authentication = "
                             "eap in [Local]\n");
}
END_TEST

#define MACHINE                                                                                    \
    "[Gateway]\nAddress=vpn.example.com\nCA=root.pem\n[Local]\n"                                   \
    "Certificate=bare.pem\nPrivateKey=bare.key\n[User]\nAuthentication=eap\n"

/* The user's certificate is [User]'s, and none of the machine's. */
START_TEST(the_user_after_the_machine)
{
    char id[IDENTITY_TEXT_MAX];
    load_good(MACHINE ALICE);
    ck_methods("EAP-TLS");
    ck_assert(!credentials_lack_password(profile, credentials));
    ck_assert_uint_eq(config.local_auth, SESSION_AUTH_CERTIFICATE);
    ck_assert_uint_eq(config.second.auth, SESSION_AUTH_EAP);
    ck_assert_ptr_eq(config.key, credentials->own.key);
    ck_assert_ptr_eq(config.eap.key, credentials->user_own.key);
    ck_assert_ptr_ne(config.eap.key, config.key);
    ck_assert_str_eq(config.eap.name, "alice@example.com");
    ck_assert_str_eq(identity_format(&config.second.id, id), "alice@example.com");
    ck_assert(eap_config_usable(&config.eap));
    drop();
    load_good(MACHINE HIDDEN "EAPMethods=peap\n");
    ck_assert_str_eq(config.eap.outer, "anonymous@example.com");
    ck_assert_str_eq(identity_format(&config.second.id, id), "anonymous@example.com");
    drop();
    load_good(MACHINE "UserName=alice@example.com\nEAPMethods=peap\nEAPInner=gtc\n"
                      "EAPServer=radius.example.com\nEAPCA=other.pem\n");
    ck_methods("EAP-PEAP");
    ck_assert_uint_eq(config.eap.inner[0], EAP_GTC);
    ck_assert_str_eq(identity_format(&config.eap.server, id), "radius.example.com");
    ck_assert_ptr_ne(config.eap.trust, config.trust);
    ck_assert(credentials_lack_password(profile, credentials));
    drop();
    expect_fault(MACHINE "EAPMethods=tls\nUserName=alice@example.com\n",
                 "p.conf:9: EAPMethods: tls needs Certificate and PrivateKey\n");
}
END_TEST

START_TEST(what_does_not_go_together)
{
    expect_fault(HEAD "UserName=a\nEAPMethods=gtc, tls\n",
                 "p.conf:7: EAPMethods: tls needs Certificate and PrivateKey\n");
    expect_fault(HEAD "Certificate=alice.pem\nUserName=a\n",
                 "p.conf:5: EAPMethods: tls needs Certificate and PrivateKey\n");
    expect_fault(HEAD ALICE "EAPMethods=ttls\n", "p.conf:5: Authentication = eap needs UserName\n");
    expect_fault(HEAD "UserName=a\nEAPInner=gtc\n",
                 "p.conf:7: EAPInner is of use with ttls or peap in EAPMethods alone\n");
    expect_fault(HEAD "UserName=a\nEAPMethods=ttls,peap\nEAPInner=pap\n",
                 "p.conf:8: EAPInner: pap and mschapv2-no-eap are for ttls; peap needs mschapv2, "
                 "gtc or md5 beside\n");
    expect_fault(HEAD "UserName=a\nEAPMethods=ttls\nEAPInner=pap, gtc\n",
                 "p.conf:8: EAPInner: ttls says either pap or mschapv2-no-eap, or EAP (mschapv2, "
                 "gtc, md5); keep one kind\n");
    expect_fault(HEAD "UserName=a\nEAPMethods=ttls\nEAPInner=pap, mschapv2-no-eap\n",
                 "p.conf:8: EAPInner: only one of pap and mschapv2-no-eap can be said inside "
                 "ttls\n");
    expect_fault(HEAD "UserName=a\nEAPMethods=peap\nEAPInner=gtc, tls\n",
                 "p.conf:8: EAPInner: tls is unknown (mschapv2, gtc, md5, mschapv2-no-eap, pap)\n");
    expect_fault(HEAD "UserName=a\nEAPMethods=peap\nEAPInner=gtc, gtc\n",
                 "p.conf:8: EAPInner: gtc is given twice\n");
    expect_fault(HEAD ALICE "EAPServer=CN=\n",
                 "p.conf:8: EAPServer = CN=: expected an email, a host name, an address or a DN\n");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_eap");
    TCase *t = tcase_create("eap");
    tcase_add_unchecked_fixture(t, make_files, fixture_leave);
    tcase_add_test(t, methods_by_what_is_given);
    tcase_add_test(t, user_of_a_certificate);
    tcase_add_test(t, the_server);
    tcase_add_test(t, inside);
    tcase_add_test(t, a_name_for_those_outside);
    tcase_add_test(t, the_gateway_by_eap);
    tcase_add_test(t, the_user_after_the_machine);
    tcase_add_test(t, what_does_not_go_together);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
