/* The loop's one deadline, on a clock that goes on while the machine sleeps; and the news that it
 * has slept. */
#ifndef TERN_CLIENT_WAKEUP_H
#define TERN_CLIENT_WAKEUP_H

#include <uv.h>

#include "platform/clock.h"

struct wakeup;

typedef void wakeup_due(void *ctx);
typedef void wakeup_slept(void *ctx, int64_t slept_ms);

CHECKED enum err wakeup_open(uv_loop_t *loop, wakeup_due *due, wakeup_slept *slept, void *ctx,
                             struct wakeup **ret, struct fault *f);
/* Frees after the loop has run its close callbacks. NULL is fine. */
void wakeup_close(struct wakeup *w);
/* Calls `due` once, then; MONO_NEVER: not at all. Cheap where nothing changes. NULL is fine. */
void wakeup_at(struct wakeup *w, mono_ms at);

#endif
