/* Key exchange methods: MODP (RFC 3526, RFC 2409), ECP (RFC 5903), X25519 (RFC 8031). Peer values
 * are checked (RFC 6989: range, on the curve, not of low order) before they are used. */
#ifndef TERN_CRYPTO_KEX_H
#define TERN_CRYPTO_KEX_H

#include "common/crypto/algorithm.h"
#include "common/crypto/random.h"
#include "common/crypto/secret.h"

enum { KEX_PUBLIC_MAX = 512 };

struct kex; /* one ephemeral key pair */

bool kex_supported(enum ke_id id);
/* Octets of a public value on the wire: 256 for MODP_2048, 64 for ECP_256, 32 for X25519 ... */
size_t kex_public_len(enum ke_id id);

/* The private key comes from `random` alone. */
CHECKED enum err kex_new(enum ke_id id, const struct random_source *random, struct kex **ret);
/* The same key pair for another owner, who frees it as well. */
struct kex *kex_share(struct kex *k);
void kex_free(struct kex *k); /* wipes with the last owner; NULL is fine */
enum ke_id kex_id(const struct kex *k);
struct span kex_public(const struct kex *k); /* borrowed from k; as the KE payload carries it */

/* ERR_CRYPTO for a bad peer value: wrong length, zero, 1, p-1, >= p, off the curve, low order.
 * The secret has the full, leading-zero-padded length that RFC 7296 2.14 asks for. */
CHECKED enum err kex_shared(const struct kex *k, struct span peer, struct secret *ret);

#endif
