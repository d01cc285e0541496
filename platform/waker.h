/* A descriptor by which one thread wakes another that sleeps in poll(). */
#ifndef TERN_PLATFORM_WAKER_H
#define TERN_PLATFORM_WAKER_H

#include "common/base/err.h"

struct waker;

CHECKED enum err waker_open(struct waker **ret, struct fault *f);
void waker_close(struct waker *w);   /* NULL is fine */
int waker_fd(const struct waker *w); /* readable from waker_wake to waker_clear */
/* Any thread may call it; what the caller wrote before is seen by who has cleared it. */
void waker_wake(struct waker *w);
void waker_clear(struct waker *w);

#endif
