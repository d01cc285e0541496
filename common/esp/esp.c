/* Sealing and opening ESP packets (RFC 4303) in tunnel mode.
 *
 *     | SPI | sequence | IV | inner packet | TFC padding | 1 2 3 .. | pad len | next header | ICV |
 *
 * A sequence number is used once or never: it is taken before the cipher runs and not given back,
 * and the IV derives from it. On the way in, nothing the packet says is believed, and nothing of
 * the SA changes, before the ICV has verified. The window is in replay.c, the choice of the SA and
 * the selectors in tunnel.c. */
#include "common/esp/esp.h"

#include <stdlib.h>

#include "common/base/be.h"
#include "common/esp/esp_internal.h"
#include "common/esp/replay.h"
#include "common/packet/protocol.h"

enum {
    SPI_MIN = 256,   /* 0 is for local use, 1 to 255 are reserved (RFC 4303 2.1) */
    TRAILER_LEN = 2, /* pad length, next header */
    ALIGN_MAX = 16,  /* of the text */
    ESN_HIGH_LEN = 4
};

/* A cipher with its dimensions, read once. */
struct esp_cipher {
    struct aead *aead;
    size_t iv_len, icv_len;
    size_t align; /* of the text: the cipher's block, or four octets (RFC 4303 2.4) */
};

struct esp_out {
    struct esp_cipher cipher;
    uint32_t spi;
    bool esn;
    uint64_t sequence; /* of the last packet sent; 0 before the first */
    uint64_t sequence_max;
    struct esp_tally counters;
};

struct esp_in {
    struct esp_cipher cipher;
    uint32_t spi;
    bool esn;
    struct replay_window window;
    struct esp_tally counters;
};

static size_t align_of(size_t block_len)
{
    return block_len < 4 ? 4 : block_len;
}

/* align is a power of two */
static size_t padding_len(size_t inner_len, size_t align)
{
    return (0 - (inner_len + TRAILER_LEN)) & (align - 1);
}

static enum err cipher_init(struct esp_cipher *c, const struct esp_parameters *p)
{
    if (p->spi < SPI_MIN)
        return ERR_MALFORMED;
    enum err e =
        aead_new(&p->suite, secret_span(&p->enc_key), secret_span(&p->integ_key), &c->aead);
    if (e != ERR_OK)
        return e;
    c->iv_len = aead_iv_len(c->aead);
    c->icv_len = aead_icv_len(c->aead);
    c->align = align_of(aead_block_len(c->aead));
    return ERR_OK;
}

enum err esp_out_new(const struct esp_parameters *p, struct esp_out **ret)
{
    struct esp_out *sa = calloc(1, sizeof(*sa));
    if (sa == NULL)
        return ERR_MEMORY;
    enum err e = cipher_init(&sa->cipher, p);
    if (e != ERR_OK) {
        free(sa);
        return e;
    }
    sa->spi = p->spi;
    sa->esn = p->esn;
    sa->sequence_max = p->esn ? UINT64_MAX : UINT32_MAX;
    *ret = sa;
    return ERR_OK;
}

void esp_out_free(struct esp_out *sa)
{
    if (sa == NULL)
        return;
    aead_free(sa->cipher.aead);
    free(sa);
}

enum err esp_in_new(const struct esp_parameters *p, struct esp_in **ret)
{
    struct esp_in *sa = calloc(1, sizeof(*sa));
    if (sa == NULL)
        return ERR_MEMORY;
    enum err e = cipher_init(&sa->cipher, p);
    if (e != ERR_OK) {
        free(sa);
        return e;
    }
    sa->spi = p->spi;
    sa->esn = p->esn;
    replay_init(&sa->window, 0);
    *ret = sa;
    return ERR_OK;
}

void esp_in_free(struct esp_in *sa)
{
    if (sa == NULL)
        return;
    aead_free(sa->cipher.aead);
    free(sa);
}

uint32_t esp_out_spi(const struct esp_out *sa)
{
    return sa->spi;
}

uint32_t esp_in_spi(const struct esp_in *sa)
{
    return sa->spi;
}

size_t esp_out_front(const struct esp_out *sa)
{
    return ESP_HEADER_LEN + sa->cipher.iv_len;
}

struct esp_counters esp_out_counters(const struct esp_out *sa)
{
    return esp_tally_read(&sa->counters);
}

const struct esp_tally *esp_out_tally(const struct esp_out *sa)
{
    return &sa->counters;
}

