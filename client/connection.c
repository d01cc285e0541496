/* The event loop's glue: names are resolved, datagrams and timeouts are fed to the session, what it
 * asks for is done. Everything that the loop calls ends in settle(), which drains the session and
 * arms the one timer; nothing else touches its queues. */
#include "client/connection.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "client/control.h"
#include "client/presentation.h"
#include "common/base/log.h"
#include "platform/network.h"

enum { STOP_MS = 5000 };

struct resolution {
    struct connection *connection;
    uv_getaddrinfo_t request;
    bool active;
    struct ip results[SESSION_PATHS_MAX];
    size_t count;
};

struct connection {
    const struct connection_options *options;
    uv_loop_t loop;
    uv_timer_t timer;    /* the session's deadline */
    uv_timer_t patience; /* --timeout, then the bound on stopping */
    uv_signal_t on_int, on_term;
    struct resolution names[PROFILE_LIST_MAX];
    size_t names_left;
    struct datapath *datapath;
    struct control *control;
    struct session *session;
    struct tunnel *tunnel;
    struct system *system;
    struct configuration config;
    struct session_child child; /* keys wiped */
    bool child_up, up, ended;
    bool stopping; /* down was asked for */
    const char *host;
    struct timespec since, established;
    mono_ms phase_at;
    enum exit_code code;
    struct fault fault;
};

static void settle(struct connection *c);

/* --- words --- */

static struct timespec wall_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t;
}

/* A line of progress with the time that the phase took. */
static void phase(struct connection *c, const char *name, const char *text)
{
    mono_ms now = datapath_now();
    if (!c->options->quiet)
        fprintf(stderr, "%-8s %5" PRId64 " ms  %s\n", name, now - c->phase_at, text);
    log_info("%s: %s", name, text);
    c->phase_at = now;
}

static void end(struct connection *c, enum exit_code code, const struct fault *f)
{
    if (c->ended)
        return;
    c->ended = true;
    c->code = code;
    if (f != NULL)
        c->fault = *f;
    uv_stop(&c->loop);
}

/* What went wrong here, not at the gateway: it has to hear that we go. */
static void fail(struct connection *c, enum exit_code code, const struct fault *f)
{
    if (c->code == EXIT_CODE_DONE) {
        c->code = code;
        c->fault = *f;
    }
    c->stopping = true;
    session_stop(c->session, datapath_now());
}

/* --- the session's events --- */

static enum exit_code code_for(enum session_down_reason reason)
{
    switch (reason) {
    case SESSION_DOWN_REQUESTED:
        return EXIT_CODE_DONE;
    case SESSION_DOWN_UNREACHABLE:
        return EXIT_CODE_UNREACHABLE;
    case SESSION_DOWN_NO_PROPOSAL:
        return EXIT_CODE_NO_PROPOSAL;
    case SESSION_DOWN_PEER_UNTRUSTED:
        return EXIT_CODE_PEER_UNTRUSTED;
    case SESSION_DOWN_REFUSED:
        return EXIT_CODE_REFUSED;
    case SESSION_DOWN_SELECTORS:
        return EXIT_CODE_SELECTORS;
    case SESSION_DOWN_BY_PEER:
        return EXIT_CODE_UNREACHABLE;
    case SESSION_DOWN_PROTOCOL:
    case SESSION_DOWN_INTERNAL:
        break;
    }
    return EXIT_CODE_INTERNAL;
}

static void install_child(struct connection *c, const struct session_child *child)
{
    struct tunnel_child_parameters p = {
        .in = {child->spi_in, child->suite.cipher, child->enc_in, child->integ_in,
               child->suite.esn},
        .out = {child->spi_out, child->suite.cipher, child->enc_out, child->integ_out,
                child->suite.esn},
        .local = child->local,
        .remote = child->remote,
    };
    enum err e = tunnel_add_child(c->tunnel, &p);
    wipe(&p, sizeof(p));
    if (e != ERR_OK) {
        struct fault f = {0};
        (void)fault_set(&f, e, "the Child SA's keys could not be installed: %s", err_text(e));
        fail(c, EXIT_CODE_INTERNAL, &f);
        return;
    }
    c->child = *child;
    secret_wipe(&c->child.enc_in);
    secret_wipe(&c->child.integ_in);
    secret_wipe(&c->child.enc_out);
    secret_wipe(&c->child.integ_out);
    c->child_up = true;
}

