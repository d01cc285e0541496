/* The ways to a gateway, by rtnetlink: the addresses and links that there are, and for each of the
 * links that may serve two questions to the kernel's own routing, rules included. Between two
 * questions anything may have changed: what is gone is no way.
 *
 * Invariant: the source of a way is an address of the list, which holds only what may be used.
 * Changes are told by network_watch.c. */
#include "platform/network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>

#include "platform/linux/netlink.h"
#include "platform/linux/network_kind.h"
#include "platform/linux/route_question.h"

enum { LIST_MAX = 4096 }; /* addresses, links: more are passed over */

/* --- addresses that may be a source --- */

struct address {
    struct ip ip;
    uint32_t interface;
};

/* What is looked at for one call of network_ways. */
struct survey {
    const struct ip *remote;
    uint32_t mark, except, chosen; /* chosen: the interface that the kernel takes, 0: none */
    struct address *addresses;
    size_t address_count, address_cap;
    struct link *links;
    size_t link_count, link_cap;
    bool local; /* the remote is this machine */
    bool no_memory;
};

struct link {
    struct network_link link;
    bool loopback;
    uint32_t mtu;
};

/* The list with room for one more; NULL where it is full. */
static void *grow(struct survey *s, void *list, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return list;
    size_t more = *cap == 0 ? 16 : *cap * 2;
    void *bigger = count < LIST_MAX ? realloc(list, more * size) : NULL;
    if (bigger != NULL)
        *cap = more;
    else if (count < LIST_MAX)
        s->no_memory = true;
    return bigger;
}

/* RFC 4862 2, 5.4: a tentative address is none yet, unless the machine is optimistic about it
 * (RFC 4429). A deprecated one works until it is gone (RFC 4862 5.5.4), and the kernel takes it
 * only where there is no other (RFC 6724 5). RFC 4291 2.5.6: no router passes a link-local source
 * on. For IPv4 the kernel's choice is as good as any. */
static bool may_be_source(const struct survey *s, const struct ifaddrmsg *a, const struct ip *ip)
{
    bool tentative = (a->ifa_flags & IFA_F_TENTATIVE) != 0;
    if (ip->family != s->remote->family)
        return false;
    if (ip->family == IP_V4)
        return true;
    return (!tentative || (a->ifa_flags & IFA_F_OPTIMISTIC) != 0) &&
           (a->ifa_flags & IFA_F_DADFAILED) == 0 &&
           (!ip_is_link_local(ip) || ip_is_link_local(s->remote));
}

static void read_address(const struct nlmsghdr *m, void *ctx)
{
    struct survey *s = ctx;
    if (m->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(m) < sizeof(struct ifaddrmsg))
        return;
    const struct ifaddrmsg *a = mnl_nlmsg_get_payload(m);
    const struct nlattr *own = netlink_attribute(m, sizeof(*a), IFA_LOCAL, 4);
    if (own == NULL) /* no peer at the other end */
        own = netlink_attribute(m, sizeof(*a), IFA_ADDRESS, 4);
    if (own == NULL)
        return;
    struct ip ip =
        ip_from_span(span_make(mnl_attr_get_payload(own), mnl_attr_get_payload_len(own)));
    if (!may_be_source(s, a, &ip))
        return;
    struct address *list = grow(s, s->addresses, &s->address_cap, s->address_count, sizeof(*list));
    if (list == NULL)
        return;
    s->addresses = list;
    list[s->address_count++] = (struct address){ip, a->ifa_index};
}

static int ask_addresses(struct netlink *n, struct survey *s)
{
    struct netlink_request r;
    struct nlmsghdr *m = netlink_begin(&r, RTM_GETADDR, NLM_F_DUMP);
    struct ifaddrmsg *a = mnl_nlmsg_put_extra_header(m, sizeof(*a));
    a->ifa_family = netlink_family(s->remote->family);
    return netlink_call(n, m, read_address, s);
}

