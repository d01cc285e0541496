/* Published signature vectors in bulk, through signature_verify: Wycheproof's Ed25519 file that a
 * Debian package holds, and, where TERN_WYCHEPROOF names a directory of Wycheproof's
 * testvectors_v1, its files for ECDSA, RSA and RSA-PSS too. Each file prints how many vectors ran.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/signature.h"
#include "tests/support/support.h"
#include "tests/support/vectors.h"

#define CIRCL_PACKAGE "golang-github-cloudflare-circl-dev"
#define CIRCL_ED25519                                                                              \
    "/usr/share/gocode/src/github.com/cloudflare/circl/sign/ed25519/testdata/"                     \
    "wycheproof_Ed25519.json"

enum { TIMEOUT_S = 120, KEY_MAX = 2048, SIG_MAX = 1 << 14, MESSAGE_MAX = 1 << 16 };

#define A_RSA(last)   "0f300d06092a864886f70d0101" last "0500"
#define A_ECDSA(last) "0c300a06082a8648ce3d0403" last
#define A_ED25519     "07300506032b6570"
#define A_PSS(hash, salt)                                                                          \
    "43304106092a864886f70d01010a3034a00f300d06096086480165030402" hash                            \
    "0500a11c301a06092a864886f70d010108300d06096086480165030402" hash "0500a2030201" salt

/* algorithm: what stands before the signature in method 14; NULL for an old method. */
struct family {
    const char *file;
    enum auth_method method;
    const char *algorithm;
    unsigned at_least;
};

static struct public_key *group_key(const json_t *group)
{
    uint8_t der[KEY_MAX];
    struct public_key *k = NULL;
    const char *name = json_object_get(group, "publicKeyDer") != NULL ? "publicKeyDer" : "keyDer";
    enum err e = public_key_parse(vectors_json_hex(group, name, der, sizeof der), &k);
    ck_assert_msg(e == ERR_OK, "public key: %s", err_text(e));
    return k;
}

static void run_test(const struct family *f, const struct public_key *k, const json_t *test)
{
    static uint8_t message[MESSAGE_MAX], data[SIG_MAX];
    struct span m = vectors_json_hex(test, "msg", message, sizeof message);
    size_t head = f->algorithm != NULL ? support_hex(f->algorithm, data, sizeof data) : 0;
    struct span sig = vectors_json_hex(test, "sig", data + head, sizeof data - head);
    uint8_t *copy = support_exact_copy(span_make(data, head + sig.len));
    enum err e = signature_verify(k, f->method, m, span_make(copy, head + sig.len));
    free(copy);
    const char *result = vectors_json_text(test, "result");
    long long id = json_integer_value(json_object_get(test, "tcId"));
    /* "acceptable": a verifier may do either */
    if (strcmp(result, "valid") == 0)
        ck_assert_msg(e == ERR_OK, "%s %lld: valid, but %s", f->file, id, err_text(e));
    else if (strcmp(result, "invalid") == 0)
        ck_assert_msg(e == ERR_INTEGRITY, "%s %lld: invalid, but %s", f->file, id, err_text(e));
    else
        ck_assert_msg(e == ERR_OK || e == ERR_INTEGRITY, "%s %lld: %s", f->file, id, err_text(e));
}

static void run_file(const struct family *f, const char *path, const char *package)
{
    json_t *root = vectors_json(path, package);
    unsigned ran = 0;
    size_t i, j;
    json_t *group, *test;
    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        struct public_key *k = group_key(group);
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            run_test(f, k, test);
            ran++;
        }
        public_key_free(k);
    }
    json_decref(root);
    printf("%s: %u vectors ran\n", f->file, ran);
    ck_assert_msg(ran >= f->at_least, "%s: only %u vectors, %u expected", f->file, ran,
                  f->at_least);
}

START_TEST(ed25519_of_debian)
{
    static const struct family f = {"wycheproof_Ed25519.json", AUTH_METHOD_SIGNATURE, A_ED25519,
                                    140};
    run_file(&f, CIRCL_ED25519, CIRCL_PACKAGE);
}
END_TEST

