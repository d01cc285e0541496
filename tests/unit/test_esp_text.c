/* What an authentic packet may hold: padding, next header, inner packet, TFC padding and dummies
 * (RFC 4303 2.4 to 2.7), and published packets. */
#include "tests/unit/esp_pair.h"

/* A peer that holds the keys and builds the text (inner packet and trailer) as it likes. */
static struct packet crafted_new(const struct aead_suite *suite, uint32_t sequence,
                                 struct span text)
{
    struct esp_parameters parameters = parameters_of(suite, false);
    struct aead *aead;
    ck_ok(aead_new(suite, secret_span(&parameters.enc_key), secret_span(&parameters.integ_key),
                   &aead));
    size_t iv_len = aead_iv_len(aead);
    struct packet p = {.len = ESP_HEADER_LEN + iv_len + text.len + aead_icv_len(aead)};
    p.cap = p.len;
    p.data = malloc(p.cap);
    ck_assert_ptr_nonnull(p.data);
    const uint8_t header[ESP_HEADER_LEN] = {(uint8_t)(SPI >> 24),      (uint8_t)(SPI >> 16),
                                            (uint8_t)(SPI >> 8),       (uint8_t)SPI,
                                            (uint8_t)(sequence >> 24), (uint8_t)(sequence >> 16),
                                            (uint8_t)(sequence >> 8),  (uint8_t)sequence};
    memcpy(p.data, header, sizeof(header));
    aead_write_iv(aead, sequence, p.data + ESP_HEADER_LEN);
    if (text.len > 0)
        memcpy(p.data + ESP_HEADER_LEN + iv_len, text.data, text.len);
    ck_ok(aead_seal(aead, p.data, ESP_HEADER_LEN, text.len, NULL));
    aead_free(aead);
    return p;
}

/* inner_len octets of an IP packet that itself says ip_len, then pad_len octets 1, 2, 3 ... and the
 * trailer. Returns the text's length. */
static size_t write_text(uint8_t *text, enum ip_family family, size_t ip_len, size_t inner_len,
                         uint8_t pad_len, uint8_t next_header)
{
    write_inner(text, inner_len, family);
    if (family == IP_V4) {
        be_write_u16(text + 2, (uint16_t)ip_len);
    } else {
        text[4] = (uint8_t)((ip_len - 40) >> 8);
        text[5] = (uint8_t)(ip_len - 40);
    }
    for (uint8_t i = 0; i < pad_len; i++)
        text[inner_len + i] = (uint8_t)(i + 1);
    text[inner_len + pad_len] = pad_len;
    text[inner_len + pad_len + 1] = next_header;
    return inner_len + pad_len + 2;
}

START_TEST(padding_is_verified)
{
    struct pair sas = pair_new(&suites[GCM], false);
    uint8_t text[400];
    uint32_t sequence = 1;
    static const uint8_t pads[] = {0, 1, 2, 17, 254, 255};
    for (size_t i = 0; i < sizeof(pads); i++) {
        size_t len = write_text(text, IP_V4, 64, 64, pads[i], 4);
        struct packet good = crafted_new(&suites[GCM], sequence++, span_make(text, len));
        ck_ok(open_copy(sas.in, &good));
        free(good.data);
        for (size_t at = 0; at < pads[i]; at += 1 + at / 2) {
            text[64 + at] ^= 0x20;
            struct packet bad = crafted_new(&suites[GCM], sequence++, span_make(text, len));
            ck_err(open_copy(sas.in, &bad), ERR_MALFORMED);
            ck_err(open_copy(sas.in, &bad), ERR_REPLAYED); /* it was authentic, so it counts */
            free(bad.data);
            text[64 + at] ^= 0x20;
        }
    }
    pair_free(&sas);
}
END_TEST

START_TEST(padding_longer_than_the_text)
{
    struct pair sas = pair_new(&suites[GCM], false);
    uint8_t text[64];
    uint32_t sequence = 1;
    for (size_t len = 0; len <= sizeof(text); len++) {
        for (size_t i = 0; i < len; i++)
            text[i] = (uint8_t)(i + 1);
        for (unsigned pad_len = 0; pad_len < 256; pad_len++) {
            if (len >= 2) {
                text[len - 2] = (uint8_t)pad_len;
                text[len - 1] = 4;
            }
            struct packet p = crafted_new(&suites[GCM], sequence++, span_make(text, len));
            ck_err(open_copy(sas.in, &p), ERR_MALFORMED);
            free(p.data);
        }
    }
    pair_free(&sas);
}
END_TEST

