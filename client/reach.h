/* Where the gateway can be reached: its names resolved (again whenever this machine's networks
 * change), the networks watched, the ways listed in the order in which the user prefers them. */
#ifndef TERN_CLIENT_REACH_H
#define TERN_CLIENT_REACH_H

#include <uv.h>

#include "client/profile.h"
#include "common/ike/session.h"
#include "platform/network.h"

struct reach;

/* The ways now, best first; count 0: none. Not called where nothing has changed. May close. */
typedef void reach_changed(void *ctx, const struct path *paths, size_t count);

struct reach_options {
    const struct profile *profile; /* borrowed */
    uint16_t port_v4, port_v6;     /* of our sockets; 0: that family cannot be used */
    reach_changed *changed;
    void (*ours_changed)(void *ctx); /* perhaps: what reach_set_ours named. May be NULL */
    void *ctx;
};

/* Watches from now on; calls `changed` first when names have been looked for. */
CHECKED enum err reach_new(uv_loop_t *loop, const struct reach_options *o, struct reach **ret,
                           struct fault *f);
/* Stops. What the resolver still holds is in use until the process ends where reach_looking says
 * so; else reach_free after the loop has closed its handles. */
void reach_close(struct reach *r); /* NULL is fine */
void reach_free(struct reach *r);  /* NULL is fine */
/* Is a name being looked for? */
bool reach_looking(const struct reach *r);

/* Look for the names once more. */
void reach_resolve(struct reach *r);
/* The gateway says it has these addresses too (RFC 4555 3.6); it has been reached at `at`. What
 * lies behind it (`inside`) is no way to it, nor is what is this machine's own. */
void reach_set_additional(struct reach *r, const struct ip *addresses, size_t count,
                          const struct ip *at, const struct selector_list *inside);
/* The gateway is there, whatever its names lead to elsewhere: ways to that address stay listed. */
void reach_set_current(struct reach *r, const struct ip *address);
/* Our own interface is no way out; what happens to it and to our table is told apart. */
void reach_set_ours(struct reach *r, const struct network_ours *ours);
/* How many addresses the names have led to. */
size_t reach_found(const struct reach *r, const struct ip **ret);
/* Ways to other addresses, as many as there is room for. */
size_t reach_ways(const struct reach *r, const struct ip *to, size_t count,
                  struct path paths[SESSION_PATHS_MAX]);
/* The interface of a path, as it was seen last; NULL where it is not known. */
const struct network_way *reach_interface(const struct reach *r, const struct path *path);

#endif
