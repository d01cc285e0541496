/* What the network looks like, by rtnetlink: one question (which way to a gateway), and a socket
 * that wakes the loop when links, addresses, routes or rules change. */
#include "platform/network.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "platform/linux/netlink.h"

/* --- which way --- */

static void read_route(const struct nlmsghdr *m, void *ctx)
{
    struct network_route *route = ctx;
    if (m->nlmsg_type != RTM_NEWROUTE)
        return;
    const struct nlattr *source = netlink_attribute(m, sizeof(struct rtmsg), RTA_PREFSRC, 4);
    const struct nlattr *oif = netlink_attribute(m, sizeof(struct rtmsg), RTA_OIF, 4);
    if (source != NULL)
        route->source =
            ip_from_span(span_make(mnl_attr_get_payload(source), mnl_attr_get_payload_len(source)));
    if (oif != NULL)
        route->interface = mnl_attr_get_u32(oif);
}

static void read_link(const struct nlmsghdr *m, void *ctx)
{
    struct network_route *route = ctx;
    const struct nlattr *mtu = netlink_attribute(m, sizeof(struct ifinfomsg), IFLA_MTU, 4);
    if (m->nlmsg_type == RTM_NEWLINK && mtu != NULL)
        route->mtu = mnl_attr_get_u32(mtu);
}

static int ask_route(struct netlink *n, const struct ip *remote, uint32_t mark,
                     struct network_route *route)
{
    struct netlink_request r;
    struct nlmsghdr *m = netlink_begin(&r, RTM_GETROUTE, 0);
    struct rtmsg *rt = mnl_nlmsg_put_extra_header(m, sizeof(*rt));
    rt->rtm_family = netlink_family(remote->family);
    rt->rtm_dst_len = ip_bits(remote->family);
    netlink_put_ip(m, RTA_DST, remote);
    if (mark != 0)
        mnl_attr_put_u32(m, RTA_MARK, mark);
    return netlink_call(n, m, read_route, route);
}

static int ask_link(struct netlink *n, struct network_route *route)
{
    struct netlink_request r;
    struct nlmsghdr *m = netlink_begin(&r, RTM_GETLINK, 0);
    struct ifinfomsg *link = mnl_nlmsg_put_extra_header(m, sizeof(*link));
    link->ifi_index = (int)route->interface;
    return netlink_call(n, m, read_link, route);
}

enum err network_route_to(const struct ip *remote, uint32_t mark, struct network_route *ret)
{
    if (remote->family == IP_NONE)
        return ERR_NOT_FOUND;
    struct netlink n;
    enum err e = netlink_open(&n, NULL);
    if (e != ERR_OK)
        return e;
    struct network_route route = {0};
    int number = ask_route(&n, remote, mark, &route);
    if (number == 0 && route.interface != 0)
        number = ask_link(&n, &route);
    netlink_close(&n);
    if (number != 0 || route.interface == 0 || route.source.family != remote->family ||
        if_indextoname(route.interface, route.interface_name) == NULL)
        return ERR_NOT_FOUND;
    *ret = route;
    return ERR_OK;
}

/* --- changes --- */

struct network_watch {
    struct mnl_socket *socket;
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

enum err network_watch_read(struct network_watch *w, bool *ret_changed)
{
    _Alignas(struct nlmsghdr) char buf[16384];
    *ret_changed = false;
    for (;;) {
        ssize_t got = mnl_socket_recvfrom(w->socket, buf, sizeof(buf));
        if (got > 0) {
            *ret_changed = true; /* the groups hold nothing that does not matter */
            continue;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
            *ret_changed = true; /* overrun: something was missed */
            continue;
        }
        return got < 0 && errno != EAGAIN ? ERR_SYSTEM : ERR_OK;
    }
}
