/* Who is told what of a connection: the person at the terminal, those who follow it, the profile's
 * programs, and whoever asks at the control socket. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/connection_state.h"
#include "client/events.h"
#include "client/presentation.h"
#include "common/base/log.h"

const char *connection_state_text(const struct connection *c)
{
    if (c->ended || c->stopping)
        return "down";
    if (c->searching)
        return "searching";
    return c->up ? "up" : "connecting";
}

void news_log(void *ctx, enum log_level level, const char *line)
{
    struct connection *c = ctx;
    events_emit(c->control, (struct client_event){.type = CLIENT_EVENT_LOG, .log = {level, line}});
}

/* Where it is another one than was told last. */
void news_state(struct connection *c)
{
    const char *state = connection_state_text(c), *was = c->state_told;
    if (strcmp(state, was) == 0)
        return;
    c->state_told = state;
    bool fault = strcmp(state, "searching") == 0 || (c->ended && c->code != EXIT_CODE_DONE);
    events_emit(c->control,
                (struct client_event){.type = CLIENT_EVENT_STATE,
                                      .state = {state, was, fault ? c->fault.text : NULL}});
}

void news_error(struct connection *c, int exit_code)
{
    events_emit(c->control,
                (struct client_event){.type = CLIENT_EVENT_ERROR, .error = {&c->fault, exit_code}});
}

struct timespec connection_wall_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t;
}

/* A line of progress with the time that the phase took. */
void news_phase(struct connection *c, const char *name, const char *text)
{
    mono_ms now = clock_now();
    if (!c->options->quiet)
        fprintf(stderr, "%-8s %5" PRId64 " ms  %s\n", name, now - c->phase_at, text);
    log_info("%s: %s", name, text);
    events_emit(c->control, (struct client_event){.type = CLIENT_EVENT_PHASE,
                                                  .phase = {name, text, now - c->phase_at}});
    c->phase_at = now;
}

const char *connection_interface_name(const struct connection *c, const struct path *path)
{
    const struct network_way *way = reach_interface(c->reach, path);
    return way != NULL ? way->interface_name : NULL;
}

void news_probe(struct connection *c, const struct path *path, bool answered)
{
    events_emit(c->control,
                (struct client_event){.type = CLIENT_EVENT_PATH_PROBE,
                                      .probe = {path, connection_interface_name(c, path),
                                                answered ? "answered" : "silent", -1}});
}

/* Each interface once, in the order of the paths. */
void news_network(struct connection *c, const struct path *paths, size_t count)
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

/* Texts and lists are the connection's own. */
static struct hook_facts facts_of(const struct connection *c, const struct ip *gateway)
{
    return (struct hook_facts){
        .interface = c->tun_name,
        .state = connection_state_text(c),
        .gap_ms = -1,
        .gateway = *gateway,
        .addresses = c->applied.addresses,
        .address_count = c->applied.address_count,
        .dns = c->applied.dns,
        .dns_count = c->applied.dns_count,
    };
}

static void run_hook(struct connection *c, enum profile_hook which, struct hook_facts *facts)
{
    const char *domains[CP_DOMAINS_MAX];
    for (size_t i = 0; i < c->applied.domain_count; i++)
        domains[i] = c->applied.domains[i];
    facts->domains = domains;
    facts->domain_count = c->applied.domain_count;
    hooks_run(c->hooks, which, facts);
}

void news_hook(struct connection *c, enum profile_hook which)
{
    struct session_status status;
    session_status(c->session, &status);
    struct hook_facts facts = facts_of(c, &status.path.remote.ip);
    run_hook(c, which, &facts);
}

void news_handover(struct connection *c, const struct session_handover *h)
{
    const struct connection_handover *last = &c->handover;
    const char *reason = presentation_move(h->reason);
    log_info("handover from %s to %s: %s, %" PRId64 " ms, %" PRIu32 " messages", last->from,
             last->to, reason, h->gap_ms, h->messages);
    events_emit(c->control, (struct client_event){.type = CLIENT_EVENT_HANDOVER,
                                                  .handover = {last->from, last->to, reason, &h->to,
                                                               h->messages, (double)h->gap_ms}});
    struct hook_facts facts = facts_of(c, &h->to.remote.ip);
    facts.from = last->from;
    facts.to = last->to;
    facts.reason = reason;
    facts.gap_ms = (double)h->gap_ms;
    run_hook(c, PROFILE_HOOK_HANDOVER, &facts);
}

/* --- the control socket --- */

/* The core knows no wall clock. */
static struct timespec wall_time_of(mono_ms at)
{
    struct timespec t = connection_wall_now();
    int64_t ago_ms = clock_now() - at, ms = t.tv_sec * 1000 + t.tv_nsec / 1000000 - ago_ms;
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

static json_t *status_reply(struct connection *c)
{
    struct connection_view v = {
        .profile = c->options->profile,
        .state = connection_state_text(c),
        .since = c->since,
        .host = c->host,
        .system = c->system,
        .child_count = c->children.count,
        .handover = c->handover.at.tv_sec != 0 ? &c->handover : NULL,
        .last_error = c->fault.text,
    };
    session_status(c->session, &v.session);
    if (v.session.established != MONO_NEVER && v.session.established != c->established_mono) {
        c->established_mono = v.session.established;
        c->established = wall_time_of(v.session.established);
    }
    v.established = c->established;
    const struct network_way *way = reach_interface(c->reach, &v.session.path);
    if (v.session.path.remote.ip.family != IP_NONE && way != NULL) {
        v.path_interface = way->interface_name;
        v.path_mtu = c->fit.path_mtu != 0 ? c->fit.path_mtu : way->mtu;
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
    connection_settle(c);
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

json_t *connection_request(void *ctx, const json_t *request)
{
    struct connection *c = ctx;
    const char *command = json_string_value(json_object_get(request, "command"));
    if (command != NULL && (strcmp(command, "status") == 0 || strcmp(command, "monitor") == 0))
        return status_reply(c); /* who monitors is told the rest as it happens */
    if (command != NULL && strcmp(command, "down") == 0) {
        connection_stop(c);
        return json_pack("{s:b}", "ok", 1);
    }
    if (command != NULL && strcmp(command, "rekey") == 0)
        return rekey_reply(c, request);
    if (command != NULL && strcmp(command, "reconnect") == 0)
        return done_or_not(c, session_reconnect(c->session, clock_now()));
    return json_pack("{s:s}", "error", "unknown command");
}
