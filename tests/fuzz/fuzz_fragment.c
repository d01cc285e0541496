/* Pieces of messages (RFC 7383) under keys that are known: our own cutting and joining, and trains
 * of pieces as a peer with the keys would make them. */
#include <stdlib.h>
#include <string.h>

#include "common/ike/fragment.h"
#include "tests/fuzz/fuzz.h"

enum { PIECES_MAX = 128, TEXT_MAX = 4096 };

static struct aead *cipher(uint8_t which)
{
    static const struct aead_suite suites[] = {
        {ENCR_AES_GCM_16, 256, INTEG_NONE},
        {ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128},
        {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE},
    };
    static struct aead *made[3];
    static const uint8_t key[64] = {1, 2, 3};
    size_t i = which % 3, enc_len, integ_len;
    if (made[i] == NULL) {
        aead_key_lens(&suites[i], &enc_len, &integ_len);
        CHECK(aead_new(&suites[i], span_make(key, enc_len), span_make(key, integ_len), &made[i]) ==
              ERR_OK);
    }
    return made[i];
}

/* What the assembly must hold: the pieces that were taken, by number. */
struct model {
    struct span texts[FRAGMENTS_MAX + 1]; /* owned copies */
    uint16_t total;
    uint8_t first;
};

static void model_clear(struct model *m)
{
    for (size_t i = 0; i <= FRAGMENTS_MAX; i++)
        free((void *)(uintptr_t)m->texts[i].data);
    *m = (struct model){0};
}

static void check_result(const struct fragment_assembly *f, const struct model *m)
{
    uint8_t first;
    struct span inner;
    fragment_assembly_result(f, &first, &inner);
    size_t at = 0;
    for (size_t i = 1; i <= m->total; i++) {
        CHECK(m->texts[i].len <= inner.len - at);
        CHECK(memcmp(inner.data + at, m->texts[i].data, m->texts[i].len) == 0);
        at += m->texts[i].len;
    }
    CHECK(at == inner.len && first == m->first);
    struct payload_list l;
    uint8_t bad;
    (void)!payload_list_parse(first, inner, &l, &bad);
}

static void take(struct fragment_assembly *f, struct model *model, const struct aead *a,
                 uint8_t *message, size_t len)
{
    struct ike_header h;
    struct payload_list outer;
    struct skf_payload p;
    uint8_t bad;
    if (ike_header_parse(span_make(message, len), &h) != ERR_OK)
        return;
    struct span body = span_make(message + IKE_HEADER_LEN, len - IKE_HEADER_LEN);
    if (payload_list_parse(h.next_payload, body, &outer, &bad) != ERR_OK ||
        skf_open(message, len, &outer, a, &p) != ERR_OK)
        return;
    CHECK(p.number >= 1 && p.number <= p.total && p.text.len <= len);
    struct fragment_assembly before = *f;
    bool complete = false;
    enum err e = fragment_add(f, &h, &p, &complete);
    if (e != ERR_OK) {
        CHECK(!complete && memcmp(&before, f, sizeof(before)) == 0);
        return;
    }
    bool afresh = before.total == 0 || f->id != before.id || f->exchange != before.exchange ||
                  f->response != before.response || f->total != before.total;
    if (afresh)
        model_clear(model);
    CHECK(f->count == (afresh ? 0 : before.count) + 1 && f->count <= f->total);
    CHECK(f->total <= FRAGMENTS_MAX && f->len <= IKE_MESSAGE_MAX);
    CHECK(complete == (f->count == f->total));
    CHECK(model->texts[p.number].data == NULL);
    model->texts[p.number] = span_make(fuzz_copy(p.text), p.text.len);
    model->total = p.total;
    if (p.number == 1)
        model->first = p.first;
    if (complete)
        check_result(f, model);
}

