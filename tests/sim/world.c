/* The clock, and a run: first everything of the plan is wrong, then the network is well again and
 * both sides must find each other; then the clients stop and nothing may be left. */
#include "tests/sim/sim.h"

#include <inttypes.h>

enum {
    BREATH_MS = 1500,  /* between two steps of a walk */
    QUIET_MS = 200000, /* until what the last packets led to is over */
    SETTLE_MS = 6000,  /* for what the last replacement left to be deleted */
    STOP_MS = HALF_OPEN_MS + 5000,
    HEALED_TRAFFIC_MS = 250,
    TEN_YEARS_S = 10 * 365 * 86400,
    WEEK_MS = 7 * 86400 * 1000
};

bool has_fault(const struct world *w, enum fault_kind f)
{
    return !w->healed && (w->plan.faults & (unsigned)f) != 0;
}

mono_ms client_clock(const struct world *w)
{
    return w->now + w->plan.epoch_client;
}

mono_ms gateway_clock(const struct world *w)
{
    return w->now + w->plan.epoch_gateway;
}

static int64_t wall_time(void *ctx)
{
    const struct world *w = ctx;
    return w->wall_seconds + w->now / 1000;
}

/* --- what is due --- */

static bool before(const struct due *a, const struct due *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct due *a, struct due *b)
{
    struct due t = *a;
    *a = *b;
    *b = t;
}

