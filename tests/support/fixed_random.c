/* The random source of known-answer tests. */
#include "tests/support/fixed_random.h"

#include <string.h>

#include "tests/support/support.h"

static void fill(void *ctx, uint8_t *out, size_t len)
{
    struct fixed_random *f = ctx;
    ck_assert_msg(len <= f->bytes.len - f->at, "more octets drawn than the test gave: %zu of %zu",
                  f->at + len, f->bytes.len);
    memcpy(out, f->bytes.data + f->at, len);
    f->at += len;
}

struct random_source fixed_random(struct fixed_random *f, struct span bytes)
{
    *f = (struct fixed_random){bytes, 0};
    return (struct random_source){fill, f};
}
