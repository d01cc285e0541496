/* Monotonic time: milliseconds since an arbitrary start, handed in by the caller. The core reads no
 * clock. Zero is a valid time (a freshly booted or simulated clock starts there). */
#ifndef TERN_BASE_MONO_H
#define TERN_BASE_MONO_H

#include <stdint.h>

typedef int64_t mono_ms;

#define MONO_NEVER INT64_MAX

static inline mono_ms mono_earlier(mono_ms a, mono_ms b)
{
    return a < b ? a : b;
}

#endif
