/* Algorithm names and transform IDs (IANA "IKEv2 Parameters"). */
#include <string.h>

#include "common/crypto/aead.h"
#include "common/crypto/algorithm.h"
#include "common/crypto/kex.h"
#include "common/crypto/prf.h"
#include "tests/support/support.h"

static const struct named {
    const char *name;
    enum transform_type type;
    uint16_t id, key_bits;
    const char *canonical;
} names[] = {
    {"null", TRANSFORM_ENCR, 11, 0, "null"},
    {"aes", TRANSFORM_ENCR, 12, 128, "aes128"},
    {"aes128", TRANSFORM_ENCR, 12, 128, "aes128"},
    {"aes192", TRANSFORM_ENCR, 12, 192, "aes192"},
    {"aes256", TRANSFORM_ENCR, 12, 256, "aes256"},
    {"aes128gcm8", TRANSFORM_ENCR, 18, 128, "aes128gcm8"},
    {"aes192gcm64", TRANSFORM_ENCR, 18, 192, "aes192gcm8"},
    {"aes256gcm12", TRANSFORM_ENCR, 19, 256, "aes256gcm12"},
    {"aes128gcm96", TRANSFORM_ENCR, 19, 128, "aes128gcm12"},
    {"aes256gcm16", TRANSFORM_ENCR, 20, 256, "aes256gcm16"},
    {"aes256gcm128", TRANSFORM_ENCR, 20, 256, "aes256gcm16"},
    {"AES256GCM16", TRANSFORM_ENCR, 20, 256, "aes256gcm16"},
    {"chacha20poly1305", TRANSFORM_ENCR, 28, 0, "chacha20poly1305"},
    {"sha", TRANSFORM_INTEG, 2, 0, "sha1"},
    {"sha1", TRANSFORM_INTEG, 2, 0, "sha1"},
    {"sha256", TRANSFORM_INTEG, 12, 0, "sha256"},
    {"sha2_256", TRANSFORM_INTEG, 12, 0, "sha256"},
    {"sha2_384", TRANSFORM_INTEG, 13, 0, "sha384"},
    {"Sha512", TRANSFORM_INTEG, 14, 0, "sha512"},
    {"prfsha1", TRANSFORM_PRF, 2, 0, "prfsha1"},
    {"prfsha256", TRANSFORM_PRF, 5, 0, "prfsha256"},
    {"prfsha384", TRANSFORM_PRF, 6, 0, "prfsha384"},
    {"prfsha512", TRANSFORM_PRF, 7, 0, "prfsha512"},
    {"modp1024", TRANSFORM_KE, 2, 0, "modp1024"},
    {"modp2048", TRANSFORM_KE, 14, 0, "modp2048"},
    {"modp3072", TRANSFORM_KE, 15, 0, "modp3072"},
    {"modp4096", TRANSFORM_KE, 16, 0, "modp4096"},
    {"ecp256", TRANSFORM_KE, 19, 0, "ecp256"},
    {"ecp384", TRANSFORM_KE, 20, 0, "ecp384"},
    {"ecp521", TRANSFORM_KE, 21, 0, "ecp521"},
    {"x25519", TRANSFORM_KE, 31, 0, "x25519"},
    {"curve25519", TRANSFORM_KE, 31, 0, "x25519"},
    {"noesn", TRANSFORM_ESN, 0, 0, "noesn"},
    {"esn", TRANSFORM_ESN, 1, 0, "esn"},
};

enum { NAME_COUNT = sizeof(names) / sizeof(names[0]) };

START_TEST(names_give_transforms)
{
    const struct named *n = &names[_i];
    const struct algorithm *a = algorithm_by_name(span_text(n->name));
    ck_assert_ptr_nonnull(a);
    ck_assert_int_eq(a->type, n->type);
    ck_assert_uint_eq(a->id, n->id);
    ck_assert_uint_eq(a->key_bits, n->key_bits);
    char text[ALGORITHM_TEXT_MAX];
    ck_assert_str_eq(algorithm_by_id(n->type, n->id, n->key_bits)->name, n->canonical);
    ck_assert_str_eq(algorithm_text(n->type, n->id, n->key_bits, text), n->canonical);
}
END_TEST

