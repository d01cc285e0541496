/* The Encrypted payload (RFC 7296 3.14, RFC 5282): the rest of a message, sealed in place. */
#ifndef TERN_IKE_PROTECT_H
#define TERN_IKE_PROTECT_H

#include "common/crypto/aead.h"
#include "common/ike/message.h"

/* Begin the SK payload; payloads written to m from here on are inside it. Returns its offset. */
size_t sk_begin(struct message_writer *m, const struct aead *a);
/* Pad, complete all lengths and seal. `counter` makes the IV: never the same twice under one key.
 * *ret is the finished message, borrowed from m's buffer. */
CHECKED enum err sk_seal(struct message_writer *m, size_t at, const struct aead *a,
                         uint64_t counter, struct span *ret);

/* Open the SK payload that ends `outer`, which was parsed from `message` (writable, decrypted in
 * place). *ret_first and *ret_inner: the chain inside. ERR_MALFORMED, ERR_INTEGRITY. */
CHECKED enum err sk_open(uint8_t *message, size_t len, const struct payload_list *outer,
                         const struct aead *a, uint8_t *ret_first, struct span *ret_inner);

#endif
