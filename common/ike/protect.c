/* Sealing and opening of SK and SKF payloads. The additional data (or the head of what the MAC
 * covers) is the message from its first octet up to the IV, whatever clear payloads lie between. */
#include "common/ike/protect.h"

size_t sk_begin(struct message_writer *m, const struct aead *a)
{
    size_t at = payload_begin(m, PAYLOAD_SK);
    wire_write_zeros(&m->w, aead_iv_len(a));
    return at;
}

size_t skf_begin(struct message_writer *m, const struct aead *a, uint8_t first, uint16_t number,
                 uint16_t total)
{
    size_t at = payload_begin(m, PAYLOAD_SKF);
    wire_patch_u8(&m->w, at, first);
    wire_write_u16(&m->w, number);
    wire_write_u16(&m->w, total);
    wire_write_zeros(&m->w, aead_iv_len(a));
    return at;
}

/* iv_at: where the payload's own header ends and the additional data with it */
static enum err seal_text(struct message_writer *m, size_t at, size_t iv_at, const struct aead *a,
                          uint64_t counter, struct span *ret)
{
    size_t text_at = iv_at + aead_iv_len(a);
    size_t block = aead_block_len(a);
    /* Padding, then its length; the whole is a multiple of the block (RFC 7296 3.14). */
    size_t unpadded = m->w.len - text_at + 1;
    size_t pad = (block - unpadded % block) % block;
    wire_write_zeros(&m->w, pad);
    wire_write_u8(&m->w, (uint8_t)pad);
    size_t text_len = m->w.len - text_at;
    wire_write_zeros(&m->w, aead_icv_len(a));
    payload_end(m, at);
    struct span message;
    enum err e = message_finish(m, &message);
    if (e != ERR_OK)
        return e;
    aead_write_iv(a, counter, m->w.data + iv_at);
    e = aead_seal(a, m->w.data, iv_at, text_len, NULL);
    if (e == ERR_OK)
        *ret = message;
    return e;
}

enum err sk_seal(struct message_writer *m, size_t at, const struct aead *a, uint64_t counter,
                 struct span *ret)
{
    return seal_text(m, at, at + SK_HEADER_LEN, a, counter, ret);
}

enum err skf_seal(struct message_writer *m, size_t at, const struct aead *a, uint64_t counter,
                  struct span *ret)
{
    return seal_text(m, at, at + SKF_HEADER_LEN, a, counter, ret);
}

/* The payload of that type that ends the message; NULL where another one does. */
static const struct payload *last_of_type(const struct payload_list *outer, uint8_t type)
{
    if (outer->count == 0 || outer->items[outer->count - 1].type != type)
        return NULL;
    return &outer->items[outer->count - 1];
}

static enum err open_text(uint8_t *message, size_t len, size_t iv_at, const struct aead *a,
                          struct span *ret_inner)
{
    size_t text_len;
    /* A length that no sealed text has is as little the peer's word as a wrong ICV: all of it means
     * that the message is not authentic. */
    if (aead_open(a, message, len, iv_at, NULL, &text_len) != ERR_OK)
        return ERR_INTEGRITY;
    const uint8_t *text = message + iv_at + aead_iv_len(a);
    /* Authentic from here on; a peer may still be wrong about its own padding. */
    if (text_len == 0 || text[text_len - 1] >= text_len)
        return ERR_MALFORMED;
    *ret_inner = span_make(text, text_len - 1 - text[text_len - 1]);
    return ERR_OK;
}

enum err sk_open(uint8_t *message, size_t len, const struct payload_list *outer,
                 const struct aead *a, uint8_t *ret_first, struct span *ret_inner)
{
    const struct payload *sk = last_of_type(outer, PAYLOAD_SK);
    if (sk == NULL)
        return ERR_MALFORMED;
    /* The chain ends with it, and so does the message; its body may be empty, and point nowhere. */
    ASSERT(sk->body.len <= len);
    enum err e = open_text(message, len, len - sk->body.len, a, ret_inner);
    if (e == ERR_OK)
        *ret_first = sk->next;
    return e;
}

enum err skf_open(uint8_t *message, size_t len, const struct payload_list *outer,
                  const struct aead *a, struct skf_payload *ret)
{
    const struct payload *skf = last_of_type(outer, PAYLOAD_SKF);
    if (skf == NULL)
        return ERR_MALFORMED;
    ASSERT(skf->body.len <= len);
    struct wire_reader r;
    wire_reader_init(&r, skf->body);
    struct skf_payload p = {.first = skf->next, .message_len = len};
    p.number = wire_read_u16(&r);
    p.total = wire_read_u16(&r);
    /* RFC 7383 2.5; where the body is too short for them, zeros were read. */
    if (p.number == 0 || p.number > p.total)
        return ERR_MALFORMED;
    enum err e = open_text(message, len, len - wire_left(&r), a, &p.text);
    if (e == ERR_OK)
        *ret = p;
    return e;
}
