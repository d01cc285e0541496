/* Published vectors of HMAC and of key exchange. */
#include <glob.h>

#include "common/crypto/kex.h"
#include "common/crypto/prf.h"
#include "tests/support/fixed_random.h"
#include "tests/unit/vectors_scene.h"

#define CIRCL_PACKAGE "golang-github-cloudflare-circl-dev"
#define CIRCL_X25519                                                                               \
    "/usr/share/gocode/src/github.com/cloudflare/circl/dh/x25519/testdata/wycheproof_kat.json"
#define HMAC_PACKAGE "librust-hmac-dev"
#define CARGO_DIR    "/usr/share/cargo/registry/"

/* tag may be cut short. */
static void check_hmac(enum prf_id id, struct span key, struct span message, struct span tag,
                       bool valid)
{
    uint8_t out[PRF_OUT_MAX];
    ck_ok(prf(id, key, &message, 1, out));
    ck_assert_uint_le(tag.len, prf_len(id));
    ck_assert_int_eq(memcmp(out, tag.data, tag.len) == 0, valid);
}

/* A number as exactly len octets: vectors carry fewer or more leading zeros. */
static void fit(struct span number, uint8_t *out, size_t len)
{
    while (number.len > len && number.data[0] == 0)
        number = span_make(number.data + 1, number.len - 1);
    ck_assert_uint_le(number.len, len);
    memset(out, 0, len - number.len);
    memcpy(out + len - number.len, number.data, number.len);
}

static struct kex *key_pair(enum ke_id id, struct span private_key)
{
    uint8_t scalar[KEX_PUBLIC_MAX];
    size_t len = id == KE_X25519 ? 32 : kex_public_len(id) / 2;
    fit(private_key, scalar, len);
    struct fixed_random fixed;
    struct random_source source = fixed_random(&fixed, span_make(scalar, len));
    struct kex *k;
    ck_ok(kex_new(id, &source, &k));
    return k;
}

/* A length of the blob format: seven bits an octet, most significant first, each further octet
 * adding one to what came before. */
static size_t blob_len(struct span *rest)
{
    size_t value = 0;
    for (bool first = true;; first = false) {
        ck_assert_uint_gt(rest->len, 0);
        uint8_t octet = rest->data[0];
        *rest = span_make(rest->data + 1, rest->len - 1);
        value = (first ? 0 : (value + 1) << 7) | (octet & 0x7f);
        if ((octet & 0x80) == 0)
            return value;
    }
}

static struct span blob_take(struct span *rest, size_t len)
{
    ck_assert_uint_le(len, rest->len);
    struct span taken = span_make(rest->data, len);
    *rest = span_make(rest->data + len, rest->len - len);
    return taken;
}

enum { BLOB_TABLE_MAX = 256 };

/* An item: its length or, with the lowest bit set, its place among the repeated ones. */
static struct span blob_item(struct span *rest, const struct span *table, size_t table_count)
{
    size_t n = blob_len(rest);
    if ((n & 1) == 0)
        return blob_take(rest, n >> 1);
    ck_assert_uint_lt(n >> 1, table_count);
    return table[n >> 1];
}

static const struct blob_file {
    const char *name;
    enum prf_id id;
    unsigned at_least;
} blob_files[] = {
    {"sha256", PRF_HMAC_SHA2_256, 6},
    {"sha384", PRF_HMAC_SHA2_384, 6},
    {"sha512", PRF_HMAC_SHA2_512, 6},
    {"wycheproof-sha1", PRF_HMAC_SHA1, 50},
    {"wycheproof-sha256", PRF_HMAC_SHA2_256, 50},
    {"wycheproof-sha384", PRF_HMAC_SHA2_384, 50},
    {"wycheproof-sha512", PRF_HMAC_SHA2_512, 50},
};

START_TEST(wycheproof_hmac_blobs)
{
    const struct blob_file *f = &blob_files[_i];
    char pattern[512], path[512];
    glob_t found = {0}; /* the crate's version is Debian's */
    snprintf(pattern, sizeof(pattern), CARGO_DIR "hmac-*/tests/data/%s.blb", f->name);
    bool one = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0;
    snprintf(path, sizeof(path), "%s", one ? found.gl_pathv[0] : pattern);
    globfree(&found);
    struct span file = vectors_file(path, HMAC_PACKAGE), rest = file;
    struct span table[BLOB_TABLE_MAX];
    size_t table_count = blob_len(&rest);
    ck_assert_uint_le(table_count, BLOB_TABLE_MAX);
    for (size_t i = 0; i < table_count; i++)
        table[i] = blob_take(&rest, blob_len(&rest));
    struct tally tally = {0};
    while (rest.len > 0) {
        struct span key = blob_item(&rest, table, table_count);
        struct span message = blob_item(&rest, table, table_count);
        struct span tag = blob_item(&rest, table, table_count);
        check_hmac(f->id, key, message, tag, true);
        tally.ran++;
    }
    free((void *)file.data);
    report(path, tally, f->at_least);
}
END_TEST

