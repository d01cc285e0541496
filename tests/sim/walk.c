/* Clients that move in a network that is well otherwise: one step, then both ends must find
 * together within the time, and the messages, that such a step may cost; and at the end nobody does
 * anything for a while, and nothing may be sent but keepalives. */
#include "tests/sim/sim.h"

#include <inttypes.h>

enum {
    HARD_MS = 2000,
    HASTE_MS = 150, /* or two round trips: then all ways are asked */
    RESUME_MS = 5000,
    ANEW_MS = 4000, /* where the gateway lacks MOBIKE */
    DEAD_MS = 5000, /* a second of silence, a question, a race, and a packet before that */
    LATE_MS = 20 * 60 * 1000,
    YOUNG_MS = 10000 /* an IKE SA whose predecessor may still ask something */
};

static bool mobike(const struct world *w)
{
    return w->plan.client.mobike && w->plan.gateway.mobike;
}

/* Nobody asks anything but for what happens. */
static bool placid(const struct world *w)
{
    const struct session_lifetimes *c = &w->plan.client.lifetimes, *g = &w->plan.gateway.lifetimes;
    return c->ike_ms == 0 && c->child_ms == 0 && c->child_bytes == 0 && c->child_packets == 0 &&
           g->ike_ms == 0 && g->child_ms == 0 && g->child_bytes == 0 && g->child_packets == 0 &&
           w->plan.gateway.auth_lifetime_s == 0;
}

/* An IKE SA has time enough to be rekeyed where a question takes some seconds. */
static bool lasting(const struct world *w)
{
    enum { LONG_MS = 40000 };
    const struct session_lifetimes *c = &w->plan.client.lifetimes, *g = &w->plan.gateway.lifetimes;
    return (c->ike_ms == 0 || c->ike_ms > LONG_MS) && (g->ike_ms == 0 || g->ike_ms > LONG_MS) &&
           w->plan.gateway.auth_lifetime_s == 0;
}

/* Ways of an interface that lead to an address that is not dead. */
static bool leads(struct world *w, size_t i, size_t k)
{
    struct client *c = &w->clients[i];
    for (size_t n = 0; n < c->told_count; n++) {
        const struct gateway_address *a = places_gateway_address(w, &c->told[n].remote.ip);
        if (c->told[n].interface == FIRST_INTERFACE + k && a != NULL && a->dead_until <= w->now)
            return true;
    }
    return false;
}

static bool another_leads(struct world *w, size_t i, size_t k)
{
    for (size_t n = 0; n < w->plan.interfaces; n++) {
        if (n != k && leads(w, i, n))
            return true;
    }
    return false;
}

/* --- steps --- */

/* How long it may take; 0 where that step makes no sense here. */
typedef mono_ms walk(struct world *w, size_t i, size_t k);

/* As far as can be told from outside. What was lost before is put down to interfaces. */
static bool trusted(const struct world *w, size_t i, uint32_t interface)
{
    return w->clients[i].interfaces[interface - FIRST_INTERFACE].troubles <= 2 &&
           (w->plan.faults & ~(unsigned)FAULT_DUPLICATE) == 0;
}

/* The address that it used went. RFC 4555 3.5: what it is asking is asked again from the new one,
 * or it tells where it is now; either in the moment in which it moves. */
static mono_ms hard(struct world *w, const char *text)
{
    const struct step *t = &w->step;
    const struct client *c = &w->clients[t->client];
    struct session_status now;
    char name[24];
    w->step.hard = true;
    w->step.text = text;
    session_status(c->end->session, &now);
    if (t->keeps && !t->young && c->ike_datagrams == t->ike_datagrams)
        violate(w, "move-late", "%s: %s, and it says nothing", end_name(c->end, name), text);
    uint32_t best = c->told[0].interface;
    if (t->keeps && !t->young && now.path.interface != best && trusted(w, t->client, best))
        violate(w, "move-worse", "%s: %s, and it goes to interface %" PRIu32 ", not %" PRIu32,
                end_name(c->end, name), text, now.path.interface, best);
    return mobike(w) ? HARD_MS : ANEW_MS;
}

/* The next best one carries nothing, and nobody knows it yet; there is a third. */
static void block_next(struct world *w, size_t i, size_t k)
{
    struct interface *f = w->clients[i].interfaces;
    size_t n = 0;
    while (n == k || !leads(w, i, n))
        n++;
    if (!rng_chance(&w->moves_random, 500) || !mobike(w))
        return;
    for (size_t third = n + 1; third < w->plan.interfaces && !w->step.blocked; third++)
        w->step.blocked = third != k && leads(w, i, third);
    if (!w->step.blocked)
        return;
    f[n].dead_until[0] = f[n].dead_until[1] = w->now + LATE_MS;
    f[n].troubles += 3;
}

