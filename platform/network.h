/* What the network looks like: which source address and interface reach a gateway, and a signal
 * when that may have changed. */
#ifndef TERN_PLATFORM_NETWORK_H
#define TERN_PLATFORM_NETWORK_H

#include "common/base/addr.h"
#include "common/base/err.h"

enum { NETWORK_NAME_MAX = 16 };

struct network_route {
    struct ip source;
    uint32_t interface;
    char interface_name[NETWORK_NAME_MAX];
    uint32_t mtu; /* of the interface */
};

/* The kernel's own choice for a packet to `remote` that carries `mark`. ERR_NOT_FOUND: no route. */
CHECKED enum err network_route_to(const struct ip *remote, uint32_t mark,
                                  struct network_route *ret);

/* Changes of links, addresses, routes and rules (rtnetlink groups). */
struct network_watch;
CHECKED enum err network_watch_open(struct network_watch **ret, struct fault *f);
void network_watch_close(struct network_watch *w);
int network_watch_fd(const struct network_watch *w);
/* Drain; *ret_changed tells whether anything that matters was among it (overruns count). */
CHECKED enum err network_watch_read(struct network_watch *w, bool *ret_changed);

#endif