void world_at(struct world *w, mono_ms delay, enum due_kind kind, unsigned arg,
              struct datagram *datagram)
{
    struct queue *q = &w->queue;
    if (q->count == q->cap) {
        q->cap = q->cap == 0 ? 64 : 2 * q->cap;
        q->items = sim_resize(q->items, q->cap * sizeof(q->items[0]));
    }
    size_t i = q->count++;
    q->items[i] = (struct due){w->now + delay, q->order++, kind, arg, datagram};
    for (; i > 0 && before(&q->items[i], &q->items[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&q->items[i], &q->items[(i - 1) / 2]);
}

static struct due take(struct queue *q)
{
    struct due first = q->items[0];
    q->items[0] = q->items[--q->count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < q->count; child++) {
            if (before(&q->items[child], &q->items[least]))
                least = child;
        }
        if (least == i)
            return first;
        swap(&q->items[i], &q->items[least]);
        i = least;
    }
}

/* --- faults that come at times of their own --- */

static mono_ms pause_until_next(struct world *w, enum fault_kind f)
{
    mono_ms mean;
    switch (f) {
    case FAULT_ROAMING:
        mean = w->plan.move_ms;
        break;
    case FAULT_FORGERY:
        mean = 400;
        break;
    case FAULT_MEMORY:
        mean = 3000;
        break;
    case FAULT_CRASH:
    case FAULT_PAUSE:
    case FAULT_BURST:
        mean = 15000;
        break;
    default:
        mean = 6000;
    }
    if (w->plan.faulty_ms > 60000)
        mean = mean * w->plan.faulty_ms / 60000;
    return rng_between(&w->random, 1, 2 * mean);
}

static void crash(struct world *w)
{
    if (!w->gateway.alive)
        return;
    mono_ms away = rng_between(&w->random, 0, 15000);
    transcript_note(w, "gateway", "crashes, for %" PRId64 " ms", away);
    gateway_close(w);
    world_at(w, away, DUE_GATEWAY_RESUME, 0, NULL);
}

/* All clients are shut for a minute to a week, and their users away: what was due to be done is
 * done afterwards, and the run takes so much longer. Only the gateway goes on. */
static void sleep_long(struct world *w)
{
    mono_ms away = 60000;
    while (away < WEEK_MS && rng_chance(&w->random, 700))
        away *= 3;
    away = rng_between(&w->random, away / 3, mono_earlier(away, WEEK_MS));
    transcript_note(w, "client", "all are asleep for %" PRId64 " ms", away);
    w->asleep_until = w->now + away;
    w->faulty_until += away;
    for (unsigned i = 0; i < w->plan.clients; i++) {
        w->clients[i].paused = w->clients[i].slept = true;
        world_at(w, away, DUE_CLIENT_RESUME, i, NULL);
    }
}

static void pause_end(struct world *w)
{
    if (rng_chance(&w->random, 50)) {
        sleep_long(w);
        return;
    }
    mono_ms away = rng_between(&w->random, 500, 20000);
    bool gateway = rng_chance(&w->random, 400);
    unsigned i = (unsigned)rng_below(&w->random, w->plan.clients);
    transcript_note(w, gateway ? "gateway" : "client", "stands still for %" PRId64 " ms", away);
    if (gateway)
        w->gateway.paused = true;
    else
        w->clients[i].paused = true;
    w->clients[i].slept |= !gateway && rng_chance(&w->random, 500);
    world_at(w, away, gateway ? DUE_GATEWAY_RESUME : DUE_CLIENT_RESUME, i, NULL);
}

static void cut(struct world *w)
{
    mono_ms until = w->now + rng_between(&w->random, 100, 10000);
    unsigned which = (unsigned)rng_between(&w->random, 1, 3);
    for (unsigned i = 0; i < 2; i++) {
        if ((which >> i & 1) != 0)
            w->network.cut_until[i] = until;
    }
    transcript_note(w, "network", "%s cut until %.3f",
                    which == 3 ? "both ways" : (which == 1 ? "to the gateway" : "to the clients"),
                    (double)until / 1000);
}

static void strike(struct world *w, enum fault_kind f)
{
    switch (f) {
    case FAULT_PARTITION:
        cut(w);
        break;
    case FAULT_FORGERY:
        hostile_act(w);
        break;
    case FAULT_REBINDING:
        network_rebind(w);
        break;
    case FAULT_CRASH:
        crash(w);
        break;
    case FAULT_PAUSE:
        pause_end(w);
        break;
    case FAULT_COMMANDS:
        if (rng_chance(&w->random, 300))
            gateway_rekey_together(w, rng_below(&w->random, w->plan.clients),
                                   (enum session_rekey)rng_below(&w->random, 3));
        else if (rng_chance(&w->random, 500))
            client_command(w, rng_below(&w->random, w->plan.clients));
        else
            gateway_command(w);
        break;
    case FAULT_MEMORY:
        memory_fail((unsigned)rng_between(&w->random, 1, 60),
                    (unsigned)rng_between(&w->random, 1, 4));
        break;
    case FAULT_WALL_CLOCK:
        w->wall_seconds += rng_between(&w->random, -TEN_YEARS_S, TEN_YEARS_S);
        if (w->wall_seconds < 0)
            w->wall_seconds = 0;
        break;
    case FAULT_IMPOSTOR:
        hostile_impostor(w);
        break;
    case FAULT_BURST:
        hostile_burst(w);
        break;
    case FAULT_ROAMING:
        places_strike(w);
        break;
    case FAULT_COOKIE2:
        w->gateway.lying_until = w->now + rng_between(&w->random, 1000, 10000);
        break;
    default: /* those of the network are asked for with every datagram */
        return;
    }
    world_at(w, pause_until_next(w, f), DUE_FAULT, (unsigned)f, NULL);
}

/* --- steps --- */

static mono_ms traffic_pause(struct world *w)
{
    int64_t mean = w->plan.traffic_ms;
    if (w->healed && mean > HEALED_TRAFFIC_MS)
        mean = HEALED_TRAFFIC_MS;
    return rng_between(&w->random, 0, 2 * mean);
}

static void resume_gateway(struct world *w)
{
    if (w->gateway.paused || !w->gateway.alive)
        transcript_note(w, "gateway", "is back");
    w->gateway.paused = false;
    if (!w->gateway.alive)
        gateway_open(w);
    gateway_timeouts(w); /* before any packet */
}

static bool client_due(const struct world *w, size_t i)
{
    const struct client *c = &w->clients[i];
    return c->end != NULL && !c->paused && end_deadline(c->end) <= w->now;
}

static void resume_client(struct world *w, size_t i)
{
    if (w->clients[i].paused)
        transcript_note(w, "client", "client%zu goes on", i + 1);
    client_resume(w, i);
}

static bool sleeps_over(struct world *w, const struct due *d)
{
    bool over =
        w->now < w->asleep_until && (d->kind == DUE_FROM_CLIENT || d->kind == DUE_FROM_GATEWAY ||
                                     d->kind == DUE_FAULT || d->kind == DUE_CLIENT_RESUME);
    if (over)
        world_at(w, w->asleep_until - w->now, d->kind, d->arg, NULL);
    return over;
}

static void happen(struct world *w, const struct due *d)
{
    if (sleeps_over(w, d))
        return;
    switch (d->kind) {
    case DUE_DATAGRAM:
        network_arrive(w, d->datagram);
        break;
    case DUE_INTERFACE_UP:
        places_interface_up(w, d->arg);
        break;
    case DUE_FROM_CLIENT:
        if (w->now >= w->silent_until)
            traffic_from_client(w, d->arg);
        world_at(w, traffic_pause(w), d->kind, d->arg, NULL);
        break;
    case DUE_FROM_GATEWAY:
        if (w->now >= w->silent_until)
            traffic_from_gateway(w, d->arg);
        world_at(w, traffic_pause(w), d->kind, d->arg, NULL);
        break;
    case DUE_FAULT:
        if (!w->healed)
            strike(w, (enum fault_kind)d->arg);
        break;
    case DUE_CLIENT_START:
        client_start(w, d->arg);
        break;
    case DUE_CLIENT_RESUME:
        resume_client(w, d->arg);
        break;
    case DUE_GATEWAY_RESUME:
        resume_gateway(w);
        break;
    case DUE_GATEWAY_REKEY:
        gateway_rekey_ike(w, d->arg);
        break;
    }
}

static mono_ms next_deadline(const struct world *w)
{
    mono_ms next = mono_earlier(gateway_deadline(w), hostile_deadline(w));
    for (size_t i = 0; i < w->plan.clients; i++) {
        const struct client *c = &w->clients[i];
        if (c->end != NULL && !c->paused)
            next = mono_earlier(next, end_deadline(c->end));
    }
    return next;
}

/* False where nothing is due before `until`, which it then is, or a check has failed. */
static bool step(struct world *w, mono_ms until)
{
    if (w->violation.set)
        return false;
    mono_ms deadline = next_deadline(w);
    mono_ms next = w->queue.count > 0 ? mono_earlier(w->queue.items[0].at, deadline) : deadline;
    if (next > until) {
        w->now = until;
        return false;
    }
    if (next > w->now)
        w->now = next;
    w->steps++;
    if (has_fault(w, FAULT_ROAMING))
        places_watch(w);
    if (w->queue.count > 0 && w->queue.items[0].at <= w->now) {
        struct due d = take(&w->queue);
        happen(w, &d);
        return true;
    }
    for (size_t i = 0; i < w->plan.clients; i++) {
        if (!client_due(w, i))
            continue;
        end_timeout(w->clients[i].end);
        client_settled(w, i);
    }
    gateway_timeouts(w);
    hostile_timeouts(w);
    return true;
}

typedef const char *world_check(struct world *w, char *text, size_t cap);

/* Until it holds; a violation where it does not in time. */
static void await(struct world *w, mono_ms within, world_check *check)
{
    mono_ms until = w->now + within;
    char text[200];
    const char *bad;
    while ((bad = check(w, text, sizeof(text))) != NULL && step(w, until)) {
    }
    if (bad != NULL)
        violate(w, bad, "%.3f s after: %s", (double)within / 1000, text);
}

/* --- a run --- */

static void begin(struct world *w, uint64_t seed, FILE *transcript)
{
    *w = (struct world){.seed = seed, .transcript = transcript};
    w->random = rng_make(seed, 2);
    w->network.random = rng_make(seed, 3);
    w->network.next_port = (uint16_t)rng_between(&w->random, 1024, 65535);
    w->hostile.random = rng_make(seed, 4);
    w->gateway.random = rng_make(seed, 5);
    w->wall_seconds = 1800000000;
    ASSERT(secret_set(&w->psk, span_text("a key of the simulator's")) == ERR_OK);
    plan_draw(&w->plan, seed, &w->psk);
    w->faulty_until = w->plan.faulty_ms;
    w->plan.client.wall_time = w->plan.gateway.wall_time = wall_time;
    w->plan.client.wall_time_ctx = w->plan.gateway.wall_time_ctx = w;
    w->plan.client.eap.wall_time = wall_time;
    w->plan.client.eap.wall_time_ctx = w;
    memory_begin(w);
    memory_secret(&w->psk);
    places_begin(w);
    gateway_open(w);
    for (size_t i = 0; i < w->plan.clients; i++) {
        w->clients[i].random = rng_make(seed, 10 + i);
        w->clients[i].wanted = true;
        world_at(w, rng_between(&w->random, 0, 300), DUE_CLIENT_START, (unsigned)i, NULL);
        world_at(w, traffic_pause(w), DUE_FROM_CLIENT, (unsigned)i, NULL);
        world_at(w, traffic_pause(w), DUE_FROM_GATEWAY, (unsigned)i, NULL);
    }
    for (unsigned f = 1; f < FAULTS_END; f <<= 1) {
        if ((w->plan.faults & f) != 0)
            world_at(w, pause_until_next(w, (enum fault_kind)f), DUE_FAULT, f, NULL);
    }
}

static void heal(struct world *w)
{
    transcript_note(w, "network", "all is well from here on");
    w->healed = true;
    memory_fail(0, 0);
    network_heal(w);
    hostile_free(w);
    resume_gateway(w);
    places_heal(w);
    for (size_t i = 0; i < w->plan.clients; i++) {
        struct client *c = &w->clients[i];
        c->wanted = true;
        c->delivered = c->delivered_in = 0;
        world_at(w, rng_between(&w->random, 0, 2 * HEALED_TRAFFIC_MS), DUE_FROM_CLIENT, (unsigned)i,
                 NULL);
        world_at(w, rng_between(&w->random, 0, 2 * HEALED_TRAFFIC_MS), DUE_FROM_GATEWAY,
                 (unsigned)i, NULL);
        resume_client(w, i);
    }
}

/* For that long, unless a check fails. */
static void pass_time(struct world *w, mono_ms ms)
{
    mono_ms until = w->now + ms;
    while (step(w, until)) {
    }
}

/* Moves, one by one; and then nothing. */
static void walk(struct world *w)
{
    for (unsigned n = 0; n < w->plan.walk && !w->violation.set; n++) {
        pass_time(w, BREATH_MS);
        if (!w->violation.set)
            await(w, plan_recovery_ms(&w->plan), walk_ready);
        if (!w->violation.set)
            await(w, walk_step(w), check_converged);
        for (size_t i = 0; i < w->plan.clients; i++)
            w->clients[i].delivered = w->clients[i].delivered_in = 0;
        w->silent_until = w->now;
        if (!w->violation.set)
            await(w, walk_passing_ms(w), check_recovered);
        if (!w->violation.set)
            walk_judge(w);
    }
    if (w->violation.set || w->plan.idle_ms == 0)
        return;
    w->silent_until = w->now + QUIET_MS + w->plan.idle_ms + BREATH_MS;
    transcript_note(w, "walk", "nobody does anything any more");
    pass_time(w, QUIET_MS);
    walk_idle_begin(w);
    pass_time(w, w->plan.idle_ms);
    if (!w->violation.set)
        walk_idle_judge(w);
}

static void stop(struct world *w)
{
    transcript_note(w, "client", "everybody stops");
    for (size_t i = 0; i < w->plan.clients; i++) {
        struct client *c = &w->clients[i];
        c->wanted = false;
        if (c->end == NULL)
            continue;
        c->end->stopping = true;
        session_stop(c->end->session, client_clock(w));
        end_settle(c->end);
        client_settled(w, i);
    }
}

static void end_all(struct world *w)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        end_free(w->clients[i].end);
    hostile_free(w);
    gateway_close(w);
    if (memory_blocks() != 0)
        violate(w, "leak", "%zu blocks are still held at the end", memory_blocks());
    while (w->queue.count > 0)
        sim_free(take(&w->queue).datagram);
    sim_free(w->queue.items);
    sim_free(w->ledger);
    network_free(w);
    observer_free(&w->observer);
}

void world_run(uint64_t seed, FILE *transcript, struct result *ret)
{
    struct world *w = sim_alloc(sizeof(*w));
    char text[1200];
    begin(w, seed, transcript);
    if (transcript != NULL)
        fprintf(transcript, "seed %" PRIu64 ": %s\n", seed,
                plan_text(&w->plan, text, sizeof(text)));
    while (step(w, w->faulty_until)) {
    }
    if (!w->violation.set) {
        mono_ms recovery = plan_recovery_ms(&w->plan);
        heal(w);
        await(w, recovery, check_recovered);
        if (!w->violation.set)
            await(w, recovery + HALF_OPEN_MS + SETTLE_MS, check_settled);
        if (!w->violation.set)
            walk(w);
        if (!w->violation.set)
            stop(w);
        if (!w->violation.set)
            await(w, STOP_MS, check_stopped);
    }
    end_all(w);
    *ret = (struct result){
        .violation = w->violation, .virtual_ms = w->now, .steps = w->steps, .changes = w->changes};
    for (size_t i = 0; i < w->plan.clients; i++)
        ret->moves += w->clients[i].handovers;
    memory_begin(NULL);
    wipe(w, sizeof(*w));
    sim_free(w);
}
