/* Published vectors of ciphers: AES-GCM, AES-CBC, ChaCha20-Poly1305. */
#include "common/crypto/aead.h"
#include "tests/unit/vectors_scene.h"

enum { PACKET_MAX = 3 * FIELD_MAX };

struct aead_vector {
    struct aead_suite suite;
    struct span key, nonce, aad, text, sealed, icv;
    bool valid;
};

/* The nonce becomes salt and IV. A valid vector must seal to what it says and open again; an
 * invalid one must not open. */
static void check_aead(const struct aead_vector *v)
{
    uint8_t enc_key[64];
    memcpy(enc_key, v->key.data, v->key.len);
    memcpy(enc_key + v->key.len, v->nonce.data, 4);
    struct aead *a;
    ck_ok(aead_new(&v->suite, span_make(enc_key, v->key.len + 4), SPAN_EMPTY, &a));
    ck_assert_uint_eq(aead_icv_len(a), v->icv.len);

    const size_t head_len = v->aad.len + 8, packet_len = head_len + v->sealed.len + v->icv.len;
    uint8_t packet[PACKET_MAX];
    ck_assert_uint_le(packet_len, sizeof(packet));
    memcpy(packet, v->aad.data, v->aad.len);
    memcpy(packet + v->aad.len, v->nonce.data + 4, 8);
    if (v->valid) {
        uint8_t *mine = support_exact_copy(span_make(packet, packet_len));
        memcpy(mine + head_len, v->text.data, v->text.len);
        ck_ok(aead_seal(a, mine, v->aad.len, v->text.len, NULL));
        ck_span_eq(span_make(mine + head_len, v->text.len), v->sealed);
        ck_span_eq(span_make(mine + head_len + v->text.len, v->icv.len), v->icv);
        memset(mine + head_len, 0, v->text.len + v->icv.len);
        const size_t half = v->text.len / 2;
        ck_ok(aead_seal_from(a, mine, v->aad.len, span_make(v->text.data, half),
                             span_make(v->text.data + half, v->text.len - half), NULL));
        ck_span_eq(span_make(mine + head_len, v->text.len), v->sealed);
        ck_span_eq(span_make(mine + head_len + v->text.len, v->icv.len), v->icv);
        free(mine);
    }
    memcpy(packet + head_len, v->sealed.data, v->sealed.len);
    memcpy(packet + head_len + v->sealed.len, v->icv.data, v->icv.len);
    uint8_t *theirs = support_exact_copy(span_make(packet, packet_len));
    size_t text_len;
    ck_err(aead_open(a, theirs, packet_len, v->aad.len, NULL, &text_len),
           v->valid ? ERR_OK : ERR_INTEGRITY);
    if (v->valid)
        ck_span_eq(span_make(theirs + head_len, text_len), v->text);
    free(theirs);
    aead_free(a);
}

static enum encr_id gcm_with_icv(int bits)
{
    switch (bits) {
    case 64:
        return ENCR_AES_GCM_8;
    case 96:
        return ENCR_AES_GCM_12;
    case 128:
        return ENCR_AES_GCM_16;
    default:
        return ENCR_NONE;
    }
}

static const char *const gcm_files[] = {
    "gcmEncryptExtIV128.rsp", "gcmEncryptExtIV192.rsp", "gcmEncryptExtIV256.rsp",
    "gcmDecrypt128.rsp",      "gcmDecrypt192.rsp",      "gcmDecrypt256.rsp",
};

START_TEST(nist_aes_gcm)
{
    char path[512];
    snprintf(path, sizeof(path), NIST_DIR "ciphers/AES/GCM/%s", gcm_files[_i]);
    struct vectors v;
    struct tally tally = {0};
    vectors_open(&v, path, NIST_PACKAGE);
    while (vectors_next(&v)) {
        static uint8_t b[6][FIELD_MAX];
        struct aead_vector a = {.valid = vectors_text(&v, "FAIL") == NULL};
        a.suite.encr = gcm_with_icv(atoi(vectors_text(&v, "Taglen")));
        a.suite.key_bits = (uint16_t)atoi(vectors_text(&v, "Keylen"));
        if (a.suite.encr == ENCR_NONE || !vectors_is(&v, "IVlen", "96")) {
            tally.skipped++;
            continue;
        }
        a.key = vectors_hex(&v, "Key", b[0], FIELD_MAX);
        a.nonce = vectors_hex(&v, "IV", b[1], FIELD_MAX);
        a.aad = vectors_hex(&v, "AAD", b[2], FIELD_MAX);
        a.sealed = vectors_hex(&v, "CT", b[4], FIELD_MAX);
        a.icv = vectors_hex(&v, "Tag", b[5], FIELD_MAX);
        if (a.valid)
            a.text = vectors_hex(&v, "PT", b[3], FIELD_MAX);
        check_aead(&a);
        tally.ran++;
    }
    vectors_close(&v);
    report(gcm_files[_i], tally, 1000);
}
END_TEST

/* Any HMAC key will do: the ciphertext is what is compared. */
static void check_cbc(struct span key, struct span iv, struct span text, struct span sealed)
{
    static const uint8_t mac_key[32] = {1};
    const struct aead_suite suite = {ENCR_AES_CBC, (uint16_t)(key.len * 8),
                                     INTEG_HMAC_SHA2_256_128};
    struct aead *a;
    ck_ok(aead_new(&suite, key, SPAN_OF(mac_key), &a));
    uint8_t packet[PACKET_MAX];
    const size_t packet_len = 16 + text.len + 16;
    ck_assert_uint_le(packet_len, sizeof(packet));
    memcpy(packet, iv.data, 16);
    memcpy(packet + 16, text.data, text.len);
    ck_ok(aead_seal(a, packet, 0, text.len, NULL));
    ck_span_eq(span_make(packet + 16, text.len), sealed);
    size_t text_len;
    ck_ok(aead_open(a, packet, packet_len, 0, NULL, &text_len));
    ck_span_eq(span_make(packet + 16, text_len), text);
    aead_free(a);
}

