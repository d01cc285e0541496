/* TUN interfaces. The kernel removes the interface, its addresses and its routes with the last
 * descriptor, so closing is the whole of undoing. Rules and routes are in routes.c. */
#include "platform/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>

#include "platform/clock.h"
#include "platform/linux/netlink.h"
#include "platform/linux/permission.h"
#include "platform/linux/route_question.h"

_Static_assert(TUN_NAME_MAX == IFNAMSIZ, "the contract's name length is the kernel's");

_Static_assert(TUN_HEADER_LEN == sizeof(struct virtio_net_hdr), "what the kernel puts in front");

/* Linux 6.2; headers may be older than the kernel. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum { LOCAL_ROUTE_MAX_MS = 1000 };

struct tun {
    int fd;
    struct tun_offload offload;
    uint32_t index;
    char name[TUN_NAME_MAX];
};

/* What the kernel takes for a name, and '%' refused: the kernel would fill a number in. */
static bool name_acceptable(const char *name)
{
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (const char *c = name; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == '/' || *c == ':' || *c == '%')
            return false;
    }
    return true;
}

/* Turns the descriptor into an interface; asked for exclusively, so that a persistent device that
 * somebody left is not taken over. */
static enum err attach(struct tun *t, const char *name, struct fault *f)
{
    struct ifreq request = {0};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name != NULL ? name : "tern%d");
    request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL);
    if (ioctl(t->fd, TUNSETIFF, &request) == 0) {
        memcpy(t->name, request.ifr_name, sizeof t->name);
        t->name[sizeof t->name - 1] = '\0';
        return ERR_OK;
    }
    int number = errno;
    if (name != NULL && (number == EBUSY || number == EEXIST)) {
        (void)fault_set(f, ERR_REFUSED, "the interface name %s is taken", name);
        fault_hint(f, "ip link show %s", name);
        return ERR_REFUSED;
    }
    (void)fault_set(f, ERR_SYSTEM, "no TUN interface: %s", strerror(number));
    if (number == EPERM)
        permission_hint_net_admin(f);
    return ERR_SYSTEM;
}

/* As much as this kernel takes: UDP came later than TCP. Not TSO_ECN: what bears CWR comes one by
 * one, for where it belongs after cutting depends on the kind of ECN. */
