/* Packet protection: published packets (draft-mcgrew-gcm-test for RFC 4106, RFC 7634, RFC 3602),
 * and every suite against itself, against changed octets, short packets and a shared object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "common/crypto/aead.h"
#include "common/crypto/prf.h"
#include "tests/support/support.h"

enum { BUFFER_MAX = 2048 };

struct packet_case {
    struct aead_suite suite;
    const char *enc_key, *aad, *esn_high, *iv, *text, *sealed; /* sealed: with the ICV */
};

static struct aead *cipher(const struct aead_suite *suite, const char *enc_key)
{
    uint8_t key[64], mac_key[64] = {0};
    size_t key_len = support_hex(enc_key, key, sizeof(key)), enc_len, integ_len;
    aead_key_lens(suite, &enc_len, &integ_len);
    struct aead *a;
    ck_ok(aead_new(suite, span_make(key, key_len), span_make(mac_key, integ_len), &a));
    return a;
}

/* The text from a buffer of its own, in two pieces, wherever the one ends and the other begins; and
 * the first piece from where it goes. */
static void check_pieces(const struct aead *a, struct span head, struct span text,
                         struct span sealed, const uint8_t *esn_high)
{
    for (size_t at = 0; at <= text.len; at++) {
        uint8_t *out = malloc(head.len + sealed.len), *in_place = malloc(head.len + sealed.len);
        uint8_t *first = support_exact_copy(span_make(text.data, at));
        uint8_t *second = support_exact_copy(span_make(text.data + at, text.len - at));
        ck_assert(out != NULL && in_place != NULL);
        memcpy(out, head.data, head.len);
        memcpy(in_place, head.data, head.len);
        memcpy(in_place + head.len, text.data, at);
        const struct span trailer = span_make(second, text.len - at);
        const size_t aad_len = head.len - aead_iv_len(a);
        ck_ok(aead_seal_from(a, out, aad_len, span_make(first, at), trailer, esn_high));
        ck_span_eq(span_make(out + head.len, sealed.len), sealed);
        ck_span_eq(span_make(first, at), span_make(text.data, at));
        ck_ok(aead_seal_from(a, in_place, aad_len, span_make(in_place + head.len, at), trailer,
                             esn_high));
        ck_span_eq(span_make(in_place + head.len, sealed.len), sealed);
        free(out);
        free(in_place);
        free(first);
        free(second);
    }
}

static void check_packet(const struct packet_case *c)
{
    uint8_t esn[4], packet[BUFFER_MAX], text[BUFFER_MAX], sealed[BUFFER_MAX];
    const uint8_t *esn_high = NULL;
    if (c->esn_high != NULL && support_hex(c->esn_high, esn, sizeof(esn)) == 4)
        esn_high = esn;
    struct aead *a = cipher(&c->suite, c->enc_key);
    size_t aad_len = support_hex(c->aad, packet, sizeof(packet));
    size_t head_len = aad_len + support_hex(c->iv, packet + aad_len, 16);
    size_t text_len = support_hex(c->text, text, sizeof(text));
    size_t sealed_len = support_hex(c->sealed, sealed, sizeof(sealed));
    ck_assert_uint_eq(head_len, aad_len + aead_iv_len(a));
    ck_assert_uint_eq(sealed_len, text_len + aead_icv_len(a));

    memcpy(packet + head_len, text, text_len);
    uint8_t *exact = support_exact_copy(span_make(packet, head_len + sealed_len));
    ck_ok(aead_seal(a, exact, aad_len, text_len, esn_high));
    ck_span_eq(span_make(exact + head_len, sealed_len), span_make(sealed, sealed_len));
    size_t got;
    ck_ok(aead_open(a, exact, head_len + sealed_len, aad_len, esn_high, &got));
    ck_span_eq(span_make(exact + head_len, got), span_make(text, text_len));
    free(exact);
    check_pieces(a, span_make(packet, head_len), span_make(text, text_len),
                 span_make(sealed, sealed_len), esn_high);
    aead_free(a);
}

