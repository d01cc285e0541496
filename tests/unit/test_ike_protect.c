/* The Encrypted payload (RFC 7296 3.14, RFC 5282): sealing and opening, padding, what damage and
 * what wrong lengths do. */
#include "common/ike/protect.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/ike/payload.h"
#include "tests/support/support.h"

static const struct aead_suite suites[] = {
    {ENCR_AES_GCM_16, 256, INTEG_NONE},           {ENCR_AES_GCM_16, 128, INTEG_NONE},
    {ENCR_AES_GCM_12, 192, INTEG_NONE},           {ENCR_AES_GCM_8, 256, INTEG_NONE},
    {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE},      {ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_256_128}, {ENCR_AES_CBC, 192, INTEG_HMAC_SHA2_384_192},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_512_256},
};
enum { SUITES = sizeof suites / sizeof suites[0] };

static const struct ike_header header = {.spi_i = 0x0102030405060708,
                                         .spi_r = 0x1112131415161718,
                                         .major = 2,
                                         .exchange = EXCHANGE_INFORMATIONAL,
                                         .flags = IKE_FLAG_INITIATOR,
                                         .message_id = 7};

static struct aead *key(size_t suite, uint8_t seed)
{
    uint8_t enc[64], integ[64];
    size_t enc_len, integ_len;
    struct aead *a;
    aead_key_lens(&suites[suite], &enc_len, &integ_len);
    memset(enc, seed, sizeof enc);
    memset(integ, seed + 1, sizeof integ);
    ck_ok(aead_new(&suites[suite], span_make(enc, enc_len), span_make(integ, integ_len), &a));
    return a;
}

/* Parse the outer chain and open, in place. */
static enum err open_at(uint8_t *message, size_t len, const struct aead *a, uint8_t *ret_first,
                        struct span *ret_inner)
{
    struct ike_header h;
    struct payload_list l;
    uint8_t bad;
    enum err e = ike_header_parse(span_make(message, len), &h);
    if (e == ERR_OK)
        e = payload_list_parse(h.next_payload,
                               span_make(message + IKE_HEADER_LEN, len - IKE_HEADER_LEN), &l, &bad);
    return e == ERR_OK ? sk_open(message, len, &l, a, ret_first, ret_inner) : e;
}

/* A message whose SK payload begins at `at` and ends the message: lengths made to fit. */
static void fit_lengths(uint8_t *message, size_t len, size_t at)
{
    message[24] = message[25] = 0;
    be_write_u16(message + 26, (uint16_t)len);
    message[at + 2] = (uint8_t)((len - at) >> 8);
    message[at + 3] = (uint8_t)(len - at);
}

START_TEST(there_and_back)
{
    struct aead *a = key((size_t)_i, 0x30);
    uint8_t bytes[512];
    for (size_t len = 0; len <= 70; len++) {
        struct message_writer m;
        struct span sealed, inner;
        uint8_t first, data[70];
        memset(data, (int)(len + 1), sizeof data);
        message_begin(&m, bytes, sizeof bytes, &header);
        size_t at = sk_begin(&m, a);
        ck_assert_uint_eq(at, IKE_HEADER_LEN);
        if (len >= 4)
            payload_write(&m, PAYLOAD_VENDOR, span_make(data, len - 4));
        ck_ok(sk_seal(&m, at, a, len, &sealed));
        size_t text = len < 4 ? 0 : len;

        /* RFC 7296 3.14: padding fills a block, and no more than that is sent. */
        size_t block = aead_block_len(a);
        size_t padded = (text + 1 + block - 1) / block * block;
        ck_assert_uint_eq(sealed.len,
                          IKE_HEADER_LEN + 4 + aead_iv_len(a) + padded + aead_icv_len(a));
        ck_assert_uint_eq(bytes[16], PAYLOAD_SK);
        ck_assert_uint_eq(bytes[IKE_HEADER_LEN], text > 0 ? PAYLOAD_VENDOR : PAYLOAD_NONE);

        uint8_t *exact = support_exact_copy(sealed);
        ck_ok(open_at(exact, sealed.len, a, &first, &inner));
        ck_assert_uint_eq(first, text > 0 ? PAYLOAD_VENDOR : PAYLOAD_NONE);
        ck_assert_uint_eq(inner.len, text);
        if (text > 0)
            ck_assert_mem_eq(inner.data + 4, data, text - 4);
        free(exact);
    }
    aead_free(a);
}
END_TEST

