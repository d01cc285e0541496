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
 * Children are kept oldest first, in a table that never changes: control publishes another one
 * (epoch.h), and what it replaced, with the child that it removed, is freed when neither sealing
 * nor opening has it in hand. The sealing half writes only the outbound SAs and its own counters,
 * the opening half only the inbound ones and its; all of them read the others'. `use` is what they
 * share: it only moves forward, so that what opening has seen never undoes a draining.
 * Sealing and opening themselves are in esp.c. */
#include "common/esp/tunnel.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/base/epoch.h"
#include "common/esp/esp_internal.h"
#include "common/packet/protocol.h"

enum { SEALING, OPENING }; /* readers of the table */

/* What may leave by a child. */
enum use { USE_WAITS, USE_READY, USE_DRAINED };

struct child {
    struct esp_in *in;
    struct esp_out *out;
    struct selector_list local, remote;
    uint32_t replaces_spi_in;
    uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
    bool copy_dscp;
    atomic_int use;
    atomic_bool told;    /* that a soft bound is reached */
    struct table *spare; /* for its removal, which cannot fail */
};

struct table {
    struct epoch_retired retired;
    struct child *removed; /* that is freed with it; NULL: none */
    size_t count;
    struct child *children[TUNNEL_CHILDREN_MAX];
};

struct tunnel {
    _Atomic(struct table *) table;
    atomic_size_t drained; /* how often, counted before a child is */
    atomic_bool expiring;  /* some child has something to tell */
    struct epoch epoch;
    struct { /* the sealing half's; the epoch's readers keep the two apart */
        struct esp_tally counters;
        struct tally no_child;
    } out;
    uint8_t line[EPOCH_LINE];
    struct {
        struct esp_tally counters;
        struct tally authentic, unknown_spi;
    } in;
};

static struct table *table_of(const struct tunnel *t)
{
    return atomic_load(&t->table);
}

enum err tunnel_new(struct tunnel **ret)
{
    struct tunnel *t = calloc(1, sizeof(*t));
    struct table *table = calloc(1, sizeof(*table));
    if (t == NULL || table == NULL) {
        free(t);
        free(table);
        return ERR_MEMORY;
    }
    atomic_init(&t->table, table);
    *ret = t;
    return ERR_OK;
}

static void child_free(struct child *c)
{
    if (c == NULL)
        return;
    esp_in_free(c->in);
    esp_out_free(c->out);
    free(c->spare);
    free(c);
}

static void table_release(struct epoch_retired *r)
{
    struct table *table = (struct table *)r;
    child_free(table->removed);
    free(table);
}

void tunnel_free(struct tunnel *t)
{
    if (t == NULL)
        return;
    bool all = epoch_collect(&t->epoch);
    ASSERT(all);
    struct table *table = table_of(t);
    for (size_t i = 0; i < table->count; i++)
        child_free(table->children[i]);
    free(table);
    free(t);
}

/* In the place of the table so far, which takes `removed` along. */
static void publish(struct tunnel *t, struct table *table, struct child *removed)
{
    struct table *old = atomic_exchange(&t->table, table);
    old->removed = removed;
    old->retired.release = table_release;
    epoch_retire(&t->epoch, &old->retired);
}

static enum err child_new(const struct tunnel_child_parameters *p, struct child **ret)
{
    struct child *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return ERR_MEMORY;
    c->spare = calloc(1, sizeof(*c->spare));
    enum err e = c->spare != NULL ? esp_in_new(&p->in, &c->in) : ERR_MEMORY;
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
    atomic_init(&c->use, p->outbound_waits ? USE_WAITS : USE_READY);
    *ret = c;
    return ERR_OK;
}

/* The index; table->count where there is none. From the newest, which carries most of the traffic.
 */
static size_t find_child(const struct table *table, uint32_t spi_in)
{
    for (size_t i = table->count; i > 0; i--) {
        if (esp_in_spi(table->children[i - 1]->in) == spi_in)
            return i - 1;
    }
    return table->count;
}

enum err tunnel_add_child(struct tunnel *t, const struct tunnel_child_parameters *p)
{
    const struct table *old = table_of(t);
    if (old->count == TUNNEL_CHILDREN_MAX)
        return ERR_LIMIT;
    if (find_child(old, p->in.spi) != old->count)
        return ERR_STATE;
    struct table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return ERR_MEMORY;
    memcpy(table->children, old->children, sizeof(table->children));
    enum err e = child_new(p, &table->children[old->count]);
    if (e != ERR_OK) {
        free(table);
        return e;
    }
    table->count = old->count + 1;
    publish(t, table, NULL);
    return ERR_OK;
}

