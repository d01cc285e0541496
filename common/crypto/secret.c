/* Key material. Everything here works on bytes whose contents must not show in timing, and leaves
 * nothing behind: octets beyond s->len are always zero. */
#include "common/crypto/secret.h"

#include <string.h>

#include <openssl/mem.h>

#include "common/base/text.h"

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

static enum err set_hex(struct secret *s, struct span digits)
{
    secret_wipe(s);
    if (digits.len == 0 || digits.len % 2 != 0)
        return ERR_MALFORMED;
    if (digits.len / 2 > SECRET_MAX)
        return ERR_LIMIT;
    enum err e = text_read_hex(digits, s->data);
    if (e != ERR_OK)
        secret_wipe(s);
    else
        s->len = digits.len / 2;
    return e;
}

enum err secret_set_shared_key(struct secret *s, struct span text)
{
    if (text.len >= 2 && text.data[0] == '0' && text.data[1] == 'x')
        return set_hex(s, span_make(text.data + 2, text.len - 2));
    return secret_set(s, text);
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