/* A sealed piece of the input's making, with an octet changed where it says so. */
static void peer_piece(struct fragment_assembly *f, struct model *model, const struct aead *a,
                       struct wire_reader *r, uint64_t counter)
{
    static uint8_t buffer[IKE_MESSAGE_MAX];
    uint8_t id = wire_read_u8(r), shape = wire_read_u8(r);
    uint16_t number = wire_read_u8(r), total = wire_read_u8(r);
    if ((shape & 0x80) != 0) {
        number = (uint16_t)(number << 8 | wire_read_u8(r));
        total = (uint16_t)(total << 8 | wire_read_u8(r));
    }
    uint8_t first = wire_read_u8(r);
    struct span text = fuzz_piece(r);
    const struct ike_header h = {
        .spi_i = 1,
        .spi_r = 2,
        .major = 2,
        .exchange = (uint8_t)(EXCHANGE_IKE_AUTH + (shape & 3)),
        .flags = (shape & 4) != 0 ? IKE_FLAG_RESPONSE : 0,
        .message_id = id,
    };
    struct message_writer m;
    struct span message;
    message_begin(&m, buffer, sizeof(buffer), &h);
    if ((shape & 8) != 0)
        payload_write(&m, PAYLOAD_VENDOR, span_text("in the clear"));
    size_t at = skf_begin(&m, a, first, number, total);
    wire_write_span(&m.w, text);
    if (skf_seal(&m, at, a, counter, &message) != ERR_OK)
        return;
    uint8_t *copy = fuzz_copy(message);
    if ((shape & 0x10) != 0)
        copy[wire_read_u8(r) % message.len] ^= (uint8_t)(1 + wire_read_u8(r) % 255);
    take(f, model, a, copy, message.len);
    free(copy);
}

static void peer_pieces(const struct aead *a, struct wire_reader *r)
{
    struct fragment_assembly f = {0};
    struct model model = {0};
    for (uint64_t i = 0; wire_left(r) > 0 && i < PIECES_MAX; i++)
        peer_piece(&f, &model, a, r, i + 1);
    fragment_assembly_wipe(&f);
    model_clear(&model);
}

/* As it came, under no key of ours: nothing may open. */
static void raw(const struct aead *a, struct span bytes)
{
    struct fragment_assembly f = {0};
    struct model model = {0};
    uint8_t *copy = fuzz_copy(bytes);
    take(&f, &model, a, copy, bytes.len);
    CHECK(f.total == 0);
    free(copy);
    model_clear(&model);
}

/* What we cut comes together again, whole or in pieces, in the order the input gives. */
static void our_pieces(const struct aead *a, struct wire_reader *r)
{
    static uint8_t buffer[IKE_MESSAGE_MAX], train_bytes[FRAGMENT_TRAIN_MAX];
    size_t max = (size_t)wire_read_u16(r);
    uint8_t rotate = wire_read_u8(r);
    struct span text = wire_read_rest(r), train, messages[FRAGMENTS_MAX];
    const struct ike_header h = {.spi_i = 1, .spi_r = 2, .major = 2, .exchange = 35};
    struct message_writer m;
    message_begin(&m, buffer, sizeof(buffer), &h);
    size_t at = sk_begin(&m, a);
    payload_write(&m, PAYLOAD_VENDOR, text);
    struct fragment_draft d;
    if (fragment_draft_init(&d, &m, at) != ERR_OK)
        return;
    uint64_t counter = 7;
    enum err e = fragment_seal(&d, a, &counter, max, train_bytes, sizeof(train_bytes), &train);
    CHECK(e == ERR_OK || e == ERR_LIMIT);
    if (e != ERR_OK || d.total == 0)
        return;
    size_t count = 0;
    while (fragment_train_next(&train, &messages[count])) {
        CHECK(messages[count].len <= max);
        count++;
    }
    CHECK(count == d.total && counter == 7 + count && train.len == 0);
    struct fragment_assembly f = {0};
    struct model model = {0};
    for (size_t i = 0; i < count; i++) {
        struct span piece = messages[(i + rotate) % count];
        uint8_t *copy = fuzz_copy(piece);
        take(&f, &model, a, copy, piece.len);
        free(copy);
        CHECK(f.count == i + 1);
    }
    uint8_t first;
    struct span inner;
    fragment_assembly_result(&f, &first, &inner);
    CHECK(first == PAYLOAD_VENDOR && inner.len == text.len + 4);
    CHECK(text.len == 0 || memcmp(inner.data + 4, text.data, text.len) == 0);
    fragment_assembly_wipe(&f);
    model_clear(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(data, size));
    uint8_t kind = wire_read_u8(&r);
    const struct aead *a = cipher((uint8_t)(kind >> 2));
    switch (kind % 4) {
    case 0:
        raw(a, wire_read_rest(&r));
        break;
    case 1:
        our_pieces(a, &r);
        break;
    default:
        peer_pieces(a, &r);
    }
    return 0;
}
