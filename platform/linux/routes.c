/* Our routing table and the rules that lead to it.
 *
 * Per family one rule, `not fwmark MARK/MASK lookup TABLE`, before main: everything but our own
 * outer packets asks our table first, and goes on to main where the table has no answer or a throw
 * route. Removal works from the table number alone, so that what a killed process left is found
 * again.
 *
 * The kernel takes routes away with the interface, its address or its being up. Behind each one a
 * guard waits, an unreachable route that needs none of these. */
#include "platform/routes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "platform/linux/netlink.h"

enum {
    TABLE_FIRST = 52000,
    TABLE_LAST = 52999,
    OUR_PROTOCOL = 186,        /* RTPROT_*, for people who read `ip route` */
    GUARD_METRIC = 0x7fff0000, /* behind whatever leads somewhere */
    DELETIONS_MAX = 4096,
    PLANNED_MAX = 3 * ROUTES_MAX /* a way in and a guard for each prefix, and what is excluded */
};

struct routes {
    uint32_t table;
    bool ruled[2];     /* the families that have our rule */
    bool mark_checked; /* we turned src_valid_mark on, and turn it off again */
};

static const enum ip_family families[] = {IP_V4, IP_V6};

static enum err refused(struct netlink *n, const char *what, struct fault *f)
{
    return fault_set(f, ERR_SYSTEM, "%s: %s", what, n->reason);
}

/* --- rules --- */

static struct nlmsghdr *rule_request(struct netlink_request *r, uint16_t type, uint16_t flags,
                                     enum ip_family family, uint32_t table)
{
    struct nlmsghdr *m = netlink_begin(r, type, flags);
    struct fib_rule_hdr *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
    h->family = netlink_family(family);
    h->action = FR_ACT_TO_TBL;
    h->table = RT_TABLE_UNSPEC;
    h->flags = FIB_RULE_INVERT;
    mnl_attr_put_u32(m, FRA_TABLE, table);
    mnl_attr_put_u32(m, FRA_PRIORITY, ROUTES_PRIORITY);
    mnl_attr_put_u32(m, FRA_FWMARK, ROUTES_MARK);
    mnl_attr_put_u32(m, FRA_FWMASK, ROUTES_MARK_MASK);
    return m;
}

static enum err rule_add(struct netlink *n, enum ip_family family, uint32_t table, struct fault *f)
{
    struct netlink_request r;
    struct nlmsghdr *m = rule_request(&r, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, family, table);
    return netlink_call(n, m, NULL, NULL) == 0 ? ERR_OK
                                               : refused(n, "cannot add a routing rule", f);
}

static void rules_remove(struct netlink *n, enum ip_family family, uint32_t table)
{
    struct netlink_request r;
    for (unsigned i = 0; i < DELETIONS_MAX; i++) {
        struct nlmsghdr *m = rule_request(&r, RTM_DELRULE, 0, family, table);
        if (netlink_call(n, m, NULL, NULL) != 0)
            break; /* no more of them */
    }
}

/* --- routes --- */

struct route {
    struct prefix destination;
    uint8_t type;              /* RTN_UNICAST, RTN_UNREACHABLE (a guard), RTN_THROW */
    uint32_t table, interface; /* interface 0: none */
    const struct ip *source;   /* NULL: none preferred */
};

static struct nlmsghdr *route_request(struct netlink_request *r, uint16_t type, uint16_t flags,
                                      const struct route *route)
{
    struct nlmsghdr *m = netlink_begin(r, type, flags);
    struct rtmsg *rt = mnl_nlmsg_put_extra_header(m, sizeof(*rt));
    rt->rtm_family = netlink_family(route->destination.ip.family);
    rt->rtm_dst_len = route->destination.bits;
    rt->rtm_table = RT_TABLE_UNSPEC;
    rt->rtm_protocol = OUR_PROTOCOL;
    rt->rtm_type = route->type;
    bool v4_link = route->destination.ip.family == IP_V4 && route->type == RTN_UNICAST;
    rt->rtm_scope = v4_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    mnl_attr_put_u32(m, RTA_TABLE, route->table);
    if (route->destination.bits > 0)
        netlink_put_ip(m, RTA_DST, &route->destination.ip);
    if (route->interface != 0)
        mnl_attr_put_u32(m, RTA_OIF, route->interface);
    if (route->source != NULL)
        netlink_put_ip(m, RTA_PREFSRC, route->source);
    if (route->type == RTN_UNREACHABLE)
        mnl_attr_put_u32(m, RTA_PRIORITY, GUARD_METRIC);
    return m;
}

