/* The files that a profile names: what becomes of good ones, and that each bad one is a fault at
 * the line that names it. The openssl command makes them. */
#include "client/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/revocation.h"
#include "tests/support/support.h"

enum { DAY = 86400, PRINTED_MAX = 8192 };

#define HINT " (give the file that begins with \"-----BEGIN CERTIFICATE-----\")\n"

static struct fault_list faults;
static char printed[PRINTED_MAX];

/* A chain of our own, another one's key, a bundle of two CAs. */
static void make_files(void)
{
    fixture_enter();
    fixture_shell(
        "umask 077\n"
        "key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; }\n"
        "ca() { key $1 && openssl req -x509 -new -key $1.key -subj /CN=$1 -days 400 -out $1.pem; "
        "}\n"
        "issue() { key $1 && printf \"$3\" >ext && openssl req -new -key $1.key -subj /CN=$1 |\n"
        "  openssl x509 -req -CA $2.pem -CAkey $2.key -set_serial 7 -days $4 -extfile ext"
        " -out $1.pem; }\n"
        "set -e\n"
        "ca root; ca other\n"
        "issue inter root 'basicConstraints=critical,CA:TRUE\\n' 300\n"
        "issue alice inter 'subjectAltName=email:alice@example.com\\n' 200\n"
        "issue bare inter 'basicConstraints=CA:FALSE\\n' 200\n"
        "cat alice.pem inter.pem >chain.pem\n"
        "{ echo 'two of them'; cat root.pem; echo; cat other.pem; } >bundle.pem\n"
        "openssl x509 -in alice.pem -outform DER -out alice.der\n"
        "sed 's/^M/A/' root.pem >damaged.pem\n"
        "cp alice.key readable.key; chmod 640 readable.key\n");
    ck_assert(fixture_try("printf 'a key;# \\n' >office.psk; printf '\\r\\n\\n' >empty.psk; "
                          "printf 'other' >gateway.psk; printf x >open.psk; chmod 600 *.psk; "
                          "chmod 644 open.psk; printf nonsense >nonsense"));
}

static int64_t now(void)
{
    return (int64_t)time(NULL);
}

static void print_faults(void)
{
    memset(printed, 0, sizeof(printed));
    FILE *f = fmemopen(printed, sizeof(printed), "w");
    ck_assert_ptr_nonnull(f);
    fault_list_print(&faults, "p.conf", f);
    ck_assert_int_eq(fclose(f), 0);
}

static struct profile *profile_of(const char *text)
{
    struct profile *p = NULL;
    fault_list_init(&faults);
    fixture_write("p.conf", span_text(text));
    ck_assert_int_eq(chmod("p.conf", 0600), 0);
    enum err e = profile_load("p.conf", &p, &faults);
    print_faults();
    ck_assert_msg(e == ERR_OK, "%s", printed);
    return p;
}

static struct credentials *load_good(const char *text, struct profile **ret)
{
    struct credentials *c = NULL;
    *ret = profile_of(text);
    enum err e = credentials_load(*ret, now(), &c, &faults);
    print_faults();
    ck_assert_msg(e == ERR_OK && printed[0] == '\0', "%s", printed);
    return c;
}

static void expect_faults_at(const char *text, int64_t when, const char *expected)
{
    struct profile *p = profile_of(text);
    struct credentials *c = NULL;
    ck_err(credentials_load(p, when, &c, &faults), ERR_MALFORMED);
    ck_assert_ptr_null(c);
    print_faults();
    ck_assert_str_eq(printed, expected);
    profile_free(p);
}

static void expect_faults(const char *text, const char *expected)
{
    expect_faults_at(text, now(), expected);
}

/* --- pre-shared keys --- */

