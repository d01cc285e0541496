/* Certificates: parsing, the identities they prove (RFC 7296 3.5, RFC 4945 3.1), and which chains
 * are trusted (RFC 5280 6.1, RFC 4945 5.1). The openssl command makes them all. */
#include "common/crypto/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { TIMEOUT_S = 120, DAY = 86400 };

#define P256 "EC -pkeyopt ec_paramgen_curve:P-256"
#define CA   "basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign\\n"
#define LEAF "basicConstraints=CA:FALSE\\nkeyUsage=digitalSignature\\n"

/* Issued in this order; each gives NAME.pem (certificate) and NAME.key. */
static const struct issue {
    const char *name, *issuer, *subject, *extensions, *key;
    int days;
    const char *more;
} issues[] = {
    {"root", NULL, "/C=CH/O=Example/CN=Root", CA, P256, 400, ""},
    {"other", NULL, "/CN=Other Root", CA, P256, 400, ""},
    {"twin", NULL, "/C=CH/O=Example/CN=Root", CA, P256, 400, ""},
    {"shortroot", NULL, "/CN=Short Root", CA, P256, 10, ""},
    {"sha1root", NULL, "/CN=Old Root", CA, "RSA -pkeyopt rsa_keygen_bits:2048", 400, "-sha1"},
    {"weakroot", NULL, "/CN=Weak Root", CA, "RSA -pkeyopt rsa_keygen_bits:1024", 400, ""},
    {"oldstyle", NULL, "/CN=No Extensions", "", P256, 400, ""},
    {"inter", "root", "/CN=Intermediate", CA, P256, 300, ""},
    {"inter2", "inter", "/CN=Intermediate 2", CA, "ED25519", 300, ""},
    {"notca", "root", "/CN=Not a CA", "basicConstraints=CA:FALSE\\n", P256, 300, ""},
    {"nosign", "root", "/CN=No Sign",
     "basicConstraints=critical,CA:TRUE\\nkeyUsage=digitalSignature\\n", P256, 300, ""},
    {"plain", "root", "/CN=No Constraints", "subjectAltName=DNS:x.example\\n", P256, 300, ""},
    {"path0", "root", "/CN=Path 0", "basicConstraints=critical,CA:TRUE,pathlen:0\\n", P256, 300,
     ""},
    {"path0ca", "path0", "/CN=Below Path 0", CA, P256, 300, ""},
    {"named", "root", "/CN=Constrained",
     CA "nameConstraints=critical,permitted;DNS:example.net,excluded;DNS:bad.example.net\\n", P256,
     300, ""},
    {"critical", "root", "/CN=critical", LEAF "1.2.3.4.5=critical,ASN1:NULL\\n", P256, 200, ""},
    {"leaf", "root", "/CN=vpn.example.net", LEAF "subjectAltName=DNS:vpn.example.net\\n", P256, 200,
     ""},
    {"deep", "inter2", "/CN=deep", LEAF "subjectAltName=DNS:deep.example.net\\n", P256, 200, ""},
    {"underother", "other", "/CN=under other", LEAF, P256, 200, ""},
    {"undershort", "shortroot", "/CN=under short", LEAF, P256, 200, ""},
    {"undersha1", "sha1root", "/CN=under old", LEAF, P256, 200, ""},
    {"underweak", "weakroot", "/CN=under weak", LEAF, P256, 200, ""},
    {"undernotca", "notca", "/CN=under not-a-CA", LEAF, P256, 200, ""},
    {"undernosign", "nosign", "/CN=under no-sign", LEAF, P256, 200, ""},
    {"underplain", "plain", "/CN=under plain", LEAF, P256, 200, ""},
    {"underoldstyle", "oldstyle", "/CN=under old-style", LEAF, P256, 200, ""},
    {"under0", "path0", "/CN=under path 0", LEAF, P256, 200, ""},
    {"under0ca", "path0ca", "/CN=too deep", LEAF, P256, 200, ""},
    {"permitted", "named", "/CN=ok", LEAF "subjectAltName=DNS:a.example.net\\n", P256, 200, ""},
    {"outside", "named", "/CN=outside", LEAF "subjectAltName=DNS:a.example.com\\n", P256, 200, ""},
    {"excluded", "named", "/CN=excluded", LEAF "subjectAltName=DNS:bad.example.net\\n", P256, 200,
     ""},
    {"server", "root", "/CN=server", LEAF "extendedKeyUsage=serverAuth\\n", P256, 200, ""},
    {"client", "root", "/CN=client", LEAF "extendedKeyUsage=clientAuth\\n", P256, 200, ""},
    {"ike", "root", "/CN=ike", LEAF "extendedKeyUsage=1.3.6.1.5.5.8.2.2\\n", P256, 200, ""},
    {"any", "root", "/CN=any", LEAF "extendedKeyUsage=anyExtendedKeyUsage\\n", P256, 200, ""},
    {"mail", "root", "/CN=mail", LEAF "extendedKeyUsage=emailProtection\\n", P256, 200, ""},
    {"encipher", "root", "/CN=encipher", "keyUsage=keyEncipherment\\n", P256, 200, ""},
    {"nonrep", "root", "/CN=nonrep", "keyUsage=nonRepudiation\\n", P256, 200, ""},
    {"bare", "root", "/CN=bare", "subjectKeyIdentifier=hash\\n", P256, 200, ""},
    {"sha1", "root", "/CN=sha1", LEAF, P256, 200, "-sha1"},
    {"rsasha1", "sha1root", "/CN=rsasha1", LEAF, P256, 200, "-sha1"},
    {"md5", "sha1root", "/CN=md5", LEAF, P256, 200, "-md5"},
    {"rsa1024", "root", "/CN=rsa1024", LEAF, "RSA -pkeyopt rsa_keygen_bits:1024", 200, ""},
    {"pss", "sha1root", "/CN=pss", LEAF, "ED25519", 200,
     "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"},
    {"rsa", "root", "/CN=rsa", LEAF, "RSA -pkeyopt rsa_keygen_bits:2048", 200, "-sha384"},
    {"selfmade", NULL, "/CN=selfmade", LEAF, P256, 200, ""},
    {"names", "root", "/C=CH/O=Acme, Inc./CN=only.in.subject",
     LEAF "subjectAltName=URI:ike://x,DNS:*.example.net,email:Alice@Example.net,"
          "DNS:VPN.example.org,IP:192.0.2.1,IP:2001:db8::1,DNS:*.com,DNS:a.*.example.org,"
          "DNS:w*.example.org\\n",
     P256, 200, ""},
    /* dNSName "vpn.example.net<NUL>.evil.example", rfc822Name "a@b<LF>c" */
    {"nul", "root", "/CN=nul",
     LEAF "subjectAltName=DER:302c8220"
          "76706e2e6578616d706c652e6e6574"
          "00"
          "2e6576696c2e6578616d706c65616161"
          "810861406200630a6161\\n",
     P256, 200, ""},
    {"badsan", "root", "/CN=badsan", LEAF "subjectAltName=DER:30058203616161ff\\n", P256, 200, ""},
};
enum { ISSUES = sizeof issues / sizeof issues[0] };

