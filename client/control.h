/* The control socket: NAME.sock in the runtime directory, mode 0600, for processes of the same user
 * and of root. A request is one line of JSON, so is the answer. A client that sends too much, too
 * slowly or nonsense is closed, and it alone. */
#ifndef TERN_CLIENT_CONTROL_H
#define TERN_CLIENT_CONTROL_H

#include <jansson.h>
#include <uv.h>

#include "client/runtime.h"

enum {
    CONTROL_REQUEST_MAX = 4096, /* octets of a line */
    CONTROL_CLIENTS_MAX = 16,
    CONTROL_PATIENCE_MS = 5000 /* for a whole request, and for the answer to be read */
};

struct control;

/* The answer to one request object; a new reference, never NULL. */
typedef json_t *control_handler(void *ctx, const json_t *request);

CHECKED enum err control_open(uv_loop_t *loop, const struct runtime *r, const char *name,
                              control_handler *handler, void *ctx, struct control **ret,
                              struct fault *f);
/* The answer to one line (without its end), with its own end of line and nothing behind it: free()
 * it. NULL where the line is no JSON object. */
char *control_answer(control_handler *handler, void *ctx, const char *line, size_t len,
                     size_t *ret_len);
/* Closes all; frees after the loop has run its close callbacks. NULL is fine. */
void control_close(struct control *c);

/* One request to a running connection, and its answer (a new reference). ERR_NOT_FOUND where none
 * runs under that name. */
CHECKED enum err control_request(const struct runtime *r, const char *name, const json_t *request,
                                 json_t **ret, struct fault *f);

#endif
