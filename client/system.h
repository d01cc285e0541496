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
#include "platform/tun.h"

struct system {
    struct tun *tun; /* its name and number are the state's as well */
    struct routes *routes;
    enum dns_backend dns_backend;
    struct dns_plan *dns_plan; /* NULL: none */
    bool dns_due;              /* it was lost, and is to be told again */
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
/* What others have done to it since it was made or repaired. */
struct system_damage {
    struct tun_look tun;
    struct routes_damage routes;
};
/* Looks at the interface; of the routes nothing is known yet. */
CHECKED enum err system_look(struct system *s, struct system_damage *ret, struct fault *f);
/* Puts back what is missing, and compares the routes on the way. An interface that is gone is made
 * anew: nobody may use the old one any more. ERR_REFUSED where that cannot be; other errors may be
 * over the next time. */
CHECKED enum err system_repair(struct system *s, const struct profile *p, struct runtime_lock *lock,
                               struct system_damage *damage, struct fault *f);
/* MTU = auto: inner packets of up to inner_max octets fit the path. */
CHECKED enum err system_fit_mtu(struct system *s, const struct profile *p, size_t inner_max,
                                struct fault *f);
/* resolved has come back with nothing in mind: tell it again. */
CHECKED enum err system_repeat_dns(struct system *s, struct fault *f);
void system_undo(struct system *s); /* NULL is fine */

#endif