/* RFC 7634, appendix B: the whole message, both ways. */
START_TEST(rfc7634_appendix_b)
{
    uint8_t k[36], expected[128], bytes[128], data[4] = {0, 0, 0, 10};
    const struct aead_suite chacha = {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE};
    const struct ike_header h = {.spi_i = 0xc0c1c2c3c4c5c6c7,
                                 .spi_r = 0xd0d1d2d3d4d5d6d7,
                                 .major = 2,
                                 .exchange = EXCHANGE_INFORMATIONAL,
                                 .message_id = 9};
    support_hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f a0a1a2a3", k,
                sizeof k);
    size_t len = support_hex("c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029"
                             "10111213141516176103 94701f8d017f7c12924889"
                             "6b71bfe25236efd7cdc67066906315b2",
                             expected, sizeof expected);
    struct aead *a;
    struct message_writer m;
    struct span sealed, inner;
    uint8_t first;
    ck_ok(aead_new(&chacha, SPAN_OF(k), SPAN_EMPTY, &a));
    message_begin(&m, bytes, sizeof bytes, &h);
    size_t at = sk_begin(&m, a);
    notify_write(&m, NOTIFY_SET_WINDOW_SIZE, SPAN_OF(data));
    ck_ok(sk_seal(&m, at, a, 0x1011121314151617, &sealed));
    ck_span_eq(sealed, span_make(expected, len));
    ck_ok(open_at(expected, len, a, &first, &inner));
    ck_assert_uint_eq(first, PAYLOAD_NOTIFY);
    ck_assert_uint_eq(inner.len, 12);
    ck_assert_mem_eq(inner.data, "\0\0\0\x0c\0\0\x40\x01\0\0\0\x0a", 12);
    aead_free(a);
}
END_TEST

/* One sealed message: Vendor ID in the clear, two payloads inside. */
static struct span seal_one(const struct aead *a, uint8_t *bytes, size_t cap, uint64_t counter,
                            size_t *ret_at)
{
    struct message_writer m;
    struct span sealed;
    message_begin(&m, bytes, cap, &header);
    payload_write(&m, PAYLOAD_VENDOR, span_text("in the clear"));
    *ret_at = sk_begin(&m, a);
    notify_write(&m, NOTIFY_INITIAL_CONTACT, SPAN_EMPTY);
    payload_write(&m, PAYLOAD_NONCE, span_text("sixteen octets.."));
    ck_ok(sk_seal(&m, *ret_at, a, counter, &sealed));
    return sealed;
}

START_TEST(clear_payloads_before_it)
{
    struct aead *a = key((size_t)_i, 0x30);
    uint8_t bytes[512], first, bad;
    struct span inner;
    struct payload_list l;
    size_t at;
    struct span sealed = seal_one(a, bytes, sizeof bytes, 1, &at);
    ck_ok(open_at(bytes, sealed.len, a, &first, &inner));
    ck_ok(payload_list_parse(first, inner, &l, &bad));
    ck_assert_uint_eq(l.count, 2);
    ck_assert_uint_eq(l.items[0].type, PAYLOAD_NOTIFY);
    ck_span_eq(l.items[1].body, span_text("sixteen octets.."));
    aead_free(a);
}
END_TEST

