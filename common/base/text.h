/* Text for people, built into bounded buffers. */
#ifndef TERN_BASE_TEXT_H
#define TERN_BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>

#include "common/base/err.h"
#include "common/base/span.h"

enum { TEXT_LINE_MAX = 1024 }; /* the longest text_vescape makes, terminating zero included */

/* printf into out (at most TEXT_LINE_MAX), with every byte escaped as \xNN that could end the line,
 * drive a terminal or is not UTF-8: control characters (C0, DEL, C1), the Unicode line separators
 * and direction overrides, malformed sequences. Always terminated; cut at a whole character. */
void text_vescape(char *out, size_t cap, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* The length of the UTF-8 sequence that the text begins with (RFC 3629: shortest form, no
 * surrogates, at most U+10FFFF) and its code point; 0 where it begins with none. */
size_t text_utf8_decode(struct span text, uint32_t *ret);

/* 0 to 15, of either case; -1 for what is no hexadecimal digit. */
int text_hex_digit(char c);
/* Pairs of such digits into out, which has room for half as many octets. ERR_MALFORMED where they
 * are something else; some may be written then. */
CHECKED enum err text_read_hex(struct span digits, uint8_t *out);

/* Text put together piece by piece. A piece that does not fit whole is left out, and so is all that
 * follows it: `cut` says so. */
struct text_builder {
    char *out; /* caller's buffer, always terminated */
    size_t cap;
    size_t len;
    bool cut;
};

void text_begin(struct text_builder *t, char *out, size_t cap);
void text_add(struct text_builder *t, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
