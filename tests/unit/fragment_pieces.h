/* IKE messages cut, sealed and received, for the tests of pieces (RFC 7383). Received messages lie
 * in buffers of exactly their size, so that ASan sees any step beside them. */
#ifndef TERN_TESTS_FRAGMENT_PIECES_H
#define TERN_TESTS_FRAGMENT_PIECES_H

#include <stdlib.h>
#include <string.h>

#include "common/ike/fragment.h"
#include "tests/support/support.h"

enum { FIRST = PAYLOAD_VENDOR };

static const struct aead_suite suites[] = {
    {ENCR_AES_GCM_8, 128, INTEG_NONE},
    {ENCR_AES_GCM_12, 192, INTEG_NONE},
    {ENCR_AES_GCM_16, 256, INTEG_NONE},
    {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE},
    {ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96},
    {ENCR_AES_CBC, 192, INTEG_HMAC_SHA2_256_128},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_384_192},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_512_256},
};
enum { SUITE_COUNT = sizeof(suites) / sizeof(suites[0]) };

static const struct ike_header header = {
    .spi_i = 0x0102030405060708,
    .spi_r = 0x1112131415161718,
    .major = 2,
    .exchange = EXCHANGE_IKE_AUTH,
    .flags = IKE_FLAG_INITIATOR,
    .message_id = 1,
};

static struct aead *aead; /* of the suite that the looping test is at */
static struct fragment_assembly assembly;
static uint8_t plain[IKE_MESSAGE_MAX + 1000]; /* messages are built here, */
static uint8_t out[FRAGMENT_TRAIN_MAX];       /* and sealed here */
static uint64_t counter;

static inline void use_suite(int i)
{
    uint8_t key[64];
    size_t enc, integ;
    memset(key, 0x5a, sizeof(key));
    aead_key_lens(&suites[i], &enc, &integ);
    aead_free(aead);
    ck_ok(aead_new(&suites[i], span_make(key, enc), span_make(key, integ), &aead));
}

static inline void setup(void)
{
    assembly = (struct fragment_assembly){.total = 0};
    counter = 1000;
    use_suite(0);
}

static inline void teardown(void)
{
    fragment_assembly_wipe(&assembly);
    aead_free(aead);
    aead = NULL;
}

static inline uint32_t draw(void)
{
    static uint32_t state = 2463534242; /* xorshift32 */
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* A draft with text_len octets of plaintext: nothing, or a payload of them all. */
static inline struct fragment_draft draft_of(size_t text_len, size_t clear_len)
{
    struct message_writer m;
    struct fragment_draft d;
    static uint8_t body[IKE_MESSAGE_MAX];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)draw();
    message_begin(&m, plain, sizeof(plain), &header);
    if (clear_len > 0) {
        payload_write(&m, PAYLOAD_NOTIFY, SPAN_EMPTY);
        payload_write(&m, PAYLOAD_NONCE, span_make(body, clear_len));
    }
    size_t at = sk_begin(&m, aead);
    ck_assert(text_len == 0 || text_len >= 4);
    if (text_len > 0)
        payload_write(&m, FIRST, span_make(body, text_len - 4));
    ck_ok(fragment_draft_init(&d, &m, at));
    return d;
}

static inline struct span text_of(const struct fragment_draft *d)
{
    size_t at = d->sk_at + SK_HEADER_LEN + aead_iv_len(aead);
    return span_make(d->unsealed.data + at, d->unsealed.len - at);
}

/* One piece, as a peer might make it, right or wrong. */
static inline struct span piece(uint8_t *buffer, size_t cap, const struct ike_header *h,
                                uint8_t first, uint16_t number, uint16_t total, struct span text)
{
    struct message_writer m;
    struct span message;
    message_begin(&m, buffer, cap, h);
    size_t at = skf_begin(&m, aead, first, number, total);
    wire_write_span(&m.w, text);
    ck_ok(skf_seal(&m, at, aead, counter++, &message));
    return message;
}

/* As the IKE SA does: parse, open, and only then the assembly. */
static inline enum err receive(struct span message, bool *ret_complete)
{
    struct ike_header h;
    struct payload_list outer;
    struct skf_payload p;
    uint8_t bad;
    uint8_t *exact = support_exact_copy(message);
    enum err e = ike_header_parse(span_make(exact, message.len), &h);
    if (e == ERR_OK)
        e = payload_list_parse(h.next_payload,
                               span_make(exact + IKE_HEADER_LEN, message.len - IKE_HEADER_LEN),
                               &outer, &bad);
    if (e == ERR_OK)
        e = skf_open(exact, message.len, &outer, aead, &p);
    if (e == ERR_OK)
        e = fragment_add(&assembly, &h, &p, ret_complete);
    free(exact);
    return e;
}

static inline void expect_piece(struct span message, bool complete)
{
    bool got = !complete;
    ck_ok(receive(message, &got));
    ck_assert(got == complete);
}

/* Refused, and nothing changed. */
static inline void expect_refused(struct span message, enum err expected)
{
    struct fragment_assembly before = assembly;
    static uint8_t held[IKE_MESSAGE_MAX];
    if (assembly.len > 0)
        memcpy(held, assembly.buffer, assembly.len);
    bool complete = true;
    enum err e = receive(message, &complete);
    ck_assert_int_ne(e, ERR_OK);
    if (expected != ERR_OK)
        ck_assert_int_eq(e, expected);
    ck_assert(complete); /* not written */
    ck_assert_mem_eq(&assembly, &before, sizeof(before));
    if (assembly.len > 0)
        ck_assert_mem_eq(held, assembly.buffer, assembly.len);
}

static inline void expect_result(uint8_t first, struct span text)
{
    uint8_t got_first = 99;
    struct span got;
    fragment_assembly_result(&assembly, &got_first, &got);
    ck_assert_uint_eq(got_first, first);
    ck_span_eq(got, text);
}

/* Takes a train apart; returns how many. */
static inline size_t messages_of(struct span train, struct span list[FRAGMENTS_MAX])
{
    size_t count = 0;
    while (fragment_train_next(&train, &list[count]))
        if (++count == FRAGMENTS_MAX)
            break;
    ck_assert_uint_eq(train.len, 0);
    return count;
}

static inline size_t seal(struct fragment_draft *d, size_t datagram_max,
                          struct span list[FRAGMENTS_MAX])
{
    struct span train;
    ck_ok(fragment_seal(d, aead, &counter, datagram_max, out, sizeof(out), &train));
    size_t count = messages_of(train, list);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_le(list[i].len, datagram_max);
    return count;
}

/* Cuts a message into exactly that many. */
static inline size_t seal_into(size_t count, struct fragment_draft *d,
                               struct span list[FRAGMENTS_MAX])
{
    *d = draft_of(40 * count, 0);
    d->total = (uint16_t)(count - 1); /* fewer would do; but the total must grow */
    size_t whole = d->unsealed.len + aead_icv_len(aead);
    ck_assert_uint_eq(seal(d, whole, list), count);
    return count;
}

#endif
