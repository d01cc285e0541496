/* The networks that clients are in, the gateway's addresses, and how both change. A client's
 * interfaces stand in its order of preference; what its driver learns of a change it learns at
 * once, unless it stands still. */
#include "tests/sim/sim.h"

#include <inttypes.h>

enum {
    SERVED_MS = 2000, /* a way that carried that long should have been found */
    UNSERVED_MS = 1500,
    HOURS_MS = 2 * 3600 * 1000
};

/* --- addresses --- */

static struct ip fresh_v4(struct world *w)
{
    unsigned n = ++w->addresses;
    return ip_v4(192, 168, (uint8_t)(n / 250), (uint8_t)(n % 250 + 1));
}

static struct ip v6(uint8_t net, unsigned n)
{
    const uint8_t bytes[16] = {0x20, 1, 0x0d, 0xb8, net, [14] = (uint8_t)(n >> 8), (uint8_t)n};
    return ip_from_span(SPAN_OF(bytes));
}

struct ip gateway_outer(void)
{
    return ip_v4(203, 0, 113, 1);
}

int places_gateway_index(const struct world *w, const struct ip *ip)
{
    for (size_t i = 0; i < w->gateway.address_count; i++) {
        if (ip_equal(ip, &w->gateway.addresses[i].ip))
            return (int)i;
    }
    return -1;
}

struct gateway_address *places_gateway_address(struct world *w, const struct ip *ip)
{
    int i = places_gateway_index(w, ip);
    return i < 0 ? NULL : &w->gateway.addresses[i];
}

int places_interface(const struct client *c, const struct ip *local)
{
    for (int k = 0; k < INTERFACES_MAX; k++) {
        const struct interface *f = &c->interfaces[k];
        if (f->up && (ip_equal(local, &f->v4) || ip_equal(local, &f->v6)))
            return k;
    }
    return -1;
}

static size_t ways_from(const struct client *c, size_t k, const struct ip *source,
                        const struct ip *to, size_t to_count, struct path *out, size_t count)
{
    for (size_t i = 0; i < to_count && count < SESSION_PATHS_MAX; i++) {
        if (source->family == IP_NONE || to[i].family != source->family)
            continue;
        out[count++] = (struct path){
            .local = {*source, c->port},
            .remote = {to[i], c->gateway_port},
            .interface = FIRST_INTERFACE + (uint32_t)k,
        };
    }
    return count;
}

size_t places_ways(const struct world *w, size_t client, const struct ip *to, size_t to_count,
                   struct path ret[SESSION_PATHS_MAX])
{
    const struct client *c = &w->clients[client];
    size_t count = 0;
    for (size_t k = 0; k < INTERFACES_MAX; k++) {
        const struct interface *f = &c->interfaces[k];
        if (!f->up)
            continue;
        count = ways_from(c, k, w->plan.prefer_v6 ? &f->v6 : &f->v4, to, to_count, ret, count);
        count = ways_from(c, k, w->plan.prefer_v6 ? &f->v4 : &f->v6, to, to_count, ret, count);
    }
    return count;
}

/* --- the beginning --- */

static void begin_interface(struct world *w, size_t i, size_t k)
{
    struct rng *r = &w->places_random;
    struct interface *f = &w->clients[i].interfaces[k];
    bool alone = w->plan.interfaces == 1;
    f->v4 = fresh_v4(w);
    f->nat = alone ? w->plan.nat : rng_chance(r, 600);
    f->outside = ip_v4(198, 51, 100, (uint8_t)(++w->addresses));
    f->delay = alone ? 0 : rng_between(r, 5, 150);
    f->up = k == 0 || rng_chance(r, 700);
    if (w->plan.gateway_v6 && rng_chance(r, 600))
        f->v6 = v6(1, ++w->addresses);
}

void places_begin(struct world *w)
{
    struct gateway *g = &w->gateway;
    w->places_random = rng_make(w->seed, 6);
    w->moves_random = rng_make(w->seed, 7);
    g->addresses[g->address_count++].ip = gateway_outer();
    if (w->plan.gateway_second)
        g->addresses[g->address_count++].ip = ip_v4(203, 0, 113, 2);
    if (w->plan.gateway_v6)
        g->addresses[g->address_count++].ip = v6(0xff, 1);
    for (size_t i = 0; i < g->address_count; i++)
        g->addresses[i].announced = true;
    for (size_t i = 0; i < w->plan.clients; i++) {
        for (size_t k = 0; k < w->plan.interfaces; k++)
            begin_interface(w, i, k);
    }
}

/* --- changes --- */

void places_forget_mappings(struct interface *f)
{
    memset(f->mappings, 0, sizeof(f->mappings));
}

