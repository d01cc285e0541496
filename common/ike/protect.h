/* The Encrypted payload (RFC 7296 3.14, RFC 5282): the rest of a message, sealed in place; and the
 * Encrypted Fragment payload (RFC 7383 2.5), a piece of one. */
#ifndef TERN_IKE_PROTECT_H
#define TERN_IKE_PROTECT_H

#include "common/crypto/aead.h"
#include "common/ike/message.h"

/* Octets before the IV: the generic header; for SKF the piece's number and their total too */
enum { SK_HEADER_LEN = 4, SKF_HEADER_LEN = 8 };

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

/* The same for one piece of a message: fragment.c cuts, numbers and joins. `first` is the type of
 * the message's first inner payload in piece 1, and PAYLOAD_NONE in the others. */
size_t skf_begin(struct message_writer *m, const struct aead *a, uint8_t first, uint16_t number,
                 uint16_t total);
CHECKED enum err skf_seal(struct message_writer *m, size_t at, const struct aead *a,
                          uint64_t counter, struct span *ret);

struct skf_payload {
    uint16_t number, total; /* 1 <= number <= total */
    uint8_t first;          /* means something in piece 1 alone */
    struct span text;       /* borrowed from the message */
    size_t message_len;     /* octets of the message that brought it */
};
/* As sk_open. A wrong number is ERR_MALFORMED before anything is decrypted. */
CHECKED enum err skf_open(uint8_t *message, size_t len, const struct payload_list *outer,
                          const struct aead *a, struct skf_payload *ret);

#endif
