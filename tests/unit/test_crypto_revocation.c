/* Who counts as revoked (RFC 5280 6.3, RFC 6960 3.2 and 4.2.2.2), and what the policy makes of it.
 * The vectors are python3-cryptography's (tests/vectors/revocation.py). */
#include "common/crypto/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/revocation.h"
#include "tests/support/support.h"

enum { NAMES_MAX = 256, PIECES_MAX = 32, DAY = 86400 };

struct row {
    const char *anchors, *chain;
    const char *stored, *sent, *ocsp; /* CRLs of the store, CRLs and OCSP responses sent */
    const char *soft, *strict;        /* words of the refusal; NULL: trusted */
    int64_t later;                    /* seconds after today */
};

/* What a chain is verified by. */
struct scene {
    struct trust_store *t;
    struct certificate_list chain;
    struct trust_evidence evidence;
    struct span pieces[PIECES_MAX]; /* owned */
    size_t count;
};

static struct span piece(struct scene *s, const char *name)
{
    ck_assert_uint_lt(s->count, PIECES_MAX);
    return s->pieces[s->count++] = revocation_read(name);
}

static void each(struct scene *s, const char *names, void (*take)(struct scene *s, struct span der))
{
    char copy[NAMES_MAX], *save = NULL;
    snprintf(copy, sizeof copy, "%s", names);
    for (char *n = strtok_r(copy, " ", &save); n != NULL; n = strtok_r(NULL, " ", &save))
        take(s, piece(s, n));
}

static void take_anchor(struct scene *s, struct span der)
{
    struct certificate *c;
    ck_ok(certificate_parse_der(der, &c, NULL));
    ck_ok(trust_store_add(s->t, c));
    certificate_free(c);
}

static void take_link(struct scene *s, struct span der)
{
    ck_ok(certificate_parse_der(der, &s->chain.items[s->chain.count++], NULL));
}

static void take_stored(struct scene *s, struct span der)
{
    size_t added;
    struct fault f = {.text = ""};
    enum err e = trust_store_add_crls(s->t, der, &added, &f);
    ck_assert_msg(e == ERR_OK, "%s", f.text);
    ck_assert_uint_eq(added, 1);
}

static void take_sent(struct scene *s, struct span der)
{
    ck_assert(trust_evidence_add_crl(&s->evidence, der));
}

static void take_ocsp(struct scene *s, struct span der)
{
    ck_assert(trust_evidence_add_ocsp(&s->evidence, der));
}

static void open_scene(struct scene *s, const struct row *r, enum revocation_policy policy)
{
    *s = (struct scene){.count = 0};
    ck_ok(trust_store_new(&s->t));
    ck_assert_int_eq(trust_store_revocation(s->t), REVOCATION_OFF);
    trust_store_set_revocation(s->t, policy);
    ck_assert_int_eq(trust_store_revocation(s->t), policy);
    each(s, r->anchors, take_anchor);
    each(s, r->chain, take_link);
    each(s, r->stored, take_stored);
    each(s, r->sent, take_sent);
    each(s, r->ocsp, take_ocsp);
}

static void close_scene(struct scene *s)
{
    trust_store_free(s->t);
    certificate_list_wipe(&s->chain);
    for (size_t i = 0; i < s->count; i++)
        free((void *)s->pieces[i].data);
}

static enum err ask(const struct scene *s, int64_t later, struct fault *f)
{
    return trust_verify(s->t, &s->chain, &s->evidence, PURPOSE_GATEWAY, REVOCATION_TODAY + later,
                        f);
}

static void check(const struct row *r, enum revocation_policy policy, const char *words)
{
    struct scene s;
    struct fault f = {.text = ""};
    open_scene(&s, r, policy);
    enum err e = ask(&s, r->later, &f);
    if (words == NULL) {
        ck_assert_msg(e == ERR_OK, "%s, policy %d: %s", r->chain, (int)policy, f.text);
    } else {
        ck_assert_msg(e == ERR_REFUSED, "%s, policy %d, \"%s\": %s", r->chain, (int)policy, words,
                      err_text(e));
        ck_assert_msg(strstr(f.text, words) != NULL, "\"%s\": %s", words, f.text);
        ck_assert_msg(f.hint[0] != '\0', "no hint with: %s", f.text);
    }
    close_scene(&s);
}

