/* Between the session's events and the tunnel. */
#include "client/child_list.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

static void forget(struct child_list *l, uint32_t spi_in)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->items[i]->spi_in != spi_in)
            continue;
        free(l->items[i]);
        l->count--;
        memmove(&l->items[i], &l->items[i + 1], (l->count - i) * sizeof(l->items[0]));
        return;
    }
}

static enum err remember(struct child_list *l, const struct session_child *child)
{
    struct session_child *own = l->count < TUNNEL_CHILDREN_MAX ? malloc(sizeof(*own)) : NULL;
    if (own == NULL)
        return ERR_MEMORY;
    *own = *child;
    secret_wipe(&own->enc_in);
    secret_wipe(&own->integ_in);
    secret_wipe(&own->enc_out);
    secret_wipe(&own->integ_out);
    l->items[l->count++] = own;
    return ERR_OK;
}

enum err child_list_install(struct child_list *l, struct tunnel *t,
                            const struct session_child *child, bool copy_dscp)
{
    struct tunnel_child_parameters p = {
        .in = {child->spi_in, child->suite.cipher, child->enc_in, child->integ_in,
               child->suite.esn},
        .out = {child->spi_out, child->suite.cipher, child->enc_out, child->integ_out,
                child->suite.esn},
        .local = child->local,
        .remote = child->remote,
        .replaces_spi_in = child->replaces_spi_in,
        .outbound_waits = child->outbound_waits,
        .copy_dscp = copy_dscp,
        .soft_bytes = child->soft_bytes,
        .hard_bytes = child->hard_bytes,
        .soft_packets = child->soft_packets,
        .hard_packets = child->hard_packets,
    };
    enum err e = tunnel_add_child(t, &p);
    wipe(&p, sizeof(p));
    return e == ERR_OK ? remember(l, child) : e;
}

void child_list_drain(struct child_list *l, struct tunnel *t, uint32_t spi_in)
{
    forget(l, spi_in);
    if (tunnel_drain_child(t, spi_in) != ERR_OK)
        log_debug("a Child SA that was not installed is drained");
}

void child_list_remove(struct child_list *l, struct tunnel *t, uint32_t spi_in)
{
    forget(l, spi_in);
    if (tunnel_remove_child(t, spi_in) != ERR_OK)
        log_debug("a Child SA that was not installed is gone");
}

const struct session_child *child_list_newest(const struct child_list *l)
{
    return l->count > 0 ? l->items[l->count - 1] : NULL;
}

void child_list_wipe(struct child_list *l)
{
    while (l->count > 0)
        free(l->items[--l->count]);
}
