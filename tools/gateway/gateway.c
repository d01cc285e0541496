/* The gateway's frame: TUN and sockets, the event loop, the one timer, the signals. What a message
 * means is clients.c's, what a packet means datapath.c's. */
#include "tools/gateway/state.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/ike/stray.h"

enum { TUN_MTU = 1400, NOTICE_MS = 1000 };

mono_ms gateway_now(const struct gateway *g)
{
    return (mono_ms)uv_now(&g->loop);
}

/* --- opening --- */

static enum err open_tun(struct gateway *g, struct fault *f)
{
    const char *name = g->config->interface[0] != '\0' ? g->config->interface : NULL;
    struct ip addresses[POOL_PREFIXES_MAX];
    enum err err = tun_open(name, true, &g->tun, f);

    if (err == ERR_OK)
        err = tun_set_mtu(g->tun, TUN_MTU, f);
    if (err == ERR_OK)
        err = tun_up(g->tun, f);
    for (size_t i = 0; err == ERR_OK && i < g->config->pool_count; i++) {
        struct prefix address = pool_gateway_address(g->pool, i);
        addresses[i] = address.ip;
        err = tun_add_address(g->tun, &address, f);
    }
    struct routes_plan plan = {
        .into = g->config->pools,
        .into_count = g->config->pool_count,
        .sources = addresses,
        .sources_count = g->config->pool_count,
    };
    if (err == ERR_OK)
        err = routes_free_table(&plan.table, f);
    if (err != ERR_OK)
        return err;
    plan.interface = tun_index(g->tun);
    return routes_install(&plan, &g->routes, f);
}

static enum err open_socket(struct gateway *g, const struct ip *address, uint16_t port,
                            struct fault *f)
{
    ASSERT(g->socket_count < SOCKETS_MAX);
    struct gateway_socket *s = &g->sockets[g->socket_count];
    const struct udp_options options = {.address = *address, .port = port, .offload = true};
    enum err err = udp_open(&options, &s->udp, f);

    if (err != ERR_OK)
        return err;
    err = udp_sender_new(s->udp, &s->sender);
    if (err != ERR_OK) {
        udp_close(s->udp);
        return fault_set(f, err, "%s", err_text(err));
    }
    s->gateway = g;
    s->address = *address;
    g->socket_count++;
    return ERR_OK;
}

static void close_sockets(struct gateway *g, size_t left)
{
    while (g->socket_count > left) {
        struct gateway_socket *s = &g->sockets[--g->socket_count];

        udp_sender_free(s->sender);
        udp_close(s->udp);
    }
}

static enum err open_address(struct gateway *g, const struct ip *address, struct fault *f)
{
    enum err err = open_socket(g, address, g->config->port, f);

    if (err == ERR_OK && g->config->nat_port != g->config->port)
        err = open_socket(g, address, g->config->nat_port, f);
    return err;
}

static enum err open_sockets(struct gateway *g, struct fault *f)
{
    static const struct ip any_v4 = {.family = IP_V4}, any_v6 = {.family = IP_V6};
    enum err err = ERR_OK;

    for (size_t i = 0; i < g->config->listen_count && err == ERR_OK; i++)
        err = open_address(g, &g->config->listen[i], f);
    if (g->config->listen_count > 0)
        return err;

    err = open_address(g, &any_v4, f);
    if (err != ERR_OK)
        return err;
    size_t with_v4 = g->socket_count;
    struct fault v6 = {.code = ERR_OK};
    if (open_address(g, &any_v6, &v6) != ERR_OK) {
        log_warn("IPv4 alone: %s", v6.text); /* kernels without IPv6 are fair enough */
        close_sockets(g, with_v4);
    }
    return ERR_OK;
}

