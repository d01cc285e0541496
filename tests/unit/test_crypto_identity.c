/* Identities (RFC 7296 3.5): text to value and back, payloads, equality, hostile bytes. */
#include "common/crypto/identity.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

static struct identity parsed(const char *text)
{
    struct identity id;
    enum err e = identity_parse(text, &id);
    ck_assert_msg(e == ERR_OK, "%s: %s", text, err_text(e));
    return id;
}

static const char *printed(const struct identity *id)
{
    static char text[IDENTITY_TEXT_MAX];
    return identity_format(id, text);
}

START_TEST(kinds_of_text)
{
    static const struct {
        const char *text;
        enum identity_type type;
        const char *hex, *printed;
    } cases[] = {
        {"192.0.2.1", IDENTITY_IPV4, "c0000201", "192.0.2.1"},
        {"2001:db8::1", IDENTITY_IPV6, "20010db8000000000000000000000001", "2001:db8::1"},
        {"vpn.example.net", IDENTITY_FQDN, "76706e2e6578616d706c652e6e6574", "vpn.example.net"},
        {"@vpn", IDENTITY_FQDN, "76706e", "vpn"},
        {"alice", IDENTITY_FQDN, "616c696365", "alice"},
        {"7", IDENTITY_FQDN, "37", "7"},
        {"a@b.c", IDENTITY_EMAIL, "6140622e63", "a@b.c"},
        {"@#00fFaB", IDENTITY_KEY_ID, "00ffab", "@#00ffab"},
        {"CN=a", IDENTITY_DN, "300c310a300806035504030c0161", "CN=a"},
        {" C = CH ", IDENTITY_DN, "300d310b3009060355040613024348", "C=CH"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[64];
        size_t len = support_hex(cases[i].hex, bytes, sizeof bytes);
        struct identity id = parsed(cases[i].text);
        ck_assert_int_eq(id.type, cases[i].type);
        ck_span_eq(identity_span(&id), span_make(bytes, len));
        ck_assert_str_eq(printed(&id), cases[i].printed);
    }
}
END_TEST

START_TEST(refused_text)
{
    static const char *const texts[] = {
        "",           "@",           "@#",   "@#abc",       "@#zz",   "10.0.0.300", "1.2.3",
        "fe80:",      "2001:db8::g", "a b",  "a@",          "@a@b",   "a@b@c",      "a@b c",
        "CN=",        "CN=a, O=",    "XX=a", "CN=a, XX=b",  "CN=a\\", "C=\xff",     "CN=\xff",
        "E=\xc3\xbc", "1.x=a",       "=a",   "DC=\xc3\xbc", "a\nb",   "10.0.0.0/8",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct identity id = {.type = IDENTITY_KEY_ID, .len = 77};
        enum err e = identity_parse(texts[i], &id);
        ck_assert_msg(e == ERR_MALFORMED, "\"%s\": %s", texts[i], err_text(e));
        ck_assert_uint_eq(id.len, 77);
    }
}
END_TEST

START_TEST(long_text)
{
    char text[2000];
    struct identity id;
    memset(text, 'a', sizeof text);
    text[IDENTITY_MAX] = '\0';
    ck_ok(identity_parse(text, &id));
    ck_assert_uint_eq(id.len, IDENTITY_MAX);
    text[IDENTITY_MAX] = 'a';
    text[IDENTITY_MAX + 1] = '\0';
    ck_err(identity_parse(text, &id), ERR_LIMIT);
    memcpy(text, "CN=", 3);
    ck_err(identity_parse(text, &id), ERR_LIMIT);
    memcpy(text, "@#", 2);
    memset(text + 2, 'a', 2 * (IDENTITY_MAX + 1));
    text[2 + 2 * (IDENTITY_MAX + 1)] = '\0';
    ck_err(identity_parse(text, &id), ERR_LIMIT);
}
END_TEST

START_TEST(names_in_text)
{
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"C=CH, O=strongSwan, CN=moon", "C=CH, O=strongSwan, CN=moon"},
        {"/C=CH/O=strongSwan/CN=moon", "C=CH, O=strongSwan, CN=moon"},
        {"c=CH,o=Acme, Inc.,cn=x", "C=CH, O=Acme\\, Inc., CN=x"},
        {"O=Acme\\, CN\\=evil, CN=x", "O=Acme\\, CN\\=evil, CN=x"},
        {"CN=a/b+c", "CN=a/b\\+c"},
        {"CN=a+UID=7", "CN=a+UID=7"},
        {"CN=\\41\\ ", "CN=A "},
        {"CN= spaced  out  , O=o", "CN=spaced  out, O=o"},
        {"emailAddress=a@b.c, SN=Doe, GN=Jo", "E=a@b.c, SN=Doe, GN=Jo"},
        {"DC=net, DC=example, UID=a, serialNumber=1", "DC=net, DC=example, UID=a, serialNumber=1"},
        {"2.5.4.3=numeric, 1.2.3.4=x", "CN=numeric, 1.2.3.4=x"},
        {"CN=Z\xc3\xbcrich", "CN=Z\xc3\xbcrich"},
        {"CN=a@b", "CN=a@b"},
        {"CN=YQ==, O=a,", "CN=YQ\\=\\=, O=a\\,"}, /* a comma that separates nothing */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct identity id = parsed(cases[i].text);
        ck_assert_int_eq(id.type, IDENTITY_DN);
        ck_assert_str_eq(printed(&id), cases[i].printed);
        struct identity again = parsed(cases[i].printed);
        ck_assert(identity_equal(&id, &again)); /* spaces at a value's ends do not count (X.520) */
    }
}
END_TEST

