/* The event loop's glue: names are resolved, datagrams and timeouts are fed to the session, what it
 * asks for is done. Everything that the loop calls ends in settle(), which drains the session and
 * arms the one timer; nothing else touches its queues. */
#include "client/connection.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/child_list.h"
#include "client/control.h"
#include "client/dns_keeper.h"
#include "client/events.h"
#include "client/logging.h"
#include "client/lookup.h"
#include "client/presentation.h"
#include "client/reach.h"
#include "client/wakeup.h"
#include "common/base/log.h"

enum { STOP_MS = 7000, HOLD_MS = 2000 };

struct connection {
    const struct connection_options *options;
    uv_loop_t loop;
    struct wakeup *wakeup; /* at the session's deadline, and when the machine has slept */
    uv_timer_t patience;   /* --timeout, then the bound on stopping */
    uv_timer_t hold;       /* how long packets wait for a Child SA */
    uv_signal_t on_int, on_term;
    struct reach *reach;
    struct lookup redirect; /* RFC 5685 */
    struct datapath *datapath;
    struct control *control;
    struct session *session;
    struct tunnel *tunnel;
    struct system *system;
    struct dns_keeper *dns_keeper;
    struct configuration config;  /* what the gateway assigned last */
    struct configuration applied; /* and what the system has */
    struct selector_list applied_remote;
    struct child_list children;
    /* The path's interface; and that of the path before, while a handover goes on. */
    char path_name[NETWORK_NAME_MAX], settled_name[NETWORK_NAME_MAX];
    bool up, searching, ended;
    bool stopping; /* down was asked for */
    bool started;  /* the session has been */
    bool holding;  /* no Child SA to leave by: packets wait in the TUN */
    const char *host;
    const char *state_told; /* to those who follow */
    struct timespec since, established;
    struct connection_handover handover; /* the last one */
    mono_ms phase_at;
    enum exit_code code;
    struct fault fault;
};

static void settle(struct connection *c);
static void on_redirect(struct connection *c, const struct redirect_target *to);
static const char *state_text(const struct connection *c);

/* --- words --- */

static void on_log(void *ctx, enum log_level level, const char *line)
{
    struct connection *c = ctx;
    events_emit(c->control, (struct client_event){.type = CLIENT_EVENT_LOG, .log = {level, line}});
}

/* Where it is another one than was told last. */
static void tell_state(struct connection *c)
{
    const char *state = state_text(c), *was = c->state_told;
    if (strcmp(state, was) == 0)
        return;
    c->state_told = state;
    bool fault = strcmp(state, "searching") == 0 || (c->ended && c->code != EXIT_CODE_DONE);
    events_emit(c->control,
                (struct client_event){.type = CLIENT_EVENT_STATE,
                                      .state = {state, was, fault ? c->fault.text : NULL}});
}

static void tell_error(struct connection *c, int exit_code)
{
    events_emit(c->control,
                (struct client_event){.type = CLIENT_EVENT_ERROR, .error = {&c->fault, exit_code}});
}

static struct timespec wall_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t;
}

/* A line of progress with the time that the phase took. */
static void phase(struct connection *c, const char *name, const char *text)
{
    mono_ms now = clock_now();
    if (!c->options->quiet)
        fprintf(stderr, "%-8s %5" PRId64 " ms  %s\n", name, now - c->phase_at, text);
    log_info("%s: %s", name, text);
    events_emit(c->control, (struct client_event){.type = CLIENT_EVENT_PHASE,
                                                  .phase = {name, text, now - c->phase_at}});
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
    if (code != EXIT_CODE_DONE)
        tell_error(c, (int)code);
    tell_state(c);
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
    session_stop(c->session, clock_now());
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
    enum err e = child_list_install(&c->children, c->tunnel, child);
    if (e == ERR_OK) {
        datapath_child_came(c->datapath, clock_now());
        return;
    }
    struct fault f = {0};
    (void)fault_set(&f, e, "the Child SA's keys could not be installed: %s", err_text(e));
    fail(c, EXIT_CODE_INTERNAL, &f);
}

