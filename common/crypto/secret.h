/* Key material: fixed storage, wiped after use, compared in constant time, never logged. */
#ifndef TERN_CRYPTO_SECRET_H
#define TERN_CRYPTO_SECRET_H

#include "common/base/err.h"
#include "common/base/span.h"

/* Room for the largest thing we keep: the shared secret of a 4096-bit MODP group. */
enum { SECRET_MAX = 512 };

struct secret {
    size_t len; /* octets in use */
    uint8_t data[SECRET_MAX];
};

/* ERR_LIMIT beyond SECRET_MAX (and *s is left empty). */
CHECKED enum err secret_set(struct secret *s, struct span bytes);
/* A pre-shared key as people write it (RFC 7296 2.15): its octets as they are; or, after "0x", in
 * hexadecimal. ERR_LIMIT; ERR_MALFORMED where "0x" is not followed by pairs of digits alone. *s is
 * left empty on errors. */
CHECKED enum err secret_set_shared_key(struct secret *s, struct span text);
struct span secret_span(const struct secret *s); /* borrowed */
void secret_wipe(struct secret *s);

/* Wipe any memory; the compiler may not drop it. */
void wipe(void *data, size_t len);
/* Constant time in the contents (lengths are public). */
bool secret_equal(struct span a, struct span b);

#endif