static mono_ms lose_interface(struct world *w, size_t i, size_t k)
{
    if (!another_leads(w, i, k))
        return 0;
    block_next(w, i, k);
    places_down(w, i, k);
    return hard(w, "its interface went down");
}

static void rekey(struct world *w, size_t i, enum session_rekey what)
{
    struct end *e = w->clients[i].end;
    if (session_rekey(e->session, client_clock(w), what) == ERR_OK)
        transcript_note(w, "walk", "client%zu: rekeys (%d)", i + 1, (int)what);
    end_settle(e);
    client_settled(w, i);
}

/* Its address changes, and somebody passes on from an address of his own what it says of that. The
 * answer goes to him; when it is asked again the answer is the same, and the gateway stays misled
 * until nothing comes of what is sent. A new IKE SA then knows nothing of how it was seen before.
 */
static mono_ms mislead(struct world *w, size_t i, size_t k)
{
    const struct client *c = &w->clients[i];
    if (c->told_count != 1 || !mobike(w) || !lasting(w) || w->plan.esp_followed || w->step.asked ||
        w->plan.gateway.return_routability || !rng_chance(&w->moves_random, 300))
        return 0;
    w->step.misled = w->network.diverting = true;
    places_renumber(w, i, k, false);
    w->network.diverting = false;
    rekey(w, i, SESSION_REKEY_IKE);
    w->step.text = "its address changed, and the gateway was misled";
    return plan_recovery_ms(&w->plan); /* it is asked first whether it lives, then told */
}

static mono_ms change_address(struct world *w, size_t i, size_t k)
{
    mono_ms misled = mislead(w, i, k);
    if (misled > 0)
        return misled;
    places_renumber(w, i, k, rng_chance(&w->places_random, 500));
    return hard(w, "its address changed");
}

static mono_ms lose_ipv4(struct world *w, size_t i, size_t k)
{
    struct client *c = &w->clients[i];
    struct interface *f = &c->interfaces[k];
    bool other = false;
    for (size_t n = 0; n < c->told_count; n++)
        other = other || c->told[n].local.ip.family == IP_V6;
    if (!other || c->end->path.local.ip.family != IP_V4)
        return 0;
    f->lost_v4 = f->v4;
    f->v4 = (struct ip){.family = IP_NONE};
    f->troubles++;
    client_networks(w, i);
    return hard(w, "its interface lost IPv4");
}

static mono_ms find_better(struct world *w, size_t i, size_t k)
{
    struct client *c = &w->clients[i];
    size_t n = 0;
    while (n < k && c->interfaces[n].up)
        n++;
    if (n >= k || c->interfaces[n].v4.family == IP_NONE)
        return 0;
    w->step.soft = true; /* what is better than the one in use */
    for (size_t j = 0; j < k; j++)
        w->step.soft = w->step.soft && trusted(w, i, FIRST_INTERFACE + (uint32_t)j);
    w->step.text = "a better interface came up";
    places_up(w, i, n);
    return mobike(w) ? HARD_MS : ANEW_MS;
}

static mono_ms silent_death(struct world *w)
{
    /* Four round trips, as long as they were when the network was ill. */
    mono_ms doubt = 8 * (w->plan.delay_max - w->plan.delay_min);
    /* A gateway that is just checking where the client is sends to where it was: what comes from
     * there hides the silence, until it gives up. */
    w->step.keeps = w->step.keeps && !w->step.asked;
    return w->step.keeps ? DEAD_MS + doubt : plan_recovery_ms(&w->plan);
}

static mono_ms die_silently(struct world *w, size_t i, size_t k)
{
    struct interface *f = &w->clients[i].interfaces[k];
    if (!another_leads(w, i, k))
        return 0;
    f->dead_until[1] = w->now + LATE_MS;
    f->dead_until[0] = rng_chance(&w->places_random, 500) ? w->now + LATE_MS : 0;
    f->troubles += 3;
    w->step.text = "its interface carries nothing any more";
    return silent_death(w);
}

static mono_ms lose_gateway_address(struct world *w, size_t i, size_t k)
{
    struct client *c = &w->clients[i];
    const struct ip *used = &c->end->path.remote.ip;
    struct gateway_address *a = places_gateway_address(w, used);
    bool other = false;
    (void)k;
    if (w->plan.clients > 1) /* it would be the other one's step too */
        return 0;
    for (size_t n = 0; n < c->told_count; n++)
        other = other || !ip_equal(&c->told[n].remote.ip, used);
    if (!other || a == NULL)
        return 0;
    a->dead_until = w->now + LATE_MS;
    for (size_t n = 0; n < w->plan.interfaces; n++)
        c->interfaces[n].troubles += 3;
    w->step.text = "the gateway's address died";
    return silent_death(w);
}

