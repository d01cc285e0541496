/* A line of the log for all that was dropped. Invariant: told is never ahead of the counts. */
#include "client/drops.h"

#include <inttypes.h>

#include "common/base/log.h"

void drops_tell(struct drops *d, mono_ms now, const struct tunnel_counters *in)
{
    static const struct tunnel_counters none;
    const struct tunnel_counters *t = in != NULL ? in : &none;
    uint64_t sum = d->bad + d->ike + d->not_sent + d->not_taken + t->unknown_spi + t->in.bad +
                   t->in.replayed + t->in.congested;
    if (sum <= d->told || now < d->tell_after)
        return;
    d->told = sum;
    d->tell_after = now + DROPS_TELL_MS;
    log_info("dropped so far: %" PRIu64 " datagrams that are neither IKE nor ESP; %" PRIu64
             " of IKE; of ESP %" PRIu64 " with an unknown SPI, %" PRIu64
             " not authentic or not allowed, %" PRIu64 " old or repeated, %" PRIu64
             " marked as congested without ECN inside; %" PRIu64 " that could not be sent; %" PRIu64
             " that the interface did not take",
             d->bad, d->ike, t->unknown_spi, t->in.bad, t->in.replayed, t->in.congested,
             d->not_sent, d->not_taken);
}
