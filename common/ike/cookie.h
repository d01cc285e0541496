/* The responder's stateless cookies (RFC 7296 2.6): under load, an IKE_SA_INIT request must prove
 * that its sender receives at the address it claims before any state is kept. */
#ifndef TERN_IKE_COOKIE_H
#define TERN_IKE_COOKIE_H

#include "common/base/addr.h"
#include "common/crypto/random.h"
#include "common/ike/message.h"

enum { COOKIE_LEN = 1 + 32 };

struct cookie_jar {
    uint8_t keys[2][32]; /* current and previous secret */
    uint8_t version;     /* of the current one; the cookie's first octet */
    bool has_previous;
};
void cookie_jar_init(struct cookie_jar *j, const struct random_source *random);
/* A new secret; cookies of the previous one stay good until the next call. */
void cookie_jar_rotate(struct cookie_jar *j, const struct random_source *random);

/* Is `message` an IKE_SA_INIT request that carries our good cookie for its sender? */
bool cookie_jar_check(const struct cookie_jar *j, const struct endpoint *sender,
                      struct span message);
/* The answer that asks for one. ERR_MALFORMED where `message` is no IKE_SA_INIT request. */
CHECKED enum err cookie_jar_challenge(const struct cookie_jar *j, const struct endpoint *sender,
                                      struct span message, uint8_t *out, size_t cap,
                                      struct span *ret);

#endif
