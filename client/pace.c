/* The pause doubles while it is used up, and starts anew after a quiet time. */
#include "client/pace.h"

int64_t pace_wait_ms(const struct pace *p, mono_ms now)
{
    int64_t left = p->pause_ms > 0 ? p->last + p->pause_ms - now : 0;
    return left > PACE_SETTLE_MS ? left : PACE_SETTLE_MS;
}

void pace_done(struct pace *p, mono_ms now)
{
    if (p->pause_ms == 0 || now - p->last > 2 * p->pause_ms + PACE_FIRST_MS)
        p->pause_ms = PACE_FIRST_MS;
    else
        p->pause_ms = p->pause_ms < PACE_LAST_MS / 2 ? 2 * p->pause_ms : PACE_LAST_MS;
    p->last = now;
}
