/* Errors as words, faults, and what a broken invariant does. Escaping lives in text.c. */
#include "common/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

const char *err_text(enum err e)
{
    switch (e) {
    case ERR_OK:
        return "success";
    case ERR_MALFORMED:
        return "malformed";
    case ERR_UNSUPPORTED:
        return "not supported";
    case ERR_LIMIT:
        return "too large or too many";
    case ERR_INTEGRITY:
        return "integrity check failed";
    case ERR_REPLAYED:
        return "replayed";
    case ERR_SELECTOR:
        return "outside the traffic selectors";
    case ERR_NOT_FOUND:
        return "not found";
    case ERR_REFUSED:
        return "refused";
    case ERR_STATE:
        return "not possible in this state";
    case ERR_EXHAUSTED:
        return "exhausted";
    case ERR_MEMORY:
        return "out of memory";
    case ERR_CRYPTO:
        return "cryptographic operation failed";
    case ERR_SYSTEM:
        return "system error";
    case ERR_AGAIN:
        return "try again later";
    }
    return "unknown error";
}

enum err fault_set(struct fault *f, enum err code, const char *format, ...)
{
    if (f == NULL)
        return code;
    char text[sizeof f->text] = {0}; /* apart, since the arguments may be f's own words */
    va_list args;
    va_start(args, format);
    text_vescape(text, sizeof text, format, args);
    va_end(args);
    f->code = code;
    memcpy(f->text, text, sizeof text);
    f->hint[0] = '\0';
    return code;
}

void fault_hint(struct fault *f, const char *format, ...)
{
    if (f == NULL)
        return;
    char hint[sizeof f->hint] = {0};
    va_list args;
    va_start(args, format);
    text_vescape(hint, sizeof hint, format, args);
    va_end(args);
    memcpy(f->hint, hint, sizeof hint);
}

void assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}

enum err fault_about(struct fault *f, const char *what, const struct fault *from)
{
    (void)fault_set(f, from->code, "%s: %s", what, from->text);
    fault_hint(f, "%s", from->hint);
    return from->code;
}
