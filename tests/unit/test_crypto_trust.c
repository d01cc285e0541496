/* Ways from a certificate to an anchor where there are several, or seem to be: cross-certificates,
 * authorities of one name, circles (RFC 5280 6, RFC 4158); weak links anywhere; and clocks. The
 * openssl command makes them all. */
#include "common/crypto/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { TIMEOUT_S = 120, DAY = 86400 };

#define P256 "EC -pkeyopt ec_paramgen_curve:P-256"
#define RSA  "RSA -pkeyopt rsa_keygen_bits:2048"

/* Each gives NAME.pem; who shares a key shares its KEY.key. No key identifiers: names alone say who
 * may have issued whom. */
static const struct issue {
    const char *name, *key, *kind, *subject, *issuer, *issuer_key, *more;
    bool ca;
} issues[] = {
    {"root", "root", P256, "/CN=Root", NULL, NULL, "", true},
    {"twin", "twin", P256, "/CN=Root", NULL, NULL, "", true},
    {"foreign", "foreign", P256, "/CN=Foreign", NULL, NULL, "", true},
    {"oldroot", "oldroot", RSA, "/CN=Old Root", NULL, NULL, "", true},
    {"leaf", "leaf", P256, "/CN=leaf", "root", "root", "", false},
    /* one authority, certified by two others */
    {"cross-root", "cross", P256, "/CN=Cross", "root", "root", "", true},
    {"cross-foreign", "cross", NULL, "/CN=Cross", "foreign", "foreign", "", true},
    {"cross-sha1", "cross", NULL, "/CN=Cross", "oldroot", "oldroot", "-sha1", true},
    {"cross-md5", "cross", NULL, "/CN=Cross", "oldroot", "oldroot", "-md5", true},
    {"cross-short", "cross", NULL, "/CN=Cross", "root", "root", "-days 1", true},
    {"cross-plain", "cross", NULL, "/CN=Cross", "root", "root", "", false},
    {"under-cross", "under-cross", P256, "/CN=under cross", "cross-root", "cross", "", false},
    /* two authorities of one name */
    {"same-1", "same-1", P256, "/CN=Same", "root", "root", "", true},
    {"same-2", "same-2", P256, "/CN=Same", "root", "root", "", true},
    {"under-same", "under-same", P256, "/CN=under same", "same-2", "same-2", "", false},
    /* two that certify each other; one of them is also certified by the root */
    {"circle-a", "circle-a", P256, "/CN=A", NULL, NULL, "", true},
    {"circle-b", "circle-b", P256, "/CN=B", "circle-a", "circle-a", "", true},
    {"circle-ab", "circle-a", NULL, "/CN=A", "circle-b", "circle-b", "", true},
    {"circle-root", "circle-b", NULL, "/CN=B", "root", "root", "", true},
    {"under-circle", "under-circle", P256, "/CN=under circle", "circle-ab", "circle-a", "", false},
    /* a weak link */
    {"weak", "weak", "RSA -pkeyopt rsa_keygen_bits:1024", "/CN=Weak", "root", "root", "", true},
    {"under-weak", "under-weak", P256, "/CN=under weak", "weak", "weak", "", false},
};
enum { ISSUES = sizeof issues / sizeof issues[0] };

static void issue(const struct issue *i, size_t serial)
{
    char signer[128];
    if (i->issuer == NULL)
        snprintf(signer, sizeof signer, "-signkey %s.key", i->key);
    else
        snprintf(signer, sizeof signer, "-CA %s.pem -CAkey %s.key", i->issuer, i->issuer_key);
    if (i->kind != NULL)
        fixture_shell("openssl genpkey -algorithm %s -out %s.key", i->kind, i->key);
    fixture_shell("printf '%s' >ext && openssl req -new -key %s.key -subj '%s' -out req && "
                  "openssl x509 -req -in req %s -days 300 -set_serial %zu -extfile ext %s "
                  "-out %s.pem",
                  i->ca ? "basicConstraints=critical,CA:TRUE" : "basicConstraints=CA:FALSE", i->key,
                  i->subject, signer, serial + 1, i->more, i->name);
}

