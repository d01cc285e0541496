/* Signing by keys that we do not have. What is asked for is cut so that any card can do it; what
 * comes back is believed only where the public half verifies it. */
#include "common/crypto/external_key.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/rsa.h>

#include "common/crypto/x509_internal.h"

enum { DIGEST_INFO_MAX = EVP_MAX_MD_SIZE + 32 };

enum err private_key_external(const struct public_key *pub, const struct key_signer *signer,
                              struct private_key **ret, struct fault *f)
{
    struct private_key *k = NULL;
    enum err e = private_key_from_pkey(pub->pkey, &k, f);
    if (e != ERR_OK)
        return e;
    k->external = true;
    k->signer = *signer;
    *ret = k;
    return ERR_OK;
}

bool private_key_is_external(const struct private_key *k)
{
    return k->external;
}

bool private_key_has_pss(const struct private_key *k)
{
    return !k->external || k->signer.pss;
}

/* RFC 8017 9.2, step 2. */
static enum err digest_info(const struct signature_scheme *s, struct span digest,
                            uint8_t out[DIGEST_INFO_MAX], size_t *ret_len)
{
    uint8_t *info = NULL;
    size_t len = 0;
    int allocated = 0;
    bool good = RSA_add_pkcs1_prefix(&info, &len, &allocated, EVP_MD_type(hash_md(s->hash)),
                                     digest.data, digest.len) == 1 &&
                len <= DIGEST_INFO_MAX;
    if (good)
        memcpy(out, info, len);
    if (allocated)
        OPENSSL_free(info);
    *ret_len = len;
    return good ? ERR_OK : ERR_CRYPTO;
}

static size_t order_width(const struct private_key *k)
{
    return (k->bits + 7) / 8;
}

static enum err make_request(const struct private_key *k, const struct signature_scheme *s,
                             struct span message, uint8_t space[DIGEST_INFO_MAX],
                             struct key_request *ret)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    *ret = (struct key_request){.hash = s->hash, .salt_len = s->salt_len};
    if (s->kind == SIGNATURE_ED25519) {
        ret->mechanism = KEY_MECHANISM_ED25519;
        ret->input = message;
        return ERR_OK;
    }
    if (EVP_Digest(message.data, message.len, digest, &len, hash_md(s->hash), NULL) != 1)
        return ERR_CRYPTO;
    if (s->kind == SIGNATURE_PKCS1) {
        size_t info_len;
        enum err e = digest_info(s, span_make(digest, len), space, &info_len);
        ret->mechanism = KEY_MECHANISM_PKCS1;
        ret->input = span_make(space, info_len);
        return e;
    }
    ret->mechanism = s->kind == SIGNATURE_PSS ? KEY_MECHANISM_PSS : KEY_MECHANISM_ECDSA;
    /* FIPS 186-4 6.4: the leftmost bits of a longer digest; not every card cuts them itself. */
    if (s->kind == SIGNATURE_ECDSA && len > order_width(k))
        len = (unsigned)order_width(k);
    memcpy(space, digest, len);
    ret->input = span_make(space, len);
    return ERR_OK;
}

static enum err take_signature(const struct private_key *k, const struct signature_scheme *s,
                               struct span made, uint8_t *out, size_t cap, size_t *ret_len)
{
    if (s->kind == SIGNATURE_ECDSA)
        return made.len == 2 * order_width(k)
                   ? ecdsa_der_from_raw(made, order_width(k), out, cap, ret_len)
                   : ERR_CRYPTO;
    if (made.len > cap)
        return ERR_LIMIT;
    memcpy(out, made.data, made.len);
    *ret_len = made.len;
    return ERR_OK;
}

enum err external_key_sign(const struct private_key *k, const struct signature_scheme *s,
                           struct span message, uint8_t *out, size_t cap, size_t *ret_len,
                           struct fault *f)
{
    uint8_t space[DIGEST_INFO_MAX], made[SIGNATURE_MAX];
    struct key_request request;
    size_t made_len = 0, len = 0;
    enum err e = make_request(k, s, message, space, &request);
    ERR_clear_error();
    if (e != ERR_OK)
        return e;
    e = k->signer.sign(k->signer.ctx, &request, made, sizeof made, &made_len, f);
    if (e != ERR_OK)
        return e;
    e = take_signature(k, s, span_make(made, made_len), out, cap, &len);
    if (e == ERR_OK)
        e = scheme_verify(k->pkey, s, message, span_make(out, len));
    if (e != ERR_OK)
        return fault_set(f, ERR_REFUSED,
                         "what our key made is no signature that our certificate verifies");
    *ret_len = len;
    return ERR_OK;
}
