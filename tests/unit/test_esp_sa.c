/* One ESP SA in each direction (RFC 4303). Packets lie in buffers of exactly the room the contract
 * asks for, so that ASan sees any step beside them. */
#include <stdlib.h>
#include <string.h>

#include "common/esp/esp.h"
#include "common/esp/esp_internal.h"
#include "tests/support/support.h"

#define TWO_32 (UINT64_C(1) << 32)

enum { SPI = 0x40ffee01 };

static const struct aead_suite suites[] = {
    {ENCR_AES_GCM_8, 128, INTEG_NONE},
    {ENCR_AES_GCM_12, 192, INTEG_NONE},
    {ENCR_AES_GCM_16, 128, INTEG_NONE},
    {ENCR_AES_GCM_16, 192, INTEG_NONE},
    {ENCR_AES_GCM_16, 256, INTEG_NONE},
    {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE},
    {ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96},
    {ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128},
    {ENCR_AES_CBC, 192, INTEG_HMAC_SHA2_384_192},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_512_256},
};
enum { SUITES = sizeof(suites) / sizeof(suites[0]), GCM = 2 };

static struct esp_parameters parameters_of(const struct aead_suite *suite, bool esn)
{
    struct esp_parameters p = {.spi = SPI, .suite = *suite, .esn = esn};
    aead_key_lens(suite, &p.enc_key.len, &p.integ_key.len);
    for (size_t i = 0; i < p.enc_key.len; i++)
        p.enc_key.data[i] = (uint8_t)(0x40 + i);
    for (size_t i = 0; i < p.integ_key.len; i++)
        p.integ_key.data[i] = (uint8_t)(0x80 + i);
    return p;
}

struct pair {
    struct esp_out *out;
    struct esp_in *in;
};

static struct pair pair_new(const struct aead_suite *suite, bool esn)
{
    struct esp_parameters p = parameters_of(suite, esn);
    struct pair pair;
    ck_ok(esp_out_new(&p, &pair.out));
    ck_ok(esp_in_new(&p, &pair.in));
    return pair;
}

static void pair_free(struct pair *pair)
{
    esp_out_free(pair->out);
    esp_in_free(pair->in);
}

/* An IPv4 or IPv6 header (protocol 253, for experiments) and a pattern up to len octets. */
static void write_inner(uint8_t *at, size_t len, enum ip_family family)
{
    static const uint8_t v6_head[] = {0x60, 0, 0, 0, 0, 0, 253, 64, 0xfd};
    static const uint8_t v4_head[] = {0x45, 0, 0,  0, 0, 0, 0x40, 0, 64, 253,
                                      0,    0, 10, 1, 0, 7, 10,   9, 0,  1};
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(i * 7);
    if (family == IP_V4) {
        memcpy(at, v4_head, sizeof(v4_head));
        at[2] = (uint8_t)(len >> 8);
        at[3] = (uint8_t)len;
    } else {
        memcpy(at, v6_head, sizeof(v6_head));
        at[4] = (uint8_t)((len - 40) >> 8);
        at[5] = (uint8_t)(len - 40);
    }
}

/* With exactly ESP_HEADROOM and ESP_TAILROOM around it; free(p.data). */
static struct packet inner_new(size_t len, enum ip_family family)
{
    struct packet p = {.cap = ESP_HEADROOM + len + ESP_TAILROOM, .start = ESP_HEADROOM, .len = len};
    p.data = malloc(p.cap);
    ck_assert_ptr_nonnull(p.data);
    memset(p.data, 0xee, p.cap);
    write_inner(packet_bytes(&p), len, family);
    return p;
}

/* A received packet: the buffer holds it and nothing more; free(p.data). */
static struct packet received_new(struct span wire)
{
    return (struct packet){
        .data = support_exact_copy(wire), .cap = wire.len, .start = 0, .len = wire.len};
}

static struct span wire_of(const struct packet *p)
{
    return span_make(packet_bytes(p), p->len);
}