struct esp_counters esp_in_counters(const struct esp_in *sa)
{
    return esp_tally_read(&sa->counters);
}

uint64_t esp_out_left(const struct esp_out *sa)
{
    return sa->sequence_max - sa->sequence;
}

void esp_out_start_at(struct esp_out *sa, uint64_t sequence)
{
    ASSERT(sequence >= 1 && sequence - 1 <= sa->sequence_max);
    sa->sequence = sequence - 1;
}

void esp_in_start_at(struct esp_in *sa, uint64_t sequence)
{
    ASSERT(sequence >= 1);
    replay_init(&sa->window, sequence - 1);
}

static size_t suite_icv_len(const struct aead_suite *suite)
{
    switch (suite->encr) {
    case ENCR_AES_GCM_8:
        return 8;
    case ENCR_AES_GCM_12:
        return 12;
    case ENCR_AES_GCM_16:
    case ENCR_CHACHA20_POLY1305:
        return 16;
    case ENCR_AES_CBC:
    case ENCR_NULL:
    case ENCR_NONE:
        break;
    }
    switch (suite->integ) {
    case INTEG_HMAC_SHA1_96:
        return 12;
    case INTEG_HMAC_SHA2_256_128:
        return 16;
    case INTEG_HMAC_SHA2_384_192:
        return 24;
    case INTEG_HMAC_SHA2_512_256:
        return 32;
    case INTEG_NONE:
        break;
    }
    return 0;
}

static size_t suite_iv_len(const struct aead_suite *suite)
{
    return suite->encr == ENCR_NULL ? 0 : suite->encr == ENCR_AES_CBC ? 16 : 8;
}

static size_t suite_align(const struct aead_suite *suite)
{
    return align_of(suite->encr == ENCR_AES_CBC ? 16 : 1);
}

size_t esp_overhead(const struct aead_suite *suite, size_t inner_len)
{
    return ESP_HEADER_LEN + suite_iv_len(suite) + padding_len(inner_len, suite_align(suite)) +
           TRAILER_LEN + suite_icv_len(suite);
}

size_t esp_inner_max(const struct aead_suite *suite, size_t esp_max)
{
    size_t around = ESP_HEADER_LEN + suite_iv_len(suite) + suite_icv_len(suite);
    size_t text_max = esp_max > around ? (esp_max - around) & ~(suite_align(suite) - 1) : 0;
    return text_max > TRAILER_LEN ? text_max - TRAILER_LEN : 0;
}

/* What the trailer says of the inner packet; 0 where it is no IP packet. */
static uint8_t inner_next_header(const uint8_t *inner, size_t len)
{
    if (len >= IPV4_HEADER_LEN && inner[0] >> 4 == IP_V4)
        return PROTOCOL_IPV4;
    if (len >= IPV6_HEADER_LEN && inner[0] >> 4 == IP_V6)
        return PROTOCOL_IPV6;
    return 0;
}

/* Returns its length: padding, pad length, next header (RFC 4303 2.4 to 2.6). */
static size_t write_trailer(uint8_t trailer[ALIGN_MAX - 1 + TRAILER_LEN], size_t pad_len,
                            uint8_t next_header)
{
    for (size_t i = 0; i < pad_len; i++)
        trailer[i] = (uint8_t)(i + 1);
    trailer[pad_len] = (uint8_t)pad_len;
    trailer[pad_len + 1] = next_header;
    return pad_len + TRAILER_LEN;
}

enum err esp_seal(struct esp_out *sa, struct span inner, struct packet *p)
{
    const struct esp_cipher *c = &sa->cipher;
    uint8_t next_header = inner_next_header(inner.data, inner.len);
    if (next_header == 0)
        return ERR_MALFORMED;
    uint8_t trailer[ALIGN_MAX - 1 + TRAILER_LEN];
    size_t trailer_len = write_trailer(trailer, padding_len(inner.len, c->align), next_header);
    size_t front = esp_out_front(sa);
    size_t text_len = inner.len + trailer_len;
    if (p->start < front || p->cap - p->start < text_len + c->icv_len)
        return ERR_LIMIT;
    if (sa->sequence == sa->sequence_max)
        return ERR_EXHAUSTED;
    uint64_t sequence = ++sa->sequence;

