/* The client's driver: a user who wants the connection up, and begins again when it went down; and
 * what knows the networks, and tells the session of every change at once. */
#include "tests/sim/sim.h"

enum {
    START_AGAIN_MIN_MS = 100,
    START_AGAIN_MAX_MS = 1000,
    LEAVE_MS = 6000 /* an IKE SA with a liar; its Delete may need some time */
};

/* A patient user: the pauses grow, in long runs to a two-hundredth of them. */
static void start_later(struct world *w, size_t i)
{
    mono_ms pause = rng_between(&w->random, START_AGAIN_MIN_MS, START_AGAIN_MAX_MS);
    mono_ms most = w->healed ? START_AGAIN_MAX_MS : w->plan.faulty_ms / 200 + START_AGAIN_MAX_MS;
    unsigned doublings = w->clients[i].attempts < 20 ? w->clients[i].attempts : 20;
    w->clients[i].attempts++;
    world_at(w, mono_earlier(pause << doublings, most), DUE_CLIENT_START, (unsigned)i, NULL);
}

/* --- the network --- */

static void add_address(struct ip *list, size_t *count, size_t max, const struct ip *ip)
{
    for (size_t i = 0; i < *count; i++) {
        if (ip_equal(&list[i], ip))
            return;
    }
    if (*count < max && ip->family != IP_NONE)
        list[(*count)++] = *ip;
}

/* All ways to all addresses of the gateway that are known: by its name, as announced by itself, and
 * where it is. */
static void look_around(struct world *w, size_t i)
{
    enum { KNOWN_MAX = GATEWAY_ADDRESSES + SESSION_ADDRESSES_MAX };
    struct client *c = &w->clients[i];
    struct ip known[KNOWN_MAX];
    struct session_status s = {.established = MONO_NEVER};
    size_t count = 0;
    for (size_t n = 0; n < w->gateway.address_count; n++) {
        const struct ip *ip = &w->gateway.addresses[n].ip;
        if (n == 0 || (ip->family == IP_V6 && w->plan.v6_named))
            add_address(known, &count, KNOWN_MAX, ip);
    }
    for (size_t n = 0; n < c->announced_count; n++)
        add_address(known, &count, KNOWN_MAX, &c->announced[n]);
    if (c->end != NULL)
        session_status(c->end->session, &s);
    if (s.established != MONO_NEVER)
        add_address(known, &count, KNOWN_MAX, &s.path.remote.ip);
    c->told_count = places_ways(w, i, known, count, c->told);
}

bool client_has(const struct client *c, const struct path *path)
{
    for (size_t n = 0; n < c->told_count; n++) {
        if (ip_equal(&c->told[n].local.ip, &path->local.ip) &&
            c->told[n].interface == path->interface)
            return true;
    }
    /* The gateway may ask something at an address by which no way is known. */
    int k = places_interface(c, &path->local.ip);
    return k >= 0 && path->interface == FIRST_INTERFACE + (uint32_t)k;
}

static void tell(struct world *w, size_t i)
{
    struct client *c = &w->clients[i];
    look_around(w, i);
    if (c->unconnected_at != MONO_NEVER && c->told_count > 0)
        check_held(c, w->now - c->unconnected_at);
    if (c->told_count > 0)
        c->unconnected_at = MONO_NEVER;
    else if (c->unconnected_at == MONO_NEVER)
        c->unconnected_at = w->now;
    session_networks_changed(c->end->session, client_clock(w), c->told, c->told_count);
}

void client_networks(struct world *w, size_t i)
{
    struct client *c = &w->clients[i];
    if (c->paused) {
        c->stale = true;
        return;
    }
    c->stale = false;
    if (c->end == NULL) {
        client_start(w, i);
        return;
    }
    tell(w, i);
    end_settle(c->end);
    client_settled(w, i);
}

void client_addresses(struct end *e, const struct ip *addresses, size_t count)
{
    struct client *c = &e->world->clients[e->client];
    if (e->kind != END_CLIENT || c->end != e)
        return;
    memcpy(c->announced, addresses, count * sizeof(addresses[0]));
    c->announced_count = count;
    if (!c->paused)
        tell(e->world, e->client);
}

void client_redirected(struct end *e, const struct ip *to)
{
    struct path paths[SESSION_PATHS_MAX];
    size_t count = places_ways(e->world, e->client, to, 1, paths);
    for (size_t n = 0; n < count; n++)
        paths[n].remote.port = IKE_NAT_PORT;
    session_redirected(e->session, end_clock(e), paths, count);
}

/* What the gateway then asks for crosses what it is told of the move. */
void client_moves(struct end *e)
{
    struct world *w = e->world;
    if (has_fault(w, FAULT_COMMANDS) && rng_chance(&w->moves_random, 200))
        world_at(w, 0, DUE_GATEWAY_REKEY, (unsigned)e->client, NULL);
}

void client_probed(struct end *e, bool answered)
{
    struct client *c = &e->world->clients[e->client];
    c->probes++;
    c->probes_answered += answered ? 1 : 0;
}

void client_moved(struct end *e, const struct session_handover *h)
{
    struct client *c = &e->world->clients[e->client];
    c->handovers++;
    c->bettered += h->reason == SESSION_MOVE_BETTER_PATH ? 1 : 0;
    c->handover = *h;
}