START_TEST(next_header_agrees_with_the_inner_packet)
{
    struct pair sas = pair_new(&suites[GCM], false);
    uint8_t text[128];
    uint32_t sequence = 1;
    for (unsigned next_header = 0; next_header < 256; next_header++) {
        for (int v6 = 0; v6 < 2; v6++) {
            size_t len = write_text(text, v6 ? IP_V6 : IP_V4, 64, 64, 2, (uint8_t)next_header);
            struct packet p = crafted_new(&suites[GCM], sequence++, span_make(text, len));
            enum err expected = ERR_MALFORMED;
            if (next_header == (v6 ? 41U : 4U))
                expected = ERR_OK;
            else if (next_header == 59)
                expected = ERR_NOT_FOUND;
            ck_err(open_copy(sas.in, &p), expected);
            free(p.data);
        }
    }
    pair_free(&sas);
}
END_TEST

START_TEST(inner_header_holds_together)
{
    struct pair sas = pair_new(&suites[GCM], false);
    static const struct {
        enum ip_family family;
        size_t at;
        uint8_t value;
    } cases[] = {
        {IP_V4, 0, 0x44}, /* IHL below 5 */
        {IP_V4, 0, 0x4f}, /* IHL beyond the total length */
        {IP_V4, 0, 0x55}, /* version */
        {IP_V4, 3, 65},   /* total length beyond what came */
        {IP_V4, 3, 19},   /* and below the header */
        {IP_V6, 0, 0x70}, {IP_V6, 5, 25},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t text[128];
        bool v4 = cases[i].family == IP_V4;
        size_t len = write_text(text, cases[i].family, v4 ? 44 : 64, 64, 2, v4 ? 4 : 41);
        text[cases[i].at] = cases[i].value;
        struct packet p = crafted_new(&suites[GCM], (uint32_t)i + 1, span_make(text, len));
        ck_err(open_copy(sas.in, &p), ERR_MALFORMED);
        free(p.data);
    }
    ck_assert_uint_eq(esp_in_counters(sas.in).bad, sizeof(cases) / sizeof(cases[0]));
    pair_free(&sas);
}
END_TEST

/* RFC 4303 2.6: whatever a dummy carries, and it is good for its sequence number alone. */
START_TEST(dummy_packets_are_dropped_in_silence)
{
    struct pair sas = pair_new(&suites[_i], false);
    uint8_t text[64];
    memset(text, 0xa7, sizeof(text));
    text[63] = 59;
    struct packet p = crafted_new(&suites[_i], 1, SPAN_OF(text));
    ck_err(open_copy(sas.in, &p), ERR_NOT_FOUND);
    ck_err(open_copy(sas.in, &p), ERR_REPLAYED);
    ck_assert_uint_eq(esp_in_counters(sas.in).bad, 0);
    ck_assert_uint_eq(esp_in_counters(sas.in).packets, 0);
    free(p.data);
    pair_free(&sas);
}
END_TEST

/* RFC 4303 2.7: octets behind the inner packet's own length are passed over. */
START_TEST(traffic_flow_padding_is_trimmed)
{
    struct pair sas = pair_new(&suites[_i], false);
    uint8_t text[160];
    uint32_t sequence = 1;
    for (int v6 = 0; v6 < 2; v6++) {
        size_t len = write_text(text, v6 ? IP_V6 : IP_V4, 61, 142, 0, v6 ? 41 : 4);
        struct packet p = crafted_new(&suites[_i], sequence++, span_make(text, len));
        ck_ok(esp_open(sas.in, &p));
        ck_span_eq(wire_of(&p), span_make(text, 61));
        free(p.data);
    }
    ck_assert_uint_eq(esp_in_counters(sas.in).bytes, 2 * 61);
    pair_free(&sas);
}
END_TEST

