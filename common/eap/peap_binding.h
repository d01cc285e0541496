/* The cryptobinding of PEAP (MS-PEAP 3.1.5.5), for either side: whoever has the tunnel's key has
 * the inner method's too. */
#ifndef TERN_EAP_PEAP_BINDING_H
#define TERN_EAP_PEAP_BINDING_H

#include "common/base/err.h"
#include "common/base/span.h"

enum {
    PEAP_TUNNEL_KEY_LEN = 60, /* the first of what TLS makes for the method's key */
    PEAP_IPMK_LEN = 40,
    PEAP_CMK_LEN = 20,
    PEAP_BINDING_LEN = 60, /* the TLV, its head included */
    PEAP_NONCE_LEN = 32,
    PEAP_BINDING_KEY_LEN = 64
};

enum peap_binding_subtype { PEAP_BINDING_REQUEST = 0, PEAP_BINDING_RESPONSE = 1 };

struct peap_binding {
    uint8_t ipmk[PEAP_IPMK_LEN], cmk[PEAP_CMK_LEN];
};

/* inner: the inner method's key as the peer has it, what it sends with first; of what is longer 32
 * octets count, and what is shorter is filled with zeros. */
CHECKED enum err peap_binding_derive(struct peap_binding *b,
                                     const uint8_t tunnel_key[PEAP_TUNNEL_KEY_LEN],
                                     struct span inner);
void peap_binding_write(const struct peap_binding *b, enum peap_binding_subtype subtype,
                        const uint8_t nonce[PEAP_NONCE_LEN], uint8_t out[PEAP_BINDING_LEN]);
/* tlv: PEAP_BINDING_LEN octets. */
bool peap_binding_good(const struct peap_binding *b, enum peap_binding_subtype subtype,
                       const uint8_t tlv[PEAP_BINDING_LEN], const uint8_t **ret_nonce);
/* The method's key, once both sides are bound. */
CHECKED enum err peap_binding_key(const struct peap_binding *b, uint8_t out[PEAP_BINDING_KEY_LEN]);

#endif