/* The SAs stand: make the system use them. */
static void come_up(struct connection *c)
{
    struct session_status status;
    session_status(c->session, &status);
    const struct system_plan plan = {.profile = c->options->profile,
                                     .config = &c->config,
                                     .local = &c->child.local,
                                     .remote = &c->child.remote,
                                     .gateway = &status.path.remote.ip};
    struct fault f = {0};
    enum exit_code code = EXIT_CODE_SELECTORS;
    if (!c->child_up)
        return;
    enum err e = system_check(&plan, &f);
    if (e == ERR_OK)
        e = system_apply(&plan, c->options->lock, &c->system, &code, &f);
    if (e != ERR_OK) {
        fail(c, code, &f);
        return;
    }
    datapath_carry(c->datapath, c->system->tun, c->tunnel, &status.path);
    c->up = true;
    c->established = c->since = wall_now();
    uv_timer_stop(&c->patience);
    phase(c, "tunnel", tun_name(c->system->tun));
    if (c->options->on_up != NULL)
        c->options->on_up(c->options->on_up_ctx);
}

/* Stopped by the user: as it should be once it was up, else `up` has not done what it was asked to.
 */
static void end_as_asked(struct connection *c)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_REFUSED, "stopped before the connection was up");
    end(c, c->up ? EXIT_CODE_DONE : EXIT_CODE_INTERNAL, c->up ? NULL : &f);
}

static void on_down(struct connection *c, const struct session_event *e)
{
    if (c->code != EXIT_CODE_DONE) /* a fault of our own came first */
        end(c, c->code, NULL);
    else if (c->stopping)
        end_as_asked(c);
    else
        end(c, code_for(e->down.reason), &e->down.fault);
}

static void on_event(struct connection *c, const struct session_event *e)
{
    switch (e->type) {
    case SESSION_EVENT_PHASE:
        phase(c, e->phase.phase == SESSION_PHASE_INIT ? "init" : "auth", e->phase.text);
        break;
    case SESSION_EVENT_CONFIG:
        c->config = e->config;
        break;
    case SESSION_EVENT_CHILD_UP:
        install_child(c, &e->child);
        break;
    case SESSION_EVENT_CHILD_DOWN:
        if (tunnel_remove_child(c->tunnel, e->child_down_spi_in) != ERR_OK)
            log_debug("a Child SA that was not installed is gone");
        if (c->child.spi_in == e->child_down_spi_in)
            c->child_up = false;
        break;
    case SESSION_EVENT_UP:
        come_up(c);
        break;
    case SESSION_EVENT_PATH:
        break; /* come_up reads it */
    case SESSION_EVENT_DOWN:
        on_down(c, e);
        break;
    }
}

/* --- driving the session --- */

static void on_timer(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    session_handle_timeout(c->session, datapath_now());
    settle(c);
}

static void settle(struct connection *c)
{
    struct session_event event;
    struct session_datagram datagram;
    mono_ms now = datapath_now();
    do { /* an event may make the session send, and end */
        while (session_output(c->session, now, &datagram))
            datapath_send(c->datapath, &datagram);
        if (!session_next_event(c->session, &event))
            break;
        on_event(c, &event);
        session_event_wipe(&event);
    } while (true);
    mono_ms next = session_next_timeout(c->session);
    if (next == MONO_NEVER || c->ended) {
        uv_timer_stop(&c->timer);
        return;
    }
    uv_update_time(&c->loop);
    uv_timer_start(&c->timer, on_timer, next > now ? (uint64_t)(next - now) : 0, 0);
}

static void on_ike(void *ctx, mono_ms now, const struct path *path, struct span message)
{
    struct connection *c = ctx;
    session_input(c->session, now, path, message);
    settle(c);
}

static void on_traffic(void *ctx, mono_ms now, const struct session_traffic *t)
{
    struct connection *c = ctx;
    mono_ms before = session_next_timeout(c->session);
    session_traffic(c->session, now, t);
    if (session_next_timeout(c->session) < before)
        settle(c); /* later deadlines are found when the earlier one fires */
}

static void on_tun_lost(void *ctx)
{
    struct connection *c = ctx;
    struct fault f = {0};
    (void)fault_set(&f, ERR_SYSTEM, "the interface %s is gone", c->system->state.interface);
    datapath_stop(c->datapath);
    fail(c, EXIT_CODE_PRIVILEGE, &f);
    settle(c);
}

/* --- stopping --- */

static void on_stop_patience(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    if (c->code != EXIT_CODE_DONE)
        end(c, c->code, NULL);
    else
        end_as_asked(c);
}

static void stop(struct connection *c)
{
    if (c->stopping)
        return;
    c->stopping = true;
    log_info("going down");
    session_stop(c->session, datapath_now());
    uv_timer_start(&c->patience, on_stop_patience, STOP_MS, 0);
    settle(c);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    stop(handle->data);
}

