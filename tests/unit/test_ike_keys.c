/* Key derivation and the SK payload. RFC 7296 prints no test vectors, so the expected values come
 * from an independent computation of its formulas (Python's hmac), typed in. */
#include "common/ike/keys.h"

#include <stdlib.h>

#include "common/ike/protect.h"
#include "tests/support/support.h"

static uint8_t nonce_i[32], nonce_r[32], shared[32];

static void setup(void)
{
    for (uint8_t i = 0; i < 32; i++) {
        nonce_i[i] = i;
        nonce_r[i] = (uint8_t)(64 + i);
        shared[i] = 0x5a;
    }
}

static void ck_secret(const struct secret *s, const char *hex)
{
    uint8_t expected[64];
    size_t len = support_hex(hex, expected, sizeof(expected));
    ck_span_eq(secret_span(s), span_make(expected, len));
}

static struct ike_keys derive(void)
{
    const struct suite suite = {.cipher = {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_256_128},
                                .prf = PRF_HMAC_SHA2_256};
    const struct ike_keys_input in = {.nonce_i = SPAN_OF(nonce_i),
                                      .nonce_r = SPAN_OF(nonce_r),
                                      .spi_i = 0x0011223344556677,
                                      .spi_r = 0x8899aabbccddeeff,
                                      .shared = SPAN_OF(shared)};
    struct ike_keys keys;
    ck_ok(ike_keys_derive(&suite, &in, &keys));
    return keys;
}

/* RFC 7296 2.14 */
START_TEST(ike_sa)
{
    struct ike_keys k = derive();
    ck_secret(&k.d, "5d8372136c5d1dd21e387162cad80014f5002a97692017b09b229a39aa053add");
    ck_secret(&k.ai, "629cc8987e63d4eb4258db35fb12334f5036043d3739596d8635b2c8d140d79f");
    ck_secret(&k.ar, "1b424dee29e109750f67e7918d7235b24082416b71abcf4dcae178840e79b787");
    ck_secret(&k.ei, "dad75be2df7026a18b6a3d790166f9ec1412a5c9ceee867bcc666b41b2c2f5ae");
    ck_secret(&k.er, "49a9d96fea5eb3199bad5e2f48df182f3676e9468f199dd19aa8eb33d0bace41");
    ck_secret(&k.pi, "9fd60c773ddb39d2b6ef85b46d06c0c399d7af669fbb538ade68e731ba2182b3");
    ck_secret(&k.pr, "b1f9aedb3da03410a27fb82b4a630e9dfc1f111f569fb7cce9dff53e967a1e3e");
    ike_keys_wipe(&k);
    ck_assert_uint_eq(k.d.len, 0);
}
END_TEST

/* RFC 8784 3: prf+(PPK, key), for one block prf(PPK, key | 0x01). */
START_TEST(post_quantum_key)
{
    struct ike_keys k = derive(), before = k;
    struct secret ppk = {.len = 32};
    for (uint8_t i = 0; i < 32; i++)
        ppk.data[i] = (uint8_t)(0x80 + i);
    ck_ok(ike_keys_mix(PRF_HMAC_SHA2_256, &ppk, &k));
    ck_secret(&k.d, "e33250c85fbd949523fd1435b4731e49760c5b80239b8140c5cafb07c29abf30");
    ck_secret(&k.pi, "509bfca0471ca3b30a77f36cbc977c1782559f6f771495d80b141d8aa425a08b");
    ck_secret(&k.pr, "cc1fa34484b966114f48fc9c7b5b9f0a478c1b378703576f27cc08a0ddf09895");
    ck_span_eq(secret_span(&k.ai), secret_span(&before.ai));
    ck_span_eq(secret_span(&k.ar), secret_span(&before.ar));
    ck_span_eq(secret_span(&k.ei), secret_span(&before.ei));
    ck_span_eq(secret_span(&k.er), secret_span(&before.er));
    ck_err(ike_keys_mix(PRF_NONE, &ppk, &k), ERR_UNSUPPORTED);
    ck_assert_uint_eq(k.d.len, 0);
    ck_assert_uint_eq(k.ei.len, 0);
}
END_TEST

/* RFC 7296 2.17: encryption before integrity, initiator's before responder's; 36 octets of AES-256
 * key and salt each (RFC 4106 8.1). */
