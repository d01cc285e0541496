/* Events as scripts and people read them. */
#ifndef TERN_CLIENT_PRESENTATION_EVENT_H
#define TERN_CLIENT_PRESENTATION_EVENT_H

#include <jansson.h>
#include <stdio.h>

#include "client/events.h"

/* The contract's object; unknown values are null, never absent. A new reference; NULL where there
 * is no memory. */
json_t *presentation_event(const struct client_event *e);
/* What a follower is told first: the state that a status object shows, as an event. A new
 * reference. */
json_t *presentation_state_of(const json_t *status);
/* One line for people; `event` is such an object, or whatever came in its place. */
void presentation_print_event(const json_t *event, FILE *out);

#endif
