/* A socket that wakes the loop when links, addresses, routes or rules change. The kernel also tells
 * what is no change: a router's advertisement renews addresses every few seconds, a radio tells of
 * its scans. So what was told of a link or an address last is kept, and the same again is none.
 *
 * Invariant: what is kept was told. Where something was missed nothing is kept, and where there is
 * no room any more an old entry goes: then a repetition counts as a change, which costs a look. */
#include "platform/network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "platform/linux/netlink.h"

/* The flags that decide whether there is a way: of a link, of an address. */
enum {
    TOLD_MAX = 128,
    LINK_FLAGS = IFF_UP | IFF_LOWER_UP,
    ADDRESS_FLAGS = IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED | IFA_F_DEPRECATED
};

/* A link (address of no family), or an address. */
struct told {
    uint32_t interface; /* 0: a free entry */
    struct ip address;
    uint32_t flags, mtu;
    uint8_t state; /* IF_OPER_* */
    char name[NETWORK_NAME_MAX];
};

struct network_watch {
    struct mnl_socket *socket;
    struct told told[TOLD_MAX];
    size_t next; /* the entry that goes where all are taken */
};

static bool join(struct mnl_socket *s, int group)
{
    return mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0;
}

enum err network_watch_open(struct network_watch **ret, struct fault *f)
{
    static const int groups[] = {RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                 RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_IPV4_RULE,
                                 RTNLGRP_IPV6_RULE};
    struct network_watch *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for the network watcher");
    w->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    bool ok = w->socket != NULL && mnl_socket_bind(w->socket, 0, MNL_SOCKET_AUTOPID) == 0;
    for (size_t i = 0; ok && i < sizeof(groups) / sizeof(groups[0]); i++)
        ok = join(w->socket, groups[i]);
    if (!ok) {
        enum err e = fault_set(f, ERR_SYSTEM, "cannot watch the network: %s", strerror(errno));
        network_watch_close(w);
        return e;
    }
    *ret = w;
    return ERR_OK;
}

void network_watch_close(struct network_watch *w)
{
    if (w == NULL)
        return;
    if (w->socket != NULL)
        (void)mnl_socket_close(w->socket);
    free(w);
}

int network_watch_fd(const struct network_watch *w)
{
    return mnl_socket_get_fd(w->socket);
}

/* --- what was told --- */

static void forget_all(struct network_watch *w)
{
    memset(w->told, 0, sizeof(w->told));
    w->next = 0;
}

static struct told *find(struct network_watch *w, const struct told *t)
{
    for (size_t i = 0; i < TOLD_MAX; i++) {
        if (w->told[i].interface == t->interface && ip_equal(&w->told[i].address, &t->address))
            return &w->told[i];
    }
    return NULL;
}

static bool is_news(struct network_watch *w, const struct told *t, bool gone)
{
    static const struct told none;
    struct told *known = find(w, t);
    if (gone) {
        if (known != NULL)
            *known = none;
        return true;
    }
    if (known != NULL && known->flags == t->flags && known->mtu == t->mtu &&
        known->state == t->state && strcmp(known->name, t->name) == 0)
        return false;
    if (known == NULL)
        known = find(w, &none);
    if (known == NULL) {
        known = &w->told[w->next];
        w->next = (w->next + 1) % TOLD_MAX;
    }
    *known = *t;
    return true;
}

/* --- messages --- */

/* One of the two, whose it is. */
static void note(struct network_change *c, bool ours, bool news)
{
    *(ours ? &c->ours : &c->ways) |= news;
}

static void note_link(struct network_watch *w, const struct nlmsghdr *m,
                      const struct network_ours *ours, struct network_change *ret)
{
    const struct ifinfomsg *i = mnl_nlmsg_get_payload(m);
    struct told t = {.interface = (uint32_t)i->ifi_index, .flags = i->ifi_flags & LINK_FLAGS};
    if (i->ifi_family != AF_UNSPEC || /* a bridge speaks of its ports */
        netlink_attribute(m, sizeof(*i), IFLA_WIRELESS, 0) != NULL)
        return;
    const struct nlattr *mtu = netlink_attribute(m, sizeof(*i), IFLA_MTU, 4);
    const struct nlattr *state = netlink_attribute(m, sizeof(*i), IFLA_OPERSTATE, 1);
    const struct nlattr *name = netlink_attribute(m, sizeof(*i), IFLA_IFNAME, 1);
    t.mtu = mtu != NULL ? mnl_attr_get_u32(mtu) : 0;
    t.state = state != NULL ? mnl_attr_get_u8(state) : 0;
    if (name != NULL && mnl_attr_get_payload_len(name) <= sizeof(t.name) &&
        mnl_attr_validate(name, MNL_TYPE_NUL_STRING) >= 0)
        memcpy(t.name, mnl_attr_get_str(name), strlen(mnl_attr_get_str(name)) + 1);
    bool is_ours = t.interface == ours->interface;
    if (is_ours) /* these are ours to set */
        t.mtu = t.state = 0;
    note(ret, is_ours, is_news(w, &t, m->nlmsg_type == RTM_DELLINK));
}

