/* What the network looks like: the ways to a gateway, and a signal when they may have changed. */
#ifndef TERN_PLATFORM_NETWORK_H
#define TERN_PLATFORM_NETWORK_H

#include "common/base/addr.h"
#include "common/base/err.h"

enum { NETWORK_NAME_MAX = 16 };

enum network_kind {
    NETWORK_ETHERNET,
    NETWORK_WIRELESS,
    NETWORK_CELLULAR,
    NETWORK_TUNNEL, /* somebody's: packets go into packets */
    NETWORK_OTHER
};

struct network_way {
    struct ip source;
    uint32_t interface;
    char interface_name[NETWORK_NAME_MAX];
    enum network_kind kind;
    uint32_t metric; /* of the route */
    uint32_t mtu;    /* of the interface */
};

/* The ways for packets to `remote` that carry `mark`, at most one for each interface, best first:
 * the kernel's own choice, then by the routes' metrics. A way has an interface that is up and has a
 * carrier, a route, and a source address that may be used. A loopback interface is a way only where
 * the kernel chooses it; except_interface (0: none) never is. No way: ERR_OK and a count of 0; of
 * more than `cap` the best are told. */
CHECKED enum err network_ways(const struct ip *remote, uint32_t mark, uint32_t except_interface,
                              struct network_way *ret, size_t cap, size_t *ret_count);

/* Changes of links, addresses, routes and rules (rtnetlink groups). */
struct network_watch;
CHECKED enum err network_watch_open(struct network_watch **ret, struct fault *f);
void network_watch_close(struct network_watch *w);
int network_watch_fd(const struct network_watch *w);
/* What we have put there ourselves; 0: none. */
struct network_ours {
    uint32_t interface, table;
};
struct network_change {
    bool ways; /* something that may change a way: not what concerns our interface alone */
    bool ours; /* our interface (gone, up or down, its name), an address taken from it, our rules or
                * routes; what we do ourselves may be among it */
};
/* Drain, and tell what was among it. Overruns count as both, a repetition of what was told before
 * as neither. */
CHECKED enum err network_watch_read(struct network_watch *w, const struct network_ours *ours,
                                    struct network_change *ret);

#endif
