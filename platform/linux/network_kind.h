/* What kind of network an interface leads to. */
#ifndef TERN_PLATFORM_LINUX_NETWORK_KIND_H
#define TERN_PLATFORM_LINUX_NETWORK_KIND_H

#include "platform/network.h"

/* What rtnetlink says of a link. */
struct network_link {
    uint32_t index;
    char name[NETWORK_NAME_MAX];
    uint16_t type;                /* ARPHRD_* */
    char maker[NETWORK_NAME_MAX]; /* IFLA_INFO_KIND, empty where there is none */
};

/* classes: "/sys/class/net", or a test's copy of it. What the folder says counts only where it is
 * this very interface's (the mounted one may be another network namespace's). */
enum network_kind network_kind_of(const struct network_link *link, const char *classes);

#endif