/* Every bit counts: header, clear payloads, IV, text, ICV. */
START_TEST(any_damage_is_seen)
{
    struct aead *a = key((size_t)_i, 0x30);
    uint8_t bytes[512], first;
    struct span inner;
    size_t at;
    struct span sealed = seal_one(a, bytes, sizeof bytes, 1, &at);
    for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
        uint8_t *exact = support_exact_copy(sealed);
        exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum err e = open_at(exact, sealed.len, a, &first, &inner);
        /* what the chain's own rules catch never gets as far as the ICV */
        bool structure = (bit / 8 >= 16 && bit / 8 < 17) || (bit / 8 >= 24 && bit / 8 < 32) ||
                         (bit / 8 >= at && bit / 8 < at + 4);
        if (e == ERR_OK || (e != ERR_INTEGRITY && !structure))
            ck_abort_msg("bit %zu: %s", bit, err_text(e));
        free(exact);
    }
    aead_free(a);
}
END_TEST

START_TEST(another_key)
{
    struct aead *a = key((size_t)_i, 0x30), *b = key((size_t)_i, 0x40);
    uint8_t bytes[512], first;
    struct span inner;
    size_t at;
    struct span sealed = seal_one(a, bytes, sizeof bytes, 1, &at);
    ck_err(open_at(bytes, sealed.len, b, &first, &inner), ERR_INTEGRITY);
    aead_free(a);
    aead_free(b);
}
END_TEST

START_TEST(another_counter_another_iv)
{
    struct aead *a = key((size_t)_i, 0x30);
    uint8_t one[512], two[512];
    size_t at;
    struct span first = seal_one(a, one, sizeof one, 1, &at);
    struct span second = seal_one(a, two, sizeof two, 2, &at);
    ck_assert_uint_eq(first.len, second.len);
    ck_assert_mem_eq(one, two, at + 4);
    ck_assert_mem_ne(one + at + 4, two + at + 4, aead_iv_len(a));
    size_t text = at + 4 + aead_iv_len(a);
    ck_assert_mem_ne(one + text, two + text, 16);
    aead_free(a);
}
END_TEST

/* Cut at every length and made to fit again, in a buffer of just that size. */
START_TEST(every_short_length)
{
    struct aead *a = key((size_t)_i, 0x30);
    uint8_t bytes[512], first = 99;
    struct span inner = SPAN_EMPTY;
    size_t at;
    struct span sealed = seal_one(a, bytes, sizeof bytes, 1, &at);
    for (size_t len = at + 4; len <= sealed.len; len++) {
        uint8_t *exact = support_exact_copy(span_make(bytes, len));
        fit_lengths(exact, len, at);
        enum err e = open_at(exact, len, a, &first, &inner);
        ck_assert_msg(e == (len == sealed.len ? ERR_OK : ERR_INTEGRITY), "%zu octets: %s", len,
                      err_text(e));
        if (e != ERR_OK)
            ck_assert_uint_eq(first, 99);
        free(exact);
    }
    aead_free(a);
}
END_TEST

/* A peer's own text, sealed as it is. */
static enum err open_text(const struct aead *a, const uint8_t *text, size_t len,
                          struct span *ret_inner, uint8_t **ret_message)
{
    uint8_t bytes[1024], first;
    struct message_writer m;
    struct span all;
    message_begin(&m, bytes, sizeof bytes, &header);
    size_t at = sk_begin(&m, a);
    wire_write_span(&m.w, span_make(text, len));
    wire_write_zeros(&m.w, aead_icv_len(a));
    payload_end(&m, at);
    ck_ok(message_finish(&m, &all));
    bytes[at] = PAYLOAD_NONCE;
    aead_write_iv(a, 5, bytes + at + 4);
    ck_ok(aead_seal(a, bytes, at + 4, len, NULL));
    uint8_t *exact = support_exact_copy(all);
    enum err e = open_at(exact, all.len, a, &first, ret_inner);
    *ret_message = exact;
    if (e == ERR_OK)
        ck_assert_uint_eq(first, PAYLOAD_NONCE);
    return e;
}