START_TEST(one_key_for_both_directions)
{
    static const char *const texts[] = {
        "[Gateway]\nAddress=a\nPresharedKeyFile=office.psk\n[Local]\nIdentity=b\n",
        ("[Local]\nIdentity=b\nPresharedKeyFile=office.psk\n"
         "[Gateway]\nAuthentication=psk\nAddress=a\n"),
        "[Gateway]\nAddress=a\nPresharedKey=a key;# \n[Local]\nIdentity=b\n",
    };
    /* In a file blanks belong to the key, the line's end does not; in a profile neither does. */
    static const char *const keys[] = {"a key;# ", "a key;# ", "a key;#"};
    for (size_t i = 0; i < 3; i++) {
        struct profile *p;
        struct credentials *c = load_good(texts[i], &p);
        ck_span_eq(secret_span(&c->psk), span_text(keys[i]));
        ck_span_eq(secret_span(&c->gateway_psk), span_text(keys[i]));
        ck_assert_ptr_null(c->trust.gateway);
        ck_assert_ptr_null(c->own.key);
        ck_assert_uint_eq(c->own.chain.count, 0);
        credentials_free(c);
        profile_free(p);
    }
}
END_TEST

START_TEST(a_key_for_each_direction)
{
    struct profile *p;
    struct credentials *c = load_good("[Gateway]\nAddress=a\nPresharedKeyFile=gateway.psk\n"
                                      "[Local]\nIdentity=b\nPresharedKey=ours\n",
                                      &p);
    ck_span_eq(secret_span(&c->psk), span_text("ours"));
    ck_span_eq(secret_span(&c->gateway_psk), span_text("other"));

    struct session_config config;
    credentials_session_config(p, c, &config);
    ck_span_eq(secret_span(&config.local_psk), span_text("ours"));
    ck_span_eq(secret_span(&config.remote_psk), span_text("other"));
    ck_assert_uint_eq(config.local_auth, SESSION_AUTH_PSK);
    ck_assert_uint_eq(config.remote_auth, SESSION_AUTH_PSK);
    ck_assert_ptr_null(config.trust);
    wipe(&config, sizeof(config));
    credentials_free(c);
    profile_free(p);
}
END_TEST

START_TEST(keys_that_cannot_be_used)
{
#define PSK(file)                                                                                  \
    "[Gateway]\nAddress=a\nAuthentication=psk\n[Local]\nIdentity=b\nPresharedKeyFile=" file "\n"
    expect_faults(PSK("absent.psk"), "p.conf:6: absent.psk: no such file\n");
    expect_faults(PSK("empty.psk"), "p.conf:6: empty.psk is empty\n");
    expect_faults(PSK("open.psk"), "p.conf:6: open.psk is open to other users (mode 0644) "
                                   "(chmod 600 open.psk)\n");
    expect_faults(PSK("."), "p.conf:6: . is not a regular file\n");
    ck_assert(fixture_try("umask 077; head -c 512 /dev/zero >most.psk; "
                          "head -c 513 /dev/zero >more.psk; head -c 70000 /dev/zero >huge.psk"));
    expect_faults(PSK("more.psk"), "p.conf:6: the key in more.psk is longer than 512 octets\n");
    expect_faults(PSK("huge.psk"), "p.conf:6: huge.psk is larger than 65536 octets\n");
    struct profile *p;
    struct credentials *c = load_good(PSK("most.psk"), &p); /* zeroes are octets like others */
    ck_assert_uint_eq(c->psk.len, 512);
    credentials_free(c);
    profile_free(p);
}
END_TEST

/* --- passwords --- */

#define USER(more)                                                                                 \
    "[Gateway]\nAddress=a\nCA=root.pem\n[Local]\nUserName=alice\nEAPMethods=gtc, mschapv2\n" more

static void expect_password(const char *text, const char *password)
{
    struct profile *p;
    struct credentials *c = load_good(text, &p);
    ck_span_eq(secret_span(&c->password), span_text(password));
    ck_assert(!credentials_lack_password(p, c));
    credentials_free(c);
    profile_free(p);
}