/* Seal a small inner packet; the result as a received packet. */
static struct packet sealed_new(struct esp_out *out)
{
    struct packet p = inner_new(60, IP_V4);
    ck_ok(esp_seal(out, &p));
    struct packet received = received_new(wire_of(&p));
    free(p.data);
    return received;
}

/* Open a copy of `wire`, which stays as it is. */
static enum err open_copy(struct esp_in *in, const struct packet *wire)
{
    struct packet p = received_new(wire_of(wire));
    enum err e = esp_open(in, &p);
    free(p.data);
    return e;
}

static void round_trip(const struct aead_suite *suite, struct pair *sas, size_t len,
                       enum ip_family family)
{
    struct packet p = inner_new(len, family);
    uint8_t *original = support_exact_copy(wire_of(&p));
    ck_ok(esp_seal(sas->out, &p));
    ck_assert_uint_eq(p.len, len + esp_overhead(suite, len));
    ck_assert_uint_eq(p.len % 4, 0);
    struct packet received = received_new(wire_of(&p));
    ck_ok(esp_open(sas->in, &received));
    ck_span_eq(wire_of(&received), span_make(original, len));
    free(received.data);
    free(original);
    free(p.data);
}

START_TEST(round_trip_of_every_length)
{
    const struct aead_suite *suite = &suites[_i / 2];
    struct pair sas = pair_new(suite, _i % 2 == 1);
    uint64_t packets = 0, bytes = 0;
    for (size_t len = 20; len <= 1500; len += len < 120 ? 1 : 23, packets++, bytes += len)
        round_trip(suite, &sas, len, IP_V4);
    uint64_t v4 = packets;
    for (size_t len = 40; len <= 1500; len += len < 120 ? 1 : 23, packets++)
        round_trip(suite, &sas, len, IP_V6);
    ck_assert_uint_gt(v4, 100);
    ck_assert_uint_eq(esp_out_counters(sas.out)->packets, packets);
    ck_assert_uint_eq(esp_in_counters(sas.in)->packets, packets);
    ck_assert_uint_eq(esp_in_counters(sas.in)->bytes, esp_out_counters(sas.out)->bytes);
    ck_assert_uint_gt(esp_in_counters(sas.in)->bytes, bytes);
    ck_assert_uint_eq(esp_in_counters(sas.in)->bad + esp_in_counters(sas.in)->replayed, 0);
    pair_free(&sas);
}
END_TEST

START_TEST(header_room_and_tail_room_suffice_exactly)
{
    const struct aead_suite *suite = &suites[_i];
    struct pair sas = pair_new(suite, false);
    for (size_t len = 20; len < 52; len++) {
        size_t overhead = esp_overhead(suite, len);
        size_t front = ESP_HEADER_LEN + (suite->encr == ENCR_AES_CBC ? 16 : 8);
        ck_assert_uint_le(front, ESP_HEADROOM);
        ck_assert_uint_le(overhead - front, ESP_TAILROOM);
        uint8_t *storage = malloc(len + overhead);
        ck_assert_ptr_nonnull(storage);
        write_inner(storage + front, len, IP_V4);
        struct packet p = {.data = storage, .cap = len + overhead, .start = front, .len = len};
        struct packet short_behind = p, short_before = p;
        short_behind.cap--;
        short_before.data++;
        short_before.start--;
        short_before.cap--;
        uint64_t left = esp_out_left(sas.out);
        ck_err(esp_seal(sas.out, &short_behind), ERR_LIMIT);
        ck_err(esp_seal(sas.out, &short_before), ERR_LIMIT);
        ck_assert_uint_eq(esp_out_left(sas.out), left);
        ck_ok(esp_seal(sas.out, &p));
        ck_assert_uint_eq(p.start, 0);
        ck_assert_uint_eq(p.len, p.cap);
        free(storage);
    }
    pair_free(&sas);
}
END_TEST

