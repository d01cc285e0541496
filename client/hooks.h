/* Programs that the profile wants run when the connection is up, down, or has moved to another
 * network. Each runs beside the loop, one at a time and in order, in a session of its own, with
 * nothing but PATH and TERN_* in its environment and nothing on its standard input. What it prints
 * goes to the log; how it ends changes nothing for the connection. */
#ifndef TERN_CLIENT_HOOKS_H
#define TERN_CLIENT_HOOKS_H

#include <uv.h>

#include "client/profile.h"

enum {
    HOOKS_PATIENCE_MS = 30000, /* then it is killed, with all that it started */
    HOOKS_ENDING_MS = 5000,    /* for the one that runs when hooks_close is called */
    HOOKS_WAITING_MAX = 16,    /* more are not run */
    HOOKS_LINES_MAX = 50       /* of a program's output; the rest is passed over */
};

/* What the programs are told. NULL, 0 or of no family where it is not known: the variable is there,
 * and empty. */
struct hook_facts {
    const char *interface;          /* TERN_INTERFACE: the tunnel's */
    const char *state;              /* TERN_STATE: connecting, up, searching, down */
    const char *from, *to;          /* TERN_FROM, TERN_TO: interfaces, of a handover */
    const char *reason;             /* TERN_REASON, of a handover or an end */
    double gap_ms;                  /* TERN_GAP_MS; below 0: not known */
    struct ip gateway;              /* TERN_GATEWAY */
    const struct prefix *addresses; /* TERN_ADDRESSES; lists have blanks between their items */
    size_t address_count;
    const struct ip *dns; /* TERN_DNS */
    size_t dns_count;
    const char *const *domains; /* TERN_DOMAINS */
    size_t domain_count;
};

struct hooks;

/* The profile has to stay. patience_ms: HOOKS_PATIENCE_MS, but for tests. */
CHECKED enum err hooks_new(uv_loop_t *loop, const struct profile *p, uint32_t patience_ms,
                           struct hooks **ret);
/* Programs of that kind, if there are any. The facts are copied. */
void hooks_run(struct hooks *h, enum profile_hook which, const struct hook_facts *facts);
/* Takes no more. What waits is not run, but for PROFILE_HOOK_DOWN; frees when the last one has
 * ended, for which the loop must go on. NULL is fine. */
void hooks_close(struct hooks *h);

#endif
