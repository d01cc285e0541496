/* One rtnetlink conversation at a time: a request, its answers, the kernel's verdict. */
#ifndef TERN_PLATFORM_LINUX_NETLINK_H
#define TERN_PLATFORM_LINUX_NETLINK_H

#include <libmnl/libmnl.h>

#include "common/base/addr.h"
#include "common/base/err.h"

enum { NETLINK_REQUEST_MAX = 512, NETLINK_REASON_MAX = 192 };

struct netlink {
    struct mnl_socket *socket;
    uint32_t sequence;
    char reason[NETLINK_REASON_MAX]; /* the kernel's words on the last refusal */
};

/* Room for one request; every request of ours is a handful of attributes. */
struct netlink_request {
    _Alignas(struct nlmsghdr) char bytes[NETLINK_REQUEST_MAX];
};

CHECKED enum err netlink_open(struct netlink *n, struct fault *f);
void netlink_close(struct netlink *n);

/* An empty message of that type. flags: NLM_F_CREATE and the like; the rest is set when called. */
struct nlmsghdr *netlink_begin(struct netlink_request *r, uint16_t type, uint16_t flags);
void netlink_put_ip(struct nlmsghdr *m, uint16_t attribute, const struct ip *a);

/* AF_INET or AF_INET6. */
uint8_t netlink_family(enum ip_family family);

typedef void netlink_visit(const struct nlmsghdr *m, void *ctx);

/* Sends, then hands every answer to visit (NULL: none expected) until the kernel is done. 0, or the
 * kernel's errno with its words in n->reason. A dump that the kernel's tables moved under is asked
 * for again, so visit may see an entry twice. */
CHECKED int netlink_call(struct netlink *n, struct nlmsghdr *request, netlink_visit *visit,
                         void *ctx);

/* Does a whole message stand there, with `left` octets to the end? As mnl_nlmsg_ok, which takes a
 * length beyond INT_MAX for a negative one, and so for a short one. */
bool netlink_holds_message(const struct nlmsghdr *m, int left);

/* The attribute of that type at the top level of m, whose fixed header has `header` octets; NULL
 * where it is absent or shorter than `least`. */
const struct nlattr *netlink_attribute(const struct nlmsghdr *m, size_t header, uint16_t type,
                                       size_t least);
/* The same among the attributes that an attribute holds. */
const struct nlattr *netlink_nested(const struct nlattr *parent, uint16_t type, size_t least);

#endif
