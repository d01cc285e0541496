/* The arithmetic of MS-CHAP-V2 (RFC 2759 8, RFC 3079 3.4), for either side. What goes over the wire
 * is method_mschapv2.c's. */
#ifndef TERN_EAP_MSCHAPV2_H
#define TERN_EAP_MSCHAPV2_H

#include "common/base/err.h"
#include "common/base/span.h"

enum {
    MSCHAPV2_HASH_LEN = 16,
    MSCHAPV2_CHALLENGE_LEN = 16,
    MSCHAPV2_RESPONSE_LEN = 24,
    MSCHAPV2_PROOF_LEN = 20,
    MSCHAPV2_PASSWORD_MAX = 256, /* UTF-16 units */
    MSCHAPV2_MSK_LEN = 64
};

/* What both sides have once the response is sent. password_hash is as good as the password. */
struct mschapv2 {
    uint8_t password_hash[MSCHAPV2_HASH_LEN];
    uint8_t server_challenge[MSCHAPV2_CHALLENGE_LEN];
    uint8_t peer_challenge[MSCHAPV2_CHALLENGE_LEN];
    uint8_t response[MSCHAPV2_RESPONSE_LEN];
};

/* The password as a person writes it, in UTF-8, becomes password_hash. ERR_MALFORMED (no UTF-8),
 * ERR_LIMIT. */
CHECKED enum err mschapv2_set_password(struct mschapv2 *m, struct span password);
/* The name that goes into the hash: without a domain before it ("CORP\alice"). */
struct span mschapv2_user(struct span name);
/* RFC 2759 8.1: from hash, challenges and the user's whole name the response. */
void mschapv2_respond(const struct mschapv2 *m, struct span name,
                      uint8_t out[MSCHAPV2_RESPONSE_LEN]);
/* RFC 2759 8.7: the server's proof, as the octets that "S=" has in hexadecimal. */
void mschapv2_prove(const struct mschapv2 *m, struct span name, uint8_t out[MSCHAPV2_PROOF_LEN]);
/* RFC 3079 3.4, put together as draft-kamath-pppext-eap-mschapv2 has it: what the server receives
 * with, what it sends with, zeros. */
void mschapv2_msk(const struct mschapv2 *m, uint8_t out[MSCHAPV2_MSK_LEN]);

#endif
