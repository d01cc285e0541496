/* The kinds of values that profiles hold, as text to value. Nothing here knows a key. */
#ifndef TERN_CLIENT_PROFILE_VALUE_H
#define TERN_CLIENT_PROFILE_VALUE_H

#include "common/base/err.h"
#include "common/base/span.h"

/* The next item of a comma-separated list, trimmed; false at the end. *at starts at the text. */
bool value_next(const char **at, char *out, size_t cap, bool *ret_too_long);

/* "yes", "true", "on", "1" and their opposites. */
CHECKED enum err value_bool(const char *text, bool *ret);
/* Decimal digits alone. ERR_MALFORMED, ERR_LIMIT outside min..max. */
CHECKED enum err value_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
/* "90", "30s", "5m", "4h", "1d": seconds. */
CHECKED enum err value_duration(const char *text, uint32_t min_s, uint32_t max_s, uint32_t *ret_s);
/* "500ms", and as above: milliseconds. */
CHECKED enum err value_milliseconds(const char *text, uint32_t min_ms, uint32_t max_ms,
                                    uint32_t *ret_ms);
/* "1000000", "512K", "4G": octets, powers of 1024. */
CHECKED enum err value_size(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
/* A DNS name (RFC 1123 2.1), as a gateway's address may be. */
bool value_is_host_name(const char *text);
/* Fit for a network interface, with '*' and '?' where a pattern is meant. */
bool value_is_interface(const char *text, bool pattern);

#endif