/* A crowd of one name, none of which issued anything; and one that certify each other all. */
static void make_certificates(void)
{
    fixture_enter();
    for (size_t i = 0; i < ISSUES; i++)
        issue(&issues[i], i);
    fixture_shell("for n in 1 2 3 4 5 6 7 8 9 10 11 12 13; do "
                  "openssl ecparam -name prime256v1 -genkey -noout -out k.key && "
                  "openssl req -x509 -new -key k.key -subj '/CN=Same' -days 300 -out crowd-$n.pem; "
                  "done");
    fixture_shell(
        "echo basicConstraints=critical,CA:TRUE >ext; "
        "for n in 1 2 3 4; do openssl ecparam -name prime256v1 -genkey -noout -out c$n.key"
        " && openssl req -x509 -new -key c$n.key -subj \"/CN=C$n\" -out c$n.pem; done; "
        "for n in 1 2 3 4; do for m in 1 2 3 4; do [ $n = $m ] || { "
        "openssl req -new -key c$n.key -subj \"/CN=C$n\" -out req && "
        "openssl x509 -req -in req -CA c$m.pem -CAkey c$m.key -set_serial $n$m -days 300 "
        "-extfile ext -out clique-$n$m.pem; } || exit 1; done; done; "
        "openssl req -new -key leaf.key -subj /CN=in -out req && "
        "openssl x509 -req -in req -CA c1.pem -CAkey c1.key -set_serial 9 -days 300 "
        "-out under-clique.pem");
}

static struct certificate_list certificates(const char *names)
{
    struct certificate_list l = {.count = 0};
    char copy[512], file[64], *save = NULL;
    snprintf(copy, sizeof copy, "%s", names);
    for (char *n = strtok_r(copy, " ", &save); n != NULL; n = strtok_r(NULL, " ", &save)) {
        struct certificate_list one;
        struct fault f = {.text = ""};
        snprintf(file, sizeof file, "%s.pem", n);
        struct span pem = fixture_read(file);
        enum err e = certificate_parse_file(pem, &one, &f);
        ck_assert_msg(e == ERR_OK, "%s: %s", n, f.text);
        free((void *)pem.data);
        ck_assert_uint_lt(l.count, CERTIFICATES_MAX);
        l.items[l.count++] = one.items[0];
    }
    return l;
}

static struct trust_store *trusting(const char *names)
{
    struct trust_store *t = NULL;
    struct certificate_list l = certificates(names);
    ck_ok(trust_store_new(&t));
    for (size_t i = 0; i < l.count; i++)
        ck_ok(trust_store_add(t, l.items[i]));
    certificate_list_wipe(&l);
    return t;
}

static enum err verify(const char *anchors, const char *chain, int64_t after_s, struct fault *f)
{
    struct trust_store *t = trusting(anchors);
    struct certificate_list l = certificates(chain);
    int64_t now = certificate_not_before(l.items[0]) + after_s;
    enum err e = trust_verify(t, &l, NULL, PURPOSE_GATEWAY, now, f);
    certificate_list_wipe(&l);
    trust_store_free(t);
    return e;
}

