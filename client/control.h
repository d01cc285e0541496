/* The control socket: NAME.sock in the runtime directory, mode 0600, for processes of the same user
 * and of root. A request is one line of JSON, so is the answer. A client that sends too much, too
 * slowly or nonsense is closed, and it alone.
 *
 * A client whose command is "monitor" stays after its answer (but for one that has an "error"): it
 * follows, and is sent every line that is published, until it goes or does not keep up. */
#ifndef TERN_CLIENT_CONTROL_H
#define TERN_CLIENT_CONTROL_H

#include <jansson.h>
#include <uv.h>

#include "client/runtime.h"
#include "common/base/mono.h"

enum {
    CONTROL_REQUEST_MAX = 4096, /* octets of a line */
    CONTROL_CLIENTS_MAX = 16,
    CONTROL_FOLLOWERS_MAX = 8,        /* of the clients: there is always room for a request */
    CONTROL_BACKLOG_MAX = 256 * 1024, /* octets that a follower has not read yet */
    CONTROL_PATIENCE_MS = 5000        /* for a whole request, and for the answer to be read */
};

struct control;

/* The answer to one request object; a new reference, never NULL. */
typedef json_t *control_handler(void *ctx, const json_t *request);

CHECKED enum err control_open(uv_loop_t *loop, const struct runtime *r, const char *name,
                              control_handler *handler, void *ctx, struct control **ret,
                              struct fault *f);
/* The answer to one line (without its end), with its own end of line and nothing behind it: free()
 * it. NULL where the line is no JSON object. *ret_follows: who asked wants to follow, and may. */
char *control_answer(control_handler *handler, void *ctx, const char *line, size_t len,
                     size_t *ret_len, bool *ret_follows);
/* A line, its end included, to all who follow. */
void control_publish(struct control *c, const char *line, size_t len);
bool control_followed(const struct control *c);
/* Closes all; frees after the loop has run its close callbacks. NULL is fine. */
void control_close(struct control *c);

/* One request to a running connection, and its answer (a new reference). ERR_NOT_FOUND where none
 * runs under that name. */
CHECKED enum err control_request(const struct runtime *r, const char *name, const json_t *request,
                                 json_t **ret, struct fault *f);

/* One that follows. */
struct control_follow {
    int fd;
    char *text; /* what was received and is not handed out yet */
    size_t len, cap;
};

/* Asks, and stays. The first line that control_follow_next gives is the answer. ERR_NOT_FOUND as
 * above. */
CHECKED enum err control_follow_open(const struct runtime *r, const char *name,
                                     const json_t *request, struct control_follow *ret,
                                     struct fault *f);
/* The next line, as a new reference. ERR_AGAIN: none came until `until` (of clock_now, MONO_NEVER:
 * waits); ERR_NOT_FOUND: the connection ended, or we were too slow; ERR_MALFORMED: no JSON. */
CHECKED enum err control_follow_next(struct control_follow *c, mono_ms until, json_t **ret);
void control_follow_close(struct control_follow *c);

#endif
