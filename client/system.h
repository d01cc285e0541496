/* What a connection changes in the system: the TUN interface with its addresses, routes and rules,
 * DNS. Made as a whole and undone as a whole; the runtime state says what to undo after a SIGKILL.
 */
#ifndef TERN_CLIENT_SYSTEM_H
#define TERN_CLIENT_SYSTEM_H

#include "client/exit_code.h"
#include "client/profile.h"
#include "client/runtime.h"
#include "common/ike/payload.h"
#include "platform/routes.h"

struct system {
    struct tun *tun;
    struct routes *routes;
    enum dns_backend dns_backend;
    struct dns_plan *dns_plan; /* NULL: none */
    struct runtime_state state;
    uint16_t mtu;
    struct prefix addresses[CP_ADDRESSES_MAX];
    size_t address_count;
    struct ip dns[CP_DNS_MAX]; /* the gateway's, whether the system uses them or not */
    size_t dns_count;
    char domains[CP_DOMAINS_MAX][CP_DOMAIN_MAX]; /* so are these */
    size_t domain_count;
    struct prefix into[ROUTES_MAX];
    size_t into_count;
};

struct system_plan {
    const struct profile *profile;
    const struct configuration *config; /* from the gateway */
    const struct selector_list *local, *remote;
    const struct ip *gateway; /* its outer address */
};

/* Would a fair gateway assign this? The fault says what is wrong (a multicast address, a network
 * with the gateway itself in it, ...). */
CHECKED enum err system_check(const struct system_plan *plan, struct fault *f);

/* All or nothing; on failure everything is as before, and *ret_code is 25 or 26. DNS servers
 * that nobody here takes are a failure (26) unless the profile says DNS = off: names would go
 * beside the tunnel, or not be found. */
CHECKED enum err system_apply(const struct system_plan *plan, struct runtime_lock *lock,
                              struct system **ret, enum exit_code *ret_code, struct fault *f);
/* Other addresses, routes or servers for what is set up, without a moment in which packets could go
 * beside the tunnel: the new is there before the old goes, on the same interface. On failure the
 * system is neither as before nor as planned: undo it. */
CHECKED enum err system_renew(struct system *s, const struct system_plan *plan,
                              struct runtime_lock *lock, enum exit_code *ret_code, struct fault *f);
/* MTU = auto: as much as fits into a path with that MTU once it is enciphered. */
CHECKED enum err system_fit_mtu(struct system *s, const struct profile *p, uint32_t path_mtu,
                                struct fault *f);
/* resolved has come back with nothing in mind: tell it again. */
CHECKED enum err system_repeat_dns(struct system *s, struct fault *f);
void system_undo(struct system *s); /* NULL is fine */

#endif