START_TEST(seals_nothing_but_ip)
{
    struct pair sas = pair_new(&suites[GCM], false);
    static const struct {
        uint8_t first;
        size_t len;
    } cases[] = {{0x45, 0}, {0x45, 19}, {0x60, 39}, {0x05, 60}, {0x55, 60}, {0xf0, 60}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct packet p = inner_new(60, IP_V4);
        packet_bytes(&p)[0] = cases[i].first;
        p.len = cases[i].len;
        ck_err(esp_seal(sas.out, &p), ERR_MALFORMED);
        ck_assert_uint_eq(p.len, cases[i].len);
        free(p.data);
    }
    ck_assert_uint_eq(esp_out_left(sas.out), UINT32_MAX);
    pair_free(&sas);
}
END_TEST

START_TEST(wire_format)
{
    struct pair sas = pair_new(&suites[GCM], false);
    for (uint8_t sequence = 1; sequence <= 3; sequence++) {
        struct packet p = sealed_new(sas.out);
        /* SPI, sequence number from 1, and the IV: the sequence number as 64 bits */
        uint8_t expected[16] = {0x40, 0xff, 0xee, 0x01, 0, 0, 0, sequence,
                                0,    0,    0,    0,    0, 0, 0, sequence};
        ck_span_eq(span_make(p.data, 16), SPAN_OF(expected));
        free(p.data);
    }
    ck_assert_uint_eq(esp_out_left(sas.out), UINT32_MAX - 3);
    ck_assert_uint_eq(esp_out_spi(sas.out), SPI);
    ck_assert_uint_eq(esp_in_spi(sas.in), SPI);
    pair_free(&sas);
}
END_TEST

START_TEST(reserved_spis_and_bad_keys_are_refused)
{
    struct esp_out *out;
    struct esp_in *in;
    static const uint32_t reserved[] = {0, 1, 255};
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        struct esp_parameters p = parameters_of(&suites[GCM], false);
        p.spi = reserved[i];
        ck_err(esp_out_new(&p, &out), ERR_MALFORMED);
        ck_err(esp_in_new(&p, &in), ERR_MALFORMED);
    }
    struct esp_parameters p = parameters_of(&suites[GCM], false);
    p.enc_key.len--;
    ck_assert_int_ne(esp_out_new(&p, &out), ERR_OK);
    ck_assert_int_ne(esp_in_new(&p, &in), ERR_OK);
    esp_out_free(NULL);
    esp_in_free(NULL);
}
END_TEST

START_TEST(a_repeated_packet_is_refused)
{
    struct pair sas = pair_new(&suites[_i], false);
    struct packet p = sealed_new(sas.out);
    ck_ok(open_copy(sas.in, &p));
    ck_err(open_copy(sas.in, &p), ERR_REPLAYED);
    ck_err(open_copy(sas.in, &p), ERR_REPLAYED);
    ck_assert_uint_eq(esp_in_counters(sas.in)->replayed, 2);
    ck_assert_uint_eq(esp_in_counters(sas.in)->packets, 1);
    free(p.data);
    pair_free(&sas);
}
END_TEST

START_TEST(the_window_has_an_edge)
{
    struct pair sas = pair_new(&suites[GCM], false);
    struct packet old = sealed_new(sas.out);  /* 1 */
    struct packet edge = sealed_new(sas.out); /* 2 */
    esp_out_start_at(sas.out, ESP_REPLAY_WINDOW + 1);
    struct packet top = sealed_new(sas.out);
    ck_ok(open_copy(sas.in, &top));
    ck_err(open_copy(sas.in, &old), ERR_REPLAYED);
    ck_ok(open_copy(sas.in, &edge));
    ck_err(open_copy(sas.in, &edge), ERR_REPLAYED);
    free(old.data);
    free(edge.data);
    free(top.data);
    pair_free(&sas);
}
END_TEST

/* RFC 4303 3.4.3: only an authenticated packet moves the window. */
START_TEST(a_forged_number_far_ahead_moves_nothing)
{
    struct pair sas = pair_new(&suites[GCM], _i == 1);
    struct packet first = sealed_new(sas.out), second = sealed_new(sas.out);
    ck_ok(open_copy(sas.in, &first));
    struct packet forged = received_new(wire_of(&second));
    forged.data[4] = 0x7f;
    ck_err(open_copy(sas.in, &forged), ERR_INTEGRITY);
    ck_ok(open_copy(sas.in, &second));
    ck_assert_uint_eq(esp_in_counters(sas.in)->bad, 1);
    free(first.data);
    free(second.data);
    free(forged.data);
    pair_free(&sas);
}
END_TEST