/* --- up, held, up again --- */

static bool same_addresses(const struct configuration *a, const struct configuration *b)
{
    bool same = a->address_count == b->address_count && a->dns_count == b->dns_count &&
                a->domain_count == b->domain_count;
    for (size_t i = 0; same && i < a->address_count; i++)
        same = ip_equal(&a->addresses[i].ip, &b->addresses[i].ip);
    for (size_t i = 0; same && i < a->dns_count; i++)
        same = ip_equal(&a->dns[i], &b->dns[i]);
    for (size_t i = 0; same && i < a->domain_count; i++)
        same = strcmp(a->domains[i], b->domains[i]) == 0;
    return same;
}

/* Make the system use what the gateway granted. A connection that was rebuilt mostly has the same
 * again, and then nothing is touched: sockets inside stay open. */
static bool apply(struct connection *c)
{
    struct session_status status;
    session_status(c->session, &status);
    const struct session_child *child = child_list_newest(&c->children);
    const struct system_plan plan = {.profile = c->options->profile,
                                     .config = &c->config,
                                     .local = &child->local,
                                     .remote = &child->remote,
                                     .gateway = &status.path.remote.ip};
    struct fault f = {0};
    enum exit_code code = EXIT_CODE_SELECTORS;
    enum err e = system_check(&plan, &f);
    if (e == ERR_OK && c->system != NULL && same_addresses(&c->config, &c->applied) &&
        selector_list_within(&child->remote, &c->applied_remote) &&
        selector_list_within(&c->applied_remote, &child->remote))
        return true;
    bool first = c->system == NULL;
    if (e == ERR_OK && !first) {
        log_warn("the gateway assigned other addresses, servers or networks than before");
        e = system_renew(c->system, &plan, c->options->lock, &code, &f);
    } else if (e == ERR_OK) {
        e = system_apply(&plan, c->options->lock, &c->system, &code, &f);
    }
    if (e != ERR_OK) {
        fail(c, code, &f);
        return false;
    }
    c->applied_remote = child->remote;
    c->applied = c->config;
    if (c->dns_keeper == NULL)
        c->dns_keeper = dns_keeper_start(&c->loop, c->system);
    return true;
}

/* What leaves the tunnel has to fit the path. */
static void fit_mtu(struct connection *c, const struct path *path)
{
    struct fault f = {0};
    const struct network_way *way = reach_interface(c->reach, path);
    if (way != NULL && system_fit_mtu(c->system, c->options->profile, way->mtu, &f) != ERR_OK)
        log_warn("%s", f.text);
}

static void come_up(struct connection *c)
{
    struct session_status status;
    bool first = !c->up;
    if (c->stopping || c->children.count == 0 || !apply(c))
        return;
    session_status(c->session, &status);
    datapath_carry(c->datapath, c->system->tun, c->tunnel, &status.path);
    reach_set_tunnel(c->reach, tun_index(c->system->tun));
    fit_mtu(c, &status.path);
    c->up = true;
    c->searching = false;
    c->established = c->since = wall_now();
    snprintf(c->settled_name, sizeof(c->settled_name), "%s", c->path_name);
    if (!first) {
        log_info("up again");
        return;
    }
    uv_timer_stop(&c->patience);
    phase(c, "tunnel", tun_name(c->system->tun));
    if (c->options->on_up != NULL)
        c->options->on_up(c->options->on_up_ctx);
}

/* The gateway is silent or has ended the IKE SA: addresses and routes stay, so that nothing leaks
 * and sockets inside stay open; the names are resolved again for the next attempt. */
static void on_searching(struct connection *c, const struct session_event *e)
{
    if (!c->searching)
        c->since = wall_now();
    c->searching = true;
    c->fault = e->searching.fault;
    tell_error(c, -1);
    log_warn("%s; connecting anew", e->searching.fault.text);
    reach_resolve(c->reach);
}