static void on_timeout(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    struct session_status status;
    char remote[ENDPOINT_TEXT_MAX];
    struct fault f = {0};
    session_status(c->session, &status);
    endpoint_format(&status.path.remote, remote);
    if (c->names_left > 0) {
        (void)fault_set(&f, ERR_NOT_FOUND, "the name %s was not resolved within %" PRIu32 " s",
                        c->host, c->options->timeout_ms / 1000);
        fault_hint(&f, "check that this machine's DNS works, or give an address");
    } else if (status.spi_r != 0) {
        (void)fault_set(&f, ERR_NOT_FOUND, "%s answered IKE_SA_INIT but not IKE_AUTH on port %u",
                        c->host, status.path.remote.port);
        fault_hint(&f, "check that UDP port 4500 and large datagrams can pass to %s", c->host);
    } else {
        (void)fault_set(&f, ERR_NOT_FOUND, "no answer from %s within %" PRIu32 " s", remote,
                        c->options->timeout_ms / 1000);
        fault_hint(&f, "check Address in [Gateway] and that UDP ports 500 and 4500 can pass");
    }
    end(c, EXIT_CODE_UNREACHABLE, &f);
}

/* --- where the gateway is --- */

static void no_way(struct connection *c, const char *what, const char *hint)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_NOT_FOUND, "%s", what);
    fault_hint(&f, "%s", hint);
    end(c, EXIT_CODE_UNREACHABLE, &f);
}

/* All names are resolved: the ways that the kernel has to their addresses, in the profile's order.
 */
static void begin(struct connection *c)
{
    const struct profile *p = c->options->profile;
    struct path paths[SESSION_PATHS_MAX];
    size_t count = 0, resolved = 0;
    char text[512] = "";
    for (size_t i = 0; i < p->addresses.count; i++) {
        for (size_t j = 0; j < c->names[i].count && count < SESSION_PATHS_MAX; j++) {
            const struct ip *ip = &c->names[i].results[j];
            struct network_route route;
            uint16_t port = datapath_port(c->datapath, ip->family);
            resolved++;
            char address[IP_TEXT_MAX];
            if (port == 0 || network_route_to(ip, ROUTES_MARK, &route) != ERR_OK) {
                snprintf(text, sizeof(text), "no route to %s", ip_format(ip, address));
                log_info("%s", text);
                continue;
            }
            paths[count++] = (struct path){.local = {route.source, port}, .remote = {*ip, p->port}};
        }
    }
    if (resolved == 0) {
        snprintf(text, sizeof(text), "the name %s cannot be resolved", c->host);
        no_way(c, text, "check Address in [Gateway] and this machine's DNS");
        return;
    }
    if (count == 0) {
        no_way(c, text, "check that this machine is connected to a network");
        return;
    }
    phase(c, "resolve", c->host);
    mono_ms now = datapath_now();
    struct fault f = {0};
    session_networks_changed(c->session, now, paths, count);
    enum err e = session_start(c->session, now);
    if (e != ERR_OK) {
        (void)fault_set(&f, e, "the connection could not be begun: %s", err_text(e));
        end(c, EXIT_CODE_INTERNAL, &f);
        return;
    }
    settle(c);
}

static struct ip ip_from_sockaddr(const struct sockaddr *s)
{
    if (s->sa_family == AF_INET)
        return ip_from_span(span_make(&((const struct sockaddr_in *)s)->sin_addr, 4));
    if (s->sa_family == AF_INET6)
        return ip_from_span(span_make(&((const struct sockaddr_in6 *)s)->sin6_addr, 16));
    return (struct ip){0};
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct resolution *r = request->data;
    struct connection *c = r->connection;
    r->active = false;
    for (const struct addrinfo *a = list; status == 0 && a != NULL && r->count < SESSION_PATHS_MAX;
         a = a->ai_next) {
        struct ip ip = ip_from_sockaddr(a->ai_addr);
        if (ip.family != IP_NONE)
            r->results[r->count++] = ip;
    }
    uv_freeaddrinfo(list);
    if (status != 0 && status != UV_ECANCELED)
        log_warn("a gateway address is not resolved: %s", uv_strerror(status));
    if (--c->names_left == 0 && !c->ended && !c->stopping)
        begin(c);
}

static void resolve(struct connection *c)
{
    const struct profile *p = c->options->profile;
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    for (size_t i = 0; i < p->addresses.count; i++) {
        struct resolution *r = &c->names[i];
        r->connection = c;
        if (ip_parse(p->addresses.items[i], &r->results[0]) == ERR_OK) {
            r->count = 1;
            continue;
        }
        r->request.data = r;
        if (uv_getaddrinfo(&c->loop, &r->request, on_resolved, p->addresses.items[i], NULL,
                           &hints) == 0) {
            r->active = true;
            c->names_left++;
        }
    }
    if (c->names_left == 0)
        begin(c);
}

/* --- the control socket --- */

