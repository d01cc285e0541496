/* How often something is done that others may force on us: the first time soon, then once a second,
 * and ever more seldom, down to once a minute, where it goes on. */
#ifndef TERN_CLIENT_PACE_H
#define TERN_CLIENT_PACE_H

#include "common/base/mono.h"

enum {
    PACE_SETTLE_MS = 10, /* what one command does comes in several pieces */
    PACE_FIRST_MS = 1000,
    PACE_LAST_MS = 60 * 1000
};

struct pace {
    mono_ms last;     /* when it was done */
    int64_t pause_ms; /* from then to the next time; 0: it has never been done */
};

/* How long it has to wait. */
int64_t pace_wait_ms(const struct pace *p, mono_ms now);
/* It was done. Forgiven where it had not been necessary for more than twice the pause. */
void pace_done(struct pace *p, mono_ms now);

#endif