START_TEST(number_zero_is_never_accepted)
{
    struct pair sas = pair_new(&suites[GCM], false);
    struct packet p = sealed_new(sas.out);
    memset(p.data + 4, 0, 4);
    ck_err(open_copy(sas.in, &p), ERR_REPLAYED);
    free(p.data);
    pair_free(&sas);
}
END_TEST

START_TEST(one_flipped_bit_anywhere_is_noticed)
{
    const struct aead_suite *suite = &suites[_i / 2];
    struct pair sas = pair_new(suite, _i % 2 == 1);
    struct packet first = sealed_new(sas.out), p = sealed_new(sas.out);
    ck_ok(open_copy(sas.in, &first));
    for (size_t bit = 0; bit < p.len * 8; bit++) {
        p.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum err e = open_copy(sas.in, &p);
        /* a flip in the sequence number may look old; anything else fails the ICV */
        bool in_sequence = bit / 8 >= 4 && bit / 8 < 8;
        ck_assert_msg(e == ERR_INTEGRITY || (in_sequence && e == ERR_REPLAYED), "bit %zu: %s", bit,
                      err_text(e));
        p.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_uint_eq(esp_in_counters(sas.in)->packets, 1);
    ck_ok(open_copy(sas.in, &p)); /* nothing of all that changed the SA */
    free(first.data);
    free(p.data);
    pair_free(&sas);
}
END_TEST

START_TEST(short_packets_of_every_length)
{
    struct pair sas = pair_new(&suites[_i], false);
    struct packet p = sealed_new(sas.out);
    for (size_t len = 0; len < p.len; len++) {
        struct packet cut = received_new(span_make(p.data, len));
        enum err e = esp_open(sas.in, &cut);
        ck_assert_msg(e == ERR_MALFORMED || e == ERR_INTEGRITY, "%zu: %s", len, err_text(e));
        ck_assert_msg(len >= ESP_HEADER_LEN + 8 + 8 || e == ERR_MALFORMED, "%zu", len);
        free(cut.data);
    }
    ck_ok(open_copy(sas.in, &p));
    free(p.data);
    pair_free(&sas);
}
END_TEST

START_TEST(sequence_numbers_end)
{
    struct pair sas = pair_new(&suites[GCM], _i == 1);
    uint64_t last = _i == 1 ? UINT64_MAX : UINT32_MAX;
    ck_assert_uint_eq(esp_out_left(sas.out), last);
    esp_out_start_at(sas.out, last - 1);
    esp_in_start_at(sas.in, last - 1);
    ck_assert_uint_eq(esp_out_left(sas.out), 2);
    for (int i = 0; i < 2; i++) {
        struct packet p = sealed_new(sas.out);
        ck_ok(open_copy(sas.in, &p));
        ck_err(open_copy(sas.in, &p), ERR_REPLAYED);
        free(p.data);
    }
    ck_assert_uint_eq(esp_out_left(sas.out), 0);
    for (int i = 0; i < 3; i++) {
        struct packet p = inner_new(60, IP_V4);
        uint8_t *before = support_exact_copy(span_make(p.data, p.cap));
        ck_err(esp_seal(sas.out, &p), ERR_EXHAUSTED);
        ck_assert_mem_eq(p.data, before, p.cap);
        free(before);
        free(p.data);
    }
    ck_assert_uint_eq(esp_out_counters(sas.out)->packets, 2);
    pair_free(&sas);
}
END_TEST

/* RFC 4303 A2: across 2^32, in order and reordered. */
START_TEST(extended_numbers_cross_the_boundary)
{
    enum { PACKETS = 8 };
    const struct aead_suite *suite = &suites[_i / 2];
    bool backwards = _i % 2 == 1;
    struct pair sas = pair_new(suite, true);
    struct packet packets[PACKETS];
    esp_out_start_at(sas.out, TWO_32 - PACKETS / 2);
    for (size_t i = 0; i < PACKETS; i++)
        packets[i] = sealed_new(sas.out);
    esp_in_start_at(sas.in, TWO_32 - 100);
    for (size_t i = 0; i < PACKETS; i++)
        ck_ok(open_copy(sas.in, &packets[backwards ? PACKETS - 1 - i : i]));
    for (size_t i = 0; i < PACKETS; i++) {
        ck_err(open_copy(sas.in, &packets[i]), ERR_REPLAYED);
        free(packets[i].data);
    }
    pair_free(&sas);
}
END_TEST

/* RFC 4303 2.2.1: the half that is not sent is authenticated all the same. */
START_TEST(the_upper_half_is_authenticated)
{
    struct pair sas = pair_new(&suites[_i], true);
    esp_out_start_at(sas.out, 3 * TWO_32 + 5);
    struct packet p = sealed_new(sas.out);
    ck_err(open_copy(sas.in, &p), ERR_INTEGRITY); /* taken for number 5 */
    esp_in_start_at(sas.in, 3 * TWO_32 + 1);
    ck_ok(open_copy(sas.in, &p));
    free(p.data);
    pair_free(&sas);
}
END_TEST

START_TEST(extended_and_plain_numbers_do_not_mix)
{
    for (size_t i = 0; i < SUITES; i++) {
        struct pair plain = pair_new(&suites[i], false), extended = pair_new(&suites[i], true);
        struct packet p = sealed_new(plain.out), q = sealed_new(extended.out);
        ck_err(open_copy(extended.in, &p), ERR_INTEGRITY);
        ck_err(open_copy(plain.in, &q), ERR_INTEGRITY);
        free(p.data);
        free(q.data);
        pair_free(&plain);
        pair_free(&extended);
    }
}
END_TEST

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
        text[2] = (uint8_t)(ip_len >> 8);
        text[3] = (uint8_t)ip_len;
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
    ck_assert_uint_eq(esp_in_counters(sas.in)->bad, sizeof(cases) / sizeof(cases[0]));
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
    ck_assert_uint_eq(esp_in_counters(sas.in)->bad, 0);
    ck_assert_uint_eq(esp_in_counters(sas.in)->packets, 0);
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
    ck_assert_uint_eq(esp_in_counters(sas.in)->bytes, 2 * 61);
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
    Suite *s = suite_create("esp sa");
    TCase *c = tcase_create("sealing");
    tcase_add_loop_test(c, round_trip_of_every_length, 0, 2 * SUITES);
    tcase_add_loop_test(c, header_room_and_tail_room_suffice_exactly, 0, SUITES);
    tcase_add_test(c, seals_nothing_but_ip);
    tcase_add_test(c, wire_format);
    tcase_add_test(c, reserved_spis_and_bad_keys_are_refused);
    tcase_add_loop_test(c, sequence_numbers_end, 0, 2);
    suite_add_tcase(s, c);

    c = tcase_create("replay");
    tcase_add_loop_test(c, a_repeated_packet_is_refused, 0, SUITES);
    tcase_add_test(c, the_window_has_an_edge);
    tcase_add_loop_test(c, a_forged_number_far_ahead_moves_nothing, 0, 2);
    tcase_add_test(c, number_zero_is_never_accepted);
    tcase_add_loop_test(c, extended_numbers_cross_the_boundary, 0, 2 * SUITES);
    tcase_add_loop_test(c, the_upper_half_is_authenticated, 0, SUITES);
    tcase_add_test(c, extended_and_plain_numbers_do_not_mix);
    suite_add_tcase(s, c);

    c = tcase_create("opening");
    tcase_add_loop_test(c, one_flipped_bit_anywhere_is_noticed, 0, 2 * SUITES);
    tcase_add_loop_test(c, short_packets_of_every_length, 0, SUITES);
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
