/* A random source that hands out known octets: published examples give the private key. */
#ifndef TERN_TESTS_FIXED_RANDOM_H
#define TERN_TESTS_FIXED_RANDOM_H

#include "common/base/span.h"
#include "common/crypto/random.h"

struct fixed_random {
    struct span bytes; /* borrowed */
    size_t at;         /* octets handed out */
};

/* Fails the test where more is drawn than bytes holds. *f must outlive the source. */
struct random_source fixed_random(struct fixed_random *f, struct span bytes);

#endif