static const char *interface_name(const struct connection *c, const struct path *path)
{
    const struct network_way *way = reach_interface(c->reach, path);
    return way != NULL ? way->interface_name : NULL;
}

static void tell_probe(struct connection *c, const struct path *path, bool answered)
{
    events_emit(c->control, (struct client_event){.type = CLIENT_EVENT_PATH_PROBE,
                                                  .probe = {path, interface_name(c, path),
                                                            answered ? "answered" : "silent", -1}});
}

/* ESP leaves by the new path from now on. */
static void on_path(struct connection *c, const struct path *path)
{
    const char *name = interface_name(c, path);
    if (name != NULL) /* it may be gone when the handover is told */
        snprintf(c->path_name, sizeof(c->path_name), "%s", name);
    if (!c->up)
        return; /* come_up reads it */
    datapath_move(c->datapath, path);
    fit_mtu(c, path);
}

static void on_handover(struct connection *c, const struct session_handover *h)
{
    c->handover = (struct connection_handover){.at = wall_now(), .gap_ms = h->gap_ms};
    snprintf(c->handover.from, sizeof(c->handover.from), "%s", c->settled_name);
    snprintf(c->handover.to, sizeof(c->handover.to), "%s", c->path_name);
    snprintf(c->settled_name, sizeof(c->settled_name), "%s", c->path_name);
    log_info("handover from %s to %s: %s, %" PRId64 " ms, %" PRIu32 " messages", c->handover.from,
             c->handover.to, presentation_move(h->reason), h->gap_ms, h->messages);
    events_emit(c->control, (struct client_event){.type = CLIENT_EVENT_HANDOVER,
                                                  .handover = {c->handover.from, c->handover.to,
                                                               presentation_move(h->reason), &h->to,
                                                               h->messages, (double)h->gap_ms}});
}

static void on_addresses(struct connection *c, const struct session_event *e)
{
    struct session_status status;
    const struct session_child *child = child_list_newest(&c->children);
    session_status(c->session, &status);
    if (child != NULL)
        reach_set_additional(c->reach, e->addresses.items, e->addresses.count,
                             &status.path.remote.ip, &child->remote);
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
    events_of_session(c->control, e);
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
    case SESSION_EVENT_CHILD_DRAIN:
        child_list_drain(&c->children, c->tunnel, e->child_down_spi_in);
        break;
    case SESSION_EVENT_CHILD_DOWN:
        child_list_remove(&c->children, c->tunnel, e->child_down_spi_in);
        break;
    case SESSION_EVENT_UP:
        come_up(c);
        break;
    case SESSION_EVENT_PATH:
        on_path(c, &e->path);
        break;
    case SESSION_EVENT_HANDOVER:
        on_handover(c, &e->handover);
        break;
    case SESSION_EVENT_PATH_PROBE:
        tell_probe(c, &e->path_probe.path, e->path_probe.answered);
        break;
    case SESSION_EVENT_ADDRESSES:
        on_addresses(c, e);
        break;
    case SESSION_EVENT_SEARCHING:
        on_searching(c, e);
        break;
    case SESSION_EVENT_REKEYED:
        log_info(e->rekeyed.ike ? "IKE SA rekeyed" : "Child SA rekeyed");
        break;
    case SESSION_EVENT_REDIRECT:
        on_redirect(c, &e->redirect);
        break;
    case SESSION_EVENT_DOWN:
        on_down(c, e);
        break;
    }
}

/* --- driving the session --- */

static void on_wakeup(void *ctx)
{
    struct connection *c = ctx;
    session_handle_timeout(c->session, clock_now());
    settle(c);
}

