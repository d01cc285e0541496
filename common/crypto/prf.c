/* Pseudo-random functions: every one we implement is an HMAC (hmac.c). */
#include "common/crypto/prf.h"

#include <string.h>

#include <openssl/sha.h>

#include "common/crypto/hmac.h"

_Static_assert((int)PRF_OUT_MAX == (int)HMAC_OUT_MAX, "a PRF's output is an HMAC's");

size_t prf_len(enum prf_id id)
{
    return hmac_len(id);
}

static void add_parts(struct hmac *h, const struct span *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hmac_add(h, parts[i]);
}

enum err prf(enum prf_id id, struct span key, const struct span *parts, size_t count,
             uint8_t out[PRF_OUT_MAX])
{
    struct hmac_key k;
    enum err e = hmac_key_set(&k, id, key);
    if (e != ERR_OK)
        return e;
    struct hmac h;
    hmac_start(&h, &k);
    add_parts(&h, parts, count);
    hmac_finish(&h, out);
    hmac_key_wipe(&k);
    return ERR_OK;
}

enum err prf_plus(enum prf_id id, struct span key, const struct span *parts, size_t count,
                  uint8_t *out, size_t out_len)
{
    struct hmac_key k;
    enum err e = hmac_key_set(&k, id, key);
    if (e != ERR_OK)
        return e;
    /* RFC 7296 2.13: T1 = prf(K, S | 1), Tn = prf(K, Tn-1 | S | n); n is one octet. */
    const size_t block_len = hmac_len(id);
    if (out_len > UINT8_MAX * block_len) {
        hmac_key_wipe(&k);
        return ERR_LIMIT;
    }
    uint8_t block[PRF_OUT_MAX];
    uint8_t n = 0;
    for (size_t done = 0; done < out_len;) {
        struct hmac h;
        hmac_start(&h, &k);
        if (n > 0)
            hmac_add(&h, span_make(block, block_len));
        n++;
        add_parts(&h, parts, count);
        hmac_add(&h, span_make(&n, 1));
        hmac_finish(&h, block);
        size_t take = out_len - done < block_len ? out_len - done : block_len;
        memcpy(out + done, block, take);
        done += take;
    }
    wipe(block, sizeof(block));
    hmac_key_wipe(&k);
    return ERR_OK;
}

void hash_sha1(const struct span *parts, size_t count, uint8_t out[SHA1_LEN])
{
    SHA_CTX c;
    SHA1_Init(&c);
    for (size_t i = 0; i < count; i++)
        if (parts[i].len > 0)
            SHA1_Update(&c, parts[i].data, parts[i].len);
    SHA1_Final(out, &c);
}

void hash_sha256(const struct span *parts, size_t count, uint8_t out[SHA256_LEN])
{
    SHA256_CTX c;
    SHA256_Init(&c);
    for (size_t i = 0; i < count; i++)
        if (parts[i].len > 0)
            SHA256_Update(&c, parts[i].data, parts[i].len);
    SHA256_Final(out, &c);
}