static void take_offload(struct tun *t)
{
    const unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    t->offload.udp = ioctl(t->fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0;
    t->offload.tcp = t->offload.udp || ioctl(t->fd, TUNSETOFFLOAD, tcp) == 0;
}

static enum err open_and_attach(struct tun *t, const char *name, struct fault *f)
{
    if (permission_open_tun(&t->fd, f) != ERR_OK) {
        if (f != NULL)
            f->code = ERR_SYSTEM;
        return ERR_SYSTEM;
    }
    enum err e = attach(t, name, f);
    if (e != ERR_OK)
        return e;
    t->index = if_nametoindex(t->name);
    if (t->index == 0)
        return fault_set(f, ERR_SYSTEM, "interface %s: %s", t->name, strerror(errno));
    return ERR_OK;
}

enum err tun_open(const char *name, bool offload, struct tun **ret, struct fault *f)
{
    if (name != NULL && strlen(name) >= TUN_NAME_MAX)
        return fault_set(f, ERR_REFUSED, "the interface name %s is longer than %d characters", name,
                         TUN_NAME_MAX - 1);
    if (name != NULL && !name_acceptable(name))
        return fault_set(f, ERR_REFUSED, "\"%s\" cannot be an interface name", name);
    struct tun *t = calloc(1, sizeof *t);
    if (t == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for an interface");
    t->fd = -1;
    enum err e = open_and_attach(t, name, f);
    if (e != ERR_OK) {
        tun_close(t);
        return e;
    }
    if (offload)
        take_offload(t);
    *ret = t;
    return ERR_OK;
}

void tun_close(struct tun *t)
{
    if (t == NULL)
        return;
    if (t->fd >= 0)
        (void)close(t->fd);
    free(t);
}

const char *tun_name(const struct tun *t)
{
    return t->name;
}

uint32_t tun_index(const struct tun *t)
{
    return t->index;
}

struct tun_offload tun_offload(const struct tun *t)
{
    return t->offload;
}

int tun_fd(const struct tun *t)
{
    return t->fd;
}

/* One change; `forgiven` is an errno that means it is already so. */
static enum err apply(struct nlmsghdr *request, int forgiven, const char *what, struct fault *f)
{
    struct netlink n;
    enum err e = netlink_open(&n, f);
    if (e != ERR_OK)
        return e;
    int number = netlink_call(&n, request, NULL, NULL);
    if (number != 0 && number != forgiven) {
        e = fault_set(f, ERR_SYSTEM, "%s: %s", what, n.reason);
        if (number == EPERM)
            permission_hint_net_admin(f);
    }
    netlink_close(&n);
    return e;
}

static struct nlmsghdr *link_request(struct netlink_request *r, const struct tun *t,
                                     struct ifinfomsg **ret_info)
{
    struct nlmsghdr *m = netlink_begin(r, RTM_SETLINK, 0);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(m, sizeof *info);
    info->ifi_family = AF_UNSPEC;
    info->ifi_index = (int)t->index;
    *ret_info = info;
    return m;
}

enum err tun_set_mtu(struct tun *t, uint16_t mtu, struct fault *f)
{
    struct netlink_request r;
    struct ifinfomsg *info;
    struct nlmsghdr *m = link_request(&r, t, &info);
    mnl_attr_put_u32(m, IFLA_MTU, mtu);
    char what[64];
    (void)snprintf(what, sizeof what, "MTU %u on %s", (unsigned)mtu, t->name);
    return apply(m, 0, what, f);
}

/* A setting of our own interface; false where it could not be written. */
static bool write_setting(const struct tun *t, const char *setting, char value)
{
    char path[96];
    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", t->name, setting);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool written = write(fd, &value, 1) == 1;
    (void)close(fd);
    return written;
}

static enum err change_address(const struct tun *t, uint16_t type, uint16_t flags, int forgiven,
                               const struct prefix *address, struct fault *f)
{
    struct netlink_request r;
    struct nlmsghdr *m = netlink_begin(&r, type, flags);
    struct ifaddrmsg *header = mnl_nlmsg_put_extra_header(m, sizeof *header);
    header->ifa_family = netlink_family(address->ip.family);
    header->ifa_prefixlen = address->bits;
    header->ifa_index = t->index;
    netlink_put_ip(m, IFA_LOCAL, &address->ip);
    netlink_put_ip(m, IFA_ADDRESS, &address->ip);
    /* Routes are ours to set, in our own table; and nobody on a tunnel answers a duplicate address
     * probe, so waiting for one only delays the first packet. */
    uint32_t wanted = IFA_F_NOPREFIXROUTE;
    if (address->ip.family == IP_V6)
        wanted |= IFA_F_NODAD;
    mnl_attr_put_u32(m, IFA_FLAGS, wanted);
    char what[PREFIX_TEXT_MAX + 48], text[PREFIX_TEXT_MAX];
    (void)snprintf(what, sizeof what, "address %s on %s", prefix_format(address, text), t->name);
    return apply(m, forgiven, what, f);
}

static enum err add_address(const struct tun *t, const struct prefix *address, struct fault *f)
{
    return change_address(t, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, 0, address, f);
}

static bool is_local(struct netlink *n, const struct ip *a)
{
    const struct route_question q = {.remote = a};
    struct route_answer answer;
    return route_ask(n, &q, 0, &answer) == 0 && answer.type == RTN_LOCAL;
}

static bool hear_of_routes(struct netlink *n)
{
    int group = RTNLGRP_IPV6_ROUTE;
    return mnl_socket_setsockopt(n->socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0;
}

/* The kernel has an IPv6 address at once, but adds the route by which packets reach it when it
 * finds the time; on a busy machine the first answers would be lost. It tells n of the route
 * afterwards: one that is told while is_local asks is there, or remains to be read. Where none
 * comes there is no more to be done than to go on. */
static void await_local_route(struct netlink *n, const struct ip *a)
{
    struct pollfd news = {.fd = mnl_socket_get_fd(n->socket), .events = POLLIN};
    int64_t end = clock_awake_ms() + LOCAL_ROUTE_MAX_MS, now;
    while (!is_local(n, a) && (now = clock_awake_ms()) < end)
        (void)poll(&news, 1, (int)(end - now));
}

enum err tun_add_address(struct tun *t, const struct prefix *address, struct fault *f)
{
    if (address->ip.family != IP_V6)
        return add_address(t, address, f);
    /* Where the administrator turned IPv6 off by default, a gateway that hands us an IPv6 address
     * is the reason to have it on this one interface. If that fails the address will tell. */
    (void)write_setting(t, "disable_ipv6", '0');
    struct netlink routes;
    enum err e = netlink_open(&routes, f);
    if (e != ERR_OK)
        return e;
    bool heard = hear_of_routes(&routes);
    e = add_address(t, address, f);
    if (e == ERR_OK && heard)
        await_local_route(&routes, &address->ip);
    netlink_close(&routes);
    return e;
}

enum err tun_remove_address(struct tun *t, const struct prefix *address, struct fault *f)
{
    return change_address(t, RTM_DELADDR, 0, EADDRNOTAVAIL, address, f);
}

enum err tun_up(struct tun *t, struct fault *f)
{
    char what[64];
    (void)snprintf(what, sizeof what, "bringing %s up", t->name);
    struct netlink_request r;
    struct ifinfomsg *info;
    /* No link-local address, hence no router solicitation either: whatever the kernel says by
     * itself on this interface would travel to the gateway. A kernel without IPv6 has nothing to
     * say. Router advertisements that come out of the tunnel configure nothing. */
    struct nlmsghdr *m = link_request(&r, t, &info);
    struct nlattr *spec = mnl_attr_nest_start(m, IFLA_AF_SPEC);
    struct nlattr *inet6 = mnl_attr_nest_start(m, AF_INET6);
    mnl_attr_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(m, inet6);
    mnl_attr_nest_end(m, spec);
    enum err e = apply(m, EAFNOSUPPORT, what, f);
    if (e != ERR_OK)
        return e;
    (void)write_setting(t, "accept_ra", '0');
    m = link_request(&r, t, &info);
    info->ifi_flags = IFF_UP;
    info->ifi_change = IFF_UP;
    return apply(m, 0, what, f);
}

/* --- what others have made of it --- */

struct sight {
    const struct tun *t;
    const struct prefix *addresses;
    size_t count;
    uint64_t found; /* a bit for each address */
    unsigned flags;
    char name[TUN_NAME_MAX];
};

static void see_link(const struct nlmsghdr *m, void *ctx)
{
    struct sight *s = ctx;
    const struct ifinfomsg *i = mnl_nlmsg_get_payload(m);
    const struct nlattr *name = netlink_attribute(m, sizeof *i, IFLA_IFNAME, 1);
    if (m->nlmsg_type != RTM_NEWLINK || name == NULL ||
        mnl_attr_validate(name, MNL_TYPE_NUL_STRING) < 0 ||
        mnl_attr_get_payload_len(name) > sizeof s->name)
        return;
    s->flags = i->ifi_flags;
    memcpy(s->name, mnl_attr_get_str(name), strlen(mnl_attr_get_str(name)) + 1);
}

static void see_address(const struct nlmsghdr *m, void *ctx)
{
    struct sight *s = ctx;
    const struct ifaddrmsg *a = mnl_nlmsg_get_payload(m);
    const struct nlattr *own = netlink_attribute(m, sizeof *a, IFA_LOCAL, 4);
    if (own == NULL)
        own = netlink_attribute(m, sizeof *a, IFA_ADDRESS, 4);
    if (m->nlmsg_type != RTM_NEWADDR || own == NULL || a->ifa_index != s->t->index)
        return;
    struct ip ip =
        ip_from_span(span_make(mnl_attr_get_payload(own), mnl_attr_get_payload_len(own)));
    for (size_t i = 0; i < s->count; i++) {
        if (ip_equal(&s->addresses[i].ip, &ip))
            s->found |= UINT64_C(1) << i;
    }
}

static enum err see(struct netlink *n, struct sight *s, struct tun_look *ret, struct fault *f)
{
    struct netlink_request r;
    struct nlmsghdr *m = netlink_begin(&r, RTM_GETLINK, 0);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(m, sizeof *info);
    info->ifi_index = (int)s->t->index;
    int number = netlink_call(n, m, see_link, s);
    ret->gone = number == ENODEV;
    if (number == 0) {
        m = netlink_begin(&r, RTM_GETADDR, NLM_F_DUMP);
        struct ifaddrmsg *a = mnl_nlmsg_put_extra_header(m, sizeof *a);
        a->ifa_index = s->t->index;
        number = netlink_call(n, m, see_address, s);
    }
    if (number != 0 && number != ENODEV)
        return fault_set(f, ERR_SYSTEM, "cannot look at %s: %s", s->t->name, n->reason);
    return ERR_OK;
}

enum err tun_look(struct tun *t, const struct prefix *addresses, size_t count, struct tun_look *ret,
                  struct fault *f)
{
    struct sight s = {.t = t, .addresses = addresses, .count = count};
    struct ifreq mine = {0};
    struct netlink n;
    *ret = (struct tun_look){0};
    ASSERT(count < 64);
    /* The index may be somebody else's by now; our descriptor knows. */
    ret->gone = ioctl(t->fd, TUNGETIFF, &mine) != 0;
    if (ret->gone)
        return ERR_OK;
    enum err e = netlink_open(&n, f);
    if (e != ERR_OK)
        return e;
    e = see(&n, &s, ret, f);
    netlink_close(&n);
    if (e != ERR_OK || ret->gone)
        return e;
    ret->down = (s.flags & IFF_UP) == 0;
    ret->address_lost = s.found != (UINT64_C(1) << count) - 1;
    ret->renamed = s.name[0] != '\0' && strcmp(s.name, t->name) != 0;
    memcpy(ret->was, t->name, sizeof ret->was);
    if (ret->renamed)
        memcpy(t->name, s.name, sizeof t->name);
    return ERR_OK;
}

enum err tun_read(struct tun *t, uint8_t *buf, size_t cap, size_t *ret_len)
{
    ssize_t got;
    do
        got = read(t->fd, buf, cap);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? ERR_AGAIN : ERR_SYSTEM;
    *ret_len = (size_t)got;
    return ERR_OK;
}

/* Is it several packets in one piece (struct virtio_net_hdr's gso_type)? */
static bool is_whole(struct span header)
{
    return header.data[offsetof(struct virtio_net_hdr, gso_type)] != VIRTIO_NET_HDR_GSO_NONE;
}

enum err tun_write(struct tun *t, const struct span *spans, size_t count)
{
    struct iovec iov[TUN_SPANS_MAX];
    size_t len = 0;
    ssize_t put;
    ASSERT(count > 0 && count <= TUN_SPANS_MAX && spans[0].len >= TUN_HEADER_LEN);
    for (size_t i = 0; i < count; i++) {
        /* writev reads only */
        iov[i] = (struct iovec){(void *)(uintptr_t)spans[i].data, spans[i].len};
        len += spans[i].len;
    }
    do
        put = writev(t->fd, iov, (int)count);
    while (put < 0 && errno == EINTR);
    if (put >= 0)
        return (size_t)put == len ? ERR_OK : ERR_REFUSED;
    switch (errno) {
    case EAGAIN:
        return ERR_AGAIN;
    case EBADFD: /* the interface was deleted under us */
    case EBADF:
        return ERR_SYSTEM;
    case EINVAL:
        if (!is_whole(spans[0]))
            return ERR_REFUSED;
        t->offload = (struct tun_offload){.tcp = false};
        return ERR_UNSUPPORTED;
    default: /* EINVAL: no IP packet; EIO: the interface is down just now; ENOMEM */
        return ERR_REFUSED;
    }
}