/* The same Name made by others: their string types differ, the value is equal. */
START_TEST(names_of_others)
{
    struct identity id, other;
    struct identity ours = parsed("C=CH, O=Example, CN=moon.example.net");
    fixture_shell("openssl genpkey -algorithm ED25519 -out k.pem");
    static const char *const masks[] = {"default", "pkix", "nombstr", "MASK:2"};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        fixture_shell("printf '[req]\\ndistinguished_name=d\\nstring_mask=%s\\n[d]\\n' >c.cnf && "
                      "openssl req -config c.cnf -new -key k.pem "
                      "-subj '/C=CH/O=Example/CN=moon.example.net' -outform DER -out r.der && "
                      "openssl asn1parse -inform DER -in r.der -noout -out n.der -strparse "
                      "$(openssl asn1parse -inform DER -in r.der | awk -F: '/d=2.*SEQUENCE/"
                      "{print $1; exit}')",
                      masks[i]);
        struct span der = fixture_read("n.der");
        enum err e = identity_set(&id, IDENTITY_DN, der);
        free((void *)der.data);
        ck_ok(e);
        ck_assert_str_eq(printed(&id), "C=CH, O=Example, CN=moon.example.net");
        ck_assert_msg(identity_equal(&id, &ours), "string_mask=%s", masks[i]);
    }
    other = parsed("C=CH, O=Example, CN=MOON.example.NET"); /* X.520: caseIgnoreMatch */
    ck_assert(identity_equal(&ours, &other));
    other = parsed("O=Example, C=CH, CN=moon.example.net");
    ck_assert(!identity_equal(&ours, &other));
    other = parsed("C=CH, O=Example, CN=sun.example.net");
    ck_assert(!identity_equal(&ours, &other));
}
END_TEST

START_TEST(string_types_compare_equal)
{
    /* CN=a as UTF8String, PrintableString, T61String, BMPString, IA5String */
    static const char *const names[] = {
        "300c310a300806035504030c0161", "300c310a30080603550403130161",
        "300c310a30080603550403140161", "300d310b300906035504031e020061",
        "300c310a30080603550403160161",
    };
    struct identity a = parsed("CN=a");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint8_t der[32];
        struct identity b;
        ck_ok(
            identity_set(&b, IDENTITY_DN, span_make(der, support_hex(names[i], der, sizeof der))));
        ck_assert(identity_equal(&a, &b));
        ck_assert(identity_equal(&b, &a));
        ck_assert_str_eq(printed(&b), "CN=a");
    }
}
END_TEST

START_TEST(equality)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"VPN.example.NET", "vpn.EXAMPLE.net", true},
        {"vpn.example.net", "vpn.example.com", false},
        {"vpn.example.net", "vpn.example.ne", false},
        {"Alice@example.net", "Alice@EXAMPLE.net", true},
        {"Alice@example.net", "alice@example.net", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "@192-0-2-1", false},
        {"192.0.2.1", "192.0.2.2", false},
        {"@#6161", "@aa", false},
        {"@#6161", "@#4141", false},
        {"2001:db8::1", "2001:DB8:0::1", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct identity a = parsed(cases[i].a), b = parsed(cases[i].b);
        ck_assert_msg(identity_equal(&a, &b) == cases[i].equal, "%s %s", cases[i].a, cases[i].b);
        ck_assert(identity_equal(&b, &a) == cases[i].equal);
    }
    struct identity none = {.type = IDENTITY_NONE}, name = parsed("a");
    ck_assert(!identity_equal(&none, &name));
    ck_assert(identity_equal(&none, &none));
}
END_TEST

static enum err set_exact(struct identity *id, uint8_t type, const void *data, size_t len)
{
    uint8_t *copy = support_exact_copy(span_make(data, len));
    enum err e = identity_set(id, type, span_make(copy, len));
    free(copy);
    return e;
}

