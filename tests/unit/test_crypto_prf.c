/* PRFs against RFC 2202 and RFC 4231; prf+ and hashes against values computed independently. */
#include <string.h>

#include "common/crypto/prf.h"
#include "tests/support/support.h"

static void check_prf(enum prf_id id, struct span key, struct span message, const char *expected)
{
    uint8_t out[PRF_OUT_MAX], want[PRF_OUT_MAX];
    size_t want_len = support_hex(expected, want, sizeof(want));
    ck_assert_uint_eq(want_len, prf_len(id));
    ck_ok(prf(id, key, &message, 1, out));
    ck_span_eq(span_make(out, want_len), span_make(want, want_len));
}

static struct span repeated(uint8_t *out, uint8_t octet, size_t len)
{
    memset(out, octet, len);
    return span_make(out, len);
}

/* RFC 2202 3. */
START_TEST(rfc2202_hmac_sha1)
{
    uint8_t k[80], m[50];
    check_prf(PRF_HMAC_SHA1, repeated(k, 0x0b, 20), span_text("Hi There"),
              "b617318655057264e28bc0b6fb378c8ef146be00");
    check_prf(PRF_HMAC_SHA1, span_text("Jefe"), span_text("what do ya want for nothing?"),
              "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    check_prf(PRF_HMAC_SHA1, repeated(k, 0xaa, 20), repeated(m, 0xdd, 50),
              "125d7342b9ac11cd91a39af48aa17b4f63f175d3");
    check_prf(PRF_HMAC_SHA1, repeated(k, 0xaa, 80),
              span_text("Test Using Larger Than Block-Size Key - Hash Key First"),
              "aa4ae5e15272d00e95705637ce8a3b55ed402112");
}
END_TEST

