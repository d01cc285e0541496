/* Reading OCSP responses (RFC 6960 4.2.1). What is made of them is in test_crypto_revocation.c. */
#include "common/crypto/ocsp.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/revocation.h"
#include "tests/support/support.h"

static const uint8_t leaf_serial[] = {0x00, 0x8f, 0x01, 0x02, 0x03, 0x04};

struct kept {
    struct span der, answers;
    struct ocsp_response response;
};

static struct kept read_response(const char *name)
{
    struct fault f = {.text = ""};
    struct kept k = {.der = revocation_read(name)};
    enum err e = ocsp_parse(k.der, &k.response, &f);
    ck_assert_msg(e == ERR_OK, "%s: %s", name, f.text);
    k.answers = k.response.answers;
    return k;
}

static void forget(struct kept *k)
{
    free((void *)k->der.data);
}

START_TEST(fields)
{
    struct ocsp_answer a;
    struct kept k = read_response("ocsp-sha1");
    ck_assert_uint_eq(k.response.responder_key.len, 20);
    ck_assert_uint_eq(k.response.responder_name.len, 0);
    ck_assert_uint_eq(k.response.certificates.len, 0);
    ck_assert(ocsp_next(&k.answers, &a));
    ck_assert_int_eq(a.hash, HASH_SHA1);
    ck_assert_uint_eq(a.name_hash.len, 20);
    ck_assert_uint_eq(a.key_hash.len, 20);
    ck_span_eq(a.serial, SPAN_OF(leaf_serial));
    ck_assert_int_eq(a.status, OCSP_GOOD);
    ck_assert_int_eq(a.this_update, REVOCATION_THIS);
    ck_assert(a.has_next_update);
    ck_assert_int_eq(a.next_update, REVOCATION_NEXT);
    ck_assert(!a.unusable);
    ck_assert(!ocsp_next(&k.answers, &a));
    forget(&k);

    k = read_response("ocsp-by-name");
    ck_assert_uint_gt(k.response.responder_name.len, 0);
    ck_assert_uint_eq(k.response.responder_key.len, 0);
    forget(&k);
}
END_TEST

static const struct {
    const char *name;
    enum hash_id hash;
    enum ocsp_status status;
    enum revocation_reason reason;
    bool has_next_update, unusable;
} answers[] = {
    {"ocsp-sha256", HASH_SHA2_256, OCSP_GOOD, 0, true, false},
    {"ocsp-sha384", HASH_SHA2_384, OCSP_GOOD, 0, true, false},
    {"ocsp-md5", 0, OCSP_GOOD, 0, true, false},
    {"ocsp-revoked", HASH_SHA1, OCSP_REVOKED, REASON_KEY_COMPROMISE, true, false},
    {"ocsp-no-reason", HASH_SHA1, OCSP_REVOKED, REASON_UNSPECIFIED, true, false},
    {"ocsp-hold", HASH_SHA1, OCSP_REVOKED, REASON_CERTIFICATE_HOLD, true, false},
    {"ocsp-unknown", HASH_SHA1, OCSP_UNKNOWN, 0, true, false},
    {"ocsp-no-next", HASH_SHA1, OCSP_GOOD, 0, false, false},
    {"ocsp-version", HASH_SHA1, OCSP_GOOD, 0, true, false},
    {"ocsp-nonce", HASH_SHA1, OCSP_GOOD, 0, true, false},
    {"ocsp-answer-extension", HASH_SHA1, OCSP_GOOD, 0, true, false},
    {"ocsp-answer-critical", HASH_SHA1, OCSP_GOOD, 0, true, true},
};
enum { ANSWERS = sizeof answers / sizeof answers[0] };

START_TEST(answer)
{
    struct ocsp_answer a;
    struct kept k = read_response(answers[_i].name);
    ck_assert(ocsp_next(&k.answers, &a));
    ck_assert_int_eq(a.hash, answers[_i].hash);
    ck_assert_int_eq(a.status, answers[_i].status);
    ck_assert(a.has_next_update == answers[_i].has_next_update);
    ck_assert(a.unusable == answers[_i].unusable);
    if (a.status == OCSP_REVOKED) {
        ck_assert_int_eq(a.revocation.reason, answers[_i].reason);
        ck_assert_int_eq(a.revocation.at, 1779265800); /* 20 May 2026, 08:30 */
    }
    forget(&k);
}
END_TEST

START_TEST(several)
{
    struct ocsp_answer a;
    struct kept k = read_response("ocsp-two");
    ck_assert(ocsp_next(&k.answers, &a));
    ck_assert(!span_equal(a.serial, SPAN_OF(leaf_serial)));
    ck_assert(ocsp_next(&k.answers, &a));
    ck_assert(span_equal(a.serial, SPAN_OF(leaf_serial)));
    ck_assert(!ocsp_next(&k.answers, &a));
    forget(&k);
    k = read_response("ocsp-none");
    ck_assert(!ocsp_next(&k.answers, &a));
    forget(&k);
}
END_TEST

static const struct {
    const char *name;
    enum err e;
    const char *words;
} refused[] = {
    {"ocsp-status-malformed", ERR_REFUSED, "malformed"},
    {"ocsp-status-internal", ERR_REFUSED, "internal error"},
    {"ocsp-status-later", ERR_REFUSED, "try later"},
    {"ocsp-status-four", ERR_REFUSED, "unknown reason"},
    {"ocsp-status-unsigned", ERR_REFUSED, "must be signed"},
    {"ocsp-status-unauthorized", ERR_REFUSED, "not authorized"},
    {"ocsp-status-seven", ERR_REFUSED, "unknown reason"},
    {"ocsp-kind", ERR_UNSUPPORTED, "unknown kind"},
    {"ocsp-critical", ERR_UNSUPPORTED, "critical extension"},
};
enum { REFUSED = sizeof refused / sizeof refused[0] };

START_TEST(no_answer)
{
    struct ocsp_response r;
    struct fault f = {.text = ""};
    struct span der = revocation_read(refused[_i].name);
    ck_err(ocsp_parse(der, &r, &f), refused[_i].e);
    ck_assert_msg(strstr(f.text, refused[_i].words) != NULL, "%s", f.text);
    free((void *)der.data);
}
END_TEST

START_TEST(broken)
{
    size_t count;
    char **names = revocation_list("bad-ocsp-", &count);
    for (size_t i = 0; i < count; i++) {
        struct ocsp_response r;
        struct fault f = {.text = ""};
        struct span der = revocation_read(names[i]);
        enum err e = ocsp_parse(der, &r, &f);
        ck_assert_msg(e == ERR_MALFORMED, "%s: %s", names[i], err_text(e));
        ck_assert_str_ne(f.text, "");
        free((void *)der.data);
        free(names[i]);
    }
    free(names);
}
END_TEST

static enum err parse(struct span der)
{
    struct ocsp_response r;
    return ocsp_parse(der, &r, NULL);
}

/* Every part of a response is none, and is read no further than it goes. */
START_TEST(cut_short)
{
    revocation_ck_parts("ocsp-", parse);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/ocsp");
    TCase *t = tcase_create("ocsp");
    tcase_add_test(t, fields);
    tcase_add_loop_test(t, answer, 0, ANSWERS);
    tcase_add_test(t, several);
    tcase_add_loop_test(t, no_answer, 0, REFUSED);
    tcase_add_test(t, broken);
    tcase_add_test(t, cut_short);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