static enum err route_add(struct netlink *n, const struct route *route, struct fault *f)
{
    struct netlink_request r;
    struct nlmsghdr *m = route_request(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
    if (netlink_call(n, m, NULL, NULL) == 0)
        return ERR_OK;
    char text[PREFIX_TEXT_MAX];
    return fault_set(f, ERR_SYSTEM, "cannot add the route to %s: %s",
                     prefix_format(&route->destination, text), n->reason);
}

/* Entries of one table, copied out of a dump before any is deleted. */
struct table_dump {
    uint32_t table;
    size_t count;
    struct nlmsghdr *entries[DELETIONS_MAX];
};

static void collect_route(const struct nlmsghdr *m, void *ctx)
{
    struct table_dump *d = ctx;
    const struct nlattr *a = netlink_attribute(m, sizeof(struct rtmsg), RTA_TABLE, 4);
    if (m->nlmsg_type != RTM_NEWROUTE || a == NULL || mnl_attr_get_u32(a) != d->table ||
        d->count == DELETIONS_MAX)
        return;
    struct nlmsghdr *copy = malloc(m->nlmsg_len);
    if (copy == NULL)
        return;
    memcpy(copy, m, m->nlmsg_len);
    d->entries[d->count++] = copy;
}

static int dump_routes(struct netlink *n, enum ip_family family, uint32_t table,
                       netlink_visit *visit, void *ctx)
{
    struct netlink_request r;
    struct nlmsghdr *m = netlink_begin(&r, RTM_GETROUTE, NLM_F_DUMP);
    struct rtmsg *rt = mnl_nlmsg_put_extra_header(m, sizeof(*rt));
    rt->rtm_family = netlink_family(family);
    rt->rtm_table = RT_TABLE_UNSPEC;
    mnl_attr_put_u32(m, RTA_TABLE, table);
    return netlink_call(n, m, visit, ctx);
}

static void dump_clear(struct table_dump *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->entries[i]);
    d->count = 0;
}

static void delete_entries(struct netlink *n, const struct table_dump *d)
{
    for (size_t i = 0; i < d->count; i++) {
        struct nlmsghdr *m = d->entries[i];
        m->nlmsg_type = RTM_DELROUTE;
        m->nlmsg_flags = 0;
        (void)!netlink_call(n, m, NULL, NULL); /* gone already: as good */
    }
}

static enum err routes_flush(struct netlink *n, enum ip_family family, uint32_t table)
{
    struct table_dump *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return ERR_MEMORY;
    d->table = table;
    int number = dump_routes(n, family, table, collect_route, d);
    delete_entries(n, d);
    dump_clear(d);
    free(d);
    /* ENOENT: the kernel has never made this table */
    return number == 0 || number == ENOENT ? ERR_OK : ERR_SYSTEM;
}

/* --- rp_filter --- */

static const char mark_path[] = "/proc/sys/net/ipv4/conf/all/src_valid_mark";

static int read_switch(const char *path)
{
    char c = '0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, &c, 1);
    close(fd);
    return n == 1 ? c - '0' : -1;
}

static bool write_switch(const char *path, char value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = write(fd, &value, 1);
    close(fd);
    return n == 1;
}

/* A strict reverse path filter looks a reply's sender up without our mark, finds the tunnel, and
 * drops it; with src_valid_mark it looks with the mark. */
static bool make_marks_count(void)
{
    bool strict = read_switch("/proc/sys/net/ipv4/conf/all/rp_filter") == 1 ||
                  read_switch("/proc/sys/net/ipv4/conf/default/rp_filter") == 1;
    return strict && read_switch(mark_path) == 0 && write_switch(mark_path, '1');
}

/* --- the plan --- */

static bool uses_family(const struct routes_plan *plan, enum ip_family family)
{
    for (size_t i = 0; i < plan->into_count; i++) {
        if (plan->into[i].ip.family == family)
            return true;
    }
    return false;
}

static const struct ip *source_for(const struct routes_plan *plan, enum ip_family family)
{
    for (size_t i = 0; i < plan->sources_count; i++) {
        if (plan->sources[i].family == family)
            return &plan->sources[i];
    }
    return NULL;
}

static bool listed(const struct prefix *list, size_t count, const struct prefix *p)
{
    for (size_t i = 0; i < count; i++) {
        if (prefix_equal(&list[i], p))
            return true;
    }
    return false;
}

