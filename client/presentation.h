/* What people and scripts read: status as text and as JSON, and the two lines of an error. */
#ifndef TERN_CLIENT_PRESENTATION_H
#define TERN_CLIENT_PRESENTATION_H

#include <jansson.h>

#include "client/connection.h"

/* The contract's status object: unknown values are null, never absent. A new reference. */
json_t *presentation_status(const struct connection_view *v);
/* "address-gone", ... (monitor's handover lines) */
const char *presentation_move(enum session_move reason);
/* The same as presentation_status for people; `status` is such an object. */
void presentation_print_status(const json_t *status, FILE *out);
/* "2026-01-01T12:00:00.000Z" */
enum { PRESENTATION_TIME_MAX = 32 };
const char *presentation_time(const struct timespec *t, char out[PRESENTATION_TIME_MAX]);

/* Like printf. What a line is made of comes from another process, and some of it from the gateway:
 * whatever could drive a terminal is escaped once more. */
void presentation_put(FILE *out, const char *format, ...) PRINTF_LIKE(2, 3);
/* "error: ..." and, where there is one, "hint: ..." on stderr. */
void presentation_fault(const struct fault *f);
/* Coloured where stderr is a terminal, NO_COLOR is unset and --no-color was not given. */
void presentation_color(bool allowed);

#endif