static void issue(const struct issue *i, const char *serial)
{
    char signer[128];
    if (i->issuer == NULL)
        snprintf(signer, sizeof signer, "-signkey %s.key", i->name);
    else
        snprintf(signer, sizeof signer, "-CA %s.pem -CAkey %s.key", i->issuer, i->issuer);
    fixture_shell("openssl genpkey -algorithm %s -out %s.key", i->key, i->name);
    fixture_shell(
        "printf '%s' >ext && openssl req -new -key %s.key -subj '%s' -out req && "
        "openssl x509 -req -in req %s -days %d -set_serial %s -extfile ext %s -out %s.pem",
        i->extensions, i->name, i->subject, signer, i->days, serial, i->more, i->name);
    if (i->extensions[0] != '\0')
        return;
    /* One from before there were extensions: newer commands add some unless they know this option
     * and are given it; older ones do not know it, and add none. */
    (void)fixture_try("openssl req -x509 -x509v1 -config /dev/null -key %s.key -subj '%s' -days %d "
                      "-set_serial %s -out %s.pem",
                      i->name, i->subject, i->days, serial, i->name);
    fixture_shell("openssl x509 -in %s.pem -noout -text | grep 'Version: 1 '", i->name);
}

static void make_certificates(void)
{
    fixture_enter();
    for (size_t i = 0; i < ISSUES; i++) {
        char serial[16];
        snprintf(serial, sizeof serial, "%zu", i + 1);
        issue(&issues[i], serial);
    }
}