/* draft-mcgrew-gcm-test-01, whole ESP packets by RFC 4106. */
START_TEST(esp_aes_gcm)
{
    check_packet(&(struct packet_case){
        {ENCR_AES_GCM_16, 128, INTEG_NONE},
        "4c80cdefbb5d10da906ac73c3613a634 2e443b68",
        "0000432100000000",
        "87654321", /* an extended sequence number: SPI, high, low is the additional data */
        "4956ed7e3b244cfe",
        "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000"
        "00000000045f736970045f756470037369700963796265726369747902646b00"
        "0021000101020201",
        "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34"
        "cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce"
        "61bc17d768fd9732 459018148f6cbe722fd04796562dfdb4"});
    check_packet(
        &(struct packet_case){{ENCR_AES_GCM_16, 192, INTEG_NONE},
                              "feffe9928665731c6d6a8f9467308308feffe9928665731c cafebabe",
                              "0000a5f80000000a",
                              NULL,
                              "facedbaddecaf888",
                              "45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e"
                              "501016d075680001",
                              "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0"
                              "315b27452144cc77 95457b9652037f5318027b5b4cd7a636"});
    check_packet(&(struct packet_case){
        {ENCR_AES_GCM_16, 256, INTEG_NONE},
        "abbccddef00112233445566778899aababbccddef00112233445566778899aab 11223344",
        "4a2cbfe300000002",
        NULL,
        "0102030405060708",
        "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000"
        "7002400020bf0000020405b40101040201020201",
        "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763"
        "748a637985771d347f0545659f14e99def842d8e b335f4eecfdbf831824b4c4915956c96"});
}
END_TEST

/* SP 800-38D 5.2.1.2: a shorter ICV is the full one's beginning (RFC 4106 6). */
START_TEST(short_icvs)
{
    static const enum encr_id ids[] = {ENCR_AES_GCM_8, ENCR_AES_GCM_12};
    static const char *const icvs[] = {"b335f4eecfdbf831", "b335f4eecfdbf831824b4c49"};
    char sealed[256];
    snprintf(sealed, sizeof(sealed),
             "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763"
             "748a637985771d347f0545659f14e99def842d8e%s",
             icvs[_i]);
    check_packet(&(struct packet_case){
        {ids[_i], 256, INTEG_NONE},
        "abbccddef00112233445566778899aababbccddef00112233445566778899aab 11223344",
        "4a2cbfe300000002",
        NULL,
        "0102030405060708",
        "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000"
        "7002400020bf0000020405b40101040201020201",
        sealed});
}
END_TEST

#define RFC7634_KEY "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f a0a1a2a3"

/* RFC 7634, appendix A (ESP) and B (an IKE message). */
START_TEST(rfc7634_chacha20_poly1305)
{
    check_packet(
        &(struct packet_case){{ENCR_CHACHA20_POLY1305, 0, INTEG_NONE},
                              RFC7634_KEY,
                              "0102030400000005",
                              NULL,
                              "1011121314151617",
                              "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10"
                              "0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
                              "2425262728292a2b2c2d2e2f303132333435363701020204",
                              "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6"
                              "14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
                              "cbec163fac469b502773f6fb94e664da9165b82829f641e0"
                              "76aaa8266b7fb0f7b11b369907e1ad43"});
    check_packet(
        &(struct packet_case){{ENCR_CHACHA20_POLY1305, 256, INTEG_NONE},
                              RFC7634_KEY,
                              "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029",
                              NULL,
                              "1011121314151617",
                              "0000000c000040010000000a00",
                              "610394701f8d017f7c12924889 6b71bfe25236efd7cdc67066906315b2"});
}
END_TEST

/* RFC 3602 4, cases 1 and 2: the ciphertext comes first; what follows is the ICV by HMAC with a key
 * of zeros, computed in Python, in the second case over an extended sequence number's upper half
 * (RFC 4303 2.2.1) as well. */