static const struct way {
    const char *anchors, *chain;
    int days;
    const char *fault; /* words; NULL: trusted */
} ways[] = {
    /* anchors of one name */
    {"twin root", "leaf", 1, NULL},
    {"root twin", "leaf", 1, NULL},
    {"twin", "leaf", 1, "the signature on certificate \"CN=leaf\" is wrong"},
    {"twin root", "under-cross cross-root", 1, NULL},
    {"root", "leaf twin", 1, NULL},
    /* cross-certificates, in any order */
    {"root", "under-cross cross-root cross-foreign", 1, NULL},
    {"root", "under-cross cross-foreign cross-root", 1, NULL},
    {"root", "under-cross cross-foreign foreign cross-root", 1, NULL},
    {"foreign", "under-cross cross-root cross-foreign", 1, NULL},
    {"twin", "under-cross cross-root cross-foreign", 1, "certificate \"CN=Cross\""},
    {"cross-foreign", "under-cross", 1, NULL},
    {"cross-foreign", "under-cross cross-root", 1, NULL},
    /* one way does not hold, another does */
    {"oldroot root", "under-cross cross-sha1 cross-root", 1, NULL},
    {"root oldroot", "under-cross cross-sha1 cross-root", 1, NULL},
    {"oldroot root", "under-cross cross-md5 cross-root", 1, NULL},
    {"root", "under-cross cross-short cross-root", 2, NULL},
    {"root", "under-cross cross-short", 2, "\"CN=Cross\" expired on"},
    {"root", "under-cross cross-plain cross-root", 1, NULL},
    {"root", "under-cross cross-plain", 1, "\"CN=Cross\" issued another one, but is not a CA's"},
    /* authorities of one name */
    {"root", "under-same same-1 same-2", 1, NULL},
    {"root", "under-same same-2 same-1", 1, NULL},
    {"same-1 same-2", "under-same", 1, NULL},
    {"root", "under-same same-1", 1, "\"CN=under same\" was issued by \"CN=Same\""},
    {"root",
     "under-same crowd-1 crowd-2 crowd-3 crowd-4 crowd-5 crowd-6 crowd-7 crowd-8 crowd-9 crowd-10 "
     "crowd-11 crowd-12 crowd-13 same-2",
     1, NULL},
    /* circles */
    {"root", "under-circle circle-ab circle-b", 1, ""},
    {"root", "under-circle circle-ab circle-b circle-root", 1, NULL},
    {"root", "under-circle circle-a circle-ab circle-b circle-root", 1, NULL},
    {"root",
     "under-clique clique-12 clique-13 clique-14 clique-21 clique-23 clique-24 clique-31 clique-32 "
     "clique-34 clique-41 clique-42 clique-43",
     1, ""},
    {"c4", "under-clique clique-12 clique-13 clique-21 clique-23 clique-31 clique-32 clique-34", 1,
     NULL},
    /* weak links */
    {"oldroot", "under-cross cross-sha1", 1,
     "certificate \"CN=Cross\" is signed with RSA with SHA-1, which is not accepted"},
    {"oldroot", "under-cross cross-md5", 1, "certificate \"CN=Cross\" is signed with "},
    {"root", "under-weak weak", 1, "\"CN=Weak\" has an RSA key of only 1024 bits"},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

START_TEST(way)
{
    const struct way *w = &ways[_i];
    struct fault f = {.text = ""};
    enum err e = verify(w->anchors, w->chain, (int64_t)w->days * DAY, &f);
    if (w->fault == NULL) {
        ck_assert_msg(e == ERR_OK, "[%s] %s: %s", w->anchors, w->chain, f.text);
        return;
    }
    ck_assert_msg(e == ERR_REFUSED, "[%s] %s: %s", w->anchors, w->chain, err_text(e));
    ck_assert_str_ne(f.text, "");
    ck_assert_str_ne(f.hint, "");
    ck_assert_msg(strstr(f.text, w->fault) != NULL, "[%s] %s: %s", w->anchors, w->chain, f.text);
}
END_TEST

/* More ways than anybody has: not all are tried, and it ends. */
START_TEST(too_many_ways)
{
    struct fault f = {.text = ""};
    fixture_shell(
        "echo basicConstraints=CA:FALSE >ext; for n in 1 2 3 4 5 6 7 8 9; do "
        "openssl req -new -key cross.key -subj /CN=Cross -out req && "
        "openssl x509 -req -in req -CA root.pem -CAkey root.key -set_serial 5$n -days 300 "
        "-extfile ext -out many-$n.pem || exit 1; done; "
        "openssl req -x509 -new -key root.key -subj /CN=Root -days 200 -out again.pem");
    ck_err(verify("root again",
                  "under-cross many-1 many-2 many-3 many-4 many-5 many-6 many-7 many-8 many-9", DAY,
                  &f),
           ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "\"CN=Cross\" issued another one"));
}
END_TEST