static struct span pem_of(const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "%s.pem", name);
    return fixture_read(file);
}

static struct certificate *certificate(const char *name)
{
    struct certificate_list l;
    struct fault f = {.text = ""};
    struct span pem = pem_of(name);
    enum err e = certificate_parse_file(pem, &l, &f);
    free((void *)pem.data);
    ck_assert_msg(e == ERR_OK, "%s: %s", name, f.text);
    ck_assert_uint_eq(l.count, 1);
    return l.items[0];
}

/* Names with spaces between them. */
static struct certificate_list certificates(const char *names)
{
    struct certificate_list l = {.count = 0};
    char copy[256], *save = NULL;
    snprintf(copy, sizeof copy, "%s", names);
    for (char *n = strtok_r(copy, " ", &save); n != NULL; n = strtok_r(NULL, " ", &save))
        l.items[l.count++] = certificate(n);
    return l;
}

static struct trust_store *trusting(const char *names)
{
    struct trust_store *t = NULL;
    struct certificate_list l = certificates(names);
    ck_ok(trust_store_new(&t));
    for (size_t i = 0; i < l.count; i++)
        ck_ok(trust_store_add(t, l.items[i]));
    ck_assert_uint_eq(trust_store_count(t), l.count);
    certificate_list_wipe(&l);
    return t;
}

struct trust_case {
    const char *anchors, *chain;
    enum certificate_purpose purpose;
    int days;                 /* after the leaf was issued */
    const char *fault, *more; /* words in it; NULL: trusted */
};

static void check_trust(const struct trust_case *c)
{
    struct fault f = {.text = ""};
    struct trust_store *t = trusting(c->anchors);
    struct certificate_list chain = certificates(c->chain);
    int64_t now = certificate_not_before(chain.items[0]) + (int64_t)c->days * DAY + 3600;
    enum err e = trust_verify(t, &chain, NULL, c->purpose, now, &f);
    if (c->fault == NULL) {
        ck_assert_msg(e == ERR_OK, "[%s] %s: %s", c->anchors, c->chain, f.text);
    } else {
        ck_assert_msg(e == ERR_REFUSED, "[%s] %s: %s", c->anchors, c->chain, err_text(e));
        ck_assert_int_eq(f.code, ERR_REFUSED);
        ck_assert_msg(strstr(f.text, c->fault) != NULL && strstr(f.text, c->more) != NULL,
                      "[%s] %s: %s", c->anchors, c->chain, f.text);
        ck_assert_msg(f.hint[0] != '\0', "no hint with: %s", f.text);
    }
    certificate_list_wipe(&chain);
    trust_store_free(t);
}

#define GW PURPOSE_GATEWAY
#define CL PURPOSE_CLIENT

