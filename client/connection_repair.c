/* What others did to our interface, addresses, routes and rules is noticed and mended, at a bounded
 * rate. The kernel's news are the only reason to look; nothing is looked at while nothing comes.
 *
 * Invariant: while the repair timer runs a look is due, and every further piece of news is covered
 * by it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/connection_state.h"
#include "client/events.h"
#include "common/base/log.h"

void connection_carry(struct connection *c)
{
    struct session_status status;
    const struct network_ours ours = {c->system->state.interface_index, c->system->state.table};
    session_status(c->session, &status);
    c->tun_lost = false;
    datapath_carry(c->datapath, c->system->tun, c->tunnel, &status.path);
    reach_set_ours(c->reach, &ours);
    snprintf(c->tun_name, sizeof(c->tun_name), "%s", c->system->state.interface);
    if (c->holding && uv_is_active((const uv_handle_t *)&c->hold))
        datapath_hold(c->datapath, true);
}

/* In the order in which it was put back; returns how many words. */
static size_t list_damage(const struct system_damage *d, const char *out[REPAIR_WORDS_MAX])
{
    size_t count = 0;
    if (d->tun.gone)
        out[count++] = "interface";
    if (d->tun.down)
        out[count++] = "link";
    if (d->tun.address_lost)
        out[count++] = "addresses";
    if (d->routes.rules)
        out[count++] = "rules";
    if (d->routes.routes)
        out[count++] = "routes";
    return count;
}

static void tell(struct connection *c, const struct system_damage *d, const struct fault *f)
{
    const char *missing[REPAIR_WORDS_MAX];
    char text[64] = "";
    size_t count = list_damage(d, missing), at = 0;
    for (size_t i = 0; i < count; i++)
        at +=
            (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i == 0 ? "" : ", ", missing[i]);
    if (d->tun.renamed)
        log_warn("somebody named %s %s", d->tun.was, c->tun_name);
    if (f != NULL)
        log_warn("%s was changed by others and could not be mended: %s", c->tun_name, f->text);
    else if (count > 0)
        log_warn("%s was changed by others; put back: %s", c->tun_name, text);
    events_emit(c->control,
                (struct client_event){.type = CLIENT_EVENT_REPAIR,
                                      .repair = {c->tun_name, d->tun.renamed ? d->tun.was : NULL,
                                                 missing, count, f != NULL ? f->text : NULL}});
}

static void on_repair(uv_timer_t *timer);

static void schedule(struct connection *c)
{
    if (!uv_is_active((const uv_handle_t *)&c->repair))
        uv_timer_start(&c->repair, on_repair, (uint64_t)pace_wait_ms(&c->pace, clock_now()), 0);
}

void connection_ours_changed(void *ctx)
{
    struct connection *c = ctx;
    if (c->system != NULL && !c->stopping && !c->ended)
        schedule(c);
}

void connection_tun_lost(void *ctx)
{
    struct connection *c = ctx;
    datapath_stop(c->datapath);
    c->tun_lost = true;
    connection_ours_changed(c);
}

/* The interface cannot be had again. */
static void give_up(struct connection *c, const struct fault *f)
{
    log_warn("%s is gone", c->tun_name);
    connection_fail(c, EXIT_CODE_PRIVILEGE, f);
}

static bool any(const struct system_damage *d)
{
    const char *missing[REPAIR_WORDS_MAX];
    return d->tun.renamed || list_damage(d, missing) > 0;
}

static void repair(struct connection *c)
{
    struct system_damage d;
    struct fault f = {0};
    if (c->stopping || c->ended)
        return;
    enum err e = system_look(c->system, &d, &f);
    if (e == ERR_OK && c->tun_lost && !d.tun.gone) {
        (void)fault_set(&f, ERR_SYSTEM, "the interface %s cannot be read", c->tun_name);
        give_up(c, &f);
        return;
    }
    if (d.tun.gone)
        datapath_stop(c->datapath);
    if (e == ERR_OK)
        e = system_repair(c->system, c->options->profile, c->options->lock, &d, &f);
    if (e == ERR_REFUSED) {
        give_up(c, &f);
        return;
    }
    if (d.tun.gone || d.tun.renamed)
        connection_carry(c);
    if (e == ERR_OK && !any(&d))
        return;
    pace_done(&c->pace, clock_now());
    tell(c, &d, e != ERR_OK ? &f : NULL);
    if (e != ERR_OK)
        schedule(c);
}

static void on_repair(uv_timer_t *timer)
{
    repair(timer->data);
    connection_settle(timer->data);
}

void connection_repair_due(struct connection *c)
{
    if (!uv_is_active((const uv_handle_t *)&c->repair))
        return;
    uv_timer_stop(&c->repair);
    repair(c);
}
