/* Text for people: bounded building, and the escaping that keeps a peer's bytes from forging a log
 * line or driving a terminal. fault_set (err.c) and log_write (log.c) pass everything through it.
 *
 * Invariant: what text_vescape leaves in `out` is one line of valid UTF-8 without control
 * characters, whatever the arguments were. */
#include "common/base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 sequence at s (RFC 3629: shortest form, no surrogates, at most U+10FFFF) and
 * its code point; 0 where it is not one. Reads no further than the terminating zero, which is no
 * continuation byte. */
static size_t utf8_decode(const unsigned char *s, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (len == 0 || s[0] > 0xf4)
        return 0;
    uint32_t point = len == 1 ? s[0] : s[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (s[i] & 0x3f);
    }
    if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *ret = point;
    return len;
}

static bool harmless(uint32_t point)
{
    bool control = point < 0x20 || (point >= 0x7f && point <= 0x9f);
    bool separator = point == 0x2028 || point == 0x2029;
    bool direction = point == 0x61c || point == 0x200e || point == 0x200f ||
                     (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
    return !control && !separator && !direction;
}

void text_vescape(char *out, size_t cap, const char *format, va_list args)
{
    static const char digits[] = "0123456789abcdef";
    char raw[TEXT_LINE_MAX];
    ASSERT(cap > 0 && cap <= sizeof raw);
    /* The raw text is cut at the same length as the result: a character that this cut splits is
     * escaped, and then never fits. */
    if (vsnprintf(raw, cap, format, args) < 0)
        raw[0] = '\0';

    const unsigned char *in = (const unsigned char *)raw;
    size_t at = 0;
    while (*in != '\0') {
        uint32_t point = 0;
        size_t len = utf8_decode(in, &point);
        bool plain = len > 0 && harmless(point);
        if (len == 0)
            len = 1;
        size_t need = plain ? len : 4 * len;
        if (need > cap - 1 - at)
            break;
        for (size_t i = 0; i < len; i++) {
            if (plain) {
                out[at++] = (char)in[i];
                continue;
            }
            out[at++] = '\\';
            out[at++] = 'x';
            out[at++] = digits[in[i] >> 4];
            out[at++] = digits[in[i] & 15];
        }
        in += len;
    }
    out[at] = '\0';
}

void text_begin(struct text_builder *t, char *out, size_t cap)
{
    ASSERT(cap > 0);
    *t = (struct text_builder){.out = out, .cap = cap};
    out[0] = '\0';
}

void text_add(struct text_builder *t, const char *format, ...)
{
    if (t->cut)
        return;
    size_t room = t->cap - t->len;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(t->out + t->len, room, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= room) {
        t->out[t->len] = '\0';
        t->cut = true;
        return;
    }
    t->len += (size_t)len;
}