static const struct trust_case trust_cases[] = {
    {"root", "leaf", GW, 1, NULL, NULL},
    {"root", "leaf", CL, 1, NULL, NULL},
    {"other root shortroot", "leaf", GW, 1, NULL, NULL},
    {"root", "leaf root", GW, 1, NULL, NULL},
    {"root", "rsa", GW, 1, NULL, NULL},
    {"root", "leaf other inter notca underother", GW, 1, NULL, NULL}, /* more than is needed */
    /* intermediates in any order; missing ones */
    {"root", "deep inter2 inter", GW, 1, NULL, NULL},
    {"root", "deep inter inter2", GW, 1, NULL, NULL},
    {"root", "deep inter root inter2 inter", GW, 1, NULL, NULL},
    {"root", "deep inter", GW, 1, "\"CN=deep\" was issued by \"CN=Intermediate 2\"", "neither"},
    {"root", "deep inter2", GW, 1, "\"CN=Intermediate 2\" was issued by \"CN=Intermediate\"", ""},
    {"root", "deep", GW, 1, "\"CN=deep\" was issued by \"CN=Intermediate 2\"", ""},
    /* any certificate added is an anchor, the end entity's own too */
    {"inter", "deep inter2", GW, 1, NULL, NULL},
    {"inter2", "deep", GW, 1, NULL, NULL},
    {"leaf", "leaf", GW, 1, NULL, NULL},
    {"selfmade", "selfmade", GW, 1, NULL, NULL},
    {"leaf", "server", GW, 1, "\"CN=server\" was issued by \"C=CH, O=Example, CN=Root\"", ""},
    /* another CA, none at all, the same name with another key */
    {"other", "leaf", GW, 1, "issued by \"C=CH, O=Example, CN=Root\"", "neither trusted"},
    {"other", "leaf root", GW, 1, "\"C=CH, O=Example, CN=Root\" is self-signed", "not among"},
    {"", "leaf", GW, 1, "no CA certificate is trusted", "CN=vpn.example.net"},
    {"root", "selfmade", GW, 1, "\"CN=selfmade\" is self-signed", "not among"},
    {"twin", "leaf", GW, 1, "CN=vpn.example.net", "CN=Root"},
    {"root", "underother other", GW, 1, "\"CN=Other Root\" is self-signed", ""},
    /* time */
    {"root", "leaf", GW, 199, NULL, NULL},
    {"root", "leaf", GW, 201, "\"CN=vpn.example.net\" expired on ", "clock says 20"},
    {"root", "leaf", GW, -1, "is not yet valid: it starts on 20", "clock says 20"},
    {"shortroot", "undershort", GW, 9, NULL, NULL},
    {"shortroot", "undershort", GW, 11, "\"CN=Short Root\" expired on ", "clock says 20"},
    {"root", "leaf", GW, 3660, "expired", ""},
    {"root", "leaf", GW, -3660, "is not yet valid", ""},
    /* extended key usage */
    {"root", "server", GW, 1, NULL, NULL},
    {"root", "server", CL, 1, "\"CN=server\" may not be used by a client", "extended"},
    {"root", "client", CL, 1, NULL, NULL},
    {"root", "client", GW, 1, "\"CN=client\" may not be used by a gateway", "extended"},
    {"root", "ike", GW, 1, NULL, NULL},
    {"root", "ike", CL, 1, NULL, NULL},
    {"root", "any", GW, 1, NULL, NULL},
    {"root", "any", CL, 1, NULL, NULL},
    {"root", "mail", GW, 1, "may not be used by a gateway", ""},
    {"root", "mail", CL, 1, "may not be used by a client", ""},
    /* key usage */
    {"root", "encipher", GW, 1, "\"CN=encipher\" may not be used for signatures", "key usage"},
    {"root", "nonrep", GW, 1, NULL, NULL},
    {"root", "bare", GW, 1, NULL, NULL},
    {"root", "critical", GW, 1, "critical extension", "CN=critical"},
    /* who may issue */
    {"root", "undernotca notca", GW, 1, "Not a CA", ""},
    {"root", "undernosign nosign", GW, 1, "No Sign", ""},
    {"root", "underplain plain", GW, 1, "No Constraints", ""},
    {"notca", "undernotca", GW, 1, "\"CN=Not a CA\" issued another one", "not a CA's"},
    {"plain", "underplain", GW, 1, "\"CN=No Constraints\" issued another one", "not a CA's"},
    {"oldstyle", "underoldstyle", GW, 1, NULL, NULL},
    {"root", "under0 path0", GW, 1, NULL, NULL},
    {"root", "under0ca path0ca path0", GW, 1, "\"CN=Path 0\" allows fewer", ""},
    {"root", "permitted named", GW, 1, NULL, NULL},
    {"root", "outside named", GW, 1, "\"CN=outside\" has a name", "name constraints"},
    {"root", "excluded named", GW, 1, "\"CN=excluded\" has a name", "name constraints"},
    {"named", "excluded", GW, 1, "\"CN=excluded\" has a name", "name constraints"},
    /* weak algorithms: the anchor's own signature does not matter */
    {"sha1root", "undersha1", GW, 1, NULL, NULL},
    {"sha1root", "pss", GW, 1, NULL, NULL},
    {"root", "sha1", GW, 1, "\"CN=sha1\" is signed with ECDSA with SHA-1", ""},
    {"sha1root", "rsasha1", GW, 1, "\"CN=rsasha1\" is signed with RSA with SHA-1", ""},
    {"sha1root", "md5", GW, 1, "\"CN=md5\"", ""},
    {"sha1", "sha1", GW, 1, NULL, NULL},
    {"root", "rsa1024", GW, 1, "\"CN=rsa1024\" has an RSA key of only 1024 bits", ""},
    {"weakroot", "underweak", GW, 1, "\"CN=Weak Root\" has an RSA key of only 1024 bits", ""},
};
enum { TRUST_CASES = sizeof trust_cases / sizeof trust_cases[0] };

