/* Two descriptors of the platform's clock, polled. libuv's own timers stand still while the machine
 * sleeps, and would wake late by as much. */
#include "client/wakeup.h"

#include <stdlib.h>

#include "common/base/log.h"

struct wakeup {
    wakeup_due *due;
    wakeup_slept *slept;
    void *ctx;
    struct alarm *alarm;
    struct resume_watch *resume;
    uv_poll_t alarm_poll, resume_poll;
    unsigned handles; /* not yet closed */
    mono_ms at;
};

static void on_alarm(uv_poll_t *poll, int status, int events)
{
    struct wakeup *w = poll->data;
    (void)status;
    (void)events;
    if (!alarm_read(w->alarm))
        return;
    w->at = MONO_NEVER;
    w->due(w->ctx);
}

static void on_resume(uv_poll_t *poll, int status, int events)
{
    struct wakeup *w = poll->data;
    int64_t slept_ms;
    (void)status;
    (void)events;
    enum err e = resume_watch_read(w->resume, &slept_ms);
    if (e == ERR_OK && slept_ms > 0)
        w->slept(w->ctx, slept_ms);
    else if (e != ERR_OK && e != ERR_AGAIN)
        uv_poll_stop(poll);
}

static bool watch(struct wakeup *w, uv_loop_t *loop, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
    if (uv_poll_init(loop, poll, fd) != 0)
        return false;
    poll->data = w;
    w->handles++;
    return uv_poll_start(poll, UV_READABLE, callback) == 0;
}

static void release(struct wakeup *w)
{
    alarm_close(w->alarm);
    resume_watch_close(w->resume);
    free(w);
}

static void on_closed(uv_handle_t *handle)
{
    struct wakeup *w = handle->data;
    if (--w->handles == 0)
        release(w);
}

void wakeup_close(struct wakeup *w)
{
    if (w == NULL)
        return;
    if (w->handles == 0) {
        release(w);
        return;
    }
    uv_close((uv_handle_t *)&w->alarm_poll, on_closed);
    if (w->handles > 1)
        uv_close((uv_handle_t *)&w->resume_poll, on_closed);
}

enum err wakeup_open(uv_loop_t *loop, wakeup_due *due, wakeup_slept *slept, void *ctx,
                     struct wakeup **ret, struct fault *f)
{
    struct wakeup *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for the clock");
    *w = (struct wakeup){.due = due, .slept = slept, .ctx = ctx, .at = MONO_NEVER};
    enum err e = alarm_open(&w->alarm, f);
    if (e == ERR_OK)
        e = resume_watch_open(&w->resume, f);
    if (e == ERR_OK && (!watch(w, loop, &w->alarm_poll, alarm_fd(w->alarm), on_alarm) ||
                        !watch(w, loop, &w->resume_poll, resume_watch_fd(w->resume), on_resume)))
        e = fault_set(f, ERR_SYSTEM, "the event loop does not take the clock");
    if (e != ERR_OK) {
        wakeup_close(w);
        return e;
    }
    *ret = w;
    return ERR_OK;
}

void wakeup_at(struct wakeup *w, mono_ms at)
{
    if (w == NULL || at == w->at)
        return;
    w->at = at;
    alarm_set(w->alarm, at);
}
