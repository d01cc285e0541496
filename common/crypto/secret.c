/* Key material. Everything here works on bytes whose contents must not show in timing, and leaves
 * nothing behind: octets beyond s->len are always zero. */
#include "common/crypto/secret.h"

#include <string.h>

#include <openssl/mem.h>

enum err secret_set(struct secret *s, struct span bytes)
{
    if (bytes.len > SECRET_MAX) {
        secret_wipe(s);
        return ERR_LIMIT;
    }
    /* memmove: bytes may be a part of s itself. */
    if (bytes.len > 0)
        memmove(s->data, bytes.data, bytes.len);
    wipe(s->data + bytes.len, SECRET_MAX - bytes.len);
    s->len = bytes.len;
    return ERR_OK;
}

struct span secret_span(const struct secret *s)
{
    return span_make(s->data, s->len);
}

void secret_wipe(struct secret *s)
{
    wipe(s, sizeof(*s));
}

void wipe(void *data, size_t len)
{
    OPENSSL_cleanse(data, len);
}

bool secret_equal(struct span a, struct span b)
{
    return a.len == b.len && CRYPTO_memcmp(a.data, b.data, a.len) == 0;
}
