/* The network watcher's and the resolver's news, made into one list of ways. A change is passed on
 * at once, without waiting for more: the next one will be passed on as well. */
#include "client/reach.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "client/lookup.h"
#include "common/base/log.h"
#include "platform/routes.h"

enum {
    INTERFACES_MAX = 8,
    TARGETS_MAX = 1 + LOOKUP_FOUND_MAX + SESSION_ADDRESSES_MAX,
    ENTRIES_MAX = INTERFACES_MAX * TARGETS_MAX
};

/* Addresses of the gateway. */
struct targets {
    struct ip items[TARGETS_MAX];
    size_t count;
    size_t certain; /* so many of them; what follows is the gateway's word alone */
};

/* One way and its place in the order. */
struct entry {
    struct path path;
    struct network_way way;
    size_t liked; /* index of the first pattern in Prefer that its interface matches */
    size_t place; /* among the kernel's own choices */
    size_t target;
};

/* What a name has led to, when it last led anywhere. */
struct found {
    struct ip items[LOOKUP_FOUND_MAX];
    size_t count;
};

struct reach {
    struct reach_options options;
    struct lookup lookup;
    struct network_watch *watch; /* NULL: closed */
    uv_poll_t poll;
    bool looked;     /* for the names, once at least */
    bool look_again; /* the network is another one than that in which they are looked for */
    struct found names[LOOKUP_NAMES_MAX];
    struct ip found[LOOKUP_FOUND_MAX];
    size_t found_count;
    struct ip additional[SESSION_ADDRESSES_MAX];
    size_t additional_count;
    bool local;        /* the gateway that told them is on this machine */
    struct ip current; /* in use; family none: none */
    struct network_ours ours;
    struct entry entries[SESSION_PATHS_MAX];
    size_t count;
};

/* --- the order --- */

static size_t liking(const struct profile *p, const char *interface)
{
    size_t i = 0;
    while (i < p->prefer.count && fnmatch(p->prefer.items[i], interface, 0) != 0)
        i++;
    return i;
}

static int compare_sizes(size_t a, size_t b)
{
    return a < b ? -1 : a > b ? 1 : 0;
}

static int compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int order = compare_sizes(a->liked, b->liked);
    if (order == 0)
        order = compare_sizes(a->place, b->place);
    if (order == 0)
        order = compare_sizes(a->way.metric, b->way.metric);
    if (order == 0)
        order = compare_sizes(a->way.interface, b->way.interface);
    return order != 0 ? order : compare_sizes(a->target, b->target);
}

/* An interface has one place, whichever of the gateway's addresses gave it the better one. */
static void settle_places(struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (entries[j].way.interface == entries[i].way.interface &&
                entries[j].place < entries[i].place)
                entries[i].place = entries[j].place;
        }
    }
}

/* Back to this machine: there is no gateway but one that is here itself. */
static bool leads_back(const struct network_way *way, const struct ip *to)
{
    return ip_equal(&way->source, to) || ip_is_loopback(&way->source);
}

static enum err list(const struct reach *r, const struct targets *to,
                     struct entry entries[ENTRIES_MAX], size_t *ret_count)
{
    size_t count = 0;
    for (size_t t = 0; t < to->count; t++) {
        const struct ip *ip = &to->items[t];
        struct network_way ways[INTERFACES_MAX];
        size_t way_count;
        uint16_t port = ip->family == IP_V4 ? r->options.port_v4 : r->options.port_v6;
        if (port == 0)
            continue;
        enum err e =
            network_ways(ip, ROUTES_MARK, r->ours.interface, ways, INTERFACES_MAX, &way_count);
        if (e != ERR_OK)
            return e;
        for (size_t i = 0; i < way_count; i++) {
            if (t >= to->certain && !r->local && leads_back(&ways[i], ip))
                continue;
            entries[count++] = (struct entry){
                .path = {.local = {ways[i].source, port},
                         .remote = {*ip, r->options.profile->port},
                         .interface = ways[i].interface},
                .way = ways[i],
                .liked = liking(r->options.profile, ways[i].interface_name),
                .place = i,
                .target = t,
            };
        }
    }
    settle_places(entries, count);
    qsort(entries, count, sizeof(*entries), compare);
    *ret_count = count;
    return ERR_OK;
}

static size_t ways_by(const struct entry *entries, size_t count, uint32_t interface)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += entries[i].way.interface == interface ? 1 : 0;
    return n;
}

/* Where there is no room for all, the interface with the most ways gives its last one, so that a
 * name with many addresses crowds no network out; nor is the address in use given away. */