static mono_ms rebind(struct world *w, size_t i, size_t k)
{
    struct interface *f = &w->clients[i].interfaces[k];
    /* Rekeyings every few seconds are answered, and so hide the silence. */
    if (!f->nat || w->clients[i].end->path.local.ip.family != IP_V4 || !placid(w))
        return 0;
    places_forget_mappings(f);
    w->step.text = "the translator forgot it";
    return silent_death(w);
}

/* Gone for a moment, in which the gateway loses no patience; or for long, after which it has ended
 * what a rekeying replaced, though the answer to that was lost. */
static mono_ms away_for(struct world *w, mono_ms *ret_away)
{
    struct rng *r = &w->places_random;
    const struct session_config *c = &w->plan.client, *g = &w->plan.gateway;
    bool long_time = rng_chance(r, 300);
    *ret_away = long_time ? rng_between(r, 60000, LATE_MS) : rng_between(r, 100, 10000);
    bool asked = g->dpd_ms != 0 || g->return_routability; /* in vain, in the end */
    bool asking = asked || w->step.moving || w->step.asked;
    bool kept = placid(w) && (!asking || !long_time) &&
                (c->hold_ms == 0 || *ret_away < (mono_ms)c->hold_ms);
    w->step.keeps = w->step.keeps && kept;
    if (long_time)
        w->silent_until = w->now + *ret_away;
    return kept ? 0 : plan_recovery_ms(&w->plan);
}

static mono_ms lose_all(struct world *w, size_t i, size_t k)
{
    mono_ms away, more = away_for(w, &away);
    bool other = rng_chance(&w->places_random, 300);
    for (size_t n = 0; n < w->plan.interfaces; n++)
        places_down(w, i, n);
    if (other)
        k = rng_below(&w->places_random, w->plan.interfaces);
    if (w->clients[i].interfaces[k].v4.family == IP_NONE)
        w->clients[i].interfaces[k].v4 = w->clients[i].interfaces[k].lost_v4;
    world_at(w, away, DUE_INTERFACE_UP, (unsigned)(i * INTERFACES_MAX + k), NULL);
    w->step.text = "it was without a network";
    return away + more + (mobike(w) ? HARD_MS : plan_recovery_ms(&w->plan));
}

static mono_ms sleep_long(struct world *w, size_t i, size_t k)
{
    struct client *c = &w->clients[i];
    mono_ms away, more = away_for(w, &away);
    c->paused = c->slept = true;
    if (rng_chance(&w->places_random, 500))
        places_renumber(w, i, k, true);
    world_at(w, away, DUE_CLIENT_RESUME, (unsigned)i, NULL);
    w->step.text = "it slept";
    return away + more + (mobike(w) ? RESUME_MS : plan_recovery_ms(&w->plan));
}

/* Long enough for everything to be trusted again. */
static mono_ms stay(struct world *w, size_t i, size_t k)
{
    enum { TRUST_MS = 62000 };
    (void)i;
    if (k == 0 || !mobike(w) || !lasting(w) || rng_chance(&w->places_random, 500))
        return 0;
    w->step.soft = true;
    w->step.text = "a better interface is there";
    return TRUST_MS;
}

/* It is asking something when the step comes. */
static void ask(struct world *w, size_t i)
{
    enum session_rekey what = (enum session_rekey)rng_below(&w->moves_random, 3);
    if (mobike(w) && lasting(w) && rng_chance(&w->moves_random, 100))
        rekey(w, i, what);
}

const char *walk_ready(struct world *w, char *text, size_t cap)
{
    for (size_t i = 0; i < w->plan.clients; i++) {
        struct session_status s = {.state = SESSION_IDLE};
        snprintf(text, cap, "client%zu is not up", i + 1);
        if (w->clients[i].end != NULL)
            session_status(w->clients[i].end->session, &s);
        if (s.state != SESSION_UP)
            return "no-recovery";
    }
    return NULL;
}

