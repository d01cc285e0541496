/* The commands that follow a connection: monitor, and wait. They sleep until the connection says
 * something; where none runs yet, until the runtime directory changes. */
#include "client/commands.h"

#include <stdio.h>
#include <string.h>

#include "client/control.h"
#include "client/presentation.h"
#include "client/presentation_event.h"
#include "client/running.h"
#include "platform/clock.h"

enum { ENDING_PATIENCE_MS = 500, ANSWER_MS = 15000, IDLE_MS = 5000 };

static enum exit_code report(enum exit_code code, const struct fault *f)
{
    presentation_fault(f);
    return code;
}

/* The first line: the status, or why not. ERR_AGAIN: neither came until then. */
static enum err begin(const struct runtime *r, const char *name, mono_ms until,
                      struct control_follow *ret_follow, json_t **ret_status, struct fault *f)
{
    json_t *request = json_pack("{s:i, s:s}", "v", 1, "command", "monitor"), *status = NULL;
    enum err e = control_follow_open(r, name, request, ret_follow, f);
    json_decref(request);
    if (e != ERR_OK)
        return e;
    e = control_follow_next(ret_follow, until, &status);
    const char *error = json_string_value(json_object_get(status, "error"));
    if (e == ERR_OK && error != NULL)
        e = fault_set(f, ERR_REFUSED, "\"%s\": %s", name, error);
    else if (e != ERR_OK)
        e = fault_set(f, e, "connection \"%s\" gave no answer: %s", name, err_text(e));
    if (e == ERR_OK) {
        *ret_status = status;
        return ERR_OK;
    }
    json_decref(status);
    control_follow_close(ret_follow);
    return e;
}

/* --- monitor --- */

/* false where nobody reads it any more. */
static bool print(const json_t *event, bool json)
{
    if (json) {
        json_dumpf(event, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else {
        presentation_print_event(event, stdout);
    }
    return fflush(stdout) == 0 && !ferror(stdout);
}

static enum exit_code monitor(const struct command_options *o, const struct runtime *r,
                              const char *name)
{
    struct control_follow follow;
    struct fault f = {0};
    json_t *status, *event;
    enum err e = begin(r, name, clock_now() + ANSWER_MS, &follow, &status, &f);
    if (e == ERR_NOT_FOUND)
        return running_report_none(name);
    if (e != ERR_OK)
        return report(EXIT_CODE_INTERNAL, &f);
    event = presentation_state_of(status);
    json_decref(status);
    bool read = event != NULL && print(event, o->json);
    json_decref(event);
    while (read && (e = control_follow_next(&follow, MONO_NEVER, &event)) == ERR_OK) {
        read = print(event, o->json);
        json_decref(event);
    }
    control_follow_close(&follow);
    if (!read || e == ERR_NOT_FOUND) /* it has ended, and said so before */
        return EXIT_CODE_DONE;
    (void)fault_set(&f, e, "connection \"%s\" said what is no event: %s", name, err_text(e));
    return report(EXIT_CODE_INTERNAL, &f);
}

enum exit_code command_monitor(const struct command_options *o)
{
    struct runtime r;
    char name[PROFILE_NAME_MAX];
    running_open(&r);
    enum exit_code code = running_which(o, &r, name);
    if (code == EXIT_CODE_DONE)
        code = monitor(o, &r, name);
    runtime_close(&r);
    return code;
}

/* --- wait: for what --- */

enum goal { GOAL_UP, GOAL_DOWN, GOAL_HANDOVER, GOAL_INTERFACE, GOAL_IDLE };

struct wait {
    enum goal goal;
    const char *interface;
    char name[PROFILE_NAME_MAX];
    mono_ms deadline; /* MONO_NEVER: none */
    struct runtime r;
    uv_loop_t loop;
    uv_fs_event_t directory;
    uv_timer_t timer;
    bool changed;
    /* idle: */
    mono_ms quiet_since;
    json_int_t packets;
};

static bool parse_goal(const char *text, struct wait *w)
{
    static const char *const words[] = {"up", "down", "handover", NULL, "idle"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i] != NULL && strcmp(text, words[i]) == 0) {
            w->goal = (enum goal)i;
            return true;
        }
    }
    w->goal = GOAL_INTERFACE;
    w->interface = text + strlen("interface=");
    return strncmp(text, "interface=", strlen("interface=")) == 0 && w->interface[0] != '\0';
}