START_TEST(payloads)
{
    static const uint8_t zeros[IDENTITY_MAX + 1];
    struct identity id = {.type = IDENTITY_NONE, .len = 99};
    for (size_t len = 0; len <= 20; len++) {
        ck_err(set_exact(&id, IDENTITY_IPV4, zeros, len), len == 4 ? ERR_OK : ERR_MALFORMED);
        ck_err(set_exact(&id, IDENTITY_IPV6, zeros, len), len == 16 ? ERR_OK : ERR_MALFORMED);
        ck_err(set_exact(&id, IDENTITY_KEY_ID, zeros, len), len > 0 ? ERR_OK : ERR_MALFORMED);
        ck_err(set_exact(&id, IDENTITY_FQDN, zeros, len), ERR_MALFORMED);
        ck_err(set_exact(&id, IDENTITY_DN, zeros, len), ERR_MALFORMED);
    }
    ck_err(set_exact(&id, IDENTITY_KEY_ID, zeros, IDENTITY_MAX), ERR_OK);
    ck_err(set_exact(&id, IDENTITY_KEY_ID, zeros, IDENTITY_MAX + 1), ERR_LIMIT);
    for (int type = 0; type < 256; type++) {
        bool known = type == 1 || type == 2 || type == 3 || type == 5 || type == 9 || type == 11;
        ck_assert((set_exact(&id, (uint8_t)type, "x", 1) == ERR_UNSUPPORTED) == !known);
    }
    /* RFC 7296 3.5: no terminators */
    ck_err(set_exact(&id, IDENTITY_FQDN, "a\0b", 3), ERR_MALFORMED);
    ck_err(set_exact(&id, IDENTITY_FQDN, "a\r", 2), ERR_MALFORMED);
    ck_err(set_exact(&id, IDENTITY_EMAIL, "a@b\0", 4), ERR_MALFORMED);
}
END_TEST

/* Every cut and every single-bit change of a Name parses or is refused, and prints, in bounds. */
START_TEST(damaged_names)
{
    struct identity whole = parsed("C=CH, O=Example, CN=moon+UID=7, E=a@b.c"), id;
    for (size_t len = 0; len < whole.len; len++)
        ck_err(set_exact(&id, IDENTITY_DN, whole.data, len), ERR_MALFORMED);
    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        struct identity changed = whole;
        changed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (set_exact(&id, IDENTITY_DN, changed.data, changed.len) == ERR_OK)
            ck_assert_uint_gt(strlen(printed(&id)), 0);
    }
    whole.data[whole.len] = 0;
    ck_err(set_exact(&id, IDENTITY_DN, whole.data, whole.len + 1), ERR_MALFORMED);
}
END_TEST

START_TEST(hostile_bytes)
{
    /* CN=<NUL ESC LF>, O=x */
    uint8_t der[64];
    struct identity id;
    size_t len =
        support_hex("301a 310c300a060355040313 03001b0a 310a3008060355040a130178", der, sizeof der);
    ck_ok(identity_set(&id, IDENTITY_DN, span_make(der, len)));
    ck_assert_str_eq(printed(&id), "CN=\\x00\\x1b\\x0a, O=x");
    /* CN="x, O=Evil" is one attribute, and shows as one */
    len = support_hex("3015 31133011060355040313 0a 782c204f3d4576696c20", der, sizeof der);
    ck_ok(identity_set(&id, IDENTITY_DN, span_make(der, len)));
    ck_assert_str_eq(printed(&id), "CN=x\\, O\\=Evil ");
    ck_ok(set_exact(&id, IDENTITY_FQDN, "a\xff\xe2\x80\xae", 5));
    ck_assert_str_eq(printed(&id), "a\\xff\\xe2\\x80\\xae");
    ck_ok(set_exact(&id, IDENTITY_DN, "\x30\x00", 2));
    ck_assert_str_eq(printed(&id), "(empty name)");
}
END_TEST

START_TEST(cut_text_shows)
{
    struct identity id = {.type = IDENTITY_NONE};
    uint8_t octets[IDENTITY_MAX];
    memset(octets, 0xff, sizeof octets);
    static const uint8_t types[] = {IDENTITY_KEY_ID, IDENTITY_FQDN};
    for (size_t i = 0; i < sizeof types; i++) {
        ck_ok(identity_set(&id, types[i], SPAN_OF(octets)));
        const char *text = printed(&id);
        size_t len = strlen(text);
        ck_assert_uint_lt(len, IDENTITY_TEXT_MAX);
        ck_assert_uint_gt(len, IDENTITY_TEXT_MAX - 20);
        ck_assert_str_eq(text + len - 3, "...");
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/identity");
    TCase *t = tcase_create("identity");
    tcase_set_timeout(t, 60);
    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_test(t, kinds_of_text);
    tcase_add_test(t, refused_text);
    tcase_add_test(t, long_text);
    tcase_add_test(t, names_in_text);
    tcase_add_test(t, names_of_others);
    tcase_add_test(t, string_types_compare_equal);
    tcase_add_test(t, equality);
    tcase_add_test(t, payloads);
    tcase_add_test(t, damaged_names);
    tcase_add_test(t, hostile_bytes);
    tcase_add_test(t, cut_text_shows);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