static void published(const struct esp_parameters *parameters, const char *wire_hex,
                      const char *inner_hex)
{
    uint8_t wire[256], inner[128];
    size_t wire_len = support_hex(wire_hex, wire, sizeof(wire));
    size_t inner_len = support_hex(inner_hex, inner, sizeof(inner));
    struct esp_in *in;
    ck_ok(esp_in_new(parameters, &in));
    struct packet p = received_new(span_make(wire, wire_len));
    ck_ok(esp_open(in, &p));
    ck_span_eq(wire_of(&p), span_make(inner, inner_len));
    free(p.data);
    esp_in_free(in);
}

/* RFC 7634, appendix A: an echo request in tunnel mode, SPI 01020304, number 5. */
START_TEST(rfc7634_appendix_a)
{
    struct esp_parameters parameters = {.spi = 0x01020304,
                                        .suite = {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE}};
    parameters.enc_key.len =
        support_hex("80818283 84858687 88898a8b 8c8d8e8f 90919293 94959697 98999a9b 9c9d9e9f"
                    "a0a1a2a3",
                    parameters.enc_key.data, SECRET_MAX);
    published(&parameters,
              "01020304 00000005 10111213 14151617"
              "24039428 b97f417e 3c13753a 4f05087b 67c352e6 a7fab1b9 82d466ef 407ae5c6"
              "14ee8099 d52844eb 61aa95df ab4c02f7 2aa71e7c 4c4f64c9 befe2fac c638e8f3"
              "cbec163f ac469b50 2773f6fb 94e664da 9165b828 29f641e0"
              "76aaa826 6b7fb0f7 b11b3699 07e1ad43",
              "45000054 a6f20000 4001e778 c6336405 c0000205 08005b7a 3a080000 553bec10"
              "00073627 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f 20212223"
              "24252627 28292a2b 2c2d2e2f 30313233 34353637");
}
END_TEST

/* RFC 3602 4, case 7: an echo request in tunnel mode, SPI 00008765, number 2. The RFC's packet ends
 * before the ICV; here it is HMAC-SHA-256-128 (RFC 4868) under the key 00 01 .. 1f, computed with
 * Python's hmac module. */
START_TEST(rfc3602_case_7)
{
    struct esp_parameters parameters = {.spi = 0x8765,
                                        .suite = {ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128}};
    parameters.enc_key.len =
        support_hex("01234567 89abcdef 01234567 89abcdef", parameters.enc_key.data, SECRET_MAX);
    parameters.integ_key.len = 32;
    for (size_t i = 0; i < parameters.integ_key.len; i++)
        parameters.integ_key.data[i] = (uint8_t)i;
    published(&parameters,
              "00008765 00000002 f4e76524 4f6407ad f13dc138 0f673f37"
              "773b5241 a4c44922 5e4f3ce5 ed611b0c 237ca96c f74a9301 3c1b0ea1 a0cf70f8"
              "e4ecaec7 8ac53aad 7a0f022b 859243c6 47752e94 a859352b 8a4d4d2d ecd136e5"
              "c177f132 ad3fbfb2 201ac990 4c74ee0a 109e0ca1 e4dfe9d5 a100b842 f1c22f0d"
              "771b0a4d 2be28767 cb0b5c90 1fcc563e",
              "45000054 09040000 4001f988 c0a87b03 c0a87bc8 08009f76 a90a0100 b49c083d"
              "02a20400 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f 20212223"
              "24252627 28292a2b 2c2d2e2f 30313233 34353637");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("esp text");
    TCase *c = tcase_create("opened");
    tcase_add_test(c, padding_is_verified);
    tcase_add_test(c, padding_longer_than_the_text);
    tcase_add_test(c, next_header_agrees_with_the_inner_packet);
    tcase_add_test(c, inner_header_holds_together);
    tcase_add_loop_test(c, dummy_packets_are_dropped_in_silence, 0, SUITES);
    tcase_add_loop_test(c, traffic_flow_padding_is_trimmed, 0, SUITES);
    suite_add_tcase(s, c);

    c = tcase_create("published");
    tcase_add_test(c, rfc7634_appendix_a);
    tcase_add_test(c, rfc3602_case_7);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
