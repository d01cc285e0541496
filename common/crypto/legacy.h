/* Primitives that nothing new may use: what EAP-MSCHAPv2 (RFC 2759, RFC 3079) and EAP-MD5 (RFC 3748
 * 5.4) are made of. For common/eap, and whoever serves it, alone. */
#ifndef TERN_CRYPTO_LEGACY_H
#define TERN_CRYPTO_LEGACY_H

#include "common/base/span.h"

enum { MD4_LEN = 16, MD5_LEN = 16, DES_KEY_LEN = 7, DES_BLOCK_LEN = 8 };

/* Of the concatenated parts. */
void hash_md4(const struct span *parts, size_t count, uint8_t out[MD4_LEN]);
void hash_md5(const struct span *parts, size_t count, uint8_t out[MD5_LEN]);

/* One block under a key of 56 bits as RFC 2759 8.6 has it: without parity bits. */
void des_encrypt(const uint8_t key[DES_KEY_LEN], const uint8_t clear[DES_BLOCK_LEN],
                 uint8_t out[DES_BLOCK_LEN]);

#endif