START_TEST(rfc3602_cbc)
{
    check_packet(
        &(struct packet_case){{ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96},
                              "06a9214036b8a15b512e03d534120006",
                              "0000432100000001",
                              NULL,
                              "3dafba429d9eb430b422da802c9fac41",
                              "53696e676c6520626c6f636b206d7367",
                              "e353779c1079aeb82708942dbe77181a 232e3ec0d0b0923807948019"});
    check_packet(
        &(struct packet_case){{ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128},
                              "c286696d887c9aa0611bbb3e2025a45a",
                              "0000432100000001",
                              "00000007",
                              "562e17996d093d28ddb3ba695a2e6f58",
                              "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                              "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1 "
                              "e0d0454b33cb65458263a5b3dee687ee"});
}
END_TEST

static const struct aead_suite suites[] = {
    {ENCR_AES_GCM_8, 128, INTEG_NONE},
    {ENCR_AES_GCM_12, 192, INTEG_NONE},
    {ENCR_AES_GCM_16, 256, INTEG_NONE},
    {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE},
    {ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96},
    {ENCR_AES_CBC, 192, INTEG_HMAC_SHA2_256_128},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_384_192},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_512_256},
    {ENCR_NULL, 0, INTEG_HMAC_SHA1_96},
    {ENCR_NULL, 0, INTEG_HMAC_SHA2_256_128},
};
static const struct shape {
    size_t enc, integ, iv, icv, block;
} shapes[] = {
    {20, 0, 8, 8, 1},     {28, 0, 8, 12, 1},    {36, 0, 8, 16, 1},    {36, 0, 8, 16, 1},
    {16, 20, 16, 12, 16}, {24, 32, 16, 16, 16}, {32, 48, 16, 24, 16}, {32, 64, 16, 32, 16},
    {0, 20, 0, 12, 1},    {0, 32, 0, 16, 1},
};

enum { SUITE_COUNT = sizeof(suites) / sizeof(suites[0]), AAD_LEN = 8 };

static struct aead *keyed(const struct aead_suite *suite, uint8_t first)
{
    uint8_t key[128];
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(first + i);
    size_t enc_len, integ_len;
    aead_key_lens(suite, &enc_len, &integ_len);
    struct aead *a;
    ck_ok(aead_new(suite, span_make(key, enc_len), span_make(key + 64, integ_len), &a));
    return a;
}

/* A sealed packet of that text length (octets counting up) in exactly its size; free() it. */
static uint8_t *sealed_packet(const struct aead *a, size_t text_len, const uint8_t *esn_high,
                              size_t *ret_len)
{
    size_t head_len = AAD_LEN + aead_iv_len(a);
    *ret_len = head_len + text_len + aead_icv_len(a);
    uint8_t *packet = malloc(*ret_len);
    ck_assert_ptr_nonnull(packet);
    memset(packet, 0x11, AAD_LEN);
    aead_write_iv(a, 42, packet + AAD_LEN);
    for (size_t i = 0; i < text_len; i++)
        packet[head_len + i] = (uint8_t)i;
    ck_ok(aead_seal(a, packet, AAD_LEN, text_len, esn_high));
    return packet;
}

START_TEST(lengths)
{
    size_t enc_len, integ_len;
    aead_key_lens(&suites[_i], &enc_len, &integ_len);
    struct aead *a = keyed(&suites[_i], 0);
    ck_assert(aead_supported(&suites[_i]));
    ck_assert_uint_eq(enc_len, shapes[_i].enc);
    ck_assert_uint_eq(integ_len, shapes[_i].integ);
    ck_assert_uint_eq(aead_iv_len(a), shapes[_i].iv);
    ck_assert_uint_eq(aead_icv_len(a), shapes[_i].icv);
    ck_assert_uint_eq(aead_block_len(a), shapes[_i].block);
    aead_free(a);
}
END_TEST

START_TEST(seal_and_open)
{
    static const uint8_t esn_high[4] = {0, 0, 0, 1};
    struct aead *a = keyed(&suites[_i], 1);
    const size_t head_len = AAD_LEN + aead_iv_len(a);
    for (size_t text_len = 0; text_len <= 160; text_len += aead_block_len(a)) {
        const uint8_t *high = text_len % 32 == 0 ? esn_high : NULL;
        size_t len, got = 0;
        uint8_t *packet = sealed_packet(a, text_len, high, &len);
        ck_ok(aead_open(a, packet, len, AAD_LEN, high, &got));
        ck_assert_uint_eq(got, text_len);
        for (size_t i = 0; i < got; i++)
            ck_assert_uint_eq(packet[head_len + i], i);
        free(packet);
    }
    aead_free(a);
}
END_TEST