static bool is(const json_t *object, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && strcmp(text, value) == 0;
}

static json_int_t packets_of(const json_t *status)
{
    const json_t *children = json_object_get(status, "children");
    json_int_t sum = 0;
    for (size_t i = 0; i < json_array_size(children); i++) {
        static const char *const ways[] = {"rx", "tx"};
        for (size_t k = 0; k < 2; k++) {
            const json_t *way = json_object_get(json_array_get(children, i), ways[k]);
            sum += json_integer_value(json_object_get(way, "packets"));
        }
    }
    return sum;
}

/* Is it so, by what the status says? Of idle that is the beginning of a quiet time, or its end. */
static bool by_status(struct wait *w, const json_t *status)
{
    bool up = is(status, "state", "up");
    json_int_t packets = packets_of(status);
    bool waits = json_is_true(json_object_get(json_object_get(status, "ike"), "outstanding"));
    switch (w->goal) {
    case GOAL_UP:
        return up;
    case GOAL_INTERFACE:
        return up && is(json_object_get(status, "path"), "interface", w->interface);
    case GOAL_IDLE:
        if (up && !waits && packets == w->packets && clock_now() >= w->quiet_since + IDLE_MS)
            return true;
        if (!up || waits || packets != w->packets || clock_now() >= w->quiet_since + IDLE_MS)
            w->quiet_since = clock_now();
        w->packets = packets;
        return false;
    case GOAL_DOWN:
    case GOAL_HANDOVER:
        break;
    }
    return false;
}

/* Is it so, by what just happened? ret_look: the status may tell. */
static bool by_event(struct wait *w, const json_t *event, bool *ret_look)
{
    bool handover = is(event, "event", "handover");
    bool up = is(event, "event", "state") && is(event, "state", "up");
    *ret_look = w->goal == GOAL_INTERFACE && (up || handover);
    if (!is(event, "event", "log"))
        w->quiet_since = clock_now();
    return (w->goal == GOAL_UP && up) || (w->goal == GOAL_HANDOVER && handover);
}

/* --- wait: how --- */

enum outcome { REACHED, LATE, ENDED, BROKEN };

static bool is_late(const struct wait *w)
{
    return w->deadline != MONO_NEVER && clock_now() >= w->deadline;
}

/* A look at the status. */
static bool look(struct wait *w)
{
    json_t *request = json_pack("{s:i, s:s}", "v", 1, "command", "status"), *status = NULL;
    struct fault f = {0};
    bool so =
        control_request(&w->r, w->name, request, &status, &f) == ERR_OK && by_status(w, status);
    json_decref(request);
    json_decref(status);
    return so;
}

static enum outcome follow(struct wait *w, struct control_follow *c)
{
    for (;;) {
        json_t *event = NULL;
        mono_ms until = w->deadline;
        if (w->goal == GOAL_IDLE)
            until = mono_earlier(until, w->quiet_since + IDLE_MS);
        enum err e = control_follow_next(c, until, &event);
        bool wants_look = e == ERR_AGAIN && w->goal == GOAL_IDLE;
        bool so = e == ERR_OK && by_event(w, event, &wants_look);
        json_decref(event);
        if (so || (wants_look && look(w)))
            return REACHED;
        if (e != ERR_OK && e != ERR_AGAIN)
            return ENDED;
        if (is_late(w))
            return LATE;
    }
}

/* As long as one runs. */
static enum outcome attend(struct wait *w, struct fault *f)
{
    struct control_follow c;
    json_t *status;
    mono_ms until = mono_earlier(w->deadline, clock_now() + ANSWER_MS);
    enum err e = w->r.fd < 0 ? ERR_NOT_FOUND : begin(&w->r, w->name, until, &c, &status, f);
    if (e == ERR_AGAIN && is_late(w))
        return LATE;
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ENDED : BROKEN;
    w->quiet_since = clock_now();
    w->packets = packets_of(status);
    enum outcome outcome = by_status(w, status) ? REACHED : follow(w, &c);
    json_decref(status);
    control_follow_close(&c);
    return outcome;
}

