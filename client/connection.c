/* The event loop's glue: names are resolved, datagrams and timeouts are fed to the session, what it
 * asks for is done. Everything that the loop calls ends in connection_settle(), which drains the
 * session and arms the one timer; nothing else touches its queues. */
#include "client/connection_state.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/logging.h"
#include "common/base/log.h"

enum { STOP_MS = 7000, HOLD_MS = 2000 };

void connection_end(struct connection *c, enum exit_code code, const struct fault *f)
{
    if (c->ended)
        return;
    c->ended = true;
    c->code = code;
    if (f != NULL)
        c->fault = *f;
    if (code != EXIT_CODE_DONE)
        news_error(c, (int)code);
    news_state(c);
    uv_stop(&c->loop);
}

void connection_fail(struct connection *c, enum exit_code code, const struct fault *f)
{
    if (c->code == EXIT_CODE_DONE) {
        c->code = code;
        c->fault = *f;
    }
    c->stopping = true;
    session_stop(c->session, clock_now());
}

void connection_end_as_asked(struct connection *c)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_REFUSED, "stopped before the connection was up");
    connection_end(c, c->up ? EXIT_CODE_DONE : EXIT_CODE_INTERNAL, c->up ? NULL : &f);
}

/* --- driving the session --- */

static void on_wakeup(void *ctx)
{
    struct connection *c = ctx;
    datapath_report(c->datapath); /* it may be that nothing is due after all */
    session_handle_timeout(c->session, clock_now());
    connection_settle(c);
}

static void on_slept(void *ctx, int64_t slept_ms)
{
    struct connection *c = ctx;
    log_info("this machine slept for %" PRId64 " s", slept_ms / 1000);
    session_handle_timeout(c->session, clock_now()); /* no expired key is used */
    session_resumed(c->session, clock_now());
    connection_settle(c);
}

static void on_held_long(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    datapath_hold(c->datapath, false);
}

/* Without a Child SA to leave by, packets wait in the TUN's own queue for a moment: a rebuild that
 * takes two round trips loses none. After that they are dropped, as old news. */
static void hold_or_release(struct connection *c)
{
    bool can = tunnel_can_seal(c->tunnel);
    if (!c->up || can == !c->holding)
        return;
    c->holding = !can;
    datapath_hold(c->datapath, c->holding);
    if (c->holding)
        uv_timer_start(&c->hold, on_held_long, HOLD_MS, 0);
    else
        uv_timer_stop(&c->hold);
}

void connection_settle(struct connection *c)
{
    struct session_event event;
    struct session_datagram datagram;
    mono_ms now = clock_now();
    bool more = true;
    while (more) { /* an event may make the session send, and end */
        /* First: a Child SA is drained before the gateway hears that it goes. */
        while (session_next_event(c->session, &event)) {
            connection_event(c, &event);
            session_event_wipe(&event);
        }
        for (more = false; session_output(c->session, now, &datagram); more = true)
            datapath_send(c->datapath, &datagram);
    }
    hold_or_release(c);
    news_state(c);
    if (!c->ended)
        datapath_watch(c->datapath, c->searching || session_asks(c->session));
    wakeup_at(c->wakeup, c->ended ? MONO_NEVER : session_next_timeout(c->session));
}

static uint64_t on_ike(void *ctx, mono_ms now, const struct path *path, struct span message)
{
    struct connection *c = ctx;
    session_input(c->session, now, path, message);
    connection_settle(c);
    return session_dropped(c->session);
}

/* Asked with each report too: it is then that what was removed is freed. True where one expires. */
static bool expire_children(struct connection *c, mono_ms now)
{
    uint32_t spi_in;
    bool any = false;
    for (; tunnel_expiring(c->tunnel, &spi_in); any = true)
        session_child_expiring(c->session, now, spi_in);
    return any;
}

static void on_expiring(void *ctx, mono_ms now)
{
    struct connection *c = ctx;
    if (expire_children(c, now))
        connection_settle(c);
}

static void on_traffic(void *ctx, mono_ms now, const struct session_traffic *t)
{
    struct connection *c = ctx;
    mono_ms before = session_next_timeout(c->session);
    session_traffic(c->session, now, t);
    if (expire_children(c, now))
        before = MONO_NEVER; /* whatever that led to */
    connection_fit_again(c, now);
    hold_or_release(c);
    if (before == MONO_NEVER || c->searching || session_next_timeout(c->session) < before)
        connection_settle(c); /* later deadlines are found when the earlier one fires */
}

/* --- stopping --- */

static void on_stop_patience(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    if (c->code != EXIT_CODE_DONE)
        connection_end(c, c->code, NULL);
    else
        connection_end_as_asked(c);
}

void connection_stop(struct connection *c)
{
    if (c->stopping)
        return;
    c->stopping = true;
    log_info("going down");
    session_stop(c->session, clock_now());
    uv_timer_start(&c->patience, on_stop_patience, STOP_MS, 0);
    connection_settle(c);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    connection_stop(handle->data);
}

