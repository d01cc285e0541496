/* Key material of an IKE SA and its Child SAs (RFC 7296 2.14, 2.15, 2.17). */
#ifndef TERN_IKE_KEYS_H
#define TERN_IKE_KEYS_H

#include "common/crypto/prf.h"
#include "common/ike/proposal.h"

/* The named SK_* keys; a: integrity, e: encryption, p: for AUTH; i and r by the original roles. */
struct ike_keys {
    struct secret d, ai, ar, ei, er, pi, pr;
};

void ike_keys_wipe(struct ike_keys *k);

/* What goes into the derivation; all borrowed. */
struct ike_keys_input {
    struct span nonce_i, nonce_r;
    uint64_t spi_i, spi_r;
    struct span shared; /* g^ir */
};

/* RFC 7296 2.14. *ret is wiped on failure. */
CHECKED enum err ike_keys_derive(const struct suite *suite, const struct ike_keys_input *in,
                                 struct ike_keys *ret);

/* RFC 7296 2.18: of a rekeyed IKE SA. old_prf, old_d: of the one that it succeeds. */
CHECKED enum err ike_keys_rederive(enum prf_id old_prf, const struct secret *old_d,
                                   const struct suite *suite, const struct ike_keys_input *in,
                                   struct ike_keys *ret);

/* RFC 8784 3: SK_d, SK_pi and SK_pr again, each through prf+ under the PPK; the others stay. *k is
 * wiped on failure. */
CHECKED enum err ike_keys_mix(enum prf_id prf, const struct secret *ppk, struct ike_keys *k);

/* Keys of the four halves of a Child SA; i and r by the exchange that makes the child. */
struct child_keys {
    struct secret enc_i, integ_i, enc_r, integ_r;
};

void child_keys_wipe(struct child_keys *k);

/* RFC 7296 2.17; shared is empty without a new key exchange. */
CHECKED enum err child_keys_derive(enum prf_id prf, const struct secret *sk_d,
                                   const struct suite *esp, struct span shared, struct span nonce_i,
                                   struct span nonce_r, struct child_keys *ret);

/* The octets that one side signs (RFC 7296 2.15): its first message, the other's nonce, and its ID
 * payload's body under SK_p. `out` needs message.len + nonce.len + PRF_OUT_MAX octets. */
CHECKED enum err auth_octets(enum prf_id prf, const struct secret *sk_p, struct span message,
                             struct span other_nonce, struct span id_body, uint8_t *out, size_t cap,
                             struct span *ret);

/* AUTH data for a shared key: prf(prf(key, "Key Pad for IKEv2"), octets). */
CHECKED enum err auth_shared_key(enum prf_id prf, struct span key, struct span octets,
                                 uint8_t out[PRF_OUT_MAX]);

#endif
