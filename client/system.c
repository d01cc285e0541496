/* TUN, addresses, routes, DNS: set up in the order in which nothing leaks, undone in reverse. The
 * state file is written before each change that would outlive the process. */
#include "client/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

/* --- what the gateway assigned --- */

/* No host's address, of whatever network: none, multicast, loopback; "this network" (RFC 1122
 * 3.2.1.3), and what IPv4 reserves above multicast, broadcast included (RFC 1112 4). */
static bool no_host(const struct ip *a)
{
    bool reserved = a->family == IP_V4 && (a->bytes[0] == 0 || a->bytes[0] >= 240);
    return ip_is_unspecified(a) || ip_is_multicast(a) || ip_is_loopback(a) || reserved;
}

static enum err check_address(const struct prefix *p, const struct ip *gateway, struct fault *f)
{
    char text[PREFIX_TEXT_MAX];
    if (no_host(&p->ip) || ip_is_link_local(&p->ip) || prefix_contains(p, gateway) || p->bits == 0)
        return fault_set(f, ERR_REFUSED, "the gateway assigned us the address %s, which cannot be",
                         prefix_format(p, text));
    return ERR_OK;
}

enum err system_check(const struct system_plan *plan, struct fault *f)
{
    const struct configuration *c = plan->config;
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < c->address_count; i++)
        e = check_address(&c->addresses[i], plan->gateway, f);
    for (size_t i = 0; e == ERR_OK && i < c->dns_count; i++) {
        char text[IP_TEXT_MAX];
        if (no_host(&c->dns[i]))
            e = fault_set(f, ERR_REFUSED, "the gateway names the DNS server %s, which cannot be",
                          ip_format(&c->dns[i], text));
    }
    return e;
}

/* Our addresses inside: assigned, or (RequestAddress = none) our own, which is on another interface
 * already. */
static void collect_addresses(const struct system_plan *plan, struct system *s)
{
    const struct configuration *c = plan->config;
    for (size_t i = 0; i < c->address_count; i++)
        s->addresses[s->address_count++] = prefix_host(&c->addresses[i].ip);
}

/* The routes are what was granted. A family without an address of ours goes into the tunnel as
 * well, and ends there: nothing leaks beside it. */
static enum err collect_routes(const struct system_plan *plan, struct system *s, struct fault *f)
{
    for (size_t i = 0; i < plan->remote->count; i++) {
        size_t n;
        enum err e = range_prefixes(&plan->remote->items[i].range, s->into + s->into_count,
                                    ROUTES_MAX - s->into_count, &n);
        if (e != ERR_OK)
            return fault_set(f, e, "the gateway's selectors make more than %d routes", ROUTES_MAX);
        s->into_count += n;
    }
    return ERR_OK;
}

/* --- the parts --- */

static void note_interface(struct system *s)
{
    snprintf(s->state.interface, sizeof(s->state.interface), "%s", tun_name(s->tun));
    s->state.interface_index = tun_index(s->tun);
}

/* Made, not yet up. */
static enum err make_interface(const struct system_plan *plan, struct system *s, struct fault *f)
{
    const char *name = plan->profile->interface[0] != '\0' ? plan->profile->interface : NULL;
    enum err e = tun_open(name, plan->profile->offload, &s->tun, f);
    if (e != ERR_OK)
        return e;
    s->mtu = plan->profile->mtu != PROFILE_MTU_AUTO ? plan->profile->mtu : MTU_DEFAULT;
    note_interface(s);
    return tun_set_mtu(s->tun, s->mtu, f);
}

static enum err raise_interface(struct system *s, struct fault *f)
{
    enum err e = tun_up(s->tun, f);
    for (size_t i = 0; e == ERR_OK && i < s->address_count; i++)
        e = tun_add_address(s->tun, &s->addresses[i], f);
    return e;
}

/* Borrows everything; sources: CP_ADDRESSES_MAX places. */
static struct routes_plan plan_routes(const struct profile *profile, const struct system *s,
                                      struct ip *sources)
{
    for (size_t i = 0; i < s->address_count; i++)
        sources[i] = s->addresses[i].ip;
    return (struct routes_plan){
        .interface = tun_index(s->tun),
        .table = s->state.table,
        .into = s->into,
        .into_count = s->into_count,
        .exclude = profile->excludes,
        .exclude_count = profile->exclude_count,
        .sources = sources,
        .sources_count = s->address_count,
        .guarded = true,
    };
}