/* RFC 7296 3.14: any content, any length that makes a multiple of the block, up to 255. */
START_TEST(a_peers_padding)
{
    struct aead *a = key((size_t)_i, 0x30);
    const size_t block = aead_block_len(a);
    uint8_t text[320];
    for (size_t len = 0; len <= 304; len += len < 48 ? block : 128) {
        for (unsigned pad = 0; pad < 256; pad += pad < len + 2 || pad == 255 ? 1 : 255 - pad) {
            struct span inner;
            uint8_t *message;
            memset(text, 0xa5, sizeof text);
            if (len > 0)
                text[len - 1] = (uint8_t)pad;
            enum err e = open_text(a, text, len, &inner, &message);
            bool good = pad < len;
            if (e != (good ? ERR_OK : ERR_MALFORMED))
                ck_abort_msg("%u of padding in %zu octets: %s", pad, len, err_text(e));
            if (good && (inner.len != len - 1 - pad || memcmp(inner.data, text, inner.len) != 0))
                ck_abort_msg("%u of padding in %zu octets: %zu left", pad, len, inner.len);
            free(message);
            if (len == 0)
                break;
        }
    }
    aead_free(a);
}
END_TEST

START_TEST(no_sk_payload_at_the_end)
{
    struct aead *a = key(0, 0x30);
    uint8_t bytes[512], first = 99;
    struct span inner = SPAN_EMPTY;
    size_t at;
    struct span sealed = seal_one(a, bytes, sizeof bytes, 1, &at);
    struct payload_list l = {.count = 0};
    ck_err(sk_open(bytes, sealed.len, &l, a, &first, &inner), ERR_MALFORMED);
    const struct span body = span_make(bytes + at + 4, sealed.len - at - 4);
    static const uint8_t others[] = {PAYLOAD_NONE, PAYLOAD_VENDOR, PAYLOAD_SKF};
    for (size_t i = 0; i < sizeof others; i++) {
        l.count = 2;
        l.items[0] = (struct payload){.type = PAYLOAD_SK, .body = body};
        l.items[1] = (struct payload){.type = others[i], .body = body};
        ck_err(sk_open(bytes, sealed.len, &l, a, &first, &inner), ERR_MALFORMED);
    }
    l.items[1].type = PAYLOAD_SK;
    ck_ok(sk_open(bytes, sealed.len, &l, a, &first, &inner));
    aead_free(a);
}
END_TEST

START_TEST(every_room_that_is_too_small)
{
    struct aead *a = key((size_t)_i, 0x30);
    uint8_t bytes[512];
    size_t at;
    const size_t whole = seal_one(a, bytes, sizeof bytes, 1, &at).len;
    for (size_t cap = 0; cap <= whole; cap++) {
        uint8_t *small = malloc(cap > 0 ? cap : 1);
        struct message_writer m;
        struct span sealed = SPAN_EMPTY;
        ck_assert_ptr_nonnull(small);
        message_begin(&m, small, cap, &header);
        payload_write(&m, PAYLOAD_VENDOR, span_text("in the clear"));
        at = sk_begin(&m, a);
        notify_write(&m, NOTIFY_INITIAL_CONTACT, SPAN_EMPTY);
        payload_write(&m, PAYLOAD_NONCE, span_text("sixteen octets.."));
        ck_err(sk_seal(&m, at, a, 1, &sealed), cap == whole ? ERR_OK : ERR_LIMIT);
        ck_assert_uint_eq(sealed.len, cap == whole ? whole : 0);
        free(small);
    }
    aead_free(a);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ike/protect");
    TCase *t = tcase_create("protect");
    tcase_add_loop_test(t, there_and_back, 0, SUITES);
    tcase_add_test(t, rfc7634_appendix_b);
    tcase_add_loop_test(t, clear_payloads_before_it, 0, SUITES);
    tcase_add_loop_test(t, another_key, 0, SUITES);
    tcase_add_loop_test(t, another_counter_another_iv, 0, SUITES);
    tcase_add_loop_test(t, a_peers_padding, 0, SUITES);
    suite_add_tcase(s, t);
    t = tcase_create("hostile");
    tcase_add_loop_test(t, any_damage_is_seen, 0, SUITES);
    tcase_add_loop_test(t, every_short_length, 0, SUITES);
    tcase_add_test(t, no_sk_payload_at_the_end);
    tcase_add_loop_test(t, every_room_that_is_too_small, 0, SUITES);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
