/* The gateway's addresses (RFC 4555 3.4, 3.6), at a client: what can be one, and when the driver
 * hears of them. What the gateway tells leaves out the one at which it was then; here it is
 * listed, for it is another one after a move. Each list costs it questions to the kernel, and new
 * ways may cost datagrams to whomever the gateway names; so a list that is no news is not told, and
 * what comes faster than any gateway moves waits, the newest alone. */
#include "common/ike/session_state.h"

#include <string.h>

enum { TOLD_MAX = 4, PERIOD_MS = 10000 };

/* IPv4 beyond unicast, the limited broadcast address among it. */
static bool is_reserved(const struct ip *ip)
{
    return ip->family == IP_V4 && ip->bytes[0] >= 240;
}

static bool is_ours(const struct session *s, const struct ip *ip)
{
    for (size_t i = 0; i < s->roam.way_count; i++) {
        if (ip_equal(&s->roam.ways[i].path.local.ip, ip))
            return true;
    }
    for (size_t i = 0; i < s->assigned.address_count; i++) {
        if (ip_equal(&s->assigned.addresses[i].ip, ip))
            return true;
    }
    return false;
}

bool addresses_usable(const struct ike_sa *sa, const struct ip *ip)
{
    const struct ip *at = &sa->path.remote.ip;
    if (ip_is_unspecified(ip) || ip_is_multicast(ip) || is_reserved(ip) || is_ours(sa->session, ip))
        return false;
    /* These mean something on a machine, or a link, alone. */
    return (!ip_is_loopback(ip) || ip_is_loopback(at)) &&
           (!ip_is_link_local(ip) || ip_is_link_local(at));
}

static void tell(struct session *s, mono_ms now)
{
    struct addresses *a = &s->addresses;
    if (!a->news)
        return;
    if (a->told == 0 || now >= a->told_since + PERIOD_MS) {
        a->told = 0;
        a->told_since = now;
    }
    if (a->told == TOLD_MAX)
        return;
    a->told++;
    struct session_event *event = session_emit(s, SESSION_EVENT_ADDRESSES);
    if (event == NULL)
        return;
    a->news = false;
    memcpy(event->addresses.items, a->items, a->count * sizeof(a->items[0]));
    event->addresses.count = a->count;
}

/* In whichever order. */
static bool same(const struct addresses *a, const struct ip *items, size_t count)
{
    bool equal = a->count == count;
    for (size_t i = 0; equal && i < count; i++)
        equal = ip_listed(a->items, a->count, &items[i]);
    return equal;
}

void addresses_said(struct ike_sa *sa, mono_ms now, mono_ms born, const struct ip *items,
                    size_t count)
{
    struct session *s = sa->session;
    struct addresses *a = &s->addresses;
    struct ip all[SESSION_ADDRESSES_MAX];
    size_t all_count = 0;
    if (born < a->born)
        return; /* repeated under an IKE SA whose successor has said otherwise */
    a->born = born;
    ASSERT(count <= SESSION_ADDITIONAL_MAX);
    for (size_t i = 0; i < count; i++)
        all[all_count++] = items[i];
    if (!ip_listed(all, all_count, &sa->path.remote.ip))
        all[all_count++] = sa->path.remote.ip;
    bool never_any = a->count == 0 && count == 0;
    if (never_any || same(a, all, all_count))
        return;
    memcpy(a->items, all, all_count * sizeof(all[0]));
    a->count = all_count;
    a->news = true;
    tell(s, now);
}

mono_ms addresses_next_timeout(const struct session *s)
{
    return s->addresses.news ? s->addresses.told_since + PERIOD_MS : MONO_NEVER;
}

void addresses_handle_timeout(struct session *s, mono_ms now)
{
    if (now >= addresses_next_timeout(s))
        tell(s, now);
}
