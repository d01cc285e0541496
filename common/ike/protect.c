/* Sealing and opening of SK payloads. The additional data (or the head of what the MAC covers) is
 * the message from its first octet up to the IV, whatever clear payloads lie between. */
#include "common/ike/protect.h"

enum { SK_HEADER_LEN = 4 };

size_t sk_begin(struct message_writer *m, const struct aead *a)
{
    size_t at = payload_begin(m, PAYLOAD_SK);
    wire_write_zeros(&m->w, aead_iv_len(a));
    return at;
}

enum err sk_seal(struct message_writer *m, size_t at, const struct aead *a, uint64_t counter,
                 struct span *ret)
{
    size_t text_at = at + SK_HEADER_LEN + aead_iv_len(a);
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
    aead_write_iv(a, counter, m->w.data + at + SK_HEADER_LEN);
    e = aead_seal(a, m->w.data, at + SK_HEADER_LEN, text_len, NULL);
    if (e == ERR_OK)
        *ret = message;
    return e;
}

enum err sk_open(uint8_t *message, size_t len, const struct payload_list *outer,
                 const struct aead *a, uint8_t *ret_first, struct span *ret_inner)
{
    if (outer->count == 0 || outer->items[outer->count - 1].type != PAYLOAD_SK)
        return ERR_MALFORMED;
    const struct payload *sk = &outer->items[outer->count - 1];
    /* The chain ends with it, and so does the message; its body may be empty, and point nowhere. */
    ASSERT(sk->body.len <= len);
    size_t aad_len = len - sk->body.len;
    size_t text_len;
    enum err e = aead_open(a, message, len, aad_len, NULL, &text_len);
    if (e != ERR_OK)
        return e;
    const uint8_t *text = message + aad_len + aead_iv_len(a);
    /* Authentic from here on; a peer may still be wrong about its own padding. */
    if (text_len == 0 || text[text_len - 1] >= text_len)
        return ERR_MALFORMED;
    *ret_first = sk->next;
    *ret_inner = span_make(text, text_len - 1 - text[text_len - 1]);
    return ERR_OK;
}