static const char *name_of(size_t i, size_t k, char out[64])
{
    snprintf(out, 64, "client%zu: interface %zu", i + 1, k + FIRST_INTERFACE);
    return out;
}

void places_down(struct world *w, size_t i, size_t k)
{
    struct interface *f = &w->clients[i].interfaces[k];
    char name[64];
    if (!f->up)
        return;
    transcript_note(w, name_of(i, k, name), "goes down");
    f->up = false;
    f->troubles++;
    f->since = w->now;
    client_networks(w, i);
}

void places_up(struct world *w, size_t i, size_t k)
{
    struct interface *f = &w->clients[i].interfaces[k];
    char name[64];
    if (f->up)
        return;
    transcript_note(w, name_of(i, k, name), "comes up");
    f->up = true;
    f->since = w->now;
    client_networks(w, i);
}

/* elsewhere: another network, with another translator. */
void places_renumber(struct world *w, size_t i, size_t k, bool elsewhere)
{
    struct interface *f = &w->clients[i].interfaces[k];
    char name[64], text[IP_TEXT_MAX];
    f->v4 = fresh_v4(w);
    if (f->v6.family != IP_NONE)
        f->v6 = v6(1, ++w->addresses);
    if (elsewhere) {
        f->outside = ip_v4(198, 51, 100, (uint8_t)(++w->addresses % 250));
        f->nat = w->plan.interfaces == 1 ? f->nat : rng_chance(&w->places_random, 600);
        places_forget_mappings(f);
    }
    f->troubles++;
    f->since = w->now;
    transcript_note(w, name_of(i, k, name), "has the address %s now", ip_format(&f->v4, text));
    client_networks(w, i);
}

/* IPv4 goes, or comes back; only where IPv6 leads to the gateway. */
static void flip_family(struct world *w, size_t i, size_t k)
{
    struct interface *f = &w->clients[i].interfaces[k];
    char name[64];
    if (f->v6.family == IP_NONE)
        return;
    if (f->v4.family == IP_NONE) {
        f->v4 = f->lost_v4;
        transcript_note(w, name_of(i, k, name), "has IPv4 again");
    } else {
        f->lost_v4 = f->v4;
        f->v4 = (struct ip){.family = IP_NONE};
        transcript_note(w, name_of(i, k, name), "has IPv6 alone");
    }
    f->troubles++;
    f->since = w->now;
    client_networks(w, i);
}

static void black_hole(struct world *w, size_t i, size_t k)
{
    struct rng *r = &w->places_random;
    struct interface *f = &w->clients[i].interfaces[k];
    mono_ms until = w->now + rng_between(r, 300, 20000);
    unsigned which = (unsigned)rng_between(r, 1, 3);
    char name[64];
    for (unsigned d = 0; d < 2; d++) {
        if ((which >> d & 1) != 0)
            f->dead_until[d] = until;
    }
    f->troubles++;
    transcript_note(w, name_of(i, k, name), "carries nothing %s until %.3f",
                    which == 3 ? "at all" : (which == 1 ? "to the gateway" : "from the gateway"),
                    (double)until / 1000);
}

static void gateway_trouble(struct world *w)
{
    struct rng *r = &w->places_random;
    struct gateway *g = &w->gateway;
    struct gateway_address *a = &g->addresses[rng_below(r, g->address_count)];
    char text[IP_TEXT_MAX];
    if (rng_chance(r, 500) && a != &g->addresses[0]) {
        a->announced = !a->announced;
        transcript_note(w, "gateway", "%s %s", a->announced ? "announces" : "does not announce",
                        ip_format(&a->ip, text));
        gateway_announce(w);
        return;
    }
    a->dead_until = w->now + rng_between(r, 300, 20000);
    for (size_t i = 0; i < w->plan.clients; i++) {
        for (size_t k = 0; k < INTERFACES_MAX; k++)
            w->clients[i].interfaces[k].troubles++; /* it may be thought so */
    }
    transcript_note(w, "gateway", "%s cannot be reached until %.3f", ip_format(&a->ip, text),
                    (double)a->dead_until / 1000);
}

static unsigned due_arg(size_t i, size_t k)
{
    return (unsigned)(i * INTERFACES_MAX + k);
}

void places_interface_up(struct world *w, unsigned arg)
{
    places_up(w, arg / INTERFACES_MAX, arg % INTERFACES_MAX);
}

/* For a moment, or for hours in which nobody wants anything. */
static void leave_all_networks(struct world *w, size_t i)
{
    struct rng *r = &w->places_random;
    bool long_time = rng_chance(r, 150);
    mono_ms away = long_time ? rng_between(r, 60000, HOURS_MS) : rng_between(r, 100, 20000);
    for (size_t k = 0; k < w->plan.interfaces; k++) {
        if (!w->clients[i].interfaces[k].up)
            continue;
        places_down(w, i, k);
        world_at(w, away + rng_between(r, 0, 3000), DUE_INTERFACE_UP, due_arg(i, k), NULL);
    }
    if (!long_time || w->plan.clients > 1)
        return;
    transcript_note(w, "client", "nobody does anything for %" PRId64 " ms", away);
    w->asleep_until = w->now + away;
    w->faulty_until += away;
}

