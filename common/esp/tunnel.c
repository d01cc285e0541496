/* The policy of the tunnel: outbound the newest ready child whose selectors match, inbound the
 * child the SPI names, and then its selectors again, now that the inner packet can be read (RFC
 * 4301 5.1, 5.2).
 *
 * Of the outer header's TOS octet the tunnel sets and heeds the ECN field (RFC 6040, normal mode;
 * RFC 7296 2.24). The DSCP stays inside unless the child is told to copy it (RFC 4301 5.1.2 leaves
 * that to configuration): it tells whoever watches what kind of traffic each packet is, and
 * networks on the way that sort by it may delay packets beyond what the peer's replay window
 * forgives. What comes in keeps its own DSCP, whatever the outer header's has become.
 *
 * Children are kept oldest first. The sealing half writes only the outbound SAs and counters, the
 * opening half only the inbound ones, so each may have a thread of its own while no child is added
 * or removed; `ready` is what they share: set once by either, never cleared but by draining.
 * Sealing and opening themselves are in esp.c. */
#include "common/esp/tunnel.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/esp/esp_internal.h"
#include "common/packet/protocol.h"

struct child {
    struct esp_in *in;
    struct esp_out *out;
    struct selector_list local, remote;
    uint32_t replaces_spi_in;
    uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
    atomic_bool ready; /* packets may leave by it */
    bool drained;
    bool copy_dscp;
    bool told; /* that a soft bound is reached */
};

struct tunnel {
    struct child *children[TUNNEL_CHILDREN_MAX];
    size_t count;
    bool expiring; /* some child has something to tell */
    struct tunnel_counters counters;
};

enum err tunnel_new(struct tunnel **ret)
{
    struct tunnel *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return ERR_MEMORY;
    *ret = t;
    return ERR_OK;
}

static void child_free(struct child *c)
{
    esp_in_free(c->in);
    esp_out_free(c->out);
    free(c);
}

void tunnel_free(struct tunnel *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->count; i++)
        child_free(t->children[i]);
    free(t);
}

static enum err child_new(const struct tunnel_child_parameters *p, struct child **ret)
{
    struct child *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return ERR_MEMORY;
    enum err e = esp_in_new(&p->in, &c->in);
    if (e == ERR_OK)
        e = esp_out_new(&p->out, &c->out);
    if (e != ERR_OK) {
        child_free(c);
        return e;
    }
    c->local = p->local;
    c->remote = p->remote;
    c->replaces_spi_in = p->replaces_spi_in;
    c->copy_dscp = p->copy_dscp;
    c->soft_bytes = p->soft_bytes;
    c->hard_bytes = p->hard_bytes;
    c->soft_packets = p->soft_packets;
    c->hard_packets = p->hard_packets;
    atomic_init(&c->ready, !p->outbound_waits);
    *ret = c;
    return ERR_OK;
}

/* The index; t->count where there is none. From the newest, which carries most of the traffic. */
static size_t find_child(const struct tunnel *t, uint32_t spi_in)
{
    for (size_t i = t->count; i > 0; i--) {
        if (esp_in_spi(t->children[i - 1]->in) == spi_in)
            return i - 1;
    }
    return t->count;
}

enum err tunnel_add_child(struct tunnel *t, const struct tunnel_child_parameters *p)
{
    if (t->count == TUNNEL_CHILDREN_MAX)
        return ERR_LIMIT;
    if (find_child(t, p->in.spi) != t->count)
        return ERR_STATE;
    enum err e = child_new(p, &t->children[t->count]);
    if (e == ERR_OK)
        t->count++;
    return e;
}

/* The peer gave up the one, so it has the other. */
static void ready_successors(struct tunnel *t, uint32_t spi_in)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->children[i]->replaces_spi_in == spi_in && !t->children[i]->drained)
            atomic_store(&t->children[i]->ready, true);
    }
}

enum err tunnel_drain_child(struct tunnel *t, uint32_t spi_in)
{
    size_t i = find_child(t, spi_in);
    if (i == t->count)
        return ERR_NOT_FOUND;
    t->children[i]->drained = true;
    atomic_store(&t->children[i]->ready, false);
    ready_successors(t, spi_in);
    return ERR_OK;
}

enum err tunnel_remove_child(struct tunnel *t, uint32_t spi_in)
{
    size_t i = find_child(t, spi_in);
    if (i == t->count)
        return ERR_NOT_FOUND;
    ready_successors(t, spi_in);
    child_free(t->children[i]);
    t->count--;
    memmove(&t->children[i], &t->children[i + 1], (t->count - i) * sizeof(t->children[0]));
    return ERR_OK;
}

size_t tunnel_children(const struct tunnel *t)
{
    return t->count;
}

enum err tunnel_child_status(const struct tunnel *t, uint32_t spi_in,
                             struct tunnel_child_status *ret)
{
    size_t i = find_child(t, spi_in);
    if (i == t->count)
        return ERR_NOT_FOUND;
    const struct child *c = t->children[i];
    *ret = (struct tunnel_child_status){.spi_in = spi_in,
                                        .spi_out = esp_out_spi(c->out),
                                        .in = *esp_in_counters(c->in),
                                        .out = *esp_out_counters(c->out)};
    return ERR_OK;
}

