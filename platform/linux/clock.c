/* CLOCK_BOOTTIME goes on while the machine sleeps, CLOCK_MONOTONIC stands still: the difference of
 * the two is all the sleep so far. Timers are descriptors, so that they sit in the event loop
 * beside the sockets, and libuv's own timers, which stand still as well, have no part in it. */
#include "platform/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    NS_PER_MS = 1000000,
    READINGS = 5,       /* of the two clocks, to read them as if at once */
    SLEEP_LEAST_MS = 10 /* shorter ones are none: we were held up between two readings */
};

/* Beyond every wall clock, and still a time for the kernel, which counts nanoseconds in 63 bits. */
static const time_t far_future = (time_t)9000000000;

static int64_t now_ns(clockid_t clock)
{
    struct timespec t = {0};
    int status = clock_gettime(clock, &t);
    ASSERT(status == 0);
    return (int64_t)t.tv_sec * 1000 * NS_PER_MS + t.tv_nsec;
}

int64_t clock_now_ns(void)
{
    return now_ns(CLOCK_BOOTTIME);
}

mono_ms clock_now(void)
{
    return clock_now_ns() / NS_PER_MS;
}

int64_t clock_awake_ms(void)
{
    return now_ns(CLOCK_MONOTONIC) / NS_PER_MS;
}

static int timer_open(clockid_t clock, struct fault *f)
{
    int fd = timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0)
        (void)fault_set(f, ERR_SYSTEM, "cannot make a timer: %s", strerror(errno));
    return fd;
}

/* --- alarms --- */

struct alarm {
    int fd;
};

enum err alarm_open(struct alarm **ret, struct fault *f)
{
    struct alarm *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for a timer");
    a->fd = timer_open(CLOCK_BOOTTIME, f);
    if (a->fd < 0) {
        free(a);
        return ERR_SYSTEM;
    }
    *ret = a;
    return ERR_OK;
}

void alarm_close(struct alarm *a)
{
    if (a == NULL)
        return;
    close(a->fd);
    free(a);
}

int alarm_fd(const struct alarm *a)
{
    return a->fd;
}

void alarm_set(struct alarm *a, mono_ms at)
{
    struct itimerspec t = {0}; /* all zero: none */
    if (at != MONO_NEVER) {
        t.it_value.tv_sec = (time_t)(at > 0 ? at / 1000 : 0);
        t.it_value.tv_nsec = at > 0 ? (long)(at % 1000) * NS_PER_MS : 1;
    }
    int status = timerfd_settime(a->fd, TFD_TIMER_ABSTIME, &t, NULL);
    ASSERT(status == 0);
}

void alarm_clear(struct alarm *a)
{
    alarm_set(a, MONO_NEVER);
}

bool alarm_read(struct alarm *a)
{
    uint64_t times;
    ssize_t n;
    do
        n = read(a->fd, &times, sizeof(times));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(times);
}

/* --- sleep --- */

struct resume_watch {
    int fd;
    int64_t slept_ns; /* all of it, at the last reading */
};

/* Between the two readings of a pair time passes, so that the least difference is the truest. */
static int64_t slept_so_far_ns(void)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < READINGS; i++) {
        int64_t awake = now_ns(CLOCK_MONOTONIC), all = now_ns(CLOCK_BOOTTIME);
        least = all - awake < least ? all - awake : least;
    }
    return least;
}

/* A timer that is cancelled by the very thing that we want to know. */
enum err resume_watch_open(struct resume_watch **ret, struct fault *f)
{
    const struct itimerspec never = {.it_value.tv_sec = far_future};
    struct resume_watch *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for a timer");
    w->fd = timer_open(CLOCK_REALTIME, f);
    /* ECANCELED: the clock was set just now, and the timer runs nevertheless */
    if (w->fd < 0 ||
        (timerfd_settime(w->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) != 0 &&
         errno != ECANCELED)) {
        if (w->fd >= 0)
            (void)fault_set(f, ERR_SYSTEM, "cannot watch for sleep: %s", strerror(errno));
        resume_watch_close(w);
        return ERR_SYSTEM;
    }
    w->slept_ns = slept_so_far_ns();
    *ret = w;
    return ERR_OK;
}

void resume_watch_close(struct resume_watch *w)
{
    if (w == NULL)
        return;
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

int resume_watch_fd(const struct resume_watch *w)
{
    return w->fd;
}

enum err resume_watch_read(struct resume_watch *w, int64_t *ret_slept_ms)
{
    uint64_t times;
    ssize_t n;
    do
        n = read(w->fd, &times, sizeof(times));
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != ECANCELED)
        return errno == EAGAIN ? ERR_AGAIN : ERR_SYSTEM;
    int64_t slept_ns = slept_so_far_ns(), slept_ms = (slept_ns - w->slept_ns) / NS_PER_MS;
    w->slept_ns = slept_ns;
    *ret_slept_ms = slept_ms >= SLEEP_LEAST_MS ? slept_ms : 0;
    return ERR_OK;
}