START_TEST(child_sa)
{
    struct ike_keys k = derive();
    struct child_keys c;
    const struct suite esp = {.cipher = {ENCR_AES_GCM_16, 256, INTEG_NONE}};
    ck_ok(child_keys_derive(PRF_HMAC_SHA2_256, &k.d, &esp, SPAN_EMPTY, SPAN_OF(nonce_i),
                            SPAN_OF(nonce_r), &c));
    ck_secret(&c.enc_i, "2ebee42155b263036e44096ef6fb57c03e3d4a4848e84b8a71137c640c911b0488a07b46");
    ck_secret(&c.enc_r, "1b0c72aa88e7ca26162e491036ba6a976877ba356c8f89353979df514403563560f3c0d5");
    ck_assert_uint_eq(c.integ_i.len, 0);
    ck_ok(child_keys_derive(PRF_HMAC_SHA2_256, &k.d, &esp, SPAN_OF(shared), SPAN_OF(nonce_i),
                            SPAN_OF(nonce_r), &c));
    ck_secret(&c.enc_i, "afa805db71d0aa226facd7eec6acb96f0bc5124821bbf7e58472c455c3b8ac6ba619b547");
    child_keys_wipe(&c);
    ike_keys_wipe(&k);
}
END_TEST

/* RFC 7296 2.15 */
START_TEST(authentication)
{
    struct ike_keys k = derive();
    static const uint8_t id[] = {2, 0, 0, 0, 'g', 'w'};
    uint8_t out[128], expected[128], auth[PRF_OUT_MAX];
    struct span octets;
    ck_ok(auth_octets(PRF_HMAC_SHA2_256, &k.pi, span_text("message"), SPAN_OF(nonce_r), SPAN_OF(id),
                      out, sizeof(out), &octets));
    size_t len = support_hex("6d657373616765"
                             "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
                             "9f0a1bfb8f2f7b846e3d0782f0d5bed4387b81cd18606c372b36d815577fe8f6",
                             expected, sizeof(expected));
    ck_span_eq(octets, span_make(expected, len));
    ck_err(auth_octets(PRF_HMAC_SHA2_256, &k.pi, span_text("message"), SPAN_OF(nonce_r),
                       SPAN_OF(id), out, len - 1, &octets),
           ERR_LIMIT);
    ck_ok(auth_shared_key(PRF_HMAC_SHA2_256, span_text("secret"), span_text("octets"), auth));
    len = support_hex("93d6b432e988c4c184f49457ef7ddfef938f1179de4120120d1cc523b368d33b", expected,
                      sizeof(expected));
    ck_span_eq(span_make(auth, 32), span_make(expected, len));
}
END_TEST

START_TEST(what_is_not_supported)
{
    struct ike_keys k;
    const struct ike_keys_input in = {.nonce_i = SPAN_OF(nonce_i), .nonce_r = SPAN_OF(nonce_r)};
    struct suite suite = {.cipher = {ENCR_AES_GCM_16, 256, INTEG_NONE}, .prf = PRF_NONE};
    ck_err(ike_keys_derive(&suite, &in, &k), ERR_UNSUPPORTED);
    suite = (struct suite){.cipher = {ENCR_AES_CBC, 77, INTEG_HMAC_SHA1_96}, .prf = PRF_HMAC_SHA1};
    ck_err(ike_keys_derive(&suite, &in, &k), ERR_UNSUPPORTED);
}
END_TEST

/* --- SK --- */

static const struct aead_suite suites[] = {
    {ENCR_AES_GCM_16, 256, INTEG_NONE},           {ENCR_AES_GCM_8, 128, INTEG_NONE},
    {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE},      {ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_512_256},
};

static struct aead *cipher(size_t i)
{
    uint8_t key[64] = {7};
    size_t enc, integ;
    struct aead *a = NULL;
    aead_key_lens(&suites[i], &enc, &integ);
    ck_ok(aead_new(&suites[i], span_make(key, enc), span_make(key, integ), &a));
    return a;
}