START_TEST(trust)
{
    check_trust(&trust_cases[_i]);
}
END_TEST

START_TEST(no_chain)
{
    struct certificate_list none = {.count = 0};
    struct trust_store *t = trusting("root");
    struct fault f = {.text = ""};
    ck_err(trust_verify(t, &none, NULL, PURPOSE_GATEWAY, 0, &f), ERR_REFUSED);
    ck_assert_str_eq(f.text, "no certificate was sent");
    ck_err(trust_verify(t, &none, NULL, PURPOSE_GATEWAY, 0, NULL), ERR_REFUSED);
    trust_store_free(t);
}
END_TEST

/* Clocks far off end in a refusal, not in arithmetic that overflows. */
START_TEST(absurd_clocks)
{
    static const int64_t clocks[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, 1LL << 40, INT64_MAX};
    struct trust_store *t = trusting("root");
    struct certificate_list chain = certificates("leaf");
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        struct fault f = {.text = ""};
        ck_err(trust_verify(t, &chain, NULL, PURPOSE_GATEWAY, clocks[i], &f), ERR_REFUSED);
        ck_assert_str_ne(f.text, "");
        ck_assert_str_ne(f.hint, "");
    }
    certificate_list_wipe(&chain);
    trust_store_free(t);
}
END_TEST

/* One changed bit in each octet of a certificate: it no longer parses, or is not trusted. */
START_TEST(changed_certificates)
{
    static const char *const names[] = {"leaf", "names"};
    struct trust_store *t = trusting("root");
    for (size_t n = 0; n < 2; n++) {
        struct certificate *c = certificate(names[n]);
        struct span der = certificate_der(c);
        int64_t now = certificate_not_before(c) + DAY;
        for (size_t i = 0; i < der.len; i++) {
            struct certificate_list l = {.count = 1};
            uint8_t *changed = support_exact_copy(der);
            changed[i] ^= (uint8_t)(1u << i % 8);
            if (certificate_parse_der(span_make(changed, der.len), &l.items[0], NULL) == ERR_OK) {
                ck_assert_msg(trust_verify(t, &l, NULL, PURPOSE_GATEWAY, now, NULL) != ERR_OK,
                              "octet %zu", i);
                certificate_list_wipe(&l);
            }
            free(changed);
            uint8_t *cut = support_exact_copy(span_make(der.data, i));
            ck_err(certificate_parse_der(span_make(cut, i), &l.items[0], NULL), ERR_MALFORMED);
            free(cut);
        }
        certificate_free(c);
    }
    trust_store_free(t);
}
END_TEST

static bool proves(const char *name, const char *identity)
{
    struct identity id;
    ck_ok(identity_parse(identity, &id));
    struct certificate *c = certificate(name);
    bool answer = certificate_proves(c, &id);
    certificate_free(c);
    return answer;
}