#define KEY_COMPROMISE                                                                             \
    "certificate \"CN=vpn.example.com\" (serial 8f01020304) was revoked on 2026-05-20 08:30 "      \
    "UTC "                                                                                         \
    "(key compromise)"
#define NOTHING  "\"CN=vpn.example.com\" was revoked is not known: there is neither"
#define OUTDATED "is outdated since 2026-06-01 00:00 UTC (this machine's clock says 2026-06-15"
#define FUTURE   "is not valid before 2026-06-20 00:00 UTC (this machine's clock says 2026-06-15"
#define SCOPE    "does not cover such certificates"

static const struct row rows[] = {
    {"root", "leaf", "", "", "", NULL, NOTHING, 0},
    {"leaf", "leaf", "", "", "", NULL, NULL, 0}, /* the anchor is not asked about */
    /* CRLs, of files and sent */
    {"root", "leaf", "crl-good", "", "", NULL, NULL, 0},
    {"root", "leaf", "", "crl-good", "", NULL, NULL, 0},
    {"root", "leaf", "crl-empty", "", "", NULL, NULL, 0},
    {"root", "leaf", "crl-revoked", "", "", KEY_COMPROMISE, KEY_COMPROMISE, 0},
    {"root", "leaf", "", "crl-revoked", "", KEY_COMPROMISE, KEY_COMPROMISE, 0},
    {"root", "leaf", "crl-no-reason", "", "", "(no reason given)", "(no reason given)", 0},
    {"root", "leaf", "crl-many", "", "", "was revoked", "was revoked", 0},
    {"root", "leaf", "crl-v1", "", "", "was revoked", "was revoked", 0},
    {"root", "leaf", "crl-unknown", "", "", NULL, NULL, 0},
    {"root", "leaf", "crl-dated", "", "", NULL, NULL, 0},
    {"root", "leaf", "crl-dated-critical", "", "", NULL, NULL, 0},
    {"root", "leaf", "crl-number-critical", "", "", NULL, NULL, 0},
    {"root", "leaf", "crl-2050", "", "", NULL, NULL, 0},
    {"root", "leaf", "crl-flag-false", "", "", NULL, NULL, 0},
    /* time; five minutes of difference between the clocks do not matter */
    {"root", "leaf", "crl-stale", "", "", NULL, "the CRL of \"CN=Root\" " OUTDATED, 0},
    {"root", "leaf", "crl-future", "", "", NULL, "the CRL of \"CN=Root\" " FUTURE, 0},
    {"root", "leaf", "crl-no-next", "", "", NULL, "does not say until when it is valid", 0},
    {"root", "leaf", "crl-stale crl-good", "", "", NULL, NULL, 0},
    {"root", "leaf", "crl-good", "", "", NULL, NULL, REVOCATION_NEXT - REVOCATION_TODAY + 300},
    {"root", "leaf", "crl-good", "", "", NULL, "is outdated since 2026-07-01",
     REVOCATION_NEXT - REVOCATION_TODAY + 301},
    {"root", "leaf", "crl-good", "", "", NULL, NULL, REVOCATION_THIS - REVOCATION_TODAY - 300},
    {"root", "leaf", "crl-good", "", "", NULL, "is not valid before 2026-06-01",
     REVOCATION_THIS - REVOCATION_TODAY - 301},
    /* who was revoked stays so, whatever is newer; but for a hold */
    {"root", "leaf", "crl-revoked-early", "", "", "(superseded)", "(superseded)", 0},
    {"root", "leaf", "crl-revoked-early crl-good", "", "", "(superseded)", "(superseded)", 0},
    {"root", "leaf", "crl-good crl-revoked", "", "ocsp-late", "was revoked", "was revoked", 0},
    {"root", "leaf", "crl-hold", "", "", "(on hold)", "(on hold)", 0},
    {"root", "leaf", "crl-hold", "", "ocsp-late", NULL, NULL, 0},
    {"root", "leaf", "crl-hold", "", "ocsp-late ocsp-sha1", NULL, NULL, 0},
    {"root", "leaf", "crl-hold crl-hold-late", "", "ocsp-sha1", "(on hold)", "(on hold)", 0},
    {"root", "leaf", "crl-hold-late crl-hold", "", "ocsp-late", NULL, NULL, 0},
    {"root", "leaf", "crl-hold crl-revoked", "", "ocsp-late", KEY_COMPROMISE, KEY_COMPROMISE, 0},
    {"root", "leaf", "crl-revoked crl-hold", "", "ocsp-late", KEY_COMPROMISE, KEY_COMPROMISE, 0},
    /* whose list it is, and what is in it */
    {"root", "leaf", "crl-twin", "", "", NULL, NOTHING, 0},
    {"root", "leaf", "crl-inter", "", "", NULL, NOTHING, 0},
    {"root", "leaf", "crl-misnamed", "", "", NULL, NOTHING, 0},
    {"root", "leaf", "crl-sha1", "", "", NULL, NOTHING, 0},
    {"root", "undernosign nosign", "crl-nosign crl-good", "", "", NULL, "\"CN=undernosign\"", 0},
    {"old", "underold", "crl-old", "", "", "(privilege withdrawn)", "(privilege withdrawn)", 0},
    {"edward", "underedward", "", "crl-edward", "", "(affiliation changed)",
     "(affiliation changed)", 0},
    {"root", "leaf", "", "crl-delta", "", NULL, NOTHING, 0},
    {"root", "leaf", "", "crl-indirect", "", NULL, NOTHING, 0},
    {"root", "leaf", "", "crl-critical", "", NULL, NOTHING, 0},
    {"root", "leaf", "", "crl-entry-issuer", "", NULL, NOTHING, 0},
    {"root", "leaf", "", "bad-crl-more", "", NULL, NOTHING, 0},
    {"root", "leaf", "crl-point", "", "", NULL, NULL, 0},
    {"root", "other", "crl-point", "", "", NULL, SCOPE, 0},
    {"root", "leaf", "crl-other-point", "", "", NULL, SCOPE, 0},
    {"root", "leaf", "crl-other-point-revoked", "", "", "(cessation of operation)",
     "(cessation of operation)", 0},
    {"root", "leaf", "crl-relative", "", "", NULL, SCOPE, 0},
    {"root", "leaf", "crl-users", "", "", NULL, NULL, 0},
    {"root", "leaf", "crl-authorities", "", "", NULL, SCOPE, 0},
    {"root", "leaf", "crl-attributes", "", "", NULL, SCOPE, 0},
    {"root", "leaf", "crl-some-reasons", "", "", NULL, SCOPE, 0},
    /* every certificate of the chain */
    {"root", "below inter", "crl-good", "", "", NULL, "\"CN=below\"", 0},
    {"root", "below inter", "crl-inter", "", "", NULL, "\"CN=Intermediate\"", 0},
    {"root", "below inter", "crl-good", "crl-inter", "", NULL, NULL, 0},
    {"root", "below inter", "crl-users crl-inter", "", "", NULL, SCOPE, 0},
    {"root", "below inter", "crl-authorities crl-inter", "", "", NULL, NULL, 0},
    {"root", "below inter", "crl-revoked-inter crl-inter", "", "",
     "\"CN=Intermediate\" (serial 2001) was revoked", "(compromise of the CA)", 0},
    {"root", "below inter", "crl-good crl-inter-revoked", "", "",
     "\"CN=below\" (serial 3002) was revoked", "(superseded)", 0},
    {"root", "below inter", "", "", "ocsp-inter ocsp-below", NULL, NULL, 0},
    {"root", "below inter", "crl-inter", "", "ocsp-inter", NULL, NULL, 0},
    {"root", "below inter", "crl-inter", "", "ocsp-inter-revoked",
     "\"CN=Intermediate\" (serial 2001) was revoked", "(compromise of the CA)", 0},
    {"inter", "below", "", "", "ocsp-below", NULL, NULL, 0},
    /* OCSP */
    {"root", "leaf", "", "", "ocsp-sha1", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-sha256", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-sha384", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-by-name", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-two", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-nonce", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-version", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-answer-extension", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-other ocsp-sha1", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-revoked", KEY_COMPROMISE, KEY_COMPROMISE, 0},
    {"root", "leaf", "", "", "ocsp-no-reason", "(no reason given)", "(no reason given)", 0},
    {"root", "leaf", "", "", "ocsp-hold", "(on hold)", "(on hold)", 0},
    {"root", "leaf", "", "", "ocsp-both", KEY_COMPROMISE, KEY_COMPROMISE, 0},
    {"root", "leaf", "crl-good", "", "ocsp-revoked", KEY_COMPROMISE, KEY_COMPROMISE, 0},
    {"root", "leaf", "", "", "ocsp-unknown", NULL, "the responder does not know it", 0},
    {"root", "leaf", "", "", "ocsp-stale", NULL, "the OCSP response " OUTDATED, 0},
    {"root", "leaf", "", "", "ocsp-future", NULL, "the OCSP response " FUTURE, 0},
    {"root", "leaf", "", "", "ocsp-no-next", NULL, NULL, 1800 + 300},
    {"root", "leaf", "", "", "ocsp-no-next", NULL, "is outdated since", 1800 + 301},
    {"root", "leaf", "", "", "ocsp-other", NULL, NOTHING, 0},
    {"root", "leaf", "", "", "ocsp-md5", NULL, NOTHING, 0},
    {"root", "leaf", "", "", "ocsp-misnamed", NULL, NOTHING, 0},
    {"root", "leaf", "", "", "ocsp-other-key", NULL, NOTHING, 0},
    {"root", "leaf", "", "", "ocsp-none", NULL, NOTHING, 0},
    {"root", "leaf", "", "", "ocsp-critical", NULL, NOTHING, 0},
    {"root", "leaf", "", "", "ocsp-answer-critical", NULL, "has a critical extension", 0},
    {"root", "leaf", "", "", "ocsp-two-extensions", NULL, "has a critical extension", 0},
    {"root", "leaf", "", "", "ocsp-misnamed-responder", NULL, "nobody it names signed it", 0},
    {"root", "leaf", "", "", "ocsp-status-later", NULL, NOTHING, 0},
    {"root", "leaf", "", "", "bad-ocsp-octets", NULL, NOTHING, 0},
    {"root", "leaf", "", "", "ocsp-twin", NULL, "nobody it names signed it", 0},
    {"root", "leaf", "", "", "ocsp-twin-by-name", NULL, "its signature is wrong", 0},
    {"root", "leaf", "", "", "ocsp-sha1-signature", NULL, "is of a kind not accepted", 0},
    /* by whom the issuer made its responder, and nobody else */
    {"root", "leaf", "", "", "ocsp-delegated", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-delegated-name", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-delegated-second", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-delegated-revoked", KEY_COMPROMISE, KEY_COMPROMISE, 0},
    {"root", "leaf", "", "", "ocsp-delegated-absent", NULL, "nobody it names signed it", 0},
    {"root", "leaf", "", "", "ocsp-by-no-eku", NULL, "is not for that (id-kp-OCSPSigning)", 0},
    {"root", "leaf", "", "", "ocsp-by-other-eku", NULL, "is not for that", 0},
    {"root", "leaf", "", "", "ocsp-by-no-signing", NULL, "is not for that", 0},
    {"root", "leaf", "", "", "ocsp-by-critical", NULL, "is not for that", 0},
    {"root", "leaf", "", "", "ocsp-by-expired", NULL, "certificate is not valid now", 0},
    {"root", "leaf", "", "", "ocsp-by-early", NULL, "certificate is not valid now", 0},
    {"root", "leaf", "", "", "ocsp-by-of-twin", NULL, "did not issue the responder's", 0},
    {"root", "leaf", "", "", "ocsp-by-sha1", NULL, "uses weak algorithms", 0},
    {"root", "leaf", "", "", "ocsp-junk-certificate", NULL, "certificate is damaged", 0},
    {"root", "leaf", "", "", "ocsp-many-certificates", NULL, "nobody it names", 0},
    {"root", "leaf", "crl-revoked-responder", "", "", NULL, NULL, 0},
    {"root", "below inter", "crl-inter", "crl-revoked-responder", "ocsp-delegated", NULL, NULL, 0},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

START_TEST(row)
{
    check(&rows[_i], REVOCATION_SOFT, rows[_i].soft);
    check(&rows[_i], REVOCATION_STRICT, rows[_i].strict);
    check(&rows[_i], REVOCATION_OFF, NULL);
}
END_TEST

/* A responder that was revoked itself says nothing: the status stays unknown, though "revoked". */
START_TEST(revoked_responder)
{
    static const struct row with = {
        "root", "leaf", "crl-revoked-responder", "", "ocsp-delegated-revoked", NULL, NULL, 0};
    support_log_begin();
    check(&with, REVOCATION_SOFT, NULL);
    support_log_end();
    ck_assert_ptr_nonnull(strstr(support_logged, "the responder's certificate was revoked"));
}
END_TEST

START_TEST(nothing_sent)
{
    static const struct row plain = {"root", "leaf", "", "", "", NULL, NULL, 0};
    struct scene s;
    open_scene(&s, &plain, REVOCATION_SOFT);
    support_log_begin();
    ck_ok(trust_verify(s.t, &s.chain, NULL, PURPOSE_GATEWAY, REVOCATION_TODAY, NULL));
    support_log_end();
    ck_assert_ptr_nonnull(
        strstr(support_logged, "\"CN=vpn.example.com\" was revoked is not known"));
    trust_store_set_revocation(s.t, REVOCATION_STRICT);
    ck_err(trust_verify(s.t, &s.chain, NULL, PURPOSE_GATEWAY, REVOCATION_TODAY, NULL), ERR_REFUSED);
    close_scene(&s);
}
END_TEST

/* Any octet of a CRL or a response changed: it says "good" no more, and nothing worse than before.
 */
static const struct row changed_rows[] = {
    {"root", "leaf", "", "crl-good", "", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-sha1", NULL, NULL, 0},
    {"root", "leaf", "", "", "ocsp-delegated", NULL, NULL, 0},
};

START_TEST(changed)
{
    struct scene s;
    open_scene(&s, &changed_rows[_i], REVOCATION_STRICT);
    ck_ok(ask(&s, 0, NULL));
    bool by_crl = s.evidence.crl_count > 0;
    struct span *sent = by_crl ? &s.evidence.crls[0] : &s.evidence.ocsp[0];
    const struct span whole = *sent;
    for (size_t i = 0; i < whole.len; i++) {
        uint8_t *copy = support_exact_copy(whole);
        struct fault f = {.text = ""};
        copy[i] ^= (uint8_t)(1u << i % 8);
        *sent = span_make(copy, whole.len);
        ck_assert_msg(ask(&s, 0, &f) == ERR_REFUSED, "octet %zu", i);
        ck_assert_ptr_null(strstr(f.text, "was revoked on"));
        *sent = span_make(copy, i);
        ck_assert_msg(ask(&s, 0, &f) == ERR_REFUSED, "cut to %zu", i);
        free(copy);
    }
    close_scene(&s);
}
END_TEST

/* Clocks far off refuse, and no arithmetic overflows. */
START_TEST(absurd_clocks)
{
    static const int64_t clocks[] = {INT64_MIN, -1, 0, 1LL << 40, INT64_MAX};
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        struct scene s;
        open_scene(&s, &rows[2], REVOCATION_STRICT);
        ck_err(trust_verify(s.t, &s.chain, NULL, PURPOSE_GATEWAY, clocks[i], NULL), ERR_REFUSED);
        close_scene(&s);
    }
}
END_TEST

START_TEST(bounds)
{
    struct trust_evidence e = {.crl_count = 0};
    for (size_t i = 0; i < TRUST_EVIDENCE_MAX; i++) {
        ck_assert(trust_evidence_add_crl(&e, SPAN_EMPTY));
        ck_assert(trust_evidence_add_ocsp(&e, SPAN_EMPTY));
    }
    ck_assert(!trust_evidence_add_crl(&e, SPAN_EMPTY));
    ck_assert(!trust_evidence_add_ocsp(&e, SPAN_EMPTY));
    ck_assert_uint_eq(e.crl_count, TRUST_EVIDENCE_MAX);
    ck_assert_uint_eq(e.ocsp_count, TRUST_EVIDENCE_MAX);
}
END_TEST

START_TEST(reasons)
{
    ck_assert_str_eq(revocation_reason_text(REASON_KEY_COMPROMISE), "key compromise");
    ck_assert_str_eq(revocation_reason_text((enum revocation_reason)7), "no reason given");
    ck_assert_str_eq(revocation_reason_text((enum revocation_reason)200), "no reason given");
    for (int r = 0; r <= REASON_AA_COMPROMISE; r++)
        ck_assert_str_ne(revocation_reason_text((enum revocation_reason)r), "");
}
END_TEST

/* --- the files of a profile --- */

static void add_file(struct scene *s, const char *name, enum err expected, size_t count)
{
    size_t added = 99;
    struct fault f = {.text = ""};
    enum err e = trust_store_add_crls(s->t, piece(s, name), &added, &f);
    ck_assert_msg(e == expected, "%s: %s, %s", name, err_text(e), f.text);
    if (e == ERR_OK)
        ck_assert_uint_eq(added, count);
    else
        ck_assert_str_ne(f.text, "");
}

START_TEST(files)
{
    static const struct row plain = {"root", "below inter", "", "", "", NULL, NULL, 0};
    struct scene s;
    size_t added;
    struct fault f = {.text = ""};
    open_scene(&s, &plain, REVOCATION_STRICT);
    ck_err(ask(&s, 0, NULL), ERR_REFUSED);
    add_file(&s, "both.pem", ERR_OK, 2);
    ck_ok(ask(&s, 0, NULL));
    ck_assert_uint_eq(trust_store_crl_count(s.t), 2);
    add_file(&s, "damaged.pem", ERR_MALFORMED, 0);
    add_file(&s, "root", ERR_MALFORMED, 0); /* a certificate */
    add_file(&s, "crl-delta", ERR_UNSUPPORTED, 0);
    ck_err(trust_store_add_crls(s.t, SPAN_EMPTY, &added, &f), ERR_MALFORMED);
    ck_assert_str_eq(f.text, "no CRL found: neither PEM nor DER");
    ck_assert_str_ne(f.hint, "");
    ck_err(trust_store_add_crls(s.t, span_make("x", (1 << 24) + 1), &added, &f), ERR_LIMIT);
    ck_assert_uint_eq(trust_store_crl_count(s.t), 2);
    close_scene(&s);
}
END_TEST

START_TEST(too_many_files)
{
    static const struct row plain = {"root", "leaf", "", "", "", NULL, NULL, 0};
    struct scene s;
    size_t added, count = 0;
    enum err e = ERR_OK;
    open_scene(&s, &plain, REVOCATION_SOFT);
    struct span der = piece(&s, "crl-empty");
    for (; count < 10000 && e == ERR_OK; count++)
        e = trust_store_add_crls(s.t, der, &added, NULL);
    ck_err(e, ERR_LIMIT);
    ck_ok(ask(&s, 0, NULL));
    close_scene(&s);
}
END_TEST

static const struct {
    const char *crl;
    enum err e;
    const char *words;
} looked_at[] = {
    {"crl-good", ERR_OK, ""},
    {"crl-revoked", ERR_OK, ""},
    {"crl-future", ERR_OK, ""},
    {"crl-twin", ERR_INTEGRITY, "not signed by the CA \"CN=Root\""},
    {"crl-sha1", ERR_INTEGRITY, "not signed by"},
    {"crl-nosign", ERR_INTEGRITY, "or that CA may not sign any"},
    {"crl-inter", ERR_NOT_FOUND, "\"CN=Intermediate\", which is none of the trusted CAs"},
    {"crl-stale", ERR_EXHAUSTED, "is outdated since 2026-06-01 00:00 UTC; it is now 2026-06-15"},
    {"crl-no-next", ERR_EXHAUSTED, "until when"},
};

START_TEST(before_anybody_is_met)
{
    const struct row r = {"root old nosign", "leaf", looked_at[_i].crl, "", "", NULL, NULL, 0};
    struct scene s;
    struct fault f = {.text = ""};
    open_scene(&s, &r, REVOCATION_SOFT);
    ck_err(trust_store_check_crl(s.t, 0, REVOCATION_TODAY, &f), looked_at[_i].e);
    ck_assert_msg(strstr(f.text, looked_at[_i].words) != NULL, "%s", f.text);
    close_scene(&s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/revocation");
    TCase *t = tcase_create("revocation");
    tcase_add_loop_test(t, row, 0, ROWS);
    tcase_add_test(t, revoked_responder);
    tcase_add_test(t, nothing_sent);
    tcase_add_loop_test(t, changed, 0, sizeof changed_rows / sizeof changed_rows[0]);
    tcase_add_test(t, absurd_clocks);
    tcase_add_test(t, bounds);
    tcase_add_test(t, reasons);
    tcase_add_test(t, files);
    tcase_add_test(t, too_many_files);
    tcase_add_loop_test(t, before_anybody_is_met, 0, sizeof looked_at / sizeof looked_at[0]);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