START_TEST(nist_aes_cbc)
{
    static const char *const kinds[] = {"GFSbox", "KeySbox", "MMT", "VarKey", "VarTxt"};
    static const int sizes[] = {128, 192, 256};
    struct tally tally = {0};
    for (size_t i = 0; i < 15; i++) {
        char path[512];
        snprintf(path, sizeof(path), NIST_DIR "ciphers/AES/CBC/CBC%s%d.rsp", kinds[i / 3],
                 sizes[i % 3]);
        struct vectors v;
        vectors_open(&v, path, NIST_PACKAGE);
        while (vectors_next(&v)) {
            static uint8_t b[4][FIELD_MAX];
            check_cbc(vectors_hex(&v, "KEY", b[0], FIELD_MAX),
                      vectors_hex(&v, "IV", b[1], FIELD_MAX),
                      vectors_hex(&v, "PLAINTEXT", b[2], FIELD_MAX),
                      vectors_hex(&v, "CIPHERTEXT", b[3], FIELD_MAX));
            tally.ran++;
        }
        vectors_close(&v);
    }
    report("AES-CBC (CAVP)", tally, 2000);
}
END_TEST

static const struct chacha_file {
    const char *name, *key, *nonce, *aad, *text, *sealed, *tag;
    unsigned at_least;
} chacha_files[] = {
    {"boringssl.txt", "KEY", "NONCE", "AD", "IN", "CT", "TAG", 60},
    {"openssl.txt", "Key", "IV", "AAD", "Plaintext", "Ciphertext", "Tag", 4},
};

START_TEST(chacha20_poly1305)
{
    const struct chacha_file *f = &chacha_files[_i];
    char path[512];
    snprintf(path, sizeof(path), NIST_DIR "ciphers/ChaCha20Poly1305/%s", f->name);
    struct vectors v;
    struct tally tally = {0};
    vectors_open(&v, path, NIST_PACKAGE);
    while (vectors_next(&v)) {
        static uint8_t b[6][FIELD_MAX];
        struct aead_vector a = {.suite = {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE},
                                .valid = vectors_text(&v, "Result") == NULL};
        if (vectors_text(&v, f->key) == NULL)
            continue; /* a remark between the records */
        a.key = vectors_hex(&v, f->key, b[0], FIELD_MAX);
        a.nonce = vectors_hex(&v, f->nonce, b[1], FIELD_MAX);
        a.aad = vectors_hex(&v, f->aad, b[2], FIELD_MAX);
        a.text = vectors_hex(&v, f->text, b[3], FIELD_MAX);
        a.sealed = vectors_hex(&v, f->sealed, b[4], FIELD_MAX);
        a.icv = vectors_hex(&v, f->tag, b[5], FIELD_MAX);
        if (a.nonce.len != 12 || a.icv.len != 16) {
            tally.skipped++;
            continue;
        }
        check_aead(&a);
        tally.ran++;
    }
    vectors_close(&v);
    report(f->name, tally, f->at_least);
}
END_TEST

/* ---- all of Wycheproof, where TERN_WYCHEPROOF is ---- */

static int group_number(const json_t *group, const char *name)
{
    return (int)json_integer_value(json_object_get(group, name));
}

static void check_aead_file(const char *name, enum encr_id chacha_or_none)
{
    json_t *root = wycheproof(name), *group, *t;
    struct tally tally = {0};
    size_t g, i;
    json_array_foreach(json_object_get(root, "testGroups"), g, group)
    {
        struct aead_vector a = {0};
        a.suite.encr = chacha_or_none;
        if (chacha_or_none == ENCR_NONE) {
            a.suite.encr = gcm_with_icv(group_number(group, "tagSize"));
            a.suite.key_bits = (uint16_t)group_number(group, "keySize");
        }
        const json_t *tests = json_object_get(group, "tests");
        if (group_number(group, "ivSize") != 96 || !aead_supported(&a.suite)) {
            tally.skipped += (unsigned)json_array_size(tests);
            continue;
        }
        json_array_foreach(tests, i, t)
        {
            static uint8_t b[6][FIELD_MAX];
            a.key = vectors_json_hex(t, "key", b[0], FIELD_MAX);
            a.nonce = vectors_json_hex(t, "iv", b[1], FIELD_MAX);
            a.aad = vectors_json_hex(t, "aad", b[2], FIELD_MAX);
            a.text = vectors_json_hex(t, "msg", b[3], FIELD_MAX);
            a.sealed = vectors_json_hex(t, "ct", b[4], FIELD_MAX);
            a.icv = vectors_json_hex(t, "tag", b[5], FIELD_MAX);
            a.valid = is_valid(t);
            check_aead(&a);
            tally.ran++;
        }
    }
    json_decref(root);
    report(name, tally, 150);
}

START_TEST(wycheproof_aead)
{
    check_aead_file("aes_gcm", ENCR_NONE);
    check_aead_file("chacha20_poly1305", ENCR_CHACHA20_POLY1305);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/vectors/aead");
    TCase *t = add_case(s, "debian packages");
    tcase_add_loop_test(t, nist_aes_gcm, 0, COUNT_OF(gcm_files));
    tcase_add_test(t, nist_aes_cbc);
    tcase_add_loop_test(t, chacha20_poly1305, 0, COUNT_OF(chacha_files));
    t = add_wycheproof(s);
    if (t != NULL)
        tcase_add_test(t, wycheproof_aead);
    return s;
}

int main(void)
{
    return support_run(suite());
}
