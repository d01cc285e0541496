/* The addresses a gateway hands out. Host 0 of a prefix is nobody's, host 1 is the gateway's own,
 * clients take the rest in order. A client that comes back gets its old address for as long as
 * nobody else had to have it. */
#ifndef TERN_TOOLS_GATEWAY_POOL_H
#define TERN_TOOLS_GATEWAY_POOL_H

#include "common/crypto/identity.h"

enum {
    POOL_PREFIXES_MAX = 8,
    POOL_HOSTS_MAX = 65536 /* of one prefix; a larger prefix is used up to here */
};

struct pool;

/* Each prefix must leave a host for a client (ERR_LIMIT), and none may meet another
 * (ERR_MALFORMED). ERR_MEMORY. */
CHECKED enum err pool_new(const struct prefix *prefixes, size_t count, struct pool **ret);
void pool_free(struct pool *p); /* NULL is fine */

/* The gateway's own address in prefix i, with the prefix's length: what its interface gets. */
struct prefix pool_gateway_address(const struct pool *p, size_t i);
bool pool_has_family(const struct pool *p, enum ip_family family);

/* An address for `owner`: `wanted` where that is one of ours and free (unspecified: any), else the
 * one it had before, else a fresh one. It belongs to `holder` (not NULL) until it is released.
 * ERR_EXHAUSTED. */
CHECKED enum err pool_lease(struct pool *p, enum ip_family family, const struct ip *wanted,
                            const struct identity *owner, void *holder, struct ip *ret);
/* Free again, but remembered for its owner. An address that is not leased is fine. */
void pool_release(struct pool *p, const struct ip *address);
/* Who holds it now: the data path's question, constant time. NULL: nobody. */
void *pool_holder(const struct pool *p, const struct ip *address);

#endif