const struct tunnel_counters *tunnel_counters(const struct tunnel *t)
{
    return &t->counters;
}

static bool spent(const struct child *c)
{
    const struct esp_counters *out = esp_out_counters(c->out);
    return (c->hard_bytes != 0 && out->bytes >= c->hard_bytes) ||
           (c->hard_packets != 0 && out->packets >= c->hard_packets);
}

static bool nearly_spent(const struct child *c)
{
    const struct esp_counters *out = esp_out_counters(c->out);
    return !c->told && ((c->soft_bytes != 0 && out->bytes >= c->soft_bytes) ||
                        (c->soft_packets != 0 && out->packets >= c->soft_packets));
}

bool tunnel_can_seal(const struct tunnel *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (atomic_load_explicit(&t->children[i]->ready, memory_order_relaxed))
            return true;
    }
    return false;
}

bool tunnel_expiring(struct tunnel *t, uint32_t *ret_spi_in)
{
    if (!t->expiring)
        return false;
    for (size_t i = 0; i < t->count; i++) {
        struct child *c = t->children[i];
        if (nearly_spent(c)) {
            c->told = true;
            *ret_spi_in = esp_in_spi(c->in);
            return true;
        }
    }
    t->expiring = false;
    return false;
}

/* ICMP has one type and code instead of two ports, and both selectors look at it (RFC 7296
 * 3.13.1). */
static bool is_icmp(const struct ip_header *h)
{
    return h->protocol == PROTOCOL_ICMP || h->protocol == PROTOCOL_ICMPV6;
}

static bool source_matches(const struct selector_list *l, const struct ip_header *h)
{
    return selector_list_match(l, &h->source, h->protocol, h->source_port, h->later_fragment);
}

static bool destination_matches(const struct selector_list *l, const struct ip_header *h)
{
    return selector_list_match(l, &h->destination, h->protocol,
                               is_icmp(h) ? h->source_port : h->destination_port,
                               h->later_fragment);
}

static uint8_t outer_tos(const struct child *c, uint8_t tos)
{
    return c->copy_dscp ? tos : (uint8_t)ecn_of(tos);
}

struct tunnel_route tunnel_route(const struct tunnel *t, struct span inner)
{
    struct ip_header h;
    enum err e = ip_header_parse(inner, &h);
    for (size_t i = t->count; e == ERR_OK && i > 0; i--) {
        struct child *c = t->children[i - 1];
        if (atomic_load_explicit(&c->ready, memory_order_relaxed) &&
            source_matches(&c->local, &h) && destination_matches(&c->remote, &h))
            return (struct tunnel_route){.child = c,
                                         .spi = esp_out_spi(c->out),
                                         .front = esp_out_front(c->out),
                                         .tos = outer_tos(c, h.tos)};
    }
    return (struct tunnel_route){.err = e != ERR_OK ? e : ERR_SELECTOR};
}

/* Bounds hold for each packet, so they are asked for each, also where the child is known. */
enum err tunnel_seal(struct tunnel *t, const struct tunnel_route *r, struct span inner,
                     struct packet *p)
{
    struct child *c = r->child;
    if (c == NULL) {
        t->counters.no_child++;
        return r->err;
    }
    p->tos = r->tos;
    enum err e = spent(c) ? ERR_EXHAUSTED : esp_seal(c->out, inner, p);
    if (e == ERR_OK) {
        t->counters.out.packets++;
        t->counters.out.bytes += inner.len;
        if (nearly_spent(c))
            t->expiring = true;
    }
    return e;
}

static struct tunnel_result open_one(struct tunnel *t, struct packet *p)
{
    if (p->len < ESP_HEADER_LEN) {
        t->counters.in.bad++;
        return (struct tunnel_result){.err = ERR_MALFORMED, .spi = 0};
    }
    const uint8_t *b = packet_bytes(p);
    uint32_t spi = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    size_t i = find_child(t, spi);
    if (i == t->count) {
        t->counters.unknown_spi++;
        return (struct tunnel_result){.err = ERR_NOT_FOUND, .spi = 0};
    }
    struct child *c = t->children[i];
    struct esp_opened opened;
    enum err e = esp_open_inner(c->in, p, &opened);
    if (opened.authentic) {
        t->counters.authentic++;
        if (!c->drained && !atomic_load_explicit(&c->ready, memory_order_relaxed))
            atomic_store(&c->ready, true); /* the peer has it, and uses it */
    }
    if (e == ERR_OK && (!source_matches(&c->remote, &opened.inner) ||
                        !destination_matches(&c->local, &opened.inner)))
        e = ERR_SELECTOR;
    if (e == ERR_OK)
        e = packet_join_ecn(p, opened.inner.tos);
    esp_in_count(c->in, e, p->len);
    esp_counters_add(&t->counters.in, e, p->len);
    return (struct tunnel_result){.err = e, .spi = spi};
}

void tunnel_open(struct tunnel *t, struct packet *packets, struct tunnel_result *results,
                 size_t count)
{
    for (size_t i = 0; i < count; i++)
        results[i] = open_one(t, &packets[i]);
}
