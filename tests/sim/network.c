/* Carries datagrams, through a NAT where the plan has one, and does to them what the plan says.
 * Addresses: clients have 192.0.2.10 and up, the NAT 198.51.100.1, the gateway 203.0.113.1. */
#include "tests/sim/sim.h"

#include <inttypes.h>

enum { IP_AND_UDP_LEN = 28 };

struct ip gateway_outer(void)
{
    return ip_v4(203, 0, 113, 1);
}

static struct ip nat_outer(void)
{
    return ip_v4(198, 51, 100, 1);
}

struct datagram *datagram_new(bool to_gateway, size_t client, const struct endpoint *from,
                              const struct endpoint *to, struct span bytes)
{
    struct datagram *d = sim_alloc(sizeof(*d) + bytes.len);
    *d = (struct datagram){
        .to_gateway = to_gateway, .client = client, .from = *from, .to = *to, .len = bytes.len};
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
    return copy;
}

/* --- NAT --- */

/* Client i has the address's last octet 10 + i. */
static bool client_of(const struct world *w, const struct ip *outer, size_t *ret)
{
    for (size_t i = 0; i < w->plan.clients; i++) {
        if (ip_equal(outer, &w->clients[i].outer)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static struct nat_mapping *mapping(struct world *w, size_t client, uint16_t gateway_port)
{
    return &w->network.nat[client][gateway_port == IKE_PORT ? 0 : 1];
}

static bool expired(const struct world *w, const struct nat_mapping *m)
{
    mono_ms after = w->plan.nat_expiry_ms;
    if (!has_fault(w, FAULT_REBINDING) && after < 30000)
        after = 30000; /* longer than any keepalive interval */
    return m->port == 0 || w->now - m->used > after;
}

static void translate_out(struct world *w, struct datagram *d)
{
    struct nat_mapping *m = mapping(w, d->client, d->to.port);
    if (expired(w, m))
        m->port = w->network.next_port++;
    if (w->network.next_port < 1024)
        w->network.next_port = 1024;
    m->used = w->now;
    d->from = (struct endpoint){nat_outer(), m->port};
}

/* To a client's own address, or through the NAT; false where it leads nowhere. */
static bool translate_in(struct world *w, struct datagram *d)
{
    if (!w->plan.nat)
        return client_of(w, &d->to.ip, &d->client);
    for (size_t i = 0; i < w->plan.clients; i++) {
        struct nat_mapping *m = mapping(w, i, d->from.port);
        if (expired(w, m) || m->port != d->to.port)
            continue;
        m->used = w->now;
        d->client = i;
        d->to = w->clients[i].end != NULL ? w->clients[i].end->path.local
                                          : (struct endpoint){w->clients[i].outer, 0};
        return true;
    }
    return false;
}

void network_rebind(struct world *w)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        w->network.nat[i][0].port = w->network.nat[i][1].port = 0;
    transcript_note(w, "network", "the NAT forgets all mappings");
}

/* --- sending --- */

static void capture(struct world *w, const struct datagram *d)
{
    struct network *n = &w->network;
    struct datagram **slot = &n->captures[n->captured++ % CAPTURES_MAX];
    sim_free(*slot);
    *slot = copy_of(d);
}

static mono_ms delay(struct world *w)
{
    const struct plan *p = &w->plan;
    mono_ms max = has_fault(w, FAULT_REORDER) ? p->delay_max : p->delay_min;
    return rng_between(&w->network.random, p->delay_min, max);
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
    } else if (has_fault(w, FAULT_SMALL_MTU) && d->len + IP_AND_UDP_LEN > p->mtu) {
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
        world_at(w, delay(w), DUE_DATAGRAM, 0, d);
}

void network_send(struct world *w, struct end *from, const struct path *path, struct span bytes)
{
    bool to_gateway = from != NULL && (from->kind == END_CLIENT || from->kind == END_INTRUDER);
    struct datagram *d = datagram_new(to_gateway, from != NULL ? from->client : 0, &path->local,
                                      &path->remote, bytes);
    bool hostile = from != NULL && (from->kind == END_INTRUDER || from->kind == END_IMPOSTOR);
    d->sealed = true;
    uint16_t gateway_port = to_gateway ? path->remote.port : path->local.port;
    if (!hostile) {
        d->genuine = true;
        if (from != NULL)
            observe_sent(from, bytes, gateway_port != IKE_PORT);
        capture(w, d);
    }
    if (from != NULL && from->kind == END_CLIENT && w->plan.nat)
        translate_out(w, d);
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
    if (!hostile_datagram(w, d)) {
        if (d->to_gateway)
            gateway_datagram(w, d);
        else if (translate_in(w, d))
            client_datagram(w, d);
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
