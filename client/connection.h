/* One connection from `up` to the end: the only glue between the event loop and the core. */
#ifndef TERN_CLIENT_CONNECTION_H
#define TERN_CLIENT_CONNECTION_H

#include <time.h>

#include "client/credentials.h"
#include "client/datapath.h"
#include "client/system.h"
#include "platform/network.h"

struct connection_options {
    const struct profile *profile;
    const struct credentials *credentials;
    const struct runtime *runtime;
    struct runtime_lock *lock;
    uint32_t timeout_ms; /* for the whole of the first connection */
    bool quiet;          /* no progress on stderr */
    /* Traffic can flow: `up` has done its work. May be NULL. */
    void (*on_up)(void *ctx);
    void *on_up_ctx;
};

/* Runs until the connection has ended and the system is as before. The exit code; where it is not
 * 0, the fault has the words. */
enum exit_code connection_run(const struct connection_options *o, struct fault *f);

struct connection_child {
    const struct session_child *child; /* without keys */
    struct tunnel_child_status counters;
    uint32_t rekeys;
};

/* The last move from one network to another. */
struct connection_handover {
    struct timespec at; /* 0: there was none */
    char from[NETWORK_NAME_MAX], to[NETWORK_NAME_MAX];
    int64_t gap_ms;
};

/* What status shows, gathered by the connection; see presentation.h. */
struct connection_view {
    const struct profile *profile;
    const char *state; /* connecting, up, searching, down */
    struct timespec since, established;
    struct session_status session;
    const char *host;            /* the address as the profile writes it */
    const char *path_interface;  /* NULL: not known */
    uint32_t path_mtu;           /* 0: not known */
    const struct system *system; /* NULL before it is set up */
    struct connection_child children[TUNNEL_CHILDREN_MAX];
    size_t child_count;
    const struct connection_handover *handover; /* NULL: none */
    const char *last_error;                     /* NULL: none */
};

#endif
