/* Datagrams that were of no use: counted, and told of now and then. */
#ifndef TERN_CLIENT_DROPS_H
#define TERN_CLIENT_DROPS_H

#include "common/base/mono.h"
#include "common/esp/tunnel.h"

enum { DROPS_TELL_MS = 60000 };

struct drops {
    uint64_t bad; /* neither IKE nor ESP */
    uint64_t ike; /* what the session had no use for */
    uint64_t not_sent;
    uint64_t not_taken; /* by the TUN */
    uint64_t told;      /* of the sum, when it was told last */
    mono_ms tell_after;
};

/* One line of the log where the counts have grown, at most one in DROPS_TELL_MS: a flood must not
 * fill a disk. `in` is what the tunnel counted; NULL before there is one. */
void drops_tell(struct drops *d, mono_ms now, const struct tunnel_counters *in);

#endif
