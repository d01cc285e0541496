/* HMAC over BoringSSL's SHA functions. BoringSSL's own HMAC_CTX allocates whenever it is copied;
 * its SHA contexts are plain values, so a key's two states can start every message from a copy on
 * the stack. Users: prf.c, and aead.c for every packet. */
#include "common/crypto/hmac.h"

#include <string.h>

#include <openssl/sha.h>

#include "common/crypto/secret.h"

union hash_context {
    SHA_CTX sha1;
    SHA256_CTX sha256;
    SHA512_CTX sha512; /* SHA-384 as well */
};

_Static_assert(sizeof(union hash_context) <= sizeof(struct hash_state), "hash_state is too small");

static size_t hash_block_len(enum prf_id prf)
{
    return prf == PRF_HMAC_SHA2_384 || prf == PRF_HMAC_SHA2_512 ? SHA512_CBLOCK : SHA256_CBLOCK;
}

static union hash_context load(const struct hash_state *s)
{
    union hash_context c;
    memcpy(&c, s->opaque, sizeof(c));
    return c;
}

static void store(struct hash_state *s, union hash_context *c)
{
    memcpy(s->opaque, c, sizeof(*c));
    wipe(c, sizeof(*c));
}

static void hash_start(enum prf_id prf, struct hash_state *s)
{
    union hash_context c;
    memset(&c, 0, sizeof(c));
    switch (prf) {
    case PRF_HMAC_SHA1:
        SHA1_Init(&c.sha1);
        break;
    case PRF_HMAC_SHA2_256:
        SHA256_Init(&c.sha256);
        break;
    case PRF_HMAC_SHA2_384:
        SHA384_Init(&c.sha512);
        break;
    case PRF_HMAC_SHA2_512:
        SHA512_Init(&c.sha512);
        break;
    case PRF_NONE:
        break;
    }
    store(s, &c);
}

static void hash_add(enum prf_id prf, struct hash_state *s, struct span bytes)
{
    if (bytes.len == 0)
        return;
    union hash_context c = load(s);
    switch (prf) {
    case PRF_HMAC_SHA1:
        SHA1_Update(&c.sha1, bytes.data, bytes.len);
        break;
    case PRF_HMAC_SHA2_256:
        SHA256_Update(&c.sha256, bytes.data, bytes.len);
        break;
    case PRF_HMAC_SHA2_384:
        SHA384_Update(&c.sha512, bytes.data, bytes.len);
        break;
    case PRF_HMAC_SHA2_512:
        SHA512_Update(&c.sha512, bytes.data, bytes.len);
        break;
    case PRF_NONE:
        break;
    }
    store(s, &c);
}

static void hash_finish(enum prf_id prf, struct hash_state *s, uint8_t *out)
{
    union hash_context c = load(s);
    switch (prf) {
    case PRF_HMAC_SHA1:
        SHA1_Final(out, &c.sha1);
        break;
    case PRF_HMAC_SHA2_256:
        SHA256_Final(out, &c.sha256);
        break;
    case PRF_HMAC_SHA2_384:
        SHA384_Final(out, &c.sha512);
        break;
    case PRF_HMAC_SHA2_512:
        SHA512_Final(out, &c.sha512);
        break;
    case PRF_NONE:
        break;
    }
    store(s, &c);
    wipe(s, sizeof(*s));
}

size_t hmac_len(enum prf_id prf)
{
    switch (prf) {
    case PRF_HMAC_SHA1:
        return SHA_DIGEST_LENGTH;
    case PRF_HMAC_SHA2_256:
        return SHA256_DIGEST_LENGTH;
    case PRF_HMAC_SHA2_384:
        return SHA384_DIGEST_LENGTH;
    case PRF_HMAC_SHA2_512:
        return SHA512_DIGEST_LENGTH;
    case PRF_NONE:
        break;
    }
    return 0;
}

static void pad_state(enum prf_id prf, const uint8_t *block, uint8_t pad, struct hash_state *ret)
{
    uint8_t padded[SHA512_CBLOCK];
    size_t len = hash_block_len(prf);
    for (size_t i = 0; i < len; i++)
        padded[i] = block[i] ^ pad;
    hash_start(prf, ret);
    hash_add(prf, ret, span_make(padded, len));
    wipe(padded, sizeof(padded));
}

enum err hmac_key_set(struct hmac_key *k, enum prf_id prf, struct span key)
{
    if (hmac_len(prf) == 0)
        return ERR_UNSUPPORTED;
    uint8_t block[SHA512_CBLOCK] = {0};
    if (key.len > hash_block_len(prf)) {
        /* RFC 2104 2: a key longer than the hash's block is hashed first. */
        struct hash_state s;
        hash_start(prf, &s);
        hash_add(prf, &s, key);
        hash_finish(prf, &s, block);
    } else if (key.len > 0) {
        memcpy(block, key.data, key.len);
    }
    k->prf = prf;
    pad_state(prf, block, 0x36, &k->inner);
    pad_state(prf, block, 0x5c, &k->outer);
    wipe(block, sizeof(block));
    return ERR_OK;
}

void hmac_key_wipe(struct hmac_key *k)
{
    wipe(k, sizeof(*k));
}

void hmac_start(struct hmac *h, const struct hmac_key *key)
{
    h->key = key;
    h->inner = key->inner;
}

void hmac_add(struct hmac *h, struct span bytes)
{
    hash_add(h->key->prf, &h->inner, bytes);
}

void hmac_finish(struct hmac *h, uint8_t out[HMAC_OUT_MAX])
{
    const struct hmac_key *key = h->key;
    uint8_t digest[HMAC_OUT_MAX];
    hash_finish(key->prf, &h->inner, digest);
    struct hash_state outer = key->outer;
    hash_add(key->prf, &outer, span_make(digest, hmac_len(key->prf)));
    hash_finish(key->prf, &outer, out);
    wipe(digest, sizeof(digest));
    wipe(h, sizeof(*h));
}