static void on_slept(void *ctx, int64_t slept_ms)
{
    struct connection *c = ctx;
    log_info("this machine slept for %" PRId64 " s", slept_ms / 1000);
    session_handle_timeout(c->session, clock_now()); /* no expired key is used */
    session_resumed(c->session, clock_now());
    settle(c);
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

static void settle(struct connection *c)
{
    struct session_event event;
    struct session_datagram datagram;
    mono_ms now = clock_now();
    do { /* an event may make the session send, and end */
        while (session_output(c->session, now, &datagram))
            datapath_send(c->datapath, &datagram);
        if (!session_next_event(c->session, &event))
            break;
        on_event(c, &event);
        session_event_wipe(&event);
    } while (true);
    hold_or_release(c);
    tell_state(c);
    wakeup_at(c->wakeup, c->ended ? MONO_NEVER : session_next_timeout(c->session));
}

static uint64_t on_ike(void *ctx, mono_ms now, const struct path *path, struct span message)
{
    struct connection *c = ctx;
    session_input(c->session, now, path, message);
    settle(c);
    return session_dropped(c->session);
}

static void on_traffic(void *ctx, mono_ms now, const struct session_traffic *t)
{
    struct connection *c = ctx;
    uint32_t spi_in;
    mono_ms before = session_next_timeout(c->session);
    session_traffic(c->session, now, t);
    while (tunnel_expiring(c->tunnel, &spi_in)) {
        session_child_expiring(c->session, now, spi_in);
        before = MONO_NEVER; /* whatever that led to */
    }
    if (before == MONO_NEVER || session_next_timeout(c->session) < before)
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
    session_stop(c->session, clock_now());
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
    if (reach_looking(c->reach)) {
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

static void start(struct connection *c, const struct path *paths, size_t count)
{
    struct fault f = {0};
    mono_ms now = clock_now();
    phase(c, "resolve", c->host);
    c->started = true;
    session_networks_changed(c->session, now, paths, count);
    enum err e = session_start(c->session, now);
    if (e == ERR_OK)
        return;
    (void)fault_set(&f, e, "the connection could not be begun: %s", err_text(e));
    end(c, EXIT_CODE_INTERNAL, &f);
}

/* Each interface once, in the order of the paths. */
static void tell_network(struct connection *c, const struct path *paths, size_t count)
{
    struct network_way ways[SESSION_PATHS_MAX];
    size_t way_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct network_way *way = reach_interface(c->reach, &paths[i]);
        size_t k = 0;
        while (k < way_count && ways[k].interface != paths[i].interface)
            k++;
        if (way != NULL && k == way_count)
            ways[way_count++] = *way;
    }
    events_emit(c->control,
                (struct client_event){.type = CLIENT_EVENT_NETWORK, .network = {ways, way_count}});
}

static void on_reach(void *ctx, const struct path *paths, size_t count)
{
    struct connection *c = ctx;
    const struct ip *found;
    char text[512], address[IP_TEXT_MAX];
    size_t found_count = reach_found(c->reach, &found);
    tell_network(c, paths, count);
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
        settle(c);
}

/* The gateway sent us to another one (RFC 5685); its identity has to be the same. */
static void on_redirect_found(void *ctx, const struct ip *found, size_t found_count)
{
    struct connection *c = ctx;
    struct path paths[SESSION_PATHS_MAX];
    if (c->ended || c->stopping)
        return;
    session_redirected(c->session, clock_now(), paths,
                       reach_ways(c->reach, found, found_count, paths));
    settle(c);
}

static void on_redirect(struct connection *c, const struct redirect_target *to)
{
    char address[IP_TEXT_MAX];
    const char *where = to->ip.family != IP_NONE ? ip_format(&to->ip, address) : to->name;
    log_info("the gateway sends us to %s", where);
    lookup_begin(&c->redirect, &where, 1);
}

/* --- the control socket --- */

static const char *state_text(const struct connection *c)
{
    if (c->ended || c->stopping)
        return "down";
    if (c->searching)
        return "searching";
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
        .child_count = c->children.count,
        .handover = c->handover.at.tv_sec != 0 ? &c->handover : NULL,
        .last_error = c->fault.text,
    };
    session_status(c->session, &v.session);
    const struct network_way *way = reach_interface(c->reach, &v.session.path);
    if (v.session.path.remote.ip.family != IP_NONE && way != NULL) {
        v.path_interface = way->interface_name;
        v.path_mtu = way->mtu;
    }
    for (size_t i = 0; i < c->children.count; i++) {
        struct connection_child *child = &v.children[i];
        child->child = c->children.items[i];
        child->rekeys = session_child_rekeys(c->session, child->child->spi_in);
        if (tunnel_child_status(c->tunnel, child->child->spi_in, &child->counters) != ERR_OK)
            log_debug("a Child SA without counters");
    }
    return presentation_status(&v);
}

static json_t *done_or_not(struct connection *c, enum err e)
{
    settle(c);
    return e == ERR_OK ? json_pack("{s:b}", "ok", 1)
                       : json_pack("{s:s}", "error", "the connection is not up");
}

static json_t *rekey_reply(struct connection *c, const json_t *request)
{
    const char *what = json_string_value(json_object_get(request, "what"));
    enum session_rekey rekey = what == NULL                 ? SESSION_REKEY_BOTH
                               : strcmp(what, "ike") == 0   ? SESSION_REKEY_IKE
                               : strcmp(what, "child") == 0 ? SESSION_REKEY_CHILD
                                                            : SESSION_REKEY_BOTH;
    return done_or_not(c, session_rekey(c->session, clock_now(), rekey));
}

static json_t *on_request(void *ctx, const json_t *request)
{
    struct connection *c = ctx;
    const char *command = json_string_value(json_object_get(request, "command"));
    if (command != NULL && (strcmp(command, "status") == 0 || strcmp(command, "monitor") == 0))
        return status_reply(c); /* who monitors is told the rest as it happens */
    if (command != NULL && strcmp(command, "down") == 0) {
        stop(c);
        return json_pack("{s:b}", "ok", 1);
    }
    if (command != NULL && strcmp(command, "rekey") == 0)
        return rekey_reply(c, request);
    if (command != NULL && strcmp(command, "reconnect") == 0)
        return done_or_not(c, session_reconnect(c->session, clock_now()));
    return json_pack("{s:s}", "error", "unknown command");
}

/* --- beginning and end --- */

static enum err open_reach(struct connection *c, struct fault *f)
{
    const struct reach_options o = {.profile = c->options->profile,
                                    .port_v4 = datapath_port(c->datapath, IP_V4),
                                    .port_v6 = datapath_port(c->datapath, IP_V6),
                                    .changed = on_reach,
                                    .ctx = c};
    return reach_new(&c->loop, &o, &c->reach, f);
}

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
        e = open_reach(c, f);
    if (e == ERR_OK)
        e = wakeup_open(&c->loop, on_wakeup, on_slept, c, &c->wakeup, f);
    if (e == ERR_OK)
        e = control_open(&c->loop, o->runtime, o->profile->name, on_request, c, &c->control, f);
    if (e == ERR_OK)
        logging_follow(on_log, c);
    return e;
}

static void start_handles(struct connection *c)
{
    uv_timer_init(&c->loop, &c->patience);
    uv_timer_init(&c->loop, &c->hold);
    c->hold.data = c;
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
    datapath_close(c->datapath);
    logging_follow(NULL, NULL);
    control_close(c->control);
    c->control = NULL;
    reach_close(c->reach);
    wakeup_close(c->wakeup);
    uv_close((uv_handle_t *)&c->patience, NULL);
    uv_close((uv_handle_t *)&c->hold, NULL);
    uv_close((uv_handle_t *)&c->on_int, NULL);
    uv_close((uv_handle_t *)&c->on_term, NULL);
    close_loop(c);
    child_list_wipe(&c->children);
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
    c->state_told = "connecting";
    c->phase_at = clock_now();
    lookup_init(&c->redirect, &c->loop, on_redirect_found, c);
    start_handles(c);
    struct fault open_fault = {0};
    if (open_parts(c, &open_fault) == ERR_OK)
        reach_resolve(c->reach);
    else
        end(c, EXIT_CODE_INTERNAL, &open_fault);
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
