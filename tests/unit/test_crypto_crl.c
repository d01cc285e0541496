/* Reading certificate revocation lists (RFC 5280 5). What is made of them is in
 * test_crypto_revocation.c. */
#include "common/crypto/crl.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/revocation.h"
#include "tests/support/support.h"

static const uint8_t leaf_serial[] = {0x00, 0x8f, 0x01, 0x02, 0x03, 0x04};
static const uint8_t other_serial[] = {0x00, 0xab, 0xcd, 0xef};

struct kept {
    struct span der;
    struct crl crl;
};

static struct kept read_crl(const char *name)
{
    struct fault f = {.text = ""};
    struct kept k = {.der = revocation_read(name)};
    enum err e = crl_parse(k.der, &k.crl, &f);
    ck_assert_msg(e == ERR_OK, "%s: %s", name, f.text);
    return k;
}

static void forget(struct kept *k)
{
    free((void *)k->der.data);
}

START_TEST(fields)
{
    struct kept k = read_crl("crl-revoked");
    struct revocation r;
    ck_assert_int_eq(k.crl.this_update, REVOCATION_THIS);
    ck_assert(k.crl.has_next_update);
    ck_assert_int_eq(k.crl.next_update, REVOCATION_NEXT);
    ck_assert_uint_eq(k.crl.revoked_count, 2);
    ck_assert(crl_find(&k.crl, SPAN_OF(leaf_serial), &r));
    ck_assert_int_eq(r.reason, REASON_KEY_COMPROMISE);
    ck_assert_int_eq(r.at, 1779265800); /* 20 May 2026, 08:30 */
    ck_assert(crl_find(&k.crl, SPAN_OF(other_serial), &r));
    ck_assert_int_eq(r.reason, REASON_UNSPECIFIED);
    /* neither a part of a serial number nor one with more before it */
    ck_assert(!crl_find(&k.crl, span_make(leaf_serial + 1, 5), &r));
    ck_assert(!crl_find(&k.crl, span_make(leaf_serial, 5), &r));
    ck_assert(!crl_find(&k.crl, SPAN_EMPTY, &r));
    forget(&k);
}
END_TEST

START_TEST(kinds)
{
    struct revocation r;
    struct kept k = read_crl("crl-empty");
    ck_assert_uint_eq(k.crl.revoked_count, 0);
    ck_assert(!crl_find(&k.crl, SPAN_OF(leaf_serial), &r));
    forget(&k);
    k = read_crl("crl-v1");
    ck_assert(crl_find(&k.crl, SPAN_OF(leaf_serial), &r));
    forget(&k);
    k = read_crl("crl-no-next");
    ck_assert(!k.crl.has_next_update);
    forget(&k);
    k = read_crl("crl-2050"); /* RFC 5280 5.1.2.5: GeneralizedTime from 2050 on */
    ck_assert_int_eq(k.crl.next_update, 2556144000);
    forget(&k);
    k = read_crl("crl-unusual-reason"); /* 7 is not used */
    ck_assert(crl_find(&k.crl, SPAN_OF(leaf_serial), &r));
    ck_assert_int_eq(r.reason, REASON_UNSPECIFIED);
    forget(&k);
    k = read_crl("crl-many");
    ck_assert_uint_eq(k.crl.revoked_count, 41);
    ck_assert(crl_find(&k.crl, SPAN_OF(leaf_serial), &r));
    forget(&k);
}
END_TEST

/* RFC 5280 5.2: a list with a critical extension that is not known is not used; nor are deltas and
 * lists with entries of other issuers. */
static const char *const unsupported[] = {"crl-delta", "crl-indirect", "crl-critical",
                                          "crl-entry-issuer"};

START_TEST(not_used)
{
    struct fault f = {.text = ""};
    struct crl c;
    struct span der = revocation_read(unsupported[_i]);
    ck_err(crl_parse(der, &c, &f), ERR_UNSUPPORTED);
    ck_assert_str_ne(f.text, "");
    free((void *)der.data);
}
END_TEST

