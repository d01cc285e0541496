/* The arithmetic of PEAP's cryptobinding. Constant names and orders are MS-PEAP's. */
#include "common/eap/peap_binding.h"

#include <string.h>

#include "common/base/wire.h"
#include "common/crypto/prf.h"

enum { TYPE_CRYPTO_BINDING = 12, INNER_KEY_LEN = 32, METHOD_TYPE = 25 };

/* Like prf+ of IKE, but with two octets of zero behind the counter. */
static enum err prf_with_zeros(struct span key, const char *label, struct span seed, uint8_t *out,
                               size_t len)
{
    uint8_t t[PRF_OUT_MAX];
    uint8_t count[3] = {0};
    size_t t_len = 0, at = 0;
    enum err e = ERR_OK;
    while (at < len && e == ERR_OK) {
        count[0]++;
        const struct span parts[] = {span_make(t, t_len), span_text(label), seed, SPAN_OF(count)};
        e = prf(PRF_HMAC_SHA1, key, parts, 4, t);
        t_len = SHA1_LEN;
        size_t n = len - at < t_len ? len - at : t_len;
        memcpy(out + at, t, n);
        at += n;
    }
    wipe(t, sizeof(t));
    return e;
}

enum err peap_binding_derive(struct peap_binding *b, const uint8_t tunnel_key[PEAP_TUNNEL_KEY_LEN],
                             struct span inner)
{
    uint8_t key[INNER_KEY_LEN] = {0}, made[PEAP_IPMK_LEN + PEAP_CMK_LEN];
    if (inner.len > 0)
        memcpy(key, inner.data, inner.len < sizeof(key) ? inner.len : sizeof(key));
    enum err e = prf_with_zeros(span_make(tunnel_key, PEAP_IPMK_LEN), "Inner Methods Compound Keys",
                                SPAN_OF(key), made, sizeof(made));
    memcpy(b->ipmk, made, sizeof(b->ipmk));
    memcpy(b->cmk, made + sizeof(b->ipmk), sizeof(b->cmk));
    wipe(key, sizeof(key));
    wipe(made, sizeof(made));
    return e;
}

void peap_binding_write(const struct peap_binding *b, enum peap_binding_subtype subtype,
                        const uint8_t nonce[PEAP_NONCE_LEN], uint8_t out[PEAP_BINDING_LEN])
{
    static const uint8_t method = METHOD_TYPE;
    uint8_t mac[PRF_OUT_MAX];
    struct wire_writer w;
    wire_writer_init(&w, out, PEAP_BINDING_LEN);
    wire_write_u16(&w, TYPE_CRYPTO_BINDING);
    wire_write_u16(&w, PEAP_BINDING_LEN - 4);
    wire_write_zeros(&w, 3); /* reserved; version 0 is spoken, and was received */
    wire_write_u8(&w, (uint8_t)subtype);
    wire_write_span(&w, span_make(nonce, PEAP_NONCE_LEN));
    wire_write_zeros(&w, SHA1_LEN);
    const struct span parts[] = {wire_written(&w), span_make(&method, 1)};
    enum err e = prf(PRF_HMAC_SHA1, SPAN_OF(b->cmk), parts, 2, mac);
    ASSERT(e == ERR_OK); /* it is among the algorithms */
    memcpy(out + PEAP_BINDING_LEN - SHA1_LEN, mac, SHA1_LEN);
}

bool peap_binding_good(const struct peap_binding *b, enum peap_binding_subtype subtype,
                       const uint8_t tlv[PEAP_BINDING_LEN], const uint8_t **ret_nonce)
{
    uint8_t expected[PEAP_BINDING_LEN];
    const uint8_t *nonce = tlv + 8;
    peap_binding_write(b, subtype, nonce, expected);
    *ret_nonce = nonce;
    return secret_equal(SPAN_OF(expected), span_make(tlv, PEAP_BINDING_LEN));
}

enum err peap_binding_key(const struct peap_binding *b, uint8_t out[PEAP_BINDING_KEY_LEN])
{
    static const uint8_t zero = 0; /* the label's own end belongs to it here, and here alone */
    return prf_with_zeros(SPAN_OF(b->ipmk), "Session Key Generating Function", span_make(&zero, 1),
                          out, PEAP_BINDING_KEY_LEN);
}