static const struct {
    const char *name;
    enum prf_id id;
} hmac_files[] = {
    {"rfc-2202-sha1.txt", PRF_HMAC_SHA1},
    {"rfc-4231-sha256.txt", PRF_HMAC_SHA2_256},
    {"rfc-4231-sha384.txt", PRF_HMAC_SHA2_384},
    {"rfc-4231-sha512.txt", PRF_HMAC_SHA2_512},
};

START_TEST(rfc_hmac_files)
{
    char path[512];
    snprintf(path, sizeof(path), NIST_DIR "HMAC/%s", hmac_files[_i].name);
    struct vectors v;
    struct tally tally = {0};
    vectors_open(&v, path, NIST_PACKAGE);
    while (vectors_next(&v)) {
        static uint8_t b[3][FIELD_MAX];
        if (vectors_text(&v, "Key") == NULL)
            continue;
        check_hmac(hmac_files[_i].id, vectors_hex(&v, "Key", b[0], FIELD_MAX),
                   vectors_hex(&v, "Msg", b[1], FIELD_MAX), vectors_hex(&v, "MD", b[2], FIELD_MAX),
                   true);
        tally.ran++;
    }
    vectors_close(&v);
    report(hmac_files[_i].name, tally, 6);
}
END_TEST

static enum ke_id cavp_curve(const char *section)
{
    if (strncmp(section, "EC ", 3) == 0)
        return KE_ECP_256;
    if (strncmp(section, "ED ", 3) == 0)
        return KE_ECP_384;
    if (strncmp(section, "EE ", 3) == 0)
        return KE_ECP_521;
    return KE_NONE;
}

static void read_number(const struct vectors *v, const char *name, uint8_t *out, size_t len)
{
    uint8_t number[FIELD_MAX];
    fit(vectors_hex(v, name, number, sizeof(number)), out, len);
}

/* Our private keys have no bits beyond the order's length: the source's are cleared. */
static bool cavp_scalar_expressible(const struct vectors *v, enum ke_id id)
{
    uint8_t scalar[KEX_PUBLIC_MAX];
    read_number(v, "dsIUT", scalar, kex_public_len(id) / 2);
    return id != KE_ECP_521 || scalar[0] <= 1;
}

/* The vector is good exactly where all three hold: the peer's point is accepted, the private key
 * gives the public one, and the secret is Z. */
static bool cavp_ecdh_agrees(const struct vectors *v, enum ke_id id)
{
    const size_t public_len = kex_public_len(id), field_len = public_len / 2;
    uint8_t peer[KEX_PUBLIC_MAX], mine[KEX_PUBLIC_MAX], scalar[KEX_PUBLIC_MAX], z[KEX_PUBLIC_MAX];
    read_number(v, "QsCAVSx", peer, field_len);
    read_number(v, "QsCAVSy", peer + field_len, field_len);
    read_number(v, "QsIUTx", mine, field_len);
    read_number(v, "QsIUTy", mine + field_len, field_len);
    read_number(v, "dsIUT", scalar, field_len);
    read_number(v, "Z", z, field_len);
    struct kex *k = key_pair(id, span_make(scalar, field_len));
    struct secret shared;
    bool agrees = kex_shared(k, span_make(peer, public_len), &shared) == ERR_OK &&
                  span_equal(kex_public(k), span_make(mine, public_len)) &&
                  span_equal(secret_span(&shared), span_make(z, field_len));
    kex_free(k);
    return agrees;
}

START_TEST(nist_ecdh)
{
    static const char *const roles[] = {"init", "resp"};
    char path[512];
    snprintf(path, sizeof(path),
             NIST_DIR "asymmetric/ECDH/KASValidityTest_ECCStaticUnified_NOKC_ZZOnly_%s.fax",
             roles[_i]);
    struct vectors v;
    struct tally tally = {0};
    vectors_open(&v, path, NIST_PACKAGE);
    while (vectors_next(&v)) {
        enum ke_id id = cavp_curve(vectors_text(&v, "section"));
        if (id == KE_NONE || !cavp_scalar_expressible(&v, id)) {
            tally.skipped++;
            continue;
        }
        bool good = vectors_text(&v, "Result")[0] == 'P';
        ck_assert_msg(cavp_ecdh_agrees(&v, id) == good, "[%s] COUNT %s: %s",
                      vectors_text(&v, "section"), vectors_text(&v, "COUNT"),
                      vectors_text(&v, "Result"));
        tally.ran++;
    }
    vectors_close(&v);
    report(roles[_i], tally, 88);
}
END_TEST

/* Wycheproof calls points of low order acceptable; RFC 8031 2.3 has us refuse their all-zero
 * secret, and everything else must agree. */
static void check_x25519(struct span private_key, struct span peer, struct span expected)
{
    static const uint8_t zeros[32] = {0};
    struct kex *k = key_pair(KE_X25519, private_key);
    struct secret shared;
    enum err e = kex_shared(k, peer, &shared);
    if (span_equal(expected, SPAN_OF(zeros))) {
        ck_err(e, ERR_CRYPTO);
    } else {
        ck_ok(e);
        ck_span_eq(secret_span(&shared), expected);
    }
    kex_free(k);
}