static const struct family families[] = {
    {"ed25519_test.json", AUTH_METHOD_SIGNATURE, A_ED25519, 100},
    {"ecdsa_secp256r1_sha256_test.json", AUTH_METHOD_SIGNATURE, A_ECDSA("02"), 400},
    {"ecdsa_secp256r1_sha512_test.json", AUTH_METHOD_SIGNATURE, A_ECDSA("04"), 400},
    {"ecdsa_secp384r1_sha256_test.json", AUTH_METHOD_SIGNATURE, A_ECDSA("02"), 400},
    {"ecdsa_secp384r1_sha384_test.json", AUTH_METHOD_SIGNATURE, A_ECDSA("03"), 400},
    {"ecdsa_secp384r1_sha512_test.json", AUTH_METHOD_SIGNATURE, A_ECDSA("04"), 400},
    {"ecdsa_secp521r1_sha512_test.json", AUTH_METHOD_SIGNATURE, A_ECDSA("04"), 400},
    /* RFC 4754's raw r | s are IEEE P1363's */
    {"ecdsa_secp256r1_sha256_p1363_test.json", AUTH_METHOD_ECDSA_256, NULL, 200},
    {"ecdsa_secp384r1_sha384_p1363_test.json", AUTH_METHOD_ECDSA_384, NULL, 200},
    {"ecdsa_secp521r1_sha512_p1363_test.json", AUTH_METHOD_ECDSA_521, NULL, 200},
    {"rsa_signature_2048_sha256_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0b"), 200},
    {"rsa_signature_2048_sha384_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0c"), 200},
    {"rsa_signature_2048_sha512_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0d"), 200},
    {"rsa_signature_3072_sha256_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0b"), 200},
    {"rsa_signature_3072_sha384_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0c"), 200},
    {"rsa_signature_3072_sha512_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0d"), 200},
    {"rsa_signature_4096_sha256_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0b"), 200},
    {"rsa_signature_4096_sha384_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0c"), 200},
    {"rsa_signature_4096_sha512_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0d"), 200},
    {"rsa_signature_8192_sha256_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0b"), 200},
    {"rsa_signature_8192_sha384_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0c"), 200},
    {"rsa_signature_8192_sha512_test.json", AUTH_METHOD_SIGNATURE, A_RSA("0d"), 200},
    {"rsa_pss_2048_sha256_mgf1_0_test.json", AUTH_METHOD_SIGNATURE, A_PSS("01", "00"), 80},
    {"rsa_pss_2048_sha256_mgf1_32_test.json", AUTH_METHOD_SIGNATURE, A_PSS("01", "20"), 80},
    {"rsa_pss_2048_sha384_mgf1_48_test.json", AUTH_METHOD_SIGNATURE, A_PSS("02", "30"), 80},
    {"rsa_pss_3072_sha256_mgf1_32_test.json", AUTH_METHOD_SIGNATURE, A_PSS("01", "20"), 80},
    {"rsa_pss_4096_sha256_mgf1_32_test.json", AUTH_METHOD_SIGNATURE, A_PSS("01", "20"), 80},
    {"rsa_pss_4096_sha384_mgf1_48_test.json", AUTH_METHOD_SIGNATURE, A_PSS("02", "30"), 80},
    {"rsa_pss_4096_sha512_mgf1_32_test.json", AUTH_METHOD_SIGNATURE, A_PSS("03", "20"), 80},
    {"rsa_pss_4096_sha512_mgf1_64_test.json", AUTH_METHOD_SIGNATURE, A_PSS("03", "40"), 80},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

START_TEST(wycheproof)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", getenv("TERN_WYCHEPROOF"), families[_i].file);
    run_file(&families[_i], path, "nothing: TERN_WYCHEPROOF names Wycheproof's testvectors_v1");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/signature vectors");
    TCase *t = tcase_create("vectors");
    tcase_set_timeout(t, TIMEOUT_S);
    tcase_add_test(t, ed25519_of_debian);
    if (getenv("TERN_WYCHEPROOF") != NULL)
        tcase_add_loop_test(t, wycheproof, 0, FAMILIES);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
