/* Text for people: bounded building, and the escaping that keeps a peer's bytes from forging a log
 * line or driving a terminal. fault_set (err.c) and log_write (log.c) pass everything through it.
 *
 * Invariant: what text_vescape leaves in `out` is one line of valid UTF-8 without control
 * characters, whatever the arguments were. */
#include "common/base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

size_t text_utf8_decode(struct span text, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *s = text.data;
    if (text.len == 0)
        return 0;
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (len == 0 || len > text.len || s[0] > 0xf4)
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

    struct span in = span_text(raw);
    size_t at = 0;
    while (in.len > 0) {
        uint32_t point = 0;
        size_t len = text_utf8_decode(in, &point);
        bool plain = len > 0 && harmless(point);
        if (len == 0)
            len = 1;
        size_t need = plain ? len : 4 * len;
        if (need > cap - 1 - at)
            break;
        for (size_t i = 0; i < len; i++) {
            if (plain) {
                out[at++] = (char)in.data[i];
                continue;
            }
            out[at++] = '\\';
            out[at++] = 'x';
            out[at++] = digits[in.data[i] >> 4];
            out[at++] = digits[in.data[i] & 15];
        }
        in = span_make(in.data + len, in.len - len);
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

int text_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum err text_read_hex(struct span digits, uint8_t *out)
{
    if (digits.len % 2 != 0)
        return ERR_MALFORMED;
    for (size_t i = 0; i < digits.len; i += 2) {
        int high = text_hex_digit((char)digits.data[i]);
        int low = text_hex_digit((char)digits.data[i + 1]);
        if (high < 0 || low < 0)
            return ERR_MALFORMED;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return ERR_OK;
}
