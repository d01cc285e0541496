/* Private keys and signatures for IKE_AUTH (RFC 7296 2.15, RFC 4754, RFC 7427, RFC 8420). */
#ifndef TERN_CRYPTO_SIGNATURE_H
#define TERN_CRYPTO_SIGNATURE_H

#include "common/base/err.h"
#include "common/base/span.h"

/* IANA "IKEv2 Authentication Method" */
enum auth_method {
    AUTH_METHOD_RSA = 1, /* PKCS#1 v1.5; SHA-1, the only hash every RFC 7296 peer knows */
    AUTH_METHOD_PSK = 2,
    AUTH_METHOD_ECDSA_256 = 9,  /* RFC 4754: SHA-256 on P-256, raw r | s */
    AUTH_METHOD_ECDSA_384 = 10, /* SHA-384 on P-384 */
    AUTH_METHOD_ECDSA_521 = 11, /* SHA-512 on P-521 */
    AUTH_METHOD_SIGNATURE = 14  /* RFC 7427: AlgorithmIdentifier, then the signature */
};

/* IANA "IKEv2 Hash Algorithms" (RFC 7427), and as a set for what a peer announced. */
enum hash_id {
    HASH_SHA1 = 1,
    HASH_SHA2_256 = 2,
    HASH_SHA2_384 = 3,
    HASH_SHA2_512 = 4,
    HASH_IDENTITY = 5
};
typedef uint32_t hash_set; /* bit (1 << hash_id) */

enum key_type { KEY_NONE = 0, KEY_RSA, KEY_ECDSA, KEY_ED25519 };

enum { SIGNATURE_MAX = 1024 + 64 }; /* the whole AUTH data: RSA-8192 and its AlgorithmIdentifier */

struct private_key;
struct public_key;

/* PEM (PKCS#8, or traditional RSA/EC) or DER. The fault says what was seen; ERR_STATE where a
 * passphrase is needed (key_file.h). Keys that something else keeps: external_key.h. */
CHECKED enum err private_key_parse(struct span bytes, struct private_key **ret, struct fault *f);
void private_key_free(struct private_key *k); /* wipes; NULL is fine */
enum key_type private_key_type(const struct private_key *k);

/* The public half of k matches pub (does our certificate belong to our key?). */
bool private_key_matches(const struct private_key *k, const struct public_key *pub);

/* DER of a SubjectPublicKeyInfo: RSA, ECDSA on P-256, P-384 or P-521, Ed25519; ERR_UNSUPPORTED for
 * other keys. */
CHECKED enum err public_key_parse(struct span spki, struct public_key **ret);
enum key_type public_key_type(const struct public_key *k);
unsigned public_key_bits(const struct public_key *k);
void public_key_free(struct public_key *k); /* NULL is fine */

/* What the AUTH payload will say: with a peer that announced hashes (RFC 7427 4), method 14 and the
 * best of them (RSA: PSS, unless rsa_pss is false; Ed25519 needs HASH_IDENTITY); otherwise the old
 * method for the key (RSA: 1; ECDSA: 9, 10, 11 by its curve; Ed25519: ERR_UNSUPPORTED). Writes the
 * content of the AUTH payload after its four-octet head (for method 14 beginning with the length
 * octet of the AlgorithmIdentifier). An external key may take its time, and where it fails *f has
 * its words; other failures leave *f alone. */
CHECKED enum err signature_make(const struct private_key *k, hash_set peer_hashes, bool rsa_pss,
                                struct span message, enum auth_method *ret_method,
                                uint8_t out[SIGNATURE_MAX], size_t *ret_len, struct fault *f);

/* A signature within TLS by a SignatureScheme of RFC 8446 4.2.3: RSA (PKCS#1 v1.5 and PSS) and
 * ECDSA (DER) with SHA-2, Ed25519. ERR_UNSUPPORTED for another scheme, or one that is not this
 * key's; else as signature_make. */
CHECKED enum err signature_make_tls(const struct private_key *k, uint16_t scheme,
                                    struct span message, uint8_t *out, size_t cap, size_t *ret_len,
                                    struct fault *f);

/* Verify the content of an AUTH payload of that method against the key. Refuses (ERR_UNSUPPORTED)
 * algorithms outside this header, (ERR_REFUSED) RSA keys below 2048 bits, and under method 14
 * SHA-1; ERR_INTEGRITY where the signature is wrong. */
CHECKED enum err signature_verify(const struct public_key *k, enum auth_method method,
                                  struct span message, struct span auth_data);

/* In words: "RSA-PSS with SHA-256", for logs. Reads the AlgorithmIdentifier for method 14. */
const char *signature_text(enum auth_method method, struct span auth_data);

#endif
