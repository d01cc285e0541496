/* resolved has a memory of its own, but one that a crash or an upgrade may empty. Each time its
 * name gets a new owner on the bus it is told everything again; without a bus the tunnel goes on.
 */
#include "client/dns_keeper.h"

#include <stdlib.h>

#include "common/base/log.h"

struct dns_keeper {
    uv_poll_t poll;
    struct dns_watch *watch;
    struct system *system;
};

static void read_watch(struct dns_keeper *k)
{
    struct fault f = {0};
    bool came_back;
    if (dns_watch_read(k->watch, &came_back) != ERR_OK) {
        log_warn("the system bus is gone: a restart of systemd-resolved will not be seen");
        uv_poll_stop(&k->poll);
    } else if (came_back && system_repeat_dns(k->system, &f) != ERR_OK) {
        log_warn("%s", f.text);
    } else if (came_back) {
        log_info("systemd-resolved has come back and was told again");
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status; /* what is wrong with the socket is found by reading it */
    (void)events;
    read_watch(poll->data);
}

struct dns_keeper *dns_keeper_start(uv_loop_t *loop, struct system *system)
{
    struct fault f = {0};
    if (system->dns_backend != DNS_RESOLVED)
        return NULL;
    struct dns_keeper *k = calloc(1, sizeof(*k));
    if (k == NULL)
        return NULL;
    k->system = system;
    if (dns_watch_open(&k->watch, &f) != ERR_OK ||
        uv_poll_init(loop, &k->poll, dns_watch_fd(k->watch)) != 0) {
        log_warn("a restart of systemd-resolved will not be seen; %s", f.text);
        dns_watch_close(k->watch);
        free(k);
        return NULL;
    }
    k->poll.data = k;
    uv_poll_start(&k->poll, UV_READABLE, on_readable);
    read_watch(k); /* what came while it was opened shows on no descriptor */
    return k;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void dns_keeper_stop(struct dns_keeper *k)
{
    if (k == NULL)
        return;
    uv_close((uv_handle_t *)&k->poll, on_closed);
    dns_watch_close(k->watch);
}
