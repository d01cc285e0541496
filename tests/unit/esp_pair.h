/* A pair of ESP SAs of every suite and packets for them, for the tests of one SA. Packets lie in
 * buffers of exactly the room the contract asks for, so that ASan sees any step beside them. */
#ifndef TERN_TESTS_ESP_PAIR_H
#define TERN_TESTS_ESP_PAIR_H

#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/esp/esp.h"
#include "tests/support/support.h"

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
    {ENCR_NULL, 0, INTEG_HMAC_SHA2_256_128},
};
enum { SUITES = sizeof(suites) / sizeof(suites[0]), GCM = 2 };

static inline struct esp_parameters parameters_of(const struct aead_suite *suite, bool esn)
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

static inline struct pair pair_new(const struct aead_suite *suite, bool esn)
{
    struct esp_parameters p = parameters_of(suite, esn);
    struct pair pair;
    ck_ok(esp_out_new(&p, &pair.out));
    ck_ok(esp_in_new(&p, &pair.in));
    return pair;
}

static inline void pair_free(struct pair *pair)
{
    esp_out_free(pair->out);
    esp_in_free(pair->in);
}

/* An IPv4 or IPv6 header (protocol 253, for experiments) and a pattern up to len octets. */
static inline void write_inner(uint8_t *at, size_t len, enum ip_family family)
{
    static const uint8_t v6_head[] = {0x60, 0, 0, 0, 0, 0, 253, 64, 0xfd};
    static const uint8_t v4_head[] = {0x45, 0, 0,  0, 0, 0, 0x40, 0, 64, 253,
                                      0,    0, 10, 1, 0, 7, 10,   9, 0,  1};
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(i * 7);
    if (family == IP_V4) {
        memcpy(at, v4_head, sizeof(v4_head));
        be_write_u16(at + 2, (uint16_t)len);
    } else {
        memcpy(at, v6_head, sizeof(v6_head));
        at[4] = (uint8_t)((len - 40) >> 8);
        at[5] = (uint8_t)(len - 40);
    }
}

/* With exactly ESP_HEADROOM and ESP_TAILROOM around it; free(p.data). */
static inline struct packet inner_new(size_t len, enum ip_family family)
{
    struct packet p = {.cap = ESP_HEADROOM + len + ESP_TAILROOM, .start = ESP_HEADROOM, .len = len};
    p.data = malloc(p.cap);
    ck_assert_ptr_nonnull(p.data);
    memset(p.data, 0xee, p.cap);
    write_inner(packet_bytes(&p), len, family);
    return p;
}

/* A received packet: the buffer holds it and nothing more; free(p.data). */
static inline struct packet received_new(struct span wire)
{
    return (struct packet){
        .data = support_exact_copy(wire), .cap = wire.len, .start = 0, .len = wire.len};
}

static inline struct span wire_of(const struct packet *p)
{
    return span_make(packet_bytes(p), p->len);
}

static inline enum err seal_in_place(struct esp_out *out, struct packet *p)
{
    return esp_seal(out, wire_of(p), p);
}

/* Seal a small inner packet; the result as a received packet. */
static inline struct packet sealed_new(struct esp_out *out)
{
    struct packet p = inner_new(60, IP_V4);
    ck_ok(seal_in_place(out, &p));
    struct packet received = received_new(wire_of(&p));
    free(p.data);
    return received;
}

/* Open a copy of `wire`, which stays as it is. */
static inline enum err open_copy(struct esp_in *in, const struct packet *wire)
{
    struct packet p = received_new(wire_of(wire));
    enum err e = esp_open(in, &p);
    free(p.data);
    return e;
}

#endif