static void note_address(struct network_watch *w, const struct nlmsghdr *m,
                         const struct network_ours *ours, struct network_change *ret)
{
    const struct ifaddrmsg *a = mnl_nlmsg_get_payload(m);
    struct told t = {.interface = a->ifa_index, .flags = a->ifa_flags & ADDRESS_FLAGS};
    const struct nlattr *own = netlink_attribute(m, sizeof(*a), IFA_LOCAL, 4);
    if (own == NULL)
        own = netlink_attribute(m, sizeof(*a), IFA_ADDRESS, 4);
    bool gone = m->nlmsg_type == RTM_DELADDR;
    if (own == NULL)
        return;
    if (t.interface == ours->interface) {
        note(ret, true, gone);
        return;
    }
    t.address = ip_from_span(span_make(mnl_attr_get_payload(own), mnl_attr_get_payload_len(own)));
    note(ret, false, is_news(w, &t, gone));
}

/* What follows from an address was told with it. */
static void note_route(const struct nlmsghdr *m, const struct network_ours *ours,
                       struct network_change *ret)
{
    const struct rtmsg *rt = mnl_nlmsg_get_payload(m);
    const struct nlattr *oif = netlink_attribute(m, sizeof(*rt), RTA_OIF, 4);
    const struct nlattr *table = netlink_attribute(m, sizeof(*rt), RTA_TABLE, 4);
    bool local = rt->rtm_type == RTN_LOCAL || rt->rtm_type == RTN_BROADCAST ||
                 rt->rtm_type == RTN_ANYCAST || rt->rtm_type == RTN_MULTICAST;
    bool by_ours = ours->interface != 0 && oif != NULL && mnl_attr_get_u32(oif) == ours->interface;
    bool in_ours = ours->table != 0 && table != NULL && mnl_attr_get_u32(table) == ours->table;
    if (local || (rt->rtm_flags & RTM_F_CLONED) != 0)
        return;
    ret->ours |= in_ours;
    ret->ways |= !in_ours && !by_ours;
}

static void note_rule(const struct nlmsghdr *m, const struct network_ours *ours,
                      struct network_change *ret)
{
    const struct nlattr *table = netlink_attribute(m, sizeof(struct fib_rule_hdr), FRA_TABLE, 4);
    ret->ways = true;
    ret->ours |= m->nlmsg_type == RTM_DELRULE && ours->table != 0 && table != NULL &&
                 mnl_attr_get_u32(table) == ours->table;
}

static void note_message(struct network_watch *w, const struct nlmsghdr *m,
                         const struct network_ours *ours, struct network_change *ret)
{
    size_t len = mnl_nlmsg_get_payload_len(m);
    switch (m->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        if (len >= sizeof(struct ifinfomsg))
            note_link(w, m, ours, ret);
        break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
        if (len >= sizeof(struct ifaddrmsg))
            note_address(w, m, ours, ret);
        break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        if (len >= sizeof(struct rtmsg))
            note_route(m, ours, ret);
        break;
    case RTM_NEWRULE:
    case RTM_DELRULE:
        note_rule(m, ours, ret);
        break;
    default:
        break;
    }
}

enum err network_watch_read(struct network_watch *w, const struct network_ours *ours,
                            struct network_change *ret)
{
    _Alignas(struct nlmsghdr) char buf[16384];
    *ret = (struct network_change){0};
    for (;;) {
        ssize_t got = mnl_socket_recvfrom(w->socket, buf, sizeof(buf));
        if (got > 0) {
            int left = (int)got;
            for (const struct nlmsghdr *m = (const void *)buf; netlink_holds_message(m, left);
                 m = mnl_nlmsg_next(m, &left))
                note_message(w, m, ours, ret);
            continue;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
            forget_all(w); /* an overrun, or a message beyond the buffer: something was missed */
            *ret = (struct network_change){true, true};
            continue;
        }
        return got < 0 && errno != EAGAIN ? ERR_SYSTEM : ERR_OK;
    }
}
