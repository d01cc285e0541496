/* Signing and verifying by one scheme: the only place that calls BoringSSL's signatures for keys.
 * Which scheme an AUTH payload has is signature.c's, keys that others keep are external_key.c's. */
#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "common/crypto/x509_internal.h"

static bool set_padding(EVP_PKEY_CTX *ctx, const struct signature_scheme *s)
{
    if (s->kind == SIGNATURE_PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    if (s->kind == SIGNATURE_PSS)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, hash_md(s->hash)) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, (int)s->salt_len) == 1;
    return true;
}

enum err private_key_sign(const struct private_key *k, const struct signature_scheme *s,
                          struct span message, uint8_t *out, size_t cap, size_t *ret_len,
                          struct fault *f)
{
    EVP_MD_CTX ctx;
    EVP_PKEY_CTX *pctx = NULL;
    size_t len = cap;
    if (k->external)
        return external_key_sign(k, s, message, out, cap, ret_len, f);
    EVP_MD_CTX_init(&ctx);
    bool good = EVP_DigestSignInit(&ctx, &pctx, hash_md(s->hash), NULL, k->pkey) == 1 &&
                set_padding(pctx, s) &&
                EVP_DigestSign(&ctx, out, &len, message.data, message.len) == 1;
    EVP_MD_CTX_cleanup(&ctx);
    ERR_clear_error();
    if (!good)
        return ERR_CRYPTO;
    *ret_len = len;
    return ERR_OK;
}

enum err scheme_verify(EVP_PKEY *pkey, const struct signature_scheme *s, struct span message,
                       struct span signature)
{
    EVP_MD_CTX ctx;
    EVP_PKEY_CTX *pctx = NULL;
    EVP_MD_CTX_init(&ctx);
    bool good =
        EVP_DigestVerifyInit(&ctx, &pctx, hash_md(s->hash), NULL, pkey) == 1 &&
        set_padding(pctx, s) &&
        EVP_DigestVerify(&ctx, signature.data, signature.len, message.data, message.len) == 1;
    EVP_MD_CTX_cleanup(&ctx);
    ERR_clear_error();
    return good ? ERR_OK : ERR_INTEGRITY;
}

enum err ecdsa_raw_from_der(struct span der, size_t width, uint8_t *out)
{
    ECDSA_SIG *sig = ECDSA_SIG_from_bytes(der.data, der.len);
    bool good = sig != NULL && BN_bn2bin_padded(out, width, ECDSA_SIG_get0_r(sig)) &&
                BN_bn2bin_padded(out + width, width, ECDSA_SIG_get0_s(sig));
    ECDSA_SIG_free(sig);
    return good ? ERR_OK : ERR_CRYPTO;
}

enum err ecdsa_der_from_raw(struct span raw, size_t width, uint8_t *out, size_t cap,
                            size_t *ret_len)
{
    CBB cbb;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw.data, width, NULL), *s = BN_bin2bn(raw.data + width, width, NULL);
    bool good = sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1;
    if (!good) {
        BN_free(r);
        BN_free(s);
    }
    CBB_init_fixed(&cbb, out, cap);
    good = good && ECDSA_SIG_marshal(&cbb, sig) == 1 && CBB_finish(&cbb, NULL, ret_len) == 1;
    CBB_cleanup(&cbb);
    ECDSA_SIG_free(sig);
    return good ? ERR_OK : ERR_MEMORY;
}
