/* Carries datagrams, through the translator of a client's network where it has one, and does to
 * them what the plan says. */
#include "tests/sim/sim.h"

#include <inttypes.h>

struct datagram *datagram_new(bool to_gateway, size_t client, const struct endpoint *from,
                              const struct endpoint *to, struct span bytes)
{
    struct datagram *d = sim_alloc(sizeof(*d) + bytes.len);
    *d = (struct datagram){.to_gateway = to_gateway,
                           .client = client,
                           .interface = -1,
                           .from = *from,
                           .to = *to,
                           .len = bytes.len};
    if (bytes.len > 0)
        memcpy(d->bytes, bytes.data, bytes.len);
    return d;
}

static struct datagram *copy_of(const struct datagram *d)
{
    struct datagram *copy =
        datagram_new(d->to_gateway, d->client, &d->from, &d->to, span_make(d->bytes, d->len));
    copy->genuine = d->genuine;
    copy->sealed = d->sealed;
    copy->interface = d->interface;
    return copy;
}

/* --- NAT --- */

static struct nat_mapping *mapping(struct interface *f, size_t address, uint16_t gateway_port)
{
    return &f->mappings[address][gateway_port == IKE_PORT ? 0 : 1];
}

static bool expired(const struct world *w, const struct nat_mapping *m)
{
    mono_ms after = w->plan.nat_expiry_ms;
    if (!has_fault(w, FAULT_REBINDING) && !has_fault(w, FAULT_ROAMING) && after < 30000)
        after = 30000; /* longer than any keepalive interval */
    return m->port == 0 || w->now - m->used > after;
}

static bool translated(const struct interface *f, const struct ip *inside)
{
    return f->nat && inside->family == IP_V4;
}

static void translate_out(struct world *w, struct datagram *d, struct interface *f)
{
    int address = places_gateway_index(w, &d->to.ip);
    if (address < 0 || !translated(f, &d->from.ip))
        return;
    struct nat_mapping *m = mapping(f, (size_t)address, d->to.port);
    if (expired(w, m) || !endpoint_equal(&m->inside, &d->from)) {
        *m = (struct nat_mapping){.inside = d->from, .port = w->network.next_port++};
        if (w->network.next_port < 1024)
            w->network.next_port = 1024;
    }
    m->used = w->now;
    d->from = (struct endpoint){f->outside, m->port};
}

/* Who has the address that it goes to, directly or through a translator; false where nobody does.
 */
static bool find_receiver(struct world *w, const struct datagram *d, size_t *ret_client,
                          int *ret_interface, struct endpoint *ret_inside)
{
    int address = places_gateway_index(w, &d->from.ip);
    for (size_t n = 0; n < w->plan.clients * INTERFACES_MAX; n++) {
        struct interface *f = &w->clients[n / INTERFACES_MAX].interfaces[n % INTERFACES_MAX];
        *ret_client = n / INTERFACES_MAX;
        *ret_interface = (int)(n % INTERFACES_MAX);
        *ret_inside = d->to;
        if (!f->up)
            continue;
        if (!translated(f, &d->to.ip) &&
            (ip_equal(&d->to.ip, &f->v4) || ip_equal(&d->to.ip, &f->v6)))
            return true;
        if (address < 0 || !translated(f, &d->to.ip) || !ip_equal(&d->to.ip, &f->outside))
            continue;
        struct nat_mapping *m = mapping(f, (size_t)address, d->from.port);
        *ret_inside = m->inside;
        if (!expired(w, m) && m->port == d->to.port && ip_equal(&m->inside.ip, &f->v4)) {
            m->used = w->now;
            return true;
        }
    }
    return false;
}

bool network_seen(struct world *w, size_t client, const struct path *path, struct endpoint *ret)
{
    struct client *c = &w->clients[client];
    int k = places_interface(c, &path->local.ip),
        address = places_gateway_index(w, &path->remote.ip);
    *ret = path->local;
    if (k < 0 || address < 0)
        return false;
    struct interface *f = &c->interfaces[k];
    if (!translated(f, &path->local.ip))
        return true;
    const struct nat_mapping *m = mapping(f, (size_t)address, path->remote.port);
    *ret = (struct endpoint){f->outside, m->port};
    return !expired(w, m);
}

void network_rebind(struct world *w)
{
    for (size_t n = 0; n < CLIENTS_MAX * INTERFACES_MAX; n++)
        places_forget_mappings(&w->clients[n / INTERFACES_MAX].interfaces[n % INTERFACES_MAX]);
    transcript_note(w, "network", "the translators forget all mappings");
}

/* --- sending --- */

static void capture(struct world *w, const struct datagram *d)
{
    struct network *n = &w->network;
    struct datagram **slot = &n->captures[n->captured++ % CAPTURES_MAX];
    sim_free(*slot);
    *slot = copy_of(d);
}

static mono_ms delay(struct world *w, const struct datagram *d)
{
    const struct plan *p = &w->plan;
    mono_ms max = has_fault(w, FAULT_REORDER) ? p->delay_max : p->delay_min;
    mono_ms ms = rng_between(&w->network.random, p->delay_min, max);
    return d->interface < 0 ? ms : ms + w->clients[d->client].interfaces[d->interface].delay;
}

/* IP, with the datagram's own headers. */
static size_t packet_len(const struct datagram *d)
{
    return d->len + (d->to.ip.family == IP_V6 ? 48 : 28);
}

static size_t mtu_of(const struct world *w, const struct datagram *d)
{
    return d->to.ip.family == IP_V6 && w->plan.mtu < 1280 ? 1280 : w->plan.mtu;
}