/* RFC 4231 4.2: test case 1. */
START_TEST(rfc4231_case_1)
{
    uint8_t k[20];
    struct span key = repeated(k, 0x0b, 20), message = span_text("Hi There");
    check_prf(PRF_HMAC_SHA2_256, key, message,
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check_prf(PRF_HMAC_SHA2_384, key, message,
              "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
              "faea9ea9076ede7f4af152e8b2fa9cb6");
    check_prf(PRF_HMAC_SHA2_512, key, message,
              "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
              "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854");
}
END_TEST

/* RFC 4231 4.3: test case 2, a key shorter than the output. */
START_TEST(rfc4231_case_2)
{
    struct span key = span_text("Jefe"), message = span_text("what do ya want for nothing?");
    check_prf(PRF_HMAC_SHA2_256, key, message,
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    check_prf(PRF_HMAC_SHA2_384, key, message,
              "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
              "8e2240ca5e69e2c78b3239ecfab21649");
    check_prf(PRF_HMAC_SHA2_512, key, message,
              "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
              "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
}
END_TEST

/* RFC 4231 4.7: test case 6, a key longer than the block. */
START_TEST(rfc4231_case_6)
{
    uint8_t k[131];
    struct span key = repeated(k, 0xaa, 131),
                message = span_text("Test Using Larger Than Block-Size Key - Hash Key First");
    check_prf(PRF_HMAC_SHA2_256, key, message,
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    check_prf(PRF_HMAC_SHA2_384, key, message,
              "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
              "0c2ef6ab4030fe8296248df163f44952");
    check_prf(PRF_HMAC_SHA2_512, key, message,
              "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
              "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598");
}
END_TEST

START_TEST(parts_are_one_message)
{
    const struct span whole = span_text("what do ya want for nothing?");
    const struct span parts[] = {span_make(whole.data, 1), SPAN_EMPTY,
                                 span_make(whole.data + 1, 20),
                                 span_make(whole.data + 21, whole.len - 21)};
    uint8_t a[PRF_OUT_MAX], b[PRF_OUT_MAX];
    ck_ok(prf(PRF_HMAC_SHA2_512, span_text("Jefe"), &whole, 1, a));
    ck_ok(prf(PRF_HMAC_SHA2_512, span_text("Jefe"), parts, 4, b));
    ck_assert_mem_eq(a, b, 64);
}
END_TEST

/* The well-known HMACs of nothing under an empty key. */
START_TEST(nothing_at_all)
{
    check_prf(PRF_HMAC_SHA1, SPAN_EMPTY, SPAN_EMPTY, "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
    check_prf(PRF_HMAC_SHA2_256, SPAN_EMPTY, SPAN_EMPTY,
              "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(unknown_prf)
{
    uint8_t out[PRF_OUT_MAX] = {7};
    ck_assert_uint_eq(prf_len(PRF_NONE), 0);
    ck_assert_uint_eq(prf_len((enum prf_id)4), 0);
    ck_err(prf((enum prf_id)4, span_text("key"), NULL, 0, out), ERR_UNSUPPORTED);
    ck_err(prf_plus(PRF_NONE, span_text("key"), NULL, 0, out, 1), ERR_UNSUPPORTED);
    ck_assert_uint_eq(out[0], 7);
}
END_TEST

/* RFC 7296 2.13. The expected values come from Python's hmac and hashlib: the first block and five
 * octets of the second, and the SHA-256 of all 255 blocks. */
static const struct plus_case {
    enum prf_id id;
    const char *start, *digest_of_all;
} plus_cases[] = {
    {PRF_HMAC_SHA1, "0b296aa78fc387683e423749b7ff55ea49c70672579d879dbc",
     "fb2d77a8f614cd043a2a89e3ff69a51267e23352d0b06deea37f802bf162a30c"},
    {PRF_HMAC_SHA2_256,
     "43215f3ca8421d41217487e9a8a32a3a32c70533c6132a5e067510442b0c2e342ad903d0d8",
     "0740d5c8ff4591b3bfce625e9bc1fe31e2ccfb068424b7922c823a2e2f3e3be1"},
    {PRF_HMAC_SHA2_384,
     "6f016261cfab94f95f45a8f3672b423fb866f540a02c6ecb53fa85410dce186744c0044a13bdb66143b15b4e"
     "ef93b5dd67d7a605f5",
     "3eee5e01b7f4dd1e632afb5fa73aa4e9cf1b0854355b659a3549e21f763c15a9"},
    {PRF_HMAC_SHA2_512,
     "6bbc41b3a077b961f127f05009a0185df49152dfac9cc3018110e45c60536d70ed6c37b3190a92a305221777"
     "bcb955654c9204f1faa44a514aafccbd8ec0c980fe41c9caab",
     "e21f80980f63403bea8edd87a322bde0b565f2b44d61ed5ac3be954d579f183e"},
};

START_TEST(prf_plus_blocks)
{
    const struct plus_case *c = &plus_cases[_i];
    const struct span key = span_text("key of prf+");
    const struct span seed[] = {span_text("seed, "), span_text("in two parts")};
    static uint8_t all[255 * PRF_OUT_MAX + 1];
    const size_t len = 255 * prf_len(c->id);
    uint8_t start[80], digest[SHA256_LEN], want[SHA256_LEN];
    size_t start_len = support_hex(c->start, start, sizeof(start));
    ck_ok(prf_plus(c->id, key, seed, 2, all, start_len));
    ck_assert_mem_eq(all, start, start_len);

    ck_ok(prf_plus(c->id, key, seed, 2, all, len));
    support_hex(c->digest_of_all, want, sizeof(want));
    const struct span whole = span_make(all, len);
    hash_sha256(&whole, 1, digest);
    ck_assert_mem_eq(digest, want, sizeof(want));

    /* The counter is one octet. */
    all[0] ^= 1;
    const uint8_t first = all[0];
    ck_err(prf_plus(c->id, key, seed, 2, all, len + 1), ERR_LIMIT);
    ck_assert_uint_eq(all[0], first);
}
END_TEST

/* FIPS 180-4's example: "abc". */
START_TEST(plain_hashes)
{
    const struct span parts[] = {span_text("a"), SPAN_EMPTY, span_text("bc")};
    uint8_t out[SHA256_LEN], want[SHA256_LEN];
    hash_sha1(parts, 3, out);
    support_hex("a9993e364706816aba3e25717850c26c9cd0d89d", want, sizeof(want));
    ck_assert_mem_eq(out, want, SHA1_LEN);
    hash_sha256(parts, 3, out);
    support_hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", want,
                sizeof(want));
    ck_assert_mem_eq(out, want, SHA256_LEN);
    hash_sha1(NULL, 0, out);
    support_hex("da39a3ee5e6b4b0d3255bfef95601890afd80709", want, sizeof(want));
    ck_assert_mem_eq(out, want, SHA1_LEN);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/prf");
    TCase *c = tcase_create("prf");
    tcase_add_test(c, rfc2202_hmac_sha1);
    tcase_add_test(c, rfc4231_case_1);
    tcase_add_test(c, rfc4231_case_2);
    tcase_add_test(c, rfc4231_case_6);
    tcase_add_test(c, parts_are_one_message);
    tcase_add_test(c, nothing_at_all);
    tcase_add_test(c, unknown_prf);
    tcase_add_loop_test(c, prf_plus_blocks, 0, 4);
    tcase_add_test(c, plain_hashes);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
