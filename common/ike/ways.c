/* The ways to the gateway that the driver lists, how they and their interfaces have behaved, and
 * which of them is to be preferred. What follows from that is roam.c's.
 *
 * An interface that went away twice, or did not answer once, is as good as before; one that goes on
 * doing so, or was in use and did not carry, has to wait before it is moved to again of our own
 * accord, each time longer.
 */
#include "common/ike/session_state.h"

#include <string.h>

enum {
    TRUST_MAX_MS = 60000,
    FAILURES_FREE = 2 /* plugging a cable in and out is no reason to wait */
};

/* --- ways --- */

bool ways_same_ends(const struct path *a, const struct path *b)
{
    return ip_equal(&a->local.ip, &b->local.ip) && ip_equal(&a->remote.ip, &b->remote.ip);
}

static bool same_interface(const struct path *a, const struct path *b)
{
    return a->interface == b->interface || a->interface == 0 || b->interface == 0;
}

bool ways_is_path(const struct path *path)
{
    return path->remote.ip.family != IP_NONE;
}

struct way *ways_find(struct session *s, const struct path *path)
{
    struct roam *r = &s->roam;
    for (size_t i = 0; i < r->way_count; i++) {
        if (ways_same_ends(&r->ways[i].path, path))
            return &r->ways[i];
    }
    return NULL;
}

bool ways_lists(const struct session *s, const struct path *path)
{
    for (size_t i = 0; i < s->roam.way_count; i++) {
        if (ways_same_ends(&s->roam.ways[i].path, path) &&
            same_interface(&s->roam.ways[i].path, path))
            return true;
    }
    return false;
}

bool ways_have_source(const struct session *s, const struct path *path)
{
    for (size_t i = 0; i < s->roam.way_count; i++) {
        if (ip_equal(&s->roam.ways[i].path.local.ip, &path->local.ip) &&
            same_interface(&s->roam.ways[i].path, path))
            return true;
    }
    return false;
}

bool ways_set(struct session *s, const struct path *paths, size_t count)
{
    struct roam *r = &s->roam;
    struct way ways[SESSION_PATHS_MAX];
    bool more = false;
    count = count < SESSION_PATHS_MAX ? count : SESSION_PATHS_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct way *known = ways_find(s, &paths[i]);
        ways[i] = (struct way){paths[i], known != NULL ? known->srtt_ms : -1};
        more |= known == NULL;
    }
    if (count > 0)
        memcpy(r->ways, ways, count * sizeof(ways[0]));
    r->way_count = count;
    return more;
}

/* --- trust --- */

static struct trust *find_trust(struct roam *r, uint32_t interface)
{
    for (size_t i = 0; i < TRUSTS_MAX; i++) {
        if (r->trusts[i].failures > 0 && r->trusts[i].interface == interface)
            return &r->trusts[i];
    }
    return NULL;
}

void ways_forgive(struct roam *r, uint32_t interface)
{
    struct trust *t = find_trust(r, interface);
    if (t != NULL)
        t->failures = 0;
}

void ways_failed(struct roam *r, mono_ms now, uint32_t interface, enum ways_failure how)
{
    static const uint32_t counts_as[] = {
        [WAYS_WENT] = 1, [WAYS_UNHEARD] = FAILURES_FREE, [WAYS_DEAD] = FAILURES_FREE + 1};
    uint32_t least = counts_as[how];
    struct trust *t = find_trust(r, interface);
    if (t == NULL) {
        t = &r->trusts[0];
        for (size_t i = 1; i < TRUSTS_MAX && t->failures > 0; i++) {
            if (r->trusts[i].failures == 0 || r->trusts[i].failed_at < t->failed_at)
                t = &r->trusts[i];
        }
        *t = (struct trust){.interface = interface};
    }
    t->failures = t->failures + 1 > least ? t->failures + 1 : least;
    t->failed_at = now;
}

/* When that interface may be moved to of our own accord. What failed is asked again only while the
 * connection is in use: an idle machine sleeps. */
mono_ms ways_trusted_at(const struct session *s, uint32_t interface)
{
    for (size_t i = 0; i < TRUSTS_MAX; i++) {
        const struct trust *t = &s->roam.trusts[i];
        if (t->failures <= FAILURES_FREE || t->interface != interface)
            continue;
        mono_ms out = s->traffic.last_out;
        if (out == MONO_NEVER || out <= t->failed_at)
            return MONO_NEVER;
        mono_ms pause_ms = TRUST_MAX_MS;
        if (t->failures - FAILURES_FREE < 6)
            pause_ms = (mono_ms)1000 << (t->failures - FAILURES_FREE);
        return t->failed_at + pause_ms;
    }
    return 0;
}

/* --- choosing --- */

/* Is way `a` to be preferred to way `b` of the same interface? The gateway's address that is in use
 * is likelier to serve than another; then the faster. */
static bool nearer(const struct way *a, const struct way *b, const struct path *current)
{
    bool a_same = ip_equal(&a->path.remote.ip, &current->remote.ip);
    bool b_same = ip_equal(&b->path.remote.ip, &current->remote.ip);
    if (a_same != b_same)
        return a_same;
    return a->srtt_ms >= 0 && b->srtt_ms >= 0 && a->srtt_ms < b->srtt_ms;
}

/* Of the interface that way i uses, the way to take. */
static const struct way *best_on_interface(const struct session *s, size_t i,
                                           const struct path *current)
{
    const struct roam *r = &s->roam;
    const struct way *best = &r->ways[i];
    for (size_t j = i + 1; j < r->way_count; j++) {
        if (r->ways[j].path.interface == best->path.interface && nearer(&r->ways[j], best, current))
            best = &r->ways[j];
    }
    return best;
}

/* Where to, in a hurry. */
const struct way *ways_best(const struct session *s, mono_ms now, const struct path *current)
{
    const struct roam *r = &s->roam;
    for (size_t i = 0; i < r->way_count; i++) {
        if (ways_trusted_at(s, r->ways[i].path.interface) <= now)
            return best_on_interface(s, i, current);
    }
    return best_on_interface(s, 0, current);
}

/* A way on another interface that stands before the path in use, and the moment from which it may
 * be tried; NULL for none. */
const struct way *ways_better(const struct session *s, mono_ms *ret_at)
{
    const struct roam *r = &s->roam;
    const struct way *best = NULL;
    *ret_at = MONO_NEVER;
    if (s->current == NULL)
        return NULL;
    const struct path *current = &s->current->path;
    for (size_t i = 0; i < r->way_count; i++) {
        const struct path *path = &r->ways[i].path;
        if (ways_same_ends(path, current) || path->interface == current->interface)
            break; /* what follows is worse */
        mono_ms at = ways_trusted_at(s, path->interface);
        if (best == NULL || at < *ret_at) {
            best = best_on_interface(s, i, current);
            *ret_at = at;
        }
    }
    return best;
}