static size_t trim(const struct reach *r, struct entry *entries, size_t count)
{
    while (count > SESSION_PATHS_MAX) {
        size_t last = count - 1, most = 0;
        for (size_t i = count; i-- > 0;) {
            size_t n = ways_by(entries, count, entries[i].way.interface);
            if (n > most && !ip_equal(&entries[i].path.remote.ip, &r->current)) {
                most = n;
                last = i;
            }
        }
        count--;
        memmove(&entries[last], &entries[last + 1], (count - last) * sizeof(*entries));
    }
    return count;
}

static void add_target(struct ip *to, size_t *count, size_t cap, const struct ip *ip)
{
    if (*count < cap && !ip_listed(to, *count, ip))
        to[(*count)++] = *ip;
}

size_t reach_ways(const struct reach *r, const struct ip *to, size_t count,
                  struct path paths[SESSION_PATHS_MAX])
{
    struct entry entries[ENTRIES_MAX];
    struct targets targets = {.count = 0};
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        add_target(targets.items, &targets.count, TARGETS_MAX, &to[i]);
    targets.certain = targets.count;
    if (list(r, &targets, entries, &n) != ERR_OK)
        return 0;
    n = trim(r, entries, n);
    for (size_t i = 0; i < n; i++)
        paths[i] = entries[i].path;
    return n;
}

/* --- what is told --- */

static bool same_list(const struct reach *r, const struct entry *entries, size_t count)
{
    bool same = count == r->count;
    for (size_t i = 0; same && i < count; i++)
        same = path_equal(&entries[i].path, &r->entries[i].path);
    return same;
}

/* True where the ways are others than before. Where the kernel could not be asked they are what
 * they were: that takes nothing away. */
static bool look(struct reach *r)
{
    struct entry entries[ENTRIES_MAX];
    struct targets to = {.count = 0};
    size_t count;
    if (r->current.family != IP_NONE)
        add_target(to.items, &to.count, TARGETS_MAX, &r->current);
    for (size_t i = 0; i < r->found_count; i++)
        add_target(to.items, &to.count, TARGETS_MAX, &r->found[i]);
    to.certain = to.count;
    for (size_t i = 0; i < r->additional_count; i++)
        add_target(to.items, &to.count, TARGETS_MAX, &r->additional[i]);
    enum err e = list(r, &to, entries, &count);
    if (e != ERR_OK) {
        log_warn("the ways to the gateway cannot be listed: %s", err_text(e));
        return false;
    }
    count = trim(r, entries, count);
    bool changed = !same_list(r, entries, count);
    memcpy(r->entries, entries, count * sizeof(entries[0]));
    r->count = count;
    return changed;
}

static void tell(struct reach *r)
{
    struct path paths[SESSION_PATHS_MAX];
    for (size_t i = 0; i < r->count; i++) {
        char local[IP_TEXT_MAX], remote[IP_TEXT_MAX];
        paths[i] = r->entries[i].path;
        log_debug("way %zu: %s from %s to %s", i + 1, r->entries[i].way.interface_name,
                  ip_format(&paths[i].local.ip, local), ip_format(&paths[i].remote.ip, remote));
    }
    r->options.changed(r->options.ctx, paths, r->count);
}

const struct network_way *reach_interface(const struct reach *r, const struct path *path)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->entries[i].path.interface == path->interface)
            return &r->entries[i].way;
    }
    return NULL;
}

size_t reach_found(const struct reach *r, const struct ip **ret)
{
    *ret = r->found;
    return r->found_count;
}

/* --- what is heard --- */

static bool lies_in(const struct selector_list *l, const struct ip *ip)
{
    for (size_t i = 0; i < l->count; i++) {
        if (range_contains(&l->items[i].range, ip))
            return true;
    }
    return false;
}

static bool holds_all(const struct selector_list *l, enum ip_family family)
{
    struct ip first = {.family = family}, last = {.family = family};
    memset(last.bytes, 0xff, ip_len(family));
    return lies_in(l, &first) && lies_in(l, &last);
}

/* A gateway tells all its addresses, those of the networks behind it among them. Where everything
 * is behind it, a private one of a gateway with a public one is taken for such. */
static bool outside(const struct ip *ip, const struct ip *at, const struct selector_list *inside)
{
    if (!lies_in(inside, ip))
        return true;
    bool everything =
        at->family == ip->family ? lies_in(inside, at) : holds_all(inside, ip->family);
    return everything && (!ip_is_private(ip) || ip_is_private(at));
}