/* One changed bit anywhere - header, IV, text or ICV - and nothing opens; nor under another key or
 * with another upper half of the sequence number. */
START_TEST(changed_packets)
{
    static const uint8_t esn_high[4] = {0, 0, 0, 1}, other_high[4] = {0, 0, 0, 2};
    struct aead *a = keyed(&suites[_i], 2), *other = keyed(&suites[_i], 3);
    size_t len, got = 99;
    uint8_t *packet = sealed_packet(a, 48, esn_high, &len);
    uint8_t changed[256];
    ck_assert_uint_le(len, sizeof(changed));
    for (size_t bit = 0; bit < 8 * len; bit++) {
        memcpy(changed, packet, len);
        changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_err(aead_open(a, changed, len, AAD_LEN, esn_high, &got), ERR_INTEGRITY);
    }
    memcpy(changed, packet, len);
    ck_err(aead_open(a, changed, len, AAD_LEN, other_high, &got), ERR_INTEGRITY);
    memcpy(changed, packet, len);
    ck_err(aead_open(a, changed, len, AAD_LEN, NULL, &got), ERR_INTEGRITY);
    memcpy(changed, packet, len);
    ck_err(aead_open(other, changed, len, AAD_LEN, esn_high, &got), ERR_INTEGRITY);
    ck_assert_uint_eq(got, 99);
    /* And a failure leaves nothing behind that the next packet would stumble on. */
    ck_ok(aead_open(a, packet, len, AAD_LEN, esn_high, &got));
    ck_assert_uint_eq(got, 48);
    free(packet);
    aead_free(a);
    aead_free(other);
}
END_TEST

START_TEST(short_packets)
{
    struct aead *a = keyed(&suites[_i], 4);
    size_t len, got = 99;
    uint8_t *packet = sealed_packet(a, 16, NULL, &len);
    const size_t around = AAD_LEN + aead_iv_len(a) + aead_icv_len(a);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = support_exact_copy(span_make(packet, cut));
        bool whole = cut >= around && (cut - around) % aead_block_len(a) == 0;
        ck_err(aead_open(a, copy, cut, AAD_LEN, NULL, &got), whole ? ERR_INTEGRITY : ERR_MALFORMED);
        free(copy);
    }
    ck_assert_uint_eq(got, 99);
    if (aead_block_len(a) > 1) {
        const struct span text = span_make(packet + AAD_LEN + aead_iv_len(a), 16);
        ck_err(aead_seal(a, packet, AAD_LEN, 15, NULL), ERR_MALFORMED);
        ck_err(aead_seal_from(a, packet, AAD_LEN, text, span_make("\1\2", 2), NULL), ERR_MALFORMED);
    }
    free(packet);
    aead_free(a);
}
END_TEST

START_TEST(suites_and_keys_refused)
{
    static const struct aead_suite bad[] = {
        {ENCR_NONE, 0, INTEG_NONE},
        {ENCR_NONE, 0, INTEG_HMAC_SHA2_256_128},
        {ENCR_NULL, 0, INTEG_NONE},
        {ENCR_NULL, 128, INTEG_HMAC_SHA2_256_128},
        {ENCR_AES_CBC, 128, INTEG_NONE},
        {ENCR_AES_CBC, 0, INTEG_HMAC_SHA1_96},
        {ENCR_AES_CBC, 129, INTEG_HMAC_SHA1_96},
        {ENCR_AES_CBC, 128, (enum integ_id)5},
        {ENCR_AES_GCM_16, 0, INTEG_NONE},
        {ENCR_AES_GCM_16, 512, INTEG_NONE},
        {ENCR_AES_GCM_16, 128, INTEG_HMAC_SHA2_256_128},
        {ENCR_CHACHA20_POLY1305, 128, INTEG_NONE},
        {(enum encr_id)3, 192, INTEG_HMAC_SHA1_96},
    };
    static const uint8_t key[64] = {0};
    struct aead *a = NULL;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t enc_len = 1, integ_len = 1;
        aead_key_lens(&bad[i], &enc_len, &integ_len);
        ck_assert(!aead_supported(&bad[i]));
        ck_assert_uint_eq(enc_len + integ_len, 0);
        ck_err(aead_new(&bad[i], SPAN_EMPTY, SPAN_EMPTY, &a), ERR_UNSUPPORTED);
    }
    /* The salt forgotten; an integrity key too many; one octet too few. */
    ck_err(aead_new(&suites[0], span_make(key, 16), SPAN_EMPTY, &a), ERR_CRYPTO);
    ck_err(aead_new(&suites[0], span_make(key, 20), span_make(key, 20), &a), ERR_CRYPTO);
    ck_err(aead_new(&suites[4], span_make(key, 16), span_make(key, 19), &a), ERR_CRYPTO);
    ck_assert_ptr_null(a);
    aead_free(NULL);
}
END_TEST

