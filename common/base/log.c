/* The one log sink of the process. The client sets it once at start, and only the thread of its
 * loop logs, so the state needs no lock. Escaping lives in text.c. */
#include "common/base/log.h"

#include <stdarg.h>
#include <stddef.h>

#include "common/base/text.h"

_Static_assert((int)LOG_LINE_MAX <= (int)TEXT_LINE_MAX, "a log line fits text_vescape");

static struct {
    log_sink *sink; /* NULL: drop all */
    void *ctx;
    enum log_level level;
} target;

void log_to(log_sink *sink, void *ctx, enum log_level level)
{
    target.sink = sink;
    target.ctx = ctx;
    target.level = level;
}

bool log_enabled(enum log_level level)
{
    return target.sink != NULL && level <= target.level;
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    text_vescape(line, sizeof line, format, args);
    va_end(args);
    target.sink(target.ctx, level, line);
}