static void on_change(uv_fs_event_t *handle, const char *file, int events, int status)
{
    (void)file;
    (void)events;
    (void)status;
    *(bool *)handle->data = true;
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

/* From now on changes of the directory count; whoever looks afterwards misses none. */
static enum err watch_directory(struct wait *w, struct fault *f)
{
    runtime_close(&w->r);
    if (w->goal != GOAL_UP) {
        running_open(&w->r);
        return ERR_OK;
    }
    enum err e = runtime_open(true, &w->r, f); /* as `up` would: there it will be */
    if (e != ERR_OK)
        return e;
    w->changed = false;
    (void)uv_fs_event_stop(&w->directory);
    int status = uv_fs_event_start(&w->directory, on_change, w->r.directory, 0);
    return status == 0 ? ERR_OK
                       : fault_set(f, ERR_SYSTEM, "cannot watch %s: %s", w->r.directory,
                                   uv_strerror(status));
}

static void await_change(struct wait *w)
{
    while (!w->changed && !is_late(w)) {
        mono_ms left = w->deadline - clock_now();
        uv_update_time(&w->loop);
        if (w->deadline != MONO_NEVER)
            uv_timer_start(&w->timer, on_timer, left > 0 ? (uint64_t)left : 0, 0);
        uv_run(&w->loop, UV_RUN_ONCE);
    }
}

static enum exit_code report_late(const struct wait *w, const struct command_options *o)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_AGAIN, "\"%s\": waited %u s for %s in vain", w->name,
                    (unsigned)o->timeout_s, o->what);
    return report(EXIT_CODE_TIMEOUT, &f);
}

static enum exit_code wait_for(struct wait *w, const struct command_options *o)
{
    for (;;) {
        struct fault f = {0};
        if (watch_directory(w, &f) != ERR_OK)
            return report(EXIT_CODE_INTERNAL, &f);
        enum outcome outcome = attend(w, &f);
        if (outcome == BROKEN)
            return report(EXIT_CODE_INTERNAL, &f);
        if (outcome == REACHED)
            return EXIT_CODE_DONE;
        if (outcome == ENDED && w->goal == GOAL_UP)
            await_change(w);
        else if (outcome == ENDED &&
                 (w->r.fd < 0 || running_await_end(&w->r, w->name, ENDING_PATIENCE_MS)))
            return w->goal == GOAL_DOWN ? EXIT_CODE_DONE : running_report_none(w->name);
        if (outcome == LATE || is_late(w))
            return report_late(w, o);
    }
}

enum exit_code command_wait(const struct command_options *o)
{
    struct wait w = {.r = {.fd = -1}, .deadline = MONO_NEVER};
    struct fault f = {0};
    if (!parse_goal(o->what, &w)) {
        (void)fault_set(&f, ERR_MALFORMED, "cannot wait for \"%s\"", o->what);
        fault_hint(&f, "up, down, handover, interface=NAME or idle");
        return report(EXIT_CODE_USAGE, &f);
    }
    if (profile_name(o->profile, w.name) != ERR_OK) {
        (void)fault_set(&f, ERR_NOT_FOUND, "\"%s\" cannot name a profile", o->profile);
        return report(EXIT_CODE_NO_PROFILE, &f);
    }
    if (uv_loop_init(&w.loop) != 0) {
        (void)fault_set(&f, ERR_MEMORY, "the event loop cannot be made");
        return report(EXIT_CODE_INTERNAL, &f);
    }
    if (o->timeout_s != 0)
        w.deadline = clock_now() + (mono_ms)o->timeout_s * 1000;
    uv_fs_event_init(&w.loop, &w.directory);
    uv_timer_init(&w.loop, &w.timer);
    w.directory.data = &w.changed;
    enum exit_code code = wait_for(&w, o);
    uv_close((uv_handle_t *)&w.directory, NULL);
    uv_close((uv_handle_t *)&w.timer, NULL);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&w.loop);
    runtime_close(&w.r);
    return code;
}