/* ip NULL: any; interface 0: any. */
static bool has_address(const struct survey *s, const struct ip *ip, uint32_t interface)
{
    for (size_t i = 0; i < s->address_count; i++) {
        const struct address *a = &s->addresses[i];
        if ((ip == NULL || ip_equal(&a->ip, ip)) && (interface == 0 || a->interface == interface))
            return true;
    }
    return false;
}

/* --- links that carry --- */

static void copy_name(const struct nlattr *a, char out[NETWORK_NAME_MAX])
{
    if (a == NULL || mnl_attr_validate(a, MNL_TYPE_NUL_STRING) < 0 ||
        mnl_attr_get_payload_len(a) > NETWORK_NAME_MAX)
        return;
    memcpy(out, mnl_attr_get_str(a), strlen(mnl_attr_get_str(a)) + 1);
}

static bool carries(const struct nlmsghdr *m, const struct ifinfomsg *i)
{
    const struct nlattr *state = netlink_attribute(m, sizeof(*i), IFLA_OPERSTATE, 1);
    uint8_t oper = state != NULL ? mnl_attr_get_u8(state) : (uint8_t)IF_OPER_UNKNOWN;
    return (i->ifi_flags & IFF_UP) != 0 && (i->ifi_flags & IFF_LOWER_UP) != 0 &&
           (oper == IF_OPER_UP || oper == IF_OPER_UNKNOWN);
}

static bool worth_asking(const struct survey *s, uint32_t index, bool loopback)
{
    if (index == 0 || index == s->except)
        return false;
    return index == s->chosen || (!s->local && !loopback && has_address(s, NULL, index));
}

static void read_link(const struct nlmsghdr *m, void *ctx)
{
    struct survey *s = ctx;
    if (m->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(m) < sizeof(struct ifinfomsg))
        return;
    const struct ifinfomsg *i = mnl_nlmsg_get_payload(m);
    const struct nlattr *mtu = netlink_attribute(m, sizeof(*i), IFLA_MTU, 4);
    const struct nlattr *info = netlink_attribute(m, sizeof(*i), IFLA_LINKINFO, 0);
    struct link l = {
        .link = {.index = (uint32_t)i->ifi_index, .type = i->ifi_type},
        .loopback = (i->ifi_flags & IFF_LOOPBACK) != 0,
        .mtu = mtu != NULL ? mnl_attr_get_u32(mtu) : 0,
    };
    copy_name(netlink_attribute(m, sizeof(*i), IFLA_IFNAME, 1), l.link.name);
    if (info != NULL)
        copy_name(netlink_nested(info, IFLA_INFO_KIND, 1), l.link.maker);
    if (!carries(m, i) || l.link.name[0] == '\0' || !worth_asking(s, l.link.index, l.loopback))
        return;
    for (size_t k = 0; k < s->link_count; k++) {
        if (s->links[k].link.index == l.link.index) { /* a dump that was asked for again */
            s->links[k] = l;
            return;
        }
    }
    struct link *list = grow(s, s->links, &s->link_cap, s->link_count, sizeof(*list));
    if (list == NULL)
        return;
    s->links = list;
    list[s->link_count++] = l;
}

static int ask_links(struct netlink *n, struct survey *s)
{
    struct netlink_request r;
    struct nlmsghdr *m = netlink_begin(&r, RTM_GETLINK, NLM_F_DUMP);
    (void)mnl_nlmsg_put_extra_header(m, sizeof(struct ifinfomsg));
    mnl_attr_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    return netlink_call(n, m, read_link, s);
}

/* --- the ways --- */

/* Where an interface has no address that is fit the kernel lends another one's, which is another
 * network's. That is meant where the route itself names it; and for IPv4, whose routes go with an
 * interface's last address, where the kernel's own choice is such a route. */
static bool source_fits(const struct survey *s, const struct link *l,
                        const struct route_answer *entry, const struct route_answer *packet)
{
    bool lent = ip_equal(&entry->source, &packet->source) ||
                (packet->source.family == IP_V4 && l->link.index == s->chosen);
    return has_address(s, &packet->source, lent || l->loopback ? 0 : l->link.index);
}