static void on_timeout(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    struct session_status status;
    char remote[ENDPOINT_TEXT_MAX];
    struct fault f = {0};
    session_status(c->session, &status);
    endpoint_format(&status.path.remote, remote);
    if (reach_looking(c->reach)) {
        (void)fault_set(&f, ERR_NOT_FOUND, "the name %s was not resolved within %" PRIu32 " s",
                        c->host, c->options->timeout_ms / 1000);
        fault_hint(&f, "check that this machine's DNS works, or give an address");
    } else if (status.eap) {
        (void)fault_set(
            &f, ERR_NOT_FOUND, "%s %s, but EAP did not come to its end within %" PRIu32 " s",
            c->host, status.remote_id.type != IDENTITY_NONE ? "has proven itself" : "asks by EAP",
            c->options->timeout_ms / 1000);
        fault_hint(&f, "what asks for passwords behind the gateway may be slow or away: try again");
    } else if (status.spi_r != 0) {
        (void)fault_set(&f, ERR_NOT_FOUND, "%s answered IKE_SA_INIT but not IKE_AUTH on port %u",
                        c->host, status.path.remote.port);
        fault_hint(&f, "check that UDP port 4500 and large datagrams can pass to %s", c->host);
    } else {
        (void)fault_set(&f, ERR_NOT_FOUND, "no answer from %s within %" PRIu32 " s", remote,
                        c->options->timeout_ms / 1000);
        fault_hint(&f, "check Address in [Gateway] and that UDP ports 500 and 4500 can pass");
    }
    connection_end(c, EXIT_CODE_UNREACHABLE, &f);
}

/* --- where the gateway is --- */

static void no_way(struct connection *c, const char *what, const char *hint)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_NOT_FOUND, "%s", what);
    fault_hint(&f, "%s", hint);
    connection_end(c, EXIT_CODE_UNREACHABLE, &f);
}

static void start(struct connection *c, const struct path *paths, size_t count)
{
    struct fault f = {0};
    mono_ms now = clock_now();
    news_phase(c, "resolve", c->host);
    c->started = true;
    session_networks_changed(c->session, now, paths, count);
    enum err e = session_start(c->session, now);
    if (e == ERR_OK)
        return;
    (void)fault_set(&f, e, "the connection could not be begun: %s", err_text(e));
    connection_end(c, EXIT_CODE_INTERNAL, &f);
}

static void on_reach(void *ctx, const struct path *paths, size_t count)
{
    struct connection *c = ctx;
    const struct ip *found;
    char text[512], address[IP_TEXT_MAX];
    size_t found_count = reach_found(c->reach, &found);
    news_network(c, paths, count);
    if (c->ended || c->stopping)
        return;
    if (c->started) {
        session_networks_changed(c->session, clock_now(), paths, count);
    } else if (count > 0) {
        start(c, paths, count);
    } else if (found_count == 0) {
        snprintf(text, sizeof(text), "the name %s cannot be resolved", c->host);
        no_way(c, text, "check Address in [Gateway] and this machine's DNS");
    } else {
        snprintf(text, sizeof(text), "no route to %s", ip_format(&found[0], address));
        no_way(c, text, "check that this machine is connected to a network");
    }
    if (!c->ended)
        connection_settle(c);
}

/* RFC 5685; its identity has to be the same. */
static void on_redirect_found(void *ctx, const struct ip *found, size_t found_count)
{
    struct connection *c = ctx;
    struct path paths[SESSION_PATHS_MAX];
    if (c->ended || c->stopping)
        return;
    session_redirected(c->session, clock_now(), paths,
                       reach_ways(c->reach, found, found_count, paths));
    connection_settle(c);
}

void connection_redirect(struct connection *c, const struct redirect_target *to)
{
    char address[IP_TEXT_MAX];
    const char *where = to->ip.family != IP_NONE ? ip_format(&to->ip, address) : to->name;
    log_info("the gateway sends us to %s", where);
    lookup_begin(&c->redirect, &where, 1);
}

/* --- beginning and end --- */

static enum err open_reach(struct connection *c, struct fault *f)
{
    const struct reach_options o = {.profile = c->options->profile,
                                    .port_v4 = datapath_port(c->datapath, IP_V4),
                                    .port_v6 = datapath_port(c->datapath, IP_V6),
                                    .changed = on_reach,
                                    .ours_changed = connection_ours_changed,
                                    .ctx = c};
    return reach_new(&c->loop, &o, &c->reach, f);
}