START_TEST(passwords)
{
    static const uint8_t methods[] = {EAP_GTC, EAP_MSCHAPV2};
    ck_assert(fixture_try("umask 077; printf '0x is no hex here \\n' >alice.password"));
    expect_password(USER("Password=in the profile\n"), "in the profile");
    expect_password(USER("PasswordFile=alice.password\n"), "0x is no hex here ");
    struct profile *p;
    struct credentials *c = load_good(USER("Password=secret\n"), &p);
    struct session_config config;
    credentials_session_config(p, c, &config);
    ck_assert_uint_eq(config.local_auth, SESSION_AUTH_EAP);
    ck_assert_uint_eq(config.remote_auth, SESSION_AUTH_CERTIFICATE);
    ck_assert_str_eq(config.eap.name, "alice");
    ck_span_eq(span_make(config.eap.methods, config.eap.method_count), SPAN_OF(methods));
    ck_span_eq(secret_span(&config.eap.password), span_text("secret"));
    ck_assert(!config.eap_once);
    wipe(&config, sizeof(config));
    credentials_free(c);
    profile_free(p);
}
END_TEST

/* systemd's directory comes first; what it has is as secret as any. */
START_TEST(passwords_of_systemd)
{
    ck_assert(fixture_try("umask 077; mkdir handed; printf handed >handed/p.password; "
                          "printf other >handed/q.password"));
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", "handed", 1), 0); /* not absolute: not ours */
    expect_password(USER("Password=in the profile\n"), "in the profile");
    char here[1024], directory[1100];
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    snprintf(directory, sizeof(directory), "%s/handed", here);
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
    expect_password(USER("Password=in the profile\n"), "handed");
    expect_password(USER(""), "handed");
    ck_assert_int_eq(chmod("handed/p.password", 0644), 0);
    struct profile *p = profile_of(USER("Authentication=eap\n"));
    struct credentials *c = NULL;
    ck_err(credentials_load(p, now(), &c, &faults), ERR_MALFORMED);
    print_faults();
    ck_assert_ptr_nonnull(strstr(printed, "p.conf:7: "));
    ck_assert_ptr_nonnull(strstr(printed, "handed/p.password is open to other users"));
    profile_free(p);
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}
END_TEST

START_TEST(passwords_that_cannot_be_used)
{
    expect_faults(USER("PasswordFile=absent.password\n"),
                  "p.conf:7: absent.password: no such file\n");
    expect_faults(USER("PasswordFile=open.psk\n"),
                  "p.conf:7: open.psk is open to other users (mode "
                  "0644) (chmod 600 open.psk)\n");
    expect_faults(USER("PasswordFile=empty.psk\n"), "p.conf:7: empty.psk is empty\n");
}
END_TEST

START_TEST(passwords_that_are_asked_for)
{
    struct profile *p;
    struct credentials *c = load_good(USER(""), &p);
    struct session_config config;
    struct fault f = {0};
    char here[1024], program[1100];
    ck_assert(credentials_lack_password(p, c));
    ck_assert(fixture_try("printf '#!/bin/sh\\necho \"$#: $1\" >question\\ncat answer\\n' >ask; "
                          "chmod 755 ask; printf 'ent ered\\nand more\\n' >answer"));
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    snprintf(program, sizeof(program), "%s/ask", here);
    ck_assert_int_eq(setenv("TERN_ASKPASS", "ask", 1), 0);
    ck_err(credentials_ask_password(p, c, &f), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "TERN_ASKPASS=ask is not an absolute path"));
    ck_assert_int_eq(setenv("TERN_ASKPASS", program, 1), 0);
    ck_ok(credentials_ask_password(p, c, &f));
    ck_span_eq(secret_span(&c->password), span_text("ent ered"));
    ck_assert(fixture_try("[ \"$(cat question)\" = '1: Password of alice for p' ]"));
    credentials_session_config(p, c, &config);
    ck_assert(config.eap_once);
    wipe(&config, sizeof(config));
    ck_assert(fixture_try("printf '\\n' >answer"));
    ck_err(credentials_ask_password(p, c, &f), ERR_REFUSED);
    ck_assert_str_eq(f.text, "nothing was entered");
    ck_assert(fixture_try("head -c 512 /dev/zero | tr '\\0' x >answer"));
    ck_ok(credentials_ask_password(p, c, &f));
    ck_assert_uint_eq(c->password.len, 512);
    ck_assert(fixture_try("head -c 5000 /dev/zero | tr '\\0' x >answer"));
    ck_err(credentials_ask_password(p, c, &f), ERR_LIMIT);
    ck_assert(fixture_try("rm answer")); /* it fails */
    ck_err(credentials_ask_password(p, c, &f), ERR_REFUSED);
    ck_assert_int_eq(unsetenv("TERN_ASKPASS"), 0);
    credentials_free(c);
    profile_free(p);
}
END_TEST