/* A message with a payload of `len` octets inside SK. */
static struct span sealed(const struct aead *a, uint8_t *buffer, size_t cap, size_t len)
{
    static uint8_t body[64];
    const struct ike_header h = {.spi_i = 1, .spi_r = 2, .major = 2, .exchange = 37};
    struct message_writer m;
    struct span message = SPAN_EMPTY;
    message_begin(&m, buffer, cap, &h);
    size_t at = sk_begin(&m, a);
    payload_write(&m, PAYLOAD_NOTIFY, span_make(body, len));
    ck_ok(sk_seal(&m, at, a, 1, &message));
    return message;
}

static enum err open_message(struct aead *a, uint8_t *message, size_t len, uint8_t *ret_first,
                             struct span *ret_inner)
{
    struct ike_header h;
    struct payload_list outer;
    uint8_t bad;
    enum err e = ike_header_parse(span_make(message, len), &h);
    if (e == ERR_OK)
        e = payload_list_parse(h.next_payload, span_make(message + 28, len - 28), &outer, &bad);
    return e != ERR_OK ? e : sk_open(message, len, &outer, a, ret_first, ret_inner);
}

START_TEST(sealed_and_opened)
{
    struct aead *a = cipher((size_t)_i);
    for (size_t len = 0; len < 48; len++) {
        uint8_t buffer[256];
        struct span message = sealed(a, buffer, sizeof(buffer), len);
        uint8_t *exact = support_exact_copy(message);
        uint8_t first = 0;
        struct span inner = SPAN_EMPTY;
        ck_ok(open_message(a, exact, message.len, &first, &inner));
        ck_assert_uint_eq(first, PAYLOAD_NOTIFY);
        ck_assert_uint_eq(inner.len, 4 + len);
        free(exact);
    }
    aead_free(a);
}
END_TEST

/* RFC 7296 3.14, RFC 5282 5.1: all of the message is authenticated, the header too. */
START_TEST(every_bit_counts)
{
    struct aead *a = cipher((size_t)_i);
    uint8_t buffer[256];
    struct span message = sealed(a, buffer, sizeof(buffer), 20);
    for (size_t bit = 0; bit < 8 * message.len; bit++) {
        uint8_t *exact = support_exact_copy(message);
        exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
        uint8_t first;
        struct span inner;
        ck_assert_int_ne(open_message(a, exact, message.len, &first, &inner), ERR_OK);
        free(exact);
    }
    aead_free(a);
}
END_TEST

START_TEST(every_short_length)
{
    struct aead *a = cipher((size_t)_i);
    uint8_t buffer[256];
    struct span message = sealed(a, buffer, sizeof(buffer), 20);
    for (size_t len = 32; len < message.len; len++) {
        uint8_t *exact = support_exact_copy(span_make(message.data, len));
        exact[27] = (uint8_t)len; /* the header's and the payload's length agree */
        exact[31] = (uint8_t)(len - 28);
        uint8_t first;
        struct span inner;
        ck_assert_int_ne(open_message(a, exact, len, &first, &inner), ERR_OK);
        free(exact);
    }
    aead_free(a);
}
END_TEST

START_TEST(no_room)
{
    struct aead *a = cipher((size_t)_i);
    for (size_t cap = 0; cap < 90; cap++) {
        uint8_t *buffer = malloc(cap > 0 ? cap : 1);
        const struct ike_header h = {.spi_i = 1, .spi_r = 2, .major = 2, .exchange = 37};
        struct message_writer m;
        struct span message;
        uint8_t body[20] = {0};
        message_begin(&m, buffer, cap, &h);
        size_t at = sk_begin(&m, a);
        payload_write(&m, PAYLOAD_NOTIFY, SPAN_OF(body));
        enum err e = sk_seal(&m, at, a, 1, &message);
        ck_assert(e == ERR_LIMIT || (e == ERR_OK && message.len <= cap));
        free(buffer);
    }
    aead_free(a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike keys");
    TCase *t = tcase_create("keys");
    int count = (int)(sizeof(suites) / sizeof(suites[0]));
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, ike_sa);
    tcase_add_test(t, post_quantum_key);
    tcase_add_test(t, child_sa);
    tcase_add_test(t, authentication);
    tcase_add_test(t, what_is_not_supported);
    tcase_add_loop_test(t, sealed_and_opened, 0, count);
    tcase_add_loop_test(t, every_bit_counts, 0, count);
    tcase_add_loop_test(t, every_short_length, 0, count);
    tcase_add_loop_test(t, no_room, 0, count);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
