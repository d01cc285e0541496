/* PKCS#11 URIs (RFC 7512), and the keys of [Local] that say where our own key comes from. */
#include "client/pkcs11_uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/profile.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"

/* --- URIs --- */

START_TEST(good_uris)
{
    static const struct {
        const char *text, *rest, *pin, *pin_file;
    } cases[] = {
        {"pkcs11:", "pkcs11:", "", ""},
        {"pkcs11:token=office%20card;id=%01;type=private", /* RFC 7512 3 */
         "pkcs11:token=office%20card;id=%01;type=private", "", ""},
        {"pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;"
         "model=1.0;object=my-certificate;serial=;library-version=3;slot-id=7",
         "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;"
         "model=1.0;object=my-certificate;serial=;library-version=3;slot-id=7",
         "", ""},
        {"pkcs11:token=a?pin-value=12%2034", "pkcs11:token=a", "12 34", ""},
        {"pkcs11:token=a?module-path=/usr/lib/x.so&pin-value=1&module-name=x",
         "pkcs11:token=a?module-path=/usr/lib/x.so&module-name=x", "1", ""},
        {"pkcs11:?pin-value=1", "pkcs11:", "1", ""},
        {"pkcs11:token=a?pin-source=file:/etc/pin", "pkcs11:token=a", "", "/etc/pin"},
        {"pkcs11:token=a?pin-source=file:///etc/p%20in", "pkcs11:token=a", "", "/etc/p in"},
        {"pkcs11:token=a?pin-source=/etc/pin", "pkcs11:token=a", "", "/etc/pin"},
        {"pkcs11:token=a?", "pkcs11:token=a", "", ""},
        {"pkcs11:id=%00%ff%2F", "pkcs11:id=%00%ff%2F", "", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pkcs11_uri uri;
        struct fault f = {0};
        ck_assert(pkcs11_uri_is_one(cases[i].text));
        enum err e = pkcs11_uri_parse(cases[i].text, "private", &uri, &f);
        ck_assert_msg(e == ERR_OK, "%s: %s", cases[i].text, f.text);
        ck_assert_str_eq(uri.text, cases[i].rest);
        ck_span_eq(secret_span(&uri.pin), span_text(cases[i].pin));
        ck_assert_str_eq(uri.pin_file, cases[i].pin_file);
    }
}
END_TEST

#define CANARY "kanarienvogel"

START_TEST(bad_uris)
{
    static const char *const cases[][2] = {
        {"pkcs12:token=a", "does not begin with pkcs11:"},
        {"pkcs11:tokens=a", "tokens is no attribute"},
        {"pkcs11:Token=a", "Token is no attribute"},
        {"pkcs11:token", "an attribute without ="},
        {"pkcs11:token=a;", NULL}, /* RFC 7512 has no empty attribute, and everybody takes it */
        {"pkcs11:token=a;;id=%01", "an attribute without ="},
        {"pkcs11:token=a;token=b", "token is given twice"},
        {"pkcs11:token=a b", "token has a sign that must be written as %XX"},
        {"pkcs11:token=a%2", "token has a sign"},
        {"pkcs11:token=a%", "token has a sign"},
        {"pkcs11:id=%zz", "id has a sign"},
        {"pkcs11:id=%0", "id has a sign"},
        {"pkcs11:token=gr\xc3\xbcn", "token has a sign"},
        {"pkcs11:token=\"a\"", "token has a sign"},
        {"pkcs11:type=cert", "the URI's type is not private"},
        {"pkcs11:pin-value=" CANARY, "pin-value is no attribute"},
        {"pkcs11:token=a?pin-value=", "pin-value is empty"},
        {"pkcs11:token=a?pin-valeu=" CANARY, "pin-valeu is no attribute"},
        {"pkcs11:token=a?pin-value=" CANARY "#", "pin-value has a sign"},
        {"pkcs11:token=a?" CANARY, "an attribute without ="},
        {"pkcs11:token=a?pin-source=|/bin/cat", "neither an absolute path"},
        {"pkcs11:token=a?pin-source=pin", "neither an absolute path"},
        {"pkcs11:token=a?pin-source=file:", "neither an absolute path"},
        {"pkcs11:token=a?pin-source=file:pin", "neither an absolute path"},
        {"pkcs11:token=a?pin-source=file://host/pin", "neither an absolute path"},
        {"pkcs11:token=a?pin-source=/pin%00", "neither an absolute path"},
        {"pkcs11:token=a?pin-value=1&pin-value=2", "pin-value is given twice"},
        {"pkcs11:token=a?token=b", "token is no attribute"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const struct pkcs11_uri empty;
        struct pkcs11_uri uri;
        struct fault f = {0};
        enum err e = pkcs11_uri_parse(cases[i][0], "private", &uri, &f);
        if (cases[i][1] == NULL) {
            ck_ok(e);
            continue;
        }
        ck_assert_msg(e == ERR_MALFORMED && strstr(f.text, cases[i][1]) != NULL, "%s: %s",
                      cases[i][0], f.text);
        ck_assert_ptr_null(strstr(f.text, CANARY));
        ck_assert_mem_eq(&uri, &empty, sizeof(uri));
    }
}
END_TEST

START_TEST(long_uris)
{
    char text[PKCS11_URI_MAX + 8];
    struct pkcs11_uri uri;
    struct fault f = {0};
    for (size_t len = 20; len < PKCS11_URI_MAX + 2; len++) {
        memset(text, 'x', len);
        memcpy(text, "pkcs11:object=", 14);
        text[len] = '\0';
        enum err e = pkcs11_uri_parse(text, "cert", &uri, &f);
        ck_err(e, len < PKCS11_URI_MAX ? ERR_OK : ERR_LIMIT);
    }
    memcpy(text, "pkcs11:?pin-value=", 18); /* longer than a secret */
    text[PKCS11_URI_MAX - 1] = '\0';
    ck_err(pkcs11_uri_parse(text, "cert", &uri, &f), ERR_MALFORMED);
}
END_TEST

/* --- the profile --- */

static struct fault_list faults;

#define HEAD "[Gateway]\nAddress = a\n[Local]\n"

static enum err load(const char *local, mode_t mode, struct profile **ret)
{
    char text[2048];
    snprintf(text, sizeof(text), HEAD "%s", local);
    fault_list_init(&faults);
    fixture_write("p.conf", span_text(text));
    ck_assert_int_eq(chmod("p.conf", mode), 0);
    return profile_load("p.conf", ret, &faults);
}

static struct profile *load_good(const char *local)
{
    struct profile *p = NULL;
    enum err e = load(local, 0600, &p);
    ck_assert_msg(e == ERR_OK, "%s: %s", local, faults.items[0].fault.text);
    return p;
}

#define MACHINE "Identity = a\nPresharedKey = b\n"

START_TEST(where_the_key_comes_from)
{
    struct profile *p = load_good("PKCS12 = alice.p12\nPassphrase = open; sesame\n");
    ck_assert_int_eq(p->authentication, AUTHENTICATION_CERTIFICATE);
    ck_assert_str_eq(p->own.pkcs12, "alice.p12");
    ck_span_eq(secret_span(&p->own.passphrase), span_text("open; sesame"));
    profile_free(p);

    p = load_good("Certificate = a.pem\nPrivateKey = a.key\nPassphraseFile = a.pass\n");
    ck_assert_str_eq(p->own.passphrase_file, "a.pass");
    profile_free(p);

    /* the certificate has the key's id, and the key the certificate's */
    p = load_good("PrivateKey = pkcs11:token=a;id=%01?pin-value=1234\n");
    ck_assert_int_eq(p->authentication, AUTHENTICATION_CERTIFICATE);
    ck_assert_str_eq(p->own.private_key, "pkcs11:token=a;id=%01");
    ck_span_eq(secret_span(&p->own.pin), span_text("1234"));
    ck_assert_uint_eq(p->own.pin_line, 4);
    profile_free(p);
    p = load_good("Certificate = pkcs11:token=a;id=%01;type=cert?pin-source=file:/etc/pin\n");
    ck_assert_str_eq(p->own.certificate, "pkcs11:token=a;id=%01;type=cert");
    ck_assert_str_eq(p->own.pin_file, "/etc/pin");
    ck_assert_uint_eq(p->own.pin_line, 0);
    profile_free(p);

    p = load_good("Certificate = a.pem\nPrivateKey = pkcs11:token=a\n");
    ck_assert_str_eq(p->own.certificate, "a.pem");
    ck_assert_str_eq(p->own.private_key, "pkcs11:token=a");
    profile_free(p);

    /* two tokens, or one twice */
    p = load_good("PrivateKey = pkcs11:token=a?pin-value=1\n"
                  "[User]\nPrivateKey = pkcs11:token=b?pin-value=2\n");
    ck_assert_int_eq(p->authentication, AUTHENTICATION_CERTIFICATE);
    ck_assert_int_eq(p->user_authentication, AUTHENTICATION_CERTIFICATE);
    ck_assert_str_eq(p->own.private_key, "pkcs11:token=a");
    ck_assert_str_eq(p->user_own.private_key, "pkcs11:token=b");
    ck_span_eq(secret_span(&p->own.pin), span_text("1"));
    ck_span_eq(secret_span(&p->user_own.pin), span_text("2"));
    profile_free(p);
    p = load_good(MACHINE "[User]\nPKCS12 = alice.p12\nPassphraseFile = alice.pass\n");
    ck_assert_int_eq(p->user_authentication, AUTHENTICATION_CERTIFICATE);
    ck_assert_str_eq(p->user_own.pkcs12, "alice.p12");
    ck_assert_str_eq(p->user_own.passphrase_file, "alice.pass");
    profile_free(p);
}
END_TEST

START_TEST(what_does_not_go_together)
{
    static const struct {
        const char *local;
        unsigned line;
        const char *words;
    } cases[] = {
        {"PKCS12 = a\nCertificate = b\n", 5, "PKCS12 and Certificate are both given; keep one"},
        {"PrivateKey = b\nPKCS12 = a\n", 5, "PKCS12 and PrivateKey are both given; keep one"},
        {"PKCS12 = a\nPassphrase = b\nPassphraseFile = c\n", 6,
         "Passphrase and PassphraseFile are both given; keep one"},
        {"Certificate = pkcs11:token=a\nPrivateKey = b\n", 5,
         "Certificate is on a token, and PrivateKey is not"},
        {"Certificate = a\n", 3, "Authentication = certificate needs PrivateKey"},
        {"Authentication = certificate\nPrivateKey = a\n", 4,
         "Authentication = certificate needs Certificate"},
        {"Certificate = pkcs11:token=a?pin-value=1\nPrivateKey = pkcs11:token=a?pin-value=1\n", 5,
         "PrivateKey: the PIN is given twice; keep one pin-value or pin-source"},
        {"PrivateKey = pkcs11:token=a?pin-value=1&pin-source=/b\n", 4,
         "PrivateKey: the PIN is given twice; keep one pin-value or pin-source"},
        {MACHINE "[User]\nCertificate = a\nPKCS12 = b\n", 8,
         "PKCS12 and Certificate are both given; keep one"},
        {MACHINE "[User]\nCertificate = pkcs11:token=a\nPrivateKey = b\n", 8,
         "Certificate is on a token, and PrivateKey is not"},
        {MACHINE "[User]\nPrivateKey = a\n", 6, "Authentication = certificate needs Certificate"},
        {"PrivateKey = pkcs11:type=cert\n", 4, "PrivateKey: the URI's type is not private"},
        {"Certificate = pkcs11:type=private\n", 4, "Certificate: the URI's type is not cert"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct profile *p = NULL;
        ck_err(load(cases[i].local, 0600, &p), ERR_MALFORMED);
        ck_assert_uint_ge(faults.count, 1);
        bool found = false;
        for (size_t j = 0; j < faults.count; j++)
            found = found || (faults.items[j].line == cases[i].line &&
                              strcmp(faults.items[j].fault.text, cases[i].words) == 0);
        ck_assert_msg(found, "%s: %u: %s", cases[i].local, faults.items[0].line,
                      faults.items[0].fault.text);
    }
}
END_TEST

/* With a PIN or a passphrase in it the profile is a secret file. */
START_TEST(secrets_that_others_can_read)
{
    static const char *const cases[] = {"PKCS12 = a\nPassphrase = b\n",
                                        "PKCS12 = a\nDNS = b\nPassphrase = b\n",
                                        "PrivateKey = pkcs11:token=a?pin-value=1\n",
                                        "PKCS12 = a\n[User]\nPKCS12 = b\nPassphrase = c\n",
                                        "PKCS12 = a\n[User]\nPrivateKey = pkcs11:?pin-value=1\n"};
    static const unsigned lines[] = {5, 6, 4, 7, 6};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct profile *p = NULL;
        ck_err(load(cases[i], 0644, &p), ERR_MALFORMED);
        const struct fault_list_item *last = &faults.items[faults.count - 1];
        ck_assert_uint_eq(last->line, lines[i]);
        ck_assert_ptr_nonnull(strstr(last->fault.text, "is open to other users"));
    }
    struct profile *p = NULL;
    ck_ok(load("PrivateKey = pkcs11:token=a?pin-source=/etc/pin\n", 0644, &p));
    profile_free(p);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_pkcs11_uri");
    TCase *t = tcase_create("uri");
    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_test(t, good_uris);
    tcase_add_test(t, bad_uris);
    tcase_add_test(t, long_uris);
    tcase_add_test(t, where_the_key_comes_from);
    tcase_add_test(t, what_does_not_go_together);
    tcase_add_test(t, secrets_that_others_can_read);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