void reach_set_additional(struct reach *r, const struct ip *addresses, size_t count,
                          const struct ip *at, const struct selector_list *inside)
{
    r->local = ip_is_loopback(at);
    r->additional_count = 0;
    for (size_t i = 0; i < count && r->additional_count < SESSION_ADDRESSES_MAX; i++) {
        if (outside(&addresses[i], at, inside))
            r->additional[r->additional_count++] = addresses[i];
    }
    if (r->looked && look(r))
        tell(r);
}

void reach_set_current(struct reach *r, const struct ip *address)
{
    r->current = *address; /* it is listed, or has just been: nothing to tell */
}

void reach_set_ours(struct reach *r, const struct network_ours *ours)
{
    r->ours = *ours;
}

/* A name that led nowhere takes nothing away: perhaps its resolver is out of reach. */
static void keep_found(struct reach *r)
{
    r->found_count = 0;
    for (size_t i = 0; i < r->lookup.name_count; i++) {
        const struct lookup_name *n = &r->lookup.names[i];
        struct found *known = &r->names[i];
        if (n->count > 0) {
            memcpy(known->items, n->found, n->count * sizeof(n->found[0]));
            known->count = n->count;
        }
        for (size_t j = 0; j < known->count; j++)
            add_target(r->found, &r->found_count, LOOKUP_FOUND_MAX, &known->items[j]);
    }
}

static void on_found(void *ctx, const struct ip *found, size_t count)
{
    struct reach *r = ctx;
    bool first = !r->looked, again = r->look_again;
    (void)found; /* name by name they are in r->lookup */
    r->look_again = false;
    if (first && again && count == 0) { /* there is nothing to tell before the second answer */
        reach_resolve(r);
        return;
    }
    keep_found(r);
    r->looked = true;
    if (look(r) || first)
        tell(r);
    if (again && r->watch != NULL)
        reach_resolve(r);
}

void reach_resolve(struct reach *r)
{
    const struct profile_list *addresses = &r->options.profile->addresses;
    const char *names[PROFILE_LIST_MAX];
    for (size_t i = 0; i < addresses->count; i++)
        names[i] = addresses->items[i];
    lookup_begin(&r->lookup, names, addresses->count);
}

static void on_network(uv_poll_t *poll, int status, int events)
{
    struct reach *r = poll->data;
    struct network_change change;
    (void)events;
    if (network_watch_read(r->watch, &r->ours, &change) != ERR_OK) {
        log_warn("the network is not watched any more");
        uv_poll_stop(&r->poll);
        return;
    }
    /* libuv lets go of a descriptor with an error. An overrun is one, and is over once it is read.
     */
    if (status != 0)
        uv_poll_start(&r->poll, UV_READABLE, on_network);
    if (change.ours && r->options.ours_changed != NULL)
        r->options.ours_changed(r->options.ctx);
    if (!change.ways || !(r->looked || reach_looking(r)))
        return;
    bool moved = r->looked && look(r);
    if (moved)
        tell(r);
    if (r->watch == NULL || (!moved && r->count > 0))
        return;
    /* Another network may know other addresses; also one in which those that we know lead nowhere
     * (RFC 6147: made up from an IPv4 address, for IPv6 alone). */
    if (reach_looking(r))
        r->look_again = true;
    else
        reach_resolve(r);
}

/* --- opening and closing --- */

enum err reach_new(uv_loop_t *loop, const struct reach_options *o, struct reach **ret,
                   struct fault *f)
{
    struct reach *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for the list of ways");
    r->options = *o;
    lookup_init(&r->lookup, loop, on_found, r);
    enum err e = network_watch_open(&r->watch, f);
    if (e != ERR_OK) {
        free(r);
        return e;
    }
    if (uv_poll_init(loop, &r->poll, network_watch_fd(r->watch)) != 0) {
        network_watch_close(r->watch);
        free(r);
        return fault_set(f, ERR_SYSTEM, "the event loop does not take the network watcher");
    }
    r->poll.data = r;
    uv_poll_start(&r->poll, UV_READABLE, on_network);
    *ret = r;
    return ERR_OK;
}

void reach_close(struct reach *r)
{
    if (r == NULL)
        return;
    lookup_cancel(&r->lookup);
    uv_close((uv_handle_t *)&r->poll, NULL);
    network_watch_close(r->watch);
    r->watch = NULL;
}

void reach_free(struct reach *r)
{
    free(r);
}

bool reach_looking(const struct reach *r)
{
    return r != NULL && lookup_active(&r->lookup);
}