/* RFC 4106 3.1: combined modes show the counter; NIST SP 800-38A, appendix C: CBC must not. */
START_TEST(ivs)
{
    uint8_t iv[16], want[16];
    struct aead *gcm = keyed(&suites[0], 0);
    aead_write_iv(gcm, UINT64_C(0x0102030405060708), iv);
    support_hex("0102030405060708", want, sizeof(want));
    ck_assert_mem_eq(iv, want, 8);
    aead_free(gcm);

    /* AES-128 under a key of zeros: of the block 0, and of the block 1 (the GCM specification's
     * test case 1 has both, as H and as the tag of nothing). */
    struct aead *cbc = cipher(&suites[4], "00000000000000000000000000000000");
    aead_write_iv(cbc, 0, iv);
    support_hex("66e94bd4ef8a2c3b884cfa59ca342b2e", want, sizeof(want));
    ck_assert_mem_eq(iv, want, 16);
    aead_write_iv(cbc, 1, iv);
    support_hex("58e2fccefa7e3061367f1d57a4e7455a", want, sizeof(want));
    ck_assert_mem_eq(iv, want, 16);
    aead_free(cbc);
}
END_TEST

/* An object is read only: several threads seal and open with one at once. */
static void *seal_and_open_often(void *object)
{
    for (int i = 0; i < 500; i++) {
        size_t len, got = 0;
        uint8_t *packet = sealed_packet(object, 160, NULL, &len);
        packet[len - 1] ^= (uint8_t)(i & 1);
        enum err e = aead_open(object, packet, len, AAD_LEN, NULL, &got);
        free(packet);
        if (e != ((i & 1) != 0 ? ERR_INTEGRITY : ERR_OK))
            return "one thread disturbed another";
    }
    return NULL;
}

START_TEST(shared_by_threads)
{
    struct aead *a = keyed(&suites[_i], 5);
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, seal_and_open_often, a), 0);
    for (size_t i = 0; i < 3; i++) {
        void *complaint;
        ck_assert_int_eq(pthread_join(threads[i], &complaint), 0);
        ck_assert_msg(complaint == NULL, "%s", (const char *)complaint);
    }
    aead_free(a);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/aead");
    TCase *c = tcase_create("published");
    tcase_add_test(c, esp_aes_gcm);
    tcase_add_loop_test(c, short_icvs, 0, 2);
    tcase_add_test(c, rfc7634_chacha20_poly1305);
    tcase_add_test(c, rfc3602_cbc);
    tcase_add_test(c, ivs);
    suite_add_tcase(s, c);
    TCase *e = tcase_create("every suite");
    tcase_set_timeout(e, 30);
    tcase_add_loop_test(e, lengths, 0, SUITE_COUNT);
    tcase_add_loop_test(e, seal_and_open, 0, SUITE_COUNT);
    tcase_add_loop_test(e, changed_packets, 0, SUITE_COUNT);
    tcase_add_loop_test(e, short_packets, 0, SUITE_COUNT);
    tcase_add_loop_test(e, shared_by_threads, 0, SUITE_COUNT);
    tcase_add_test(e, suites_and_keys_refused);
    suite_add_tcase(s, e);
    return s;
}

int main(void)
{
    return support_run(suite());
}