/* The i-th route of a plan, up to planned_count; false: none. Of what is both for the tunnel and
 * excluded the latter counts. */
static size_t planned_count(const struct routes_plan *plan)
{
    return 2 * plan->into_count + plan->exclude_count;
}

static bool planned_route(const struct routes_plan *plan, size_t i, struct route *ret)
{
    bool excluded = i >= 2 * plan->into_count, guard = !excluded && i % 2 == 0;
    const struct prefix *p =
        excluded ? &plan->exclude[i - 2 * plan->into_count] : &plan->into[i / 2];
    *ret = (struct route){.destination = prefix_network(p), .table = plan->table};
    ret->type = excluded ? RTN_THROW : guard ? RTN_UNREACHABLE : RTN_UNICAST;
    if (ret->type == RTN_UNICAST) {
        ret->interface = plan->interface;
        ret->source = source_for(plan, p->ip.family);
    }
    return excluded ||
           ((plan->guarded || !guard) && !listed(plan->exclude, plan->exclude_count, p));
}

static enum err install_rules(struct netlink *n, struct routes *r, const struct routes_plan *plan,
                              struct fault *f)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < 2; i++) {
        if (!uses_family(plan, families[i]) || r->ruled[i])
            continue;
        e = rule_add(n, families[i], plan->table, f);
        r->ruled[i] = e == ERR_OK;
    }
    return e;
}

static enum err install_all(struct netlink *n, struct routes *r, const struct routes_plan *plan,
                            struct fault *f)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < planned_count(plan); i++) {
        struct route route;
        if (planned_route(plan, i, &route))
            e = route_add(n, &route, f);
    }
    return e == ERR_OK ? install_rules(n, r, plan, f) : e;
}

static enum err clean(struct netlink *n, uint32_t table)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < 2; i++) {
        rules_remove(n, families[i], table);
        enum err one = routes_flush(n, families[i], table);
        if (e == ERR_OK)
            e = one;
    }
    return e;
}

enum err routes_install(const struct routes_plan *plan, struct routes **ret, struct fault *f)
{
    if (plan->table < TABLE_FIRST || plan->table > TABLE_LAST || plan->interface == 0 ||
        plan->into_count > ROUTES_MAX || plan->exclude_count > ROUTES_MAX)
        return fault_set(f, ERR_REFUSED, "the routes cannot be set: too many, or no interface");
    struct routes *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for routes");
    r->table = plan->table;
    struct netlink n;
    enum err e = netlink_open(&n, f);
    if (e != ERR_OK) {
        free(r);
        return e;
    }
    e = install_all(&n, r, plan, f);
    if (e == ERR_OK) {
        r->mark_checked = uses_family(plan, IP_V4) && make_marks_count();
        *ret = r;
    } else {
        (void)!clean(&n, plan->table); /* the first fault is the one to report */
        free(r);
    }
    netlink_close(&n);
    return e;
}

enum err routes_renew(struct routes *r, const struct routes_plan *plan, const struct prefix *before,
                      size_t before_count, struct fault *f)
{
    struct netlink n;
    ASSERT(plan->table == r->table);
    if (plan->into_count > ROUTES_MAX || plan->exclude_count > ROUTES_MAX)
        return fault_set(f, ERR_REFUSED, "the routes cannot be set: too many");
    enum err e = netlink_open(&n, f);
    if (e != ERR_OK)
        return e;
    e = install_all(&n, r, plan, f);
    const struct routes_plan old = {.interface = plan->interface,
                                    .table = plan->table,
                                    .into = before,
                                    .into_count = before_count,
                                    .guarded = plan->guarded};
    for (size_t i = 0; e == ERR_OK && i < planned_count(&old); i++) {
        struct netlink_request request;
        struct route route;
        if (planned_route(&old, i, &route) &&
            !listed(plan->into, plan->into_count, &before[i / 2])) /* gone already: as good */
            (void)!netlink_call(&n, route_request(&request, RTM_DELROUTE, 0, &route), NULL, NULL);
    }
    netlink_close(&n);
    return e;
}

/* --- what others have changed --- */

/* What the kernel has, beside what was planned. */
struct comparison {
    const struct routes_plan *plan;
    bool ruled[2];
    struct route planned[PLANNED_MAX];
    bool found[PLANNED_MAX];
    size_t count;
    struct table_dump strange; /* in our table, and not of the plan */
};