enum err gateway_open(const struct gateway_config *c, struct gateway **ret, struct fault *f)
{
    struct gateway *g = calloc(1, sizeof(*g));
    if (g == NULL)
        return fault_set(f, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    g->config = c;
    g->deadline = MONO_NEVER;
    policy_prepare(g);
    enum err err = pool_new(c->pools, c->pool_count, &g->pool);
    if (err == ERR_OK)
        err = datapath_new(&g->datapath);
    if (err != ERR_OK)
        (void)fault_set(f, err, "%s", err_text(err));
    if (err == ERR_OK)
        err = open_tun(g, f);
    if (err == ERR_OK)
        err = open_sockets(g, f);
    if (err != ERR_OK) {
        gateway_close(g);
        return err;
    }
    *ret = g;
    return ERR_OK;
}

void gateway_close(struct gateway *g)
{
    if (g == NULL)
        return;
    clients_close(g);
    close_sockets(g, 0);
    routes_remove(g->routes);
    tun_close(g->tun);
    pool_free(g->pool);
    datapath_free(g->datapath);
    wipe(g, sizeof(*g)); /* the PSK in the session template, the cookie secrets */
    free(g);
}

/* --- sending --- */

struct gateway_socket *gateway_socket_find(struct gateway *g, const struct endpoint *local)
{
    struct gateway_socket *any = NULL;

