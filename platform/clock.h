/* Time as it passes, also while the machine sleeps; an alarm for a moment of it; and a signal that
 * the machine has slept. */
#ifndef TERN_PLATFORM_CLOCK_H
#define TERN_PLATFORM_CLOCK_H

#include "common/base/err.h"
#include "common/base/mono.h"

/* Milliseconds since the machine was started, those that it slept included. Never goes back. */
mono_ms clock_now(void);
/* The same in nanoseconds: what one thread did before another has the lesser time, or the same. */
int64_t clock_now_ns(void);
/* Milliseconds that the machine was awake, by which poll() counts too: for how long another process
 * may take, which sleeps when we do. */
int64_t clock_awake_ms(void);

/* One moment at which a descriptor becomes readable. A moment that passed while the machine slept
 * counts as soon as it wakes; it is not woken for it. */
struct alarm;
CHECKED enum err alarm_open(struct alarm **ret, struct fault *f);
void alarm_close(struct alarm *a); /* NULL is fine */
int alarm_fd(const struct alarm *a);
/* Instead of what was set before. A moment that has passed counts at once; MONO_NEVER: none. */
void alarm_set(struct alarm *a, mono_ms at);
void alarm_clear(struct alarm *a);
/* Has the moment come since it was set? Told once. */
bool alarm_read(struct alarm *a);

/* A descriptor that becomes readable where the machine wakes up, or its wall clock is set. */
struct resume_watch;
CHECKED enum err resume_watch_open(struct resume_watch **ret, struct fault *f);
void resume_watch_close(struct resume_watch *w); /* NULL is fine */
int resume_watch_fd(const struct resume_watch *w);
/* How long the machine has slept since the last reading; 0: only the wall clock was set. ERR_AGAIN
 * where neither was told. */
CHECKED enum err resume_watch_read(struct resume_watch *w, int64_t *ret_slept_ms);

#endif