START_TEST(identities)
{
    static const struct {
        const char *certificate, *identity;
        bool proven;
    } cases[] = {
        {"leaf", "vpn.example.net", true},
        {"leaf", "VPN.Example.NET", true},
        {"leaf", "vpn.example.com", false},
        {"leaf", "example.net", false},
        {"leaf", "vpn.example.ne", false},
        {"leaf", "a.vpn.example.net", false},
        {"leaf", "CN=vpn.example.net", true},
        {"leaf", "CN=VPN.example.net", true},
        {"leaf", "CN=vpn.example.net, O=x", false},
        {"leaf", "CN=root", false},
        {"leaf", "vpn@example.net", false},
        {"leaf", "@#76706e2e6578616d706c652e6e6574", false},
        {"bare", "bare", false}, /* the CN is not a name of that kind */
        {"bare", "CN=bare", true},
        {"names", "a.example.net", true},
        {"names", "A.EXAMPLE.NET", true},
        {"names", "*.example.net", true},
        {"names", "example.net", false},
        {"names", ".example.net", false},
        {"names", "a.b.example.net", false},
        {"names", "aexample.net", false},
        {"names", "x.com", false},
        {"names", "vpn.example.org", true},
        {"names", "a.b.example.org", false},
        {"names", "www.example.org", false},
        {"names", "only.in.subject", false},
        {"names", "Alice@example.NET", true},
        {"names", "alice@example.net", false},
        {"names", "Bob@example.net", false},
        {"names", "192.0.2.1", true},
        {"names", "192.0.2.2", false},
        {"names", "@192-0-2-1", false},
        {"names", "2001:db8::1", true},
        {"names", "2001:db8::2", false},
        {"names", "C=CH, O=Acme\\, Inc., CN=only.in.subject", true},
        {"names", "O=Acme\\, Inc., C=CH, CN=only.in.subject", false},
        {"nul", "vpn.example.net", false},
        {"nul", "a@b", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(proves(cases[i].certificate, cases[i].identity) == cases[i].proven, "%s: %s",
                      cases[i].certificate, cases[i].identity);
    struct identity none = {.type = IDENTITY_NONE};
    struct certificate *c = certificate("leaf");
    ck_assert(!certificate_proves(c, &none));
    certificate_free(c);
}
END_TEST

START_TEST(words)
{
    static const struct {
        const char *certificate, *subject, *names, *identity;
    } cases[] = {
        {"leaf", "CN=vpn.example.net", "vpn.example.net", "vpn.example.net"},
        {"root", "C=CH, O=Example, CN=Root", "C=CH, O=Example, CN=Root",
         "C=CH, O=Example, CN=Root"},
        {"names", "C=CH, O=Acme\\, Inc., CN=only.in.subject",
         "*.example.net, Alice@Example.net, VPN.example.org, 192.0.2.1, 2001:db8::1, *.com, "
         "a.*.example.org, w*.example.org",
         "Alice@Example.net"},
        {"nul", "CN=nul", "vpn.example.net\\x00.evil.exampleaaa, a@b\\x00c\\x0aaa", "CN=nul"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[IDENTITY_TEXT_MAX];
        struct identity id;
        struct certificate *c = certificate(cases[i].certificate);
        ck_assert_str_eq(certificate_subject(c, text), cases[i].subject);
        ck_assert_str_eq(certificate_issuer(c, text), "C=CH, O=Example, CN=Root");
        ck_assert_str_eq(certificate_names(c, text), cases[i].names);
        certificate_default_identity(c, &id);
        ck_assert_str_eq(identity_format(&id, text), cases[i].identity);
        certificate_free(c);
    }
}
END_TEST

START_TEST(validity_and_key)
{
    struct certificate *c = certificate("leaf");
    fixture_shell(
        "date +%%s -d \"$(openssl x509 -in leaf.pem -noout -startdate | cut -d= -f2)\" >d");
    struct span text = fixture_read("d");
    long long seconds = strtoll((const char *)text.data, NULL, 10);
    free((void *)text.data);
    ck_assert_int_eq(certificate_not_before(c), seconds);
    ck_assert_int_eq(certificate_not_after(c), seconds + 200 * DAY);
    ck_assert_int_eq(public_key_type(certificate_key(c)), KEY_ECDSA);
    ck_assert_uint_eq(public_key_bits(certificate_key(c)), 256);
    certificate_free(c);
}
END_TEST

/* Dates at the calendar's corners, as the openssl command writes and date(1) counts them. */
START_TEST(dates)
{
    static const struct {
        const char *start, *end, *says;
    } cases[] = {
        {"20240229120000Z", "20280229235959Z", "2028-02-29 23:59"},
        {"19700101000000Z", "19991231235959Z", "1999-12-31 23:59"},
        {"19500301000000Z", "20000229000000Z", "2000-02-29 00:00"},
        {"20490101000000Z", "21000228235900Z", "2100-02-28 23:59"},
        {"20490101000000Z", "21000301000000Z", "2100-03-01 00:00"},
        {"20500101000000Z", "22991231000000Z", "2299-12-31 00:00"},
        {"20230301000000Z", "99991231235959Z", "9999-12-31 23:59"},
        {"20230301000000Z", "24000301000100Z", "2400-03-01 00:01"},
    };
    fixture_shell(
        "printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=db\\nnew_certs_dir=.\\nserial=sr\\n"
        "default_md=sha256\\npolicy=p\\nunique_subject=no\\n[p]\\ncommonName=supplied\\n' "
        ">ca.cnf && : >db && echo 1000 >sr && openssl req -new -key leaf.key -subj /CN=a "
        "-out req");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_shell(
            "openssl ca -batch -config ca.cnf -cert leaf.pem -keyfile leaf.key -selfsign "
            "-in req -startdate %s -enddate %s -notext -out dated.pem && "
            "date +%%s -d \"$(openssl x509 -in dated.pem -noout -startdate | cut -d= -f2)\" "
            ">d0 && "
            "date +%%s -d \"$(openssl x509 -in dated.pem -noout -enddate | cut -d= -f2)\" >d1",
            cases[i].start, cases[i].end);
        struct certificate_list chain = certificates("dated");
        struct span from = fixture_read("d0"), to = fixture_read("d1");
        ck_assert_int_eq(certificate_not_before(chain.items[0]),
                         strtoll((const char *)from.data, NULL, 10));
        ck_assert_int_eq(certificate_not_after(chain.items[0]),
                         strtoll((const char *)to.data, NULL, 10));
        free((void *)from.data);
        free((void *)to.data);
        struct fault f = {.text = ""};
        struct trust_store *t = trusting("dated");
        int64_t late = certificate_not_after(chain.items[0]) + 1;
        if (cases[i].end[0] != '9') { /* no date follows the last one */
            ck_err(trust_verify(t, &chain, NULL, PURPOSE_GATEWAY, late, &f), ERR_REFUSED);
            ck_assert_msg(strstr(f.text, cases[i].says) != NULL, "%s", f.text);
        }
        ck_ok(trust_verify(t, &chain, NULL, PURPOSE_GATEWAY, late - 60, &f));
        trust_store_free(t);
        certificate_list_wipe(&chain);
    }
}
END_TEST

START_TEST(files)
{
    static const struct {
        const char *command;
        enum err expected;
        size_t count;
        const char *says;
    } cases[] = {
        {"cp leaf.pem f", ERR_OK, 1, ""},
        {"openssl x509 -in leaf.pem -outform DER -out f", ERR_OK, 1, ""},
        {"{ echo hello; cat leaf.pem; echo between; cat inter.pem root.pem; echo end; } >f", ERR_OK,
         3, ""},
        {"cat leaf.key leaf.pem >f", ERR_OK, 1, ""},
        {"sed 's/$/\\r/' leaf.pem >f", ERR_OK, 1, ""},
        {"for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cat leaf.pem; done >f", ERR_OK, 16,
         ""},
        {"for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do cat leaf.pem; done >f", ERR_LIMIT,
         0, "more than 16"},
        {"cat leaf.pem >f; head -c 300 root.pem >>f", ERR_MALFORMED, 0, "block 2 is damaged"},
        {"sed 's/^M/*/' leaf.pem >f", ERR_MALFORMED, 0, "damaged"},
        {"sed 's/^.\\{20\\}/AAAAAAAAAAAAAAAAAAAA/;1s/.*/-----BEGIN CERTIFICATE-----/;"
         "$s/.*/-----END CERTIFICATE-----/' leaf.pem >f",
         ERR_MALFORMED, 0, "not a certificate"},
        {"cp leaf.key f", ERR_MALFORMED, 0, "\"PRIVATE KEY\""},
        {"echo hello >f", ERR_MALFORMED, 0, "neither PEM nor DER"},
        {": >f", ERR_MALFORMED, 0, "empty"},
        {"openssl x509 -in leaf.pem -outform DER -out f && echo >>f", ERR_MALFORMED, 0, "neither"},
        {"openssl genpkey -algorithm ED448 -out k && openssl req -x509 -new -key k -subj /CN=e448 "
         "-out f",
         ERR_UNSUPPORTED, 0, "\"CN=e448\" has a public key of an unsupported kind"},
        {"cp badsan.pem f", ERR_MALFORMED, 0, "\"CN=badsan\" has a damaged subjectAltName"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct certificate_list l = {.count = 99};
        struct fault f = {.text = ""};
        fixture_shell("%s", cases[i].command);
        struct span bytes = fixture_read("f");
        enum err e = certificate_parse_file(bytes, &l, &f);
        free((void *)bytes.data);
        ck_assert_msg(e == cases[i].expected && strstr(f.text, cases[i].says) != NULL,
                      "%s: %s (%s)", cases[i].command, f.text, err_text(e));
        ck_assert_uint_eq(l.count, e == ERR_OK ? cases[i].count : 99);
        if (e == ERR_OK)
            certificate_list_wipe(&l);
    }
}
END_TEST

START_TEST(stores)
{
    struct trust_store *t = trusting("root other"), *fresh = NULL;
    struct fault f = {.text = ""};
    size_t added = 99;
    struct certificate *c = certificate("root");
    ck_ok(trust_store_add(t, c)); /* twice is once */
    ck_assert_uint_eq(trust_store_count(t), 2);
    certificate_free(c);

    for (size_t i = 0; i < 2; i++) {
        uint8_t expected[SHA1_LEN], got[SHA1_LEN];
        char hex[2 * SHA1_LEN + 1];
        fixture_shell("openssl x509 -in %s.pem -noout -pubkey | openssl pkey -pubin -outform DER | "
                      "openssl dgst -sha1 -r | cut -c1-40 | tr -d '\\n' >h",
                      i == 0 ? "root" : "other");
        struct span text = fixture_read("h");
        ck_assert_uint_eq(text.len, 40);
        memcpy(hex, text.data, 40);
        hex[40] = '\0';
        free((void *)text.data);
        support_hex(hex, expected, sizeof expected);
        trust_store_key_hash(t, i, got);
        ck_assert_mem_eq(got, expected, SHA1_LEN);
    }
    trust_store_free(t);

    fixture_shell(
        "{ cat root.pem badsan.pem; head -c 200 leaf.pem; echo; cat other.pem inter.pem; } "
        ">bundle");
    struct span bundle = fixture_read("bundle");
    ck_ok(trust_store_new(&fresh));
    ck_err(trust_store_add_pem(fresh, bundle, false, &added, &f), ERR_MALFORMED);
    ck_assert_uint_eq(added, 99);
    trust_store_free(fresh);
    ck_ok(trust_store_new(&fresh));
    ck_ok(trust_store_add_pem(fresh, bundle, true, &added, &f));
    ck_assert_uint_ge(added, 2);
    ck_assert_uint_eq(trust_store_count(fresh), added);
    ck_ok(trust_store_add_pem(fresh, SPAN_EMPTY, true, &added, &f));
    ck_assert_uint_eq(added, 0);
    free((void *)bundle.data);
    trust_store_free(fresh);
}
END_TEST

/* Everyone's CAs, as Debian's ca-certificates has them, where it is installed. */
START_TEST(system_bundle)
{
    if (!fixture_try("test -r /etc/ssl/certs/ca-certificates.crt"))
        return;
    fixture_shell("grep -c BEGIN.CERTIFICATE /etc/ssl/certs/ca-certificates.crt >n");
    struct span n = fixture_read("n"), pem = fixture_read("/etc/ssl/certs/ca-certificates.crt");
    struct trust_store *t = NULL;
    struct fault f = {.text = ""};
    size_t added = 0;
    ck_ok(trust_store_new(&t));
    ck_ok(trust_store_add_pem(t, pem, true, &added, &f));
    size_t listed = strtoul((const char *)n.data, NULL, 10);
    ck_assert_msg(added > 0 && added * 10 >= listed * 9, "%zu of %zu", added, listed);
    trust_store_free(t);
    free((void *)n.data);
    free((void *)pem.data);
}
END_TEST

START_TEST(references)
{
    struct certificate *c = certificate("leaf");
    ck_assert_ptr_eq(certificate_ref(c), c);
    certificate_free(c);
    ck_assert_uint_gt(certificate_der(c).len, 0);
    certificate_free(c);
    certificate_free(NULL);
    trust_store_free(NULL);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/certificate");
    TCase *t = tcase_create("certificate");
    tcase_set_timeout(t, TIMEOUT_S);
    tcase_add_unchecked_fixture(t, make_certificates, fixture_leave);
    tcase_add_loop_test(t, trust, 0, TRUST_CASES);
    tcase_add_test(t, no_chain);
    tcase_add_test(t, absurd_clocks);
    tcase_add_test(t, changed_certificates);
    tcase_add_test(t, identities);
    tcase_add_test(t, words);
    tcase_add_test(t, validity_and_key);
    tcase_add_test(t, dates);
    tcase_add_test(t, files);
    tcase_add_test(t, stores);
    tcase_add_test(t, system_bundle);
    tcase_add_test(t, references);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