static bool attribute_is(const struct nlmsghdr *m, size_t header, uint16_t type, uint32_t value)
{
    const struct nlattr *a = netlink_attribute(m, header, type, 4);
    return (a != NULL ? mnl_attr_get_u32(a) : 0) == value;
}

static void compare_rule(const struct nlmsghdr *m, void *ctx)
{
    struct comparison *c = ctx;
    const struct fib_rule_hdr *h = mnl_nlmsg_get_payload(m);
    if (m->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(m) < sizeof(*h))
        return;
    if (attribute_is(m, sizeof(*h), FRA_TABLE, c->plan->table) &&
        attribute_is(m, sizeof(*h), FRA_PRIORITY, ROUTES_PRIORITY) &&
        attribute_is(m, sizeof(*h), FRA_FWMARK, ROUTES_MARK) &&
        attribute_is(m, sizeof(*h), FRA_FWMASK, ROUTES_MARK_MASK) &&
        (h->flags & FIB_RULE_INVERT) != 0 && h->action == FR_ACT_TO_TBL)
        c->ruled[h->family == AF_INET6 ? 1 : 0] = true;
}

/* Absent is the same as none, or as a prefix of no bits. */
static bool address_is(const struct nlmsghdr *m, uint16_t type, const struct ip *expected)
{
    const struct nlattr *a = netlink_attribute(m, sizeof(struct rtmsg), type, 4);
    struct ip ip = {0};
    if (a != NULL)
        ip = ip_from_span(span_make(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a)));
    if (expected == NULL || a == NULL)
        return a == NULL && (expected == NULL || ip_is_unspecified(expected));
    return ip_equal(&ip, expected);
}

static bool is_route(const struct nlmsghdr *m, const struct route *route)
{
    const struct rtmsg *rt = mnl_nlmsg_get_payload(m);
    return rt->rtm_family == netlink_family(route->destination.ip.family) &&
           rt->rtm_dst_len == route->destination.bits && rt->rtm_type == route->type &&
           address_is(m, RTA_DST, &route->destination.ip) &&
           address_is(m, RTA_PREFSRC, route->source) &&
           (route->type != RTN_UNICAST ||
            (attribute_is(m, sizeof(*rt), RTA_OIF, route->interface) &&
             netlink_attribute(m, sizeof(*rt), RTA_GATEWAY, 0) == NULL)) &&
           (route->type != RTN_UNREACHABLE ||
            attribute_is(m, sizeof(*rt), RTA_PRIORITY, GUARD_METRIC));
}

static void compare_route(const struct nlmsghdr *m, void *ctx)
{
    struct comparison *c = ctx;
    const struct rtmsg *rt = mnl_nlmsg_get_payload(m);
    bool known = false;
    if (m->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(m) < sizeof(*rt) ||
        (rt->rtm_flags & RTM_F_CLONED) != 0 ||
        !attribute_is(m, sizeof(*rt), RTA_TABLE, c->plan->table))
        return;
    for (size_t i = 0; i < c->count; i++) {
        if (is_route(m, &c->planned[i]))
            known = c->found[i] = true;
    }
    if (!known)
        collect_route(m, &c->strange);
}

static enum err compare(struct netlink *n, struct comparison *c, struct fault *f)
{
    for (size_t i = 0; i < 2; i++) {
        struct netlink_request r;
        struct nlmsghdr *m = netlink_begin(&r, RTM_GETRULE, NLM_F_DUMP);
        struct fib_rule_hdr *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
        h->family = netlink_family(families[i]);
        if (!uses_family(c->plan, families[i]))
            continue;
        if (netlink_call(n, m, compare_rule, c) != 0)
            return refused(n, "cannot read the routing rules", f);
        int number = dump_routes(n, families[i], c->plan->table, compare_route, c);
        if (number != 0 && number != ENOENT)
            return refused(n, "cannot read our routing table", f);
    }
    return ERR_OK;
}

/* The rules first: without them packets pass by the guards. */
static enum err put_back(struct netlink *n, struct routes *r, struct comparison *c,
                         struct routes_damage *ret, struct fault *f)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < 2; i++) {
        bool lost = r->ruled[i] && uses_family(c->plan, families[i]) && !c->ruled[i];
        ret->rules |= lost;
        r->ruled[i] = r->ruled[i] && !lost;
    }
    e = install_rules(n, r, c->plan, f);
    ret->routes = c->strange.count > 0;
    delete_entries(n, &c->strange);
    for (size_t i = 0; i < c->count; i++) {
        if (c->found[i])
            continue;
        ret->routes = true;
        enum err one = route_add(n, &c->planned[i], e == ERR_OK ? f : NULL);
        e = e == ERR_OK ? one : e;
    }
    return e;
}

