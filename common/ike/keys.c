/* Key derivation of RFC 7296. Everything secret lives in struct secret and is wiped on the way out.
 * Protection of messages with these keys is protect.c's. */
#include "common/ike/keys.h"

#include "common/base/wire.h"

void ike_keys_wipe(struct ike_keys *k)
{
    secret_wipe(&k->d);
    secret_wipe(&k->ai);
    secret_wipe(&k->ar);
    secret_wipe(&k->ei);
    secret_wipe(&k->er);
    secret_wipe(&k->pi);
    secret_wipe(&k->pr);
}

void child_keys_wipe(struct child_keys *k)
{
    secret_wipe(&k->enc_i);
    secret_wipe(&k->integ_i);
    secret_wipe(&k->enc_r);
    secret_wipe(&k->integ_r);
}

/* A piece of a longer run of key material. */
struct slice {
    struct secret *secret;
    size_t len;
};

/* Seven keys of at most 64 octets for an IKE SA; the four of a Child SA are fewer. */
enum { KEYMAT_MAX = 7 * 64 };

/* Fill prf+ output into the slices, in order. */
static enum err derive(enum prf_id prf, struct span key, const struct span *seed, size_t seeds,
                       const struct slice *slices, size_t count)
{
    uint8_t keymat[KEYMAT_MAX];
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += slices[i].len;
    ASSERT(total <= sizeof(keymat));
    enum err e = prf_plus(prf, key, seed, seeds, keymat, total);
    size_t at = 0;
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        e = secret_set(slices[i].secret, span_make(keymat + at, slices[i].len));
        at += slices[i].len;
    }
    wipe(keymat, sizeof(keymat));
    return e;
}

/* The seven keys from SKEYSEED, which is wiped. */
static enum err from_skeyseed(const struct suite *suite, const struct ike_keys_input *in,
                              uint8_t skeyseed[PRF_OUT_MAX], size_t skeyseed_len,
                              struct ike_keys *ret)
{
    size_t enc_len, integ_len;
    size_t p = prf_len(suite->prf);
    aead_key_lens(&suite->cipher, &enc_len, &integ_len);
    uint8_t spis[16];
    struct wire_writer s;
    wire_writer_init(&s, spis, sizeof(spis));
    wire_write_u64(&s, in->spi_i);
    wire_write_u64(&s, in->spi_r);
    const struct span seed[] = {in->nonce_i, in->nonce_r, wire_written(&s)};
    const struct slice slices[] = {
        {&ret->d, p},        {&ret->ai, integ_len}, {&ret->ar, integ_len}, {&ret->ei, enc_len},
        {&ret->er, enc_len}, {&ret->pi, p},         {&ret->pr, p},
    };
    enum err e = p == 0 || enc_len == 0
                     ? ERR_UNSUPPORTED
                     : derive(suite->prf, span_make(skeyseed, skeyseed_len), seed, 3, slices, 7);
    wipe(skeyseed, PRF_OUT_MAX);
    if (e != ERR_OK)
        ike_keys_wipe(ret);
    return e;
}

enum err ike_keys_derive(const struct suite *suite, const struct ike_keys_input *in,
                         struct ike_keys *ret)
{
    uint8_t nonces[2 * 256];
    struct wire_writer w;
    wire_writer_init(&w, nonces, sizeof(nonces));
    wire_write_span(&w, in->nonce_i);
    wire_write_span(&w, in->nonce_r);
    enum err e = wire_write_finish(&w);
    uint8_t skeyseed[PRF_OUT_MAX];
    if (e == ERR_OK)
        e = prf(suite->prf, wire_written(&w), &in->shared, 1, skeyseed);
    if (e != ERR_OK)
        return e;
    return from_skeyseed(suite, in, skeyseed, prf_len(suite->prf), ret);
}

enum err ike_keys_rederive(enum prf_id old_prf, const struct secret *old_d,
                           const struct suite *suite, const struct ike_keys_input *in,
                           struct ike_keys *ret)
{
    const struct span seed[] = {in->shared, in->nonce_i, in->nonce_r};
    uint8_t skeyseed[PRF_OUT_MAX];
    enum err e = prf(old_prf, secret_span(old_d), seed, 3, skeyseed);
    if (e != ERR_OK)
        return e;
    return from_skeyseed(suite, in, skeyseed, prf_len(old_prf), ret);
}

static enum err mix(enum prf_id prf, const struct secret *ppk, struct secret *key)
{
    struct secret mixed = {.len = key->len};
    const struct span seed = secret_span(key);
    enum err e = prf_plus(prf, secret_span(ppk), &seed, 1, mixed.data, mixed.len);
    if (e == ERR_OK)
        *key = mixed;
    secret_wipe(&mixed);
    return e;
}

enum err ike_keys_mix(enum prf_id prf, const struct secret *ppk, struct ike_keys *k)
{
    enum err e = mix(prf, ppk, &k->d);
    if (e == ERR_OK)
        e = mix(prf, ppk, &k->pi);
    if (e == ERR_OK)
        e = mix(prf, ppk, &k->pr);
    if (e != ERR_OK)
        ike_keys_wipe(k);
    return e;
}

enum err child_keys_derive(enum prf_id prf, const struct secret *sk_d, const struct suite *esp,
                           struct span shared, struct span nonce_i, struct span nonce_r,
                           struct child_keys *ret)
{
    size_t enc_len, integ_len;
    if (!aead_supported(&esp->cipher))
        return ERR_UNSUPPORTED;
    aead_key_lens(&esp->cipher, &enc_len, &integ_len);
    const struct span seed[] = {shared, nonce_i, nonce_r};
    /* RFC 7296 2.17: initiator to responder first, encryption before integrity. */
    const struct slice slices[] = {
        {&ret->enc_i, enc_len},
        {&ret->integ_i, integ_len},
        {&ret->enc_r, enc_len},
        {&ret->integ_r, integ_len},
    };
    enum err e = derive(prf, secret_span(sk_d), seed, 3, slices, 4);
    if (e != ERR_OK)
        child_keys_wipe(ret);
    return e;
}

enum err auth_octets(enum prf_id id, const struct secret *sk_p, struct span message,
                     struct span other_nonce, struct span id_body, uint8_t *out, size_t cap,
                     struct span *ret)
{
    uint8_t maced_id[PRF_OUT_MAX];
    enum err e = prf(id, secret_span(sk_p), &id_body, 1, maced_id);
    if (e != ERR_OK)
        return e;
    struct wire_writer w;
    wire_writer_init(&w, out, cap);
    wire_write_span(&w, message);
    wire_write_span(&w, other_nonce);
    wire_write_span(&w, span_make(maced_id, prf_len(id)));
    e = wire_write_finish(&w);
    if (e == ERR_OK)
        *ret = wire_written(&w);
    return e;
}

enum err auth_shared_key(enum prf_id id, struct span key, struct span octets,
                         uint8_t out[PRF_OUT_MAX])
{
    uint8_t padded[PRF_OUT_MAX];
    struct span pad = span_text("Key Pad for IKEv2");
    enum err e = prf(id, key, &pad, 1, padded);
    if (e == ERR_OK)
        e = prf(id, span_make(padded, prf_len(id)), &octets, 1, out);
    wipe(padded, sizeof(padded));
    return e;
}
