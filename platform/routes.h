/* Routes into the tunnel, and the rules that keep our own packets out of it.
 *
 * tern's routes live in a table of their own, looked up before main; packets that carry tern's mark
 * skip it. So a full tunnel does not swallow its own outer packets, a more specific route on the
 * local network (a hostile DHCP option 121) does not win over the tunnel, and everything is undone
 * by removing the rules and flushing the table.
 *
 * Where a plan is guarded, each route into the tunnel has an unreachable one behind it. It steps in
 * in the very moment in which the interface goes, is set down or loses its address, and it outlives
 * us: what belongs into the tunnel then goes nowhere until somebody cleans the table. */
#ifndef TERN_PLATFORM_ROUTES_H
#define TERN_PLATFORM_ROUTES_H

#include "common/base/addr.h"
#include "common/base/err.h"

enum {
    ROUTES_MAX = 256,
    ROUTES_PRIORITY = 5200,
    ROUTES_MARK = 0x7e590000,
    ROUTES_MARK_MASK = 0x7fff0000
};

struct routes_plan {
    uint32_t interface;        /* the TUN's index */
    uint32_t table;            /* our own; also what tells our rules from others' */
    const struct prefix *into; /* into the tunnel */
    size_t into_count;
    const struct prefix *exclude; /* never into the tunnel (a throw route in our table) */
    size_t exclude_count;
    const struct ip *sources; /* our addresses inside: preferred sources, per family */
    size_t sources_count;
    bool guarded;
};

struct routes;

/* All or nothing: a failure half-way is rolled back. ERR_SYSTEM or ERR_REFUSED with the fault. */
CHECKED enum err routes_install(const struct routes_plan *plan, struct routes **ret,
                                struct fault *f);
/* Another plan in the place of the one that is installed, on the same interface and in the same
 * table: new routes first, then those go that the new plan lacks, so that at no moment a packet
 * finds its way beside the tunnel. `before`: the prefixes of the plan that was. */
CHECKED enum err routes_renew(struct routes *r, const struct routes_plan *plan,
                              const struct prefix *before, size_t before_count, struct fault *f);
/* What others took of what is installed, or put in its place. */
struct routes_damage {
    bool rules, routes;
};
/* Compares the kernel's tables with the plan that is installed (its interface may be another one by
 * now), and puts back what is missing; what else lies in our table goes. Goes on past what cannot
 * be done; the fault is the first. *ret says what was found, also then. */
CHECKED enum err routes_restore(struct routes *r, const struct routes_plan *plan,
                                struct routes_damage *ret, struct fault *f);
/* Undo; goes on past what is already gone. NULL is fine. */
void routes_remove(struct routes *r);

/* A table number in our range that no rule and no route uses. */
CHECKED enum err routes_free_table(uint32_t *ret, struct fault *f);
/* Remove every rule that points to `table`, and the table's routes: what a killed process left. */
CHECKED enum err routes_clean(uint32_t table, struct fault *f);

#endif