static void make_ready(struct child *c)
{
    int waits = USE_WAITS;
    (void)atomic_compare_exchange_strong(&c->use, &waits, USE_READY);
}

/* The peer gave up the one, so it has the other. */
static void ready_successors(const struct table *table, uint32_t spi_in)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->children[i]->replaces_spi_in == spi_in)
            make_ready(table->children[i]);
    }
}

enum err tunnel_drain_child(struct tunnel *t, uint32_t spi_in)
{
    const struct table *table = table_of(t);
    size_t i = find_child(table, spi_in);
    if (i == table->count)
        return ERR_NOT_FOUND;
    ready_successors(table, spi_in);
    (void)atomic_fetch_add(&t->drained, 1);
    atomic_store(&table->children[i]->use, USE_DRAINED);
    return ERR_OK;
}

enum err tunnel_remove_child(struct tunnel *t, uint32_t spi_in)
{
    const struct table *old = table_of(t);
    size_t i = find_child(old, spi_in);
    if (i == old->count)
        return ERR_NOT_FOUND;
    struct child *c = old->children[i];
    struct table *table = c->spare;
    c->spare = NULL;
    table->count = old->count - 1;
    memcpy(table->children, old->children, i * sizeof(table->children[0]));
    memcpy(&table->children[i], &old->children[i + 1],
           (table->count - i) * sizeof(table->children[0]));
    ready_successors(old, spi_in);
    publish(t, table, c);
    return ERR_OK;
}

size_t tunnel_children(const struct tunnel *t)
{
    return table_of(t)->count;
}

enum err tunnel_child_status(const struct tunnel *t, uint32_t spi_in,
                             struct tunnel_child_status *ret)
{
    const struct table *table = table_of(t);
    size_t i = find_child(table, spi_in);
    if (i == table->count)
        return ERR_NOT_FOUND;
    const struct child *c = table->children[i];
    *ret = (struct tunnel_child_status){.spi_in = spi_in,
                                        .spi_out = esp_out_spi(c->out),
                                        .in = esp_in_counters(c->in),
                                        .out = esp_out_counters(c->out)};
    return ERR_OK;
}

struct tunnel_counters tunnel_counters(const struct tunnel *t)
{
    return (struct tunnel_counters){.in = esp_tally_read(&t->in.counters),
                                    .out = esp_tally_read(&t->out.counters),
                                    .authentic = tally_read(&t->in.authentic),
                                    .unknown_spi = tally_read(&t->in.unknown_spi),
                                    .no_child = tally_read(&t->out.no_child)};
}

static bool reached(const struct tally *t, uint64_t bound)
{
    return bound != 0 && tally_read(t) >= bound;
}

static bool spent(const struct child *c)
{
    const struct esp_tally *out = esp_out_tally(c->out);
    return reached(&out->bytes, c->hard_bytes) || reached(&out->packets, c->hard_packets);
}

static bool nearly_spent(const struct child *c)
{
    const struct esp_tally *out = esp_out_tally(c->out);
    return (reached(&out->bytes, c->soft_bytes) || reached(&out->packets, c->soft_packets)) &&
           !atomic_load_explicit(&c->told, memory_order_relaxed);
}

static bool may_seal(const struct child *c)
{
    return atomic_load_explicit(&c->use, memory_order_acquire) == USE_READY;
}

bool tunnel_can_seal(const struct tunnel *t)
{
    const struct table *table = table_of(t);
    for (size_t i = 0; i < table->count; i++) {
        if (may_seal(table->children[i]))
            return true;
    }
    return false;
}

/* The flag is taken before the children are looked at: sealing counts first and sets it then, so
 * that a bound which is reached meanwhile is told by the next call. */
bool tunnel_expiring(struct tunnel *t, uint32_t *ret_spi_in)
{
    (void)epoch_collect(&t->epoch);
    if (!atomic_exchange(&t->expiring, false))
        return false;
    const struct table *table = table_of(t);
    for (size_t i = 0; i < table->count; i++) {
        struct child *c = table->children[i];
        if (nearly_spent(c)) {
            atomic_store_explicit(&c->told, true, memory_order_relaxed);
            atomic_store(&t->expiring, true); /* there may be more of them */
            *ret_spi_in = esp_in_spi(c->in);
            return true;
        }
    }
    return false;
}