static enum err set_up_routes(const struct system_plan *plan, struct runtime_lock *lock,
                              struct system *s, struct fault *f)
{
    struct ip sources[CP_ADDRESSES_MAX];
    struct routes_plan routes = plan_routes(plan->profile, s, sources);
    enum err e = routes_free_table(&routes.table, f);
    if (e != ERR_OK)
        return e;
    s->state.table = routes.table;
    e = runtime_write(lock, &s->state, f);
    if (e == ERR_OK)
        e = routes_install(&routes, &s->routes, f);
    return e;
}

static bool takes_everything(const struct system *s)
{
    for (size_t i = 0; i < s->into_count; i++) {
        if (s->into[i].bits == 0)
            return true;
    }
    return false;
}

/* Split DNS where the tunnel is not for everything and the gateway said which names are inside. */
static enum err set_up_dns(const struct system_plan *plan, struct runtime_lock *lock,
                           struct system *s, struct fault *f)
{
    const struct configuration *c = plan->config;
    s->dns_count = c->dns_count;
    memcpy(s->dns, c->dns, sizeof(c->dns[0]) * c->dns_count);
    s->domain_count = c->domain_count;
    memcpy(s->domains, c->domains, sizeof(c->domains[0]) * c->domain_count);
    if (!plan->profile->dns || c->dns_count == 0)
        return ERR_OK;
    struct dns_plan *dns = calloc(1, sizeof(*dns));
    if (dns == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for DNS");
    free(s->dns_plan);
    s->dns_plan = dns;
    dns->interface_name = s->state.interface;
    dns->interface = tun_index(s->tun);
    for (size_t i = 0; i < c->dns_count && dns->server_count < DNS_SERVERS_MAX; i++)
        dns->servers[dns->server_count++] = c->dns[i];
    dns->all_names = c->domain_count == 0 || takes_everything(s);
    dns->networks = s->into;
    dns->network_count = s->into_count;
    for (size_t i = 0; i < c->domain_count && dns->domain_count < DNS_DOMAINS_MAX; i++)
        memcpy(dns->domains[dns->domain_count++], c->domains[i], DNS_DOMAIN_TEXT_MAX);
    s->state.dns = dns_backend_present();
    enum err e = runtime_write(lock, &s->state, f);
    if (e == ERR_OK)
        e = dns_apply(dns, &s->dns_backend, f);
    return e;
}

enum err system_repeat_dns(struct system *s, struct fault *f)
{
    s->dns_plan->interface = s->state.interface_index;
    enum err e = dns_apply(s->dns_plan, &s->dns_backend, f);
    s->dns_due = e != ERR_OK;
    return e;
}

enum err system_apply(const struct system_plan *plan, struct runtime_lock *lock,
                      struct system **ret, enum exit_code *ret_code, struct fault *f)
{
    *ret_code = EXIT_CODE_INTERNAL;
    struct system *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for the system's state");
    s->state.pid = getpid();
    collect_addresses(plan, s);
    *ret_code = EXIT_CODE_ROUTES_DNS;
    enum err e = collect_routes(plan, s, f);
    if (e == ERR_OK) {
        *ret_code = EXIT_CODE_PRIVILEGE;
        e = make_interface(plan, s, f);
    }
    if (e == ERR_OK) {
        *ret_code = EXIT_CODE_ROUTES_DNS;
        e = set_up_dns(plan, lock, s, f);
    }
    if (e == ERR_OK) {
        *ret_code = EXIT_CODE_PRIVILEGE;
        e = raise_interface(s, f);
    }
    if (e == ERR_OK) {
        *ret_code = EXIT_CODE_ROUTES_DNS;
        e = set_up_routes(plan, lock, s, f);
    }
    if (e != ERR_OK) {
        system_undo(s);
        return e;
    }
    *ret = s;
    return ERR_OK;
}

static bool has_address(const struct system *s, const struct prefix *p)
{
    for (size_t i = 0; i < s->address_count; i++) {
        if (prefix_equal(&s->addresses[i], p))
            return true;
    }
    return false;
}

/* What the tunnel had before, as far as it is to go. */
struct before {
    struct prefix addresses[CP_ADDRESSES_MAX];
    size_t address_count;
    struct prefix into[ROUTES_MAX];
    size_t into_count;
};

static enum err renew(struct system *s, const struct system_plan *plan, struct runtime_lock *lock,
                      const struct before *before, struct fault *f)
{
    struct ip sources[CP_ADDRESSES_MAX];
    enum err e = ERR_OK;
    collect_addresses(plan, s);
    e = collect_routes(plan, s, f);
    for (size_t i = 0; e == ERR_OK && i < s->address_count; i++)
        e = tun_add_address(s->tun, &s->addresses[i], f);
    if (e == ERR_OK) {
        struct routes_plan routes = plan_routes(plan->profile, s, sources);
        e = routes_renew(s->routes, &routes, before->into, before->into_count, f);
    }
    for (size_t i = 0; e == ERR_OK && i < before->address_count; i++) {
        if (!has_address(s, &before->addresses[i]))
            e = tun_remove_address(s->tun, &before->addresses[i], f);
    }
    if (e == ERR_OK)
        e = set_up_dns(plan, lock, s, f);
    return e;
}

enum err system_renew(struct system *s, const struct system_plan *plan, struct runtime_lock *lock,
                      enum exit_code *ret_code, struct fault *f)
{
    struct before *before = calloc(1, sizeof(*before));
    *ret_code = EXIT_CODE_ROUTES_DNS;
    if (before == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for the system's state");
    memcpy(before->addresses, s->addresses, sizeof(s->addresses));
    before->address_count = s->address_count;
    memcpy(before->into, s->into, sizeof(s->into));
    before->into_count = s->into_count;
    s->address_count = s->into_count = 0;
    enum err e = renew(s, plan, lock, before, f);
    free(before);
    return e;
}

/* --- what others did to it --- */

enum err system_look(struct system *s, struct system_damage *ret, struct fault *f)
{
    *ret = (struct system_damage){0};
    return tun_look(s->tun, s->addresses, s->address_count, &ret->tun, f);
}

/* Under the name that it had last, down. */
static enum err make_interface_anew(struct system *s, bool offload, struct fault *f)
{
    struct tun *fresh;
    enum err e = tun_open(s->state.interface, offload, &fresh, f);
    if (e != ERR_OK) {
        if (f != NULL)
            f->code = ERR_REFUSED;
        return ERR_REFUSED;
    }
    tun_close(s->tun);
    s->tun = fresh;
    s->dns_due = s->dns_plan != NULL;
    note_interface(s);
    return ERR_OK;
}

/* resolved knows interfaces by their numbers, resolvconf by their names. */
static void follow_name(struct system *s)
{
    if (s->dns_backend == DNS_RESOLVCONF) {
        dns_revert(s->dns_backend, s->state.interface, s->state.interface_index);
        s->dns_due = true;
    }
    note_interface(s);
}

/* As when it was made: servers before the link is up. */
static enum err repair_interface(struct system *s, const struct tun_look *seen, bool offload,
                                 struct runtime_lock *lock, struct fault *f)
{
    enum err e = ERR_OK;
    if (seen->gone)
        e = make_interface_anew(s, offload, f);
    else if (seen->renamed)
        follow_name(s);
    if (e == ERR_OK && (seen->gone || seen->renamed))
        e = runtime_write(lock, &s->state, f);
    if (e == ERR_OK && (seen->gone || seen->down))
        e = tun_set_mtu(s->tun, s->mtu, f);
    if (e == ERR_OK && s->dns_due)
        e = system_repeat_dns(s, f);
    if (e == ERR_OK && (seen->gone || seen->down || seen->address_lost))
        e = raise_interface(s, f);
    return e;
}

/* Whatever went wrong with the interface: the rules lead to the guards at least. */
enum err system_repair(struct system *s, const struct profile *p, struct runtime_lock *lock,
                       struct system_damage *damage, struct fault *f)
{
    struct ip sources[CP_ADDRESSES_MAX];
    enum err e = repair_interface(s, &damage->tun, p->offload, lock, f);
    const struct routes_plan routes = plan_routes(p, s, sources);
    enum err of_routes =
        routes_restore(s->routes, &routes, &damage->routes, e == ERR_OK ? f : NULL);
    return e == ERR_OK ? of_routes : e;
}

/* An interface under 1280 octets has no IPv6 (RFC 8200 5): where the path bears less, the data path
 * tells senders of IPv4, and the rest goes in fragments outside. */
enum err system_fit_mtu(struct system *s, const struct profile *p, size_t inner_max,
                        struct fault *f)
{
    size_t mtu = inner_max < MTU_MIN ? MTU_MIN : inner_max > MTU_DEFAULT ? MTU_DEFAULT : inner_max;
    if (p->mtu != PROFILE_MTU_AUTO || mtu == s->mtu)
        return ERR_OK;
    s->mtu = (uint16_t)mtu;
    log_info("%s now has an MTU of %zu", tun_name(s->tun), mtu);
    return tun_set_mtu(s->tun, s->mtu, f);
}

void system_undo(struct system *s)
{
    if (s == NULL)
        return;
    if (s->dns_backend != DNS_NONE)
        dns_revert(s->dns_backend, s->state.interface, s->state.interface_index);
    routes_remove(s->routes);
    tun_close(s->tun);
    free(s->dns_plan);
    free(s);
}