static void sleep_for_a_while(struct world *w, size_t i)
{
    struct client *c = &w->clients[i];
    mono_ms away = rng_between(&w->places_random, 500, 20000);
    if (c->paused)
        return;
    transcript_note(w, "client", "client%zu is asleep for %" PRId64 " ms", i + 1, away);
    c->paused = c->slept = true;
    world_at(w, away, DUE_CLIENT_RESUME, (unsigned)i, NULL);
}

static void toggle(struct world *w, size_t i, size_t k)
{
    struct rng *r = &w->places_random;
    size_t up = 0;
    for (size_t n = 0; n < w->plan.interfaces; n++)
        up += w->clients[i].interfaces[n].up ? 1 : 0;
    if (!w->clients[i].interfaces[k].up) {
        places_up(w, i, k);
    } else if (up == 1 && rng_chance(r, 700)) {
        places_renumber(w, i, k, rng_chance(r, 500));
    } else {
        places_down(w, i, k);
        world_at(w, rng_between(r, 50, 30000), DUE_INTERFACE_UP, due_arg(i, k), NULL);
    }
}

void places_strike(struct world *w)
{
    struct rng *r = &w->places_random;
    size_t i = rng_below(r, w->plan.clients), k = rng_below(r, w->plan.interfaces);
    w->changes++;
    switch (rng_below(r, 16)) {
    case 0:
    case 1:
        places_renumber(w, i, k, rng_chance(r, 500));
        break;
    case 2:
    case 3:
        flip_family(w, i, k);
        break;
    case 4:
    case 5:
    case 6:
        black_hole(w, i, k);
        break;
    case 7:
    case 8:
        gateway_trouble(w);
        break;
    case 9:
    case 10:
        places_forget_mappings(&w->clients[i].interfaces[k]);
        transcript_note(w, "network", "a translator of client%zu forgets all", i + 1);
        break;
    case 11:
        leave_all_networks(w, i);
        break;
    case 12:
        sleep_for_a_while(w, i);
        break;
    default:
        toggle(w, i, k);
    }
}

void places_heal(struct world *w)
{
    struct rng *r = &w->places_random;
    for (size_t i = 0; i < w->gateway.address_count; i++) {
        w->gateway.addresses[i].dead_until = 0;
        w->gateway.addresses[i].announced = true;
    }
    if ((w->plan.faults & FAULT_ROAMING) != 0)
        gateway_announce(w);
    for (size_t i = 0; i < w->plan.clients; i++) {
        struct client *c = &w->clients[i];
        size_t stays = rng_below(r, w->plan.interfaces);
        for (size_t k = 0; k < w->plan.interfaces; k++) {
            struct interface *f = &c->interfaces[k];
            f->dead_until[0] = f->dead_until[1] = 0;
            if (f->v4.family == IP_NONE)
                f->v4 = f->lost_v4;
            if (w->plan.interfaces > 1 || !f->up)
                f->up = k == stays || rng_chance(r, 700);
        }
        client_networks(w, i);
    }
}

/* --- out of reach --- */

static mono_ms latest(mono_ms a, mono_ms b)
{
    return a > b ? a : b;
}

/* Since when the way that has carried longest has done so; later than now where none does. */
static mono_ms best_since(struct world *w, const struct client *c)
{
    mono_ms best = MONO_NEVER;
    for (size_t n = 0; n < c->told_count; n++) {
        const struct path *p = &c->told[n];
        const struct interface *f = &c->interfaces[p->interface - FIRST_INTERFACE];
        const struct gateway_address *a = places_gateway_address(w, &p->remote.ip);
        if (a == NULL || !f->up || places_interface(c, &p->local.ip) < 0)
            continue;
        mono_ms since = latest(f->since, latest(f->dead_until[0], f->dead_until[1]));
        best = mono_earlier(best, latest(since, a->dead_until));
    }
    return best;
}

void places_watch(struct world *w)
{
    for (size_t i = 0; i < w->plan.clients; i++) {
        struct client *c = &w->clients[i];
        mono_ms since = best_since(w, c);
        bool served = since != MONO_NEVER && since + SERVED_MS <= w->now && !c->paused;
        if (c->end == NULL)
            c->served_at = w->now;
        mono_ms unserved = served ? since - c->served_at : w->now - c->served_at;
        c->excused = c->excused || unserved > UNSERVED_MS;
        if (served)
            c->served_at = w->now;
    }
}