/* Is there a way by that link? Asked for an interface without a route, the IPv4 kernel makes one
 * up, as if the remote were on the link; so first whether the tables have an entry, then what a
 * packet would do. */
static bool way_by(struct netlink *n, const struct survey *s, const struct link *l,
                   struct network_way *ret)
{
    struct route_answer entry, packet;
    const struct route_question q = {
        .remote = s->remote,
        .mark = s->mark,
        .interface = l->loopback ? 0 : l->link.index,
    };
    if (route_ask(n, &q, RTM_F_FIB_MATCH, &entry) != 0 || !entry.told ||
        route_ask(n, &q, 0, &packet) != 0 || packet.interface != l->link.index)
        return false;
    if (entry.type != RTN_UNICAST && !(l->loopback && entry.type == RTN_LOCAL))
        return false;
    if (!source_fits(s, l, &entry, &packet))
        return false;
    *ret = (struct network_way){
        .source = packet.source,
        .interface = l->link.index,
        .kind = network_kind_of(&l->link, "/sys/class/net"),
        .metric = entry.metric,
        .mtu = l->mtu,
    };
    memcpy(ret->interface_name, l->link.name, sizeof(ret->interface_name));
    return true;
}

static bool better(const struct survey *s, const struct network_way *a, const struct network_way *b)
{
    if ((a->interface == s->chosen) != (b->interface == s->chosen))
        return a->interface == s->chosen;
    if (a->metric != b->metric)
        return a->metric < b->metric;
    return a->interface < b->interface;
}

/* Into its place among the best `cap`. */
static void insert(const struct survey *s, const struct network_way *way, struct network_way *ways,
                   size_t cap, size_t *count)
{
    size_t at = *count;
    while (at > 0 && better(s, way, &ways[at - 1]))
        at--;
    if (at == cap)
        return;
    if (*count < cap)
        (*count)++;
    memmove(&ways[at + 1], &ways[at], (*count - at - 1) * sizeof(*ways));
    ways[at] = *way;
}

/* What the kernel does with a packet that may leave by any interface. false: somebody has forbidden
 * the remote (unreachable, blackhole, prohibit), which the IPv6 kernel passes over where a question
 * names an interface. A link-local remote is nowhere without its interface. */
static bool ask_choice(struct netlink *n, struct survey *s)
{
    struct route_answer answer;
    const struct route_question q = {.remote = s->remote, .mark = s->mark};
    if (s->remote->family == IP_V6 && ip_is_link_local(s->remote))
        return true;
    int number = route_ask(n, &q, 0, &answer);
    s->chosen = number == 0 ? answer.interface : 0;
    s->local = number == 0 && answer.type == RTN_LOCAL;
    return number != EHOSTUNREACH && number != EINVAL && number != EACCES;
}

enum err network_ways(const struct ip *remote, uint32_t mark, uint32_t except_interface,
                      struct network_way *ret, size_t cap, size_t *ret_count)
{
    struct survey s = {.remote = remote, .mark = mark, .except = except_interface};
    struct netlink n;
    size_t count = 0;
    enum err e = ERR_OK;
    if (remote->family != IP_NONE)
        e = netlink_open(&n, NULL);
    if (e != ERR_OK)
        return e;
    if (remote->family != IP_NONE && ask_choice(&n, &s)) {
        if (ask_addresses(&n, &s) != 0 || ask_links(&n, &s) != 0)
            e = ERR_SYSTEM;
        for (size_t i = 0; e == ERR_OK && i < s.link_count; i++) {
            struct network_way way;
            if (way_by(&n, &s, &s.links[i], &way))
                insert(&s, &way, ret, cap, &count);
        }
    }
    if (remote->family != IP_NONE)
        netlink_close(&n);
    free(s.addresses);
    free(s.links);
    if (s.no_memory)
        return ERR_MEMORY;
    if (e == ERR_OK)
        *ret_count = count;
    return e;
}