mono_ms walk_step(struct world *w)
{
    static walk *const walks[] = {stay,        lose_interface, change_address,       lose_ipv4,
                                  find_better, die_silently,   lose_gateway_address, rebind,
                                  lose_all,    sleep_long};
    struct rng *r = &w->places_random;
    size_t i = rng_below(r, w->plan.clients);
    struct client *c = &w->clients[i];
    const struct end *g = gateway_end_of(w, i);
    struct session_status s, theirs = {.outstanding = false};
    mono_ms slowest = 0;
    ask(w, i);
    session_status(c->end->session, &s);
    if (g != NULL)
        session_status(g->session, &theirs);
    for (size_t k = 0; k < w->plan.interfaces; k++) {
        slowest = c->interfaces[k].delay > slowest ? c->interfaces[k].delay : slowest;
    }
    for (size_t n = 0; n < CLIENTS_MAX * INTERFACES_MAX; n++) {
        struct interface *f = &w->clients[n / INTERFACES_MAX].interfaces[n % INTERFACES_MAX];
        f->dead_until[0] = f->dead_until[1] = 0;
    }
    for (size_t n = 0; n < w->gateway.address_count; n++)
        w->gateway.addresses[n].dead_until = 0;
    w->step = (struct step){
        .client = i,
        .serial = c->end->serial,
        .reconnects = s.reconnects,
        .ike_datagrams = c->ike_datagrams,
        .handovers = c->handovers,
        .probes = c->probes,
        .probes_answered = c->probes_answered,
        .bettered = c->bettered,
        .at = w->now,
        .rtt = 2 * (w->plan.delay_min + slowest),
        .keeps = mobike(w) && lasting(w),
        .young = client_clock(w) - s.established < YOUNG_MS,
        .moving = s.moving || s.outstanding,
        .asked = theirs.outstanding,
    };
    size_t k = s.path.interface - FIRST_INTERFACE;
    mono_ms within = 0;
    w->changes++;
    while (within == 0)
        within = walks[rng_below(r, sizeof(walks) / sizeof(walks[0]))](w, i, k);
    /* It may find the client just building anew. */
    within += plan_auth_trips(&w->plan) * w->step.rtt;
    transcript_note(w, "walk", "client%zu: %s; %" PRId64 " ms at most", i + 1, w->step.text,
                    within);
    return within;
}

mono_ms walk_passing_ms(const struct world *w)
{
    enum { SOON_MS = 4000 };
    return placid(w) ? SOON_MS : plan_recovery_ms(&w->plan);
}

/* --- together again --- */

static const char *apart(struct world *w, size_t i, char *text, size_t cap)
{
    const struct client *c = &w->clients[i];
    const struct end *g = gateway_end_of(w, i);
    struct session_status ours, theirs;
    struct endpoint seen;
    char is[ENDPOINT_TEXT_MAX], should[ENDPOINT_TEXT_MAX];
    session_status(c->end->session, &ours);
    snprintf(text, cap, "client%zu is not up", i + 1);
    if (ours.state != SESSION_UP || g == NULL)
        return "no-recovery";
    session_status(g->session, &theirs);
    size_t k = ours.path.interface - FIRST_INTERFACE;
    if (ours.spi_r != theirs.spi_r || !network_seen(w, i, &ours.path, &seen)) {
        snprintf(text, cap, "client%zu and the gateway have different IKE SAs, or no path", i + 1);
        return "not-converged";
    }
    /* Where ESP is followed, a client has no reason to tell that its port has changed. */
    bool port = !w->plan.esp_followed && theirs.peer_mobike;
    snprintf(text, cap, "client%zu is seen at %s, the gateway has it at %s", i + 1,
             endpoint_format(&seen, should), endpoint_format(&theirs.path.remote, is));
    /* Nor that it has been misled about its address, unless it moves. */
    bool told = !w->plan.esp_followed || (w->plan.faults & FAULT_FORGERY) == 0 ||
                (w->step.hard && i == w->step.client);
    if ((told && !ip_equal(&seen.ip, &theirs.path.remote.ip)) ||
        (told && !ip_equal(&ours.path.remote.ip, &theirs.path.local.ip)) ||
        !ip_equal(&g->path.remote.ip, &seen.ip) || (port && seen.port != theirs.path.remote.port))
        return "not-converged";
    snprintf(text, cap, "client%zu stays on interface %zu", i + 1, k + FIRST_INTERFACE);
    for (size_t n = 0; w->step.soft && i == w->step.client && n < k; n++) {
        if (leads(w, i, n))
            return "not-converged";
    }
    const struct gateway_address *a = places_gateway_address(w, &ours.path.remote.ip);
    bool dead = c->interfaces[k].dead_until[1] > w->now || a == NULL || a->dead_until > w->now;
    return dead ? "not-converged" : NULL;
}