START_TEST(unknown_names)
{
    static const char *const bad[] = {"",          "aes25",   "aes2566", "3des",   "md5",
                                      "aes256gcm", "sha2_25", " sha256", "sha256 "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(algorithm_by_name(span_text(bad[i])) == NULL, "%s", bad[i]);
    /* A zero octet ends no name. */
    ck_assert_ptr_null(algorithm_by_name(span_make("aes\0", 4)));
}
END_TEST

START_TEST(unknown_ids)
{
    char text[ALGORITHM_TEXT_MAX];
    ck_assert_ptr_null(algorithm_by_id(TRANSFORM_ENCR, ENCR_AES_GCM_16, 0));
    ck_assert_ptr_null(algorithm_by_id(TRANSFORM_INTEG, INTEG_NONE, 0));
    ck_assert_str_eq(algorithm_text(TRANSFORM_ENCR, 99, 128, text), "encr-99/128");
    ck_assert_str_eq(algorithm_text(TRANSFORM_PRF, 4, 0, text), "prf-4");
    ck_assert_str_eq(algorithm_text(TRANSFORM_INTEG, 5, 0, text), "integ-5");
    ck_assert_str_eq(algorithm_text(TRANSFORM_KE, 65535, 65535, text), "ke-65535/65535");
    ck_assert_str_eq(algorithm_text(TRANSFORM_ESN, 2, 0, text), "esn-2");
    ck_assert_str_eq(algorithm_text((enum transform_type)255, 65535, 65535, text),
                     "transform-65535/65535");
}
END_TEST

/* What the table names, the other files of this room can do. */
START_TEST(every_algorithm_is_implemented)
{
    const struct named *n = &names[_i];
    struct aead_suite suite = {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_256_128};
    switch (n->type) {
    case TRANSFORM_ENCR:
        suite.encr = (enum encr_id)n->id;
        suite.key_bits = n->key_bits;
        if (encr_is_aead(suite.encr))
            suite.integ = INTEG_NONE;
        ck_assert(aead_supported(&suite));
        break;
    case TRANSFORM_INTEG:
        suite.integ = (enum integ_id)n->id;
        ck_assert(aead_supported(&suite));
        break;
    case TRANSFORM_PRF:
        ck_assert_uint_gt(prf_len((enum prf_id)n->id), 0);
        break;
    case TRANSFORM_KE:
        ck_assert(kex_supported((enum ke_id)n->id));
        ck_assert_uint_gt(kex_public_len((enum ke_id)n->id), 0);
        break;
    case TRANSFORM_ESN:
        break;
    }
}
END_TEST

START_TEST(combined_modes)
{
    ck_assert(encr_is_aead(ENCR_AES_GCM_8));
    ck_assert(encr_is_aead(ENCR_AES_GCM_12));
    ck_assert(encr_is_aead(ENCR_AES_GCM_16));
    ck_assert(encr_is_aead(ENCR_CHACHA20_POLY1305));
    ck_assert(!encr_is_aead(ENCR_AES_CBC));
    ck_assert(!encr_is_aead(ENCR_NULL));
    ck_assert(!encr_is_aead(ENCR_NONE));
    ck_assert(!encr_is_aead((enum encr_id)3));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/algorithm");
    TCase *c = tcase_create("names");
    tcase_add_loop_test(c, names_give_transforms, 0, NAME_COUNT);
    tcase_add_loop_test(c, every_algorithm_is_implemented, 0, NAME_COUNT);
    tcase_add_test(c, unknown_names);
    tcase_add_test(c, unknown_ids);
    tcase_add_test(c, combined_modes);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