static enum err open_parts(struct connection *c, struct fault *f)
{
    const struct connection_options *o = c->options;
    const struct datapath_callbacks callbacks = {c, on_ike, on_traffic, on_expiring,
                                                 connection_tun_lost};
    struct session_config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for the session");
    credentials_session_config(o->profile, o->credentials, config);
    if (config->ppk.key.len > 0 && config->ppk.key.len < CREDENTIALS_PPK_GOOD)
        log_warn("the PPK has %zu octets; against a quantum computer %d random ones are good",
                 config->ppk.key.len, (int)CREDENTIALS_PPK_GOOD);
    enum err e = session_new(config, &c->session);
    wipe(config, sizeof(*config));
    free(config);
    if (e == ERR_OK)
        e = tunnel_new(&c->tunnel);
    if (e != ERR_OK)
        return fault_set(f, e, "the session cannot be made: %s", err_text(e));
    e = datapath_new(&c->loop, &callbacks, o->profile->offload, &c->datapath, f);
    if (e == ERR_OK)
        e = open_reach(c, f);
    if (e == ERR_OK)
        e = wakeup_open(&c->loop, on_wakeup, on_slept, c, &c->wakeup, f);
    if (e == ERR_OK)
        e = control_open(&c->loop, o->runtime, o->profile->name, connection_request, c, &c->control,
                         f);
    if (e == ERR_OK)
        e = hooks_new(&c->loop, o->profile, HOOKS_PATIENCE_MS, &c->hooks);
    if (e == ERR_OK)
        logging_follow(news_log, c);
    return e;
}

static void start_handles(struct connection *c)
{
    uv_timer_init(&c->loop, &c->patience);
    uv_timer_init(&c->loop, &c->hold);
    uv_timer_init(&c->loop, &c->repair);
    c->hold.data = c->repair.data = c;
    uv_signal_init(&c->loop, &c->on_int);
    uv_signal_init(&c->loop, &c->on_term);
    c->patience.data = c->on_int.data = c->on_term.data = c;
    uv_signal_start(&c->on_int, on_signal, SIGINT);
    uv_signal_start(&c->on_term, on_signal, SIGTERM);
    uv_timer_start(&c->patience, on_timeout, c->options->timeout_ms, 0);
}

static bool looking_up(const struct connection *c)
{
    return reach_looking(c->reach) || lookup_active(&c->redirect);
}

static void see_handle(uv_handle_t *handle, void *seen)
{
    (void)handle;
    *(bool *)seen = true;
}

/* A look-up that a thread has begun cannot be cancelled and may take minutes: the handles are
 * closed without it, and then the loop stays open for the thread. */
static void close_loop(struct connection *c)
{
    bool left;
    lookup_cancel(&c->redirect);
    do { /* a stop that was asked for before ends the first run at once */
        uv_run(&c->loop, looking_up(c) ? UV_RUN_NOWAIT : UV_RUN_DEFAULT);
        left = false;
        uv_walk(&c->loop, see_handle, &left);
    } while (left || (!looking_up(c) && uv_loop_close(&c->loop) == UV_EBUSY));
}

/* As exit() does, but without libuv's destructor, which joins the thread. */
static void leave(int status, void *ctx)
{
    (void)ctx;
    fflush(NULL);
    _exit(status);
}

static void close_all(struct connection *c)
{
    if (c->datapath != NULL)
        datapath_stop(c->datapath);
    dns_keeper_stop(c->dns_keeper);
    system_undo(c->system);
    c->system = NULL;
    if (c->up)
        news_hook(c, PROFILE_HOOK_DOWN);
    hooks_close(c->hooks);
    datapath_close(c->datapath);
    logging_follow(NULL, NULL);
    control_close(c->control);
    c->control = NULL;
    reach_close(c->reach);
    wakeup_close(c->wakeup);
    uv_close((uv_handle_t *)&c->patience, NULL);
    uv_close((uv_handle_t *)&c->hold, NULL);
    uv_close((uv_handle_t *)&c->repair, NULL);
    uv_close((uv_handle_t *)&c->on_int, NULL);
    uv_close((uv_handle_t *)&c->on_term, NULL);
    close_loop(c);
    child_list_wipe(&c->children);
    tunnel_free(c->tunnel);
    session_free(c->session);
    trust_stores_free(&c->trust);
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
    memcpy(c->crls, o->credentials->crls, sizeof(c->crls));
    c->host = o->profile->addresses.items[0];
    c->since = connection_wall_now();
    c->state_told = "connecting";
    c->phase_at = clock_now();
    lookup_init(&c->redirect, &c->loop, on_redirect_found, c);
    start_handles(c);
    struct fault open_fault = {0};
    if (open_parts(c, &open_fault) == ERR_OK)
        reach_resolve(c->reach);
    else
        connection_end(c, EXIT_CODE_INTERNAL, &open_fault);
    if (!c->ended)
        uv_run(&c->loop, UV_RUN_DEFAULT);
    close_all(c);
    enum exit_code code = c->code;
    *f = c->fault;
    if (looking_up(c)) { /* the thread writes to it until the process ends */
        (void)on_exit(leave, NULL);
        return code;
    }
    reach_free(c->reach);
    wipe(c, sizeof(*c));
    free(c);
    return code;
}