static struct tally check_x25519_tests(const json_t *tests)
{
    struct tally tally = {0};
    size_t i;
    json_t *t;
    json_array_foreach(tests, i, t)
    {
        uint8_t b[3][64];
        check_x25519(vectors_json_hex(t, "private", b[0], sizeof(b[0])),
                     vectors_json_hex(t, "public", b[1], sizeof(b[1])),
                     vectors_json_hex(t, "shared", b[2], sizeof(b[2])));
        tally.ran++;
    }
    return tally;
}

START_TEST(wycheproof_x25519_of_circl)
{
    json_t *root = vectors_json(CIRCL_X25519, CIRCL_PACKAGE);
    report("X25519 (Wycheproof in circl)", check_x25519_tests(root), 80);
    json_decref(root);
}
END_TEST

/* ---- all of Wycheproof, where TERN_WYCHEPROOF is ---- */

START_TEST(wycheproof_x25519)
{
    json_t *root = wycheproof("x25519"), *group;
    struct tally tally = {0};
    size_t g;
    json_array_foreach(json_object_get(root, "testGroups"), g, group)
    {
        tally.ran += check_x25519_tests(json_object_get(group, "tests")).ran;
    }
    json_decref(root);
    report("x25519", tally, 500);
}
END_TEST

static const struct {
    const char *name;
    enum ke_id id;
} ecdh_files[] = {
    {"ecdh_secp256r1_ecpoint", KE_ECP_256},
    {"ecdh_secp384r1_ecpoint", KE_ECP_384},
    {"ecdh_secp521r1_ecpoint", KE_ECP_521},
};

/* RFC 5903 7 sends x | y: a point in another encoding than 04 | x | y cannot be expressed. */
START_TEST(wycheproof_ecdh)
{
    json_t *root = wycheproof(ecdh_files[_i].name), *group, *t;
    struct tally tally = {0};
    size_t g, i;
    json_array_foreach(json_object_get(root, "testGroups"), g, group)
    {
        json_array_foreach(json_object_get(group, "tests"), i, t)
        {
            static uint8_t b[3][FIELD_MAX];
            struct span point = vectors_json_hex(t, "public", b[0], FIELD_MAX);
            if (point.len == 0 || point.data[0] != 4) {
                tally.skipped++;
                continue;
            }
            struct span peer = span_make(point.data + 1, point.len - 1);
            struct kex *k =
                key_pair(ecdh_files[_i].id, vectors_json_hex(t, "private", b[1], FIELD_MAX));
            struct secret shared;
            ck_err(kex_shared(k, peer, &shared), is_valid(t) ? ERR_OK : ERR_CRYPTO);
            if (is_valid(t))
                ck_span_eq(secret_span(&shared), vectors_json_hex(t, "shared", b[2], FIELD_MAX));
            kex_free(k);
            tally.ran++;
        }
    }
    json_decref(root);
    report(ecdh_files[_i].name, tally, 200);
}
END_TEST

static const struct {
    const char *name;
    enum prf_id id;
} wycheproof_hmac_files[] = {
    {"hmac_sha1", PRF_HMAC_SHA1},
    {"hmac_sha256", PRF_HMAC_SHA2_256},
    {"hmac_sha384", PRF_HMAC_SHA2_384},
    {"hmac_sha512", PRF_HMAC_SHA2_512},
};

START_TEST(wycheproof_hmac)
{
    json_t *root = wycheproof(wycheproof_hmac_files[_i].name), *group, *t;
    struct tally tally = {0};
    size_t g, i;
    json_array_foreach(json_object_get(root, "testGroups"), g, group)
    {
        json_array_foreach(json_object_get(group, "tests"), i, t)
        {
            static uint8_t b[3][FIELD_MAX];
            check_hmac(wycheproof_hmac_files[_i].id, vectors_json_hex(t, "key", b[0], FIELD_MAX),
                       vectors_json_hex(t, "msg", b[1], FIELD_MAX),
                       vectors_json_hex(t, "tag", b[2], FIELD_MAX), is_valid(t));
            tally.ran++;
        }
    }
    json_decref(root);
    report(wycheproof_hmac_files[_i].name, tally, 150);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/vectors");
    TCase *t = add_case(s, "debian packages");
    tcase_add_loop_test(t, rfc_hmac_files, 0, COUNT_OF(hmac_files));
    tcase_add_loop_test(t, wycheproof_hmac_blobs, 0, COUNT_OF(blob_files));
    tcase_add_loop_test(t, nist_ecdh, 0, 2);
    tcase_add_test(t, wycheproof_x25519_of_circl);
    t = add_wycheproof(s);
    if (t != NULL) {
        tcase_add_test(t, wycheproof_x25519);
        tcase_add_loop_test(t, wycheproof_ecdh, 0, COUNT_OF(ecdh_files));
        tcase_add_loop_test(t, wycheproof_hmac, 0, COUNT_OF(wycheproof_hmac_files));
    }
    return s;
}

int main(void)
{
    return support_run(suite());
}