/* Signatures cost time: after so many, the rest is as if it had not been sent. */
START_TEST(too_many_signatures)
{
    fixture_shell(
        "echo basicConstraints=critical,CA:TRUE >ext; for n in 1 2 3 4 5 6 7; do "
        "openssl req -new -key cross.key -subj /CN=Cross -out req && "
        "openssl x509 -req -in req -CA foreign.pem -CAkey foreign.key -set_serial 6$n "
        "-days 300 -extfile ext -out foreign-$n.pem || exit 1; done; "
        "for n in 1 2 3 4 5 6 7 8 9; do "
        "openssl ecparam -name prime256v1 -genkey -noout -out k.key && "
        "openssl req -x509 -new -key k.key -subj /CN=Foreign -out false-$n.pem || exit 1; "
        "done");
#define FALSE_ONES "false-1 false-2 false-3 false-4 false-5 false-6 false-7 false-8"
    ck_ok(verify("root", "under-cross foreign-1 " FALSE_ONES " cross-root", DAY, NULL));
    ck_err(verify("false-9",
                  "under-cross foreign-1 foreign-2 foreign-3 foreign-4 foreign-5 foreign-6 "
                  "foreign-7 " FALSE_ONES,
                  DAY, NULL),
           ERR_REFUSED);
}
END_TEST

/* A clock that is wrong beyond doubt is said to be. */
START_TEST(clocks)
{
    static const char words[] = "this machine's clock is most likely wrong";
    struct fault f = {.text = ""};
    ck_err(verify("root", "under-cross cross-root", -3650 * (int64_t)DAY, &f), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "is not yet valid"));
    ck_assert_msg(strstr(f.hint, words) != NULL, "%s", f.hint);
    /* not so long ago, but all of them are of the future */
    ck_err(verify("root", "under-cross cross-root", -2 * DAY, &f), ERR_REFUSED);
    ck_assert_msg(strstr(f.hint, words) != NULL, "%s", f.hint);
    /* expired: nobody knows whether it is the clock */
    ck_err(verify("root", "under-cross cross-root", 3650 * (int64_t)DAY, &f), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "expired on"));
    ck_assert_msg(strstr(f.hint, words) == NULL, "%s", f.hint);
    ck_assert_ptr_nonnull(strstr(f.hint, "set this machine's clock, if that is wrong"));
}
END_TEST

/* One new certificate below an old CA: that may be so, and the clock right. */
START_TEST(one_of_the_future)
{
    struct fault f = {.text = ""};
    if (!fixture_try("openssl x509 -help 2>&1 | grep -q not_before")) {
        /* older commands cannot say when a certificate begins, but by `openssl ca` */
        fixture_shell(
            "mkdir -p d && : >d/index && echo 77 >d/serial && printf '[ca]\\n"
            "default_ca=c\\n[c]\\ndir=d\\ndatabase=d/index\\nserial=d/serial\\n"
            "new_certs_dir=d\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n'"
            " >ca.cnf && openssl req -new -key leaf.key -subj /CN=future -out req && "
            "openssl ca -batch -config ca.cnf -in req -cert root.pem -keyfile root.key "
            "-startdate 20800101000000Z -enddate 20810101000000Z -notext -out future.pem");
    } else {
        fixture_shell("openssl req -new -key leaf.key -subj /CN=future -out req && "
                      "openssl x509 -req -in req -CA root.pem -CAkey root.key -set_serial 77 "
                      "-not_before 20800101000000Z -not_after 20810101000000Z -out future.pem");
    }
    struct trust_store *t = trusting("root");
    struct certificate_list future = certificates("future"), leaf = certificates("leaf");
    int64_t now = certificate_not_before(leaf.items[0]) + DAY;
    ck_err(trust_verify(t, &future, NULL, PURPOSE_GATEWAY, now, &f), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "is not yet valid: it starts on 2080-01-01"));
    ck_assert_msg(strstr(f.hint, "or wait for that day") != NULL, "%s", f.hint);
    certificate_list_wipe(&future);
    certificate_list_wipe(&leaf);
    trust_store_free(t);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/trust");
    TCase *t = tcase_create("trust");
    tcase_set_timeout(t, TIMEOUT_S);
    tcase_add_unchecked_fixture(t, make_certificates, fixture_leave);
    tcase_add_loop_test(t, way, 0, WAYS);
    tcase_add_test(t, too_many_ways);
    tcase_add_test(t, too_many_signatures);
    tcase_add_test(t, clocks);
    tcase_add_test(t, one_of_the_future);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
