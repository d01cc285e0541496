/* Text for people, built into bounded buffers. */
#ifndef TERN_BASE_TEXT_H
#define TERN_BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>

#include "common/base/err.h"

enum { TEXT_LINE_MAX = 1024 }; /* the longest text_vescape makes, terminating zero included */

/* printf into out (at most TEXT_LINE_MAX), with every byte escaped as \xNN that could end the line,
 * drive a terminal or is not UTF-8: control characters (C0, DEL, C1), the Unicode line separators
 * and direction overrides, malformed sequences. Always terminated; cut at a whole character. */
void text_vescape(char *out, size_t cap, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

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
