/* The Child SAs that the session announced: their keys go into the tunnel, and what status shows of
 * them stays here, without keys. */
#ifndef TERN_CLIENT_CHILD_LIST_H
#define TERN_CLIENT_CHILD_LIST_H

#include "common/esp/tunnel.h"
#include "common/ike/session.h"

struct child_list {
    struct session_child *items[TUNNEL_CHILDREN_MAX]; /* owned; oldest first, drained ones gone */
    size_t count;
};

/* copy_dscp: as tunnel_child_parameters has it. tunnel_add_child's errors, ERR_MEMORY. */
CHECKED enum err child_list_install(struct child_list *l, struct tunnel *t,
                                    const struct session_child *child, bool copy_dscp);
void child_list_drain(struct child_list *l, struct tunnel *t, uint32_t spi_in);
void child_list_remove(struct child_list *l, struct tunnel *t, uint32_t spi_in);
/* The one that was made last; NULL where there is none. */
const struct session_child *child_list_newest(const struct child_list *l);
void child_list_wipe(struct child_list *l);

#endif