START_TEST(broken)
{
    size_t count;
    char **names = revocation_list("bad-crl-", &count);
    for (size_t i = 0; i < count; i++) {
        struct crl c;
        struct fault f = {.text = ""};
        struct span der = revocation_read(names[i]);
        enum err e = crl_parse(der, &c, &f);
        /* one that says that it is indirect is not read to its end */
        bool known = strcmp(names[i], "bad-crl-point-flags") == 0 ||
                     strcmp(names[i], "bad-crl-point-indirect-flag") == 0 || e == ERR_MALFORMED;
        ck_assert_msg(known && e != ERR_OK, "%s: %s", names[i], err_text(e));
        ck_assert_str_ne(f.text, "");
        free((void *)der.data);
        free(names[i]);
    }
    free(names);
}
END_TEST

static enum err parse(struct span der)
{
    struct crl c;
    return crl_parse(der, &c, NULL);
}

/* Every part of a list is none, and is read no further than it goes. */
START_TEST(cut_short)
{
    revocation_ck_parts("crl-", parse);
}
END_TEST

/* cRLDistributionPoints, as leaf.der has it: a.crl, beside others; and nothing else */
static const struct {
    const char *crl;
    bool end_entity, authority, elsewhere;
} scopes[] = {
    {"crl-good", true, true, true},           {"crl-point", true, true, false},
    {"crl-other-point", false, false, false}, {"crl-relative", false, false, false},
    {"crl-users", true, false, true},         {"crl-authorities", false, true, false},
    {"crl-attributes", false, false, false},  {"crl-some-reasons", false, false, false},
    {"crl-unknown", true, true, true},
};
enum { SCOPES = sizeof scopes / sizeof scopes[0] };

START_TEST(scope)
{
    /* two points: one with another issuer's name alone, one with the names x and a.crl */
    static const char url[] = "http://crl.example.com/a.crl";
    uint8_t points[128];
    size_t len = support_hex("302d 3004 a202 a400 3025 a023 a021 8201 78 861c", points, 128);
    memcpy(points + len, url, sizeof url - 1);
    len += sizeof url - 1;
    points[1] = (uint8_t)(len - 2);
    struct kept k = read_crl(scopes[_i].crl);
    ck_assert(crl_covers(&k.crl, false, span_make(points, len)) == scopes[_i].end_entity);
    ck_assert(crl_covers(&k.crl, true, span_make(points, len)) == scopes[_i].authority);
    ck_assert(crl_covers(&k.crl, false, SPAN_EMPTY) == scopes[_i].elsewhere);
    for (size_t n = 0; n < len; n++) {
        uint8_t *part = support_exact_copy(span_make(points, n));
        ck_assert(crl_covers(&k.crl, false, span_make(part, n)) == scopes[_i].elsewhere);
        free(part);
    }
    forget(&k);
}
END_TEST

/* Points that say nothing, or with reasons of their own, match no list. */
START_TEST(odd_points)
{
    static const char *const hex[] = {
        "3004 3002 a000",                    /* no name */
        "300c 300a a005 a003 820178 810106", /* for some reasons */
        "3007 3005 a003 a101 00",            /* relative to the issuer */
        "3003 020101",
    };
    struct kept k = read_crl("crl-point");
    for (size_t i = 0; i < sizeof hex / sizeof hex[0]; i++) {
        uint8_t points[64];
        size_t len = support_hex(hex[i], points, sizeof points);
        ck_assert(!crl_covers(&k.crl, false, span_make(points, len)));
    }
    forget(&k);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/crl");
    TCase *t = tcase_create("crl");
    tcase_add_test(t, fields);
    tcase_add_test(t, kinds);
    tcase_add_loop_test(t, not_used, 0, sizeof unsupported / sizeof unsupported[0]);
    tcase_add_test(t, broken);
    tcase_add_test(t, cut_short);
    tcase_add_loop_test(t, scope, 0, SCOPES);
    tcase_add_test(t, odd_points);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