void client_resume(struct world *w, size_t i)
{
    struct client *c = &w->clients[i];
    bool network_first = rng_chance(&w->random, 500);
    c->paused = false;
    c->unconnected_at = MONO_NEVER; /* it stood still */
    c->leave_by = w->now + LEAVE_MS;
    if (c->stale && network_first)
        client_networks(w, i);
    client_start(w, i);
    if (c->end != NULL && end_deadline(c->end) <= w->now) { /* before any packet */
        end_timeout(c->end);
        client_settled(w, i);
    }
    if (c->stale)
        client_networks(w, i);
    if (c->slept && c->end != NULL) {
        session_resumed(c->end->session, client_clock(w));
        end_settle(c->end);
        client_settled(w, i);
    }
    c->slept = false;
}

/* --- a session --- */

void client_start(struct world *w, size_t i)
{
    struct client *c = &w->clients[i];
    if (c->end != NULL || !c->wanted || c->paused)
        return;
    c->port = (uint16_t)(40000 + rng_below(&w->random, 10000));
    c->gateway_port = rng_chance(&w->random, 800) ? IKE_PORT : IKE_NAT_PORT;
    c->announced_count = 0;
    c->unconnected_at = MONO_NEVER;
    c->excused = false;
    c->served_at = w->now;
    c->liar_spi = 0;
    look_around(w, i);
    if (c->told_count == 0)
        return; /* when there is a network */
    struct session_config config = w->plan.client;
    char id[] = "client1.example.com";
    id[6] = (char)('1' + i);
    ASSERT(identity_parse(id, &config.local_id) == ERR_OK);
    config.second.id = config.local_id;
    memcpy(config.eap.name, id, sizeof(id));
    certificates_use(&config, i == 0 ? CERTIFIED_CLIENT1 : CERTIFIED_CLIENT2);
    config.random = (struct random_source){rng_fill, &c->random};
    c->end = end_new(w, END_CLIENT, &config);
    wipe(&config, sizeof(config));
    if (c->end == NULL) {
        start_later(w, i);
        return;
    }
    c->end->client = i;
    session_networks_changed(c->end->session, client_clock(w), c->told, c->told_count);
    enum err err = session_start(c->end->session, client_clock(w));
    end_settle(c->end);
    if (err != ERR_OK) {
        if (err != ERR_MEMORY)
            violate(w, "unexpected-error", "session_start: %s", err_text(err));
        end_free(c->end);
        c->end = NULL;
        start_later(w, i);
        return;
    }
    client_settled(w, i);
}

void client_settled(struct world *w, size_t i)
{
    struct client *c = &w->clients[i];
    if (c->end == NULL || !c->end->down)
        return;
    check_reason(c->end);
    if (c->end->was_up)
        c->attempts = 0;
    end_free(c->end);
    c->end = NULL;
    if (c->wanted)
        start_later(w, i);
}

void client_datagram(struct world *w, struct datagram *d)
{
    struct client *c = &w->clients[d->client];
    if (c->end == NULL || c->paused || d->to.port != c->port)
        return;
    const struct path path = {
        .local = d->to, .remote = d->from, .interface = FIRST_INTERFACE + (uint32_t)d->interface};
    struct span payload = span_make(d->bytes, d->len), message;
    switch (datagram_classify(d->from.port != IKE_PORT, payload, &message)) {
    case DATAGRAM_IKE: {
        struct ike_header h;
        bool parsed = ike_header_parse(message, &h) == ERR_OK;
        bool established = c->end->up;
        uint64_t before = established ? check_print(c->end) : 0;
        bool fresh = d->sealed && parsed && !observe_delivered(c->end, &h, message, d->genuine);
        struct session_status status;
        session_status(c->end->session, &status);
        bool lied = fresh && d->genuine && observe_lied(w, &h);
        if (lied && established && c->liar_spi == 0 && status.spi_i == h.spi_i) {
            c->liar_spi = h.spi_i;
            c->leave_by = w->now + LEAVE_MS;
        }
        end_input(c->end, &path, message);
        if (established && !(fresh && d->genuine) && !memory_failed() &&
            check_print(c->end) != before)
            violate(w, "forgery-believed", "client%zu: an unauthenticated datagram changed it",
                    d->client + 1);
        break;
    }
    case DATAGRAM_ESP:
        end_esp_in(c->end, &path, payload);
        break;
    case DATAGRAM_KEEPALIVE:
    case DATAGRAM_BAD:
        break;
    }
    client_settled(w, d->client);
}

/* What users and administrators do at a client. */
void client_command(struct world *w, size_t i)
{
    struct client *c = &w->clients[i];
    if (c->paused)
        return;
    if (c->end == NULL) {
        c->wanted = true;
        start_later(w, i);
        return;
    }
    struct session *s = c->end->session;
    enum err err = ERR_OK;
    if (rng_chance(&w->random, 500)) {
        enum session_rekey what = (enum session_rekey)rng_below(&w->random, 3);
        transcript_note(w, "client", "command: rekey %d", (int)what);
        err = session_rekey(s, client_clock(w), what);
    } else if (rng_chance(&w->random, 500)) {
        transcript_note(w, "client", "command: reconnect");
        err = session_reconnect(s, client_clock(w));
    } else {
        transcript_note(w, "client", "command: stop");
        c->wanted = rng_chance(&w->random, 700); /* and up again, or with a later command */
        c->end->stopping = true;
        session_stop(s, client_clock(w));
    }
    if (err != ERR_OK && err != ERR_STATE && err != ERR_MEMORY)
        violate(w, "unexpected-error", "a command at the client: %s", err_text(err));
    end_settle(c->end);
    client_settled(w, i);
}
