/* Borrowed runs of bytes; the cursor over them is wire.c. */
#include "common/base/span.h"

#include <string.h>

struct span span_text(const char *text)
{
    return span_make(text, strlen(text));
}

bool span_equal(struct span a, struct span b)
{
    /* memcmp may not be handed the NULL of an empty span */
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

void span_hex(struct span s, char *out, size_t out_len)
{
    static const char digits[] = "0123456789abcdef";
    if (out_len == 0)
        return;
    size_t at = 0;
    for (size_t i = 0; i < s.len && out_len - at > 2; i++) {
        out[at++] = digits[s.data[i] >> 4];
        out[at++] = digits[s.data[i] & 15];
    }
    out[at] = '\0';
}
