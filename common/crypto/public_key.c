/* Public keys: which kinds we use, and their sizes. They come out of certificates (certificate.c)
 * or from a SubjectPublicKeyInfo; signature.c verifies with them. */
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/nid.h>

#include "common/crypto/x509_internal.h"

enum key_type pkey_type(const EVP_PKEY *pkey, unsigned *ret_bits)
{
    *ret_bits = 0;
    switch (EVP_PKEY_id(pkey)) {
    case EVP_PKEY_RSA:
        *ret_bits = (unsigned)EVP_PKEY_bits(pkey);
        return KEY_RSA;
    case EVP_PKEY_EC:
        switch (EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(pkey)))) {
        case NID_X9_62_prime256v1:
            *ret_bits = 256;
            return KEY_ECDSA;
        case NID_secp384r1:
            *ret_bits = 384;
            return KEY_ECDSA;
        case NID_secp521r1:
            *ret_bits = 521;
            return KEY_ECDSA;
        default:
            return KEY_NONE;
        }
    case EVP_PKEY_ED25519:
        *ret_bits = 256;
        return KEY_ED25519;
    default:
        return KEY_NONE;
    }
}

enum err public_key_from_pkey(EVP_PKEY *pkey, struct public_key **ret)
{
    unsigned bits = 0;
    enum key_type type = pkey_type(pkey, &bits);
    if (type == KEY_NONE)
        return ERR_UNSUPPORTED;
    struct public_key *k = malloc(sizeof *k);
    if (k == NULL)
        return ERR_MEMORY;
    EVP_PKEY_up_ref(pkey);
    *k = (struct public_key){.pkey = pkey, .type = type, .bits = bits};
    *ret = k;
    return ERR_OK;
}

enum err public_key_parse(struct span spki, struct public_key **ret)
{
    CBS in, outer;
    CBS_init(&in, spki.data, spki.len);
    outer = in;
    CBS body;
    if (!CBS_get_asn1(&outer, &body, CBS_ASN1_SEQUENCE) || CBS_len(&outer) != 0)
        return ERR_MALFORMED;
    EVP_PKEY *pkey = EVP_parse_public_key(&in);
    uint32_t error = ERR_peek_last_error();
    ERR_clear_error();
    if (pkey == NULL)
        return ERR_GET_LIB(error) == ERR_LIB_EVP &&
                       ERR_GET_REASON(error) == EVP_R_UNSUPPORTED_ALGORITHM
                   ? ERR_UNSUPPORTED
                   : ERR_MALFORMED;
    enum err e = public_key_from_pkey(pkey, ret);
    EVP_PKEY_free(pkey);
    return e;
}

enum key_type public_key_type(const struct public_key *k)
{
    return k->type;
}

unsigned public_key_bits(const struct public_key *k)
{
    return k->bits;
}

void public_key_free(struct public_key *k)
{
    if (k == NULL)
        return;
    EVP_PKEY_free(k->pkey);
    free(k);
}
