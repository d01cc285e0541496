/* One question to the kernel's own routing, rules included: what would a packet to there do? */
#ifndef TERN_PLATFORM_LINUX_ROUTE_QUESTION_H
#define TERN_PLATFORM_LINUX_ROUTE_QUESTION_H

#include "platform/linux/netlink.h"

struct route_question {
    const struct ip *remote;
    uint32_t mark, interface; /* 0: any */
};

/* What the kernel answered. */
struct route_answer {
    bool told;
    uint8_t type; /* RTN_* */
    uint32_t interface, metric;
    struct ip source;
};

/* flags: 0 asks what a packet would do; RTM_F_FIB_MATCH, for the entry of the table that it is
 * by. 0, or the kernel's errno as netlink_call's. */
CHECKED int route_ask(struct netlink *n, const struct route_question *q, uint32_t flags,
                      struct route_answer *ret);

#endif
