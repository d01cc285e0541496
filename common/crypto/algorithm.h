/* The algorithms tern knows, by their IANA "IKEv2 Parameters" transform IDs, and their names in
 * strongSwan's spelling as profiles write them. */
#ifndef TERN_CRYPTO_ALGORITHM_H
#define TERN_CRYPTO_ALGORITHM_H

#include "common/base/err.h"
#include "common/base/span.h"

/* RFC 7296 3.3.2, transform types */
enum transform_type {
    TRANSFORM_ENCR = 1,
    TRANSFORM_PRF = 2,
    TRANSFORM_INTEG = 3,
    TRANSFORM_KE = 4,
    TRANSFORM_ESN = 5
};

enum encr_id {
    ENCR_NONE = 0,
    ENCR_NULL = 11, /* RFC 2410: enciphers nothing; ESP alone, and only where a profile names it */
    ENCR_AES_CBC = 12,
    ENCR_AES_GCM_8 = 18,
    ENCR_AES_GCM_12 = 19,
    ENCR_AES_GCM_16 = 20,
    ENCR_CHACHA20_POLY1305 = 28 /* RFC 7634; carries no key length attribute */
};

enum prf_id {
    PRF_NONE = 0,
    PRF_HMAC_SHA1 = 2,
    PRF_HMAC_SHA2_256 = 5,
    PRF_HMAC_SHA2_384 = 6,
    PRF_HMAC_SHA2_512 = 7
};

enum integ_id {
    INTEG_NONE = 0,
    INTEG_HMAC_SHA1_96 = 2,
    INTEG_HMAC_SHA2_256_128 = 12,
    INTEG_HMAC_SHA2_384_192 = 13,
    INTEG_HMAC_SHA2_512_256 = 14
};

enum ke_id {
    KE_NONE = 0,
    KE_MODP_1024 = 2, /* only where a profile names it */
    KE_MODP_2048 = 14,
    KE_MODP_3072 = 15,
    KE_MODP_4096 = 16,
    KE_ECP_256 = 19,
    KE_ECP_384 = 20,
    KE_ECP_521 = 21,
    KE_X25519 = 31
};

enum esn_id { ESN_NO = 0, ESN_YES = 1 };

/* One entry of a profile's algorithm string. Some names stand for two transforms (an encryption
 * keyword never does; "sha256" is INTEG and, in an IKE proposal without a PRF, the PRF as well). */
struct algorithm {
    const char *name; /* lower case, e.g. "aes256gcm16", "sha256", "prfsha384", "x25519" */
    enum transform_type type;
    uint16_t id;
    uint16_t key_bits; /* the key length attribute, 0 where there is none */
};

/* By name (aliases such as curve25519, ecp256, modp2048, aes256gcm128 = aes256gcm16 included), case
 * does not matter; NULL where unknown. */
const struct algorithm *algorithm_by_name(struct span name);
/* The canonical entry; NULL where we do not implement it. */
const struct algorithm *algorithm_by_id(enum transform_type type, uint16_t id, uint16_t key_bits);
/* Its name, or "encr-99/128" in a static per-call buffer of the caller for what we do not know. */
enum { ALGORITHM_TEXT_MAX = 32 };
const char *algorithm_text(enum transform_type type, uint16_t id, uint16_t key_bits,
                           char out[ALGORITHM_TEXT_MAX]);

/* True for ciphers that carry their own integrity (RFC 5282, RFC 7634). */
bool encr_is_aead(enum encr_id id);

#endif