const char *check_converged(struct world *w, char *text, size_t cap)
{
    const char *bad = NULL;
    for (size_t i = 0; i < w->plan.clients && bad == NULL; i++) {
        snprintf(text, cap, "client%zu does not run", i + 1);
        bad = w->clients[i].end == NULL || w->clients[i].paused ? "no-recovery"
                                                                : apart(w, i, text, cap);
    }
    if (bad == NULL && w->step.hard && w->step.keeps &&
        w->clients[w->step.client].handovers == w->step.handovers) {
        snprintf(text, cap, "client%zu has not told that it moved", w->step.client + 1);
        bad = "not-converged";
    }
    return bad;
}

/* What a hard move may take: UPDATE and its answer; the same where the gateway checks; and where
 * the answer takes longer than it took elsewhere, it is asked by every way, and once more. */
static uint64_t messages_max(const struct world *w)
{
    const struct client *c = &w->clients[w->step.client];
    uint64_t most = w->plan.gateway.return_routability ? 4 : 2;
    if (w->step.blocked) /* asked twice by all, and some answer each time */
        return 2 * most + 4 * c->told_count + 2;
    return w->step.rtt < 150 ? most : 2 * most + 2 * c->told_count + 2;
}

/* What else was said meanwhile. What the gateway was asking is asked again at the new address (RFC
 * 4555 3.5), and may just have been asked again at the old one. And the way that it left for may
 * stand behind one that earns trust again in that moment: that is asked, and moved to. */
static uint64_t messages_beside(const struct world *w, const struct session_status *s)
{
    const struct step *t = &w->step;
    const struct client *c = &w->clients[t->client];
    uint64_t asking = s->outstanding && !s->moving ? 1 : 0;
    return (t->asked ? 3 : 0) + 2 * (c->probes - t->probes) + asking +
           messages_max(w) * (c->probes_answered - t->probes_answered);
}

void walk_judge(struct world *w)
{
    const struct step *t = &w->step;
    const struct client *c = &w->clients[t->client];
    struct session_status s;
    char name[24];
    session_status(c->end->session, &s);
    end_name(c->end, name);
    if (t->keeps && (c->end->serial != t->serial || s.reconnects != t->reconnects))
        violate(w, "move-cost", "%s: %s, and that cost the IKE SA", name, t->text);
    if (!t->hard || !t->keeps || t->young || t->moving)
        return;
    /* Two round trips, as long as they were when the network was ill. */
    mono_ms haste = HASTE_MS + 4 * (w->plan.delay_max - w->plan.delay_min);
    if (t->blocked && c->handover.gap_ms > haste + 4 * t->rtt)
        violate(w, "move-late", "%s: %s, and the next best is dead: that cost %" PRId64 " ms", name,
                t->text, c->handover.gap_ms);
    if (!placid(w))
        return;
    /* A better network's time of waiting may have ended just then. */
    if (c->handovers == t->handovers + 2 && c->handover.reason == SESSION_MOVE_BETTER_PATH)
        return;
    uint64_t messages = c->ike_datagrams - t->ike_datagrams;
    if (messages > messages_max(w) + messages_beside(w, &s) ||
        c->handover.messages > messages_max(w))
        violate(w, "move-messages", "%s: %s, and that took %" PRIu64 " messages, %" PRIu32 " told",
                name, t->text, messages, c->handover.messages);
    unsigned moves = c->handovers - t->handovers, bettered = c->bettered - t->bettered;
    if (moves != 1 + bettered)
        violate(w, "move-messages", "%s: %s, and it moved %u times, %u of them to a better way",
                name, t->text, moves, bettered);
    if (c->handover.gap_ms < 0 || c->handover.gap_ms > HARD_MS)
        violate(w, "handover-told", "%s tells of a gap of %" PRId64 " ms", name,
                c->handover.gap_ms);
}

/* --- idleness --- */

enum { LEARNING_MAX = 8 };

void walk_idle_begin(struct world *w)
{
    for (size_t i = 0; i < w->plan.clients; i++) {
        struct client *c = &w->clients[i];
        c->ike_datagrams = c->keepalives = c->wakeups = 0;
    }
}

void walk_idle_judge(struct world *w)
{
    for (size_t i = 0; i < w->plan.clients && placid(w); i++) {
        const struct client *c = &w->clients[i];
        /* How long a translator remembers may still have to be learned: each question a wake-up. */
        uint64_t most = w->plan.client.keepalive_learns ? LEARNING_MAX : 0;
        if (c->ike_datagrams > 2 * most || c->wakeups < c->keepalives ||
            c->wakeups > c->keepalives + c->ike_datagrams / 2)
            violate(w, "not-idle",
                    "client%zu: nobody did anything, and it woke %" PRIu64 " times for %" PRIu64
                    " keepalives and %" PRIu64 " messages",
                    i + 1, c->wakeups, c->keepalives, c->ike_datagrams);
    }
}