bool tunnel_may_expire(const struct tunnel *t)
{
    return atomic_load_explicit(&t->expiring, memory_order_relaxed);
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

void tunnel_seal_begin(struct tunnel *t)
{
    epoch_enter(&t->epoch, SEALING);
}

void tunnel_seal_end(struct tunnel *t)
{
    epoch_leave(&t->epoch, SEALING);
}

static uint8_t outer_tos(const struct child *c, uint8_t tos)
{
    return c->copy_dscp ? tos : (uint8_t)ecn_of(tos);
}

/* The newest that takes it; NULL for none. */
static struct child *child_for(const struct table *table, const struct ip_header *h)
{
    for (size_t i = table->count; i > 0; i--) {
        struct child *c = table->children[i - 1];
        if (may_seal(c) && source_matches(&c->local, h) && destination_matches(&c->remote, h))
            return c;
    }
    return NULL;
}

/* Where a child was drained while we looked, its successor, which was ready before that, may be in
 * the next table, or have been looked at before. */
struct tunnel_route tunnel_route(const struct tunnel *t, struct span inner)
{
    struct ip_header h;
    enum err e = ip_header_parse(inner, &h);
    struct child *c = NULL;
    bool again = e == ERR_OK;
    while (again) {
        size_t drained = atomic_load(&t->drained);
        c = child_for(table_of(t), &h);
        again = c == NULL && drained != atomic_load(&t->drained);
    }
    if (c == NULL)
        return (struct tunnel_route){.err = e != ERR_OK ? e : ERR_SELECTOR};
    return (struct tunnel_route){.child = c,
                                 .spi = esp_out_spi(c->out),
                                 .front = esp_out_front(c->out),
                                 .tos = outer_tos(c, h.tos)};
}

/* Bounds hold for each packet, so they are asked for each, also where the child is known. */
enum err tunnel_seal(struct tunnel *t, const struct tunnel_route *r, struct span inner,
                     struct packet *p)
{
    struct child *c = r->child;
    if (c == NULL) {
        tally_add(&t->out.no_child, 1);
        return r->err;
    }
    p->tos = r->tos;
    enum err e = spent(c) ? ERR_EXHAUSTED : esp_seal(c->out, inner, p);
    if (e == ERR_OK) {
        tally_add(&t->out.counters.packets, 1);
        tally_add(&t->out.counters.bytes, inner.len);
        if (nearly_spent(c))
            atomic_store_explicit(&t->expiring, true, memory_order_release);
    }
    return e;
}

static struct tunnel_result open_one(struct tunnel *t, const struct table *table, struct packet *p)
{
    if (p->len < ESP_HEADER_LEN) {
        tally_add(&t->in.counters.bad, 1);
        return (struct tunnel_result){.err = ERR_MALFORMED, .spi = 0};
    }
    uint32_t spi = be_read_u32(packet_bytes(p));
    size_t i = find_child(table, spi);
    if (i == table->count) {
        tally_add(&t->in.unknown_spi, 1);
        return (struct tunnel_result){.err = ERR_NOT_FOUND, .spi = 0};
    }
    struct child *c = table->children[i];
    struct esp_opened opened;
    enum err e = esp_open_inner(c->in, p, &opened);
    if (opened.authentic) {
        tally_add(&t->in.authentic, 1);
        if (atomic_load_explicit(&c->use, memory_order_relaxed) == USE_WAITS)
            make_ready(c); /* the peer has it, and uses it */
    }
    if (e == ERR_OK && (!source_matches(&c->remote, &opened.inner) ||
                        !destination_matches(&c->local, &opened.inner)))
        e = ERR_SELECTOR;
    if (e == ERR_OK)
        e = packet_join_ecn(p, opened.inner.tos);
    esp_in_count(c->in, e, p->len);
    esp_tally_add(&t->in.counters, e, p->len);
    return (struct tunnel_result){.err = e, .spi = spi};
}

void tunnel_open(struct tunnel *t, struct packet *packets, struct tunnel_result *results,
                 size_t count)
{
    epoch_enter(&t->epoch, OPENING);
    const struct table *table = table_of(t);
    for (size_t i = 0; i < count; i++)
        results[i] = open_one(t, table, &packets[i]);
    epoch_leave(&t->epoch, OPENING);
}