/* Does the client's network swallow it, or the gateway's? */
static bool swallowed(struct world *w, const struct datagram *d)
{
    const struct gateway_address *a =
        places_gateway_address(w, d->to_gateway ? &d->to.ip : &d->from.ip);
    const struct interface *f =
        d->interface < 0 ? NULL : &w->clients[d->client].interfaces[d->interface];
    return (a != NULL && a->dead_until > w->now) ||
           (f != NULL && f->dead_until[d->to_gateway ? 0 : 1] > w->now);
}

static void corrupt(struct world *w, struct datagram *d)
{
    struct rng *r = &w->network.random;
    if (d->len == 0)
        return;
    size_t first = rng_below(r, d->len);
    d->bytes[first] ^= (uint8_t)(1u << rng_below(r, 8));
    if (rng_chance(r, 300)) { /* and further on */
        size_t at = rng_below(r, d->len);
        if (at != first)
            d->bytes[at] ^= (uint8_t)(1u << rng_below(r, 8));
    }
    d->genuine = d->sealed = false;
}

/* What the network does to one copy. */
static void carry(struct world *w, struct datagram *d, bool ike)
{
    struct rng *r = &w->network.random;
    const struct plan *p = &w->plan;
    const char *fate = "";
    bool lost = false;
    if (has_fault(w, FAULT_LOSS) && rng_chance(r, p->loss)) {
        lost = true;
        fate = "lost";
    } else if (w->network.cut_until[d->to_gateway ? 0 : 1] > w->now) {
        lost = true;
        fate = "lost: cut";
    } else if (swallowed(w, d)) {
        lost = true;
        fate = "lost: swallowed";
    } else if (has_fault(w, FAULT_SMALL_MTU) && packet_len(d) > mtu_of(w, d)) {
        lost = true;
        fate = "lost: too long";
    } else if (has_fault(w, FAULT_CORRUPT) && rng_chance(r, p->corruption)) {
        corrupt(w, d);
        fate = "corrupted";
    }
    if (ike || w->transcript != NULL)
        transcript_datagram(w, d, fate);
    if (lost)
        sim_free(d);
    else
        world_at(w, delay(w, d), DUE_DATAGRAM, 0, d);
}

/* Of the interface that a client's datagram leaves by; false where that does not exist any more. */
static bool leave(struct world *w, struct datagram *d, const struct path *path)
{
    struct client *c = &w->clients[d->client];
    d->interface = places_interface(c, &path->local.ip);
    if (d->interface < 0 || (uint32_t)d->interface + FIRST_INTERFACE != path->interface)
        return false;
    translate_out(w, d, &c->interfaces[d->interface]);
    return true;
}

/* On its way, a genuine one may take a turn through somebody else's hands, who lets it go on from
 * where he is. */
static void divert(struct world *w, struct datagram *d)
{
    struct rng *r = &w->network.random;
    if (!d->to_gateway || !d->genuine)
        return;
    if (!w->network.diverting && (!has_fault(w, FAULT_FORGERY) || !rng_chance(r, 20)))
        return;
    d->from = (struct endpoint){ip_v4(192, 0, 2, 66), (uint16_t)rng_between(r, 1, 65535)};
}

static void count(struct world *w, const struct datagram *d)
{
    struct client *c = &w->clients[d->client];
    struct span message;
    uint16_t port = d->to_gateway ? d->to.port : d->from.port;
    switch (datagram_classify(port != IKE_PORT, span_make(d->bytes, d->len), &message)) {
    case DATAGRAM_IKE:
        c->ike_datagrams++;
        break;
    case DATAGRAM_KEEPALIVE:
        c->keepalives++;
        break;
    default:
        break;
    }
}

void network_send(struct world *w, struct end *from, const struct path *path, struct span bytes)
{
    bool to_gateway = from != NULL && (from->kind == END_CLIENT || from->kind == END_INTRUDER);
    struct datagram *d = datagram_new(to_gateway, from != NULL ? from->client : 0, &path->local,
                                      &path->remote, bytes);
    bool hostile = from != NULL && (from->kind == END_INTRUDER || from->kind == END_IMPOSTOR);
    struct endpoint inside;
    size_t client;
    int interface;
    d->sealed = true;
    uint16_t gateway_port = to_gateway ? path->remote.port : path->local.port;
    if (!hostile) {
        d->genuine = true;
        if (from != NULL)
            observe_sent(from, path, bytes, gateway_port != IKE_PORT);
    }
    if (from != NULL && from->kind == END_CLIENT && !leave(w, d, path)) {
        transcript_datagram(w, d, "lost: no such address");
        sim_free(d);
        return;
    }
    if (!to_gateway && find_receiver(w, d, &client, &interface, &inside)) {
        d->client = client;
        d->interface = interface;
    }
    if (!hostile) {
        count(w, d);
        capture(w, d);
        divert(w, d);
    }
    struct rng *r = &w->network.random;
    if (has_fault(w, FAULT_DUPLICATE) && rng_chance(r, w->plan.duplication))
        carry(w, copy_of(d), true);
    carry(w, d, true);
}

void network_inject(struct world *w, struct datagram *d, mono_ms after)
{
    transcript_datagram(w, d, d->genuine ? "replayed" : "forged");
    world_at(w, after, DUE_DATAGRAM, 0, d);
}

void network_arrive(struct world *w, struct datagram *d)
{
    struct endpoint inside;
    if (!hostile_datagram(w, d)) {
        if (d->to_gateway) {
            gateway_datagram(w, d);
        } else if (find_receiver(w, d, &d->client, &d->interface, &inside)) {
            d->to = inside;
            client_datagram(w, d);
        }
    }
    sim_free(d);
}

void network_heal(struct world *w)
{
    w->network.cut_until[0] = w->network.cut_until[1] = 0;
}

void network_free(struct world *w)
{
    for (size_t i = 0; i < CAPTURES_MAX; i++)
        sim_free(w->network.captures[i]);
}
