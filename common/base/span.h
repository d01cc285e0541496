/* A borrowed run of bytes. Whoever hands out a span says how long it lives; parsed spans borrow the
 * datagram they came from. */
#ifndef TERN_BASE_SPAN_H
#define TERN_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const uint8_t *data; /* may be NULL only where len is 0 */
    size_t len;          /* octets */
};

#define SPAN_EMPTY ((struct span){NULL, 0})
/* The whole of an array. */
#define SPAN_OF(array) ((struct span){(array), sizeof(array)})

static inline struct span span_make(const void *data, size_t len)
{
    return (struct span){(const uint8_t *)data, len};
}

/* The text without its terminating zero. */
struct span span_text(const char *text);

/* Not constant-time; secrets are compared with secret_equal(). */
bool span_equal(struct span a, struct span b);

/* Lower-case hex, always terminated; cut (at a whole octet) where out is short. */
void span_hex(struct span s, char *out, size_t out_len);

#endif
