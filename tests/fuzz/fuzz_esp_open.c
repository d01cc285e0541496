/* ESP packets inbound: forged ones, which change nothing, and authentic ones with any number and
 * any plaintext, which must go through the replay window exactly once. */
#include <stdlib.h>
#include <string.h>

#include "common/esp/esp_internal.h"
#include "common/esp/tunnel.h"
#include "tests/fuzz/fuzz.h"

enum { SPI = 0x40ffee01, PACKETS_MAX = 64 };

static const struct aead_suite suites[] = {
    {ENCR_AES_GCM_16, 256, INTEG_NONE},           {ENCR_AES_GCM_8, 128, INTEG_NONE},
    {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE},      {ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_512_256},
};

struct receiver {
    struct esp_in *in;
    struct aead *sealer;
    bool esn;
    uint64_t seen[PACKETS_MAX], top; /* authenticated numbers */
    size_t seen_count;
};

static bool fresh(const struct receiver *v, uint64_t sequence)
{
    if (sequence == 0 || sequence + ESP_REPLAY_WINDOW <= v->top)
        return false;
    for (size_t i = 0; i < v->seen_count; i++)
        if (v->seen[i] == sequence)
            return false;
    return true;
}

/* Opens in a buffer of exactly its size. */
static enum err open_exact(struct receiver *v, struct span packet, struct esp_opened *opened)
{
    uint8_t *copy = fuzz_copy(packet);
    struct packet p = {.data = copy, .cap = packet.len, .len = packet.len};
    enum err e = esp_open_inner(v->in, &p, opened);
    if (e == ERR_OK) {
        struct ip_header h;
        CHECK(p.start + p.len <= p.cap);
        CHECK(ip_header_parse(span_make(packet_bytes(&p), p.len), &h) == ERR_OK);
        CHECK(h.total_len == p.len);
    }
    free(copy);
    return e;
}

static void authentic(struct receiver *v, uint64_t sequence, struct span text, uint8_t damage)
{
    static uint8_t packet[ESP_HEADROOM + UINT16_MAX + ESP_TAILROOM];
    struct wire_writer w;
    uint8_t high[4];
    const size_t iv_len = aead_iv_len(v->sealer), block = aead_block_len(v->sealer);
    text.len -= text.len % block;
    wire_writer_init(&w, packet, sizeof(packet));
    wire_write_u32(&w, SPI);
    wire_write_u32(&w, (uint32_t)sequence);
    aead_write_iv(v->sealer, sequence, packet + w.len);
    w.len += iv_len;
    wire_write_span(&w, text);
    for (size_t i = 0; i < sizeof(high); i++)
        high[i] = (uint8_t)(sequence >> (56 - 8 * i));
    CHECK(aead_seal(v->sealer, packet, ESP_HEADER_LEN, text.len, v->esn ? high : NULL) == ERR_OK);
    size_t len = w.len + aead_icv_len(v->sealer);
    if (damage != 0)
        packet[ESP_HEADER_LEN + damage % (len - ESP_HEADER_LEN)] ^= damage;
    struct esp_opened opened;
    bool was_fresh = fresh(v, sequence);
    enum err e = open_exact(v, span_make(packet, len), &opened);
    CHECK(opened.authentic == (damage == 0 && was_fresh));
    if (!was_fresh)
        CHECK(e == ERR_REPLAYED || e == ERR_INTEGRITY || e == ERR_MALFORMED);
    if (!opened.authentic) {
        CHECK(e != ERR_OK);
        return;
    }
    CHECK(v->seen_count < PACKETS_MAX);
    v->seen[v->seen_count++] = sequence;
    v->top = sequence > v->top ? sequence : v->top;
}

/* Near the top, or anywhere that the receiver can still tell apart. */
static uint64_t draw_sequence(const struct receiver *v, struct wire_reader *r, uint8_t op)
{
    uint64_t sequence;
    if ((op & 4) != 0)
        sequence = v->top + wire_read_u32(r);
    else
        sequence = v->top + wire_read_u16(r) % (2 * ESP_REPLAY_WINDOW) - ESP_REPLAY_WINDOW;
    if (!v->esn)
        return (uint32_t)sequence;
    /* What lies further off has another upper half for the receiver (RFC 4303 A2.2). */
    uint64_t ahead = sequence - v->top;
    return sequence > v->top && ahead >= (uint64_t)1 << 31 ? v->top + 1 : sequence;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(data, size));
    uint8_t kind = wire_read_u8(&r);
    struct receiver v = {.esn = (kind & 1) != 0};
    struct esp_parameters p = {.spi = SPI, .esn = v.esn};
    p.suite = suites[(kind >> 1) % (sizeof(suites) / sizeof(suites[0]))];
    aead_key_lens(&p.suite, &p.enc_key.len, &p.integ_key.len);
    CHECK(esp_in_new(&p, &v.in) == ERR_OK);
    CHECK(aead_new(&p.suite, secret_span(&p.enc_key), secret_span(&p.integ_key), &v.sealer) ==
          ERR_OK);
    if ((kind & 0x80) != 0) {
        v.top = v.esn ? (uint64_t)3 << 32 : UINT32_MAX - 4000;
        v.top -= wire_read_u16(&r);
        esp_in_start_at(v.in, v.top + 1); /* the next one */
    }
    for (int i = 0; wire_left(&r) > 0 && i < PACKETS_MAX - 2; i++) {
        uint8_t op = wire_read_u8(&r);
        if ((op & 3) == 0) {
            struct esp_opened opened;
            CHECK(open_exact(&v, fuzz_piece(&r), &opened) != ERR_OK && !opened.authentic);
            continue;
        }
        uint64_t sequence = draw_sequence(&v, &r, op);
        uint8_t damage = (op & 8) != 0 ? wire_read_u8(&r) : 0;
        authentic(&v, sequence, fuzz_piece(&r), damage);
    }
    esp_in_free(v.in);
    aead_free(v.sealer);
    return 0;
}
