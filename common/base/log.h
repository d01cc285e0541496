/* Log lines, as text for people. The core knows no file and no clock: one sink, set by the program,
 * takes finished lines. Never pass a secret; bytes from a peer are escaped before they get here
 * (log_write escapes control characters in the finished line, so nothing forges a second one). */
#ifndef TERN_BASE_LOG_H
#define TERN_BASE_LOG_H

#include "common/base/err.h"

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum { LOG_LINE_MAX = 1024 }; /* longer lines are cut */

typedef void log_sink(void *ctx, enum log_level level, const char *line);

/* Lines above `level` are dropped before they are formatted. The default sink drops all. */
void log_to(log_sink *sink, void *ctx, enum log_level level);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_enabled(LOG_LEVEL_DEBUG))                                                          \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                               \
    } while (0)

#endif