    for (size_t i = 0; i < g->socket_count; i++) {
        struct gateway_socket *s = &g->sockets[i];

        if (s->address.family != local->ip.family || udp_port(s->udp) != local->port)
            continue;
        if (ip_equal(&s->address, &local->ip))
            return s;
        if (ip_is_unspecified(&s->address))
            any = s;
    }
    return any;
}

void gateway_send_ike(struct gateway *g, const struct path *path, struct span bytes)
{
    struct gateway_socket *s = gateway_socket_find(g, &path->local);
    /* udp_message serves both directions; sending only reads. */
    const struct udp_message m = {.path = *path, .data = (uint8_t *)bytes.data, .len = bytes.len};
    char to[ENDPOINT_TEXT_MAX];
    enum err err = s == NULL ? ERR_NOT_FOUND : udp_send_fragmentable(s->sender, &m);

    if (err != ERR_OK)
        log_debug("cannot send to %s: %s", endpoint_format(&path->remote, to), err_text(err));
}

void gateway_drop(struct gateway *g, uint64_t *counter, const struct path *path, const char *why)
{
    mono_ms now = gateway_now(g);
    char from[ENDPOINT_TEXT_MAX];

    ++*counter;
    if (now < g->drop_log_after)
        return;
    g->drop_log_after = now + DROP_LOG_MS;
    log_info("dropped a datagram from %s: %s (%llu so far)", endpoint_format(&path->remote, from),
             why, (unsigned long long)*counter);
}

/* May a stranger be answered now? */
static bool notice_allowed(struct gateway *g)
{
    mono_ms now = gateway_now(g);
    if (now < g->notice_after)
        return false;
    g->notice_after = now + NOTICE_MS;
    return true;
}

static void send_notice(struct gateway *g, const struct path *path, struct span notice)
{
    uint8_t out[NON_ESP_MARKER_LEN + STRAY_MAX] = {0};
    size_t marker = path->local.port == IKE_PORT ? 0 : NON_ESP_MARKER_LEN;

    memcpy(out + marker, notice.data, notice.len);
    gateway_send_ike(g, path, span_make(out, marker + notice.len));
}

void gateway_stray_esp(struct gateway *g, const struct path *path, uint32_t spi)
{
    uint8_t out[STRAY_MAX];

    gateway_drop(g, &g->drops.unknown_spi, path, "ESP with an unknown SPI");
    if (notice_allowed(g))
        send_notice(g, path, stray_esp_notice(spi, out));
}

void gateway_stray_ike(struct gateway *g, const struct path *path, const struct ike_header *h)
{
    uint8_t out[STRAY_MAX];
    struct span answer;

    gateway_drop(g, &g->drops.unowned_ike, path, "an IKE message of no session");
    if (stray_answer(h, out, &answer) && notice_allowed(g))
        send_notice(g, path, answer);
}

/* --- the loop --- */

void gateway_leave(struct gateway *g)
{
    uv_stop(&g->loop);
}

static void on_timer(uv_timer_t *timer)
{
    struct gateway *g = timer->data;
    mono_ms now = gateway_now(g);

    g->deadline = MONO_NEVER;
    mono_ms next = clients_handle_timeout(g, now);
    if (g->stopping && now >= g->stop_by)
        gateway_leave(g);
    gateway_wake_at(g, g->stopping ? mono_earlier(next, g->stop_by) : next);
}

/* The timer is only ever moved forward here: where the earliest deadline has gone away it fires
 * once in vain, which is cheaper than looking at all clients for every message. */
void gateway_wake_at(struct gateway *g, mono_ms deadline)
{
    if (deadline >= g->deadline)
        return;
    mono_ms now = gateway_now(g);
    g->deadline = deadline;
    uv_timer_start(&g->timer, on_timer, deadline > now ? (uint64_t)(deadline - now) : 0, 0);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an error on an unconnected socket is ICMP's word, which receiving clears */
    (void)events;
    datapath_from_socket(poll->data);
}

static void on_tun(uv_poll_t *poll, int status, int events)
{
    struct gateway *g = poll->data;

    (void)events;
    if (status >= 0 && datapath_from_tun(g) == ERR_OK)
        return;
    uv_poll_stop(poll);
    (void)fault_set(g->fault, ERR_SYSTEM, "the interface %s is gone", tun_name(g->tun));
    gateway_leave(g);
}

/* The first signal asks the clients to go, a second one does not wait for them. */
static void on_terminate(uv_signal_t *handle, int number)
{
    struct gateway *g = handle->data;

    (void)number;
    if (g->stopping) {
        gateway_leave(g);
        return;
    }
    log_info("stopping, %zu sessions", g->client_count);
    g->stopping = true;
    g->stop_by = gateway_now(g) + STOP_MS;
    clients_stop(g, gateway_now(g));
    if (g->client_count == 0)
        gateway_leave(g);
    gateway_wake_at(g, g->stop_by);
}

static void on_inspect(uv_signal_t *handle, int number)
{
    (void)number;
    inspect_print(handle->data);
}

static int watch_signal(struct gateway *g, uv_signal_t *handle, uv_signal_cb callback, int number)
{
    int e = uv_signal_init(&g->loop, handle);

    handle->data = g;
    return e != 0 ? e : uv_signal_start(handle, callback, number);
}

static int watch_fd(struct gateway *g, uv_poll_t *poll, int fd, uv_poll_cb callback, void *data)
{
    int e = uv_poll_init(&g->loop, poll, fd);

    poll->data = data;
    return e != 0 ? e : uv_poll_start(poll, UV_READABLE, callback);
}

static int watch_all(struct gateway *g)
{
    int e = uv_timer_init(&g->loop, &g->timer);

    g->timer.data = g;
    if (e == 0)
        e = watch_signal(g, &g->terminate, on_terminate, SIGTERM);
    if (e == 0)
        e = watch_signal(g, &g->interrupt, on_terminate, SIGINT);
    if (e == 0)
        e = watch_signal(g, &g->inspect, on_inspect, SIGUSR1);
    if (e == 0)
        e = watch_fd(g, &g->tun_poll, tun_fd(g->tun), on_tun, g);
    for (size_t i = 0; e == 0 && i < g->socket_count; i++) {
        struct gateway_socket *s = &g->sockets[i];
        e = watch_fd(g, &s->poll, udp_fd(s->udp), on_socket, s);
    }
    return e;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

enum err gateway_run(struct gateway *g, struct fault *f)
{
    int e = uv_loop_init(&g->loop);
    if (e != 0)
        return fault_set(f, ERR_SYSTEM, "event loop: %s", uv_strerror(e));
    f->code = ERR_OK;
    g->fault = f;
    e = watch_all(g);
    if (e == 0)
        (void)uv_run(&g->loop, UV_RUN_DEFAULT);
    else
        (void)fault_set(f, ERR_SYSTEM, "event loop: %s", uv_strerror(e));
    uv_walk(&g->loop, close_handle, NULL);
    (void)uv_run(&g->loop, UV_RUN_DEFAULT);
    e = uv_loop_close(&g->loop);
    ASSERT(e == 0);
    return f->code;
}
