/* HMAC (RFC 2104) without a heap: a key is the two hash states behind its pads, computed once and
 * copied by value for every message. For prf.c and aead.c only. */
#ifndef TERN_CRYPTO_HMAC_H
#define TERN_CRYPTO_HMAC_H

#include "common/crypto/algorithm.h"

enum { HMAC_OUT_MAX = 64 };

/* The state of one hash of the SHA family; hmac.c knows its inside. */
struct hash_state {
    uint64_t opaque[32];
};

/* Immutable after hmac_key_set. */
struct hmac_key {
    enum prf_id prf;
    struct hash_state inner, outer;
};

struct hmac {
    const struct hmac_key *key; /* borrowed */
    struct hash_state inner;
};

/* Output octets; 0 for an unknown id. */
size_t hmac_len(enum prf_id prf);

/* Any key length. ERR_UNSUPPORTED for an unknown id. */
CHECKED enum err hmac_key_set(struct hmac_key *k, enum prf_id prf, struct span key);
void hmac_key_wipe(struct hmac_key *k);

/* out gets hmac_len octets; afterwards *h is wiped. */
void hmac_start(struct hmac *h, const struct hmac_key *key);
void hmac_add(struct hmac *h, struct span bytes);
void hmac_finish(struct hmac *h, uint8_t out[HMAC_OUT_MAX]);

#endif