/* --- our certificate --- */

#define OURS(certificate, key)                                                                     \
    "[Gateway]\nAddress=a\nCA=root.pem\n[Local]\nCertificate=" certificate "\nPrivateKey=" key "\n"

START_TEST(certificate_and_key)
{
    char out[IDENTITY_TEXT_MAX];
    struct profile *p;
    struct credentials *c = load_good(OURS("chain.pem", "alice.key"), &p);
    ck_assert_uint_eq(c->own.chain.count, 2);
    ck_assert_str_eq(certificate_subject(c->own.chain.items[0], out), "CN=alice");
    ck_assert_ptr_nonnull(c->own.key);
    ck_assert_uint_eq(trust_store_count(c->trust.gateway), 1);
    ck_assert_int_eq(c->identity.type, IDENTITY_EMAIL); /* the profile names none */
    ck_assert_str_eq(identity_format(&c->identity, out), "alice@example.com");

    struct session_config config;
    credentials_session_config(p, c, &config);
    ck_assert_uint_eq(config.local_auth, SESSION_AUTH_CERTIFICATE);
    ck_assert_uint_eq(config.remote_auth, SESSION_AUTH_CERTIFICATE);
    ck_assert_ptr_eq(config.key, c->own.key);
    ck_assert_ptr_eq(config.chain, &c->own.chain);
    ck_assert_ptr_eq(config.trust, c->trust.gateway);
    ck_assert(!config.send_remote_id); /* the profile names none */
    ck_assert_int_eq(config.local_id.type, IDENTITY_EMAIL);
    wipe(&config, sizeof(config));
    credentials_free(c);
    profile_free(p);

    c = load_good(OURS("bare.pem", "bare.key"), &p);
    ck_assert_int_eq(c->identity.type, IDENTITY_DN);
    credentials_free(c);
    profile_free(p);

    c = load_good(OURS("alice.der", "alice.key") "Identity=bob@example.com\n", &p);
    ck_assert_str_eq(identity_format(&c->identity, out), "bob@example.com");
    credentials_free(c);
    profile_free(p);
}
END_TEST

START_TEST(certificates_and_keys_that_cannot_be_used)
{
    expect_faults(OURS("alice.pem", "bare.key"),
                  "p.conf:6: bare.key is not the key of the certificate in alice.pem\n");
    /* the first one counts */
    expect_faults(OURS("bundle.pem", "alice.key"),
                  "p.conf:6: alice.key is not the key of the certificate in bundle.pem\n");
    expect_faults(OURS("absent.pem", "alice.key"),
                  "p.conf:5: cannot read absent.pem: No such file or directory\n");
    expect_faults(OURS("alice.pem", "absent.key"), "p.conf:6: absent.key: no such file\n");
    expect_faults(OURS("absent.pem", "absent.key"),
                  "p.conf:5: cannot read absent.pem: No such file or directory\n"
                  "p.conf:6: absent.key: no such file\n");
    expect_faults(OURS("alice.pem", "readable.key"),
                  "p.conf:6: readable.key is open to other users (mode 0640) "
                  "(chmod 600 readable.key)\n");
    expect_faults(OURS("nonsense", "alice.key"),
                  "p.conf:5: nonsense: no certificate found: neither PEM nor DER" HINT);
    expect_faults(OURS("alice.key", "alice.key"),
                  "p.conf:5: alice.key: no certificate found, but \"PRIVATE KEY\"" HINT);
}
END_TEST

