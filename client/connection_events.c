/* What the session's events lead to: keys go into the tunnel, addresses and routes into the system,
 * packets by the path that was chosen. */
#include <inttypes.h>
#include <string.h>

#include "client/connection_state.h"
#include "client/events.h"
#include "common/base/log.h"

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
    enum err e = child_list_install(&c->children, c->tunnel, child, c->options->profile->copy_dscp);
    if (child->suite.cipher.encr == ENCR_NULL)
        log_warn("the Child SA enciphers nothing: all that goes through it can be read on the way");
    if (e == ERR_OK) {
        datapath_child_came(c->datapath);
        return;
    }
    struct fault f = {0};
    (void)fault_set(&f, e, "the Child SA's keys could not be installed: %s", err_text(e));
    connection_fail(c, EXIT_CODE_INTERNAL, &f);
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
        connection_fail(c, code, &f);
        return false;
    }
    c->applied_remote = child->remote;
    c->applied = c->config;
    if (c->dns_keeper == NULL)
        c->dns_keeper = dns_keeper_start(&c->loop, c->system);
    return true;
}

static void come_up(struct connection *c)
{
    struct session_status status;
    bool first = !c->up;
    connection_repair_due(c);
    if (c->stopping || c->children.count == 0 || !apply(c))
        return;
    session_status(c->session, &status);
    connection_carry(c);
    connection_fit(c, &status.path);
    c->up = true;
    c->searching = false;
    c->since = connection_wall_now();
    snprintf(c->settled_name, sizeof(c->settled_name), "%s", c->path_name);
    if (!first) {
        log_info("up again");
        return;
    }
    uv_timer_stop(&c->patience);
    news_phase(c, "tunnel", c->tun_name);
    news_hook(c, PROFILE_HOOK_UP);
    if (c->options->on_up != NULL)
        c->options->on_up(c->options->on_up_ctx);
}

/* The gateway is silent or has ended the IKE SA: addresses and routes stay, so that nothing leaks
 * and sockets inside stay open; the names are resolved again for the next attempt. */
static void on_searching(struct connection *c, const struct session_event *e)
{
    if (!c->searching)
        c->since = connection_wall_now();
    c->searching = true;
    c->fault = e->searching.fault;
    news_error(c, -1);
    const struct fault *f = &e->searching.fault;
    log_warn("%s; %s", f->text, f->hint[0] != '\0' ? f->hint : "connecting anew");
    reach_resolve(c->reach);
}

/* ESP leaves by the new path from now on. */
static void on_path(struct connection *c, const struct path *path)
{
    const char *name = connection_interface_name(c, path);
    reach_set_current(c->reach, &path->remote.ip);
    if (name != NULL) /* it may be gone when the handover is told */
        snprintf(c->path_name, sizeof(c->path_name), "%s", name);
    if (!c->up)
        return; /* come_up reads it */
    datapath_move(c->datapath, path);
    connection_fit(c, path);
}

static void on_handover(struct connection *c, const struct session_handover *h)
{
    c->handover = (struct connection_handover){.at = connection_wall_now(), .gap_ms = h->gap_ms};
    snprintf(c->handover.from, sizeof(c->handover.from), "%s", c->settled_name);
    snprintf(c->handover.to, sizeof(c->handover.to), "%s", c->path_name);
    snprintf(c->settled_name, sizeof(c->settled_name), "%s", c->path_name);
    news_handover(c, h);
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

static void on_down(struct connection *c, const struct session_event *e)
{
    if (c->code != EXIT_CODE_DONE) /* a fault of our own came first */
        connection_end(c, c->code, NULL);
    else if (c->stopping)
        connection_end_as_asked(c);
    else
        connection_end(c, code_for(e->down.reason), &e->down.fault);
}

/* Before the gateway proves itself once more, by CRLs that may be others since the last time. */
static void renew_trust(struct connection *c)
{
    const struct connection_options *o = c->options;
    const struct trust_stores *old = c->trust.gateway != NULL ? &c->trust : &o->credentials->trust;
    struct trust_stores t;
    if (old->gateway == NULL || !credentials_renew_crls(old, c->crls, o->profile->crls.count, &t))
        return;
    session_set_trust(c->session, t.gateway, t.eap != NULL ? t.eap : t.gateway);
    trust_stores_free(&c->trust);
    c->trust = t;
}

void connection_event(struct connection *c, const struct session_event *e)
{
    events_of_session(c->control, e);
    switch (e->type) {
    case SESSION_EVENT_PHASE:
        if (e->phase.phase == SESSION_PHASE_INIT)
            renew_trust(c);
        news_phase(c, e->phase.phase == SESSION_PHASE_INIT ? "init" : "auth", e->phase.text);
        break;
    case SESSION_EVENT_CONFIG:
        c->config = e->config;
        break;
    case SESSION_EVENT_CHILD_UP:
        install_child(c, &e->child);
        break;
    case SESSION_EVENT_CHILD_DRAIN:
        child_list_drain(&c->children, c->tunnel, e->child_down_spi_in);
        datapath_settle(c->datapath);
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
        news_probe(c, &e->path_probe.path, e->path_probe.answered);
        break;
    case SESSION_EVENT_LIVENESS:
        if (e->liveness.result == SESSION_LIVENESS_ANSWERED)
            connection_fit_answered(c);
        break;
    case SESSION_EVENT_NAT_CHANGED:
        break; /* told to who follows */
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
        connection_redirect(c, &e->redirect);
        break;
    case SESSION_EVENT_DOWN:
        on_down(c, e);
        break;
    }
}
