/* Names to addresses, on the event loop. A thread of libuv asks the resolver; what it has begun
 * cannot be cancelled and may take minutes (lookup_active says so). */
#ifndef TERN_CLIENT_LOOKUP_H
#define TERN_CLIENT_LOOKUP_H

#include <uv.h>

#include "common/base/addr.h"

enum { LOOKUP_NAMES_MAX = 16, LOOKUP_FOUND_MAX = 16 };

/* Everything that was found, in the order of the names; count 0: nothing. */
typedef void lookup_done(void *ctx, const struct ip *found, size_t count);

struct lookup_name {
    struct lookup *lookup;
    uv_getaddrinfo_t request;
    bool active;
    struct ip found[LOOKUP_FOUND_MAX];
    size_t count;
};

/* The caller's storage; it stays until lookup_active is false. */
struct lookup {
    uv_loop_t *loop;
    lookup_done *done;
    void *ctx;
    struct lookup_name names[LOOKUP_NAMES_MAX];
    size_t name_count;
};

void lookup_init(struct lookup *l, uv_loop_t *loop, lookup_done *done, void *ctx);
/* Names or addresses, at most LOOKUP_NAMES_MAX. Calls done, at once where there are addresses
 * alone. While one is under way nothing new is begun: its answer will do. */
void lookup_begin(struct lookup *l, const char *const *names, size_t count);
bool lookup_active(const struct lookup *l);
/* Whatever still comes, done is not called for it. */
void lookup_cancel(struct lookup *l);

#endif
