/* Private keys that something else keeps, such as a smart card: we have the public half, and
 * whoever made the key (a driver of the client's) signs when asked. */
#ifndef TERN_CRYPTO_EXTERNAL_KEY_H
#define TERN_CRYPTO_EXTERNAL_KEY_H

#include "common/crypto/signature.h"

/* As PKCS#11 cuts it: hashing is ours, but for Ed25519. */
enum key_mechanism {
    KEY_MECHANISM_PKCS1 = 1, /* RSASSA-PKCS1-v1_5; input: the DigestInfo (RFC 8017 9.2) */
    KEY_MECHANISM_PSS,       /* RSASSA-PSS, MGF1 with the same hash; input: the digest */
    KEY_MECHANISM_ECDSA,     /* input: the digest, no longer than the curve's order */
    KEY_MECHANISM_ED25519    /* input: the message */
};

struct key_request {
    enum key_mechanism mechanism;
    enum hash_id hash; /* that made the digest; 0 with Ed25519 */
    unsigned salt_len; /* octets, of PSS */
    struct span input;
};

/* The signature: of RSA as long as the modulus; of ECDSA r | s, each as wide as the order; of
 * Ed25519 64 octets. Blocks the caller's thread, and with it the exchange that the signature is
 * for, until it is there or a bound of the callback's own is reached (half a minute at most:
 * somebody may have to touch the card). Threads of the data path go on meanwhile. ERR_REFUSED where
 * the key cannot be used any more (the card is gone, its keeper has ended); the fault says why. */
typedef enum err key_sign(void *ctx, const struct key_request *r, uint8_t *out, size_t cap,
                          size_t *ret_len, struct fault *f);

struct key_signer {
    key_sign *sign;
    void *ctx; /* outlives the key */
    bool pss;  /* KEY_MECHANISM_PSS can be asked for */
};

/* Of the kinds and sizes that private_key_parse takes. pub is not needed afterwards. What the
 * signer makes is verified by it before it is used, so that a card cannot lie to us. */
CHECKED enum err private_key_external(const struct public_key *pub, const struct key_signer *signer,
                                      struct private_key **ret, struct fault *f);
bool private_key_is_external(const struct private_key *k);

#endif
