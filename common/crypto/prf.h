/* Pseudo-random functions (RFC 7296 2.13) and the plain hashes that IKE needs. */
#ifndef TERN_CRYPTO_PRF_H
#define TERN_CRYPTO_PRF_H

#include "common/crypto/algorithm.h"
#include "common/crypto/secret.h"

enum { PRF_OUT_MAX = 64, HASH_OUT_MAX = 64 };

/* Output octets, which is also the preferred key length (20, 32, 48, 64); 0 for an unknown id. */
size_t prf_len(enum prf_id id);

/* out gets prf_len(id) octets. The data is the concatenation of the parts. Any key length. */
CHECKED enum err prf(enum prf_id id, struct span key, const struct span *parts, size_t count,
                     uint8_t out[PRF_OUT_MAX]);

/* prf+ (RFC 7296 2.13): fills out; ERR_LIMIT beyond 255 blocks. */
CHECKED enum err prf_plus(enum prf_id id, struct span key, const struct span *parts, size_t count,
                          uint8_t *out, size_t out_len);

/* SHA-1 of the parts: NAT detection (RFC 7296 2.23), CERTREQ key hashes (3.7). */
enum { SHA1_LEN = 20, SHA256_LEN = 32 };
void hash_sha1(const struct span *parts, size_t count, uint8_t out[SHA1_LEN]);
void hash_sha256(const struct span *parts, size_t count, uint8_t out[SHA256_LEN]);

#endif
