/* Between those who see something happen and those who follow: an event becomes one line of JSON,
 * made once for all of them. The queue of each, and what becomes of slow ones, is control.c's. */
#include "client/events.h"

#include <stdlib.h>
#include <string.h>

#include "client/presentation_event.h"
#include "platform/clock.h"

void events_emit(struct control *c, struct client_event e)
{
    if (c == NULL || !control_followed(c))
        return;
    if (e.at.tv_sec == 0 && e.mono == 0) {
        clock_gettime(CLOCK_REALTIME, &e.at);
        e.mono = clock_now();
    }
    json_t *object = presentation_event(&e);
    char *line = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    if (line == NULL)
        return; /* no memory: it is missed */
    size_t len = strlen(line);
    line[len++] = '\n'; /* in the place of the terminating zero */
    control_publish(c, line, len);
    free(line);
}

static const char *liveness_text(enum session_liveness result)
{
    switch (result) {
    case SESSION_LIVENESS_ASKED:
        return "asked";
    case SESSION_LIVENESS_ANSWERED:
        return "answered";
    case SESSION_LIVENESS_SILENT:
        return "silent";
    }
    return "unknown";
}

void events_of_session(struct control *c, const struct session_event *e)
{
    struct client_event told = {.type = CLIENT_EVENT_CHILD};
    switch (e->type) {
    case SESSION_EVENT_CONFIG:
        told.type = CLIENT_EVENT_CONFIG;
        told.config = &e->config;
        break;
    case SESSION_EVENT_CHILD_UP:
        told.child.change = "up";
        told.child.spi_in = e->child.spi_in;
        told.child.child = &e->child;
        break;
    case SESSION_EVENT_CHILD_DRAIN:
    case SESSION_EVENT_CHILD_DOWN:
        told.child.change = e->type == SESSION_EVENT_CHILD_DOWN ? "down" : "drain";
        told.child.spi_in = e->child_down_spi_in;
        break;
    case SESSION_EVENT_REKEYED:
        told.type = CLIENT_EVENT_REKEY;
        told.rekey.ike = e->rekeyed.ike;
        told.rekey.old_spi_in = e->rekeyed.old_spi_in;
        told.rekey.spi_in = e->rekeyed.spi_in;
        break;
    case SESSION_EVENT_NAT_CHANGED:
        told.type = CLIENT_EVENT_NAT_CHANGED;
        told.nat.nat = e->nat.nat_local;
        told.nat.path = &e->nat.path;
        break;
    case SESSION_EVENT_LIVENESS:
        told.type = CLIENT_EVENT_DPD;
        told.dpd.result = liveness_text(e->liveness.result);
        told.dpd.silence_ms = e->liveness.silence_ms;
        break;
    default:
        return;
    }
    events_emit(c, told);
}
