/* Address pool of the gateway. A slot is found from its address by arithmetic, so that the data
 * path needs no other table to route a packet to its client. Slots at and beyond `used` were never
 * leased. Policy (who may have an address at all) is policy.c's. */
#include "tools/gateway/pool.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto/prf.h"

enum { GATEWAY_HOST = 1, FIRST_HOST = 2 };

struct slot {
    void *holder;              /* NULL: free */
    bool owned;                /* owner is set */
    uint8_t owner[SHA256_LEN]; /* digest of the identity that had it last */
};

struct range {
    struct prefix network;
    uint32_t count; /* slots; slot i is host FIRST_HOST + i */
    uint32_t used;
    struct slot *slots;
};

struct pool {
    struct range ranges[POOL_PREFIXES_MAX];
    size_t count;
};

/* How many clients a prefix serves: all hosts but ours, host 0 and, for IPv4, the broadcast. */
static uint32_t client_count(const struct prefix *network)
{
    unsigned host_bits = (unsigned)ip_bits(network->ip.family) - network->bits;
    uint32_t hosts = host_bits >= 16 ? POOL_HOSTS_MAX : (uint32_t)1 << host_bits;
    uint32_t reserved = FIRST_HOST + (network->ip.family == IP_V4 && host_bits <= 16 ? 1U : 0U);

    return hosts > reserved ? hosts - reserved : 0;
}

static enum err range_init(struct range *r, const struct prefix *prefix)
{
    r->network = prefix_network(prefix);
    r->count = client_count(&r->network);
    if (r->count == 0)
        return ERR_LIMIT;
    r->slots = calloc(r->count, sizeof(*r->slots));
    return r->slots == NULL ? ERR_MEMORY : ERR_OK;
}

enum err pool_new(const struct prefix *prefixes, size_t count, struct pool **ret)
{
    if (count > POOL_PREFIXES_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (prefix_contains(&prefixes[i], &prefixes[j].ip) ||
                prefix_contains(&prefixes[j], &prefixes[i].ip))
                return ERR_MALFORMED;
        }
    }
    struct pool *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return ERR_MEMORY;
    p->count = count;
    for (size_t i = 0; i < count; i++) {
        enum err err = range_init(&p->ranges[i], &prefixes[i]);
        if (err != ERR_OK) {
            pool_free(p);
            return err;
        }
    }
    *ret = p;
    return ERR_OK;
}

void pool_free(struct pool *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++)
        free(p->ranges[i].slots);
    free(p);
}

/* host < POOL_HOSTS_MAX, so that the last two octets hold it. */
static struct ip host_address(const struct range *r, uint32_t host)
{
    struct ip ip = r->network.ip;
    size_t len = ip_len(ip.family);

    ip.bytes[len - 2] |= (uint8_t)(host >> 8);
    ip.bytes[len - 1] |= (uint8_t)host;
    return ip;
}

struct prefix pool_gateway_address(const struct pool *p, size_t i)
{
    ASSERT(i < p->count);
    return (struct prefix){host_address(&p->ranges[i], GATEWAY_HOST), p->ranges[i].network.bits};
}

bool pool_has_family(const struct pool *p, enum ip_family family)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->ranges[i].network.ip.family == family)
            return true;
    }
    return false;
}

/* The slot of an address, NULL where clients cannot have it. */
static struct slot *slot_of(const struct pool *p, const struct ip *address, struct range **ret)
{
    struct pool *owner = (struct pool *)p;

    for (size_t i = 0; i < p->count; i++) {
        struct range *r = &owner->ranges[i];

        if (!prefix_contains(&r->network, address))
            continue;
        size_t len = ip_len(address->family);
        uint32_t host = (uint32_t)(address->bytes[len - 2] ^ r->network.ip.bytes[len - 2]) << 8 |
                        (uint32_t)(address->bytes[len - 1] ^ r->network.ip.bytes[len - 1]);
        struct ip same = host_address(r, host);

        if (!ip_equal(&same, address) || host < FIRST_HOST || host - FIRST_HOST >= r->count)
            return NULL;
        if (ret != NULL)
            *ret = r;
        return &r->slots[host - FIRST_HOST];
    }
    return NULL;
}

/* How willingly a free slot is given: the owner's own, one that nobody remembers, any. */
enum fitness { FIT_NONE, FIT_OTHERS, FIT_FRESH, FIT_OWN };

static enum fitness slot_fitness(const struct slot *s, const uint8_t owner[SHA256_LEN])
{
    if (s->holder != NULL)
        return FIT_NONE;
    if (!s->owned)
        return FIT_FRESH;
    return memcmp(s->owner, owner, SHA256_LEN) == 0 ? FIT_OWN : FIT_OTHERS;
}

struct choice {
    enum fitness fitness;
    struct range *range;
    uint32_t slot;
};

static void choose(struct pool *p, enum ip_family family, const uint8_t owner[SHA256_LEN],
                   struct choice *best)
{
    for (size_t i = 0; i < p->count; i++) {
        struct range *r = &p->ranges[i];

        if (r->network.ip.family != family)
            continue;
        /* The first slot beyond the used ones stands for all that are fresh. */
        for (uint32_t slot = 0; slot < r->count && slot <= r->used; slot++) {
            enum fitness fitness = slot_fitness(&r->slots[slot], owner);
            if (fitness > best->fitness)
                *best = (struct choice){fitness, r, slot};
            if (fitness == FIT_OWN)
                return;
        }
    }
}

enum err pool_lease(struct pool *p, enum ip_family family, const struct ip *wanted,
                    const struct identity *owner, void *holder, struct ip *ret)
{
    ASSERT(holder != NULL);
    uint8_t type = (uint8_t)owner->type;
    uint8_t digest[SHA256_LEN];
    const struct span parts[] = {span_make(&type, 1), identity_span(owner)};
    hash_sha256(parts, 2, digest);

    struct choice best = {.fitness = FIT_NONE};
    struct range *range = NULL;
    struct slot *slot = wanted->family == family ? slot_of(p, wanted, &range) : NULL;

    if (slot != NULL && slot->holder == NULL)
        best = (struct choice){FIT_OWN, range, (uint32_t)(slot - range->slots)};
    else
        choose(p, family, digest, &best);
    if (best.fitness == FIT_NONE)
        return ERR_EXHAUSTED;

    slot = &best.range->slots[best.slot];
    slot->holder = holder;
    slot->owned = true;
    memcpy(slot->owner, digest, SHA256_LEN);
    if (best.slot >= best.range->used)
        best.range->used = best.slot + 1;
    *ret = host_address(best.range, FIRST_HOST + best.slot);
    return ERR_OK;
}

void pool_release(struct pool *p, const struct ip *address)
{
    struct slot *slot = slot_of(p, address, NULL);

    if (slot != NULL)
        slot->holder = NULL;
}

void *pool_holder(const struct pool *p, const struct ip *address)
{
    const struct slot *slot = slot_of(p, address, NULL);

    return slot == NULL ? NULL : slot->holder;
}