START_TEST(out_of_its_time)
{
    struct profile *p;
    struct credentials *c = load_good(OURS("chain.pem", "alice.key"), &p);
    int64_t first = certificate_not_before(c->own.chain.items[0]);
    int64_t last = certificate_not_after(c->own.chain.items[0]);
    const int64_t good[] = {first, last}, bad[] = {first - 1, last + 1, 0, last + 4000 * DAY};
    credentials_free(c);
    for (size_t i = 0; i < 2; i++) {
        fault_list_init(&faults);
        ck_ok(credentials_load(p, good[i], &c, &faults));
        credentials_free(c);
    }
    for (size_t i = 0; i < 4; i++) {
        c = NULL;
        fault_list_init(&faults);
        ck_err(credentials_load(p, bad[i], &c, &faults), ERR_MALFORMED);
        ck_assert_ptr_null(c);
        ck_assert_uint_eq(faults.count, 1);
        ck_assert_uint_eq(faults.items[0].line, 5);
        /* both clocks */
        const char *words =
            bad[i] < first ? "our certificate is valid from 20" : "our certificate expired on 20";
        ck_assert_msg(strncmp(faults.items[0].fault.text, words, strlen(words)) == 0, "%s",
                      faults.items[0].fault.text);
        ck_assert_ptr_nonnull(strstr(faults.items[0].fault.text, " UTC; it is now "));
    }
    profile_free(p);
}
END_TEST

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

/* --- the session's configuration --- */

START_TEST(what_the_session_is_told)
{
    char out[SELECTOR_LIST_TEXT_MAX];
    struct profile *p;
    struct credentials *c =
        load_good("[Gateway]\nAddress=a\nIdentity=gw.example\nPresharedKeyFile=office.psk\n"
                  "[Local]\nIdentity=b\n[Tunnel]\nRoutes=10.9.0.0/24\nRequestAddress=10.7.0.9\n"
                  "DNS=off\n[Crypto]\nIKE=aes256-sha256-modp2048\nESP=aes256gcm16\n"
                  "[Roaming]\nDPD=90s\nKeepalive=off\n",
                  &p);
    struct session_config config;
    credentials_session_config(p, c, &config);
    ck_assert_int_eq(config.role, SESSION_INITIATOR);
    ck_assert(identity_equal(&config.local_id, &p->identity));
    ck_assert(identity_equal(&config.remote_id, &p->gateway_identity));
    ck_assert(config.send_remote_id);
    ck_assert_str_eq(selector_list_format(&config.remote_selectors, out), "10.9.0.0/24");
    ck_assert(config.request_ipv4 && !config.request_ipv6 && config.request_dns);
    ck_assert_str_eq(ip_format(&config.fixed_ipv4, out), "10.7.0.9");
    ck_assert_uint_eq(config.ike.count, 1);
    ck_assert_uint_eq(config.esp.count, 1);
    ck_assert_uint_eq(config.dpd_ms, 90000);
    ck_assert_uint_eq(config.keepalive_ms, 0);
    int64_t before = now();
    ck_assert_int_ge(config.wall_time(config.wall_time_ctx), before);
    wipe(&config, sizeof(config));
    credentials_free(c);
    credentials_free(NULL);
    profile_free(p);
    profile_free(NULL);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_credentials");
    TCase *t = tcase_create("credentials");

    tcase_add_unchecked_fixture(t, make_files, fixture_leave);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, one_key_for_both_directions);
    tcase_add_test(t, a_key_for_each_direction);
    tcase_add_test(t, keys_that_cannot_be_used);
    tcase_add_test(t, passwords);
    tcase_add_test(t, passwords_of_systemd);
    tcase_add_test(t, passwords_that_cannot_be_used);
    tcase_add_test(t, passwords_that_are_asked_for);
    tcase_add_test(t, certificate_and_key);
    tcase_add_test(t, certificates_and_keys_that_cannot_be_used);
    tcase_add_test(t, out_of_its_time);
    tcase_add_test(t, several_ca);
    tcase_add_test(t, ca_that_cannot_be_used);
    tcase_add_test(t, the_systems_ca);
    tcase_add_test(t, revocation);
    tcase_add_test(t, crls_that_cannot_be_used);
    tcase_add_test(t, crls_looked_at);
    tcase_add_test(t, crls_that_change);
    tcase_add_test(t, crls_that_change_for_the_eap_server);
    tcase_add_test(t, what_the_session_is_told);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