enum err routes_restore(struct routes *r, const struct routes_plan *plan, struct routes_damage *ret,
                        struct fault *f)
{
    struct netlink n;
    *ret = (struct routes_damage){0};
    ASSERT(plan->table == r->table);
    struct comparison *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return fault_set(f, ERR_MEMORY, "no memory to compare routes");
    c->plan = plan;
    for (size_t i = 0; i < planned_count(plan); i++)
        c->count += planned_route(plan, i, &c->planned[c->count]) ? 1 : 0;
    c->strange.table = plan->table;
    enum err e = netlink_open(&n, f);
    if (e == ERR_OK) {
        e = compare(&n, c, f);
        if (e == ERR_OK)
            e = put_back(&n, r, c, ret, f);
        netlink_close(&n);
    }
    dump_clear(&c->strange);
    free(c);
    return e;
}

void routes_remove(struct routes *r)
{
    if (r == NULL)
        return;
    (void)!routes_clean(r->table, NULL); /* goes on past what is gone; nobody to tell */
    if (r->mark_checked)
        (void)write_switch(mark_path, '0');
    free(r);
}

enum err routes_clean(uint32_t table, struct fault *f)
{
    if (table < TABLE_FIRST || table > TABLE_LAST)
        return fault_set(f, ERR_REFUSED, "table %u is not one of tern's", table);
    struct netlink n;
    enum err e = netlink_open(&n, f);
    if (e != ERR_OK)
        return e;
    e = clean(&n, table);
    netlink_close(&n);
    return e == ERR_OK ? ERR_OK : fault_set(f, e, "table %u could not be flushed", table);
}

/* --- a free table --- */

struct tables_in_use {
    bool used[TABLE_LAST - TABLE_FIRST + 1];
};

static void note_table(struct tables_in_use *t, const struct nlattr *a)
{
    uint32_t table = a != NULL ? mnl_attr_get_u32(a) : 0;
    if (table >= TABLE_FIRST && table <= TABLE_LAST)
        t->used[table - TABLE_FIRST] = true;
}

static void note_rule(const struct nlmsghdr *m, void *ctx)
{
    if (m->nlmsg_type == RTM_NEWRULE)
        note_table(ctx, netlink_attribute(m, sizeof(struct fib_rule_hdr), FRA_TABLE, 4));
}

static void note_route(const struct nlmsghdr *m, void *ctx)
{
    if (m->nlmsg_type == RTM_NEWROUTE)
        note_table(ctx, netlink_attribute(m, sizeof(struct rtmsg), RTA_TABLE, 4));
}

static int note_family(struct netlink *n, enum ip_family family, struct tables_in_use *t)
{
    struct netlink_request r;
    struct nlmsghdr *m = netlink_begin(&r, RTM_GETRULE, NLM_F_DUMP);
    struct fib_rule_hdr *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
    h->family = netlink_family(family);
    int number = netlink_call(n, m, note_rule, t);
    if (number != 0)
        return number;
    m = netlink_begin(&r, RTM_GETROUTE, NLM_F_DUMP);
    struct rtmsg *rt = mnl_nlmsg_put_extra_header(m, sizeof(*rt));
    rt->rtm_family = netlink_family(family);
    return netlink_call(n, m, note_route, t);
}

enum err routes_free_table(uint32_t *ret, struct fault *f)
{
    struct netlink n;
    struct tables_in_use t = {0};
    enum err e = netlink_open(&n, f);
    if (e != ERR_OK)
        return e;
    for (size_t i = 0; e == ERR_OK && i < 2; i++) {
        if (note_family(&n, families[i], &t) != 0)
            e = refused(&n, "cannot read the routing tables", f);
    }
    netlink_close(&n);
    if (e != ERR_OK)
        return e;
    for (uint32_t table = TABLE_FIRST; table <= TABLE_LAST; table++) {
        if (!t.used[table - TABLE_FIRST]) {
            *ret = table;
            return ERR_OK;
        }
    }
    return fault_set(f, ERR_EXHAUSTED, "no free routing table from %d to %d", TABLE_FIRST,
                     TABLE_LAST);
}