    uint8_t *esp = packet_bytes(p) - front;
    be_write_u32(esp, sa->spi);
    be_write_u32(esp + 4, (uint32_t)sequence);
    aead_write_iv(c->aead, sequence, esp + ESP_HEADER_LEN);
    uint8_t esn_high[ESN_HIGH_LEN];
    be_write_u32(esn_high, (uint32_t)(sequence >> 32));
    enum err e = aead_seal_from(c->aead, esp, ESP_HEADER_LEN, inner,
                                span_make(trailer, trailer_len), sa->esn ? esn_high : NULL);
    if (e != ERR_OK)
        return e;
    p->start -= front;
    p->len = front + text_len + c->icv_len;
    tally_add(&sa->counters.packets, 1);
    tally_add(&sa->counters.bytes, inner.len);
    return ERR_OK;
}

/* The decrypted text, which starts at `front`: take the trailer off and see whether what is left
 * is what it says. The inner header's own length decides where the packet ends; what lies behind is
 * TFC padding (RFC 4303 2.7). */
static enum err strip(struct packet *p, size_t front, size_t text_len, struct ip_header *inner)
{
    const uint8_t *text = packet_bytes(p) + front;
    if (text_len < TRAILER_LEN)
        return ERR_MALFORMED;
    size_t padded_len = text_len - TRAILER_LEN;
    size_t pad_len = text[padded_len];
    uint8_t next_header = text[padded_len + 1];
    if (next_header == PROTOCOL_NONE) /* the rest of a dummy may be anything (RFC 4303 2.6) */
        return ERR_NOT_FOUND;
    if (pad_len > padded_len)
        return ERR_MALFORMED;
    size_t inner_len = padded_len - pad_len;
    for (size_t i = 0; i < pad_len; i++) {
        if (text[inner_len + i] != i + 1)
            return ERR_MALFORMED;
    }
    if (next_header == 0 || next_header != inner_next_header(text, inner_len))
        return ERR_MALFORMED;
    enum err e = ip_header_parse(span_make(text, inner_len), inner);
    if (e != ERR_OK)
        return e;
    p->start += front;
    p->len = inner->total_len;
    return ERR_OK;
}

enum err esp_open_inner(struct esp_in *sa, struct packet *p, struct esp_opened *opened)
{
    const struct esp_cipher *c = &sa->cipher;
    uint8_t *esp = packet_bytes(p);
    opened->authentic = false;
    if (p->len < ESP_HEADER_LEN)
        return ERR_MALFORMED;
    uint32_t low = be_read_u32(esp + 4);
    uint64_t sequence = sa->esn ? replay_extend(&sa->window, low) : low;
    if (!replay_is_fresh(&sa->window, sequence))
        return ERR_REPLAYED;
    uint8_t esn_high[ESN_HIGH_LEN];
    be_write_u32(esn_high, (uint32_t)(sequence >> 32));
    size_t text_len;
    enum err e =
        aead_open(c->aead, esp, p->len, ESP_HEADER_LEN, sa->esn ? esn_high : NULL, &text_len);
    if (e != ERR_OK)
        return e;
    replay_mark(&sa->window, sequence);
    opened->authentic = true;
    return strip(p, ESP_HEADER_LEN + c->iv_len, text_len, &opened->inner);
}

struct esp_counters esp_tally_read(const struct esp_tally *t)
{
    return (struct esp_counters){.packets = tally_read(&t->packets),
                                 .bytes = tally_read(&t->bytes),
                                 .replayed = tally_read(&t->replayed),
                                 .bad = tally_read(&t->bad),
                                 .congested = tally_read(&t->congested)};
}

void esp_tally_add(struct esp_tally *t, enum err result, size_t inner_len)
{
    if (result == ERR_OK) {
        tally_add(&t->packets, 1);
        tally_add(&t->bytes, inner_len);
    } else if (result == ERR_REPLAYED) {
        tally_add(&t->replayed, 1);
    } else if (result == ERR_REFUSED) {
        tally_add(&t->congested, 1);
    } else if (result != ERR_NOT_FOUND) {
        tally_add(&t->bad, 1);
    }
}

void esp_in_count(struct esp_in *sa, enum err result, size_t inner_len)
{
    esp_tally_add(&sa->counters, result, inner_len);
}

enum err esp_open(struct esp_in *sa, struct packet *p)
{
    struct esp_opened opened;
    enum err e = esp_open_inner(sa, p, &opened);
    esp_in_count(sa, e, p->len);
    return e;
}