static const char *state_text(const struct connection *c)
{
    if (c->ended || c->stopping)
        return "down";
    return c->up ? "up" : "connecting";
}

static json_t *status_reply(struct connection *c)
{
    struct connection_view v = {
        .profile = c->options->profile,
        .state = state_text(c),
        .since = c->since,
        .established = c->established,
        .host = c->host,
        .system = c->system,
        .child = c->child_up ? &c->child : NULL,
        .last_error = c->fault.text,
    };
    struct network_route route;
    session_status(c->session, &v.session);
    if (v.session.path.remote.ip.family != IP_NONE &&
        network_route_to(&v.session.path.remote.ip, ROUTES_MARK, &route) == ERR_OK) {
        v.path_interface = route.interface_name;
        v.path_mtu = route.mtu;
    }
    if (c->child_up && tunnel_child_status(c->tunnel, c->child.spi_in, &v.counters) != ERR_OK)
        v.child = NULL;
    return presentation_status(&v);
}

static json_t *on_request(void *ctx, const json_t *request)
{
    struct connection *c = ctx;
    const char *command = json_string_value(json_object_get(request, "command"));
    if (command != NULL && strcmp(command, "status") == 0)
        return status_reply(c);
    if (command != NULL && strcmp(command, "down") == 0) {
        stop(c);
        return json_pack("{s:b}", "ok", 1);
    }
    return json_pack("{s:s}", "error", "unknown command");
}

/* --- beginning and end --- */

static enum err open_parts(struct connection *c, struct fault *f)
{
    const struct connection_options *o = c->options;
    const struct datapath_callbacks callbacks = {c, on_ike, on_traffic, on_tun_lost};
    struct session_config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for the session");
    credentials_session_config(o->profile, o->credentials, config);
    enum err e = session_new(config, &c->session);
    wipe(config, sizeof(*config));
    free(config);
    if (e == ERR_OK)
        e = tunnel_new(&c->tunnel);
    if (e != ERR_OK)
        return fault_set(f, e, "the session cannot be made: %s", err_text(e));
    e = datapath_new(&c->loop, &callbacks, &c->datapath, f);
    if (e == ERR_OK)
        e = control_open(&c->loop, o->runtime, o->profile->name, on_request, c, &c->control, f);
    return e;
}

static void start_handles(struct connection *c)
{
    uv_timer_init(&c->loop, &c->timer);
    uv_timer_init(&c->loop, &c->patience);
    uv_signal_init(&c->loop, &c->on_int);
    uv_signal_init(&c->loop, &c->on_term);
    c->timer.data = c->patience.data = c->on_int.data = c->on_term.data = c;
    uv_signal_start(&c->on_int, on_signal, SIGINT);
    uv_signal_start(&c->on_term, on_signal, SIGTERM);
    uv_timer_start(&c->patience, on_timeout, c->options->timeout_ms, 0);
}

static void close_all(struct connection *c)
{
    for (size_t i = 0; i < PROFILE_LIST_MAX; i++) {
        if (c->names[i].active)
            uv_cancel((uv_req_t *)&c->names[i].request);
    }
    if (c->datapath != NULL)
        datapath_stop(c->datapath);
    system_undo(c->system);
    c->system = NULL;
    datapath_close(c->datapath);
    control_close(c->control);
    uv_close((uv_handle_t *)&c->timer, NULL);
    uv_close((uv_handle_t *)&c->patience, NULL);
    uv_close((uv_handle_t *)&c->on_int, NULL);
    uv_close((uv_handle_t *)&c->on_term, NULL);
    do /* a stop that was asked for before ends the first run at once */
        uv_run(&c->loop, UV_RUN_DEFAULT);
    while (uv_loop_close(&c->loop) == UV_EBUSY);
    tunnel_free(c->tunnel);
    session_free(c->session);
}

enum exit_code connection_run(const struct connection_options *o, struct fault *f)
{
    struct connection *c = calloc(1, sizeof(*c));
    if (c == NULL || uv_loop_init(&c->loop) != 0) {
        free(c);
        (void)fault_set(f, ERR_MEMORY, "the event loop cannot be made");
        return EXIT_CODE_INTERNAL;
    }
    c->options = o;
    c->host = o->profile->addresses.items[0];
    c->since = wall_now();
    c->phase_at = datapath_now();
    start_handles(c);
    struct fault open_fault = {0};
    if (open_parts(c, &open_fault) == ERR_OK)
        resolve(c);
    else
        end(c, EXIT_CODE_INTERNAL, &open_fault);
    if (!c->ended)
        uv_run(&c->loop, UV_RUN_DEFAULT);
    close_all(c);
    enum exit_code code = c->code;
    *f = c->fault;
    wipe(c, sizeof(*c));
    free(c);
    return code;
}
