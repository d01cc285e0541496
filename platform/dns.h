/* Hand DNS servers to whoever resolves names here: systemd-resolved over D-Bus, else resolvconf.
 * Never writes /etc/resolv.conf. */
#ifndef TERN_PLATFORM_DNS_H
#define TERN_PLATFORM_DNS_H

#include "common/base/addr.h"
#include "common/base/err.h"

enum { DNS_SERVERS_MAX = 8, DNS_DOMAINS_MAX = 16, DNS_DOMAIN_TEXT_MAX = 256 };

struct dns_plan {
    const char *interface_name;
    uint32_t interface;
    struct ip servers[DNS_SERVERS_MAX];
    size_t server_count;
    bool all_names; /* to these servers; else the domains and the networks' addresses alone */
    char domains[DNS_DOMAINS_MAX][DNS_DOMAIN_TEXT_MAX];
    size_t domain_count;
    const struct prefix *networks; /* inside: their reverse zones belong to the servers as well */
    size_t network_count;
};

enum dns_backend { DNS_NONE = 0, DNS_RESOLVED, DNS_RESOLVCONF };

/* Which one is present now (resolved may be started by the question); asks nothing of the network.
 */
enum dns_backend dns_backend_present(void);
const char *dns_backend_text(enum dns_backend b);

/* ERR_NOT_FOUND with a clear message where neither is present; ERR_SYSTEM where it refused, with
 * everything undone. Best before the link is up: so no name is asked for that should not be. Blocks
 * until it is done; whoever takes longer than five seconds over a call has refused. */
CHECKED enum err dns_apply(const struct dns_plan *plan, enum dns_backend *ret_backend,
                           struct fault *f);
/* Undo; also right for what a killed process left. Unknown interfaces are fine. */
void dns_revert(enum dns_backend backend, const char *interface_name, uint32_t interface);

/* Tells when resolved has come back: then it has to be told again. */
struct dns_watch;
CHECKED enum err dns_watch_open(struct dns_watch **ret, struct fault *f);
void dns_watch_close(struct dns_watch *w); /* NULL is fine */
int dns_watch_fd(const struct dns_watch *w);
/* Drain; ERR_SYSTEM where the bus is gone. */
CHECKED enum err dns_watch_read(struct dns_watch *w, bool *ret_came_back);

#endif
